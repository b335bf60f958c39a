"""The client's connection to the service: requests, their answers, and what is wrong with either."""

from collections.abc import Iterator, Mapping
from typing import IO, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from service.auth.api_key import FORM, parse_key
from service.errors import MalformedKeyError, ServiceError, UnreachableError
from service.schemas.problems import Problem
from service.states import State

_Model = TypeVar("_Model")
_CONNECT_SECONDS = 5.0


class Connection:
    """Asks the service at a URL.

    Args:
        url: Where the service is.
        timeout: Seconds to wait for an answer.
        key: The API key to show, if any.

    Raises:
        MalformedKeyError: The key cannot be one.
    """

    def __init__(self, url: str, timeout: float, key: str | None) -> None:
        """Connect on first use."""
        if key is not None and parse_key(key) is None:
            raise MalformedKeyError(f"the API key that was given (not shown here) has not the form {FORM}; look at it")
        self.url = url.rstrip("/")
        loopback = httpx.URL(self.url).host in ("127.0.0.1", "localhost", "::1")
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
            headers={"Accept": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"}),
            trust_env=not loopback,  # a proxy would look for the service on its own machine
        )

    def close(self) -> None:
        """Close what is open."""
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | list[State]] | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Return the answer to a request.

        Args:
            method: Of HTTP.
            path: Quoted.
            params: Of the query.
            content: The body.
            headers: Beside those of every request.

        Raises:
            RequestRefusedError: The service refuses it.
            UnreachableError: Nothing answers at the URL, or something else does.
        """
        try:
            answer = self._http.request(method, path, params=params, content=content, headers=headers)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if not answer.is_success:
            raise RequestRefusedError(parse_response(Problem, answer))
        return answer

    def stream_lines(self, path: str, params: dict[str, str]) -> Iterator[str]:
        """Yield the lines of an answer as they come, however long that takes.

        Args:
            path: Quoted.
            params: Of the query.

        Raises:
            RequestRefusedError: The service refuses it.
            UnreachableError: Nothing answers at the URL, or something else does, or the answer breaks off.
        """
        waiting = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        try:
            with self._http.stream("GET", path, params=params, headers={"Accept": "*/*"}, timeout=waiting) as answer:
                if not answer.is_success:
                    answer.read()
                    raise RequestRefusedError(parse_response(Problem, answer))
                yield from answer.iter_lines()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def download(self, path: str, target: IO[bytes]) -> None:
        """Write an answer to a file as it comes, however long it takes to be made.

        Args:
            path: Quoted.
            target: The file.

        Raises:
            RequestRefusedError: The service refuses it.
            UnreachableError: Nothing answers at the URL, or something else does, or the answer breaks off.
        """
        waiting = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        try:
            with self._http.stream("GET", path, headers={"Accept": "*/*"}, timeout=waiting) as answer:
                if not answer.is_success:
                    answer.read()
                    raise RequestRefusedError(parse_response(Problem, answer))
                for chunk in answer.iter_bytes():
                    target.write(chunk)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.TransportError) -> UnreachableError:
        if isinstance(error, httpx.TimeoutException):
            return UnreachableError(f"the service at {self.url} did not answer in time; is it overloaded?")
        return UnreachableError(
            f"no service answers at {self.url} ({error}); start one with `l4-studies serve`, "
            "or name its address with --url or L4_URL"
        )


def parse_response(model: type[_Model], answer: httpx.Response) -> _Model:
    """Return what an answer says.

    Args:
        model: What it should be.
        answer: With its body.

    Raises:
        UnreachableError: It is not of this service.
    """
    try:
        return TypeAdapter(model).validate_json(answer.content)
    except ValidationError as error:
        raise UnreachableError(
            f"what answers at {answer.request.url} ({answer.status_code} {answer.reason_phrase}) is no L4 service of "
            "this version; name its address with --url or L4_URL"
        ) from error


def quote_segment(part: str) -> str:
    """Return a part of a path as it stands in one."""
    return quote(part, safe="")


class RequestRefusedError(ServiceError):
    """The service answered the client with a problem; the message is the problem's own words.

    Args:
        problem: The answer.
    """

    def __init__(self, problem: Problem) -> None:
        """Word the problem, one line per fault."""
        faults = "".join(f"\n  {fault.pointer or '(the whole body)'}: {fault.detail}" for fault in problem.faults)
        super().__init__(problem.detail + faults)
        self.problem = problem
