"""Counts, samples, distributions, state vectors and density matrices of Perceval <-> columns.

States are sorted, so equal values have equal bytes however they were built; numbers are bit for bit those of the object, but
for minus zero, which Perceval takes for zero. `states` says what a column of states is.
"""

import math
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from ...columns import floats, integers
from ...errors import NotCanonical, NotEncodable
from ...values import Array, Typed
from ..sdk import sdk
from .states import distinct, fock, in_order, mirrored, size, texts, unpack_states

_INSERTIONS = 250_000  # at most so many are spent on finding a distribution that normalises to given numbers
_ATTEMPTS = 64


def numbers(column: Array | list) -> list:
    """The numbers of a column. Raises NotCanonical."""
    if type(column) is list:
        return column
    if type(column) is not Array or len(column.shape) != 1:
        raise NotCanonical("a column that is no list of numbers")
    return column.flat()


def _paired(parts, count: int = 2) -> list:
    if type(parts) is not list or len(parts) != count or size(parts[0]) != len(numbers(parts[1])):
        raise NotCanonical("states without a number for each")
    return parts


def _sorted(value) -> tuple[list, Array | list]:
    """(the numbers of a mapping from states, the column of its states), in canonical order."""
    states, found = [], []
    for state, number in value.items():
        states.append(state)
        found.append(number)
    order, column = in_order(states)
    return [found[place] for place in order], column


# Counts and samples


def _count(value, part) -> Typed:
    found, states = _sorted(value)
    return Typed("perceval.BSCount", [states, integers(found)])


def _new_count(parts, whole):
    states, counts = _paired(parts)
    return fock().BSCount(dict(zip(unpack_states(states), numbers(counts), strict=True)))


def _read_count(parts, read) -> dict[str, int]:
    states, counts = _paired(parts)
    return dict(zip(texts(states), numbers(counts), strict=True))


def _samples(value, part) -> Typed:
    found, places = distinct(value)
    order, states = in_order(found)
    numpy = sdk("numpy")
    rank = numpy.empty(len(found), "<u4")
    rank[order] = numpy.arange(len(found), dtype="<u4")
    indices = rank.take(places) if places else rank
    if len(indices) <= 32:
        return Typed("perceval.BSSamples", [states, indices.tolist()])
    return Typed("perceval.BSSamples", [states, Array.of(indices.astype(numpy.min_scalar_type(len(found) - 1)))])


def _indexed(parts, table: list) -> list:
    indices = numbers(parts[1])
    if indices and not 0 <= min(indices) <= max(indices) < len(table):
        raise NotCanonical(f"samples with the index {max(indices)} into {len(table)} states")
    return [table[index] for index in indices]


def _new_samples(parts, whole):
    return fock().BSSamples(_indexed(parts, unpack_states(parts[0])))


def _read_samples(parts, read) -> list[str]:
    return _indexed(parts, texts(parts[0]))


def tally(parts: list) -> dict[str, int]:
    """How often each state is there among samples, by its text and in the order of the states."""
    counts = dict.fromkeys(texts(parts[0]), 0)
    for text in _read_samples(parts, None):
        counts[text] += 1
    return counts


# Distributions over Fock states


def _distribution(value, part) -> Typed:
    found, states = _sorted(value)
    plain = [states, floats([number + 0.0 for number in found]), value._normalized]
    return Typed("perceval.BSDistribution", plain)


def _new_distribution(parts, whole):
    """The distribution with exactly these numbers.

    One that Perceval has normalised has another container, which compares unequal to that of one that it has not, and which
    cannot be made without normalising again: a last bit of some numbers may change. So numbers are looked for that become
    the stored ones. Where none are found, the numbers are kept and the distribution is one that was not normalised.
    """
    states, column, normalized = _paired(parts, 3)
    items = list(zip(unpack_states(states), numbers(column), strict=True))
    made = sdk("perceval", "a distribution", "perceval").BSDistribution()
    found = _normalized(items) if normalized else None
    if found is None:
        made._function = fock().FSFunction(dict(items))  # the constructor would drop what is below 1e-16, assignment zeros
    else:
        made._function, made._distribution = None, found
    return made


def _normalized(items) -> Any:
    """The container of a normalised distribution that has exactly the numbers of `items`, or None."""
    wanted, make = dict(items), fock().FSDistribution
    order, chance = list(items), random.Random(0)
    for attempt in range(max(4, min(_ATTEMPTS, _INSERTIONS // max(1, len(items))))):
        factor = 1.0 if attempt % 2 == 0 else 1 + chance.random() * (0.001 if attempt % 4 == 1 else 0.9)
        if attempt:
            chance.shuffle(order)  # the sum depends on the order, and so does the last bit of every number
        try:
            found = make({state: number * factor for state, number in order})
        except RuntimeError:  # nothing to normalise
            return None
        if dict(found.items()) == wanted:
            return found
    return None


def _read_distribution(parts, read) -> dict[str, float]:
    states, column, _ = _paired(parts, 3)
    return dict(zip(texts(states), numbers(column), strict=True))


# State vectors


def _amplitudes(vector) -> list[tuple[Any, complex]]:
    """States and amplitudes as they are: iterating over the vector itself would normalise it in place."""
    return [(state, complex(number.real + 0.0, number.imag + 0.0)) for state, number in vector.unnormalized_iterator()]


def _complexes(found: list[complex]) -> Array:
    return Array.of(sdk("numpy").array(found, dtype="<c16"))


def _vector(value, part) -> Typed:
    pairs = _amplitudes(value)
    order, states = in_order([state for state, _ in pairs])
    return Typed("perceval.StateVector", [states, _complexes([pairs[place][1] for place in order])])


def _new_vector(parts, whole):
    states, amplitudes = _paired(parts)
    return _build(list(zip(unpack_states(states), numbers(amplitudes), strict=True)))


def _build(pairs) -> Any:
    """The vector with exactly these amplitudes; normalised ones are known to be, so that a look at them changes nothing."""
    made = _summed(pairs, 1.0)
    norm = math.fsum(number.real**2 + number.imag**2 for _, number in pairs) if len(pairs) <= _INSERTIONS // 8 else 0
    if not abs(norm - 1) < 1e-9:
        return made
    wanted, chance = dict(pairs), random.Random(0)
    for attempt in range(max(1, min(_ATTEMPTS, _INSERTIONS // 8 // len(pairs)))):
        found = _summed(pairs, 1.0 if attempt == 0 else 1 + chance.random())
        found.normalize()
        if dict(found.unnormalized_iterator()) == wanted:
            return found
    return made


def _summed(pairs, factor: float) -> Any:
    """The sum of the states. An amplitude below 1e-6 would be dropped from it, so all are scaled by a power of two meanwhile."""
    make = fock().StateVector
    parts = [abs(part) for _, number in pairs for part in (number.real, number.imag) if part and math.isfinite(part)]
    exponent = max(0, min(-math.frexp(min(parts))[1], 1000 - math.frexp(max(parts))[1])) if parts and len(pairs) > 1 else 0
    made = None
    for state, number in pairs:
        scaled = complex(math.ldexp(number.real * factor, exponent), math.ldexp(number.imag * factor, exponent))
        term = make(state) * (scaled if number.imag else scaled.real)
        if made is None:
            made = term
        else:
            made += term
    return make() if made is None else made * math.ldexp(1.0, -exponent) if exponent else made


def _read_vector(parts, read) -> dict[str, complex]:
    states, amplitudes = _paired(parts)
    return dict(zip(mirrored(texts(states)), numbers(amplitudes), strict=True))


def _mixture(value, part) -> Typed:
    """A table of states and, one vector after another, how many terms it has, which states, which amplitudes."""
    vectors = [(_amplitudes(vector), number + 0.0) for vector, number in value.items()]
    found, places = distinct(state for pairs, _ in vectors for state, _ in pairs)
    order, states = in_order(found)
    rank = dict(zip(order, range(len(order)), strict=True))
    rows, start = [], 0
    for pairs, number in vectors:
        terms = sorted(
            (rank[places[start + place]], amplitude.real, amplitude.imag) for place, (_, amplitude) in enumerate(pairs)
        )
        start += len(pairs)
        rows.append((terms, number))
    rows.sort()
    terms = [term for row, _ in rows for term in row]
    plain = [
        states,
        integers([len(row) for row, _ in rows]),
        integers([place for place, _, _ in terms]),
        _complexes([complex(real, imaginary) for _, real, imaginary in terms]),
        floats([number for _, number in rows]),
    ]
    return Typed("perceval.SVDistribution", plain)


def _rows_of(parts, states: list) -> list[tuple[list, float]]:
    if type(parts) is not list or len(parts) != 5:
        raise NotCanonical("a mixture of states that is not five columns")
    lengths, places, amplitudes, found = map(numbers, parts[1:])
    if sum(lengths) != len(places) or len(places) != len(amplitudes) or len(lengths) != len(found):
        raise NotCanonical("a mixture of states whose columns do not fit")
    if places and not 0 <= min(places) <= max(places) < len(states):
        raise NotCanonical(f"a mixture with the index {max(places)} into {len(states)} states")
    rows, start = [], 0
    for length, number in zip(lengths, found, strict=True):
        terms = slice(start, start + length)
        rows.append(([(states[place], part) for place, part in zip(places[terms], amplitudes[terms], strict=True)], number))
        start += length
    return rows


def _new_mixture(parts, whole):
    made = fock().SVDistribution()
    for pairs, number in _rows_of(parts, unpack_states(parts[0])):
        made[_build(pairs)] = number
    return made


def _read_mixture(parts, read) -> list:
    """A list of vectors with their probabilities: vectors cannot be keys."""
    rows = _rows_of(parts, mirrored(texts(parts[0])))
    return [{"state": dict(pairs), "probability": number} for pairs, number in rows]


# Density matrices


def _density(value, part) -> Typed:
    """Modes, most photons, precision, and the sparse matrix in the order of states that Perceval gives such a basis."""
    basis = sdk("perceval.utils.density_matrix", "a density matrix", "perceval").FockBasis(value.m, value.n_max)
    if list(value.inverse_index) != list(basis):
        raise NotEncodable("a density matrix over states in an order of its own")
    matrix = value.mat.copy()
    matrix.sum_duplicates()
    matrix.sort_indices()
    rows = [Array.of(item) for item in (matrix.data, matrix.indices.astype("<u4"), matrix.indptr.astype("<u4"))]
    return Typed("perceval.DensityMatrix", [value.m, value.n_max, part(value.precision, "precision"), *rows])


def _new_density(parts, whole):
    modes, photons, precision, *rows = parts
    if math.comb(modes + photons, modes) != rows[-1].shape[0] - 1:
        raise NotCanonical(f"a density matrix of another size than {photons} photons in {modes} modes have")
    kinds = sdk("perceval.utils.density_matrix", "a density matrix", "perceval")
    basis = kinds.FockBasis(modes, photons)
    data, indices, ends = (row.numpy() for row in rows)
    matrix = sdk("scipy.sparse").csr_array((data, indices.astype("i4"), ends.astype("i4")), shape=(len(basis), len(basis)))
    return kinds.DensityMatrix(matrix, basis, check_hermitian=False, precision=whole(precision))


def _read_density(parts, read) -> dict:
    modes, photons, precision, data, columns, ends = parts
    bounds = ends.flat()
    rows = [row for row, (start, end) in enumerate(pairwise(bounds)) for _ in range(end - start)]
    return {"m": modes, "n_max": photons, "precision": read(precision), "rows": rows, "columns": columns.flat(),
            "values": data.flat()}  # fmt: skip


ENCODERS: dict[str, Callable] = {
    "BSCount": _count,
    "BSSamples": _samples,
    "BSDistribution": _distribution,
    "StateVector": _vector,
    "SVDistribution": _mixture,
    "DensityMatrix": _density,
}
DECODERS: dict[str, Callable] = {
    "perceval.BSCount": _new_count,
    "perceval.BSSamples": _new_samples,
    "perceval.BSDistribution": _new_distribution,
    "perceval.StateVector": _new_vector,
    "perceval.SVDistribution": _new_mixture,
    "perceval.DensityMatrix": _new_density,
}
READERS: dict[str, Callable] = {
    "perceval.BSCount": _read_count,
    "perceval.BSSamples": _read_samples,
    "perceval.BSDistribution": _read_distribution,
    "perceval.StateVector": _read_vector,
    "perceval.SVDistribution": _read_mixture,
    "perceval.DensityMatrix": _read_density,
}
