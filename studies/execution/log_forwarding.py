"""What a worker logs while it trains a pack: it travels back with the result, and the driver logs it as its own."""

import logging
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from logging import LogRecord
from logging.handlers import QueueHandler
from queue import SimpleQueue


@contextmanager
def capture_logs(pack: int | None) -> Generator[SimpleQueue[LogRecord]]:
    """Give a queue of what this process logs meanwhile, each record with the field `pack`.

    Args:
        pack: The pack's number; None where it is about none.
    """

    def about(record: LogRecord) -> bool:
        if pack is not None:
            record.pack = pack
        return True

    said: SimpleQueue[LogRecord] = SimpleQueue()
    ours, everybody = logging.getLogger("studies"), logging.getLogger()
    handler, level = QueueHandler(said), ours.level
    handler.addFilter(about)
    everybody.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield said
    finally:
        ours.setLevel(level)
        everybody.removeHandler(handler)


def drain(said: SimpleQueue[LogRecord]) -> list[LogRecord]:
    """Return what is in a queue, as it can travel."""
    return [said.get() for _ in range(said.qsize())]


def replay_logs(records: Iterable[LogRecord]) -> None:
    """Log what a worker logged."""
    for record in records:
        logging.getLogger(record.name).handle(record)
