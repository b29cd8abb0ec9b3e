"""A remote in S3 or storage that speaks like it, through obstore."""

import configparser
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..errors import BadInput, MissingExtra, NotFound, Unreachable
from .backend import Object

_CALL_S = 60  # a request without an answer is given up, and tried again
_RETRIES, _RETRY_S = 4, 60
_LONG = 160  # characters of what a server says that are passed on
_PATH = "packs"


class Bucket:
    """Packs in `packs/` behind a prefix of a bucket. Credentials are those of the environment; none are kept."""

    def __init__(self, url: str, bucket: str, prefix: str, endpoint: str | None, region: str | None, anonymous: bool):
        self.url, self.bucket = url, bucket
        self._where = f"{prefix}/{_PATH}" if prefix else _PATH
        self._options = {"endpoint": endpoint, "region": region}
        self._anonymous = anonymous
        self._store: Any = None

    def prepare(self) -> None:
        self._connected()  # a bucket is made by whoever pays for it; what can be said now is whether obstore is there

    def objects(self) -> Iterator[Object]:
        api, store = self._connected()
        try:
            for some in api.list(store, prefix=self._where):
                for each in some:
                    folder, _, name = each["path"].rpartition("/")
                    if folder == self._where:
                        yield Object(name, each["size"], int(each["last_modified"].timestamp() * 1e9))
        except Exception as error:  # obstore's errors share no base with those of its HTTP
            raise self._explained(error) from error

    def read(self, name: str, start: int, length: int) -> bytes:
        api, store = self._connected()
        try:
            return bytes(api.get_range(store, f"{self._where}/{name}", start=start, length=length))
        except Exception as error:
            if "416 " in str(error).partition("\n")[0]:
                return b""  # it ends before
            raise self._explained(error, name) from error

    def put(self, name: str, data: bytes) -> bool:
        api, store = self._connected()
        try:
            api.put(store, f"{self._where}/{name}", data, mode="create", use_multipart=False)
        except api.exceptions.AlreadyExistsError:
            return False  # also where our own first try arrived and its answer was lost
        except Exception as error:
            raise self._explained(error) from error
        return True

    def _connected(self) -> tuple[Any, Any]:
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError:
            raise MissingExtra(self.url, "s3") from None
        if self._store is None:
            endpoint = self._options["endpoint"] or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            options = {name: value for name, value in {**self._options, "endpoint": endpoint}.items() if value}
            options |= {"skip_signature": True} if self._anonymous else _profile()
            client = {"timeout": f"{_CALL_S}s", "connect_timeout": "10s", "allow_http": (endpoint or "").startswith("http://")}
            retries = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)}
            try:
                self._store = S3Store(self.bucket, client_options=client, retry_config=retries, **options)
            except Exception as error:
                raise BadInput(self.url, f"cannot be used ({_first_line(error)})", "look at its options") from error
        return obstore, self._store

    def _explained(self, error: Exception, name: str | None = None) -> Exception:
        text = str(error)
        if "NoSuchBucket" in text:
            return BadInput(self.url, f"there is no bucket {self.bucket}", "make it, or name another")
        if isinstance(error, FileNotFoundError):
            return NotFound(name or "an object", self.url)
        if "169.254.169.254" in text or "CredentialsProvider" in text:
            hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; `?anonymous=1` asks without any"
            return BadInput(self.url, "no credentials were found", hint)
        if re.search(r"status code: 40[13]\b", text) or isinstance(error, PermissionError):
            # What the server says may hold the key's name, and is not passed on.
            return BadInput(self.url, "access is denied", "are the AWS credentials in the environment those of this bucket?")
        if re.search(r"status code: 30[1278]\b", text):
            return BadInput(self.url, "the bucket is in another region", "say `?region=...`, or set AWS_REGION")
        return Unreachable(self.url, _first_line(error))


def _profile() -> dict[str, str]:
    """The keys of the profile in AWS's credentials file where the environment holds none; obstore itself does not look there."""
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    path = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path.home() / ".aws" / "credentials")
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
        found = parser[os.environ.get("AWS_PROFILE") or "default"]
    except (configparser.Error, UnicodeDecodeError, OSError, KeyError):
        return {}
    names = {
        "access_key_id": "aws_access_key_id",
        "secret_access_key": "aws_secret_access_key",
        "session_token": "aws_session_token",
    }
    return {name: found[field] for name, field in names.items() if field in found}


def _first_line(error: Exception) -> str:
    text = str(error).partition("\n")[0].rpartition(" - ")[2].strip().lower()
    return text[:_LONG] or type(error).__name__
