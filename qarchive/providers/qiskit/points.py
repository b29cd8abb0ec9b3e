"""What circuits were bound to and what was observed of them, of an input blob; without the SDK."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ...columns import items
from ...outcomes import Points
from ...values import Array, Typed
from ..base import Get
from .inputs import CIRCUITS, PUBS
from .readable import readable

ORDER = "bit 0 is the rightmost"  # of states, and registers from the right

_LETTERS = {1: "Z", 2: "X", 3: "Y", 5: "1", 6: "-", 7: "l", 9: "0", 10: "+", 11: "r"}  # as SparseObservable numbers them
_DENSE = 12  # qubits up to which an observable is written with a letter for each
_TERMS = 6  # written of an observable


def points(get: Get, job: Mapping[str, Any]) -> list[Points]:
    """One for each PUB, or for each set of values that a circuit was bound to; empty where nothing was bound or observed."""
    value = get(job["input"])
    if value["type"] == PUBS:
        found = [Points(place) if pub is None else _of_pub(place, pub) for place, pub in enumerate(value["pubs"])]
        return found if any(each.parameters or each.observables for each in found) else []
    if value["type"] == CIRCUITS and "parameter_binds" in value:
        return list(_bound(value["parameter_binds"]))
    return []


def _bound(binds) -> Iterator[Points]:
    """One for each result, as Aer orders them: circuit by circuit, each with all its values."""
    for circuit, bind in enumerate(binds):
        values = {name: _numbers(item) for name, item in bind.items()}
        for place in range(max(map(len, values.values()), default=1)):
            yield Points(circuit, parameters={name: [column[place]] for name, column in values.items()})


def _numbers(item) -> list:
    item = readable(item)
    return item.flat() if type(item) is Array else list(item) if type(item) in (list, tuple) else [item]


def _of_pub(place: int, pub: Mapping[str, Any]) -> Points:
    sets = tuple(pub["parameters"]["shape"])
    values: dict[str, Sequence[Any]] = {}
    for *names, array in pub["parameters"]["values"]:
        found = array.flat()
        values |= {name: found[i :: len(names)] for i, name in enumerate(names)}
    observed, observables = (), []
    if "observables" in pub:
        observed, observables = tuple(pub["observables"]["shape"]), _observables(pub["observables"])
    shape = [max(sizes) if 0 not in sizes else 0 for sizes in zip_longest(reversed(sets), reversed(observed), fillvalue=1)]
    return Points(place, tuple(reversed(shape)), values, sets, observables, observed)


def _observables(plain: Mapping[str, Any]) -> list[str]:
    """The text of each observable, in C order."""
    if "entries" in plain:
        return [_sum((label, coefficient) for label, coefficient in readable(entry).items()) if type(entry) is dict
                else entry.tag if type(entry) is Typed else str(entry) for entry in plain["entries"]]  # fmt: skip
    coefficients, letters, qubits = (plain[name].flat() for name in ("coeffs", "bit_terms", "indices"))
    weights = items(plain["weights"])
    distinct, term, start = [], 0, 0
    for count in items(plain["terms"]):
        found = []
        for weight, coefficient in zip(weights[term : term + count], coefficients[term : term + count], strict=True):
            end = start + weight
            found.append((_term(letters[start:end], qubits[start:end], plain["qubits"]), coefficient))
            start = end
        term += count
        distinct.append(_sum(found))
    return [distinct[place] for place in (items(plain["index"]) if "index" in plain else range(len(distinct)))]


def _term(letters, qubits, size: int) -> str:
    """The letters of all qubits, the first rightmost; of many qubits those that are not I, with their numbers."""
    named = {qubit: _LETTERS.get(letter, "?") for letter, qubit in zip(letters, qubits, strict=True)}
    if size <= _DENSE:
        return "".join(named.get(qubit, "I") for qubit in reversed(range(size)))
    return " ".join(f"{named[qubit]}{qubit}" for qubit in sorted(named)) or "I"


def _sum(terms) -> str:
    terms = list(terms)
    text = ""
    for label, coefficient in terms[:_TERMS]:
        number = coefficient.real if isinstance(coefficient, complex) and coefficient.imag == 0 else coefficient
        negative = not isinstance(number, complex) and number < 0
        size = -number if negative else number
        sign = (" - " if negative else " + ") if text else "-" if negative else ""
        text += sign + (label if size == 1 else f"{size:.6g} {label}")
    more = len(terms) - _TERMS
    return (text or "0") + (f" + {more:,} more terms" if more > 0 else "")
