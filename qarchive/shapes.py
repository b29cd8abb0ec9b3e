"""Shapes: how values differ that are written by one line of code. Whoever fits a shape of a value that was decoded is canonical.

Decoding a small map takes many times longer than to hash it. But the records of a million jobs have a few hundred shapes: the
same bytes but for digests, times, numbers and letters of the same length, none of which can make canonical bytes others, nor a
right record a wrong one. A shape is the bits that must be as they are: to compare them takes less than a microsecond.
"""

from collections.abc import Collection

import msgpack

from . import codec

LONGEST = 2048  # bytes of a value whose shape is learned
_MOST = 64  # shapes of one length that are kept, those learned last
_SIZES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xCA: 4, 0xCB: 8}
_EXT_SIZES = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_UNSIGNED = frozenset({0xCC, 0xCD, 0xCE, 0xCF})
_EXPONENT = 0x7FF << 52
_KEPT = frozenset({"type"})  # keys whose values say what else must be there


class Shape:
    """One shape, and where the wanted fields of the map stand in all values that fit."""

    __slots__ = ("_fields", "_head", "bits", "mask")

    def __init__(self, encoded: bytes, wanted: Collection[str]):
        """`encoded` was decoded, and found to be right."""
        walk = _Walk(encoded)
        self.mask = int.from_bytes(walk.mask)
        self.bits = int.from_bytes(encoded) & self.mask
        spans = [span for key, span in walk.fields.items() if key in wanted]
        self._head = msgpack.Packer().pack_map_header(len(spans))
        joined: list[tuple[int, int]] = []
        for start, end in spans:
            if joined and joined[-1][1] == start:
                start, _ = joined.pop()
            joined.append((start, end))
        self._fields = [slice(*span) for span in joined]

    def cut(self, encoded: bytes) -> bytes:
        """A map of the wanted fields of a value that fits, as msgpack."""
        return self._head + b"".join([encoded[field] for field in self._fields])


class Shapes:
    """Shapes of maps that were found to be right, by their length. `wanted` are keys of the fields that are to be cut out."""

    def __init__(self, wanted: Collection[str] = ()):
        self._wanted = wanted
        self._known: dict[int, list[Shape]] = {}

    def find(self, encoded: bytes) -> Shape | None:
        """The shape of a value, where it is one that was learned."""
        if known := self._known.get(len(encoded)):
            number = int.from_bytes(encoded)
            for shape in known:
                if number & shape.mask == shape.bits:
                    return shape
        return None

    def learn(self, encoded: bytes) -> None:
        """Know values of this shape from now on. `encoded` was decoded, and found to be right."""
        if len(encoded) <= LONGEST:
            known = self._known.setdefault(len(encoded), [])
            known.insert(0, Shape(encoded, self._wanted))
            del known[_MOST:]


class _Walk:
    """One way through the bytes of a canonical value, from token to token."""

    def __init__(self, encoded: bytes):
        self.encoded, self.at = encoded, 0
        self.mask = bytearray(b"\xff" * len(encoded))
        self.fields: dict[str, tuple[int, int]] = {}
        self._value(kept=False, fields=self.fields)

    def _free(self, size: int, bit: int = 0) -> None:
        """What follows may be anything, but for one bit of each byte."""
        self.mask[self.at : self.at + size] = bytes([bit]) * size
        self.at += size

    def _length(self, size: int) -> int:
        self.at += size
        return int.from_bytes(self.encoded[self.at - size : self.at])

    def _value(self, kept: bool, fields: dict | None = None) -> None:
        first = self.encoded[self.at]
        if first < 0x80 and not kept:
            self._free(1, 0x80)
            return
        self.at += 1
        if 0xA0 <= first <= 0xBF or 0xD9 <= first <= 0xDB:
            size = first & 31 if first <= 0xBF else self._length(1 << (first - 0xD9))
            if kept or not self.encoded[self.at : self.at + size].isascii():
                self.at += size
            else:
                self._free(size, 0x80)
        elif 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
            self._map(first & 15 if first <= 0x8F else self._length(2 if first == 0xDE else 4), fields)
        elif 0x90 <= first <= 0x9F or first in (0xDC, 0xDD):
            for _ in range(first & 15 if first <= 0x9F else self._length(2 if first == 0xDC else 4)):
                self._value(kept)
        elif 0xC4 <= first <= 0xC6:
            self._bytes(self._length(1 << (first - 0xC4)), kept)
        elif first in _SIZES:
            self._number(first, kept)
        elif first in _EXT_SIZES:
            self._ext(_EXT_SIZES[first], kept)
        elif 0xC7 <= first <= 0xC9:
            self._ext(self._length(1 << (first - 0xC7)), kept)

    def _bytes(self, size: int, kept: bool) -> None:
        if kept:
            self.at += size
        else:
            self._free(size)

    def _number(self, first: int, kept: bool) -> None:
        size = _SIZES[first]
        if not kept and (mask := _of_number(first, int.from_bytes(self.encoded[self.at : self.at + size]))):
            self.mask[self.at : self.at + size] = mask.to_bytes(size)
        self.at += size

    def _map(self, size: int, fields: dict | None) -> None:
        for _ in range(size):
            start = self.at
            self._value(kept=True)
            key = self.encoded[start + 1 : self.at].decode("utf-8", "replace")
            self._value(kept=key in _KEPT)
            if fields is not None:
                fields[key] = start, self.at

    def _ext(self, size: int, kept: bool) -> None:
        code = self.encoded[self.at]
        self.at += 1
        if code in (codec.LINK, codec.TIMESTAMP) and not kept:
            self._free(size)
        else:
            self.at += size  # what must be in order, distinct or of a declared size


def _of_number(first: int, number: int) -> int:
    """The bits of a number that stay as they are, so that this is still its form; 0 where all do."""
    if first in _UNSIGNED:  # the highest, without which a shorter form could do, and that which some fields must not have
        return 1 << number.bit_length() - 1 | (1 << 63 if first == 0xCF else 0)
    if first == 0xCB and (zeros := ~number & _EXPONENT):  # one without which it could be a NaN
        return 1 << zeros.bit_length() - 1
    return 0
