"""Progress of studies: runs are counted, and a search is replayed only if its runs have changed."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select

from service.storage.entities import StudyRow
from service.storage.repositories.runs import read_reached, read_searches
from service.storage.tables import runs
from studies.planning.progress import ArmKey, Progress, SearchProgress, progress
from studies.records.rows import Rows
from studies.spec.parameters import Stage

#: Number of studies in the cache; the least recently used one is evicted.
_MAX_CACHED_STUDIES = 200


class ProgressCache:
    """Caches the progress of searches between calls; thread-safe."""

    def __init__(self) -> None:
        """Start empty."""
        self._searches: OrderedDict[str, Mapping[ArmKey, SearchProgress]] = OrderedDict()
        self._lock = threading.Lock()

    def progress_of(self, connection: Connection, study: StudyRow) -> Progress:
        """Return a study's progress.

        Args:
            connection: In a transaction, so that all reads see the same snapshot.
            study: The study.
        """
        with self._lock:
            previous = self._searches.get(study.id, {})
        counts, reached = _read_run_counts(connection, study.id), read_reached(connection, study.id)

        def read(arm_keys: Sequence[ArmKey]) -> Rows:
            return read_searches(connection, study.id, arm_keys, reached)

        current = progress(study.spec, counts, reached, previous, read)
        with self._lock:
            # concurrent calls may overwrite each other: whatever an older result lacks is replayed again
            self._searches[study.id] = current.searches
            self._searches.move_to_end(study.id)
            while len(self._searches) > _MAX_CACHED_STUDIES:
                self._searches.popitem(last=False)
        return current


def _read_run_counts(connection: Connection, study_id: str) -> dict[tuple[str, str, Stage], int]:
    kind = (runs.c.workload, runs.c.arm, runs.c.stage)
    counted = select(*kind, func.count()).where(runs.c.study == study_id).group_by(*kind)
    return {(workload, arm, Stage(stage)): count for workload, arm, stage, count in connection.execute(counted)}
