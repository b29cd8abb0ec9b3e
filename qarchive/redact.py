"""What must never be stored: credentials, found by key and by shape, before anything is hashed.

A blob is for ever, and shared; a token in it could not be taken back. What is removed leaves `redacted` in its place.
"""

import re
from typing import Any

from .codec import Typed

_KEYS = re.compile(r"(?i)(^|[_\-.])(token|api_?key|apikey|password|passwd|secret|authorization|credentials?|access_?key|private_?key|cookie)$")
_SHAPES = (
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),
    ("bearer", re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}")),
    ("crn", re.compile(r"\bcrn:v\d+:[^\s\"']+")),
    ("userinfo", re.compile(r"(?<=://)[^/\s:@\"']+:[^/\s@\"']+(?=@)")),
    ("key", re.compile(r"\b(?:sk|pk|ghp|gho|glpat|xox[bp])[-_][A-Za-z0-9_-]{16,}")),
)


def text(value: str) -> str:
    """`value` with every credential in it replaced by `[redacted KIND]`."""
    for kind, shape in _SHAPES:
        value = shape.sub(f"[redacted {kind}]", value)
    return value


def tree(value: Any) -> Any:
    """A JSON-like tree without credentials: whole values under a telling key, and the telling parts of any text."""
    kind = type(value)
    if kind is str:
        return text(value)
    if kind is dict:
        return {key: Typed("redacted", "key") if type(key) is str and type(item) is str and item and _KEYS.search(key) else tree(item)
                for key, item in value.items()}  # fmt: skip
    if kind in (list, tuple):
        return kind(tree(item) for item in value)
    return value
