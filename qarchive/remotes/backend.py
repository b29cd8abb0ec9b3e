"""What a remote must be able to do: list, read a part, put what is not there. Nothing is ever changed or removed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

MAX_OBJECTS = 1_000_000  # of a listing: more is no remote of anybody's


@dataclass(frozen=True, slots=True)
class Object:
    """A file of a remote, by its name in `packs/`; `size` in bytes, `modified` in ns since 1970, for an order alone."""

    name: str
    size: int
    modified: int


class Backend(Protocol):
    """One kind of storage. `url` names the remote in messages; it holds no credentials."""

    url: str

    def prepare(self) -> None:
        """Make what must be there before anything is put, once, when the remote is added. Raises BadInput, CannotWrite."""

    def objects(self) -> Iterator[Object]:
        """What is in `packs/`. Raises BadInput, Unreachable."""

    def read(self, name: str, start: int, length: int) -> bytes:
        """Bytes of an object; fewer where it ends before. Raises NotFound, BadInput, Unreachable."""

    def put(self, name: str, data: bytes) -> bool:
        """Put an object, whole or not at all, on the disk when this returns; False where one of this name is there, which stays.

        Raises BadInput, CannotWrite, Unreachable.
        """
