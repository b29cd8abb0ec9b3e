"""Two-sample tests: whether two results may come from the same distribution. Plain numbers in, a verdict out.

The tests control the probability of calling equal distributions different, the *level*; they never prove that two are the same.
Counts: Pearson's chi-squared test of homogeneity (K. Pearson, Biometrika 8, 1911), with rare states pooled (W. G. Cochran,
Biometrics 10, 1954), and Fisher's exact test where one common state and rare ones are all there is (R. A. Fisher, J. R. Stat.
Soc. 85, 1922). Expectation values: z-tests of their differences. Several tests at once: S. Holm, Scand. J. Statist. 6, 1979.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import BadInput

EQUAL, SAME, INCONCLUSIVE, DIFFER = VERDICTS = ("equal", "same", "inconclusive", "differ")  # what weighs more stands later
WORDS = dict(zip(VERDICTS, ("equal", "no difference found", "inconclusive", "differ")))  # what people read: no test proves "same"

LEAST_EXPECTED = 5  # counts that a state must be expected to have in each sample (Cochran)
MOST_POOLED = 0.5  # of a sample's shots: beyond, a test that rejects nothing has looked at too little to say "same"
ROUNDING = 1e-9  # relative to the largest of the numbers: what lies within is equal


@dataclass(frozen=True)
class Test:
    """What a test found. `p` is the probability of a statistic like this or larger if both sides have one distribution.

    `p`, `statistic` and `freedom` (degrees of freedom, or how many z-tests) are None where nothing was left to test. `distance`
    is the total variation distance of two counts, 0 to 1, or the largest absolute difference of other numbers; `pooled` the
    share of the shots that lie in pooled states, of the sample that has more; `reason` what to know about the verdict. p is
    corrected for the tests in it.
    """

    __test__ = False  # no test case of pytest's

    verdict: str
    p: float | None = None
    statistic: float | None = None
    freedom: int | None = None
    distance: float | None = None
    pooled: float = 0.0
    reason: str = ""
    doubt: str = field(default="", repr=False, compare=False)  # why it is inconclusive unless it is rejected

    def among(self, p: float, level: float) -> "Test":
        """The same test as one of several, with its p corrected for them."""
        if self.p is None or self.verdict == EQUAL:
            return self
        if p <= level:
            return replace(self, verdict=DIFFER, p=p, reason="")
        return replace(self, verdict=INCONCLUSIVE if self.doubt else SAME, p=p, reason=self.doubt)


def counts(a: Mapping[str, int], b: Mapping[str, int], level: float) -> Test:
    """Test whether two counts, {state: shots}, of as many shots or not, come from one distribution. Raises BadInput for a level.

    States of which fewer than 5 shots are expected in either sample, by the states' share of all shots, are pooled; what is
    pooled depends on the margins alone, so the test stays valid. "inconclusive" is what is not rejected while more than half of
    a sample's shots are pooled, or while there is nothing left to test: two samples of a distribution over 60 bits share no
    state. Counts that are the same are "equal".
    """
    _check(level)
    a, b = ({state: number for state, number in counted.items() if number} for counted in (a, b))
    shots_a, shots_b = sum(a.values()), sum(b.values())
    if not shots_a or not shots_b:
        return Test(INCONCLUSIVE, reason="one of them has no shots" if shots_a or shots_b else "neither has shots")
    apart = sum(abs(a.get(state, 0) * shots_b - b.get(state, 0) * shots_a) for state in {*a, *b})
    distance = apart / (2 * shots_a * shots_b)
    kept, rare = _cells(a, b, shots_a, shots_b)
    share = max(rare[0] / shots_a, rare[1] / shots_b)
    cells = [*kept, rare] if any(rare) else kept
    freedom = len(cells) - 1
    if a == b:
        return Test(EQUAL, 1.0, 0.0, freedom, 0.0, share)
    if not kept:
        return Test(INCONCLUSIVE, distance=distance, pooled=share, reason=_sparse(share))
    if not freedom:  # one state in both
        return Test(SAME, 1.0, 0.0, 0, distance)
    if len(kept) == 1 and sum(rare) < _least(shots_a, shots_b):
        p, statistic = fisher(kept[0], rare), None
    else:
        statistic = _chi_squared(cells, shots_a, shots_b)
        p = chi_squared_tail(statistic, freedom)
    doubt = _sparse(share) if share > MOST_POOLED else ""
    return Test(SAME, p, statistic, freedom, distance, share, doubt=doubt).among(p, level)


def estimates(a: Sequence[float], errors_a: Sequence[float | None] | None, b: Sequence[float],
              errors_b: Sequence[float | None] | None, level: float) -> Test:  # fmt: skip
    """Test whether expectation values agree, each difference against its standard error, by Holm's correction for how many.

    Errors are standard errors; 0 says that a value is exact, None that nothing is known of it. Values that are equal to a
    relative 1e-9 agree; others differ where both are exact, and are "inconclusive" where one has no error. Normal errors are
    assumed. Raises BadInput for a level, and for sequences of other lengths.
    """
    _check(level)
    if len(a) != len(b):
        raise BadInput(f"{len(a)} expectation values and {len(b)}", "cannot be compared one by one")
    if any(errors is not None and len(errors) != len(a) for errors in (errors_a, errors_b)):
        raise BadInput("the standard errors", "are not as many as the values")
    found, unknown, largest = [], 0, 0.0
    for x, y, of_x, of_y in zip(a, b, errors_a or [None] * len(a), errors_b or [None] * len(b), strict=True):
        error = None if _unknown(of_x) or _unknown(of_y) else math.hypot(of_x, of_y)
        if not math.isfinite(x - y):  # not a number, or infinite
            unknown += not _same(x, y)
            continue
        largest = max(largest, abs(x - y))
        if error:
            z = abs(x - y) / error
            found.append((math.erfc(z / math.sqrt(2)), z))
        elif not _close(x, y):
            if error is None:
                unknown += 1
            else:
                found.append((0.0, math.inf))
    if all(map(_same, a, b)):
        return Test(EQUAL, 1.0, 0.0, len(found), 0.0)
    doubt = f"{unknown:,} of {len(a):,} values are not equal and have no standard error" if unknown else ""
    if not found:
        if doubt:
            return Test(INCONCLUSIVE, None, None, 0, largest, reason=doubt)
        return Test(SAME, 1.0, 0.0, 0, largest)
    p = min(1.0, len(found) * min(p for p, _ in found))  # the least of Holm's corrected values
    return Test(SAME, p, max(z for _, z in found), len(found), largest, doubt=doubt).among(p, level)


def numbers(a: Sequence[complex], b: Sequence[complex], exact: bool) -> Test:
    """Compare numbers that come without shots (a statevector, probabilities): equal within 1e-9 of the largest of them.

    Numbers that are not equal differ where both sides are `exact`; otherwise nobody knows how far they scatter.
    """
    if len(a) != len(b):
        return Test(DIFFER if exact else INCONCLUSIVE, reason=f"{len(a):,} numbers and {len(b):,}")
    if all(map(_same, a, b)):
        return Test(EQUAL, distance=0.0)
    apart = [abs(x - y) for x, y in zip(a, b) if not _same(x, y)]
    distance = math.inf if any(gap != gap for gap in apart) else max(apart)
    largest = max((abs(x) for x in (*a, *b) if abs(x) < math.inf), default=0.0)
    if distance <= ROUNDING * largest:
        return Test(SAME, distance=distance, reason="equal within a relative 1e-9")
    if exact:
        return Test(DIFFER, distance=distance, reason="more than a relative 1e-9")
    return Test(INCONCLUSIVE, distance=distance, reason="they are not equal, and nothing says how far they scatter")


def holm(found: Sequence[float]) -> list[float]:
    """The probabilities of several tests, corrected for how many there are: each is to be compared with the level itself."""
    corrected, least = [0.0] * len(found), 0.0
    for rank, place in enumerate(sorted(range(len(found)), key=found.__getitem__)):
        least = max(least, min(1.0, (len(found) - rank) * found[place]))
        corrected[place] = least
    return corrected


def together(tests: Sequence[Test], level: float) -> list[Test]:
    """Several tests, each with its p corrected for all of them, so that the level holds for the whole."""
    tested = [place for place, test in enumerate(tests) if test.p is not None and test.verdict != EQUAL]
    judged = list(tests)
    for place, p in zip(tested, holm([tests[place].p for place in tested])):
        judged[place] = tests[place].among(p, level)
    return judged


def whole(verdicts: Sequence[str]) -> str:
    """One verdict for several: differ before inconclusive before same before equal."""
    return max(verdicts, key=VERDICTS.index)


def fisher(one: tuple[int, int], other: tuple[int, int]) -> float:
    """The two-sided p of a table of two rows by Fisher's exact test: the tables that are no more probable, margins given."""
    (x, y), column, total = one, one[0] + other[0], sum(one) + sum(other)
    row = x + y
    low, high = max(0, row + column - total), min(row, column)

    def log(k: int) -> float:
        return sum(
            math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1) for n, m in ((column, k), (total - column, row - k))
        )

    whole_log = math.lgamma(total + 1) - math.lgamma(row + 1) - math.lgamma(total - row + 1)
    found = [log(k) - whole_log for k in range(low, high + 1)]
    limit = found[x - low] + 1e-7  # of two that are equal but for rounding both count
    return min(1.0, math.fsum(math.exp(each) for each in found if each <= limit))


def chi_squared_tail(statistic: float, freedom: float) -> float:
    """The probability that a chi-squared variable exceeds `statistic`."""
    return gamma_tail(freedom / 2, statistic / 2)


def gamma_tail(a: float, x: float) -> float:
    """The regularised upper incomplete gamma function Q(a, x), for a > 0 and x >= 0, to a relative 1e-10.

    A series for x < a + 1, else Lentz's continued fraction (Press et al., Numerical Recipes, 3rd ed., 6.2). Their common factor
    is taken relative to its maximum, where a power and a factorial of a large `a` would cancel.
    """
    if x <= 0:
        return 1.0
    if x == math.inf:
        return 0.0
    front = _density(a, x)
    if x < a + 1:
        term = total = 1.0 / a
        n = a
        while term > total * 1e-17:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1.0 - front * total)
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    value = d
    i = 0
    while True:
        i += 1
        step = -i * (i - a)
        b += 2
        d = 1 / (_not_zero(step * d + b, tiny))
        c = _not_zero(b + step / c, tiny)
        value *= d * c
        if abs(d * c - 1) < 1e-15:
            return front * value


def _density(a: float, x: float) -> float:
    """x**a exp(-x) / gamma(a)."""
    if a < 30:
        return math.exp(a * math.log(x) - x - math.lgamma(a))
    away = (x - a) / a
    if away <= -1:  # x is next to nothing
        return 0.0
    # Stirling: gamma(a) = sqrt(2 pi / a) (a/e)**a exp(1/(12a) - 1/(360a^3) + 1/(1260a^5) - ...)
    rest = 1 / (12 * a) - 1 / (360 * a**3) + 1 / (1260 * a**5) - 1 / (1680 * a**7)
    return math.sqrt(a / (2 * math.pi)) * math.exp(-a * _less_its_logarithm(away) - rest)


def _less_its_logarithm(u: float) -> float:
    """u - log(1 + u), without cancellation for a small u."""
    if abs(u) > 0.01:
        return u - math.log1p(u)
    power, total = u, 0.0
    for n in range(2, 12):
        power *= -u
        total -= power / n
    return total


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def _cells(a, b, shots_a, shots_b) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """([(shots in a, shots in b) of each state that stands alone], the same of all others together)."""
    least = _least(shots_a, shots_b)
    rows = [(a.get(state, 0), b.get(state, 0)) for state in sorted({*a, *b})]  # so equally frequent ones are in one order
    kept = sorted((row for row in rows if sum(row) >= least), key=sum, reverse=True)
    rare = [sum(side.values()) - sum(row[place] for row in kept) for place, side in enumerate((a, b))]
    if len(kept) > 1 and 0 < sum(rare) < least:  # too few even together: they go with the rarest state that stands alone
        rare = [number + more for number, more in zip(rare, kept.pop())]
    return kept, (rare[0], rare[1])


def _least(shots_a: int, shots_b: int) -> float:
    """The shots of a state in both samples together of which each is expected to have 5 or more."""
    return LEAST_EXPECTED * (shots_a + shots_b) / min(shots_a, shots_b)


def _chi_squared(cells, shots_a, shots_b) -> float:
    """Pearson's statistic of a table of two columns: over each row the square of its difference from what is expected."""
    total = shots_a + shots_b
    terms = (((x - (x + y) * shots_a / total) ** 2) * total * total / ((x + y) * shots_a * shots_b) for x, y in cells)
    return math.fsum(terms)


def _same(x: complex, y: complex) -> bool:
    """Whether two numbers are equal; what is no number is equal to its like."""
    return x == y or (x != x and y != y)


def _close(x: float, y: float) -> bool:
    return x == y or abs(x - y) <= ROUNDING * max(abs(x), abs(y))


def _unknown(error: float | None) -> bool:
    return error is None or not 0 <= error < math.inf


def _sparse(share: float) -> str:
    return f"too sparse: {100 * share:.3g} % of the shots lie in states too rare to test"


def _check(level: float) -> None:
    if not 0 < level < 1:
        raise BadInput(f"the level {level}", "is no probability between 0 and 1", "0.01 calls 1 in 100 equal pairs different")
