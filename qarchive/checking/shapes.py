"""Shapes: how values differ that are written by one line of code. Whoever fits a shape of a value that was decoded is canonical.

Decoding a small map takes fifty times longer than to hash it. But the records of a million jobs have a few hundred shapes: the
same bytes but for digests, times, numbers and letters of the same length, none of which can make canonical bytes others, nor a
right record a wrong one.
"""

import re

from .. import codec

LONGEST = 2048  # bytes of a value whose shape is learned
_FIRST = 32  # shapes that are learned before one was of use
_EACH = 32  # uses for which one more is learned: to learn one takes as long as to decode some

_ANY = "(?s:.{%d})"
_LETTERS = "[\\x00-\\x7f]{%d}"
# What may stand behind the first byte of a number, so that it is still written in the shortest form and is no NaN.
_NUMBERS = {0xCC: "[\\x80-\\xff]", 0xCD: "[^\\x00](?s:.)", 0xCE: "(?!\\x00\\x00)(?s:.{4})", 0xCB: "[^\\x7f\\xff](?s:.{7})"}
_SIZES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xCA: 4, 0xCB: 8}
_EXT_SIZES = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_KEPT = frozenset({b"type"})  # keys whose values say what else must be there


class Shapes:
    """Shapes of values that were found to be right, by their length."""

    def __init__(self):
        self._known: dict[int, list[re.Pattern[bytes]]] = {}
        self._learned = self._used = 0

    def links(self, encoded: bytes) -> tuple[bytes, ...] | None:
        """The digests that a value links to, where it has the shape of one that was learned; else None."""
        for pattern in self._known.get(len(encoded), ()):
            if found := pattern.fullmatch(encoded):
                self._used += 1
                return found.groups()
        return None

    def learn(self, encoded: bytes) -> None:
        """Know values of this shape from now on. `encoded` was decoded, and found to be right."""
        if len(encoded) <= LONGEST and self._learned < _FIRST + self._used // _EACH:
            self._learned += 1
            shape = _Walk(encoded).shape()
            if shape is not None:
                self._known.setdefault(len(encoded), []).insert(0, re.compile(shape.encode("latin-1")))


class _Walk:
    """One way through the bytes of a canonical value, from token to token."""

    def __init__(self, encoded: bytes):
        self.encoded, self.at, self.parts = encoded, 0, []
        self.links = 0  # that may differ

    def shape(self) -> str | None:
        """A regular expression with a group for each link; None where links stand in what must not differ."""
        self._value(kept=False)
        return "".join(self.parts) if self.links == len(codec.mentioned(self.encoded)) else None

    def _exactly(self, size: int) -> bytes:
        found = self.encoded[self.at : self.at + size]
        self.parts.append(re.escape(found.decode("latin-1")))
        self.at += size
        return found

    def _free(self, pattern: str, size: int) -> None:
        self.parts.append(pattern % size if "%" in pattern else pattern)
        self.at += size

    def _length(self, size: int) -> int:
        return int.from_bytes(self._exactly(size), "big")

    def _value(self, kept: bool) -> None:
        first = self.encoded[self.at]
        if first < 0x80 and not kept:
            self._free("[\\x00-\\x7f]", 1)
            return
        self._exactly(1)
        if 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
            self._map(first & 15 if first <= 0x8F else self._length(2 if first == 0xDE else 4))
        elif 0x90 <= first <= 0x9F or first in (0xDC, 0xDD):
            for _ in range(first & 15 if first <= 0x9F else self._length(2 if first == 0xDC else 4)):
                self._value(kept)
        elif 0xA0 <= first <= 0xBF or 0xD9 <= first <= 0xDB:
            size = first & 31 if first <= 0xBF else self._length(1 << (first - 0xD9))
            self._text(size, kept)
        elif 0xC4 <= first <= 0xC6:
            self._bytes(self._length(1 << (first - 0xC4)), kept)
        elif first in _SIZES:
            if first in _NUMBERS and not kept and re.fullmatch(_NUMBERS[first].encode("latin-1"), self._ahead(_SIZES[first])):
                self._free(_NUMBERS[first], _SIZES[first])
            else:
                self._exactly(_SIZES[first])
        elif first in _EXT_SIZES:
            self._ext(_EXT_SIZES[first], kept)
        elif 0xC7 <= first <= 0xC9:
            self._ext(self._length(1 << (first - 0xC7)), kept)

    def _ahead(self, size: int) -> bytes:
        return self.encoded[self.at : self.at + size]

    def _text(self, size: int, kept: bool) -> None:
        if kept or not self._ahead(size).isascii():
            self._exactly(size)
        else:
            self._free(_LETTERS, size)

    def _bytes(self, size: int, kept: bool) -> None:
        if kept:
            self._exactly(size)
        else:
            self._free(_ANY, size)

    def _map(self, size: int) -> None:
        for _ in range(size):
            start = self.at
            self._value(kept=True)
            key = self.encoded[start : self.at]
            self._value(kept=key[1:] in _KEPT)

    def _ext(self, size: int, kept: bool) -> None:
        [code] = self._exactly(1)
        if code == codec.LINK and not kept:
            self._free("((?s:.{32}))", size)
            self.links += 1
        elif code == codec.TIMESTAMP and not kept:
            self._free(_ANY, size)
        else:
            self._exactly(size)  # what must be in order, distinct or of a declared size
