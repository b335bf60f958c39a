"""The typed client of the HTTP service."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from service.client.connection import Connection, parse_content, parse_response, quote_segment
from service.client.outage import Outage, follow_events, retry
from service.client.reports import ReportsResource
from service.client.webhooks import WebhooksResource
from service.schemas.catalogue import WorkloadResponse
from service.schemas.health import Readiness
from service.schemas.plans import PlanResponse
from service.schemas.queue import QueueResponse
from service.schemas.reports import ReportFormat
from service.schemas.runs import RunPage, RunResponse
from service.schemas.studies import CancelResponse, LogLinesResponse, StudyPage, StudyResponse, StudySummary
from service.states import ENDED, State
from studies.spec.definition import StudyDefinition
from studies.validation.catalogue import OptimizerEntry

_JSON = "application/json"
_YAML = "application/yaml"
_PAGE_SIZE = 100
#: An upgrade stops the service, and may migrate a large database before it starts again.
_PATIENCE_SECONDS = 600.0


class Client:
    """A client of the service at a URL; a context manager that closes its connections.

    Args:
        url: The service's URL, such as `http://127.0.0.1:8440`.
        key: The API key, if one is needed; it appears in no error message.
        timeout: Seconds to wait for a response.
        patience: Seconds for which `watch`, and `logs` that follow, wait for a service that answered before, as while
            it is restarted; a warning is logged when that begins and when it ends.

    Raises:
        MalformedKeyError: The key does not have the form of an API key.
    """

    def __init__(
        self, url: str, *, key: str | None = None, timeout: float = 30.0, patience: float = _PATIENCE_SECONDS
    ) -> None:
        """Connect on first use."""
        self._connection = Connection(url, timeout, key)
        self._patience = patience
        self.url = self._connection.url
        self.reports = ReportsResource(self._connection)
        self.webhooks = WebhooksResource(self._connection)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def ready(self) -> Readiness:
        """Return the service's readiness if it can train studies.

        Raises:
            RequestRefusedError: It is not ready; the message has the reason.
            UnreachableError: Nothing answers at the URL.
        """
        return parse_response(Readiness, self._connection.request("GET", "/readyz"))

    def submit(
        self,
        definition: StudyDefinition | Mapping[str, object] | str | bytes | Path,
        *,
        key: str | None = None,
        priority: int = 0,
    ) -> StudyResponse:
        """Submit a study.

        Args:
            definition: The study, as a model, a mapping, JSON or YAML text, or the path of such a file.
            key: The idempotency key, any text: submitting again with the same key gives the same study.
            priority: Studies of higher priority are claimed first.

        Raises:
            RequestRefusedError: The definition has faults; the message lists all of them.
            UnreachableError: Nothing answers at the URL.
            OSError: The file cannot be read.
        """
        body, content_type = _encode(definition)
        headers = {"Content-Type": content_type} | _idempotency_header(key)
        params = {"priority": str(priority)}
        response = self._connection.request("POST", "/studies", params=params, content=body, headers=headers)
        return parse_response(StudyResponse, response)

    def plan(self, definition: StudyDefinition | Mapping[str, object] | str | bytes | Path) -> PlanResponse:
        """Return what a study would train and an estimate of its cost; nothing is stored.

        Args:
            definition: The study, as in `submit`.

        Raises:
            RequestRefusedError: The definition has faults; the message lists all of them.
            UnreachableError: Nothing answers at the URL.
            OSError: The file cannot be read.
        """
        body, content_type = _encode(definition)
        headers = {"Content-Type": content_type}
        return parse_response(
            PlanResponse, self._connection.request("POST", "/studies/plan", content=body, headers=headers)
        )

    def clone(self, study_id: str, *, name: str | None = None, key: str | None = None) -> StudyResponse:
        """Submit a study's spec again, and return the new study.

        Args:
            study_id: The id of the study to clone.
            name: The new study's name; the same name if None.
            key: The idempotency key, as in `submit`.
        """
        body = json.dumps({} if name is None else {"name": name}).encode()
        headers = {"Content-Type": _JSON} | _idempotency_header(key)
        return parse_response(
            StudyResponse,
            self._connection.request(
                "POST", f"/studies/{quote_segment(study_id)}/clone", content=body, headers=headers
            ),
        )

    def studies(
        self, *, states: Sequence[State] = (), name: str = "", archived: bool = False
    ) -> Iterator[StudySummary]:
        """Yield studies, newest first, page by page.

        Args:
            states: Only studies in one of these states; in any state if empty.
            name: Only studies whose name contains this text, case-insensitive; all if empty.
            archived: Only archived studies, instead of only others.
        """
        query = {"state": list(states), "name": name, "archived": "true" if archived else "false"}
        cursor: str | None = ""
        while cursor is not None:
            response = self._connection.request("GET", "/studies", params=query | _page_params(cursor))
            page = parse_response(StudyPage, response)
            yield from page.studies
            cursor = page.next_cursor

    def queue(self) -> QueueResponse:
        """Return the length of the queue, and its first studies in order."""
        return parse_response(QueueResponse, self._connection.request("GET", "/queue"))

    def study(self, study_id: str) -> StudyResponse:
        """Return a study.

        Args:
            study_id: Its id.
        """
        return parse_response(StudyResponse, self._connection.request("GET", f"/studies/{quote_segment(study_id)}"))

    def runs(self, study_id: str) -> Iterator[RunResponse]:
        """Yield a study's runs in order of (workload, arm, stage, trial, seed), page by page.

        Args:
            study_id: Its id.
        """
        cursor: str | None = ""
        while cursor is not None:
            response = self._connection.request(
                "GET", f"/studies/{quote_segment(study_id)}/runs", params=_page_params(cursor)
            )
            page = parse_response(RunPage, response)
            yield from page.runs
            cursor = page.next_cursor

    def run(self, study_id: str, run_id: str) -> RunResponse:
        """Return a completed run.

        Args:
            study_id: Its study's id.
            run_id: Its id within the study.
        """
        response = self._connection.request("GET", f"/studies/{quote_segment(study_id)}/runs/{quote_segment(run_id)}")
        return parse_response(RunResponse, response)

    def logs(
        self, study_id: str, *, run_id: str | None = None, lines: int = 1000, follow: bool = False
    ) -> Iterator[str]:
        """Yield the last lines of a study's log, as text.

        Args:
            study_id: Its id.
            run_id: A completed run: only the lines about its pack.
            lines: The maximum number of lines.
            follow: Whether to yield new lines until the study has ended, none lost or repeated where the service is
                restarted meanwhile; not possible with `run_id`.
        """
        if follow and run_id is None:
            return self._follow_log(study_id, lines)
        run = "" if run_id is None else f"/runs/{quote_segment(run_id)}"
        return self._connection.stream_lines(f"/studies/{quote_segment(study_id)}{run}/logs", {"lines": str(lines)})

    def _follow_log(self, study_id: str, lines: int) -> Iterator[str]:
        path = f"/studies/{quote_segment(study_id)}/logs/events"
        outage = Outage(self._connection, self._patience)
        for event in follow_events(self._connection, path, {"lines": str(lines)}, outage):
            batch = parse_content(LogLinesResponse, event.data, f"{self.url}{path}")
            yield from batch.lines
            if batch.ended:
                return

    def report(self, study_id: str, form: ReportFormat = ReportFormat.JSON) -> bytes:
        """Return a study's report.

        Args:
            study_id: Its id.
            form: The format.
        """
        path = f"/studies/{quote_segment(study_id)}/report.{form.value}"
        return self._connection.request("GET", path, headers={"Accept": "*/*"}).content

    def save_report(self, study_id: str, path: Path, form: ReportFormat) -> None:
        """Save a study's report; the figures of a Markdown report are saved beside it, prefixed with its name.

        Args:
            study_id: Its id.
            path: The file to write.
            form: The format.
        """
        files = {path: self.report(study_id, form)}
        if form is ReportFormat.MARKDOWN:
            figure_link = re.compile(r"(?<=\]\()([^()/]+)\.svg(?=\))")
            text = files[path].decode()
            files |= {
                path.with_name(f"{path.stem}-{name}.svg"): self.figure(study_id, name)
                for name in figure_link.findall(text)
            }
            files[path] = figure_link.sub(rf"{quote(path.stem)}-\1.svg", text).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            file.write_bytes(content)

    def figure(self, study_id: str, name: str) -> bytes:
        """Return a figure of a study's report as SVG.

        Args:
            study_id: Its id.
            name: The figure's name, as in the Markdown report.
        """
        path = f"/studies/{quote_segment(study_id)}/report/{quote_segment(name)}.svg"
        return self._connection.request("GET", path, headers={"Accept": "*/*"}).content

    def pause(self, study_id: str) -> StudyResponse:
        """Pause a study: no new packs start; those in training, or next in line, finish.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "pause")

    def resume(self, study_id: str) -> StudyResponse:
        """Resume a paused study.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "resume")

    def cancel(self, study_id: str) -> StudyResponse:
        """Cancel a study now; its completed runs are kept.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "cancel")

    def cancel_all(self, ids: Sequence[str] = (), *, states: Sequence[State] = (), name: str = "") -> CancelResponse:
        """Cancel several studies, by ids or by a filter, and return the result for each.

        Args:
            ids: At most 1000 ids; without a filter.
            states: Only studies in one of these states, of QUEUED, RUNNING and PAUSED.
            name: Only studies whose name contains this text, case-insensitive.
        """
        body = {"ids": list(ids), "state": list(states), "name": name}
        response = self._connection.request(
            "POST", "/studies/cancel", content=json.dumps(body).encode(), headers={"Content-Type": _JSON}
        )
        return parse_response(CancelResponse, response)

    def archive(self, study_id: str) -> StudyResponse:
        """Archive an ended study: only the list of archived studies shows it.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "archive")

    def unarchive(self, study_id: str) -> StudyResponse:
        """Show an archived study in the lists again.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "unarchive")

    def delete(self, study_id: str, *, mlflow: bool = False) -> None:
        """Delete an ended study, with its runs, report and files.

        Args:
            study_id: Its id.
            mlflow: Whether to delete its MLflow experiment too, which happens some seconds later.
        """
        params = {"mlflow": "true" if mlflow else "false"}
        self._connection.request("DELETE", f"/studies/{quote_segment(study_id)}", params=params)

    def retry(self, study_id: str) -> StudyResponse:
        """Queue a failed study again; it continues from its completed runs.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "retry")

    def watch(self, study_id: str, *, seconds: float = 0.5) -> Iterator[StudyResponse]:
        """Poll a study, and yield it each time, until it has ended; a restart of the service is waited for.

        Args:
            study_id: Its id.
            seconds: The interval between polls.
        """
        outage = Outage(self._connection, self._patience)
        while True:
            study = retry(lambda: self.study(study_id), outage)
            yield study
            if study.state in ENDED:
                return
            time.sleep(seconds)

    def workloads(self) -> tuple[WorkloadResponse, ...]:
        """Return the workloads with their options and possible objectives."""
        return parse_response(tuple[WorkloadResponse, ...], self._connection.request("GET", "/workloads"))

    def optimizers(self) -> tuple[OptimizerEntry, ...]:
        """Return the optimizers with their hyperparameters and search ranges."""
        return parse_response(tuple[OptimizerEntry, ...], self._connection.request("GET", "/optimizers"))

    def _command(self, study_id: str, command: str) -> StudyResponse:
        return parse_response(
            StudyResponse, self._connection.request("POST", f"/studies/{quote_segment(study_id)}/{command}")
        )


def _encode(definition: StudyDefinition | Mapping[str, object] | str | bytes | Path) -> tuple[bytes, str]:
    match definition:
        case StudyDefinition():
            return definition.model_dump_json(exclude_unset=True).encode(), _JSON
        case Path():
            return definition.read_bytes(), _JSON if definition.suffix == ".json" else _YAML
        case bytes():
            return definition, _content_type(definition)
        case str():
            return definition.encode(), _content_type(definition)
        case _:
            return json.dumps(definition).encode(), _JSON


def _content_type(text: str | bytes) -> str:
    try:
        json.loads(text)
    except RecursionError:  # JSON, too deeply nested, which the service will reject
        return _JSON
    except ValueError:
        return _YAML
    return _JSON


def _idempotency_header(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": quote(key)}


def _page_params(cursor: str) -> dict[str, str]:
    return {"limit": str(_PAGE_SIZE)} | ({"cursor": cursor} if cursor else {})
