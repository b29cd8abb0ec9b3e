"""Snapshots of backends and noise models, made once and used again until the object says something else.

Making one takes up to half a second, and most runs find their backend as the last one left it. So each is kept beside a token
that is cheap to compute and changes with everything that the snapshot holds; the objects themselves are held weakly.
"""

import operator
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...codec import decode, digest, encode
from ...errors import NotEncodable
from ...values import Link
from ..base import Stage
from . import ibm_fakes, ibm_snapshots
from .aer_noise import model_to_plain
from .targets import calibration_value, target_token, target_value
from .values import Gap, to_plain

SCALARS = frozenset({str, int, float, bool, type(None)})


@dataclass(slots=True)
class Snapshot:
    """A blob that can be put again, into any archive, what it could not hold, and the blobs that its fields refer to."""

    kind: str
    encoded: bytes
    link: Link | None
    gaps: tuple[tuple[str, str], ...]
    parts: tuple["Snapshot", ...] = ()

    @property
    def name(self) -> Link:
        """The link to this blob as it was made."""
        return Link(digest(self.encoded))

    def put(self, stage: Stage) -> Link:
        for what, reason in self.gaps:
            stage.gap(what, reason)
        moved = {}
        for part in self.parts:
            link = part.put(stage)
            if link != part.name:  # a credential was removed from the part, which is a gap of every job
                moved[part.name] = link
        if self.link is not None and not moved and stage.again(self.link):
            return self.link
        value = decode(self.encoded)
        if moved:
            value = {name: moved.get(item, item) if type(item) is Link else item for name, item in value.items()}
        link = stage.put(self.kind, value)
        if link == self.name:
            self.link = link
        return link


def snapshot(
    kind: str, what: str, make: Callable[[Callable[[str, str], None]], Any], parts: tuple[Snapshot, ...] = ()
) -> Snapshot:
    """The snapshot of the value that `make(gap)` returns; its gaps are told under `what`."""
    gaps: list[tuple[str, str]] = []
    value = make(lambda path, reason: gaps.append((f"{what}.{path}", reason)))
    return Snapshot(kind, encode(value), None, tuple(gaps), parts)


class _Making:
    """A stage for one value, which keeps what is put there as parts of its snapshot."""

    def __init__(self):
        self.parts: list[Snapshot] = []
        self.gaps: list[tuple[str, str]] = []

    def put(self, kind: str, value: object, key: bytes | None = None) -> Link:
        self.parts.append(Snapshot(kind, encode(value), None, ()))
        return self.parts[-1].name

    def gap(self, what: str, reason: str) -> None:
        self.gaps.append((what, reason))

    def snapshot(self, kind: str, value: Any) -> Snapshot:
        return Snapshot(kind, encode(value), None, tuple(self.gaps), tuple(self.parts))


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


_devices = Memo()


def captured(backend: Any, target: Any) -> tuple[Callable[[Gap], dict], Snapshot | None, tuple[Snapshot, ...]]:
    """What a backend offers and how well it works: the fields of its blob for that, its calibration, the blobs they refer to.

    One of IBM's fake backends is its device: configuration and properties as IBM sent them. Others are their Target, if any.
    """
    found = _device(backend)
    if found is not None:
        device, figures = found
        return lambda gap: {"device": device.name}, figures, (device,)
    if target is None:
        return lambda gap: {}, None, ()
    figures = calibration_value(target)
    return (
        lambda gap: {"target": target_value(target, gap)},
        None if figures is None else snapshot("calibration", "calibration", lambda gap: figures),
        (),
    )


def _device(backend) -> tuple[Snapshot, Snapshot | None] | None:
    """Configuration and calibration of the device behind one of IBM's fake backends; None for everything else.

    None, too, where such a backend would not come out of them as it is, because somebody altered it.
    """
    if not ibm_fakes.is_fake(backend):
        return None
    token = (target_token(backend.target), Same([backend.target, backend._conf_dict, backend._props_dict]))
    return _devices.get(backend, token, lambda: _make_device(backend))


def _make_device(backend) -> tuple[Snapshot, Snapshot | None] | None:
    raw = ibm_fakes.raw_of(backend)
    if raw is None:
        return None
    configuration, properties = raw
    try:
        again = ibm_fakes.new_fake(configuration, properties, str(backend.name))
        again._props_dict = backend._props_dict  # checked by `raw_of`; to convert them again would take most of the time
        if _offered(again.target) != _offered(backend.target):
            return None
    except Exception:  # whatever another version of the SDK has changed: then the Target says what the backend is
        return None
    stage = _Making()
    described = stage.snapshot("backend", ibm_snapshots.configuration_value(stage, configuration))
    if properties is None:
        return described, None
    stage = _Making()
    return described, stage.snapshot("calibration", ibm_snapshots.calibration_value(stage, properties))


def _offered(target) -> bytes:
    return encode([target_value(target, lambda path, reason: None), calibration_value(target)])
