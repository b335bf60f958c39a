"""The demonstration: one small study from submission to report, on a service that it starts if none is running."""

import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.resources import files
from itertools import islice
from pathlib import Path
from types import FrameType

from rich.console import Console

from service.cli.display import show_error
from service.cli.report_table import report_tables
from service.cli.serve import Service, run_service
from service.cli.watch import live_view
from service.client.client import Client
from service.client.connection import RequestRefusedError
from service.errors import ForeignServiceError, ServiceError, UnreachableError
from service.schemas.reports import ReportFormat
from service.schemas.studies import StudyResponse
from service.settings import Settings, read_settings
from service.states import State
from studies.reporting.report import Report

_DEFINITION = "quickstart.yaml"
_FOLDER = Path("out/demo")
_CANCEL_POLLS = 60  # half a second each
_FORMATS = (ReportFormat.JSON, ReportFormat.HTML, ReportFormat.MARKDOWN)


def main() -> int:
    """Run the demonstration.

    Returns:
        The exit status: 0 with a report, 1 after an error, 130 if interrupted.
    """
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = read_settings()
        key = os.environ.get("L4_API_KEY") or None
        # a process of its own service that ends is an error at once: nothing starts it again
        with Client(settings.url, key=key, patience=0) as client, _service(settings, client, console) as service:
            study = _run_study(client, service, console)
            if study.state is not State.SUCCEEDED:
                show_error(ServiceError(f"the study is {study.state}: {study.reason or 'no reason was given'}"))
                return 1
            console.print()
            console.print(report_tables(Report.model_validate_json(client.report(study.id)), console.width))
            for report_format in _FORMATS:
                client.save_report(study.id, _FOLDER / f"report.{report_format}", report_format)
        _print_locations(console, settings, study)
    except (ServiceError, OSError) as error:
        show_error(error)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted.")
        return 130
    return 0


@contextmanager
def _service(settings: Settings, client: Client, console: Console) -> Generator[Service]:
    try:
        client.ready()
    except (UnreachableError, ForeignServiceError):  # the latter is told of as a taken port
        with run_service(settings, console) as service:
            client.ready()  # not if this machine takes no packs, and the study would wait
            yield service
    else:
        console.print(f"Using the service that runs at {settings.url}", highlight=False)
        yield Service([])


def _run_study(client: Client, service: Service, console: Console) -> StudyResponse:
    study = None
    try:
        with _defer_interrupts():
            study = client.submit(files("studies.definitions").joinpath(_DEFINITION).read_bytes())
        console.print(f"Submitted {_DEFINITION} as study {study.id}", highlight=False)
        with live_view(console) as update:
            for current in client.watch(study.id):
                service.check()
                update(study := current)
    except KeyboardInterrupt:
        if study is not None:
            _cancel(client, console, study.id)
        raise
    return study


def _cancel(client: Client, console: Console, study_id: str) -> None:
    with console.status("Cancelling the study ..."):
        try:
            state = client.cancel(study_id).state
        except RequestRefusedError:  # it has just ended
            return
        for study in islice(client.watch(study_id), _CANCEL_POLLS):
            state = study.state
    console.print(f"The study is {state}.")


@contextmanager
def _defer_interrupts() -> Generator[None]:
    """Defer Ctrl-C and SIGTERM: a study that is being submitted needs an id before it can be cancelled."""
    deferred: list[int] = []

    def defer(number: int, _frame: FrameType | None) -> None:
        deferred.append(number)

    handlers = {number: signal.signal(number, defer) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if deferred:
        raise KeyboardInterrupt


def _print_locations(console: Console, settings: Settings, study: StudyResponse) -> None:
    console.print(f"\nReport    {_FOLDER / 'report.html'} (also .md and .json)", highlight=False)
    console.print(f"MLflow    {study.links.mlflow or settings.tracking_uri}", highlight=False)
    console.print("          (while the service runs; `make serve` starts it again, with this study in it)")


if __name__ == "__main__":
    sys.exit(main())
