"""Alters values that the format can hold: another type, a key less, a length more. The same seed gives the same alteration."""

import math
from collections.abc import Callable
from random import Random
from typing import Any

from qarchive import codec
from qarchive.errors import BadInput, NewerFormat, NotCanonical, NotEncodable
from qarchive.values import ITEM_SIZES, TAGS, Array, Chunked, Link, Timestamp, Typed

_PARTS_MAX = 4000  # of a value, of which one is altered
_TAGS = sorted(TAGS)
_DTYPES = list(ITEM_SIZES)
_TEXTS = ["", "0", "0x1f", "0x", "-1", "\0", "\x1b[31m", "type", "results", "a" * 300, "1e999", "__class__", "../x", "é",
          "9" * 5000, "2024-01-01T00:00:00Z", "2024-02-30", "[1]", "{}", "lambda: 1", "|1,0>", "<f8", "csr_matrix"]  # fmt: skip
_NUMBERS = [0, 1, -1, 2, 7, 63, 64, 255, 256, 1 << 16, 1 << 31, 1 << 32, 1 << 53, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64,
            -(1 << 63), -(1 << 70), 10**30]  # fmt: skip
_FLOATS = [0.0, -0.0, 0.5, 1.0, -1.0, 1e-300, 1e300, math.inf, -math.inf, math.nan]
_REFUSED = (NotCanonical, NewerFormat, BadInput)

Path = tuple


def altered(data: bytes, seed: int, times: int = 1) -> bytes:
    """The canonical bytes of a value like that in `data`; altered bytes where those are of no value."""
    random = Random(seed)
    try:
        value = codec.decode(data)
    except _REFUSED:
        return shaken(data, random)
    for _ in range(times):
        value = _changed(value, random)
    for _ in range(8):
        try:
            return codec.encode(value)
        except NotEncodable:  # too deep now, or a key twice: another one then
            value = _changed(codec.decode(data), random)
    return data


def shaken(data: bytes, random: Random) -> bytes:
    """Bytes like these: some others in between, some less, or some twice."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        start = random.randrange(len(found) + 1)
        end = min(len(found), start + random.choice((1, 1, 2, 4, 8, 32)))
        match random.randrange(6):
            case 0 if end > start:
                found[start] ^= 1 << random.randrange(8)
            case 1 if end > start:
                found[start] = random.choice((0, 1, 0x7F, 0x80, 0xC0, 0xFF, random.randrange(256)))
            case 2:
                del found[start:end]
            case 3:
                found[start:start] = found[start:end] * random.choice((1, 2, 20))
            case 4:
                found[start:start] = random.randbytes(random.choice((1, 2, 4, 8)))
            case _:
                number = random.choice(_NUMBERS) % (1 << 64)
                found[start:end] = number.to_bytes(random.choice((8, 16)), random.choice(("big", "little")))
    return bytes(found)


def _changed(value: Any, random: Random) -> Any:
    paths = _paths(value)
    path = random.choice(paths)
    if random.random() < 0.15:  # a part of it stands where another one was
        other = _at(value, random.choice(paths))
        return _with(value, path, lambda _: other)
    return _with(value, path, lambda part: _another(part, random))


def _paths(value: Any) -> list[Path]:
    found, pending = [], [((), value)]
    while pending and len(found) < _PARTS_MAX:
        path, part = pending.pop()
        found.append(path)
        kind = type(part)
        if kind is dict:
            pending += [((*path, key), item) for key, item in part.items()]
        elif kind in (list, tuple):
            pending += [((*path, place), item) for place, item in enumerate(part)]
        elif kind is Typed:
            pending.append(((*path, None), part.value))
    return found


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value.value if type(value) is Typed else value[key]
    return value


def _with(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    key, *rest = path
    if type(value) is Typed:
        return Typed(value.tag, _with(value.value, rest, change))
    if type(value) is dict:
        return {**value, key: _with(value[key], rest, change)}
    items = list(value)
    items[key] = _with(items[key], rest, change)
    return type(value)(items)


def _another(part: Any, random: Random) -> Any:
    change = _CHANGES.get(type(part))
    if change is None or random.random() < 0.25:
        return _anything(part, random)
    return change(part, random)


def _anything(part: Any, random: Random) -> Any:
    match random.randrange(14):
        case 0:
            return None
        case 1:
            return random.choice((True, False))
        case 2 | 3:
            return random.choice(_NUMBERS)
        case 4:
            return random.choice(_FLOATS)
        case 5 | 6:
            return random.choice(_TEXTS)
        case 7:
            return random.choice((b"", b"\0" * 8, b"QISKIT\x0e", random.randbytes(12)))
        case 8:
            return random.choice(([], {}, (), set(), [[]], {"type": "x"}, [0] * 100))
        case 9:
            return random.choice((Link(bytes(32)), Link(random.randbytes(32)), Timestamp(0), Timestamp(-(1 << 63))))
        case 10:
            return random.choice((Array("<f8", (0,), b""), Array("|u1", (1 << 20, 0), b""), Array("<c16", (), bytes(16)),
                                  Array("<u8", (2,), b"\xff" * 16), Chunked(3 << 20, (Link(bytes(32)),) * 3)))  # fmt: skip
        case 11:
            return Typed(random.choice(_TAGS), part)
        case 12:
            for _ in range(random.choice((1, 2, 40))):
                part = [part]
            return part
        case _:
            return {"value": part} if random.random() < 0.5 else (part, part)


def _map(part: dict, random: Random) -> dict:
    keys = list(part)
    if not keys:
        return {random.choice(_TEXTS): None}
    key = random.choice(keys)
    match random.randrange(5):
        case 0 | 1:
            return {name: item for name, item in part.items() if name != key}
        case 2:
            return {(random.choice(_TEXTS) if name == key else name): item for name, item in part.items()}
        case 3:
            return {**part, key: part[random.choice(keys)]}
        case _:
            return {**part, random.choice(_NUMBERS): part[key]}


def _list(part: list | tuple, random: Random) -> list | tuple:
    items, kind = list(part), type(part)
    if not items:
        return kind([random.choice(_NUMBERS)])
    place = random.randrange(len(items))
    match random.randrange(6):
        case 0:
            del items[place]
        case 1:
            items.insert(place, items[random.randrange(len(items))])
        case 2:
            items[place] = items[random.randrange(len(items))]
        case 3:
            items = items[:place]
        case 4:
            items = items * 2 if len(items) < 1000 else items[:2]
        case _:
            random.shuffle(items)
    return kind(items)


def _text(part: str, random: Random) -> str:
    place = random.randrange(len(part) + 1)
    match random.randrange(5):
        case 0:
            return part[:place]
        case 1:
            return part[:place] + part[place + 1 :]
        case 2:
            return part[:place] + random.choice(_TEXTS) + part[place:]
        case 3:
            return part[:place] + random.choice("0123456789.-+*/()[]{},:;|<>~^eEjx _\"'\n@") + part[place + random.randrange(2) :]
        case _:
            return part[:place] + part[place:] * 2 if len(part) < 1000 else part[place:]


def _number(part: int, random: Random) -> int:
    return random.choice((part + 1, part - 1, -part, part * 2, part ^ (1 << random.randrange(64)), random.choice(_NUMBERS)))


def _array(part: Array, random: Random) -> Array:
    data, size = part.data, ITEM_SIZES[part.dtype]
    if type(data) is Chunked:
        return Array(part.dtype, part.shape[::-1], data)
    match random.randrange(4):
        case 0:
            dtype = random.choice(_DTYPES)
            items = len(data) // ITEM_SIZES[dtype]
            return Array(dtype, (items,), bytes(data)[: items * ITEM_SIZES[dtype]])
        case 1:
            items = random.choice((0, 1, 2, 33, 100))
            return Array(part.dtype, (items,), (bytes(data) * (items * size // max(1, len(data)) + 1)).ljust(items * size, b"\0")
                         [: items * size])  # fmt: skip
        case 2:
            items = len(data) // size
            return Array(part.dtype, random.choice(((items, 1), (1, items), (1,) * 33 + (items,), (*part.shape, 1))), data)
        case _:
            return Array(part.dtype, part.shape, shaken(bytes(data), random)[: len(data)].ljust(len(data), b"\xff"))


_CHANGES: dict[type, Callable[[Any, Random], Any]] = {
    dict: _map,
    list: _list,
    tuple: _list,
    str: _text,
    int: _number,
    float: lambda part, random: random.choice((*_FLOATS, -part, part * 2, part / 3)),
    bytes: lambda part, random: shaken(part, random),
    Array: _array,
    Typed: lambda part, random: random.choice((part.value, Typed(random.choice(_TAGS), part.value))),
}
