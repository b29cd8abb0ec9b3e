"""What came out of a circuit, as plain numbers: which of its data are tables of states or values, and what they are of."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from math import prod
from typing import Any

from .values import Array, Chunked

TABLES = ("counts", "probabilities")  # the usual ones
SHOTS = ("memory", "samples", "raw")  # states one by one, in the order in which they were measured
_AMPLITUDES = 1 << 16  # of a state of which they are told one by one

Table = dict[str, int | float]


@dataclass(frozen=True)
class Points:
    """What the results of one circuit are of: `shape` is that of its values, as Qiskit broadcasts parameters and observables.

    `parameters` has each parameter's values in C order of the shape `sets`, `observables` their texts in that of `observed`;
    qubit 0 is the rightmost letter. `circuit` is the circuit's place among those of the job. Raises ValueError for values
    that are more or fewer than their shapes say.
    """

    circuit: int
    shape: tuple[int, ...] = ()
    parameters: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    sets: tuple[int, ...] = ()
    observables: Sequence[str] = ()
    observed: tuple[int, ...] = ()

    def __post_init__(self):
        sizes = [*self.shape, *self.sets, *self.observed]
        if not all(type(size) is int and size >= 0 for size in sizes):
            raise ValueError(f"an array of the shape {sizes}")
        if any(len(values) != prod(self.sets) for values in self.parameters.values()):
            raise ValueError(f"values of parameters that are not of the shape {self.sets}")
        if self.observables and len(self.observables) != prod(self.observed):
            raise ValueError(f"{len(self.observables)} observables that are not of the shape {self.observed}")

    def at(self, place: int) -> dict[str, Any]:
        """The parameter values of the result at a place of `shape`, counted in C order."""
        which = self.set_at(place)
        return {name: values[which] for name, values in self.parameters.items()}

    def set_at(self, place: int) -> int:
        """Which set of parameter values a result is of."""
        return _broadcast(place, self.shape, self.sets)

    def observed_at(self, place: int) -> int:
        """Which observable a result is of."""
        return _broadcast(place, self.shape, self.observed)

    @classmethod
    def together(cls, found: "Sequence[Points]") -> "Points":
        """Of results of one circuit that have one set of values each, as if they were one result of all sets."""
        names = [name for name in found[0].parameters if all(name in each.parameters for each in found)]
        values = {name: [each.parameters[name][0] for each in found] for name in names}
        return cls(found[0].circuit, (len(found),), values, (len(found),))

    @property
    def varying(self) -> list[str]:
        """The parameters that have more than one value."""
        return [name for name, values in self.parameters.items() if any(value != values[0] for value in values)]


def _broadcast(place: int, shape: Sequence[int], own: Sequence[int]) -> int:
    """The place in an array of the shape `own` that is broadcast to one in `shape`."""
    found, stride = 0, 1
    for size, mine in zip_longest(reversed(shape), reversed(own), fillvalue=1):
        place, here = divmod(place, size)
        found += stride * (here if mine > 1 else 0)
        stride *= mine
    return found


def is_table(value: Any) -> bool:
    """Whether it maps states to numbers."""
    return type(value) is dict and bool(value) and all(
        type(state) is str and type(number) in (int, float) for state, number in value.items()
    )  # fmt: skip


def tables_of(value: Any) -> list[Table] | None:
    """The tables in a list of such, however deep they are nested, in order; None for anything else."""
    if type(value) is not list or not value:
        return None
    found = list(_inside(value))
    return found if all(is_table(item) for item in found) else None


def _inside(value: list) -> Iterator[Any]:
    for item in value:
        yield from _inside(item) if type(item) is list else (item,)


def table_of(entry: Mapping[str, Any]) -> Table | None:
    """Of what came out of a circuit that which maps states to numbers, counts before others, or else how often each state stands
    in a list of shots; None where nothing does."""
    found = [name for name, value in entry.items() if is_table(value)]
    if found:
        return entry[min(found, key=lambda name: (name not in TABLES, name))]
    return next((dict(Counter(entry[name])) for name in SHOTS if is_shots(entry.get(name))), None)


def is_shots(value: Any) -> bool:
    """Whether it is a list of states."""
    return type(value) is list and bool(value) and all(type(state) is str for state in value)


def amplitudes_of(value: Any) -> dict[str, complex] | None:
    """The amplitudes of a state of qubits by bit string, in order; None for anything else, and for very many."""
    if type(value) is not Array or value.dtype[1] != "c" or len(value.shape) != 1 or type(value.data) is Chunked:
        return None
    size = value.shape[0]
    if not 2 <= size <= _AMPLITUDES or size & (size - 1):
        return None
    width = size.bit_length() - 1
    return {f"{place:b}".zfill(width): amplitude for place, amplitude in enumerate(value.flat())}


def numbers_of(value: Any) -> list[float] | None:
    """The real numbers of an array, or a number alone; None for anything else."""
    if type(value) in (int, float):
        return [value]
    if type(value) is not Array or type(value.data) is Chunked or value.dtype[1] not in "fiu":
        return None
    return list(value.flat())
