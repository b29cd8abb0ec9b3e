"""HTTP of the loopback IBM server: requests, refusals and tokens."""

import base64
import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qs

import wire
from wire import Request

API_PREFIX = "/experimental/api/v1"


class Refusal(wire.Refusal):
    """An answer that is an error, in IBM's form."""

    def __init__(
        self, status: int | None, code: int | str = 0, message: str = "", solution: str = "", retry_after_s: int | None = None
    ):
        error = {"code": code, "message": message, "solution": solution}
        error["more_info"] = f"https://quantum.cloud.ibm.com/docs/errors#{code}"
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        super().__init__(status, {"errors": [error], "trace": secrets.token_hex(10)}, headers)


def refusal_of(
    status: int | None,
    *,
    code: int = 1000,
    message: str = "API internal error.",
    retry_after_s: int | None = None,
    body: dict | str | None = None,
) -> Refusal:
    """A refusal made to order, with `body` instead of IBM's form; 429 carries Retry-After, 0 s unless given."""
    seconds = 0 if status == 429 and retry_after_s is None else retry_after_s
    refusal = Refusal(status, code, message, "Try again.", seconds)
    refusal.body = refusal.body if body is None else body
    return refusal


@dataclass
class Failure(wire.Failure):
    """A failure that awaits its requests. It lets `skip` of them pass first, and its answer hangs for `hang_s`."""

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

    def add(self, refusal: Refusal, times: int, *, path_contains: str = "", method: str = "", **which: object) -> None:
        """One more; `which` as the attributes of `Failure`."""
        self.append(Failure(refusal, times, path_contains, method, **which))

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


class Listener(wire.Listener):
    """The listening socket; the hub sees paths without the API's prefix."""

    def answer(self, request: Request) -> tuple[int, dict | str | None]:
        """The hub's answer."""
        return super().answer(request._replace(path=re.sub(r"^(/experimental)?/api/v1(?=/)", "", request.path)))
