"""A typed client of the HTTP service."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from service.client.connection import Connection, parse_response, quote_segment
from service.client.reports import ReportsClient
from service.client.webhooks import WebhooksClient
from service.schemas.studies import (
    CancelResponse,
    Health,
    PlanResponse,
    QueueResponse,
    ReportFormat,
    RunPage,
    RunResponse,
    StudyPage,
    StudyResponse,
    StudySummary,
    WorkloadResponse,
)
from service.states import ENDED, State
from studies.spec.definition import StudyDefinition
from studies.validation.catalogue import OptimizerEntry

_JSON = "application/json"
_YAML = "application/yaml"
_PAGE_SIZE = 100


class Client:
    """The service at a URL; a context manager that closes its connections.

    Args:
        url: Where the service is, as in `http://127.0.0.1:8440`.
        key: The API key to use it with, where one is needed; it is in no message.
        timeout: Seconds to wait for an answer.

    Raises:
        MalformedKeyError: The key has not the form of one.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 30.0) -> None:
        """Connect on first use."""
        self._connection = Connection(url, timeout, key)
        self.url = self._connection.url
        self.reports = ReportsClient(self._connection)
        self.webhooks = WebhooksClient(self._connection)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._connection.close()

    def ready(self) -> Health:
        """Return whether the service can take studies.

        Raises:
            RequestRefusedError: It is not ready; the message says why.
            UnreachableError: Nothing answers at the URL.
        """
        return parse_response(Health, self._connection.request("GET", "/readyz"))

    def submit(
        self,
        definition: StudyDefinition | Mapping[str, object] | str | bytes | Path,
        *,
        key: str | None = None,
        priority: int = 0,
    ) -> StudyResponse:
        """Submit a study.

        Args:
            definition: The study: as a model or mapping, as JSON or YAML text, or as the path of such a file.
            key: Any text; submitted again with the same one, as after an answer that did not come, it is one study.
            priority: The higher the sooner it is taken up.

        Raises:
            RequestRefusedError: The definition has faults; all are in the message.
            UnreachableError: Nothing answers at the URL.
            OSError: The file cannot be read.
        """
        body, content_type = _encode(definition)
        headers = {"Content-Type": content_type} | _idempotency_header(key)
        params = {"priority": str(priority)}
        answer = self._connection.request("POST", "/studies", params=params, content=body, headers=headers)
        return parse_response(StudyResponse, answer)

    def plan(self, definition: StudyDefinition | Mapping[str, object] | str | bytes | Path) -> PlanResponse:
        """Return what a study would train and about how long that would take; nothing is stored.

        Args:
            definition: The study, as for `submit`.

        Raises:
            RequestRefusedError: The definition has faults; all are in the message.
            UnreachableError: Nothing answers at the URL.
            OSError: The file cannot be read.
        """
        body, content_type = _encode(definition)
        headers = {"Content-Type": content_type}
        return parse_response(
            PlanResponse, self._connection.request("POST", "/studies/plan", content=body, headers=headers)
        )

    def clone(self, study_id: str, *, name: str | None = None, key: str | None = None) -> StudyResponse:
        """Submit a study's spec once more, and return the new study.

        Args:
            study_id: Of the study to take the spec of.
            name: Another title; the same where None.
            key: As of `submit`.
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
            states: Those in one of these; in any where there are none.
            name: Those that have it in their name, in capitals or not; all where empty.
            archived: Those that were archived, and not the others.
        """
        wanted = {"state": list(states), "name": name, "archived": "true" if archived else "false"}
        cursor: str | None = ""
        while cursor is not None:
            answer = self._connection.request("GET", "/studies", params=wanted | _page_params(cursor))
            page = parse_response(StudyPage, answer)
            yield from page.studies
            cursor = page.next_cursor

    def queue(self) -> QueueResponse:
        """Return how many studies wait for a driver, and the first of them in the order of their turns."""
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
            answer = self._connection.request(
                "GET", f"/studies/{quote_segment(study_id)}/runs", params=_page_params(cursor)
            )
            page = parse_response(RunPage, answer)
            yield from page.runs
            cursor = page.next_cursor

    def run(self, study_id: str, run_id: str) -> RunResponse:
        """Return a run that is done.

        Args:
            study_id: Its study's id.
            run_id: Its id within the study.
        """
        answer = self._connection.request("GET", f"/studies/{quote_segment(study_id)}/runs/{quote_segment(run_id)}")
        return parse_response(RunResponse, answer)

    def logs(
        self, study_id: str, *, run_id: str | None = None, lines: int = 1000, follow: bool = False
    ) -> Iterator[str]:
        """Yield the last lines of a study's log, in words.

        Args:
            study_id: Its id.
            run_id: A run that is done: only the lines about its pack.
            lines: At most so many.
            follow: Whether to go on until the study has ended; not with a run, whose lines are all there.
        """
        run = "" if run_id is None else f"/runs/{quote_segment(run_id)}"
        params = {"lines": str(lines)} | ({"follow": "true"} if follow else {})
        return self._connection.stream_lines(f"/studies/{quote_segment(study_id)}{run}/logs", params)

    def report(self, study_id: str, form: ReportFormat = ReportFormat.JSON) -> bytes:
        """Return a study's report.

        Args:
            study_id: Its id.
            form: Which form of it.
        """
        path = f"/studies/{quote_segment(study_id)}/report.{form.value}"
        return self._connection.request("GET", path, headers={"Accept": "*/*"}).content

    def save_report(self, study_id: str, path: Path, form: ReportFormat) -> None:
        """Save a study's report; a Markdown one with its figures beside it, named after it.

        Args:
            study_id: Its id.
            path: The file to write.
            form: Which form of it.
        """
        files = {path: self.report(study_id, form)}
        if form is ReportFormat.MARKDOWN:
            linked = re.compile(r"(?<=\]\()([^()/]+)\.svg(?=\))")
            text = files[path].decode()
            files |= {
                path.with_name(f"{path.stem}-{name}.svg"): self.figure(study_id, name) for name in linked.findall(text)
            }
            files[path] = linked.sub(rf"{quote(path.stem)}-\1.svg", text).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        for each, content in files.items():
            each.write_bytes(content)

    def figure(self, study_id: str, name: str) -> bytes:
        """Return a figure of a study's report as SVG.

        Args:
            study_id: Its id.
            name: The figure's name, as the report's Markdown has it.
        """
        path = f"/studies/{quote_segment(study_id)}/report/{quote_segment(name)}.svg"
        return self._connection.request("GET", path, headers={"Accept": "*/*"}).content

    def pause(self, study_id: str) -> StudyResponse:
        """Hand out nothing more of a study; what is in training, or next in line, is finished.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "pause")

    def resume(self, study_id: str) -> StudyResponse:
        """Let a paused study go on.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "resume")

    def cancel(self, study_id: str) -> StudyResponse:
        """Stop a study now; what it has measured is kept.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "cancel")

    def cancel_all(self, ids: Sequence[str] = (), *, states: Sequence[State] = (), name: str = "") -> CancelResponse:
        """Cancel many studies, each for itself, and return what became of each.

        Args:
            ids: Of these ids, at most 1000; or else, by a filter,
            states: those that are in one of these states, of QUEUED, RUNNING and PAUSED,
            name: and have this in their name, in capitals or not.
        """
        body = {"ids": list(ids), "state": list(states), "name": name}
        answer = self._connection.request(
            "POST", "/studies/cancel", content=json.dumps(body).encode(), headers={"Content-Type": _JSON}
        )
        return parse_response(CancelResponse, answer)

    def archive(self, study_id: str) -> StudyResponse:
        """Leave an ended study out of the lists, but for that of the archived ones.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "archive")

    def unarchive(self, study_id: str) -> StudyResponse:
        """Bring an archived study back into the lists.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "unarchive")

    def delete(self, study_id: str, *, mlflow: bool = False) -> None:
        """Delete an ended study, with its runs, report and files.

        Args:
            study_id: Its id.
            mlflow: Whether its experiment in MLflow is deleted too, which follows some seconds later.
        """
        params = {"mlflow": "true" if mlflow else "false"}
        self._connection.request("DELETE", f"/studies/{quote_segment(study_id)}", params=params)

    def retry(self, study_id: str) -> StudyResponse:
        """Queue a failed study again; it goes on from its finished runs.

        Args:
            study_id: Its id.
        """
        return self._command(study_id, "retry")

    def watch(self, study_id: str, *, seconds: float = 0.5) -> Iterator[StudyResponse]:
        """Yield a study again and again, until it has ended.

        Args:
            study_id: Its id.
            seconds: How long to wait in between.
        """
        while True:
            study = self.study(study_id)
            yield study
            if study.state in ENDED:
                return
            time.sleep(seconds)

    def workloads(self) -> tuple[WorkloadResponse, ...]:
        """Return what can be trained, with what can be selected on."""
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
    except RecursionError:  # JSON, nested so deeply that the service will refuse it
        return _JSON
    except ValueError:
        return _YAML
    return _JSON


def _idempotency_header(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": quote(key)}


def _page_params(cursor: str) -> dict[str, str]:
    return {"limit": str(_PAGE_SIZE)} | ({"cursor": cursor} if cursor else {})
