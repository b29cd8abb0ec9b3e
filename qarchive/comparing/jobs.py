"""Two archived jobs side by side, in six sections: what went in, how it ran, where, and what came out."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import calibration
from ..calibration import Calibration, Drift
from ..errors import JobFailed, NotFinished, QArchiveError
from ..job import Job
from . import inputs, results, settings, two_sample
from .settings import Change

SECTIONS = ("input", "config", "backend", "environment", "calibration", "result")
LEVEL = 0.01

_CIRCUITS = 5  # whose texts are compared
_ALL_CIRCUITS = 200  # of a job whose texts are made at all
_TEXT_LINES = 5_000  # of a circuit whose text is compared
_WITH_RESULT = frozenset({"DONE", "PARTIAL"})
_EXACT = frozenset({"simulator", "local"})  # kinds of backends that may give exact numbers


@dataclass(frozen=True)
class Section:
    """One part of a comparison. `reason` says why it cannot be compared, or what to know; `differs` is False then."""

    name: str
    differs: bool
    reason: str = ""

    @property
    def told(self) -> str:
        """In a word or a few how it stands."""
        return "differs" if self.differs else "cannot be compared" if self.reason else "same"


@dataclass(frozen=True)
class Text:
    """How the text of one circuit differs, as a unified diff without its header; empty where the texts are equal."""

    index: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Input(Section):
    """Circuits that are other ones, by index, and the texts of the first five of them where there are any."""

    sizes: tuple[int, int] = (1, 1)
    differing: tuple[int, ...] | None = None
    texts: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Settings(Section):
    """Settings that are not alike: of the configuration, the backend or the environment."""

    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Calibrated(Section):
    """The calibrations that the jobs ran with, and what became of each figure; None for a job without one."""

    one: Calibration | None = None
    other: Calibration | None = None
    drifts: tuple[Drift, ...] = ()

    @property
    def moved(self) -> tuple[Drift, ...]:
        """The figures that are not the same everywhere."""
        return tuple(drift for drift in self.drifts if drift.changes or drift.appeared or drift.vanished)


@dataclass(frozen=True)
class Result(Section):
    """What came out: one verdict for all, None where it cannot be compared, and one for each circuit.

    Verdicts are "equal" (the same), "same" (not told apart at the level), "inconclusive" (too little is known to say) and
    "differ". `level` holds for all tests of the jobs together.
    """

    level: float = LEVEL
    verdict: str | None = None
    circuits: tuple[results.Circuit, ...] = ()

    @property
    def told(self) -> str:
        """The verdict with the level and the least p of all tests, each corrected for the others."""
        if self.verdict is None:
            return super().told
        if self.verdict == two_sample.EQUAL:
            return two_sample.WORDS[self.verdict]
        found = [test.p for circuit in self.circuits for test in circuit.tests.values()
                 if test.p is not None and test.verdict != two_sample.EQUAL]  # fmt: skip
        least = min(found, default=1.0)
        shown = f"= {least:.3g}" if least else "< 1e-300"
        p = f" ({f'least of {len(found):,}: ' if len(found) > 1 else ''}p {shown})" if found else ""
        word = "differs" if self.verdict == two_sample.DIFFER else two_sample.WORDS[self.verdict]
        return f"{word} at level {self.level:g}{p}"


@dataclass(frozen=True)
class Diff:
    """What two jobs have not alike. Ids, dates and durations are no differences, nor are results that are merely "same" or
    "inconclusive"."""

    one: Job
    other: Job
    sections: Mapping[str, Section]

    @property
    def differs(self) -> bool:
        """Whether any section differs."""
        return any(section.differs for section in self.sections.values())

    @property
    def differing(self) -> tuple[str, ...]:
        """The names of the sections that differ."""
        return tuple(name for name, section in self.sections.items() if section.differs)

    @property
    def input(self) -> Input:
        return self.sections["input"]

    @property
    def config(self) -> Settings:
        return self.sections["config"]

    @property
    def backend(self) -> Settings:
        return self.sections["backend"]

    @property
    def environment(self) -> Settings:
        return self.sections["environment"]

    @property
    def calibration(self) -> Calibrated:
        return self.sections["calibration"]

    @property
    def result(self) -> Result:
        return self.sections["result"]


def diff(one: Job, other: Job, level: float = LEVEL, only: tuple[str, ...] = SECTIONS) -> Diff:
    """Compare two archived jobs, in all sections or `only` in some; results at a level, which is the probability of calling
    results of one distribution different.

    What cannot be compared says so in its section. Raises BadInput for a level that is none, Damaged.
    """
    two_sample.counts({}, {}, level)  # refuses what is no level before anything is read
    made = {"input": _input, "config": _config, "backend": _backend, "environment": _environment, "calibration": _calibration}
    found: dict[str, Section] = {}
    for name in SECTIONS:
        if name in only:
            found[name] = _result(one, other, level) if name == "result" else made[name](one, other)
    return Diff(one, other, found)


def _input(one: Job, other: Job) -> Input:
    found = inputs.circuits(one.get, one.record, other.get, other.record)
    if found.same is None:
        return Input("input", False, found.reason, found.sizes)
    texts = () if found.same else _texts(one, other, found.differing)
    return Input("input", not found.same, found.reason, found.sizes, found.differing, texts)


def _texts(one: Job, other: Job, differing: tuple[int, ...] | None) -> tuple[Text, ...]:
    """Empty where there are no texts, or too long ones."""
    if max(job.record.get("size", 1) for job in (one, other)) > _ALL_CIRCUITS:
        return ()
    try:
        sides = one.text(), other.text()
    except QArchiveError:
        return ()
    found = []
    for place in (range(min(map(len, sides))) if differing is None else differing)[:_CIRCUITS]:
        if place < min(map(len, sides)):
            lines = [side[place].splitlines() for side in sides]
            if max(map(len, lines)) <= _TEXT_LINES:
                found.append(Text(place, tuple(difflib.unified_diff(*lines, n=1, lineterm=""))[2:]))
    return tuple(found)


def _config(one: Job, other: Job) -> Settings:
    found = settings.changes(one.get, one.record["config"], other.get, other.record["config"])
    if one.shots != other.shots and not any(change.name == "shots" for change in found):
        found.append(Change("shots", one.shots, other.shots))
    return Settings("config", bool(found), changes=tuple(found))


def _backend(one: Job, other: Job) -> Settings:
    named = [({"provider": job.provider, "name": job.backend, "kind": job.kind}) for job in (one, other)]
    found = settings.changes(one.get, named[0], other.get, named[1])
    snapshots = one.backend_snapshot, other.backend_snapshot
    if None not in snapshots:
        inside = settings.changes(one.get, snapshots[0], other.get, snapshots[1])
        found += [change for change in inside if change.path != "name"]
    return Settings("backend", bool(found), _nothing(snapshots, "snapshot of its backend"), tuple(found))


def _environment(one: Job, other: Job) -> Settings:
    sides = one.environment, other.environment
    if None in sides:
        return Settings("environment", False, _nothing(sides, "environment"))
    found = settings.changes(one.get, sides[0], other.get, sides[1])
    return Settings("environment", bool(found), changes=tuple(found))


def _calibration(one: Job, other: Job) -> Calibrated:
    sides = [_ran_with(job) for job in (one, other)]
    if None in sides:
        reason = _nothing(sides, "calibration")
        lost = [gap["reason"] for job, side in zip((one, other), sides) if side is None
                for gap in job.gaps if gap["what"].partition(".")[0] == "calibration"]  # fmt: skip
        reason += f" ({lost[0]})" if lost else ""
        return Calibrated("calibration", sides[0] is not sides[1] and not lost, reason, *sides)
    if sides[0].digest == sides[1].digest:
        return Calibrated("calibration", False, "", *sides)
    try:
        drifts = tuple(calibration.compare(*sides))
    except QArchiveError as error:
        return Calibrated("calibration", False, str(error), *sides)
    found = Calibrated("calibration", False, "", *sides, drifts)
    return Calibrated("calibration", bool(found.moved), "", *sides, drifts)


def _ran_with(job: Job) -> Calibration | None:
    """The calibration of the job's run, else of its sending, else the first that there is."""
    known = job.calibrations
    return next((found for phase in ("run", "submit") for found in known if found.phase == phase), known[0] if known else None)


def _result(one: Job, other: Job, level: float) -> Result:
    sides, missing = [], []
    for job in (one, other):
        try:
            sides.append(_data(job))
            if job.status not in _WITH_RESULT and not any(map(results.quantities, sides[-1])):  # an SDK may give one all the same
                raise JobFailed(job.id[:12], job.status, (job.error or {}).get("message", ""))
        except (NotFinished, JobFailed) as error:
            missing.append(str(error))
    if missing:
        return Result("result", False, "; ".join(missing), level)
    if not sides[0] and not sides[1]:
        same = one.outcome["result"] == other.outcome["result"]
        reason = "" if same else "they are no lists of circuits' results, and are not the same"
        return Result("result", False, reason, level, two_sample.EQUAL if same else None)
    exact = all(_is_exact(job) for job in (one, other))
    circuits = tuple(results.compare(*sides, level, exact))
    verdict = results.whole(circuits)
    return Result("result", verdict == two_sample.DIFFER, "", level, verdict, circuits)


def _data(job: Job) -> list[Mapping[str, Any]]:
    """What came out of each circuit, and which precision was asked for. Raises NotFinished, JobFailed."""
    found = job.data()
    asked = results.asked(job.get(job.outcome["result"]))
    return [{**entry, **about} for entry, about in zip(found, asked)] if len(asked) == len(found) else found


def _is_exact(job: Job) -> bool:
    """Whether numbers without standard errors are what they are: of a simulator of which nothing says that it has noise."""
    return (
        job.kind in _EXACT
        and not job.calibrations
        and not results.has_noise(job.config)
        and not results.has_noise(job.backend_snapshot)
    )


def _nothing(sides: Any, what: str) -> str:
    missing = [name for name, side in zip(("first", "second"), sides) if side is None]
    if not missing:
        return ""
    return f"neither job has a {what}" if len(missing) == 2 else f"the {missing[0]} job has no {what}"
