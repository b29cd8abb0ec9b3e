"""A stage in memory, for providers without an archive."""

from qarchive.codec import decode, digest, encode
from qarchive.values import Link


class MemoryStage:
    """A stage that keeps the canonical bytes, and decodes what is asked for."""

    def __init__(self):
        self.blobs, self.keys, self.gaps, self.puts = {}, {}, [], []

    def put(self, kind, value, key=None):
        data = encode(value)
        self.blobs[digest(data)] = data
        self.puts.append(kind)
        if key is not None:
            self.keys[key] = digest(data)
        return Link(digest(data))

    def find(self, key):
        return Link(self.keys[key]) if key in self.keys else None

    def again(self, link):
        return link.digest in self.blobs

    def gap(self, what, reason):
        self.gaps.append((what, reason))

    def get(self, link):
        return decode(self.blobs[link.digest])
