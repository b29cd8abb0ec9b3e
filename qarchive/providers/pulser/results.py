"""Results of Pulser's emulators <-> plain values, bit for bit, states too; and how they are read without Pulser.

A result's blob is equal for equal runs. What is random in it, the UUIDs of observables, and what depends on the order of sets,
the order of tags, is in the outcome's `volatile`.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ...columns import floats, items
from ...errors import BadInput, NotEncodable
from ...values import Typed
from ..qiskit.values import from_plain, to_plain
from . import stacks
from .configs import dotted
from .sequences import pulser, quietly
from .values import with_attributes

Gap = Callable[[str, str], None]

_DICTS = ("_results", "_times", "_aggregation_methods", "_tagmap")
_RESULTS = {
    "Results": "pulser.backend.results",
    "SampledResult": "pulser.result",
    "QutipResult": "pulser_simulation.qutip_result",
}
_SEQUENCES = dict.fromkeys(("CoherentResults", "NoisyResults"), "pulser_simulation.simresults")
_CLASSES = {f"{module}.{name}": (module, name) for name, module in (_RESULTS | _SEQUENCES).items()}
_LIST = "list"


def pack(result: Any, gap: Gap) -> tuple[dict[str, Any], dict[str, Any]]:
    """(blob, volatile) of what `run` returned. Raises NotEncodable for a class that is none of Pulser's."""
    found: list[dict[str, Any]] = []
    plain = {"type": "pulser.result", "value": _packed(result, gap, found)}
    if not any(entry.get("uuids") for entry in found):
        return plain, {}
    return plain, {"observables": found}


def unpack(plain: Mapping[str, Any], volatile: Mapping[str, Any]) -> Any:
    """The result again: the same classes, equal content, and the UUIDs that it had. Raises MissingExtra."""
    pulser("pulser", "a result of Pulser's")
    with quietly():
        return _unpacked(_value(plain), iter(volatile.get("observables", ())))


def counts(plain: Mapping[str, Any], index: int) -> dict[str, int]:
    """Final bit strings of one set of results as {bit string: count}, without Pulser. Raises BadInput."""
    found = _each(_value(plain))
    if not 0 <= index < len(found):
        raise BadInput(f"circuit {index}", f"the job has {len(found)}", "count from 0")
    final = _final(found[index])
    if final is None:
        raise BadInput("this job", "no bit strings were drawn at the end of its sequence", "look at `data()`")
    return final


def data(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was stored in each set of results, by tag, at every time of evaluation, and `times`, without Pulser; `counts` has the
    final bit strings. States are maps of their dimensions and an array."""
    return [_readable(value) for value in _each(_value(plain))]


def _value(plain) -> Any:
    if plain.get("type") != "pulser.result":
        raise BadInput("the result of this job", f"of the type {plain.get('type')!r}", "it was not written by this provider")
    return plain["value"]


# Packing


def _packed(value, gap, found) -> dict:
    kind = type(value)
    if kind in (list, tuple):
        return {"class": _LIST, "tuple": kind is tuple, "items": [_packed(item, gap, found) for item in value]}
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name not in _CLASSES:
        raise NotEncodable(f"a {name}")
    attributes = dict(vars(value))
    plain: dict[str, Any] = {"class": kind.__name__}
    if kind.__name__ in _SEQUENCES:
        parts = attributes.pop("_results_seq")
        stacked = stacks.results_to_plain(parts)
        if stacked is None:
            plain["items"] = [_packed(item, gap, found) for item in parts]
        else:
            plain["stacked"] = stacked
    else:
        plain["stored"] = _stored(*(attributes.pop(name) for name in _DICTS), gap, found)
    plain["attributes"] = to_plain(attributes, lambda path, reason: gap(f"attributes.{path}", reason))
    return plain


def _stored(results, times, methods, tags, gap, found) -> list[dict]:
    """One entry an observable, in the order of their tags: Pulser puts those of averaged results in the order of a set."""
    names: dict[uuid.UUID, list[str]] = {}
    for tag, identity in tags.items():
        names.setdefault(identity, []).append(tag)
    for identity in (*results, *times, *methods):
        names.setdefault(identity, [])
    identities = sorted(names, key=lambda identity: sorted(names[identity]))
    entries = []
    for identity in identities:
        entry: dict[str, Any] = {"tags": sorted(names[identity])}
        if identity in times:
            entry["times"] = _column(times[identity])
        if identity in methods:
            entry["aggregation"] = int(methods[identity])
        if identity in results:
            try:
                entry |= _values(results[identity])
            except NotEncodable as error:
                gap(dotted(*entry["tags"][:1], error.path), error.reason)
                entry["missing"] = error.reason
        entries.append(entry)
    ordered = list(tags)
    own: dict[str, Any] = {"uuids": [identity.bytes for identity in identities]}
    found.append({**own, "order": ordered} if ordered != sorted(tags) else own)
    return entries


def _column(times) -> Any:
    return floats(list(times)) if all(type(time) is float for time in times) else to_plain(list(times))


def _values(values) -> dict:
    stacked = stacks.states_to_plain(values)
    return {"states": stacked} if stacked is not None else {"values": to_plain(list(values))}


# Unpacking


def _unpacked(plain, found) -> Any:
    name = plain["class"]
    if name == _LIST:
        parts = [_unpacked(item, found) for item in plain["items"]]
        return tuple(parts) if plain["tuple"] else parts
    module = (_RESULTS | _SEQUENCES).get(name)
    if module is None:
        raise ValueError(f"a result of the class {name!r}")
    attributes = {key: from_plain(item) for key, item in plain["attributes"].items()}
    if name in _SEQUENCES:
        if "stacked" in plain:
            attributes["_results_seq"] = stacks.results_from_plain(plain["stacked"])
        else:
            attributes["_results_seq"] = tuple(_unpacked(item, found) for item in plain["items"])
    else:
        attributes |= dict(zip(_DICTS, _restored(plain["stored"], next(found, {})), strict=True))
    return with_attributes(getattr(pulser(module), name), attributes)


def _restored(entries, own) -> tuple[dict, dict, dict, dict]:
    method = pulser("pulser.backend.observable").AggregationMethod
    known = own.get("uuids") or [uuid.uuid4().bytes for _ in entries]
    results, times, methods, tags = {}, {}, {}, {}
    order = {tag: place for place, tag in enumerate(own.get("order", ()))}
    pairs = list(zip(entries, known, strict=True))
    pairs.sort(key=lambda pair: min((order.get(tag, 0) for tag in pair[0]["tags"]), default=0))
    for entry, identity in pairs:
        if "missing" in entry:
            continue  # it could not be kept: as if it had never been asked for
        identity = uuid.UUID(bytes=identity)
        if "states" in entry:
            results[identity] = stacks.states_from_plain(entry["states"])
        elif "values" in entry:
            results[identity] = from_plain(entry["values"])
        if "times" in entry:
            times[identity] = from_plain(items(entry["times"]))
        if "aggregation" in entry:
            methods[identity] = method(entry["aggregation"])
        for tag in entry["tags"]:
            tags[tag] = identity
    if order:
        tags = {tag: tags[tag] for tag in order if tag in tags}
    return results, times, methods, tags


# Reading without Pulser


def _each(value) -> list[dict]:
    return value["items"] if value["class"] == _LIST else [value]


def _final(value) -> dict[str, int] | None:
    """The bit strings at the end of a sequence; of a list of results in time those of the last."""
    if value["class"] in _SEQUENCES:
        return _final(value["items"][-1]) if value.get("items") else None
    if "bitstring_counts" in value["attributes"]:
        return _counted(value["attributes"]["bitstring_counts"])
    drawn = {tag: entry for entry in value.get("stored", ()) for tag in entry["tags"]
             if tag == "bitstrings" or tag.startswith("bitstrings_")}  # fmt: skip
    entry = drawn.get("bitstrings") or (next(iter(drawn.values())) if len(drawn) == 1 else None)
    if entry is None or "values" not in entry:
        return None
    times = items(entry["times"])
    return _counted(entry["values"][times.index(1.0)]) if 1.0 in times else None


def _counted(value) -> dict[str, int]:
    return dict(value.value if type(value) is Typed else value)


def _readable(value) -> dict[str, Any]:
    final = _final(value)
    shown: dict[str, Any] = {} if final is None else {"counts": final}
    if value["class"] in _SEQUENCES:
        if "stacked" in value:
            stacked = value["stacked"]
            return shown | {"times": {"state": items(stacked["times"])}, "state": stacks.readable(stacked)}
        times = [_plain(item["attributes"].get("evaluation_time")) for item in value["items"]]
        if any("bitstring_counts" in item["attributes"] for item in value["items"]):
            drawn = [_counted(item["attributes"]["bitstring_counts"]) for item in value["items"]]
            return shown | {"times": {"bitstrings": times}, "bitstrings": drawn}
        return shown | {"times": {"state": times}, "state": [_plain(item["attributes"]["state"]) for item in value["items"]]}
    times = {}
    for entry in value["stored"]:
        for tag in entry["tags"]:
            if "missing" not in entry:
                times[tag] = list(items(entry["times"])) if "times" in entry else []
                shown[tag] = stacks.readable(entry["states"]) if "states" in entry else _plain(entry.get("values", []))
    return shown | {"times": times}


def _plain(value) -> Any:
    """A stored value without tags: counts as a map, a number of numpy's as a number, a state as a map."""
    if type(value) in (list, tuple):
        return [_plain(item) for item in value]
    if type(value) is not Typed:
        return value
    if value.tag == "counter":
        return _plain(value.value)
    if value.tag == "numpy.scalar" and type(value.value) is not Typed:
        return value.value.tolist()
    if value.tag in ("pulser.QutipState", "pulser.QutipOperator"):
        return {"eigenstates": list(value.value[0]), **_plain(value.value[2 if value.tag.endswith("State") else 3])}
    if value.tag == "qutip.Qobj":
        dims, _representation, form, *parts = value.value
        return {"dims": dims, "format": form, "data": parts[0] if form == "dense" else parts}
    return value.value if value.tag == "pulser.AbstractArray" else value
