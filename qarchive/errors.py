"""Every error a user can meet: what happened, where, what to do, and the exit code of the command line.

Fields come first and the message is built from them, so that a caller never parses text.
"""


class QArchiveError(Exception):
    """The root of all errors raised on purpose. `exit_code` is what the command line ends with."""

    exit_code = 1

    def __reduce__(self) -> tuple:
        """Errors cross processes as they are: their constructors take fields, and not the message."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[QArchiveError], args: tuple, fields: dict) -> QArchiveError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class BadInput(QArchiveError):
    """A value, file or option that the user gave cannot be used."""

    exit_code = 2

    def __init__(self, what: str, reason: str, hint: str = ""):
        self.what, self.reason, self.hint = what, reason, hint
        super().__init__(f"{what}: {reason}" + (f"; {hint}" if hint else ""))


class NotFound(QArchiveError):
    """A job, blob or archive that is not there."""

    exit_code = 3

    def __init__(self, what: str, where: str, hint: str = ""):
        self.what, self.where, self.hint = what, where, hint
        super().__init__(f"{what} is not in {where}" + (f"; {hint}" if hint else ""))


class NoArchive(NotFound):
    """A path that holds no archive. `near` is one that was perhaps meant, or None."""

    def __init__(self, path: str, near: str | None = None):
        self.path, self.near = path, near
        hint = f"make one with `qarchive init {path}` or name another with --archive"
        if near is not None:
            hint = f"there is one at {near}: `qarchive --archive {near}`, or `export QARCHIVE={near}`; `qarchive init` makes one"
        QArchiveError.__init__(self, f"no archive at {path}; {hint}")


class Ambiguous(QArchiveError):
    """A prefix that fits more than one job or blob. `candidates` holds the full ids, at most ten of them."""

    exit_code = 3

    def __init__(self, prefix: str, candidates: list[str]):
        self.prefix, self.candidates = prefix, candidates
        super().__init__(f"{prefix} fits {len(candidates)} or more: {', '.join(candidates)}; give more digits")


class SameProviderJob(Ambiguous):
    """Several jobs with one id at their providers. `candidates` holds ids, at most ten, `origins` their archives (None: here)."""

    def __init__(self, provider_job: str, number: int, candidates: list[str], origins: list[str | None]):
        self.prefix, self.number, self.candidates, self.origins = provider_job, number, candidates, origins
        names = _from(candidates, origins)
        QArchiveError.__init__(self, f"{number} jobs are {provider_job} at their provider: {names}; give the id of one")


class SameName(Ambiguous):
    """Several groups of one name, or with one beginning of their ids. `candidates` holds ids, at most ten, `origins` the archives
    in which they were made (None: here)."""

    def __init__(self, name: str, number: int, candidates: list[str], origins: list[str | None], hint: str):
        self.prefix, self.candidates, self.origins, self.hint = name, candidates, origins, hint
        QArchiveError.__init__(self, f"{number} groups are called {name}: {_from(candidates, origins)}; {hint}")


class SameCircuit(Ambiguous):
    """Several circuits of a group that are equal to the one that was asked for. `places` are their indices."""

    def __init__(self, places: list[int]):
        self.places = places
        self.prefix, self.candidates = "the circuit", [str(place) for place in places]
        shown = ", ".join(self.candidates[:10]) + (", ..." if len(places) > 10 else "")
        QArchiveError.__init__(self, f"{len(places)} circuits of the group are equal to this one: {shown}; give an index")


class NoRecording(QArchiveError):
    """An execution that a replay has no recording of. `nearest` is the id of the recorded job that is most like it, or None."""

    exit_code = 3

    def __init__(self, what: str, where: str, nearest: str | None = None, differences: list[str] | None = None):
        self.what, self.where, self.nearest, self.differences = what, where, nearest, list(differences or ())
        near = f"; the nearest is job {nearest[:12]}: {'; '.join(self.differences)}" if nearest else ""
        super().__init__(f'{what} is not recorded in {where}{near}; `mode="missing"` runs and records what is not there')


class Damaged(QArchiveError):
    """Bytes on disk that are not what was written. Nothing is returned in their place."""

    exit_code = 5
    hint = "run `qarchive verify` to see what is affected"

    def __init__(self, path: str, reason: str, offset: int | None = None):
        self.path, self.reason, self.offset = path, reason, offset
        at = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{path}{at}: {reason}; {self.hint}")


class DamagedBundle(Damaged):
    """A bundle that came damaged, or was made so. Nothing of it was taken in."""

    hint = "nothing of it is taken; get it again from where it came"


class NotCanonical(QArchiveError):
    """Bytes that are not the one canonical encoding of a value."""

    exit_code = 5

    def __init__(self, reason: str):
        self.reason = reason
        super().__init__(f"not canonical msgpack: {reason}")


class NotEncodable(QArchiveError):
    """A value that the format cannot hold. `path` says where in the value it stands."""

    exit_code = 2

    def __init__(self, reason: str, path: str = ""):
        self.reason, self.path = reason, path
        super().__init__(f"cannot be stored{f' at {path}' if path else ''}: {reason}")


class CannotWrite(QArchiveError):
    """The disk, the folder or its permissions refused a write. What was acknowledged before is safe."""

    exit_code = 6

    def __init__(self, path: str, reason: str, hint: str = "what was acknowledged before is safe"):
        self.path, self.reason, self.hint = path, reason, hint
        super().__init__(f"cannot write {path}: {reason}; {hint}")


class MissingExtra(QArchiveError):
    """A package that is needed for one thing alone, such as an SDK for its own objects."""

    exit_code = 7

    def __init__(self, what: str, extra: str, package: str = "qarchive"):
        self.what, self.extra, self.package = what, extra, package
        wanted = f"{package}[{extra}]" if extra else package
        super().__init__(f"{what} needs more than is installed; run `pip install '{wanted}'`")


class NewerFormat(QArchiveError):
    """An archive, pack or type tag written by a later qarchive."""

    exit_code = 8

    def __init__(self, path: str, found: int | str, known: int | str):
        self.path, self.found, self.known = path, found, known
        super().__init__(f"{path} has format {found} and this qarchive reads up to {known}; install a newer qarchive")


class NotFinished(QArchiveError):
    """A job that has no outcome yet, or of which nobody saw the end."""

    exit_code = 9

    def __init__(self, job: str, status: str):
        self.job, self.status = job, status
        told = {
            "PREPARED": "was prepared and not sent; `qarchive group run` sends it",
            "UNKNOWN": f"has no result: nobody saw its end; `qarchive rerun {job}` runs it again",
        }.get(status, f"is {status} and has no result yet; `qarchive sync` sees whether it has ended")
        super().__init__(f"job {job} {told}")


class JobFailed(QArchiveError):
    """A job that ended without a result. `error` is what the provider said."""

    exit_code = 9

    def __init__(self, job: str, status: str, error: str):
        self.job, self.status, self.error = job, status, error
        super().__init__(f"job {job} ended as {status} without a result: {error or 'the provider gave no reason'}")


class GroupNotFinished(NotFinished):
    """A group of which some jobs are not done."""

    def __init__(self, group: str, what: str):
        self.group, self.what = group, what
        QArchiveError.__init__(self, f"group {group} is not finished ({what}); `result(partial=True)` takes what is there")


class GroupFailed(JobFailed):
    """A group of which some jobs ended without a result."""

    def __init__(self, group: str, what: str):
        self.group, self.what = group, what
        QArchiveError.__init__(self, f"group {group} has no whole result ({what}); `retry()` sends them again, "
                                     "`result(partial=True)` takes what is there")  # fmt: skip


class NotAnswered(QArchiveError):
    """Jobs that a cloud could not be asked about. `reason` is that of the first of them."""

    exit_code = 9

    def __init__(self, jobs: int, reason: str):
        self.jobs, self.reason = jobs, reason
        what = "1 job" if jobs == 1 else f"{jobs} jobs"
        super().__init__(f"{what} could not be asked about: {reason}")


class Unreachable(QArchiveError):
    """A remote that does not answer, or not to us. What was moved before is safe, and the same call goes on from there."""

    exit_code = 9

    def __init__(self, remote: str, reason: str, hint: str = "run it again; it goes on where it stopped"):
        self.remote, self.reason, self.hint = remote, reason, hint
        super().__init__(f"{remote} cannot be reached: {reason}; {hint}")


class ArchiveWarning(UserWarning):
    """Something could not be captured or recorded. The user's run went on."""


def _from(ids: list[str], origins: list[str | None]) -> str:
    """Ids, each with the archive that it is from."""
    return ", ".join(f"{each} ({'from here' if origin is None else f'from archive {origin[:8]}'})"
                     for each, origin in zip(ids, origins, strict=True))  # fmt: skip
