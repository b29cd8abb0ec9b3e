"""Refusals, tokens, presigned links and bodies of the loopback Pasqal server."""

import base64
import gzip
import hashlib
import hmac
import json
import secrets
import time
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode

import wire
from wire import Request

PHRASES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 422: "Unprocessable Entity"}
BUCKET = "/results-bucket"


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _flag(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


FILTERS = {
    "start_date": _moment,
    "end_date": _moment,
    "min_runs": int,
    "max_runs": int,
    "errors": _flag,
    "open": _flag,
    "tag": str,
}


class Refusal(wire.Refusal):
    """An answer that is an error, in JSend form, or `text` as it stands."""

    def __init__(self, status: int | None, description: str = "", *, text: str | None = None, retry_after_s: int | None = None):
        kind = "fail" if (status or 0) < 500 else "error"
        message = PHRASES.get(status, "Internal Server Error" if kind == "error" else "Error")
        answer = {"status": kind, "message": message, "code": str(status), "data": {"description": description}}
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        super().__init__(status, answer if text is None else text, headers)
        self.description = description


def success(data: dict | list, pagination: dict | None = None) -> dict:
    """The JSend form of an answer."""
    answer = {"status": "success", "message": "OK.", "code": "200", "data": data}
    return answer if pagination is None else answer | {"pagination": pagination}


def json_body(request: Request) -> object:
    """The JSON value that a request carries, gzipped or not; None where it carries none."""
    body = gzip.decompress(request.body) if request.body[:2] == b"\x1f\x8b" else request.body
    return json.loads(body) if body else None


class User(NamedTuple):
    """Who may log in, and the projects that they are a member of."""

    id: str
    name: str
    password: str
    projects: tuple[str, ...]


class Call(NamedTuple):
    """An authorised request: who asks for what. `third_party` is a request through OVH, which names no project."""

    user: User
    query: dict[str, list[str]]
    request: Request
    third_party: bool

    def parameter(self, name: str) -> str | None:
        """The one value of a query parameter, or None."""
        return self.query.get(name, [None])[0]

    def number(self, name: str, default: int, least: int, most: int | None = None) -> int:
        """An integer parameter.

        Raises:
            Refusal: 422, it is none or out of range.
        """
        text = self.parameter(name)
        try:
            value = default if text is None else int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise Refusal(422, f"query.{name}: {text!r} is not an integer from {least} to {most or 'any'}.")
        return value

    def filters(self) -> dict[str, object]:
        """The query with dates, numbers and flags read; other parameters are lists of strings.

        Raises:
            Refusal: 422, one cannot be read.
        """
        found: dict[str, object] = dict(self.query)
        for name, read in FILTERS.items():
            if name in found:
                try:
                    found[name] = read(self.query[name][0])
                except (KeyError, ValueError):
                    raise Refusal(422, f"query.{name}: {self.query[name][0]!r} cannot be read.") from None
        return found

    def body(self, kind: type) -> dict | list:
        """The body, which must be a JSON value of this kind.

        Raises:
            Refusal: 422, it is not.
        """
        try:
            value = json_body(self.request)
        except (ValueError, OSError, EOFError):
            value = None
        if not isinstance(value, kind):
            raise Refusal(422, f"body: not a JSON {'array' if kind is list else 'object'}.")
        return value


class Accounts:
    """Users, and the bearer tokens that were given to them."""

    def __init__(self, users: tuple[User, ...]) -> None:
        self.users = {user.name: user for user in users}
        self.lifetime_s = 86_400
        self.latest: dict[str, str] = {}  # user name -> newest token
        self._valid: dict[str, tuple[User, float]] = {}

    def issue(self, name: str) -> str:
        """A new token of a user: a JWT, unsigned but of the right form."""
        user, issued = self.users[name], int(time.time())
        claims = {"sub": f"auth0|{user.id}", "iat": issued, "exp": issued + self.lifetime_s, "jti": secrets.token_hex(8)}
        parts = (b'{"alg":"RS256","typ":"JWT"}', json.dumps(claims).encode(), secrets.token_bytes(32))
        token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
        self._valid[token] = (user, time.time() + self.lifetime_s)
        self.latest[name] = token
        return token

    def log_in(self, request: Request) -> dict:
        """The answer to the password flow of Auth0 and Keycloak.

        Raises:
            Refusal: 403, wrong user or password.
        """
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        user = self.users.get(form.get("username", ""))
        if user is None or form.get("password") != user.password:
            raise wire.Refusal(403, {"error": "invalid_grant", "error_description": "Wrong email or password."})
        token = {"access_token": self.issue(user.name), "token_type": "Bearer", "expires_in": self.lifetime_s}
        return token | {"scope": "openid profile email"}

    def expire(self) -> None:
        """Makes every token given so far worthless."""
        self._valid.clear()

    def user(self, request: Request) -> User:
        """The user behind the Authorization header.

        Raises:
            Refusal: 401, there is no valid token.
        """
        header = next((value for name, value in request.headers.items() if name.lower() == "authorization"), "")
        kind, _, token = header.partition(" ")
        user, end = self._valid.get(token, (None, 0.0))
        if kind != "Bearer" or user is None or end < time.time():
            raise Refusal(401, "The access token is missing, invalid or expired.")
        return user


class Links:
    """Presigned addresses of stored files, in the form of Amazon S3's."""

    def __init__(self) -> None:
        self.lifetime_s = 3600
        self.files: dict[str, str] = {}
        self._key = secrets.token_bytes(16)
        self._expired_before = 0.0

    def sign(self, address: str, path: str) -> str:
        """An address of a file that needs no token."""
        now = time.time()
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"LOOPBACK/{datetime.fromtimestamp(now, UTC):%Y%m%d}/fr-par/s3/aws4_request",
            "X-Amz-Date": repr(now),
            "X-Amz-Expires": str(self.lifetime_s),
            "X-Amz-SignedHeaders": "host",
        }
        text = urlencode(query)
        return f"{address}{BUCKET}{path}?{text}&X-Amz-Signature={self._signature(path, text)}"

    def expire(self) -> None:
        """Makes every address given so far worthless."""
        self._expired_before = time.time()

    def fetch(self, request: Request) -> str:
        """The file behind a presigned address.

        Raises:
            Refusal: it is tampered with or expired, a token came along, or there is no such file; XML as S3's.
        """
        path, (text, _, signature) = request.path.removeprefix(BUCKET), request.query.partition("&X-Amz-Signature=")
        if any(name.lower() == "authorization" for name in request.headers):
            raise _storage_error(400, "InvalidArgument", "Only one auth mechanism allowed.")
        if not hmac.compare_digest(signature, self._signature(path, text)):
            raise _storage_error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
        query = {name: values[0] for name, values in parse_qs(text).items()}
        given = float(query["X-Amz-Date"])
        if given <= self._expired_before or given + int(query["X-Amz-Expires"]) <= time.time():
            raise _storage_error(403, "AccessDenied", "Request has expired")
        if path not in self.files:
            raise _storage_error(404, "NoSuchKey", "The specified key does not exist.")
        return self.files[path]

    def _signature(self, path: str, query: str) -> str:
        return hmac.new(self._key, f"{path}?{query}".encode(), hashlib.sha256).hexdigest()


def _storage_error(status: int, code: str, message: str) -> Refusal:
    identity = secrets.token_hex(8).upper()
    detail = f"<Code>{code}</Code><Message>{message}</Message><RequestId>{identity}</RequestId>"
    return Refusal(status, message, text=f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{detail}</Error>')
