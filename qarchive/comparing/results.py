"""What came out of two jobs, circuit by circuit: counts, expectation values and plain numbers, each by its own test."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from ..values import Array, Chunked, Link, Typed
from . import two_sample
from .two_sample import INCONCLUSIVE, Test

COUNTS, ESTIMATES, NUMBERS = "counts", "estimates", "numbers"

_AS_COUNTED = frozenset({"memory", "raw", "samples"})  # shots one by one, whose counts stand beside them
_ABOUT = frozenset(
    {"stds", "ensemble_standard_error", "target_precision", "times", "metadata"}
)  # what says something of the other figures
_PERFORMANCE = "_perf"  # Perceval's share of shots that were kept: of samples it is an estimate without an error


@dataclass(frozen=True)
class Quantity:
    """One thing that came out of a circuit: {state: shots}, expectation values with their standard errors, or numbers, which
    are a list or a map by state."""

    name: str
    kind: str
    value: Any
    errors: Sequence[float | None] | None = None


@dataclass(frozen=True)
class Circuit:
    """How the results of one circuit compare: one test for each thing that came out, by its name. `reason` says what was not
    tested, and why."""

    index: int
    verdict: str
    tests: Mapping[str, Test]
    reason: str = ""


def compare(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], level: float, exact: bool) -> list[Circuit]:
    """Compare what two jobs' `data()` say of each circuit, at a level that holds for all tests together (Holm).

    `exact` says that numbers without standard errors are no estimates, on either side. Circuits that only one side has are
    "inconclusive", like things that only one side has, or has as another kind of value.
    """
    found = [_Compared.of(*pair, level, exact) for pair in zip(one, other)]
    judged = iter(two_sample.together([test for each in found for test in each.tests.values()], level))
    circuits = []
    for index, each in enumerate(found):
        tests = {name: next(judged) for name in each.tests}
        verdicts = [test.verdict for test in tests.values()]
        if each.unlike or not verdicts:
            verdicts.append(INCONCLUSIVE)
        notes = [*each.unlike, *each.untested] or ([] if tests else ["nothing came out that can be compared"])
        circuits.append(Circuit(index, two_sample.whole(verdicts), tests, "; ".join(notes)))
    for index in range(len(found), max(len(one), len(other))):
        where = "first" if index < len(one) else "second"
        circuits.append(Circuit(index, INCONCLUSIVE, {}, f"only the {where} job has it"))
    return circuits


@dataclass(frozen=True)
class _Compared:
    """One circuit before its tests are corrected for all others: what is unlike in kind, and what no test is made for."""

    tests: dict[str, Test]
    unlike: list[str]
    untested: list[str]

    @classmethod
    def of(cls, one: Mapping[str, Any], other: Mapping[str, Any], level: float, exact: bool) -> "_Compared":
        sides = [{quantity.name: quantity for quantity in quantities(entry)} for entry in (one, other)]
        found = cls({}, [], [])
        drawn = any(quantity.kind == COUNTS for side in sides for quantity in side.values())
        for name in dict.fromkeys((*sides[0], *sides[1])):
            a, b = (side.get(name) for side in sides)
            if a is None or b is None:
                found.unlike.append(f"only the {'first' if a else 'second'} job has {name}")
            elif a.kind != b.kind:
                found.unlike.append(f"{name} are {a.kind} of the first job and {b.kind} of the second")
            elif drawn and name.endswith(_PERFORMANCE):
                if a.value != b.value:
                    found.untested.append(f"{name} ({a.value[0]:.4g} and {b.value[0]:.4g}) is not tested")
            elif a.kind == COUNTS:
                found.tests[name] = two_sample.counts(a.value, b.value, level)
            elif a.kind == ESTIMATES and len(a.value) == len(b.value):
                found.tests[name] = two_sample.estimates(a.value, a.errors, b.value, b.errors, level)
            elif a.kind == ESTIMATES:
                found.unlike.append(f"{name} are {len(a.value):,} values of the first job and {len(b.value):,} of the second")
            else:
                found.tests[name] = two_sample.numbers(*_aligned(a.value, b.value), exact and not drawn)
        return found


def quantities(entry: Mapping[str, Any]) -> list[Quantity]:
    """What came out of one circuit, of what a provider's `data` says of it; text and what is about other figures is left out.

    Bits of several sets of parameter values are counts for each; a register is left out where all registers are joined.
    """
    found: list[Quantity] = []
    counted = entry.get("counts") if _is_counts(entry.get("counts")) else None
    if counted is not None:
        found.append(Quantity("counts", COUNTS, counted))
    bits = {name: item for name, item in entry.items() if _is_bits(item)}
    found += _swept(bits)
    for key, item in entry.items():
        name = str(key)
        if name in _ABOUT or name in bits or (name == "counts" and (counted is not None or bits)):
            continue
        if counted is not None and (name in _AS_COUNTED or _is_counts(item)):
            continue
        if name == "evs":
            found.append(Quantity(name, ESTIMATES, _flat(item), _errors(entry)))
        elif name in ("values", "quasi_dists") and isinstance(entry.get("metadata"), Mapping):
            found.append(_version_1(name, item, entry["metadata"]))
        elif name in _AS_COUNTED and type(item) is list and item and all(type(state) is str for state in item):
            found.append(Quantity(name, COUNTS, Counter(item)))
        else:
            found += _read(name, item, counted)
    return found


def _read(name, item, counted) -> Iterator[Quantity]:
    if _is_counts(item):
        yield Quantity(name, COUNTS, item)
    elif type(item) is list and item and all(_is_counts(part) for part in item):  # of several times
        shown = item[:-1] if item[-1] == counted else item
        yield from (Quantity(f"{name}[{place}]", COUNTS, part) for place, part in enumerate(shown))
    elif isinstance(item, Mapping) and item and all(type(key) is str and _is_number(part) for key, part in item.items()):
        yield Quantity(name, NUMBERS, item)
    elif numbers := _flat(item):
        yield Quantity(name, NUMBERS, numbers)


def asked(result: Any) -> list[dict[str, Any]]:
    """{"target_precision": ...} of each PUB of the blob of an estimator's result, where it says so; empty for all else."""
    if type(result) is not Typed or result.tag != "qiskit.PrimitiveResult":
        return []
    pubs = result.value[0] if type(result.value) is list and result.value else ()
    abouts = [pub.value[1] if type(pub) is Typed and type(pub.value) is list and len(pub.value) > 1 else {}
              for pub in (pubs if type(pubs) is list else ())]  # fmt: skip
    return [{name: about[name] for name in ("target_precision",) if isinstance(about, Mapping) and _is_number(about.get(name))}
            for about in abouts]  # fmt: skip


def _errors(entry) -> list[float | None] | None:
    """Standard errors of expectation values. Where one is 0 and a precision was asked for, it is that: Qiskit's
    StatevectorEstimator adds noise of this width and says 0, and a few equal shots have no variance."""
    precision = entry.get("target_precision") or 0.0
    return [error or precision for error in _flat(entry["stds"])] if "stds" in entry else None


def _version_1(name, item, metadata) -> Quantity:
    """What primitives of version 1 gave: quasi-probabilities, which are counts where shots are known and it fits; values."""
    shots = metadata.get("shots")
    known = type(shots) is int and shots > 0
    if name == "values":
        variance = metadata.get("variance")
        error = (max(0.0, variance) / shots) ** 0.5 if known and _is_number(variance) else None
        return Quantity(name, ESTIMATES, [float(item)], [error])
    if type(item) is Typed:
        item = next((part for part in (item.value if type(item.value) is list else [item.value])
                     if isinstance(part, Mapping)), {})  # fmt: skip
    content = {str(state): share for state, share in dict(item).items() if _is_number(share)}
    if known and all(share >= 0 and abs(share * shots - round(share * shots)) < 1e-6 for share in content.values()):
        return Quantity(name, COUNTS, {state: round(share * shots) for state, share in content.items()})
    return Quantity(name, NUMBERS, content)


def _swept(bits: Mapping[str, Array]) -> Iterator[Quantity]:
    """Counts of each set of parameter values, over all registers together."""
    shapes = {array.shape[:-1] for array in bits.values()}
    if len(shapes) > 1:
        for name, array in bits.items():
            yield from _swept({name: array})
        return
    for *shape, shots in shapes:
        columns = [(bytes(array.data), array.shape[-1]) for array in bits.values()]
        for number, place in enumerate(product(*map(range, shape))):
            rows = range(number * shots, (number + 1) * shots)
            found = Counter(b"|".join(data[row * width : (row + 1) * width] for data, width in columns) for row in rows)
            name = f"{next(iter(bits)) if len(bits) == 1 else 'counts'}[{', '.join(map(str, place))}]"
            yield Quantity(name, COUNTS, {state.hex(): shots for state, shots in found.items()})


def _aligned(one, other) -> tuple[list, list]:
    """Numbers side by side; of maps by state, with 0 for a state that one of them does not have."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        states = list(dict.fromkeys((*one, *other)))
        return [one.get(state, 0) for state in states], [other.get(state, 0) for state in states]
    return [list(side.values()) if isinstance(side, Mapping) else list(side) for side in (one, other)]


def _flat(item: Any) -> list:
    """All numbers in a plain value, in order."""
    kind = type(item)
    if kind is Array:
        return [] if type(item.data) is Chunked else item.flat()
    if kind is Typed:
        return _flat(item.value)
    if isinstance(item, Mapping):
        return [number for part in item.values() for number in _flat(part)]
    if kind in (list, tuple):
        return [number for part in item for number in _flat(part)]
    return [item] if _is_number(item) else []


def _is_counts(item: Any) -> bool:
    return isinstance(item, Mapping) and bool(item) and all(
        type(state) is str and type(number) is int and number >= 0 for state, number in item.items()
    )  # fmt: skip


def _is_bits(item: Any) -> bool:
    return type(item) is Array and item.dtype == "|u1" and len(item.shape) >= 3 and type(item.data) is not Chunked


def _is_number(item: Any) -> bool:
    return type(item) in (int, float, complex)


def has_noise(value: Any) -> bool:
    """Whether a configuration or a backend's snapshot says that there is noise, under any name with "noise" in it."""
    if isinstance(value, Mapping):
        return any(_is_noise(item) if "noise" in str(name) else has_noise(item) for name, item in value.items())
    return has_noise(value.value) if type(value) is Typed else False


def _is_noise(item: Any) -> bool:
    if type(item) is Typed:
        return _is_noise(item.value)
    if isinstance(item, Mapping):
        return _is_noise(item["noise_types"]) if "noise_types" in item else any(map(_is_noise, item.values()))
    return type(item) is Link or bool(item)


def whole(circuits: Sequence[Circuit]) -> str:
    """One verdict for all circuits."""
    return two_sample.whole([circuit.verdict for circuit in circuits] or [INCONCLUSIVE])
