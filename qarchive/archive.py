"""The facade: an archive as its user sees it."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import capture, check, clouds, codec, config, entries, model, scope
from .calibration import Calibration
from .catalog import Progress
from .errors import Ambiguous, BadInput, MissingExtra, NotFound
from .index import Query
from .job import Job
from .providers.base import Cloud
from .store import MARKER, Store
from .values import Link, Timestamp

PAGE = 200
PREFIX_MIN = 4
_ORDERS = ("newest", "oldest")


def open(path: str | os.PathLike | None = None, *, on_error: str | None = None, create: bool = True) -> "Archive":
    """The archive in `path`, made where there is none yet unless `create` is False.

    Without a path: $QARCHIVE, the nearest `.qarchive/`, the config file's, or a folder for this user's data, in this order.
    `on_error` is "warn" (the default: a run that cannot be recorded goes on, with a warning) or "raise" (nothing is run
    that cannot be recorded). Raises NoArchive, BadInput, CannotWrite, Damaged, NewerFormat.
    """
    folder, _ = config.locate(path)
    if create and not (folder / MARKER).exists():
        try:
            return Archive(Store.create(folder), on_error)
        except BadInput:
            if not (folder / MARKER).exists():  # else another process has made it meanwhile
                raise
    return Archive(Store.open(folder), on_error)


class Archive:
    """Jobs in one folder. One instance serves many threads and survives a fork; it may be closed, and used as a context."""

    def __init__(self, store: Store, on_error: str | None = None):
        on_error = on_error or config.read().get("on_error", "warn")
        config.check("on_error", on_error)
        self._store = store
        self._recorder = capture.Recorder(store, on_error)
        self._recorder.way = Way(self)
        store.on_fork(self._recorder.after_fork)

    @property
    def path(self) -> Path:
        return self._store.path

    @property
    def id(self) -> str:
        """32 hexadecimal digits, drawn when the archive was made."""
        return self._store.id

    # Recording

    def wrap(self, native: Any) -> Any:
        """An object with the interface of `native` (a backend, a primitive, a service) whose every execution is archived.

        Raises BadInput for what no provider knows, and for an IBMBackend: its SDK would run it elsewhere, unseen.
        """
        from .providers import registry  # looking needs no entry points, and reading those costs more than a listing

        return registry.owner(native).wrap(native, Way(self))

    def record(self, native_job: Any) -> Job:
        """Archive an SDK job, running or finished; twice is once. Raises BadInput, CannotWrite."""
        from .providers import registry

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
        changes = {
            "tags": tuple(map(model.plain_text, tags)),
            "params": {model.plain_text(name): params[name] for name in params},
        }
        codec.encode(changes["params"])  # what cannot be stored is refused here, not in the middle of a run
        return scope.within(**changes, **({"group": model.plain_text(group)} if group is not None else {}))

    def paused(self) -> AbstractContextManager:
        """Nothing is archived inside a `with` block. For one run: `backend.run(..., archive=False)`."""
        return scope.within(paused=True)

    def replay(self, native: Any) -> Any:
        """An SDK's client that answers from this archive: its jobs, results, devices. No network, no credentials.

        `native` is an object of the SDK's (a client, a connection to a cloud), or the name of a provider. What comes back has
        its interface, looks into this archive only, and sends nothing: that raises BadInput. Raises BadInput where a provider
        has no such object.
        """
        from .providers import registry

        provider = registry.named(native) if isinstance(native, str) else registry.owner(native)
        return provider.replay(native, self)

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
        moment = _moment("since", since)
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

    # Looking

    def jobs(self, *, provider: str | None = None, backend: str | None = None, status: str | None = None, kind: str | None = None,
             tag: str | None = None, group: str | None = None, since: datetime | str | None = None,
             until: datetime | str | None = None, input: str | None = None, calibration: str | None = None,
             order: str = "newest", limit: int | None = None) -> "Jobs":  # fmt: skip
        """The jobs that fit, read as they are asked for.

        `since` and `until` bound the time of creation (an aware datetime, or ISO text, UTC unless it says otherwise);
        `input` and `calibration` are full digests; mock jobs stay out unless `kind="mock"`. Raises BadInput.
        """
        if status is not None and status not in model.STATUSES:
            raise BadInput(f"the status {status!r}", "does not exist", f"it is one of {', '.join(model.STATUSES)}")
        if order not in _ORDERS:
            raise BadInput(f"the order {order!r}", "does not exist", f"it is {' or '.join(_ORDERS)}")
        query = Query(provider, backend, status, kind, tag, group, _moment("since", since), _moment("until", until),
                      _digest("input", input), _digest("calibration", calibration), order == "newest")  # fmt: skip
        return Jobs(self, query, limit)

    def job(self, reference: str) -> Job:
        """The job that `reference` names: an id, a unique prefix of 4 or more digits, the provider's own id, "latest", "@2"
        (the second latest), or "group/3" (the third of a group, in order of creation). Raises NotFound, Ambiguous."""
        self._recorder.settle()
        return self._job(self._resolve(reference))

    def blob(self, prefix: str) -> bytes:
        """The canonical bytes of the blob whose digest begins with `prefix`. Raises NotFound, Ambiguous, Damaged."""
        self._recorder.settle()
        found = self._store.index.blobs_with_prefix(prefix.lower(), 10) if re.fullmatch(r"[0-9a-fA-F]{4,64}", prefix) else []
        if not found:
            raise NotFound(f"a blob {prefix}", str(self.path), f"give {PREFIX_MIN} or more hexadecimal digits of a digest")
        if len(found) > 1:
            raise Ambiguous(prefix, [digest.hex() for digest in found])
        return self._store.get(found[0])

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
        """Check every commit and record; with `deep` also every blob, every link, and the index. Changes nothing."""
        self._recorder.settle()
        return check.verify(self._store, deep, progress)

    def reindex(self, progress: Progress | None = None) -> int:
        """Make the index anew from the packs; the number of jobs in it."""
        self._store.index.rebuild(progress)
        return self._store.index.count(Query())

    def statistics(self) -> dict[str, Any]:
        """Jobs, packs, bytes on the disk, and distinct blobs with their raw bytes by kind."""
        self._recorder.settle()
        packs = [self._store.packs / name for name in self._store.index.pack_names()]
        kinds = {kind: {"blobs": blobs, "bytes": size} for kind, blobs, size in self._store.index.statistics()}
        return {"jobs": self._store.index.count(Query()), "packs": len(packs),
                "bytes": sum(path.stat().st_size for path in packs), "kinds": kinds}  # fmt: skip

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Archive {self.path}>"

    def _job(self, digest: bytes, row=None) -> Job:
        return Job(self._store, digest, self._recorder, row)

    def _resolve(self, reference: str) -> bytes:
        index = self._store.index
        place = 1 if reference == "latest" else int(reference[1:]) if re.fullmatch(r"@[1-9][0-9]{0,8}", reference) else None
        if place is not None:
            rows = index.rows(Query(), place)
            if len(rows) < place:
                raise NotFound(
                    f"job {reference}", str(self.path), f"it holds {len(rows)} jobs" if rows else "it holds no job yet"
                )
            return bytes.fromhex(rows[place - 1].id)
        if re.fullmatch(rf"[0-9a-fA-F]{{{PREFIX_MIN},64}}", reference):
            found = index.jobs_with_prefix(reference.lower(), 11)
            if len(found) == 1:
                return found[0]
            if found:
                raise Ambiguous(reference, [digest.hex()[:16] for digest in found[:10]])
        found = index.jobs_of_provider(reference)
        if len(found) == 1:
            return found[0]
        if found:
            raise Ambiguous(reference, [digest.hex()[:16] for digest in found[:10]])
        group, _, number = reference.rpartition("/")
        if group and re.fullmatch(r"[1-9][0-9]{0,8}", number):
            rows = index.rows(Query(group=group, newest_first=False), int(number))
            if len(rows) == int(number):
                return bytes.fromhex(rows[-1].id)
        short = f"; a prefix has {PREFIX_MIN} or more digits" if re.fullmatch(r"[0-9a-fA-F]{1,3}", reference) else ""
        raise NotFound(f"job {reference!r}", str(self.path), f"`qarchive list` shows what there is{short}")


class Jobs:
    """Jobs that fit a query, in order, read a page at a time: iterate, index, `len`, `.pages(n)`, `.to_pandas()`."""

    def __init__(self, archive: Archive, query: Query, limit: int | None):
        self._archive, self._query, self._limit = archive, query, limit

    def pages(self, size: int = PAGE) -> Iterator[list[Job]]:
        """Lists of at most `size` jobs. A job that is added meanwhile shows up in none of them or in one."""
        self._archive._recorder.settle()
        left = self._limit
        after = None
        while left is None or left > 0:
            rows = self._archive._store.index.rows(self._query, size if left is None else min(size, left), after)
            if not rows:
                return
            yield [self._archive._job(bytes.fromhex(row.id), row) for row in rows]
            after = (rows[-1].created.ns, bytes.fromhex(rows[-1].id))
            left = None if left is None else left - len(rows)

    def __iter__(self) -> Iterator[Job]:
        for page in self.pages():
            yield from page

    def __len__(self) -> int:
        self._archive._recorder.settle()
        return self._archive._store.index.count(self._query, -1 if self._limit is None else self._limit)

    def __getitem__(self, place: int | slice) -> "Job | list[Job]":
        if isinstance(place, slice):
            return list(self)[place]
        if place < 0:
            place += len(self)
        if place >= 0:
            for i, job in enumerate(self):
                if i == place:
                    return job
        raise IndexError(place)

    def to_pandas(self):
        """One row a job, as a pandas DataFrame. Raises MissingExtra."""
        try:
            import pandas
        except ImportError:
            raise MissingExtra("a DataFrame", "pandas") from None

        names = (
            "id",
            "created",
            "provider",
            "backend",
            "kind",
            "status",
            "shots",
            "size",
            "group",
            "tags",
            "provider_job",
            "attempts",
            "gaps",
        )
        return pandas.DataFrame(
            [{name: getattr(job.row, name) for name in names} | {"created": job.created} for job in self], columns=names
        )

    def __repr__(self) -> str:
        return f"<{len(self)} jobs of {self._archive.path}>"


class Way:
    """What a wrapped object, or everything under autolog, knows of its archive: how to record, and how to look."""

    def __init__(self, archive: Archive):
        self._archive = archive
        recorder = archive._recorder
        self.run, self.retry, self.record, self.resume = recorder.run, recorder.retry, recorder.record, recorder.resume
        self.event, self.wanted = recorder.event, recorder.wanted

    def jobs(self, **filters: Any) -> Jobs:
        return self._archive.jobs(**filters)

    def job(self, reference: str) -> Job:
        return self._archive.job(reference)


def _moment(name: str, value: datetime | str | None) -> Timestamp | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(value, str) and found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return Timestamp.of(found)
    except (ValueError, AttributeError, TypeError):
        raise BadInput(f"{name}={value!r}", "is no time", "give an aware datetime, or text such as 2026-11-21T08:00") from None


def _digest(name: str, value: str | None) -> bytes | None:
    if value is None:
        return None
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise BadInput(f"{name}={value!r}", "is no digest", "give its 64 hexadecimal digits")
    return bytes.fromhex(value)
