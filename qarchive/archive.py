"""The facade: an archive as its user sees it."""

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import check, clouds, codec, config, entries, membership, pack, records, scope
from .bundles import reading
from .calibration import Calibration
from .catalog import Progress
from .curating import Curating
from .errors import BadInput, NotFound
from .groups.group import Group
from .identity import MARKER
from .index import Query
from .job import Job
from .library import Way, moment_of
from .providers.base import Cloud
from .repacking import Repacked, repack
from .repair import Repaired, repair
from .stage import Stage
from .store import Store
from .values import Link

if TYPE_CHECKING:
    from .comparing.bundles import BundlesDiff
    from .comparing.jobs import Diff


def open(path: str | os.PathLike | None = None, *, on_error: str | None = None, create: bool = True) -> "Archive":
    """The archive in `path`, made where there is none yet unless `create` is False; or a bundle, which is only read.

    Without a path: $QARCHIVE, the nearest `.qarchive/`, the config file's, or a folder for this user's data, in this order.
    `on_error` is "warn" (the default: a run that cannot be recorded goes on, with a warning) or "raise" (nothing is run
    that cannot be recorded). Raises NoArchive, BadInput, CannotWrite, Damaged, NewerFormat.
    """
    folder, _ = config.locate(path)
    if folder.is_file():
        return Archive(reading.Reading(folder), "raise")
    if create and not (folder / MARKER).exists():
        try:
            return Archive(Store.create(folder), on_error)
        except BadInput:
            if not (folder / MARKER).exists():  # else another process has made it meanwhile
                raise
    return Archive(Store.open(folder), on_error)


def diff_bundles(one: str | os.PathLike, other: str | os.PathLike, level: float = 0.01) -> "BundlesDiff":
    """What two bundles have not alike: their jobs in pairs, each compared as by `Archive.diff`, and those that only one has.

    Jobs are paired by id, and of the others those of the same input, configuration and backend, in order. The level holds for
    all pairs together. `.differs`, `.pairs`, `.only_one` and `.only_other` say what was found. Raises BadInput, NoArchive,
    Damaged, NewerFormat.
    """
    from .comparing import bundles  # listings compare nothing

    return bundles.diff(open(one, create=False), open(other, create=False), level)


class Archive(Curating):
    """Jobs in one folder. One instance serves many threads and survives a fork; it may be closed, and used as a context."""

    def __init__(self, store: Store, on_error: str | None = None):
        on_error = on_error or config.read().get("on_error", "warn")
        config.check("on_error", on_error)
        super().__init__(store, on_error)

    # Recording

    def wrap(self, native: Any) -> Any:
        """An object with the interface of `native` (a backend, a primitive, a service) whose every execution is archived.

        Raises BadInput for what no provider knows, for what is replayed, and for an IBMBackend: its SDK would run it elsewhere,
        unseen.
        """
        from .providers import registry  # looking needs no entry points, and reading those costs more than a listing
        from .replay.player import refuse_replayed

        refuse_replayed(native)
        return registry.owner(native).wrap(native, Way(self))

    def record(self, native_job: Any) -> Job:
        """Archive an SDK job, running or finished; twice is once, and one that a replay returned is the archived one.

        Raises BadInput, CannotWrite.
        """
        from .providers import registry

        archived = getattr(native_job, "archived", None)
        if isinstance(archived, Job) and self._store.index.row(bytes.fromhex(archived.id)) is not None:
            return self._job(bytes.fromhex(archived.id))
        return self._job(self._recorder.record(registry.owner(native_job), native_job).digest)

    def context(self, *, group: str | None = None, tags: Iterable[str] = (), params: Mapping[str, Any] | None = None
                ) -> AbstractContextManager:  # fmt: skip
        """Labels for the executions inside a `with` block; inner ones add to outer ones, an inner group replaces."""
        if isinstance(tags, str):
            raise BadInput("tags", "is one text", "give a list of tags")
        tags, params = tuple(tags), dict(params or {})
        for what, texts in (("tags", tags), ("params", params), ("group", () if group is None else (group,))):
            for text in texts:
                if not isinstance(text, str):
                    raise BadInput(what, f"holds {text!r}, which is no text", "give text")
                if found := records.obeyed(records.plain_text(text)):
                    raise BadInput(what, f"holds {found}", "leave it out")
        changes = {
            "tags": tuple(map(records.plain_text, tags)),
            "params": {records.plain_text(name): params[name] for name in params},
        }
        codec.encode(changes["params"])  # what cannot be stored is refused here, not in the middle of a run
        return scope.within(**changes, **({"group": records.plain_text(group)} if group is not None else {}))

    def paused(self) -> AbstractContextManager:
        """Nothing is archived inside a `with` block. For one run: `backend.run(..., archive=False)`."""
        return scope.within(paused=True)

    def replay(self, native: Any = None, *, mode: str = "only", match: str = "exact", failures: bool = False,
               group: str | None = None, tag: str | None = None, provider: str | None = None, backend: str | None = None,
               kind: str | None = None, since: datetime | str | None = None, until: datetime | str | None = None
               ) -> Any:  # fmt: skip
        """An SDK's object that answers from this archive: executions, jobs, results, devices. No network, no credentials.

        `native` is a backend, a primitive, a processor, a client; or the name of a cloud's provider ("ibm", "pasqal"), whose
        client is then made. What comes back has its interface. Without `native` it is a context: all that is executed inside a
        `with` block, in this process, is answered, and so are clients that are made there as their SDK documents it.

        The other arguments choose the jobs that answer, as `jobs` does; only those that have ended with a result, unless
        `failures`. Mode "only" raises NoRecording for what has no recording; "missing" runs it and records it, in the same group
        and under the same tag. Match "exact" compares input, configuration and backend, and the k-th equal call gets the k-th
        recording; "order" gives the n-th call the n-th recording, whatever it ran. Raises BadInput, MissingExtra.
        """
        from .providers import registry
        from .replay.player import Player
        from .replay.process import Replaying

        query = {
            "group": group,
            "tag": tag,
            "provider": provider,
            "backend": backend,
            "kind": kind,
            "since": since,
            "until": until,
        }
        player = Player(self, mode, match, failures, query)
        if native is None:
            return Replaying(player)
        owner = registry.named(native) if isinstance(native, str) else registry.owner(native)
        return owner.replay(native, player)

    # Clouds

    def sync(self, client: Any = None) -> clouds.Report:
        """Ask about every job that has not ended, and archive what is new, with the calibration of its run. Safe in cron.

        `client` is an SDK's own (a QiskitRuntimeService); without one each SDK finds the user's saved credentials. What
        cannot be asked about is in the report's `problems`. A local run whose process was killed becomes UNKNOWN.
        """
        from .providers import registry

        self._recorder.settle()
        return clouds.sync(self._recorder, registry.named, self._clients(client))

    def recover(self, client: Any = None) -> clouds.Report:
        """Look for jobs whose sending got no answer, and archive those that were accepted after all. Nothing is sent."""
        from .providers import registry

        self._recorder.settle()
        return clouds.recover(self._recorder, registry.named, self._clients(client))

    def fetch(self, client: Any, job_id: str | None = None, *, since: datetime | str | None = None) -> "Job | list[Job]":
        """Archive jobs of a cloud that were never captured, with their gaps: one, or all (those made `since` then).

        `client` is an SDK's own, or the name of a provider whose SDK finds the user's saved credentials. A job that is here
        already is not fetched again; it gets its outcome if that was missing. Raises NotFound, BadInput; of several jobs
        those that cannot be fetched are warned of.

        A path instead of a client names a file in which an SDK keeps jobs (a JobGroup of Perceval's): all of them are taken
        over, without the credentials in it, those that were never sent as PREPARED. `sync` gets the results.
        """
        from .providers import registry

        if isinstance(client, os.PathLike) or (isinstance(client, str) and registry.reader(client) is not None):
            return self._take(Path(client))
        provider = registry.named(client) if isinstance(client, str) else registry.owner(client)
        if not isinstance(provider, Cloud):
            raise BadInput(f"the provider {provider.name}", "runs here and keeps no jobs", "wrap its backends before they run")
        if isinstance(client, str):
            client = provider.connect()
        else:
            client = provider.client_of(client)
        self._recorder.settle()
        report = clouds.Report()
        if job_id is not None:
            return self._job(clouds.fetch_one(self._recorder, provider, client, job_id).digest)
        moment = moment_of("since", since)
        listed = provider.listed(client, None if moment is None else moment.datetime)
        found = [self._job(link.digest) for link in clouds.fetch(self._recorder, provider, client, listed, report)]
        for provider_job, problem in report.problems.items():
            entries.complain(f"job {provider_job} is not fetched: {problem}")
        return found

    def calibrate(self, reference: str, client: Any = None) -> Calibration:
        """Ask the cloud of a job how well its device is doing now: kept with the job, as a calibration of the phase "retrieval".

        `client` is an SDK's own; without one the SDK finds the user's saved credentials. Raises NotFound, BadInput.
        """
        from .providers import registry

        job = self.job(reference)
        provider = registry.named(job.provider)
        if not isinstance(provider, Cloud):
            raise BadInput(f"the provider {provider.name}", "runs here, and what it runs on is not calibrated")
        link = Link(bytes.fromhex(job.id))
        found = clouds.calibrate(self._recorder, provider, self._clients(client).of(provider), link)
        known = [each for each in self._job(link.digest).calibrations if each.phase == found.phase]
        return next(each for each in reversed(known) if each.digest == str(found.calibration))

    def _take(self, path: Path) -> "list[Job]":
        from .providers import registry

        provider = registry.reader(path)
        if provider is None:
            raise BadInput(
                str(path), "is no file in which an SDK keeps jobs", "give a JobGroup (.jgrp) or an ExecutionGroup (.egrp)"
            )
        self._recorder.settle()
        return [self._job(link.digest) for link in clouds.take(self._recorder, provider, path)]

    def _clients(self, client: Any) -> clouds.Clients:
        from .providers import registry

        if client is None:
            return clouds.Clients(None)
        provider = registry.owner(client)
        if not isinstance(provider, Cloud):
            raise BadInput(f"the provider {provider.name}", "runs here and keeps no jobs", "give a client of a cloud, or none")
        return clouds.Clients((provider, provider.client_of(client)))

    # Comparing

    def diff(self, a: "str | Job", b: "str | Job", level: float = 0.01) -> "Diff":
        """What two jobs (or references to them) have not alike: input, configuration, backend, environment, calibration, result.

        Results are compared by two-sample tests at a level, the probability of calling results of one distribution different,
        for all tests together; "inconclusive" is said where too little is known. `.differs` says whether any section does, and
        `.result.verdict` is "equal", "same", "inconclusive" or "differ". Raises NotFound, Ambiguous, BadInput for the level.
        """
        from .comparing import jobs  # listings compare nothing

        one, other = (job if isinstance(job, Job) else self.job(job) for job in (a, b))
        return jobs.diff(one, other, level)

    # Groups

    def group(self, name: str) -> Group:
        """The group of this name, made if there is none; or the one with this id (64 hexadecimal digits).

        Of several that came from other archives this archive's own is taken, else Ambiguous is raised.
        """
        if not isinstance(name, str) or not name:
            raise BadInput(f"the group {name!r}", "has no name", "give text")
        self._recorder.settle()
        if re.fullmatch(r"[0-9a-f]{64}", name):
            found = next((row for row in self._store.index.groups() if row.id.hex() == name and not row.removed), None)
            if found is None:
                raise NotFound(f"the group {name[:12]}", str(self.path), "`archive.groups()` lists what there is")
            return Group(self, found)
        known = membership.known(self._store, name)
        if len(known) > 1 and known[0].archive != self.id:
            raise self._same_name(name, known)
        if known:
            return Group(self, known[0])
        if found := records.obeyed(records.plain_text(name)):
            raise BadInput("the name of a group", f"is {found}", "leave it out")
        stage = Stage(self._store)
        self._store.prepare()
        row = membership.of_name(self._store, name)
        membership.put(stage, row)
        stage.commit(durable=False)
        return Group(self, row)

    def groups(self) -> list[Group]:
        """All groups, by name; those of one name from several archives are all there."""
        self._recorder.settle()
        return [Group(self, row) for row in self._store.index.groups() if not row.removed]

    def delete_group(self, name: str, jobs: bool = False) -> int:
        """Delete a group and its jobs that were never sent; those that were sent stay in the archive, unless `jobs`.

        `name` is a name or an id. The number of jobs that were deleted. Raises NotFound, Ambiguous, BadInput while jobs of it
        are under way.
        """
        known = [group for group in self.groups() if name in (group.name, group.id)]
        if not known:
            raise NotFound(f"the group {name!r}", str(self.path), "`archive.groups()` lists what there is")
        if len(known) > 1:
            raise self._same_name(name, [group._row for group in known])
        return known[0].delete(jobs)

    def delete_groups(self, before: datetime | str | None = None, jobs: bool = False) -> list[str]:
        """Delete all groups, or those whose first job was recorded before a time; their names.

        Raises BadInput while jobs of one are under way: then none is deleted.
        """
        moment = moment_of("before", before)
        old = [group for group in self.groups()
               if moment is None or (group.created is not None and group.created < moment.datetime)]  # fmt: skip
        for group in old:
            group.check_idle()
        for group in old:
            group.delete(jobs)
        return [group.name for group in old]

    # Keeping

    def refresh(self, progress: Progress | None = None) -> None:
        """Bring the index up to date with the packs, as every look does by itself; `progress` is told of the bytes read."""
        self._store.index.refresh(progress)

    def flush(self) -> None:
        """Return when every job that has ended would survive a power cut. Raises CannotWrite."""
        self._recorder.settle()
        self._store.flush()

    def close(self) -> None:
        """Flush, and let other writers go on with this one's pack."""
        self._recorder.settle()
        self._store.close()

    def verify(self, deep: bool = False, progress: Progress | None = None) -> check.Report:
        """Check every commit and record; with `deep` also every blob, every link, and the index. Changes nothing.

        Large archives are divided over the cores.
        """
        self._recorder.settle()
        return check.verify(self._store, deep, progress)

    def repack(self, *, dry_run: bool = False, alone: bool = False, progress: Progress | None = None) -> Repacked:
        """Put the packs together so that they take less room, without what nothing refers to; jobs may run meanwhile.

        With `dry_run` only what would be done is said. `alone` says that nobody else uses the archive: needed where that cannot
        be seen, as in network folders. Interrupted, it is gone on with by the next one. Raises BadInput, Damaged, CannotWrite.
        """
        self._recorder.settle()
        return repack(self._store, False, dry_run, alone, progress)

    def gc(self, *, dry_run: bool = False, alone: bool = False, progress: Progress | None = None) -> Repacked:
        """Take out for good what was removed and all that nothing refers to; otherwise as `repack`."""
        self._recorder.settle()
        return repack(self._store, True, dry_run, alone, progress)

    def repair(self, sources: Iterable[str | os.PathLike] | str | os.PathLike = (), dry_run: bool = False,
               progress: Progress | None = None) -> Repaired:  # fmt: skip
        """Write damaged packs anew, with what other archives or bundles (`sources`, paths) have of what is damaged or missing.

        Every blob is checked against its digest. The damaged files go to `quarantine/`. What nobody has is in `lost` of the
        answer. Safe beside readers and writers. Raises BadInput, NoArchive, Damaged for a bundle, NewerFormat, CannotWrite.
        """
        self._recorder.settle()
        named = [sources] if isinstance(sources, (str, os.PathLike)) else sources
        return repair(self._store, [Path(source) for source in named], dry_run, progress)

    def reindex(self, progress: Progress | None = None) -> int:
        """Make the index anew from the packs; the number of jobs in it."""
        self._store.index.rebuild(progress)
        return self._store.index.count(Query())

    def statistics(self) -> dict[str, Any]:
        """Jobs, packs, bytes on the disk, distinct blobs with their raw bytes by kind, and the packs that a repack would put
        together, with their bytes."""
        self._recorder.settle()
        packs = [self._store.packs / name for name in self._store.index.pack_names()]
        kinds = {kind: {"blobs": blobs, "bytes": size} for kind, blobs, size in self._store.index.statistics()}
        loose = [path for path in packs if not pack.looks_brief(path)]
        return {"jobs": self._store.index.count(Query()), "packs": len(packs),
                "bytes": sum(path.stat().st_size for path in packs), "kinds": kinds,
                "loose": {"packs": len(loose), "bytes": sum(path.stat().st_size for path in loose)}}  # fmt: skip

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Archive {self.path}>"
