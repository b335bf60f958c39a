"""A typed client of the HTTP service."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from service.errors import RequestRefusedError, UnreachableError
from service.schemas import (
    Health,
    PlanAnswer,
    Problem,
    RunAnswer,
    RunPage,
    StudyAnswer,
    StudyPage,
    StudySummary,
    WorkloadAnswer,
)
from service.states import ENDED
from studies.catalogue import OptimizerEntry
from studies.spec import StudyDefinition

_T = TypeVar("_T")

_JSON = "application/json"
_YAML = "application/yaml"
_PAGE = 100
_CONNECT_SECONDS = 5.0


class Form(StrEnum):
    """A form of the report; its value is the file's extension."""

    JSON = "json"
    HTML = "html"
    MARKDOWN = "md"
    CSV = "csv"


class Client:
    """The service at a URL; a context manager that closes its connections.

    Args:
        url: Where the service is, as in `http://127.0.0.1:8440`.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        """Connect on first use."""
        self.url = url.rstrip("/")
        loopback = httpx.URL(self.url).host in ("127.0.0.1", "localhost", "::1")
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
            headers={"Accept": _JSON},
            trust_env=not loopback,  # a proxy would look for the service on its own machine
        )

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
        self._http.close()

    def ready(self) -> Health:
        """Return whether the service can take studies.

        Raises:
            RequestRefusedError: It is not ready; the message says why.
            UnreachableError: Nothing answers at the URL.
        """
        return _read(Health, self._ask("GET", "/readyz"))

    def submit(
        self, definition: StudyDefinition | Mapping[str, object] | str | bytes | Path, *, key: str | None = None
    ) -> StudyAnswer:
        """Submit a study.

        Args:
            definition: The study: as a model or mapping, as JSON or YAML text, or as the path of such a file.
            key: Any text; submitted again with the same one, as after an answer that did not come, it is one study.

        Raises:
            RequestRefusedError: The definition has faults; all are in the message.
            UnreachableError: Nothing answers at the URL.
            OSError: The file cannot be read.
        """
        body, content_type = _encoded(definition)
        headers = {"Content-Type": content_type} | ({} if key is None else {"Idempotency-Key": quote(key)})
        answer = self._ask("POST", "/studies", content=body, headers=headers)
        return _read(StudyAnswer, answer)

    def plan(self, definition: StudyDefinition | Mapping[str, object] | str | bytes | Path) -> PlanAnswer:
        """Return what a study would train and about how long that would take; nothing is stored.

        Args:
            definition: The study, as for `submit`.

        Raises:
            RequestRefusedError: The definition has faults; all are in the message.
            UnreachableError: Nothing answers at the URL.
            OSError: The file cannot be read.
        """
        body, content_type = _encoded(definition)
        return _read(
            PlanAnswer, self._ask("POST", "/studies/plan", content=body, headers={"Content-Type": content_type})
        )

    def studies(self) -> Iterator[StudySummary]:
        """Yield all studies, newest first, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            answer = self._ask("GET", "/studies", params=_page(cursor))
            page = _read(StudyPage, answer)
            yield from page.studies
            cursor = page.next_cursor

    def study(self, study_id: str) -> StudyAnswer:
        """Return a study.

        Args:
            study_id: Its id.
        """
        return _read(StudyAnswer, self._ask("GET", f"/studies/{_quoted(study_id)}"))

    def runs(self, study_id: str) -> Iterator[RunAnswer]:
        """Yield a study's runs in order of (workload, arm, stage, trial, seed), page by page.

        Args:
            study_id: Its id.
        """
        cursor: str | None = ""
        while cursor is not None:
            answer = self._ask("GET", f"/studies/{_quoted(study_id)}/runs", params=_page(cursor))
            page = _read(RunPage, answer)
            yield from page.runs
            cursor = page.next_cursor

    def report(self, study_id: str, form: Form = Form.JSON) -> bytes:
        """Return a study's report.

        Args:
            study_id: Its id.
            form: Which form of it.
        """
        path = f"/studies/{_quoted(study_id)}/report.{form.value}"
        return self._ask("GET", path, headers={"Accept": "*/*"}).content

    def save_report(self, study_id: str, path: Path, form: Form) -> None:
        """Save a study's report; a Markdown one with its figures beside it, named after it.

        Args:
            study_id: Its id.
            path: The file to write.
            form: Which form of it.
        """
        files = {path: self.report(study_id, form)}
        if form is Form.MARKDOWN:
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
        path = f"/studies/{_quoted(study_id)}/report/{quote(name, safe='')}.svg"
        return self._ask("GET", path, headers={"Accept": "*/*"}).content

    def pause(self, study_id: str) -> StudyAnswer:
        """Hand out nothing more of a study; what is in training, or next in line, is finished.

        Args:
            study_id: Its id.
        """
        return self._verb(study_id, "pause")

    def resume(self, study_id: str) -> StudyAnswer:
        """Let a paused study go on.

        Args:
            study_id: Its id.
        """
        return self._verb(study_id, "resume")

    def cancel(self, study_id: str) -> StudyAnswer:
        """Stop a study now; what it has measured is kept.

        Args:
            study_id: Its id.
        """
        return self._verb(study_id, "cancel")

    def retry(self, study_id: str) -> StudyAnswer:
        """Queue a failed study again; it goes on from its finished runs.

        Args:
            study_id: Its id.
        """
        return self._verb(study_id, "retry")

    def watch(self, study_id: str, *, seconds: float = 0.5) -> Iterator[StudyAnswer]:
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

    def workloads(self) -> tuple[WorkloadAnswer, ...]:
        """Return what can be trained, with what can be selected on."""
        return _read(tuple[WorkloadAnswer, ...], self._ask("GET", "/workloads"))

    def optimizers(self) -> tuple[OptimizerEntry, ...]:
        """Return the optimizers with their hyperparameters and search ranges."""
        return _read(tuple[OptimizerEntry, ...], self._ask("GET", "/optimizers"))

    def _verb(self, study_id: str, verb: str) -> StudyAnswer:
        return _read(StudyAnswer, self._ask("POST", f"/studies/{_quoted(study_id)}/{verb}"))

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            answer = self._http.request(method, path, params=params, content=content, headers=headers)
        except httpx.TimeoutException as error:
            raise UnreachableError(f"the service at {self.url} did not answer in time; is it overloaded?") from error
        except httpx.TransportError as error:
            raise UnreachableError(
                f"no service answers at {self.url} ({error}); start one with `l4-studies serve`, "
                "or name its address with --url or L4_URL"
            ) from error
        if not answer.is_success:
            raise RequestRefusedError(_read(Problem, answer))
        return answer


def _encoded(definition: StudyDefinition | Mapping[str, object] | str | bytes | Path) -> tuple[bytes, str]:
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


def _page(cursor: str) -> dict[str, str]:
    return {"limit": str(_PAGE)} | ({"cursor": cursor} if cursor else {})


def _quoted(study_id: str) -> str:
    return quote(study_id, safe="")


def _read(kind: type[_T], answer: httpx.Response) -> _T:
    try:
        return TypeAdapter(kind).validate_json(answer.content)
    except ValidationError as error:
        raise UnreachableError(
            f"what answers at {answer.request.url} ({answer.status_code} {answer.reason_phrase}) is no L4 service of "
            "this version; name its address with --url or L4_URL"
        ) from error
