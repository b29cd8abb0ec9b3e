"""Credentials in the files where SDKs keep them: read so that they are found in what would be given away, and never kept."""

import json
from pathlib import Path
from typing import Any

from .. import redact

_MOST = 1 << 20  # bytes of such a file


def credentials(path: Path) -> list[str]:
    """The texts in a JSON file whose keys say that they are secret; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read(_MOST))
    except (OSError, ValueError, RecursionError):
        return []
    return list(_secrets(content))


def _secrets(value: Any, tells: bool = False) -> Any:
    if type(value) is dict:
        for key, item in value.items():
            yield from _secrets(item, redact.tells(key))
    elif type(value) is list:
        for item in value:
            yield from _secrets(item, tells)
    elif type(value) is str and tells:
        yield value
