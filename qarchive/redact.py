"""What must never be stored: credentials, found by key and by shape, before anything is hashed.

A blob is for ever, and shared; a token in it could not be taken back. What is removed leaves `redacted` in its place.
"""

import re
from typing import Any

from .values import Typed

_KEYS = re.compile(
    r"(?i)(^|[_\-.])(token|api_?key|apikey|password|passwd|secret|authorization|credentials?|access_?key|private_?key|cookie)$"
)
_SHAPES = (
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),
    ("bearer", re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}")),
    ("crn", re.compile(r"\bcrn:v\d+:[^\s\"']+")),
    ("presigned", re.compile(r"(?i)(?<=[?&])X-Amz-(?:Signature|Credential|Security-Token)=[^&\s\"']+")),
    ("userinfo", re.compile(r"(?<=://)[^/\s:@\"']+:[^/\s@\"']+(?=@)")),
    ("key", re.compile(r"\b(?:sk|pk|ghp|gho|glpat|xox[bp])[-_][A-Za-z0-9_-]{16,}")),
)
# Every shape and every telling key has one of these. Looked for one by one: a hundredth of the time of one expression.
_MARKS = ("eyj", "bearer", "crn:", "://", "sk-", "sk_", "pk-", "pk_", "ghp", "gho", "glpat", "xox", "x-amz-")
_MARKS_IN_BLOBS = (*_MARKS, "token", "key", "passw", "secret", "authorization", "credential", "cookie")


# What this process has learnt to be secret, by no shape that it has: IBM's keys are 44 letters. Longer ones first.
_known: tuple[str, ...] = ()
SECRET_MIN = 8  # shorter texts would be found in everything


def learn(*secrets: str | None) -> None:
    """Remove these texts, too, wherever they stand, from now on and in this process. None and short ones are passed over."""
    global _known
    found = {secret for secret in secrets if secret and len(secret) >= SECRET_MIN}
    if not found.issubset(_known):
        _known = tuple(sorted({*_known, *found}, key=lambda secret: (-len(secret), secret)))


def holds_known(encoded: bytes) -> bool:
    """Whether canonical bytes hold something that was learnt to be secret."""
    return any(secret.encode() in encoded for secret in _known)


def suspects(encoded: bytes) -> bool:
    """Whether canonical bytes may hold something that `tree` would remove: quick, and never wrongly False."""
    if _known and holds_known(encoded):
        return True
    lowered = encoded.lower().decode("latin-1")  # as text, which is searched several times as fast
    for mark in _MARKS_IN_BLOBS:  # noqa: SIM110  a generator would take three times as long
        if mark in lowered:
            return True
    return False


def text(value: str) -> str:
    """`value` with every credential in it replaced by `[redacted KIND]`."""
    for secret in _known:
        value = value.replace(secret, "[redacted secret]")
    lowered = value.lower()
    if any(mark in lowered for mark in _MARKS):
        for kind, shape in _SHAPES:
            value = shape.sub(f"[redacted {kind}]", value)
    return value


def tree(value: Any) -> Any:
    """A JSON-like tree without credentials: whole values under a telling key, and the telling parts of any text.

    The same object where there was nothing to remove.
    """
    kind = type(value)
    if kind is str:
        return text(value)
    if kind is dict:
        clean = {tree(key): Typed("redacted", "key") if _tells(key, item) else tree(item) for key, item in value.items()}
        return value if all(key in clean and clean[key] is item for key, item in value.items()) else clean
    if kind is list or kind is tuple:
        clean = [tree(item) for item in value]
        return value if all(map(lambda new, old: new is old, clean, value)) else kind(clean)
    if kind is Typed:
        clean = tree(value.value)
        return value if clean is value.value else Typed(value.tag, clean)
    return value


def tells(name: str) -> bool:
    """Whether what is called so is a credential."""
    return _KEYS.search(name) is not None


def _tells(key: Any, item: Any) -> bool:
    return type(item) is str and item != "" and type(key) is str and tells(key)
