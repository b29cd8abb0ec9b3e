"""Shapes: how values differ that are written by one line of code. Whoever fits a shape of a value that was decoded is canonical.

Decoding a small map takes fifty times longer than to hash it. But the records of a million jobs have a few thousand shapes: the
same bytes but for digests, times, numbers, letters, and the bytes of arrays and byte strings of the same length, none of which
can make canonical bytes others, nor a right record a wrong one.
"""

from collections.abc import Collection
from dataclasses import dataclass

import msgpack

from . import codec

LONGEST = 4096  # bytes of a value that are not left out
_FREE = 64  # bytes of a byte string or an array that are left out: fewer are quicker looked at with the others
_FIRST = 32  # shapes that are learned before one was of use
_EACH = 4  # uses for which one more is learned: to learn one takes about as long as to decode one
_OF_LENGTH = 24  # shapes of one length; to look at more of them takes longer than to decode
_MOST = 16 << 20  # bytes of all shapes
_TOKENS = 200  # values inside one value; to look at more of them takes longer than to decode them

_SIZES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xCA: 4, 0xCB: 8}
_EXT_SIZES = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_KEPT = frozenset({b"type"})  # keys whose values say what else must be there
_LINK = b"\xc7\x20\x09"  # what stands before the digest in a link
_BOOLEANS = b"\xa3|b1"  # how arrays begin whose bytes are not free


@dataclass(frozen=True, slots=True)
class Shape:
    """What values of one shape have in common.

    `pieces` are the bytes that are looked at, None for all. In them, as one number, the bits of `mask` are `bits`. `leads` are
    the places (from, to) of bytes that must not all be nought, so that a number is still written in the shortest form, and
    `floats` those of the first bytes of floats, which are no NaN. `at` are the places of links; the one of number `about` says
    what a record is about, itself where that is -1. `local` records are of types that must not come from elsewhere. The wanted
    fields of a map stand in `fields`, and `head` stands before them when they are alone.
    """

    pieces: tuple[slice, ...] | None
    mask: int
    bits: int
    leads: tuple[slice, ...]
    floats: tuple[int, ...]
    at: tuple[slice, ...]
    about: int
    local: bool
    head: bytes
    fields: tuple[slice, ...]

    def links(self, encoded: bytes) -> list[bytes]:
        """The digests that a value of this shape links to."""
        return [encoded[place] for place in self.at]

    def cut(self, encoded: bytes) -> bytes:
        """A map of the wanted fields of a value of this shape, as msgpack."""
        return self.head + b"".join([encoded[field] for field in self.fields])

    def fits(self, encoded: bytes) -> bool:
        """Whether a value, as long as the one that was learned, has this shape."""
        seen = encoded if self.pieces is None else b"".join([encoded[piece] for piece in self.pieces])
        if int.from_bytes(seen, "little") & self.mask != self.bits:
            return False
        for place in self.leads:
            if not any(encoded[place]):
                return False
        return all(encoded[place] & 0x7F != 0x7F for place in self.floats)


class Shapes:
    """Shapes of values that were found to be right, by their length. `wanted` are keys of maps, of which the fields are to be
    cut out."""

    def __init__(self, wanted: Collection[str] = ()):
        self._wanted = frozenset(key.encode() for key in wanted)
        self._known: dict[int, list[Shape]] = {}
        self._met: set[int] = set()  # lengths of which a value was met
        self._learned = self._used = self._size = 0

    def find(self, encoded: bytes) -> Shape | None:
        """The shape of a value, where it has one that was learned."""
        known = self._known.get(len(encoded))
        if known is not None:
            for number, shape in enumerate(known):
                if shape.fits(encoded):
                    self._used += 1
                    if number:
                        known[0], known[number] = shape, known[0]
                    return shape
        return None

    def learn(self, encoded: bytes, about: bytes | None = None, local: bool = False) -> None:
        """Know values of this shape from now on. `encoded` was decoded, and found to be right; a record is about what the link
        under the key `about` says, or about itself."""
        known = self._known.get(len(encoded), ())
        if len(encoded) not in self._met:  # a length that comes once is most often that of a large value
            self._met.add(len(encoded))
            return
        if len(known) >= _OF_LENGTH or self._learned >= _FIRST + self._used // _EACH or self._size > _MOST:
            return
        self._learned += 1
        shape = _Walk(encoded, self._wanted).shape(about, local)
        if shape is not None:
            self._size += shape.mask.bit_length() >> 2
            self._known.setdefault(len(encoded), []).append(shape)


class _Walk:
    """One way through the bytes of a canonical value, from token to token."""

    def __init__(self, encoded: bytes, wanted: Collection[bytes]):
        self.encoded, self.at, self.tokens = encoded, 0, 0
        self.wanted = wanted
        self.fields: list[slice] = []
        self.mask = bytearray(b"\xff") * len(encoded)
        self.free: list[tuple[int, int]] = []  # (from, to) of what is left out
        self.leads: list[slice] = []
        self.floats: list[int] = []
        self.links: list[slice] = []
        self.under: dict[bytes, int] = {}  # which links stand directly under keys of the outermost map

    def shape(self, about: bytes | None, local: bool) -> Shape | None:
        """None where links stand in what must not differ, or there is too much to look at."""
        try:
            self._value(kept=False, outermost=True)
        except _TooLargeError:
            return None
        encoded, pieces, at = self.encoded, [], 0
        for start, stop in self.free:
            pieces.append(slice(at, start))
            at = stop
        pieces.append(slice(at, len(encoded)))
        mask = int.from_bytes(b"".join([self.mask[piece] for piece in pieces]), "little")
        seen = b"".join([encoded[piece] for piece in pieces])
        if len(seen) > LONGEST or len(self.links) != len(codec.mentioned(encoded)):
            return None
        bits = int.from_bytes(seen, "little") & mask
        return Shape(tuple(pieces) if self.free else None, mask, bits, tuple(self.leads), tuple(self.floats), tuple(self.links),
                     self.under[about] if about else -1, local, msgpack.Packer().pack_map_header(len(self.fields)),
                     tuple(self._joined()))  # fmt: skip

    def _joined(self) -> list[slice]:
        """Where the wanted fields are, those that stand side by side as one."""
        joined: list[slice] = []
        for field in self.fields:
            start = joined.pop().start if joined and joined[-1].stop == field.start else field.start
            joined.append(slice(start, field.stop))
        return joined

    def _exactly(self, size: int) -> bytes:
        self.at += size
        return self.encoded[self.at - size : self.at]

    def _free(self, size: int, kept: int = 0) -> None:
        """The next bytes may be any others, but for the bits `kept` of each."""
        self.mask[self.at : self.at + size] = bytes([kept]) * size
        if size >= _FREE and not kept:
            self.free.append((self.at, self.at + size))
        self.at += size

    def _length(self, size: int) -> int:
        return int.from_bytes(self._exactly(size), "big")

    def _value(self, kept: bool, outermost: bool = False) -> None:
        self.tokens += 1
        if self.tokens > _TOKENS:
            raise _TooLargeError
        first = self.encoded[self.at]
        if first < 0x80:
            self._free(1, 0xFF if kept else 0x80)
            return
        self.at += 1
        if first <= 0x8F or first in (0xDE, 0xDF):
            self._map(first & 15 if first <= 0x8F else self._length(2 if first == 0xDE else 4), outermost)
        elif first <= 0x9F or first in (0xDC, 0xDD):
            for _ in range(first & 15 if first <= 0x9F else self._length(2 if first == 0xDC else 4)):
                self._value(kept)
        elif first <= 0xBF or 0xD9 <= first <= 0xDB:
            size = first & 31 if first <= 0xBF else self._length(1 << (first - 0xD9))
            if kept or not self.encoded[self.at : self.at + size].isascii():
                self.at += size
            else:
                self._free(size, 0x80)
        elif 0xC4 <= first <= 0xC6:
            size = self._length(1 << (first - 0xC4))
            self._free(size, 0xFF if kept else 0)
        elif first in _SIZES:
            self._number(first, _SIZES[first], kept)
        elif first in _EXT_SIZES:
            self._ext(_EXT_SIZES[first], kept)
        elif 0xC7 <= first <= 0xC9:
            self._ext(self._length(1 << (first - 0xC7)), kept)

    def _number(self, first: int, size: int, kept: bool) -> None:
        """A number keeps its form, and so its length; of those below nought all bytes."""
        if first == 0xCB and not kept:
            self._float()
        elif 0xCC <= first <= 0xCF and not kept:
            if size > 1:
                self.leads.append(slice(self.at, self.at + size // 2))
            self._free(1, 0x80 if size in (1, 8) else 0)  # its first bit: that it is needed, or that 63 are enough
            self._free(size - 1)
        else:
            self.at += size

    def _float(self) -> None:
        if self.encoded[self.at] & 0x7F == 0x7F:  # it may be NaN
            self.at += 8
            return
        self.floats.append(self.at)
        self._free(8)

    def _map(self, size: int, outermost: bool) -> None:
        for _ in range(size):
            start = self.at
            self._value(kept=True)
            key = self.encoded[start + 1 : self.at]
            links = len(self.links)
            if outermost and self.encoded.startswith(_LINK, self.at):
                self.under[key] = links
            self._value(kept=key in _KEPT)
            if outermost and key in self.wanted:
                self.fields.append(slice(start, self.at))

    def _ext(self, size: int, kept: bool) -> None:
        [code] = self._exactly(1)
        end = self.at + size
        if code == codec.LINK and not kept:
            self.links.append(slice(self.at, end))
            self._free(size)
        elif code == codec.TIMESTAMP and not kept:
            self._free(size)
        elif code == codec.COMPLEX and not kept:
            self._float()
            self._float()
        elif code == codec.TYPED and not kept:
            self.at += 1
            self._value(kept=True)  # the tag
            self._value(kept=False)
        elif code == codec.TUPLE and not kept:
            self._value(kept=False)
        elif code == codec.ARRAY and not kept:
            self._array(end)
        else:
            self.at = end  # what must be in order, distinct or of a declared size

    def _array(self, end: int) -> None:
        self.at += 1
        dtype = self.at
        self._value(kept=True)
        booleans = self.encoded.startswith(_BOOLEANS, dtype)
        self._value(kept=True)  # its shape
        self._value(kept=booleans)
        self.at = end


class _TooLargeError(Exception):
    """More is to be walked through than is of use; nobody outside sees this."""
