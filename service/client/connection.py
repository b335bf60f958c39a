"""The client's connection: requests, response parsing, and errors."""

from collections.abc import Iterator, Mapping
from typing import IO, TypeVar
from urllib.parse import quote

import httpx
from httpx_sse import ServerSentEvent, SSEError, connect_sse
from pydantic import TypeAdapter, ValidationError

from service.auth.api_key import KEY_FORMAT, parse_key
from service.errors import ForeignServiceError, MalformedKeyError, ServiceError, UnreachableError
from service.schemas.problems import Problem
from service.states import State

_Model = TypeVar("_Model")
_CONNECT_SECONDS = 5.0
#: The service sends a comment every 15 s where it has no event, so that a silent stream is a dead one.
_SILENCE_SECONDS = 60.0


class Connection:
    """A connection to the service at a URL.

    Args:
        url: The service's URL.
        timeout: Seconds to wait for a response.
        key: The API key, if any.

    Raises:
        MalformedKeyError: The key does not have the form of an API key.
    """

    def __init__(self, url: str, timeout: float, key: str | None) -> None:
        """Connect on first use."""
        if key is not None and parse_key(key) is None:
            raise MalformedKeyError(
                f"the API key that was given (not shown here) has not the form {KEY_FORMAT}; look at it"
            )
        self.url = url.rstrip("/")
        #: Whether the service has answered a request.
        self.answered = False
        loopback = httpx.URL(self.url).host in ("127.0.0.1", "localhost", "::1")
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
            headers={"Accept": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"}),
            trust_env=not loopback,  # a proxy would resolve a loopback address as its own machine
        )

    def close(self) -> None:
        """Close the connections."""
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
        """Return the response to a request.

        Args:
            method: The HTTP method.
            path: The path, quoted.
            params: The query parameters.
            content: The body.
            headers: Headers besides those of every request.

        Raises:
            RequestRefusedError: The service responded with an error.
            UnreachableError: The service did not respond, or a proxy did in its place.
            ForeignServiceError: Something else responded.
        """
        try:
            response = self._http.request(method, path, params=params, content=content, headers=headers)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        self._check(response)
        return response

    def stream_lines(self, path: str, params: dict[str, str]) -> Iterator[str]:
        """Yield the lines of a response as they come, without a time limit.

        Args:
            path: The path, quoted.
            params: The query parameters.

        Raises:
            RequestRefusedError: The service responded with an error.
            UnreachableError: The service did not respond, or the response was cut off.
        """
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        try:
            with self._http.stream("GET", path, params=params, headers={"Accept": "*/*"}, timeout=timeout) as response:
                self._check(response)
                yield from response.iter_lines()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def stream_events(self, path: str, params: dict[str, str], last_id: str) -> Iterator[ServerSentEvent]:
        """Yield the events of a stream as they come.

        Args:
            path: The path, quoted.
            params: The query parameters.
            last_id: The id of the event to go on after; empty for the stream's own beginning.

        Raises:
            RequestRefusedError: The service responded with an error.
            UnreachableError: The service did not respond, or the response was cut off.
            ForeignServiceError: The response is no stream of events.
        """
        timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        try:
            with connect_sse(self._http, "GET", path, params=params, headers=headers, timeout=timeout) as source:
                self._check(source.response)
                # an event without data is none (HTML, section 9.2.6), yet the parser makes one of a keep-alive comment
                yield from (event for event in source.iter_sse() if event.data)
        except SSEError as error:
            raise _foreign(f"{self.url}{path}") from error
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def download(self, path: str, target: IO[bytes]) -> None:
        """Write a response to a file as it comes, without a time limit.

        Args:
            path: The path, quoted.
            target: The file.

        Raises:
            RequestRefusedError: The service responded with an error.
            UnreachableError: The service did not respond, or the response was cut off.
        """
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        try:
            with self._http.stream("GET", path, headers={"Accept": "*/*"}, timeout=timeout) as response:
                self._check(response)
                for chunk in response.iter_bytes():
                    target.write(chunk)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _check(self, response: httpx.Response) -> None:
        """Raise the error that a response tells of, if any."""
        if response.is_success:
            self.answered = True
            return
        response.read()
        status = response.status_code
        # the service itself answers 503 with a problem, and never 502 or 504
        if status in (502, 504) or (status == 503 and not _is_problem(response)):
            raise UnreachableError(
                f"the service behind {self.url} does not answer (its proxy says {status} {response.reason_phrase}); "
                "it may be starting again"
            )
        retry_after = response.headers.get("Retry-After", "")  # of others it may be a date
        retry_seconds = float(retry_after) if retry_after.isdecimal() else 0.0
        raise RequestRefusedError(parse_response(Problem, response), retry_seconds)

    def _unreachable(self, error: httpx.TransportError) -> UnreachableError:
        if isinstance(error, httpx.TimeoutException):
            return UnreachableError(f"the service at {self.url} did not answer in time; is it overloaded?")
        if not isinstance(error, httpx.ConnectError):
            return UnreachableError(f"the connection to the service at {self.url} broke off ({error})")
        return UnreachableError(
            f"no service answers at {self.url} ({error}); start one with `l4-studies serve`, "
            "or name its address with --url or L4_URL"
        )


def parse_response(model: type[_Model], response: httpx.Response) -> _Model:
    """Parse a response.

    Args:
        model: The expected type.
        response: With its body.

    Raises:
        ForeignServiceError: The response does not have that type, so it is not from this service.
    """
    return parse_content(
        model, response.content, f"{response.request.url} ({response.status_code} {response.reason_phrase})"
    )


def parse_content(model: type[_Model], content: str | bytes, source: str) -> _Model:
    """Parse JSON from the service.

    Args:
        model: The expected type.
        content: The JSON.
        source: Where it comes from, for the message.

    Raises:
        ForeignServiceError: It does not have that type, so it is not from this service.
    """
    try:
        return TypeAdapter(model).validate_json(content)
    except ValidationError as error:
        raise _foreign(source) from error


def _is_problem(response: httpx.Response) -> bool:
    try:
        Problem.model_validate_json(response.content)
    except ValidationError:
        return False
    return True


def _foreign(source: str) -> ForeignServiceError:
    return ForeignServiceError(
        f"what answers at {source} is no L4 service of this version; name its address with --url or L4_URL"
    )


def quote_segment(part: str) -> str:
    """Return a path segment, percent-encoded."""
    return quote(part, safe="")


class RequestRefusedError(ServiceError):
    """The service responded with a problem; the message is its detail and faults.

    Args:
        problem: The problem.
        retry_seconds: When the service may be asked again; 0 if it does not say.
    """

    def __init__(self, problem: Problem, retry_seconds: float) -> None:
        """Format the message, with one line per fault."""
        faults = "".join(f"\n  {fault.pointer or '(the whole body)'}: {fault.detail}" for fault in problem.faults)
        super().__init__(problem.detail + faults)
        self.problem, self.retry_seconds = problem, retry_seconds
