"""Fock states of Perceval <-> text and columns of states.

A state is its text ("|0,1>"), with a tag where it is no plain Fock state. A column of states is an array of photon numbers, a
row a state, where they are all plain Fock states of one size, and a list of states where they are not. Columns that are sorted
have plain Fock states first, in the order of their photon numbers, and then the others, by class and text.
"""

from collections.abc import Callable, Iterable
from typing import Any

from ...errors import NotCanonical
from ...values import Array, Chunked, Typed
from ..sdk import sdk

NOISY, ANNOTATED = "perceval.NoisyFockState", "perceval.AnnotatedFockState"
FOCK = "perceval.FockState"

_TAGS = {"FockState": FOCK, "NoisyFockState": NOISY, "AnnotatedFockState": ANNOTATED}
_RANK = {"FockState": 0, "NoisyFockState": 1, "AnnotatedFockState": 2}


def fock() -> Any:
    """exqalibur, which has Perceval's states. Raises MissingExtra."""
    return sdk("exqalibur", "a state of photons", "perceval")


def pack_state(state: Any) -> Typed:
    return Typed(_TAGS[type(state).__name__], str(state))


def unpack_state(state: Typed | str) -> Any:
    """The state of `pack_state`, or of an item of a column. Raises NotCanonical for a text that is none."""
    tag, text = (FOCK, state) if type(state) is str else (state.tag, state.value)
    kinds = fock()
    try:
        if tag == FOCK:
            return kinds.FockState(text)
        if tag == NOISY:
            return kinds.NoisyFockState(text)
        if "{" in text:
            return kinds.AnnotatedFockState(text)
        return kinds.AnnotatedFockState(list(kinds.FockState(text)))  # nobody is annotated: its text would be refused
    except (RuntimeError, ValueError, TypeError) as error:
        raise NotCanonical(f"a state {text!r}: {error}") from None


def _item(state) -> str | Typed:
    packed = pack_state(state)
    return packed.value if packed.tag == FOCK else packed


def in_order(states: list) -> tuple[list[int], Array | list]:
    """(places of the states in the order that is canonical, the column of them in that order)."""
    rows = _rows(states)
    if rows is None:
        keys: list = [(_RANK[type(state).__name__], len(state), str(state)) for state in states]
        order = sorted(range(len(states)), key=keys.__getitem__)
        return order, [_item(states[place]) for place in order]
    width = rows.shape[1] * rows.itemsize
    raw = rows.astype(rows.dtype.newbyteorder(">")).tobytes()  # in this order bytes compare as numbers do
    keys = [raw[place * width : (place + 1) * width] for place in range(len(states))]
    order = sorted(range(len(states)), key=keys.__getitem__)
    return order, Array.of(rows[order])


def _rows(states) -> Any:
    """Photon numbers of plain Fock states of one size, a row a state, else None."""
    if not states or {type(state).__name__ for state in states} != {"FockState"}:
        return None
    modes = len(states[0])
    if modes == 0 or set(map(len, states)) != {modes}:
        return None
    numpy = sdk("numpy")
    text = "".join(map(str, states))
    if len(text) == len(states) * (2 * modes + 1):  # one digit each
        return numpy.frombuffer(text.encode(), "|u1").reshape(len(states), 2 * modes + 1)[:, 1::2] - 48
    numbers = numpy.array(text[1:-1].replace(">|", ",").split(","), dtype="u2").reshape(len(states), modes)
    return numbers.astype("|u1") if numbers.max() < 256 else numbers


def size(column: Array | list) -> int:
    """How many states there are in a column. Raises NotCanonical for what is none."""
    if type(column) is list:
        return len(column)
    if type(column) is not Array or len(column.shape) != 2 or column.dtype not in ("|u1", "<u2") or type(column.data) is Chunked:
        raise NotCanonical("states that are neither rows of photon numbers nor a list of states")
    return column.shape[0]


def texts(column: Array | list) -> list[str]:
    """The text of every state of a column, without Perceval."""
    size(column)
    if type(column) is list:
        return [state if type(state) is str else state.value for state in column]
    return ["|" + ",".join(map(str, row)) + ">" for row in column.tolist()]


def unpack_states(column: Array | list) -> list:
    """The states of a column. Raises MissingExtra, and NotCanonical."""
    size(column)
    if type(column) is list:
        return list(map(unpack_state, column))
    make = fock().FockState
    return list(map(make, column.tolist()))


def distinct(states: Iterable) -> tuple[list, list[int]]:
    """(the distinct states in order of first appearance, the place of each of `states` among them)."""
    found: dict = {}
    places = [found.setdefault(state, len(found)) for state in states]
    return list(found), places


def mirrored(names: list[str]) -> list[str]:
    """Names for people of states that may be of different classes with one text: all of them different."""
    if len(set(names)) == len(names):
        return names
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return unique


ENCODERS: dict[str, Callable] = dict.fromkeys(_TAGS, lambda state, part: pack_state(state)) | {
    "Annotation": lambda value, part: Typed("perceval.Annotation", str(value)),
}
DECODERS: dict[str, Callable] = {
    FOCK: lambda text, whole: unpack_state(Typed(FOCK, text)),
    NOISY: lambda text, whole: unpack_state(Typed(NOISY, text)),
    ANNOTATED: lambda text, whole: unpack_state(Typed(ANNOTATED, text)),
    "perceval.Annotation": lambda text, whole: fock().Annotation(text),
}
READERS: dict[str, Callable] = dict.fromkeys(DECODERS, lambda text, read: text)
