"""qiskit.result.Result <-> two plain values: what equal runs have equal, and what differs between them.

Times, dates, ids, names of circuits and figures of the host differ between equal seeded runs. They are taken out of the
result, column by column, and stand in the outcome record, so that equal results are one blob. `spec/qiskit.md`, "result".
"""

import math
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from typing import Any

import msgpack

from ...codec import encode
from ...columns import pack_counts, pack_memory, tally, unpack_counts, unpack_memory, unsigned
from ...errors import BadInput, NotCanonical, NotEncodable
from ...values import Array, Typed
from ..limits import MOST_TEXT
from .readable import readable
from .values import Gap, from_plain, sdk, to_parts, to_plain

_IDENTITY = ("date", "job_id", "qobj_id")
# Times, and figures of the host.
_VOLATILE = frozenset(
    {
        "time_taken",
        "sample_measure_time",
        "time_taken_parameter_binding",
        "time_taken_execute",
        "max_memory_mb",
        "max_gpu_memory_mb",
        "omp_enabled",
        "omp_nested",
        "parallel_experiments",
        "parallel_shots",
        "parallel_state_update",
    }
)
_STATUSES = frozenset({"DONE", "COMPLETED", "PARTIAL COMPLETED", "Successful", "success"})
_AUTOMATIC = re.compile(r"[qa]\d+\Z")
_SIMPLE = frozenset({str, int, float, bool, type(None)})
_EXACT = _SIMPLE - {float}
_PARTS = ("header", "metadata")  # of an experiment: their fields are looked at one by one


def pack_result(result: Any, gap: Gap | None = None, parts: bool = False) -> tuple[dict, dict]:
    """(value, volatile) of a Result, which is not altered.

    Counts and memory become columns where those say exactly the same. A part that cannot be stored is left out and told to
    `gap(path, reason)`; without `gap` it raises NotEncodable. With `parts` that is also so where only writing it would fail (text
    with surrogates, too deep), which costs another look at everything.
    """
    content = dict(result.to_dict())
    volatile: dict[str, Any] = {key: content.pop(key) for key in _IDENTITY if key in content}
    if not all(value is None or type(value) is str for value in volatile.values()):
        volatile = {key: _kept(value, gap, key) for key, value in volatile.items()}
    experiments = [dict(experiment) for experiment in content.pop("results")]
    columns = _take(content, experiments)
    if columns:
        volatile["columns"] = columns
    if any(key.startswith("common") for key in content):  # fields of the SDK's own
        content = {f"{key}'" if key.startswith("common") else key: item for key, item in content.items()}
    if len(experiments) > 1:
        content["common"] = _common(experiments)
    plain = to_parts if parts else to_plain
    value = plain(content, gap)
    value["results"] = [_pack_experiment(plain, experiment, gap, f"results.{i}") for i, experiment in enumerate(experiments)]
    return value, volatile


def unpack_result(value: Mapping[str, Any], volatile: Mapping[str, Any]) -> Any:
    """The Result again, equal to the original in content and in types. Raises MissingExtra."""
    result = sdk("qiskit.result", "a Qiskit result").Result
    return result.from_dict(unpack_dict(value, volatile))


def unpack_dict(value: Mapping[str, Any], volatile: Mapping[str, Any]) -> dict:
    """`Result.to_dict()` of the original."""
    content = {
        key[:-1] if key.startswith("common") else key: from_plain(item)
        for key, item in value.items()
        if key not in ("results", "common")
    }
    common = value.get("common", {})
    content["results"] = [_unpack_experiment(experiment, common) for experiment in value["results"]]
    content.update({key: from_plain(item) for key, item in volatile.items() if key != "columns"})
    _give_back(content, volatile.get("columns", {}))
    return content


def counts(value: Mapping[str, Any], index: int, volatile: Mapping[str, Any]) -> dict[str, int]:
    """Counts of experiment `index` as Result.get_counts writes them: registers apart, padded with zeros; without the SDK.

    Raises BadInput where there is no such experiment or it has no counts.
    """
    experiments = value["results"]
    if not -len(experiments) <= index < len(experiments):
        raise BadInput(f"circuit {index}", f"the result holds {len(experiments)}", "count from 0")
    experiment = experiments[index]
    data = experiment.get("data", {})
    packed = data.get("counts")
    if packed is None:
        raise BadInput(f"circuit {index}", "its result has no counts", "look at the data that it has")
    states = _counts(packed, data) if type(packed) is Typed else packed
    names = _formatted(value, index, states)
    return {names[state]: n for state, n in states.items()}


def data(value: Mapping[str, Any], volatile: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What came out of each experiment by name, without the SDK: counts and memory as Qiskit's Result gives them, of quantum
    states and operators their arrays."""
    found = []
    for index, experiment in enumerate(value["results"]):
        shown = {}
        for name, item in experiment.get("data", {}).items():
            if name == "counts":
                item = counts(value, index, volatile)
            elif name == "memory" and type(item) is Typed and item.tag == "memory":
                shots = unpack_memory(item)
                names = _formatted(value, index, dict.fromkeys(shots))
                item = [names[state] for state in shots]
            else:
                item = readable(item)
            shown[name] = item
        found.append(shown)
    return found


def _formatted(value: Mapping[str, Any], index: int, states: Mapping[str, Any]) -> dict[str, str]:
    """What each state of experiment `index` is written as. Raises BadInput where that would take too much."""
    header = {**value.get("common", {}).get("header", {}), **(value["results"][index].get("header") or {})}
    slots, registers = header.get("memory_slots"), header.get("creg_sizes")
    if slots and slots * len(states) > MOST_TEXT:
        raise BadInput(f"circuit {index}", f"its result has {len(states):,} states, and says that each has {slots:,} bits")
    return {state: _format(state, slots, registers) for state in states}


def _format(state: str, slots: int | None, registers: list | None) -> str:
    """One state as Qiskit's postprocessing formats it."""
    if state.startswith("0x"):
        state = bin(int(state, 16))[2:]
    if slots:
        state = state.zfill(slots)
        if registers:
            parts, start = [], 0
            for _, size in reversed(registers):
                parts.append(state[start : start + size])
                start += size
            return " ".join(parts)
    return state


def _common(experiments: list[dict]) -> dict[str, Any]:
    """Move what all experiments have alike into one map: their fields, and those of their headers and metadata one by one."""
    common: dict[str, Any] = {}
    for part in _PARTS:
        if all(type(experiment.get(part)) is dict for experiment in experiments):
            inside = [experiment[part] for experiment in experiments]
            common[part] = _alike(inside)
            for experiment, fields in zip(experiments, inside, strict=True):
                if not fields:
                    del experiment[part]
    return common | _alike(experiments)


def _alike(holders: list[dict]) -> dict[str, Any]:
    """The fields that all dicts have with one value, taken out of each; `data` stays."""
    alike = {}
    for name in list(holders[0]):
        if name != "data" and all(name in holder for holder in holders) and _one([holder[name] for holder in holders]):
            alike[name] = holders[0][name]
            for holder in holders:
                del holder[name]
    return alike


def _one(values: list) -> bool:
    """Whether all values have one canonical encoding."""
    first = values[0]
    kind = type(first)
    if list(map(type, values)) != [kind] * len(values):
        return False
    if kind in _EXACT:
        return values.count(first) == len(values)
    if kind is float:
        return len(set(map(float.hex, values))) == 1
    if all(value is first for value in values):
        return True
    try:
        if kind in (list, dict) and len({msgpack.packb(value, strict_types=True) for value in values}) == 1:
            return True
    except (TypeError, ValueError, OverflowError):
        pass  # nothing that msgpack can write as it is
    try:
        return len({encode(to_plain(value)) for value in values}) == 1
    except NotEncodable:
        return False


def _pack_experiment(to: Callable, experiment: dict, gap: Gap | None, path: str) -> dict:
    data = dict(experiment.pop("data"))
    found = data.get("memory")
    memory = pack_memory(found) if type(found) is list else None
    if memory is not None:
        data["memory"] = memory
    found = data.get("counts")
    if type(found) is dict:
        packed = pack_counts(found)
        if packed is not None:
            data["counts"] = Typed("counts", None) if memory is not None and tally(memory) == packed else packed
    plain = to(experiment, gap, path)
    plain["data"] = to(data, gap, f"{path}.data")
    return plain


def _unpack_experiment(experiment: Mapping[str, Any], common: Mapping[str, Any]) -> dict:
    content = {key: _fresh(item) for key, item in common.items()}
    for key, item in experiment.items():
        if key in _PARTS and key in common:
            content[key].update(from_plain(item))
        elif key != "data":
            content[key] = from_plain(item)
    data = {}
    for key, item in experiment["data"].items():
        tag = item.tag if type(item) is Typed else None
        if tag == "counts":
            data[key] = _counts(item, experiment["data"])
        else:
            data[key] = unpack_memory(item) if tag == "memory" else from_plain(item)
    content["data"] = data
    return content


def _counts(packed: Typed, data: Mapping[str, Any]) -> dict[str, int]:
    """The counts of one experiment, which its memory may tell. Raises NotCanonical."""
    if packed.value is not None:
        return unpack_counts(packed)
    memory = data.get("memory")
    if type(memory) is not Typed or memory.tag != "memory":
        raise NotCanonical("counts of a memory that is not there")
    return unpack_counts(tally(memory))


def _fresh(value: Any) -> Any:
    """`from_plain` with containers of its own: who alters the header of one experiment must not alter those of the others."""
    kind = type(value)
    if kind is dict:
        return {from_plain(key): item if type(item) in _SIMPLE else _fresh(item) for key, item in value.items()}
    if kind is list:
        return [item if type(item) in _SIMPLE else _fresh(item) for item in value]
    return from_plain(value)


def _kept(value, gap, path):
    try:
        return to_plain(value, gap, path)
    except NotEncodable as error:
        if gap is None:
            raise
        gap(error.path or path, error.reason)
        return None


def _take(content: dict, experiments: list[dict]) -> dict[str, Any]:
    """Move what differs between equal runs out of copies of the parts that hold it; columns by dotted path."""
    taken: dict[str, dict[int, Any]] = {}
    _take_volatile(content, ".", 0, taken)
    for place, experiment in enumerate(experiments):
        _take_volatile(experiment, "", place, taken)
        header = _copied(experiment, "header")
        if type(header.get("name", header)) in _SIMPLE:
            taken.setdefault("header.name", {})[place] = header.pop("name")
        if _has_automatic_names(header):
            taken.setdefault("header.qreg_sizes", {})[place] = header.pop("qreg_sizes")
    if len(experiments) == 1:
        return {path: list(values.values()) for path, values in taken.items()}
    return {
        path: _column(path, list(values), list(values.values()), 1 if path.startswith(".") else len(experiments))
        for path, values in taken.items()
    }


def _take_volatile(holder: dict, prefix: str, place: int, taken: dict) -> None:
    """Take the times of one part and of its metadata, and its status where that is the text of an error."""
    for part, fields in ((prefix, holder), (f"{prefix}metadata.", _copied(holder, "metadata"))):
        for name in _VOLATILE:
            if name in fields and type(fields[name]) in _SIMPLE:  # nothing else is written by a simulator, and stays where it was
                taken.setdefault(part + name, {})[place] = fields.pop(name)
    status = holder.get("status")
    if type(status) is str and status not in _STATUSES:  # it names circuits, whose automatic names differ
        taken.setdefault(f"{prefix}status", {})[place] = holder.pop("status")


def _copied(holder: dict, part: str) -> dict:
    """A copy of the dict `holder[part]`, put in its place; an empty one where there is none."""
    found = holder.get(part)
    if type(found) is not dict:
        return {}
    holder[part] = found = dict(found)
    return found


def _has_automatic_names(header: dict) -> bool:
    """Whether a header has sizes of quantum registers, written as Qiskit does, with a name that it gave itself."""
    sizes = header.get("qreg_sizes")
    if type(sizes) is not list or not all(type(row) is list and list(map(type, row)) == [str, int] for row in sizes):
        return False
    return any(_AUTOMATIC.match(name) for name, _ in sizes)


def _column(path: str, places: list[int], values: list, whole: int) -> Array | dict | list:
    """Values of one field: floats as an array, equal values once, else a list; with their places where some have none."""
    packed: Array | dict | list = values
    if len(values) > 1 and path != "header.qreg_sizes":
        kinds = set(map(type, values))
        if kinds == {float} and not any(map(math.isnan, values)):
            packed = Array("<f8", (len(values),), struct.pack(f"<{len(values)}d", *values))
        elif len(kinds) == 1 and values.count(values[0]) == len(values):
            packed = {"all": values[0], "n": len(values)}
    return packed if len(values) == whole else {"at": unsigned(places), "values": packed}


def _values(packed) -> Iterable:
    if type(packed) is Array:
        return packed.flat()
    return repeat(packed["all"], packed["n"]) if type(packed) is dict else packed


def _give_back(content: dict, columns: Mapping[str, Any]) -> None:
    experiments = content["results"]
    for holder in (content, *experiments):
        for part in ("metadata", "header"):
            if type(holder.get(part)) is dict:
                holder[part] = dict(holder[part])  # what was read from the archive stays as it was read
    for path, packed in columns.items():
        whole, _, rest = path.partition(".") if path.startswith(".") else ("results", "", path)
        holders = experiments if whole else [content]
        part, _, name = rest.rpartition(".")
        places = range(len(holders))
        if type(packed) is dict and "at" in packed:
            places, packed = packed["at"].flat(), packed["values"]
        for place, value in zip(places, _values(packed), strict=True):
            holder = holders[place][part] if part else holders[place]
            holder[name] = value
