"""HTTP of the loopback servers: connections, requests, refusals, and failures made to order."""

import json
import socket
import sys
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit


class Request(NamedTuple):
    """One request as it came in; `query` as it stood in the URL, `body` in bytes."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Refusal(Exception):
    """An answer that is an error. A `status` of None is no answer at all: the connection is dropped."""

    def __init__(self, status: int | None, body: dict | str | None = None, headers: dict[str, str] | None = None):
        super().__init__(status, body)
        self.status, self.body, self.headers = status, body, headers or {}


@dataclass
class Failure:
    """A failure that awaits its requests. It lets `skip` of them pass first, and its answer hangs for `hang_s`."""

    refusal: Refusal
    times: int
    path_contains: str
    method: str
    after_processing: bool
    path: str = ""  # the whole path, where not every path that contains something is meant
    skip: int = 0
    hang_s: float = 0.0

    def awaits(self, request: Request) -> bool:
        """Whether the request is of the kind that fails."""
        if self.path not in ("", request.path):
            return False
        return self.path_contains in request.path and self.method in ("", request.method)


class Failures(list[Failure]):
    """The failures that await their requests, in order."""

    def meet(self, request: Request) -> Failure | None:
        """The first failure that this request meets; it has then happened once more. Each one that it passes counts it."""
        for failure in [failure for failure in self if failure.awaits(request)]:
            if failure.skip:
                failure.skip -= 1
                continue
            failure.times -= 1
            if failure.times <= 0:
                self.remove(failure)
            return failure
        return None


class Listener(ThreadingHTTPServer):
    """The listening socket of a `hub`; it closes the connections that clients keep open when it stops."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, hub):
        super().__init__(("127.0.0.1", port), Handler)
        self.hub = hub
        self.connections: set[socket.socket] = set()

    def answer(self, request: Request) -> tuple[int, dict | str | None]:
        """Status and body for any request, from the hub's `answer`.

        Raises:
            Refusal: the answer is an error, or none at all.
        """
        return self.hub.answer(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Reports what went wrong in a handler, but for clients that hang up or are killed."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Closes the listening socket and every connection."""
        super().server_close()
        for connection in tuple(self.connections):
            _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the client was faster


class Handler(BaseHTTPRequestHandler):
    """One connection. Understands absolute addresses too, so that the server can be a client's HTTP proxy."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Notes the connection."""
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """Forgets the connection."""
        self.server.connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            pass  # the client hung up, or we did

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _serve(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._answer(*self.server.answer(Request(self.command, address.path, address.query, dict(self.headers), body)))
        except Refusal as refusal:
            if refusal.status is None:
                self.close_connection = True
                _hang_up(self.connection)
            else:
                self._answer(refusal.status, refusal.body, refusal.headers)

    def _answer(self, status: int, body: dict | str | None, headers: dict[str, str] | None = None) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        content = b"" if body is None else text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve
