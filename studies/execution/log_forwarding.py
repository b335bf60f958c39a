"""Forwarding of a worker's log records: they are returned with a pack's result, and logged again by the driver."""

import logging
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from logging import LogRecord
from logging.handlers import QueueHandler
from queue import SimpleQueue


@contextmanager
def capture_logs(pack: int | None) -> Generator[SimpleQueue[LogRecord]]:
    """Capture what this process logs within the context, each record with the field `pack`.

    Args:
        pack: The pack's number; None if the records are not about a pack.

    Yields:
        A queue of the records.
    """

    def add_pack(record: LogRecord) -> bool:
        if pack is not None:
            record.pack = pack
        return True

    queue: SimpleQueue[LogRecord] = SimpleQueue()
    package_logger, root_logger = logging.getLogger("studies"), logging.getLogger()
    handler, level = QueueHandler(queue), package_logger.level
    handler.addFilter(add_pack)
    root_logger.addHandler(handler)
    package_logger.setLevel(logging.INFO)
    try:
        yield queue
    finally:
        package_logger.setLevel(level)
        root_logger.removeHandler(handler)


def drain(queue: SimpleQueue[LogRecord]) -> list[LogRecord]:
    """Remove all records from a queue and return them; they can be pickled."""
    return [queue.get() for _ in range(queue.qsize())]


def replay_logs(records: Iterable[LogRecord]) -> None:
    """Log a worker's records in this process."""
    for record in records:
        logging.getLogger(record.name).handle(record)
