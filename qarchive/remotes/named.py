"""The remotes that an archive knows by name: `remotes.json` in its folder. They are this machine's affair, and never exported."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit
from urllib.request import url2pathname

from .. import disk
from ..errors import BadInput, Damaged, NewerFormat, NotFound
from ..locks import Lock
from .backend import Backend
from .bucket import Bucket
from .folder import Folder

FILE = "remotes.json"
FORMAT = 1
_MAX = 1 << 20  # bytes of the file
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_SECRET = "keep credentials in the environment (AWS_ACCESS_KEY_ID, ...) or in AWS's own files, and give the URL without"
_ADD = "`qarchive remote add NAME URL` adds one"
_OPTIONS = ("endpoint", "region", "anonymous")


def read(folder: Path) -> dict[str, str]:
    """Names and URLs, by name. Raises Damaged, NewerFormat."""
    path = folder / FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadInput(str(path), f"cannot be read ({(error.strerror or str(error)).lower()})") from error
    try:
        value = json.loads(text)
        version, known = value["format"], value["remotes"]
        if len(text) > _MAX or type(version) is not int or type(known) is not dict:
            raise ValueError
        if version > FORMAT:
            raise NewerFormat(str(path), version, FORMAT)
        if not all(_NAME.match(name) and type(url) is str for name, url in known.items()):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Damaged(str(path), "is no list of remotes; mend or delete it") from None
    return dict(sorted(known.items()))


def add(folder: Path, name: str, url: str) -> str:
    """Keep a remote; its URL as it is kept. A folder is made where there is none. Raises BadInput, CannotWrite, MissingExtra."""
    if not _NAME.match(name):
        raise BadInput(f"the name {name!r}", "cannot be a remote's", "use up to 64 letters, digits, `_`, `.` and `-`")
    backend = backend_of(url)
    with _alone(folder):
        known = read(folder)
        if known.get(name, backend.url) != backend.url:
            raise BadInput(f"the remote {name}", f"is there already ({known[name]})", "remove it first, or take another name")
        backend.prepare()
        _write(folder, known | {name: backend.url})
    return backend.url


def remove(folder: Path, name: str) -> str:
    """Forget a remote; what it holds stays there. Its URL. Raises NotFound."""
    with _alone(folder):
        known = read(folder)
        url = known.pop(name, None)
        if url is None:
            raise _unknown(folder, name, known)
        _write(folder, known)
    return url


def find(folder: Path, name: str | None) -> Backend:
    """The remote of this name; without one the only one there is. Raises NotFound, BadInput."""
    known = read(folder)
    if name is None:
        if len(known) != 1:
            reason = (
                f"is not named, and there are {len(known)} ({', '.join(known)})" if known else "is not named, and there is none"
            )
            raise BadInput("the remote", reason, "name one" if known else "`qarchive remote add NAME URL` adds one")
        name = next(iter(known))
    if name not in known:
        raise _unknown(folder, name, known)
    return backend_of(known[name])


def backend_of(url: str) -> Backend:
    """The storage behind a path, a `file://` or an `s3://` URL. Raises BadInput, also where it holds credentials."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", url)
    if scheme is None:
        return _folder(Path(url).expanduser(), url)
    kind = scheme[1].lower()
    if kind not in ("file", "s3"):
        raise BadInput(
            _bare(url), f"is of a kind {kind} that is not known", "give a folder, file:///folder or s3://bucket/prefix"
        )
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadInput(_bare(url), f"is no URL ({error})", "give s3://bucket/prefix") from None
    if kind == "file":
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise BadInput(_bare(url), "names more than a folder", "give file:///folder")
        return _folder(Path(url2pathname(parts.path)), url)
    if "@" in parts.netloc or parts.fragment:
        raise BadInput(_bare(url), "holds credentials" if "@" in parts.netloc else "has a fragment", _SECRET)
    return _bucket(parts)


def _folder(path: Path, said: str) -> Folder:
    if not said.strip():
        raise BadInput("the URL", "is empty", "give a folder, file:///folder or s3://bucket/prefix")
    return Folder(path.absolute())


def _bucket(parts) -> Bucket:
    bare = f"s3://{parts.netloc}{parts.path}"
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if wrong := [name for name in options if name not in _OPTIONS]:
        secret = any(re.search("key|secret|token|password|credential|signature", name, re.I) for name in wrong)
        if secret:
            raise BadInput(bare, f"holds credentials ({wrong[0]})", _SECRET)
        raise BadInput(bare, f"has an option {wrong[0]} that is not known", f"the options are {', '.join(_OPTIONS)}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}", parts.netloc):
        raise BadInput(bare, "names no bucket", "give s3://bucket/prefix")
    prefix = parts.path.strip("/")
    if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
        raise BadInput(bare, "has a prefix with an empty part, `.` or `..`", "give s3://bucket/prefix")
    endpoint = options.get("endpoint")
    if endpoint is not None:
        try:
            found = urlsplit(endpoint)
        except ValueError:
            found = urlsplit("")
        if "@" in found.netloc:
            raise BadInput(bare, "has an endpoint that holds credentials", _SECRET)
        if found.scheme not in ("http", "https") or not found.netloc or found.query or found.fragment:
            raise BadInput(bare, f"has the endpoint {endpoint}", "give one such as https://storage.example.org")
    if options.get("anonymous", "1") not in ("1", "true"):
        raise BadInput(bare, f"has anonymous={options['anonymous']}", "say anonymous=1, or leave it out")
    query = "&".join(f"{name}={quote(options[name], safe=':/')}" for name in _OPTIONS if name in options)
    url = f"s3://{parts.netloc}{'/' + prefix if prefix else ''}{'?' + query if query else ''}"
    return Bucket(url, parts.netloc, prefix, endpoint, options.get("region"), "anonymous" in options)


def _bare(url: str) -> str:
    """A URL without what might be a secret in it."""
    return re.sub(r"//[^/@]*@", "//", url).partition("?")[0]


def _unknown(folder: Path, name: str, known: dict[str, str]) -> NotFound:
    hint = f"there is {', '.join(known)}" if known else _ADD
    return NotFound(f"a remote {name!r}", str(folder), hint)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of two processes that change the list one waits."""
    lock = Lock(folder, "remotes")
    try:
        lock.acquire()
    except OSError as error:
        raise disk.cannot_write(folder / FILE, error) from error
    try:
        yield
    finally:
        lock.release()


def _write(folder: Path, known: dict[str, str]) -> None:
    data = json.dumps({"format": FORMAT, "remotes": dict(sorted(known.items()))}, indent=1) + "\n"
    try:
        disk.replace(folder / FILE, data.encode())
    except OSError as error:
        raise disk.cannot_write(folder / FILE, error) from error
