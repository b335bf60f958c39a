"""The logs of the service's own processes: one JSON object a line, warnings and the error that ends one included."""

import logging
import sys
import threading
from types import TracebackType

from pythonjsonlogger.json import JsonFormatter

log = logging.getLogger(__name__)


def configure_json_logging(process: str, **ids: str) -> None:
    """Have everything that this process logs written to standard error, a JSON object a line.

    Args:
        process: What people call it.
        ids: Fields of every line, as `study`.
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


def _log_uncaught_in_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        log.critical("a thread ended by an error", exc_info=ended.exc_value)
