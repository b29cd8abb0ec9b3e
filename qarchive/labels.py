"""Labels: tags and notes that people give to jobs after the fact, as records beside what was recorded."""

from collections.abc import Iterable
from dataclasses import dataclass

from . import config, model, records
from .errors import BadInput
from .stage import Stage
from .store import Store
from .values import Link, Timestamp


@dataclass(frozen=True)
class Note:
    """What somebody wrote about a job. `author` is empty where nobody is named; `foreign` says that it came from another
    archive."""

    text: str
    author: str
    created: Timestamp
    foreign: bool


class Labelled:
    """What a job can be told by people, and says of it."""

    _store: Store
    _digest: bytes
    folded: model.Folded

    @property
    def tags(self) -> list[str]:
        """The tags that it has now: those of the context in which it ran, and what `tag` and `untag` have changed since."""
        return list(self.folded.tags)

    @property
    def notes(self) -> list[Note]:
        """What was written down about it, the oldest first."""
        _, foreign = self._store.index.records_by_origin(self._digest)
        found = [(record["created"], digest, record) for digest, record in self.folded.others
                 if record["type"] == "annotation" and record.get("text")]  # fmt: skip
        return [Note(record["text"], record.get("author", ""), created, digest in foreign)
                for created, digest, record in sorted(found, key=lambda each: each[:2])]  # fmt: skip

    def tag(self, *tags: str) -> None:
        """Give the job tags; one that it has already stays as it is. Raises BadInput, CannotWrite."""
        self._told(lambda stage: change(stage, self._digest, add=tags))

    def untag(self, *tags: str) -> None:
        """Take tags away; one that it has not is no error. Raises BadInput, CannotWrite.

        One that somebody gives at the same time in a copy of the archive stays when the two are merged.
        """
        self._told(lambda stage: change(stage, self._digest, remove=tags))

    def note(self, text: str, author: str | None = None) -> None:
        """Write something down about the job, for good. Without an author it is the one of the settings, if any is set.

        Raises BadInput, CannotWrite.
        """
        self._told(lambda stage: note(stage, self._digest, text, author))

    def _told(self, say) -> None:
        self._store.must_be_writable()
        stage = Stage(self._store)
        say(stage)
        stage.commit(durable=True)
        self._forget()

    def _forget(self) -> None:
        """Read all of it again when it is asked for."""
        raise NotImplementedError


def change(stage: Stage, job: bytes, add: Iterable[str] = (), remove: Iterable[str] = ()) -> bool:
    """Stage that a job gets tags and loses others; whether anything changes by it.

    Raises BadInput for what cannot be a tag, and for one that is both added and removed.
    """
    add, remove = ([checked(tag) for tag in tags] for tags in (add, remove))
    if both := sorted({*add} & {*remove}):
        raise BadInput(f"the tag {both[0]!r}", "is to be added and removed", "say one of them")
    digests, foreign = stage.store.index.records_by_origin(job)
    given = model.givers(job, {digest: stage.store.value(digest) for digest in digests}, foreign)
    new = {*add} - {tag for tag, _ in given}
    gone: dict[str, list[Link]] = {}
    for tag, digest in given:
        if tag in remove:
            gone.setdefault(tag, []).append(Link(digest))
    if new or gone:
        stage.record(records.annotation_record(job=Link(job), tags=new, untagged=gone))
    return bool(new or gone)


def checked(tag: object) -> str:
    """A tag as records hold it. Raises BadInput."""
    if not isinstance(tag, str) or not tag.strip():
        raise BadInput("a tag", "is empty" if isinstance(tag, str) else f"cannot be {tag!r}", "give a word")
    text = records.plain_text(tag)
    if found := records.obeyed(text):
        raise BadInput("a tag", f"is {found}", "leave it out")
    return text


def note(stage: Stage, job: bytes, text: object, author: str | None = None) -> None:
    """Stage a note about a job. Without an author it is the one of the settings, if any. Raises BadInput."""
    if not isinstance(text, str) or not text.strip():
        raise BadInput("a note", "is empty" if isinstance(text, str) else f"cannot be {text!r}", "give a sentence")
    written = config.authorship(author=author).get("author")
    stage.record(records.annotation_record(job=Link(job), text=text.strip(), author=written))
