"""Snapshots of backends and noise models, made once and used again until the object says something else.

Making one takes up to half a second, and most runs find their backend as the last one left it. So each is kept beside a token
that is cheap to compute and changes with everything that the snapshot holds; the objects themselves are held weakly.
"""

import math
import operator
import struct
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..codec import decode, digest, encode
from ..columns import unsigned
from ..errors import NotEncodable
from ..values import Array, Link
from .aer_noise import model_to_plain
from .base import Stage
from .qiskit_values import to_plain

SCALARS = frozenset({str, int, float, bool, type(None)})


@dataclass(slots=True)
class Snapshot:
    """A blob that can be put again, into any archive, and what it could not hold."""

    kind: str
    encoded: bytes
    link: Link | None
    gaps: tuple[tuple[str, str], ...]

    def put(self, stage: Stage) -> Link:
        for what, reason in self.gaps:
            stage.gap(what, reason)
        if self.link is not None and stage.again(self.link):
            return self.link
        link = stage.put(self.kind, decode(self.encoded))
        if link.digest == digest(self.encoded):  # else a credential was removed, which is a gap of every job
            self.link = link
        return link


def snapshot(kind: str, what: str, make: Callable[[Callable[[str, str], None]], Any]) -> Snapshot:
    """The snapshot of the value that `make(gap)` returns; its gaps are told under `what`."""
    gaps: list[tuple[str, str]] = []
    value = make(lambda path, reason: gaps.append((f"{what}.{path}", reason)))
    return Snapshot(kind, encode(value), None, tuple(gaps))


class Memo:
    """What was made of objects, each as long as it lives and its token stays the same.

    Safe in threads without a lock, which a garbage collection inside it could wait for for ever: each step is one operation
    of a dict, and two threads that miss at once make the same thing twice.
    """

    def __init__(self):
        self._made: dict[int, tuple[weakref.ref, Any, Any]] = {}

    def get(self, item: Any, token: Any, make: Callable[[], Any]) -> Any:
        entry = self._made.get(id(item))
        if entry is not None and entry[0]() is item and entry[1] == token:
            return entry[2]
        made = make()
        number, made_of = id(item), self._made
        made_of[number] = (weakref.ref(item, lambda ref, drop=_drop: drop(made_of, number, ref)), token, made)
        return made


def _drop(made_of, number, ref):
    entry = made_of.get(number)
    if entry is not None and entry[0] is ref:
        made_of.pop(number, None)


_models = Memo()


def noise_snapshot(model: Any) -> Snapshot:
    """The blob of a NoiseModel. Raises NotEncodable."""
    return _models.get(model, noise_token(model), lambda: snapshot("noise", "noise", lambda gap: model_to_plain(model, gap)))


class Same:
    """Objects that are compared by identity, and held, so that no other can come to stand at their address."""

    __slots__ = ("items",)

    def __init__(self, items):
        self.items = items

    def __eq__(self, other):
        if type(other) is not Same:
            return NotImplemented
        return len(self.items) == len(other.items) and all(map(operator.is_, self.items, other.items))


def noise_token(model: Any) -> tuple:
    """Changes with whatever the model's methods change: they put new error objects in the place of old ones."""
    errors = [*model._default_quantum_errors.values(), model._default_readout_error, *model._local_readout_errors.values()]
    labels: list = [tuple(model._default_quantum_errors), tuple(model._local_readout_errors)]
    for label, local in model._local_quantum_errors.items():
        labels.append((label, tuple(local)))
        errors += local.values()
    errors += model._custom_noise_passes
    return (
        frozenset(model._basis_gates),
        frozenset(model._noise_instructions),
        frozenset(model._noise_qubits),
        labels,
        Same(errors),
    )


def is_noise_model(value: Any) -> bool:
    kind = type(value)
    return kind.__name__ == "NoiseModel" and kind.__module__ == "qiskit_aer.noise.noise_model"


def fields_token(fields: dict, known: dict[str, Any] | None = None) -> tuple:
    """Changes with every value of a dict of options, lists that are altered in place and 1 for True included.

    `known` holds what stands for some of the values, compared by identity: the snapshots of noise models.
    """
    if known:
        fields = {**fields, **{name: Same([item]) for name, item in known.items()}}
    values, others = list(fields.values()), []
    if not SCALARS.issuperset(map(type, values)):
        others = [(name, _value_token(item)) for name, item in fields.items() if type(item) not in SCALARS]
        values = [item for item in values if type(item) in SCALARS]
    return (list(fields), Same(values), others)  # scalars never change; identity tells 1 from True and 0.0 from -0.0


def _value_token(value):
    if type(value) is Same:
        return value
    try:
        return encode(to_plain(value))
    except NotEncodable:
        return Same([value])


def target_token(target: Any) -> tuple:
    """Every error rate and duration of a Target, since InstructionProperties may be altered in place."""
    gates = []
    for name in target.operation_names:
        properties = target[name] or {}
        gates.append((name, [(qubits, item and (item.error, item.duration)) for qubits, item in properties.items()]))
    qubits = [(q and (q.t1, q.t2, q.frequency)) for q in target.qubit_properties or ()]
    return (id(target), target.num_qubits, target.dt, gates, qubits)


def target_value(target: Any) -> dict:
    """What a Target offers, without its figures: operations and the qubits that they act on, None where it is all of them."""
    operations = {}
    for name in sorted(target.operation_names):
        places = _places(target, name)
        operations[name] = None if places is None else _columns_of_qubits(places)
    return {"qubits": target.num_qubits, "dt": target.dt, "operations": operations}


def calibration_value(target: Any) -> dict | None:
    """Error rates, durations (s) and qubits (s, s, Hz) of a Target, in the order of its snapshot; None where it has none.

    NaN stands where one has no figure while its neighbours do.
    """
    gates = {}
    for name in sorted(target.operation_names):
        items = [(target[name] or {}).get(qubits) for qubits in _places(target, name) or ()]
        figures = {field: column for field in ("error", "duration") if (column := _figures(items, field))}
        if figures:
            gates[name] = figures
    qubits = {field: column for field in ("t1", "t2", "frequency") if (column := _figures(target.qubit_properties or (), field))}
    return {"type": "qiskit.target", "gates": gates, "qubits": qubits} if gates or qubits else None


def _places(target, name):
    properties = target[name]
    return None if not properties or None in properties else sorted(properties)


def _columns_of_qubits(places) -> list:
    width = len(places[0])
    if any(len(qubits) != width for qubits in places):
        return [list(qubits) for qubits in places]
    return [width, unsigned([qubit for qubits in places for qubit in qubits])]


def _figures(items, field) -> Array | None:
    figures = [getattr(item, field, None) if item is not None else None for item in items]
    if all(figure is None for figure in figures):
        return None
    return Array(
        "<f8", (len(figures),), struct.pack(f"<{len(figures)}d", *(math.nan if figure is None else figure for figure in figures))
    )
