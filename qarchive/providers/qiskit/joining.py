"""Results of several jobs as one, in order: what a single job with all the circuits or PUBs would have returned.

What all results say alike the joined one says, too. Its experiments and PUB results are the very objects of the originals.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import BadInput
from ..sdk import sdk
from ..wrapped import is_a

JOINED = "joined"  # in metadata: the list of the originals', where these differ

_RESULT = frozenset({("qiskit.result.result", "Result")})
_PRIMITIVE_RESULT = frozenset({("qiskit.primitives.containers.primitive_result", "PrimitiveResult")})
_SPANS = ("execution", "execution_spans")  # where IBM's samplers keep what was measured when
_NOTHING = object()


def join(results: Iterable[Any]) -> Any:
    """One Result of several, or one PrimitiveResult. Raises BadInput for any others, for both kinds together, and for none."""
    results = list(results)
    for kinds, joined in ((_RESULT, _results), (_PRIMITIVE_RESULT, _primitive_results)):
        if results and all(is_a(result, kinds) for result in results):
            return joined(results)
    if not results:
        raise BadInput("no results", "there is nothing to join")
    names = ", ".join(dict.fromkeys(type(result).__name__ for result in results))
    reason = "only several Result are joined, or several PrimitiveResult"
    raise BadInput(f"results of the classes {names}", reason, "take them one by one: `get_results()`")


def _results(results):
    """A Result is successful where all are; ids that differ are empty, other names are listed, times are summed.

    Any other field in which results differ is left out, and stands in the originals.
    """
    fields = [{**vars(result), **result._metadata} for result in results]
    for found in fields:
        del found["results"], found["_metadata"]
    experiments = [experiment for result in results for experiment in result.results or ()]
    joined = _alike(fields)
    joined["success"] = all(result.success for result in results)
    for name in fields[0].keys() - joined.keys():
        values = [found.get(name) for found in fields]
        if name in ("job_id", "qobj_id"):
            joined[name] = ""
        elif name in ("backend_name", "backend_version"):
            joined[name] = ", ".join(dict.fromkeys(map(str, values)))
        elif name == "status":
            some = any(experiment.success for experiment in experiments)
            joined[name] = "COMPLETED" if joined["success"] else "PARTIAL COMPLETED" if some else "ERROR"
        elif name == "date":
            joined[name] = _latest(values)
        elif name == "time_taken" and all(isinstance(value, int | float) for value in values):
            joined[name] = sum(values)
        elif name in ("metadata", "header") and all(isinstance(value, Mapping) for value in values):
            joined[name] = _with_originals(values)
    return sdk("qiskit.result", "a Qiskit result").Result(**joined, results=experiments)


def _primitive_results(results):
    """The execution spans of IBM's samplers are those of all, with the numbers that the PUBs have now."""
    metadata = [dict(result.metadata) for result in results]
    spans = _spans(results, metadata)
    if spans is not None:
        metadata = list(map(_without_spans, metadata))
    joined = _with_originals(metadata)
    if spans is not None:
        outer, inner = _SPANS
        joined[outer] = {**joined.get(outer, {}), inner: spans}
    kind = sdk("qiskit.primitives.containers.primitive_result", "a result of a primitive").PrimitiveResult
    return kind([pub for result in results for pub in result], metadata=joined)


def _with_originals(values: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What several metadata have alike; and all of them, where that is not everything."""
    joined = _alike(values)
    if any(len(value) > len(joined) for value in values):
        joined[JOINED] = list(values)
    return joined


def _alike(values: list[Mapping[str, Any]]) -> dict[str, Any]:
    first, *others = values
    return {name: value for name, value in first.items() if all(_same(value, other.get(name, _NOTHING)) for other in others)}


def _same(one, other) -> bool:
    if one is other:
        return True
    equal = type(one) is type(other) and one == other
    return equal if type(equal) is bool else bool(equal.all())  # arrays compare item by item


def _latest(dates) -> Any:
    """The last of several dates, as far as they compare."""
    try:
        return max(dates)
    except TypeError:
        return dates[-1]


def _spans(results, metadata) -> Any | None:
    """The execution spans of all results; None where one has none, or has some of a class that keeps PUBs in another way."""
    outer, inner = _SPANS
    found, start = [], 0
    for result, fields in zip(results, metadata, strict=True):
        execution = fields.get(outer)
        spans = execution.get(inner) if isinstance(execution, Mapping) else None
        if spans is None or not all(hasattr(span, "_data_slices") for span in spans):
            return None
        found += [_moved(span, start) for span in spans]
        start += len(result)
    return type(spans)(found)


def _moved(span, start) -> Any:
    """The same span, of a result in which its PUBs stand `start` places further."""
    moved = copy.copy(span)
    for name in ("_data_slices", "_pub_shots"):
        if hasattr(span, name):
            setattr(moved, name, {place + start: item for place, item in getattr(span, name).items()})
    return moved


def _without_spans(metadata):
    outer, inner = _SPANS
    execution = {name: value for name, value in metadata[outer].items() if name != inner}
    return {**metadata, outer: execution}
