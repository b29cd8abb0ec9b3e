"""Two-sample tests: what they call different, what they leave open, and how often they err."""

import math
import random
from collections import Counter

import pytest
import scipy.special
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qarchive.comparing import two_sample
from qarchive.comparing.two_sample import Test
from qarchive.errors import BadInput

LEVEL = 0.01
SPARSE = "too sparse: 100 % of the shots lie in states too rare to test"

counted = st.dictionaries(st.sampled_from(["00", "01", "10", "11", "1111"]), st.integers(0, 2000), max_size=5)


def drawn(seed, shots, weights):
    states = [format(place, "b") for place in range(len(weights))]
    return dict(Counter(random.Random(seed).choices(states, weights, k=shots)))


def bits(seed, shots, width):
    source = random.Random(seed)
    return dict(Counter(format(source.getrandbits(width), f"0{width}b") for _ in range(shots)))


# The gamma function


@pytest.mark.parametrize("a", [0.5, 1, 1.5, 2.5, 7, 29.5, 30, 31.5, 100, 511.5, 5e3, 5e4, 5e5])
def test_the_gamma_function_is_right_to_ten_digits(a):
    for share in (0, 0.01, 0.3, 0.7, 0.9, 0.99, 1, 1.01, 1.1, 1.3, 2, 5, 20):
        expected = scipy.special.gammaincc(a, a * share)
        if expected > 1e-290:
            assert math.isclose(two_sample.gamma_tail(a, a * share), expected, rel_tol=1e-10)
        else:
            assert two_sample.gamma_tail(a, a * share) < 1e-280


@settings(max_examples=50)
@given(st.floats(0.1, 5e4), st.floats(0, 1e5))
def test_the_gamma_function_is_a_probability(a, x):
    assert 0 <= two_sample.gamma_tail(a, x) <= 1


def test_chi_squared_has_the_critical_values_of_the_tables():
    # M. Abramowitz, I. Stegun, Handbook of Mathematical Functions, table 26.8
    for freedom, value in ((1, 6.63490), (2, 9.21034), (10, 23.2093), (100, 135.807)):
        assert math.isclose(two_sample.chi_squared_tail(value, freedom), 0.01, rel_tol=1e-4)
    assert two_sample.chi_squared_tail(math.inf, 3) == 0


@settings(max_examples=50)
@given(*[st.integers(0, 300)] * 4)
def test_fishers_exact_test_is_that_of_scipy(a, b, c, d):
    expected = scipy.stats.fisher_exact([[a, b], [c, d]])[1]
    if min(a + b, c + d, a + c, b + d):
        assert math.isclose(two_sample.fisher((a, b), (c, d)), expected, rel_tol=1e-5)


# Counts


def test_pearsons_statistic_is_that_of_scipy():
    one, other = {"00": 480, "01": 20, "10": 30, "11": 470}, {"00": 900, "01": 61, "10": 40, "11": 999}
    found = two_sample.counts(one, other, LEVEL)
    expected = scipy.stats.chi2_contingency([list(one.values()), list(other.values())])
    assert (found.verdict, found.freedom, found.pooled, found.reason) == ("same", 3, 0, "")
    assert math.isclose(found.p, expected.pvalue, rel_tol=1e-10)
    assert math.isclose(found.statistic, expected.statistic, rel_tol=1e-12)
    assert math.isclose(found.distance, (0.03 + 0.0105 + 0.01 + 0.0295) / 2)


@settings(max_examples=60)
@given(counted, counted)
@example({"00": 1}, {"00": 1000, "11": 1000})
@example({"00": 15, "01": 15}, {"10": 1, "11": 15})  # of equally frequent states one is pooled: the same from both sides
@example({"00": 11}, {"01": 1, "10": 11})
def test_counts_are_compared_alike_from_both_sides(one, other):
    there, back = two_sample.counts(one, other, LEVEL), two_sample.counts(other, one, LEVEL)
    assert (there.verdict, there.freedom, there.pooled) == (back.verdict, back.freedom, back.pooled)
    assert (there.p is None) == (back.p is None)
    for a, b in ((there.p, back.p), (there.distance, back.distance)):
        assert a is None or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-300)


@settings(max_examples=50)
@given(counted)
def test_counts_are_equal_to_themselves(one):
    found = two_sample.counts(one, dict(reversed(one.items())), LEVEL)
    assert found.verdict == ("equal" if any(one.values()) else "inconclusive")
    if any(one.values()):
        assert (found.p, found.distance) == (1, 0)


@pytest.mark.parametrize("weights", [[1, 1], [8, 4, 2, 1, 1], [1] * 16, [100] + [1] * 60, [2**-n for n in range(12)]],
                         ids=["coin", "five", "uniform", "rare", "geometric"])  # fmt: skip
def test_the_level_is_kept(weights):
    pairs = [two_sample.counts(drawn(2 * n, 400, weights), drawn(2 * n + 1, 1100, weights), 0.05) for n in range(250)]
    rejected = sum(found.verdict == "differ" for found in pairs)
    assert rejected <= 24  # 12.5 are expected; more than 24 come once in 1000 times
    assert not any(found.verdict == "inconclusive" for found in pairs) or len(weights) > 60


def test_other_distributions_are_told_apart():
    for seed in range(20):
        found = two_sample.counts(drawn(seed, 1000, [1, 1]), drawn(seed + 100, 4000, [0.6, 0.4]), LEVEL)
        assert found.verdict == "differ" and found.p < 0.01


def test_two_uniform_samples_of_60_bits_are_inconclusive():
    found = two_sample.counts(bits(1, 4000, 60), bits(2, 4000, 60), LEVEL)
    assert found == Test("inconclusive", distance=1.0, pooled=1.0, reason=SPARSE)


def test_sparse_counts_beside_plain_ones_differ():
    ghz = {"0" * 60: 2000, "1" * 60: 2000}
    assert two_sample.counts(bits(1, 4000, 60), ghz, LEVEL).verdict == "differ"


def test_counts_that_are_mostly_rare_and_not_rejected_are_inconclusive():
    found = two_sample.counts({"a": 30, **{f"x{n}": 1 for n in range(70)}}, {"a": 30, **{f"y{n}": 1 for n in range(70)}}, LEVEL)
    assert found == Test("inconclusive", 1.0, 0.0, 1, 0.7, 0.7, "too sparse: 70 % of the shots lie in states too rare to test")


def test_states_of_another_width_differ_and_a_handful_of_shots_says_nothing():
    assert two_sample.counts({"0": 500, "1": 500}, {"00": 500, "11": 500}, LEVEL).verdict == "differ"
    assert two_sample.counts({"0": 4}, {"00": 4}, LEVEL) == Test("inconclusive", distance=1.0, pooled=1.0, reason=SPARSE)


def test_one_state_and_a_few_rare_ones_are_tested_exactly():
    few = two_sample.counts({"0": 1000}, {"0": 15, "1": 5}, LEVEL)
    assert (few.verdict, few.statistic, few.pooled) == ("differ", None, 0.25)
    assert math.isclose(few.p, scipy.stats.fisher_exact([[1000, 15], [0, 5]])[1], rel_tol=1e-6)
    assert two_sample.counts({"0": 999, "1": 1}, {"0": 1000}, LEVEL).verdict == "same"
    assert two_sample.counts({"0": 100}, {"0": 300}, LEVEL) == Test("same", 1.0, 0.0, 0, 0.0)


def test_without_shots_nothing_is_known():
    assert two_sample.counts({}, {"0": 0}, LEVEL) == Test("inconclusive", reason="neither has shots")
    assert two_sample.counts({"0": 5}, {}, LEVEL) == Test("inconclusive", reason="one of them has no shots")


@pytest.mark.parametrize("level", [0, 1, -0.5, 5, float("nan")])
def test_a_level_is_a_probability(level):
    for test in (lambda: two_sample.counts({}, {}, level), lambda: two_sample.estimates([], None, [], None, level)):
        with pytest.raises(BadInput) as caught:
            test()
        assert str(caught.value) == (
            f"the level {level}: is no probability between 0 and 1; 0.01 calls 1 in 100 equal pairs different"
        )


# Expectation values


def test_expectation_values_are_compared_by_their_standard_errors():
    found = two_sample.estimates([0.5, 1.0], [0.03, 0.0], [0.62, 1.0], [0.04, 0.0], LEVEL)
    assert (found.verdict, found.freedom) == ("same", 1)
    assert math.isclose(found.statistic, 2.4) and math.isclose(found.p, 2 * scipy.stats.norm.sf(2.4), rel_tol=1e-9)
    assert two_sample.estimates([0.5], [0.03], [0.7], [0.04], LEVEL).verdict == "differ"


def test_many_expectation_values_are_corrected_for_how_many_they_are():
    assert two_sample.estimates([0.0], [1.0], [3.0], [0.0], LEVEL).verdict == "differ"
    many = two_sample.estimates([0.0] * 100, [1.0] * 100, [3.0] + [0.0] * 99, [0.0] * 100, LEVEL)
    assert many.verdict == "same" and math.isclose(many.p, 200 * scipy.stats.norm.sf(3), rel_tol=1e-9)


def test_exact_values_differ_and_values_without_errors_are_inconclusive():
    assert two_sample.estimates([1.0], [0.0], [1 + 1e-12], [0.0], LEVEL).verdict == "same"
    exact = two_sample.estimates([1.0], [0.0], [0.5], [0.0], LEVEL)
    assert exact == Test("differ", 0.0, math.inf, 1, 0.5)
    reason = "1 of 2 values are not equal and have no standard error"
    for errors in (None, [None, None], [math.nan, math.nan]):
        assert two_sample.estimates([1.0, 2.0], errors, [1.0, 1.5], [0.1, 0.1], LEVEL) == Test(
            "inconclusive", None, None, 0, 0.5, reason=reason
        )
    assert two_sample.estimates([1.0, 2.0], None, [1.0, 2.0], None, LEVEL) == Test("equal", 1.0, 0.0, 0, 0.0)


def test_values_without_errors_stay_inconclusive_beside_others_unless_these_differ():
    found = two_sample.estimates([0.0, 1.0], [1.0, None], [3.0, 2.0], [0.0, None], LEVEL)
    assert (found.verdict, found.reason) == ("differ", "")
    corrected, *_ = two_sample.together([found, *[two_sample.estimates([0.0], [1.0], [0.1], [1.0], LEVEL)] * 9], LEVEL)
    assert (corrected.verdict, corrected.reason) == ("inconclusive", "1 of 2 values are not equal and have no standard error")


def test_values_that_are_no_numbers_are_equal_only_to_themselves():
    assert two_sample.estimates([math.nan], [0.1], [float("nan")], [0.1], LEVEL).verdict == "equal"
    assert two_sample.estimates([math.nan], [0.1], [0.5], [0.1], LEVEL).verdict == "inconclusive"
    assert two_sample.estimates([math.inf], [0.1], [math.inf], [0.1], LEVEL).verdict == "equal"


def test_expectation_values_come_in_equal_numbers():
    with pytest.raises(BadInput) as caught:
        two_sample.estimates([1.0], None, [1.0, 2.0], None, LEVEL)
    assert str(caught.value) == "1 expectation values and 2: cannot be compared one by one"


# Numbers, and several tests


def test_plain_numbers_are_equal_within_rounding():
    assert two_sample.numbers([1j, 0.5], [1j, 0.5], True) == Test("equal", distance=0.0)
    near = two_sample.numbers([1.0, 1e-15], [1.0, 0.0], True)
    assert near == Test("same", distance=1e-15, reason="equal within a relative 1e-9")
    assert two_sample.numbers([1.0], [1.1], True).verdict == "differ"
    assert two_sample.numbers([1.0], [1.1], False).reason == "they are not equal, and nothing says how far they scatter"
    assert two_sample.numbers([math.nan], [math.nan], True).verdict == "equal"
    assert two_sample.numbers([math.nan], [1.0], True).distance == math.inf
    assert two_sample.numbers([1.0], [1.0, 2.0], True) == Test("differ", reason="1 numbers and 2")


def test_holms_correction_is_that_of_his_paper():
    assert two_sample.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert two_sample.holm([]) == []


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), max_size=20))
def test_a_corrected_probability_is_never_smaller_and_keeps_the_order(found):
    corrected = two_sample.holm(found)
    assert all(one <= other <= 1 for one, other in zip(found, corrected))
    assert [x for _, x in sorted(zip(found, corrected))] == sorted(corrected)


def test_the_level_holds_for_all_tests_together():
    tests = [two_sample.counts({"0": 500, "1": 500}, {"0": n, "1": 1000 - n}, LEVEL) for n in (440, 500, 500, 505)]
    assert [test.verdict for test in tests] == ["differ", "equal", "equal", "same"]
    one, *others = two_sample.together(tests * 4, LEVEL)
    assert one.verdict == "same" and math.isclose(one.p, 8 * tests[0].p)
    assert two_sample.together(tests[:1], LEVEL) == tests[:1]


def test_what_weighs_most_is_the_verdict_of_the_whole():
    assert two_sample.whole(["equal", "same"]) == "same"
    assert two_sample.whole(["inconclusive", "same"]) == "inconclusive"
    assert two_sample.whole(["inconclusive", "differ", "equal"]) == "differ"
