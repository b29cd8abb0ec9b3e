"""The stage: what one commit will bring, gathered in memory. Providers put values here and never see a disk."""

from . import codec, records, redact
from .errors import NotEncodable
from .pack import RECORD, Blob
from .store import Store
from .values import Link

# Payloads in a provider's own format, and numbers: hardly anybody's text, where only known credentials are looked for.
_OPAQUE = frozenset({"circuit", "qpy", "noise", "chunk"})
_LONG = 16 << 10  # bytes; longer values are numbers for the most part, and searching their bytes costs more than the exact look


class Stage:
    """Blobs and gaps on their way into a store. Used by one thread."""

    def __init__(self, store: Store):
        self.store = store
        self.blobs: dict[bytes, Blob] = {}
        self.gaps: list[dict[str, str]] = []
        self._keys: dict[bytes, bytes] = {}

    def put(self, kind: str, value: object, key: bytes | None = None) -> Link:
        """Keep `value` as a blob of its own, without its credentials. Raises NotEncodable."""
        data = codec.encode(value, self._spill)
        if kind in _OPAQUE:
            if redact.holds_known(data):
                raise NotEncodable("it holds a credential")
        elif len(data) > _LONG or redact.suspects(data):
            clean = redact.tree(value)
            if clean is not value:
                self.gap(kind, "a credential was removed")
                data = codec.encode(clean, self._spill)
        digest = codec.digest(data)
        self.blobs[digest] = Blob(kind, digest, data, key)
        if key is not None:
            self._keys[key] = digest
        return Link(digest)

    def find(self, key: bytes) -> Link | None:
        """The blob that was put with this key, here or in an earlier run."""
        digest = self._keys.get(key) or self.store.find_key(key)
        return Link(digest) if digest else None

    def again(self, link: Link) -> bool:
        """Whether the next commit can refer to this blob without bringing it along."""
        return link.digest in self.blobs or self.store.may_omit(link.digest)

    def gap(self, what: str, reason: str) -> None:
        """Say that `what` is not in the archive, and why."""
        self.gaps.append({"what": records.plain_text(what), "reason": redact.text(records.plain_text(reason))})

    def conceal(self, *secrets: str | None) -> None:
        """Never store these texts, in this or any later stage of the process."""
        redact.learn(*secrets)

    def put_again(self, blob: Blob) -> Link:
        """Keep a blob that was made before and does not change; it costs nothing where the archive has it."""
        if not self.again(Link(blob.digest)):
            self.blobs[blob.digest] = blob
        return Link(blob.digest)

    def record(self, record: dict) -> Link:
        """Keep a record. Its digest is its name."""
        return self.put(RECORD, record)

    def commit(self, durable: bool) -> None:
        """Write everything put so far. Raises CannotWrite, and then it is all still here."""
        self.store.commit(list(self.blobs.values()), durable)

    def _spill(self, piece: bytes) -> Link:
        """Commit one piece of a long byte string at once, so that only one is ever in memory."""
        digest = codec.digest(piece)
        self.store.commit([Blob("chunk", digest, piece)], durable=False)
        return Link(digest)
