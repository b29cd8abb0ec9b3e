"""HTTP of the loopback IBM server: connections, requests, refusals and tokens."""

import base64
import hashlib
import json
import re
import secrets
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

API_PREFIX = "/experimental/api/v1"


class Request(NamedTuple):
    """One request as it came in; `path` is without the API's prefix, `query` as it stood in the URL, `body` in bytes."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Refusal(Exception):
    """An answer that is an error. A `status` of None is no answer at all: the connection is dropped."""

    def __init__(
        self, status: int | None, code: int | str = 0, message: str = "", solution: str = "", retry_after_s: int | None = None
    ):
        super().__init__(message)
        self.status, self.retry_after_s = status, retry_after_s
        error = {"code": code, "message": message, "solution": solution}
        error["more_info"] = f"https://quantum.cloud.ibm.com/docs/errors#{code}"
        self.body = {"errors": [error], "trace": secrets.token_hex(10)}


class Call(NamedTuple):
    """An authorised request: who asks, in which instance, for what."""

    instance: str
    user_id: str
    query: dict[str, list[str]]
    body: bytes

    def parameter(self, name: str) -> str | None:
        """The one value of a query parameter, or None."""
        return self.query.get(name, [None])[0]

    def json(self) -> dict:
        """The body as a JSON object.

        Raises:
            Refusal: it is none.
        """
        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Refusal(400, 1208, "Request validation of body failed, because: it is not a JSON object.")
        return value


class Accounts:
    """IBM Cloud IAM: API keys, and the bearer tokens that were given for them."""

    def __init__(self) -> None:
        self.lifetime_s = 3600
        self.revoked: set[str] = set()
        self._bearers: dict[str, tuple[str, float]] = {}  # token -> API key, end

    def issue(self, form: bytes) -> dict:
        """The answer to `POST /identity/token`: a JWT, unsigned but of the right form.

        Raises:
            Refusal: no API key, or a revoked one.
        """
        key = parse_qs(form.decode()).get("apikey", [""])[0]
        if not key or key in self.revoked:
            raise Refusal(400, "BXNIM0415E", "Provided API key could not be found.")
        issued, end = int(time.time()), int(time.time()) + self.lifetime_s
        claims = {"iam_id": user_id(key), "iat": issued, "exp": end, "jti": secrets.token_hex(8), "scope": "ibm openid"}
        parts = (json.dumps({"alg": "RS256", "typ": "JWT"}).encode(), json.dumps(claims).encode(), secrets.token_bytes(32))
        token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
        self._bearers[token] = (key, end)
        answer = {"access_token": token, "refresh_token": "not_supported", "token_type": "Bearer", "scope": "ibm openid"}
        return answer | {"expires_in": self.lifetime_s, "expiration": end}

    def forget(self) -> None:
        """Makes every bearer token given so far worthless."""
        self._bearers.clear()

    def user(self, authorization: str) -> str:
        """The user behind an Authorization header: a bearer token or, as the client falls back to, an API key.

        Raises:
            Refusal: 401, it is unknown, too old, or revoked.
        """
        kind, _, value = authorization.partition(" ")
        key, end = self._bearers.get(value, ("", 0.0)) if kind == "Bearer" else (value, float("inf"))
        if not key or end < time.time() or key in self.revoked:
            raise Refusal(401, 1201, "Invalid credentials.", "Verify your credentials and try again.")
        return user_id(key)


def user_id(key: str) -> str:
    """The IBM id of the owner of an API key."""
    return f"IBMid-{hashlib.sha256(key.encode()).hexdigest()[:10].upper()}"


class Listener(ThreadingHTTPServer):
    """The listening socket; it closes the connections that clients keep open when it stops."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, hub):
        super().__init__(("127.0.0.1", port), Handler)
        self.hub = hub
        self.connections: set[socket.socket] = set()

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
        path = re.sub(r"^(/experimental)?/api/v1(?=/)", "", address.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, path, address.query, dict(self.headers), body)
        try:
            self._answer(*self.server.hub.answer(request))
        except Refusal as refusal:
            if refusal.status is None:
                self.close_connection = True
                _hang_up(self.connection)
            else:
                headers = {} if refusal.retry_after_s is None else {"Retry-After": str(refusal.retry_after_s)}
                self._answer(refusal.status, refusal.body, headers)

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
