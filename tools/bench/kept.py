"""Jobs of the corpus prepared for being kept: their values as providers hand them to a stage, and as raw bytes for others."""

from collections.abc import Iterable
from typing import Any

import corpus

from qarchive.pack import Blob
from qarchive.stage import Stage
from qarchive.store import Store
from qarchive.values import Link


class Recording(Stage):
    """A stage that remembers what it was given."""

    def __init__(self, store: Store):
        super().__init__(store)
        self.given: list[Any] = []

    def put(self, kind: str, value: object, key: bytes | None = None) -> Link:
        self.given.append((kind, value, key))
        return super().put(kind, value, key)

    def put_again(self, blob: Blob) -> Link:
        self.given.append(blob)
        return Link(blob.digest)


def prepared(made: Iterable[corpus.Job], store: Store) -> list[list[Any]]:
    """What each job hands to its stage; `store` is that of no archive that is measured."""
    found = []
    for job in made:
        stage = Recording(store)
        job.stage(stage)
        found.append(stage.given)
    return found


def keep(store: Store, given: Iterable[list[Any]]) -> None:
    """Encode, hash and write jobs, one commit each, and have them on the disk in the end."""
    for values in given:
        stage = Stage(store)
        for value in values:
            stage.put_again(value) if type(value) is Blob else stage.put(*value)
        stage.commit(durable=False)
    store.flush()
