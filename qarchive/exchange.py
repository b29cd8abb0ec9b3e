"""What an archive gives to others, takes from them, and says to papers: bundles, remotes, seals, signatures, citations."""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from . import config
from .bundles import adopting, choosing, merging, writing
from .bundles.selection import select
from .catalog import Progress
from .errors import BadInput, SameName
from .groups.group import Group
from .index import GroupRow
from .job import Job
from .library import Library
from .values import Timestamp

if TYPE_CHECKING:
    from .provenance.audit import Item
    from .provenance.signatures import Signature
    from .provenance.subject import Subject
    from .remotes.directory import Directory
    from .remotes.pulling import Pulled
    from .remotes.pushing import Pushed


class Exchange(Library):
    """The half of an archive's facade that is about other people."""

    # Sharing

    def export(self, path: str | os.PathLike, references: Iterable[str] = (), *, provider: str | None = None,
               backend: str | None = None, status: str | None = None, kind: str | None = None, tag: str | None = None,
               group: str | None = None, name: str | None = None, since: datetime | str | None = None,
               until: datetime | str | None = None,
               author: str | None = None, orcid: str | None = None, licence: str | None = None, thin: str | None = None,
               force: bool = False, progress: Progress | None = None) -> writing.Written:  # fmt: skip
        """Write jobs and groups into one file, a bundle, with all that they refer to.

        `references` name jobs, as `job` takes them, or groups by name or id; the filters are those of `jobs`. Without either it
        is the whole archive. `author`, `orcid` and `licence` are said in the bundle, and
        default to the settings. With `thin`, the name of a remote, what that holds is left out. Removals stay here. Raises
        NotFound, Ambiguous, BadInput (a credential was found; the file is there, unless `force`), CannotWrite, Damaged,
        Unreachable.
        """
        self._recorder.settle()
        query = {"provider": provider, "backend": backend, "status": status, "kind": kind, "tag": tag, "group": group,
                 "name": name, "since": since, "until": until}  # fmt: skip
        jobs, groups = choosing.chosen(self, references, {of: value for of, value in query.items() if value is not None})
        if thin is None:
            selection = select(self._store, jobs, groups, progress=progress)
        else:
            directory = self._remote(thin)
            directory.refresh()
            directory.load()
            selection = select(self._store, jobs, groups, directory.holds, progress)
        first = writing.manifest(self.id, Timestamp.now(), **config.authorship(author=author, orcid=orcid, licence=licence))
        size = writing.write(Path(path), self._store, selection, first, force, progress)
        return writing.Written(str(path), len(selection.jobs), len(selection.groups), selection.blobs, selection.size, size,
                               selection.omitted)  # fmt: skip

    def import_(self, path: str | os.PathLike, progress: Progress | None = None) -> adopting.Taken:
        """Take in a bundle, once every byte of it was checked: union with what is here; again, or in another order, is the same.

        What came from elsewhere keeps its origin, and never changes a result of this archive's own. Jobs in it that were removed
        here come back. Raises BadInput, Damaged, NewerFormat, CannotWrite; then the archive is as it was.
        """
        self._recorder.settle()
        return adopting.adopt(self._store, Path(path), progress)

    def merge(self, path: str | os.PathLike, progress: Progress | None = None) -> adopting.Taken:
        """Take in all that another archive holds: its folder, which is only read, or a bundle. Its removals stay there.

        Raises NoArchive and what `import_` raises.
        """
        self._recorder.settle()
        if Path(path).is_file():
            return adopting.adopt(self._store, Path(path), progress)
        return merging.merge(self._store, Path(path), progress)

    # Remotes

    def remotes(self) -> dict[str, str]:
        """The remotes that this archive knows: URLs by name."""
        from .remotes import named  # most archives have none

        return {} if self.path.is_file() else named.read(self.path)  # a bundle has none

    def add_remote(self, name: str, url: str) -> str:
        """Know a remote by a name: a folder (made where there is none), `file:///folder`, or `s3://bucket/prefix`; its URL.

        Of S3 `?endpoint=https://...`, `&region=...` and `&anonymous=1` may follow. Credentials are those of the environment
        and are never kept. Raises BadInput, CannotWrite, MissingExtra.
        """
        from .remotes import named

        self._store.must_be_writable()
        return named.add(self.path, name, url)

    def remove_remote(self, name: str) -> str:
        """Forget a remote, and leave what it holds as it is; its URL. Raises NotFound."""
        from .remotes import named

        self._store.must_be_writable()
        return named.remove(self.path, name)

    def push(self, remote: str | None = None, references: Iterable[str] = (), progress: Progress | None = None) -> "Pushed":
        """Send to a remote what it lacks of these jobs and groups, or of the whole archive.

        Without a name it is the only remote there is. Safe to break off, and to run several times at once: the next push goes on,
        and nothing is sent that is there. Removals stay here. Raises NotFound, Ambiguous, BadInput (a credential was found: then
        nothing is sent), CannotWrite, Unreachable, Damaged, MissingExtra.
        """
        from .remotes.pushing import push

        self._recorder.settle()
        directory = self._remote(remote)
        jobs, groups = choosing.chosen(self, references, {})
        return push(self._store, directory, jobs, groups, progress)

    def pull(self, remote: str | None = None, progress: Progress | None = None) -> "Pulled":
        """Take in what a remote holds and this archive does not, once every byte of it was checked; pack by pack.

        Safe to break off: what was taken stays. Jobs that were removed here come back only where the remote has new records of
        them. A pack that is not right is left out, the others are taken, and then its error is raised. Raises NotFound, BadInput,
        Damaged, NewerFormat, Unreachable, CannotWrite, MissingExtra.
        """
        from .remotes.pulling import pull

        self._recorder.settle()
        return pull(self._store, self._remote(remote), progress)

    def fetch_from(self, remote: str | None, job: str) -> Job:
        """Take one job from a remote, by its id or a unique beginning of it, with all that it refers to; the rest is not moved.

        Raises NotFound, Ambiguous, BadInput, Damaged, NewerFormat, Unreachable, CannotWrite, MissingExtra.
        """
        from .remotes.fetching import fetch

        self._recorder.settle()
        return self._job(fetch(self._store, self._remote(remote), job)[0])

    def _remote(self, name: str | None) -> "Directory":
        from .remotes import named
        from .remotes.directory import Directory

        self._store.must_be_writable()
        return Directory(named.find(self.path, name), self._store)

    # Provenance

    def subject(self, reference: str) -> "Subject":
        """The job, or the group and its jobs, that `reference` names: a group by its name or id, else a job as `job` takes it,
        else the one group whose id begins so (4 or more digits).

        Raises NotFound, Ambiguous.
        """
        from .provenance.subject import Subject

        self._recorder.settle()
        rows = choosing.named(self, reference)
        if len(rows) > 1 and rows[0].archive != self.id:
            raise self._same_name(reference, rows)
        if not rows:
            job = self.job(reference)
            return Subject(job.id, (job,), self.id)
        jobs = tuple(self._job(member.id) for member in Group(self, rows[0]).members())
        return Subject(rows[0].id.hex(), jobs, self.id, rows[0].name)

    def sign(self, reference: str, key: str | os.PathLike | None = None) -> list[Job]:
        """Sign the seal of a job, or of each job of a group that has ended, with an SSH key; the jobs.

        `key` is a file with a private key, or with the public one of a key that ssh-agent holds; without one it is the user's own
        in ~/.ssh. A signature says who had the data and that it has not changed since, not that a device produced it. Raises
        NotFound, NotFinished, BadInput, CannotWrite.
        """
        from .provenance import signatures

        file = signatures.default_key() if key is None else Path(key).expanduser()
        jobs = self.subject(reference).ended
        for job in jobs:
            signatures.put(self._store, job, bytes.fromhex(job.seal), file)
        return [self._job(bytes.fromhex(job.id)) for job in jobs]

    def signatures(self, reference: str, allowed_signers: str | os.PathLike | None = None) -> "dict[Job, list[Signature]]":
        """The signatures of a job, or of each job of a group, each checked against the seals that the job has.

        `allowed_signers` is a file as `ssh-keygen` reads it; without one it is `allowed_signers` beside the settings, where there
        is one. Raises NotFound, BadInput, Damaged.
        """
        from .provenance import signatures

        allowed = signatures.default_allowed() if allowed_signers is None else Path(allowed_signers).expanduser()
        return {job: signatures.found_at(job, allowed) for job in self.subject(reference).jobs}

    def cite(self, reference: str, style: str = "bibtex", *, title: str | None = None, author: str | None = None,
             orcid: str | None = None, licence: str | None = None) -> str:  # fmt: skip
        """How a job or a group is cited: "bibtex", "cff" (CITATION.cff) or "text". It holds the seal.

        Author, ORCID and licence are those of the settings unless they are given, and left out where there are none; a
        CITATION.cff needs an author. Raises NotFound, NotFinished, BadInput, Damaged.
        """
        from .provenance import cite
        from .provenance.subject import Attribution

        return cite.styled(cite.of(self.subject(reference), Attribution.of(author, orcid, licence), title), style)

    def audit(self, reference: str) -> "list[Item]":
        """Which of the sixteen things that make a job reproducible are there, and why not the others. Raises NotFound."""
        from .provenance.audit import audit
        from .provenance.subject import Attribution

        return audit(self.job(reference), Attribution.of())

    def crate(self, path: str | os.PathLike, references: Iterable[str], *, bundle: str | os.PathLike | None = None,
              title: str | None = None, author: str | None = None, orcid: str | None = None, licence: str | None = None
              ) -> list[Job]:  # fmt: skip
        """Write jobs and groups that have ended as an RO-Crate (Process Run Crate 0.5) to a new folder or `.zip` file; the jobs.

        `bundle` is a file that goes into it, such as `export` writes. Raises NotFound, NotFinished, BadInput, CannotWrite,
        Damaged.
        """
        from .provenance import crate
        from .provenance.subject import Attribution

        subjects = [self.subject(each) for each in ([references] if isinstance(references, str) else references)]
        if not subjects:
            raise BadInput("a crate", "holds at least one job", "name jobs or groups")
        jobs = tuple({job: None for subject in subjects for job in subject.ended})
        if bundle is not None and not Path(bundle).is_file():
            raise BadInput(str(bundle), "is no file")
        title = title or ", ".join(subject.group or f"Job {subject.id[:12]}" for subject in subjects)
        by = Attribution.of(author, orcid, licence)
        crate.write(Path(path), crate.Crate(title, jobs, by, None if bundle is None else Path(bundle)))
        return list(jobs)

    def _same_name(self, name: str, rows: list[GroupRow]) -> SameName:
        origins = [None if row.archive == self.id else row.archive for row in rows[:10]]
        return SameName(name, len(rows), [row.id.hex() for row in rows[:10]], origins, "give the id of one")
