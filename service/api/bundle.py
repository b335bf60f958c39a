"""Bundles: a study's report and rows as a zip, written to a temporary file before anything is sent."""

import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO

from sqlalchemy import Connection, select

from service.errors import TooManyRequestsError
from service.storage.entities import StudyRow
from service.storage.mappers import series_by_run
from service.storage.repositories.runs import read_rows
from service.storage.repositories.studies import Store
from service.storage.tables import series
from studies.records.rows import Series
from studies.reporting.bundle.archive import write_bundle

_MAX_CONCURRENT = 4
#: Bundles being written; each holds a database connection.
SEMAPHORE = threading.BoundedSemaphore(_MAX_CONCURRENT)
_MAX_MEMORY_BYTES = 16 * 2**20
#: Packs whose series are read at once.
_PACKS_PER_QUERY = 16
_RETRY_SECONDS = 5.0


def open_bundle(store: Store, study_id: str) -> IO[bytes]:
    """Return a study's bundle as a temporary file, positioned at its start; closing it deletes it.

    Args:
        store: The database.
        study_id: The study.

    Raises:
        UnknownStudyError: There is no such study.
        NoReportError: It has no report (yet).
        TooManyRequestsError: Too many bundles are being written.
    """
    study = store.study(study_id)
    store.report_file(study_id, "report.json")  # a bundle without a report would have nothing to verify
    with limit_concurrency(SEMAPHORE, f"{_MAX_CONCURRENT} bundles are being written"):
        return _write_bundle_file(store, study)


def _write_bundle_file(store: Store, study: StudyRow) -> IO[bytes]:
    files = {name: store.report_file(study.id, name) for name in store.report_files(study.id)}
    file = tempfile.SpooledTemporaryFile(max_size=_MAX_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
    try:
        with store.reading() as connection:
            rows = read_rows(connection, study.id, with_series=False)
            packs = [pack.number for pack in rows.packs]
            all_series = _iterate_series(connection, study.id, packs)
            write_bundle(file, spec=study.spec, rows=rows, series=all_series, files=files)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _iterate_series(connection: Connection, study_id: str, packs: list[int]) -> Iterator[tuple[int, int, Series]]:
    """Yield every series with its pack and lane, with few packs in memory at a time."""
    for start in range(0, len(packs), _PACKS_PER_QUERY):
        chunk = packs[start : start + _PACKS_PER_QUERY]
        query = select(series).where(series.c.study == study_id, series.c.pack.in_(chunk))
        ordered = query.order_by(series.c.pack, series.c.lane, series.c.position)
        for (pack, lane), lane_series in series_by_run(connection.execute(ordered)).items():
            yield from ((pack, lane, one_series) for one_series in lane_series)


@contextmanager
def limit_concurrency(semaphore: threading.Semaphore, message: str) -> Generator[None]:
    """Hold a semaphore without waiting for it.

    Args:
        semaphore: The semaphore.
        message: The error's message if the semaphore is exhausted.

    Raises:
        TooManyRequestsError: The semaphore is exhausted.
    """
    if not semaphore.acquire(blocking=False):
        raise TooManyRequestsError(message, _RETRY_SECONDS)
    try:
        yield
    finally:
        semaphore.release()
