"""Settings as people read them: names and short texts, for pages and terminals. In full they are in `text_forms`."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from . import noise
from .drawing.scales import si
from .printable import clean
from .values import Array, Chunked, Link, Timestamp, Typed

Get = Callable[[Link], Any]

_LONG = 300  # characters of a value
_JSON = 1 << 16  # characters of a text that is looked into
_FEW = 8  # items of a list that are all shown
_MANY = 100_000  # numbers of an array that are read
_ENDS = 3  # of a longer one: so many, and the last
_DEEP = 3  # maps in maps that have rows of their own
_EVEN = 1e-9  # of the whole range: numbers that are so close to even steps are even


def rows(settings: Mapping[str, Any], get: Get, inside: str = "", deep: int = 0) -> Iterator[tuple[str, str]]:
    """(name, text) of each setting, those of maps inside under dotted names. `get` answers the plain value of a blob."""
    for key, value in settings.items():
        name = f"{inside}{clean(str(key))}"
        value = _opened(value)
        if type(value) is dict and value and deep < _DEEP and not noise.is_model(value):
            yield from rows(value, get, f"{name}.", deep + 1)
        else:
            yield name, said(value, get)


def _opened(value: Any) -> Any:
    """What a text that is a map in JSON holds, as clouds are sent configurations; all else as it is."""
    if type(value) is str and value[:1] == "{" and len(value) <= _JSON:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            pass
    return value


def said(value: Any, get: Get) -> str:
    """A value on one line, shortened."""
    text = _said(value, get)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1].rstrip()}…"


def changed(snapshot: Mapping[str, Any] | None, get: Get) -> list[tuple[str, str]] | None:
    """(name, text) of the options of a backend that differ from the defaults of its class, from its archived snapshot; None
    where that does not say which they are."""
    options, names = ((snapshot or {}).get(name) for name in ("options", "set"))
    if type(options) is not dict or type(names) is not list:
        return None
    return list(rows({name: options[name] for name in names if type(name) is str and name in options}, get))


def _said(value: Any, get: Get) -> str:
    if noise.is_model(value):
        return noise.told(value)
    kind = type(value)
    if value is None:
        return "none"
    if kind is bool:
        return str(value).lower()
    if kind is float:
        return si(value, digits=6) if value - value == 0 else str(value)
    if kind is str:
        return clean(value[: _LONG + 1]) or '""'
    if kind is Link:
        held = get(value)
        what = noise.told(held) if noise.is_model(held) else _kind(held)
        return f"{what} ({str(value)[:12]})" if what else str(value)[:12]
    if kind is Array:
        return _array(value)
    if kind in (list, tuple, set):
        return _list(list(value) if kind is not set else sorted(value, key=repr), get)
    if kind is dict:
        return _together((f"{clean(str(key))} = {_said(item, get)}" for key, item in value.items()), "nothing")
    if kind is Typed:
        return _typed(value, get)
    return f"{len(value):,} bytes" if kind is bytes else str(value) if kind in (int, complex, Timestamp) else clean(kind.__name__)


def _typed(value: Typed, get: Get) -> str:
    """The name of its class with what was set in it."""
    name = clean(value.tag.rpartition(".")[2]) or "?"
    parts = value.value if type(value.value) in (list, tuple) else [value.value]
    inside = [_said(part, get) for part in parts if part is not None and part != []]
    return f"{name}({', '.join(inside)})" if inside else name


def _kind(held: Any) -> str:
    kind = held.tag if type(held) is Typed else held.get("type", "") if type(held) is dict else ""
    return clean(kind) if type(kind) is str else ""


def _array(value: Array) -> str:
    if type(value.data) is Chunked or len(value.shape) > 1 or math.prod(value.shape) > _MANY:
        return f"{' × '.join(f'{length:,}' for length in value.shape)} numbers"
    return _numbers(value.flat())


def _list(items: Sequence[Any], get: Get) -> str:
    if items and all(type(item) in (int, float) for item in items):
        return _numbers(items)
    left = len(items) - _FEW
    return _together((*(_said(item, get) for item in items[:_FEW]), *([f"{left:,} more"] if left > 0 else ())), "none")


def _numbers(found: Sequence[Any]) -> str:
    """Numbers, of many the first and the last, or their even steps."""
    shown = [str(number) if type(number) in (int, complex) else si(number, digits=6) for number in found]
    if len(found) <= _FEW:
        return ", ".join(shown) or "none"
    told = f"{len(found):,} numbers"
    if _even(found):
        return f"{told} from {shown[0]} to {shown[-1]} in even steps"
    return f"{told}: {', '.join(shown[:_ENDS])}, …, {shown[-1]}"


def _even(found: Sequence[Any]) -> bool:
    try:
        numbers = [float(number) for number in found]
    except (OverflowError, TypeError):  # too large, or complex
        return False
    first, last = numbers[0], numbers[-1]
    step, room = (last - first) / (len(numbers) - 1), _EVEN * abs(last - first)
    return first != last and all(abs(number - (first + i * step)) <= room for i, number in enumerate(numbers))


def _together(parts: Iterable[str], nothing: str) -> str:
    """Parts with commas, as far as they have room."""
    text = ""
    for part in parts:
        text += f", {part}" if text else part
        if len(text) > _LONG:
            break
    return text or nothing
