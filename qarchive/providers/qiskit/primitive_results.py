"""Results of Qiskit's primitives <-> two plain values: what equal runs have equal, and what differs between them.

Times and figures of the host stand in the metadata of each PUB's result, at places that depend on the primitive. Wherever
metadata have such a field its value is taken out, and nil stays in its place. `spec/qiskit.md`, "PUBs and their results".
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

from ...columns import floats, items
from ...errors import BadInput, NotCanonical
from ...values import Array, Link, Typed
from ..base import Stage
from ..limits import MOST
from ..sdk import sdk
from .readable import readable
from .results import _SIMPLE, _VOLATILE
from .values import from_plain, to_plain

_PUB_RESULTS = frozenset({"qiskit.PubResult", "qiskit.SamplerPubResult"})
_RESULTS = frozenset({"qiskit.PrimitiveResult", "qiskit.SamplerResult", "qiskit.EstimatorResult"}) | _PUB_RESULTS
_V1 = {"qiskit.SamplerResult": "quasi_dists", "qiskit.EstimatorResult": "values"}


def put_result(stage: Stage, result: Any) -> tuple[Link, dict[str, Any]]:
    """(link, volatile) of a PrimitiveResult, or of a SamplerResult or EstimatorResult of version 1; it is not altered.

    A part that cannot be stored is a gap. Raises NotEncodable where the result itself cannot be.
    """
    plain = to_plain(result, lambda path, reason: stage.gap(f"result.{path}", reason))
    taken: dict[str, list] = {}
    value = _through(plain, lambda name, item: taken.setdefault(name, []).append(item))
    columns = {name: _column(values) for name, values in taken.items()}
    return stage.put("result", value), {"columns": columns} if columns else {}


def load_result(value: Typed, volatile: Mapping[str, Any]) -> Any:
    """The result again, equal to the original in content and in types. Raises MissingExtra."""
    sdk("qiskit.primitives", "a Qiskit result")
    return from_plain(_whole(value, volatile))


def counts(value: Typed, index: int) -> dict[str, int]:
    """Counts of PUB `index` of a sampler as {bit string: count}, without the SDK.

    All registers of the circuit are joined, the first one rightmost, without spaces between them: what Qiskit's
    `result[index].join_data().get_counts()` returns for a PUB of one set of parameter values, and the order of bits of counts
    of backends. Raises BadInput where there is no such PUB, it has several sets of values, or its data are no bits.
    """
    if value.tag in _V1:
        raise BadInput("this job", "it ran a primitive of version 1, which has no counts", "take `job.result()`")
    results = value.value[0]
    if not -len(results) <= index < len(results):
        raise BadInput(f"PUB {index}", f"the result holds {len(results)}", "count from 0")
    registers = [item for _, item in _fields(results[index])]
    if not registers or not all(_is_bits(item) for item in registers):
        raise BadInput(f"PUB {index}", "its result has no counts", "look at the data that it has")
    shape = _shape(registers[0])
    if shape:
        raise BadInput(
            f"PUB {index}",
            f"it has values of the shape {shape}, and counts are those of one",
            f"take `job.data()[{index}]['counts']`, which has those of each",
        )
    return _count(list(map(_shots, registers)), [item.value[0] for item in registers])


def data(value: Typed, volatile: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What came out of each PUB, as plain values by name, without the SDK: arrays of an estimator, bits of a sampler.

    `counts` are of all registers joined as `counts` does it: {bit string: count} for one set of parameter values, for several
    a list of them, nested as the values are. Bits of one set are {bit string: count} of each register; of several an array whose
    last axes are shots and bytes, the most significant first.
    """
    if value.tag in _V1:
        content, metadata = _whole(value, volatile).value
        values = content.flat() if type(content) is Array else content
        return [{_V1[value.tag]: readable(item), "metadata": extra} for item, extra in zip(values, metadata, strict=True)]
    found = []
    for result in value.value[0]:
        fields = dict(_fields(result))
        shown = {name: _shown(item) for name, item in fields.items()}
        if fields and all(map(_is_bits, fields.values())) and (counted := _each(list(fields.values()))) is not None:
            shown["counts"] = counted
        found.append(shown)
    return found


def _whole(value: Typed, volatile: Mapping[str, Any]) -> Typed:
    columns = {name: iter(_values(column)) for name, column in volatile.get("columns", {}).items()}
    return _through(value, lambda name, _: next(columns.get(name, iter(())), None))


def _through(value: Any, replace: Callable[[str, Any], Any]) -> Any:
    """A copy of a result in which the value of each volatile field of metadata is what `replace(name, value)` returns.

    The order is that of stored maps, so that taking out and putting back meet the same fields in the same order.
    """
    if type(value) is Typed and value.tag in _RESULTS:
        content, metadata = value.value
        if type(content) is list:
            content = [_through(item, replace) if type(item) is Typed else item for item in content]
        return Typed(value.tag, [content, _metadata(metadata, replace)])
    return value


def _metadata(value, replace):
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(_metadata(item, replace) for item in value)
    if kind is not dict or not all(type(key) is str for key in value):
        return value
    return {
        key: replace(key, value[key]) if key in _VOLATILE and type(value[key]) in _SIMPLE else _metadata(value[key], replace)
        for key in sorted(value)
    }


def _column(values: list) -> Any:
    """Floats as numbers, equal values once, else a list."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return floats(values)
    if len(values) > 1 and len(kinds) == 1 and values.count(values[0]) == len(values):
        return {"all": values[0], "n": len(values)}
    return values


def _values(column) -> Iterable:
    return repeat(column["all"], column["n"]) if type(column) is dict else items(column)


def _fields(result) -> Iterator[tuple[str, Any]]:
    """(name, value) of all data of a PUB's result, in order."""
    _, names, values = result.value[0].value
    return zip(names, values, strict=True)


def _is_bits(item) -> bool:
    return type(item) is Typed and item.tag == "qiskit.BitArray"


def _shape(bits) -> tuple[int, ...]:
    return bits.value[1].shape[:-2]


def _shown(item):
    if not _is_bits(item):
        return readable(item)
    return item.value[1] if _shape(item) else _count([_shots(item)], [item.value[0]])


def _each(registers) -> Any:
    """Counts of every set of parameter values, nested as those are; None where the registers do not say which belong together,
    or there are more than anybody ran."""
    shape = _shape(registers[0])
    number = math.prod(shape)
    if number > MOST or any(_shape(item) != shape for item in registers):
        return None
    shots, sizes = list(map(_shots, registers)), [item.value[0] for item in registers]
    each = len(shots[0]) // (number or 1)
    found: list = [_count([held[i * each : (i + 1) * each] for held in shots], sizes) for i in range(number)]
    for axis in range(len(shape) - 1, 0, -1):
        width = shape[axis]
        found = [found[i * width : (i + 1) * width] for i in range(math.prod(shape[:axis]))]
    return found if shape else found[0]


def _count(shots, sizes: list[int]) -> dict[str, int]:
    """How often each state was measured; the first register rightmost. `shots` are what each register of `sizes` bits held."""
    found: Counter[str] = Counter()
    for shot, number in Counter(zip(*reversed(shots), strict=True) if len(shots) > 1 else shots[0]).items():
        state = 0
        for size, held in zip(reversed(sizes), shot if len(shots) > 1 else (shot,), strict=True):
            state = state << size | (held if type(held) is int else int.from_bytes(held, "big")) & (1 << size) - 1
        found[f"{state:b}".zfill(sum(sizes))] += number
    return dict(found)


def _shots(bits) -> Sequence[bytes] | bytes:
    """What one register held after each shot, of all sets of parameter values: bytes, or a number where one holds it."""
    number, array = bits.value
    shots, width = math.prod(array.shape[:-1]), array.shape[-1]
    if not 0 <= number <= 8 * width:
        raise NotCanonical(f"shots of {number} bits in {width} bytes")
    held = bytes(array.data)
    return held if width == 1 else [held[i * width : (i + 1) * width] for i in range(shots)]
