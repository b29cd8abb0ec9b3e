"""Curating: what people do to jobs that are archived already: tags and notes for many, removing, and listing again."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from . import labels, model, records
from .bundles import choosing
from .errors import Ambiguous, BadInput, Damaged, NotFound
from .exchange import Exchange
from .library import PREFIX_MIN
from .stage import Stage
from .values import Link

_MEASURED = 1_000  # jobs whose blobs are read to say how large they are


@dataclass(frozen=True)
class Removal:
    """What a removal takes out of the listings: jobs by id, and by name the groups that they are in, with how many of them each.

    `size` are the bytes, uncompressed, of all blobs that they refer to; those that other jobs refer to as well stay. None after
    the removal, and where the jobs are many, or one cannot be read.
    """

    jobs: list[str]
    groups: dict[str, int]
    size: int | None


class Curating(Exchange):
    """The part of an archive's facade that is about labels and removal."""

    def tag(self, references: Iterable[str] | str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> list[str]:
        """Give tags to jobs and take others away; the ids of the jobs that are changed by it. Written at once, or not at all.

        `references` name jobs, as `job` takes them, or groups by name or id. Raises NotFound, Ambiguous, BadInput, CannotWrite.
        """
        return self._label(references, lambda stage, job: labels.change(stage, job, add, remove))

    def note(self, references: Iterable[str] | str, text: str, author: str | None = None) -> list[str]:
        """Write something down about jobs; their ids. Otherwise as `tag`, and as a job's own `note`."""
        return self._label(references, lambda stage, job: labels.note(stage, job, text, author) or True)

    def _label(self, references: Iterable[str] | str, say) -> list[str]:
        self._recorder.settle()
        self._store.must_be_writable()
        named = [references] if isinstance(references, str) else list(references)
        jobs = choosing.chosen(self, named, {})[0] if named else []
        stage = Stage(self._store)
        told = [job.hex() for job in jobs if say(stage, job)]
        if told:
            stage.commit(durable=True)
        return told

    def remove(self, references: Iterable[str] | str = (), *, dry_run: bool = False, provider: str | None = None,
               backend: str | None = None, status: str | None = None, kind: str | None = None, tag: str | None = None,
               group: str | None = None, name: str | None = None, since: datetime | str | None = None,
               until: datetime | str | None = None) -> Removal:  # fmt: skip
        """Take jobs out of the listings: those that `references` name, as `job` takes them, and those that the filters of `jobs`
        find. With `dry_run` only what would be removed is said.

        It is this archive's affair alone. `restore` lists them again, until `gc` takes them out for good. Raises NotFound,
        Ambiguous, CannotWrite, and BadInput where nothing is said, or one is under way: then none is removed.
        """
        self._recorder.settle()
        self._store.must_be_writable()
        query = {"provider": provider, "backend": backend, "status": status, "kind": kind, "tag": tag, "group": group,
                 "name": name, "since": since, "until": until}  # fmt: skip
        query = {of: value for of, value in query.items() if value is not None}
        named = [references] if isinstance(references, str) else list(references)
        if not named and not query:
            raise BadInput("what to remove", "is not said", "name jobs, or give a filter")
        for reference in named:
            if choosing.named(self, reference):
                hint = f"`qarchive group delete {shlex.quote(reference)} --jobs` deletes it with its jobs"
                raise BadInput(reference, "is a group", hint)
        jobs, _ = choosing.chosen(self, named, query)
        groups, size = self._about_to_go(jobs, dry_run)
        if not dry_run:
            stage = Stage(self._store)
            for job in jobs:
                stage.record(records.removal_record(job=Link(job)))
            stage.commit(durable=True)
            self._store.index.refresh()
        return Removal([job.hex() for job in jobs], groups, size)

    def _about_to_go(self, jobs: list[bytes], measured: bool) -> tuple[dict[str, int], int | None]:
        """(the groups that jobs are in, the bytes of their blobs). Raises BadInput for one that is under way."""
        groups: dict[str, int] = {}
        blobs: dict[str, int] | None = {} if measured and len(jobs) <= _MEASURED else None
        for digest in jobs:
            job = self._job(digest)
            if job.status in model.OPEN:
                reason = f"is {job.status}, and nothing is removed"
                raise BadInput(f"job {job.id[:12]}", reason, "wait for its end, or `qarchive sync` asks how it stands")
            if job.row.group:
                groups[job.row.group] = groups.get(job.row.group, 0) + 1
            try:
                blobs = blobs if blobs is None else blobs | {digest: size for _, digest, size in job.blobs}
            except (Damaged, NotFound):
                blobs = None
        return groups, None if blobs is None else sum(blobs.values())

    def restore(self, reference: str) -> str:
        """List a job or a group again that was removed, by its id or the beginning of it, 4 digits or more; its id.

        Raises NotFound where none was, or `gc` has taken it out since; Ambiguous, CannotWrite.
        """
        self._recorder.settle()
        self._store.must_be_writable()
        fits = re.fullmatch(rf"[0-9a-fA-F]{{{PREFIX_MIN},64}}", reference)
        found = self._store.index.removed_with_prefix(reference.lower()) if fits else []
        undone = {}
        for subject in found:
            about = {digest: self._store.value(digest) for digest in self._store.index.records(subject)}
            if removals := records.open_removals(about):
                undone[subject] = removals, any(map(records.is_of_group, about.values()))
        if not undone:
            hint = f"give {PREFIX_MIN} or more digits of its id; what `qarchive gc` has taken out is gone"
            raise NotFound(f"a removed job or group {reference!r}", str(self.path), hint)
        if len(undone) > 1:
            raise Ambiguous(reference, [subject.hex()[:16] for subject in sorted(undone)[:10]])
        [(subject, (removals, is_group))] = undone.items()
        stage = Stage(self._store)
        about = "group" if is_group else "job"
        stage.record(records.restored_record(map(Link, removals), **{about: Link(subject)}))
        stage.commit(durable=True)
        self._store.index.refresh()
        return subject.hex()
