"""JSON logging: one JSON object per line, including warnings and uncaught exceptions."""

import logging
import sys
import threading
from types import TracebackType

from pythonjsonlogger.json import JsonFormatter

log = logging.getLogger(__name__)


def configure_json_logging(process: str, **ids: str) -> None:
    """Configure this process to log to standard error as JSON.

    Args:
        process: The process's name, a field of every line.
        ids: Further fields of every line, such as `study`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter(
            ("levelname", "name", "message"),
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
            static_fields={"process": process} | ids,
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("the process ends by an error", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        log.critical("a thread ended by an error", exc_info=arguments.exc_value)
