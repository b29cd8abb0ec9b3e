"""Sets of digests that are as large as an archive."""

from array import array

_KEPT = 9  # bytes of a digest
_SLACK = 1 << 13  # bytes that a part grows by before it is made compact


class Digests:
    """A set of digests in 8 bytes each instead of 110. Of each its first 72 bits are kept: two of a billion digests are the same
    in them once in nine thousand archives."""

    def __init__(self):
        self._parts = [bytearray() for _ in range(256)]  # by the first byte
        self._compact = [0] * 256  # bytes of each part when it was last made compact

    def add(self, digests: bytes) -> None:
        """Add digests, one behind the other."""
        parts = self._parts
        for at in range(0, len(digests), 32):
            parts[digests[at]] += digests[at + 1 : at + _KEPT]
        for number, part in enumerate(parts):
            if len(part) > self._compact[number] * 3 // 2 + _SLACK:
                parts[number] = bytearray(array("Q", _distinct(part)))
                self._compact[number] = len(parts[number])

    def __len__(self) -> int:
        return sum(len(_distinct(part)) for part in self._parts)

    def __contains__(self, digest: bytes) -> bool:
        part, asked, at = self._parts[digest[0]], digest[1:_KEPT], -1
        while (at := part.find(asked, at + 1)) >= 0:
            if at % 8 == 0:
                return True
        return False

    def without(self, other: "Digests") -> set[bytes]:
        """The first bytes of those that are not in another set."""
        found = set()
        for number, (mine, others) in enumerate(zip(self._parts, other._parts, strict=True)):
            left = _distinct(mine) - _distinct(others) if mine else ()
            found.update(bytes((number,)) + array("Q", (item,)).tobytes() for item in left)
        return found


def beginning(digest: bytes) -> bytes:
    """What is kept of a digest."""
    return digest[:_KEPT]


def _distinct(part: bytearray) -> set[int]:
    found = array("Q")
    found.frombytes(part)
    return set(found)
