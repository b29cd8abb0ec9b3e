"""How a job of Pasqal's ended, and its results: the SDK's `full_result` <-> plain values, without loss, readable without it."""

import json
from collections.abc import Mapping
from typing import Any

from ...columns import pack_counts, pack_memory, unpack_counts, unpack_memory
from ...errors import BadInput, NotEncodable
from ...values import Typed
from ..base import Get, Outcome, Stage
from .answers import kept, state
from .texts import with_uuids, without_uuids

RESULT = "pasqal.result"
COUNTER, RAW, SERIALISED = "counter", "raw", "serialised_results"


def put_outcome(stage: Stage, raw: Mapping[str, Any], results: Mapping[str, Any] | None, batch: Mapping[str, Any] | None,
                whole: bool = True) -> Outcome:  # fmt: skip
    """The outcome of a job that has ended. `whole`: the answer `raw` was given when it had."""
    found = state(raw)
    volatile: dict[str, Any] = {"job": kept(raw)}
    if batch is not None:
        volatile["batch"] = kept(batch)
    if not whole:
        stage.gap("volatile.job", "the service was not asked about the job after it had ended, only for its results")
    if found.status != "DONE":
        said = raw.get("errors") or []
        error = {"type": found.provider_status, "message": "\n".join(map(str, said))} if said else None
        return Outcome(found.status, found.provider_status, volatile=volatile, error=error)
    if results is None:
        stage.gap("result", "the service has none for this job")
        return Outcome("DONE", found.provider_status, volatile=volatile)
    try:
        value, uuids = pack(results)
        link = stage.put("result", value)
    except NotEncodable as error:
        stage.gap("result", str(error))
        return Outcome("DONE", found.provider_status, volatile=volatile)
    return Outcome("DONE", found.provider_status, link, volatile | ({"uuids": uuids} if uuids else {}))


def pack(results: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(blob, UUIDs) of a `full_result`: counts and shots as columns, serialised results with their UUIDs numbered."""
    value: dict[str, Any] = {
        "type": RESULT,
        "fields": {name: item for name, item in results.items() if not _is_packed(name, item)},
    }
    counter, raw, serialised = (results.get(name) for name in (COUNTER, RAW, SERIALISED))
    if _is_packed(COUNTER, counter):
        value[COUNTER] = pack_counts(counter)
    if _is_packed(RAW, raw):
        value[RAW] = pack_memory(raw)
    uuids: list[str] = []
    if _is_packed(SERIALISED, serialised):
        value[SERIALISED], uuids = without_uuids(serialised)
    return value, uuids


def unpack(value: Mapping[str, Any], volatile: Mapping[str, Any]) -> dict[str, Any]:
    """The `full_result` again. Raises BadInput."""
    if value.get("type") != RESULT:
        raise BadInput("the result of this job", f"of the type {value.get('type')!r}", "it was not written by this provider")
    found = dict(value["fields"])
    if COUNTER in value:
        found[COUNTER] = unpack_counts(value[COUNTER])
    if RAW in value:
        found[RAW] = unpack_memory(value[RAW])
    if SERIALISED in value:
        found[SERIALISED] = with_uuids(value[SERIALISED], volatile.get("uuids", []))
    first = {name: found.pop(name) for name in (RAW, COUNTER, SERIALISED) if name in found}  # in the SDK's order
    return first | found


def load_result(get: Get, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The `full_result` of a job. Raises BadInput where it has none."""
    link = outcome.get("result")
    if link is None:
        raise BadInput("this job", "it ended without a result", "look at its error")
    return unpack(get(link), outcome.get("volatile", {}))


def counts(get: Get, outcome: Mapping[str, Any], index: int) -> dict[str, int]:
    """The counter, without the SDK. Raises BadInput."""
    if index != 0:
        raise BadInput(f"circuit {index}", "the job has 1", "count from 0")
    counter = load_result(get, outcome).get(COUNTER)
    if type(counter) is not dict:
        raise BadInput("this job", "no bit strings were drawn at the end of its sequence", "look at `data()`")
    return counter


def data(get: Get, outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What came out, by name: `counts` (the service's counter), raw, and of serialised results the values of each observable at
    every time, by its tag."""
    found = load_result(get, outcome)
    serialised = found.pop(SERIALISED, None)
    shown = {"counts" if name == COUNTER else name: item for name, item in found.items() if item is not None}
    try:
        plain = json.loads(serialised) if serialised is not None else {}
        shown |= {tag: plain["results"].get(uuid) for tag, uuid in plain.get("tagmap", {}).items()}
        times = {tag: plain.get("times", {}).get(uuid) for tag, uuid in plain.get("tagmap", {}).items()}
    except (ValueError, AttributeError, KeyError, TypeError):  # not of the form that Pulser 1.9 writes
        return [{**shown, SERIALISED: serialised}]
    return [shown | ({"times": times} if times else {})]


def _is_packed(name: str, value: Any) -> bool:
    if name == COUNTER:
        return type(value) is dict and type(pack_counts(value)) is Typed
    if name == RAW:
        return type(value) is list and type(pack_memory(value)) is Typed
    return name == SERIALISED and type(value) is str
