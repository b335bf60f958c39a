"""A webhook receiver: a real HTTP server that records requests and sends configurable responses."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Received:
    """A received request.

    Args:
        path: The URL's path.
        headers: The headers, with names in lower case.
        content: The body.
    """

    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def message(self) -> str:
        """The message's id."""
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        """The body as JSON."""
        return json.loads(self.content)


class Receiver:
    """An HTTP server that records the requests it receives.

    Args:
        port: The port to listen on; 0 for any free port.
    """

    def __init__(self, port: int = 0) -> None:
        """Start the server."""
        self.got: list[Received] = []
        #: Returns the status of the response; it may block.
        self.answer: Callable[[Received], int] = lambda _: 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(path=self.path, headers=headers, content=content)
                receiver.got.append(received)
                status = receiver.answer(received)
                try:
                    self.send_response(status)
                    if status == 302:
                        self.send_header("Location", "/elsewhere")
                    self.send_header("Content-Length", "6")
                    self.end_headers()
                    self.wfile.write(b"secret")
                except BrokenPipeError:
                    pass  # the client has disconnected

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.02))
        self._thread.start()

    def secure(self, certificate: Path, key: Path) -> None:
        """Use TLS from now on.

        Args:
            certificate: The server's certificate, as PEM.
            key: The server's private key, as PEM.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """The URL that accepts messages."""
        return f"http://127.0.0.1:{self.port}/hook"

    def until(self, count: int, seconds: float = 20.0) -> list[Received]:
        """Wait for a number of requests, and return all requests so far."""
        deadline = time.monotonic() + seconds
        while len(self.got) < count:
            assert time.monotonic() < deadline, f"{len(self.got)} of {count}"
            time.sleep(0.01)
        return list(self.got)

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.socket.close()
        self._thread.join()


@contextmanager
def receiver(port: int = 0) -> Generator[Receiver]:
    """Run a receiver."""
    server = Receiver(port)
    try:
        yield server
    finally:
        server.close()


def verify(secret: str, received: Received) -> None:
    """Verify a signature, as specified by Standard Webhooks."""
    assert secret.startswith("whsec_")
    timestamp = received.headers["webhook-timestamp"]
    assert abs(time.time() - int(timestamp)) < 300
    content = f"{received.message}.{timestamp}.{received.content.decode()}"
    key = base64.b64decode(secret[len("whsec_") :])
    expected = base64.b64encode(hmac.new(key, content.encode(), hashlib.sha256).digest()).decode()
    versions = [each.split(",", 1) for each in received.headers["webhook-signature"].split(" ")]
    assert ["v1", expected] in versions
