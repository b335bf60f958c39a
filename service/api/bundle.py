"""A study's bundle from the database, written to a file of its own before anything is sent."""

import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO

from sqlalchemy import Connection, select

from service.errors import TooManyRequestsError
from service.storage.entities import StudyRow
from service.storage.mappers import read_series
from service.storage.repositories.runs import read_rows
from service.storage.repositories.studies import Store
from service.storage.tables import series
from studies.records.rows import Series
from studies.reporting.bundle.archive import write_bundle

#: So many are written at once, each with a connection to the database.
_AT_ONCE = 4
SLOTS = threading.BoundedSemaphore(_AT_ONCE)
#: Up to so many bytes are kept in memory.
_IN_MEMORY = 16 * 2**20
#: Series of so many packs are read at once.
_PACKS = 16


def open_bundle(store: Store, study_id: str) -> IO[bytes]:
    """Return a file with a study's bundle, at its start; it is gone when it is closed.

    Args:
        store: The database.
        study_id: The study.

    Raises:
        UnknownStudyError: There is no such study.
        NoReportError: It has no report (yet).
        TooManyRequestsError: Others are being written.
    """
    study = store.study(study_id)
    store.report_file(study_id, "report.json")  # else there would be nothing to check
    with slot(SLOTS, f"{_AT_ONCE} bundles are being written"):
        return _written(store, study)


def _written(store: Store, study: StudyRow) -> IO[bytes]:
    study_id = study.id
    files = {name: store.report_file(study_id, name) for name in store.report_files(study_id)}
    found = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - whoever asked for it closes it
    try:
        with store.reading() as connection:
            rows = read_rows(connection, study_id, with_series=False)
            numbers = [pack.number for pack in rows.packs]
            followed = _followed(connection, study_id, numbers)
            write_bundle(found, spec=study.spec, rows=rows, followed=followed, files=files)
        found.seek(0)
    except BaseException:
        found.close()
        raise
    return found


def _followed(connection: Connection, study_id: str, packs: list[int]) -> Iterator[tuple[int, int, Series]]:
    """Yield every series with its pack and lane, a few packs in memory at a time."""
    for start in range(0, len(packs), _PACKS):
        own = select(series).where(series.c.study == study_id, series.c.pack.in_(packs[start : start + _PACKS]))
        ordered = own.order_by(series.c.pack, series.c.lane, series.c.position)
        for (pack, lane), each in read_series(connection.execute(ordered)).items():
            yield from ((pack, lane, one) for one in each)


#: When to ask again.
_AGAIN_SECONDS = 5.0


@contextmanager
def slot(slots: threading.Semaphore, taken: str) -> Generator[None]:
    """Hold one of some places.

    Args:
        slots: The places.
        taken: What to tell where there is none.

    Raises:
        TooManyRequestsError: There is none.
    """
    if not slots.acquire(blocking=False):
        raise TooManyRequestsError(taken, _AGAIN_SECONDS)
    try:
        yield
    finally:
        slots.release()
