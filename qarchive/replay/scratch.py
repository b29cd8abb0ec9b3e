"""A stage from which nothing is ever written: what a call would record, so that it can be compared with what was."""

from typing import Any

from .. import codec, redact
from ..pack import Blob
from ..store import Store
from ..values import Link


class Scratch:
    """Blobs of a call, in memory. It has the interface of `stage.Stage`, but for commits."""

    def __init__(self, store: Store):
        self._store = store
        self._values: dict[bytes, bytes] = {}
        self._keys: dict[bytes, Link] = {}
        self.gaps: list[dict[str, str]] = []

    def put(self, kind: str, value: object, key: bytes | None = None) -> Link:
        """The link that a blob of this value has. Raises NotEncodable."""
        data = codec.encode(redact.tree(value), self._keep)
        link = self._keep(data)
        if key is not None:
            self._keys[key] = link
        return link

    def put_again(self, blob: Blob) -> Link:
        return self._keep(blob.data)

    def find(self, key: bytes) -> Link | None:
        """The blob with this key: of this call, else one that is archived, so that equal contents have equal links."""
        found = self._keys.get(key)
        if found is None:
            archived = self._store.index.digests_of_key(key)
            found = Link(archived[0]) if archived else None
        return found

    def again(self, link: Link) -> bool:
        """Whether `get` answers for this link."""
        return link.digest in self._values or bool(self._store.index.places(link.digest))

    def gap(self, what: str, reason: str) -> None:
        self.gaps.append({"what": what, "reason": reason})

    def conceal(self, *secrets: str | None) -> None:
        redact.learn(*secrets)

    def get(self, link: Link) -> Any:
        """The plain value of a blob, of this call or archived. Raises NotFound, Damaged."""
        data = self._values.get(link.digest)
        if data is None:
            return self._store.value(link.digest)
        return codec.decode(data, fetch=self._bytes_of)

    def _bytes_of(self, link: Link) -> bytes:
        return self._values.get(link.digest) or self._store.get(link.digest)

    def _keep(self, data: bytes) -> Link:
        digest = codec.digest(data)
        self._values[digest] = data
        return Link(digest)
