"""What is known of each blob while an archive is gone through: eleven bytes a blob, so that a million jobs fit into memory."""

from array import array
from bisect import bisect_left
from itertools import pairwise
from struct import Struct

REACHED, READ = 1, 2  # something refers to it; its own links were followed
_HALVES = Struct(">QQ")


class Marks:
    """Marks of blobs, by the first 16 bytes of their digests, and the number of the device that each has to do with.

    First all blobs are added; then, once they are frozen, they have places in `bits` and `devices`.
    """

    def __init__(self):
        self.bits = bytearray()
        self.devices = array("H")
        self._halves = [array("Q") for _ in range(256)]  # by the first byte, so that only a part is sorted at once
        self._starts: list[int] = []
        self._twins: dict[int, list[int]] = {}  # second halves where several have the first one in common

    def add(self, digest: bytes) -> None:
        self._halves[digest[0]].extend(_HALVES.unpack_from(digest))

    def freeze(self) -> None:
        size = 0
        for i, halves in enumerate(self._halves):
            pairs = sorted(set(zip(halves[::2], halves[1::2], strict=True)))
            for (first, one), (same, other) in pairwise(pairs):
                if first == same:
                    self._twins.setdefault(first, [one]).append(other)
            self._halves[i] = array("Q", [first for first, _ in pairs])
            self._starts.append(size)
            size += len(pairs)
        self.bits, self.devices = bytearray(size), array("H", bytes(2 * size))

    def place(self, digest: bytes) -> int | None:
        """Where the marks of a blob are; None where it was not added."""
        first, second = _HALVES.unpack_from(digest)
        heads = self._halves[digest[0]]
        at = bisect_left(heads, first)
        if at == len(heads) or heads[at] != first:
            return None
        if first in self._twins:
            tails = self._twins[first]
            if second not in tails:
                return None
            at += tails.index(second)
        return self._starts[digest[0]] + at

    def clear(self, bit: int) -> None:
        """Take one mark from all."""
        self.bits = self.bits.translate(bytes(value & ~bit for value in range(256)))
