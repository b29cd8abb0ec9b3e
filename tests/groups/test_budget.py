"""A limit on what a group costs: nothing is started that may exceed it, and what runs here is free."""

import pytest
from group_runs import aer, flipped, lab, warned
from hypothesis import given
from hypothesis import strategies as st

from qarchive.errors import BadInput
from qarchive.groups.budget import Budget


@given(costs=st.lists(st.integers(0, 50), max_size=30), most=st.integers(1, 200))
def test_what_is_used_stays_within_the_limit_where_no_job_is_dearer_than_all_before(costs, most):
    budget, used = Budget(most), 0
    for cost in sorted(costs, reverse=True)[1:]:
        budget.dearest = budget.dearest if budget.dearest is not None else max(costs)
        if not budget.allows(0):
            break
        used += cost
        budget.used += cost
    assert used <= most or budget.dearest is None


def test_before_anything_has_ended_one_job_is_started_and_no_second():
    budget = Budget(10)
    assert budget.allows(0) and not budget.allows(1) and str(budget) == "0 of max_cost=10 is used"
    budget.used, budget.dearest = 4.0, 2.5
    assert str(budget) == "4 of max_cost=10 is used, and one more job may cost 2.5"
    assert budget.allows(0) and budget.allows(1) and not budget.allows(2)


@pytest.mark.parametrize("most", [0, -1, True, "10", float("nan")])
def test_a_cost_is_a_number_above_0(most):
    with pytest.raises(BadInput) as caught:
        Budget(most)
    assert str(caught.value) == f"max_cost={most!r}: is no cost; give a number above 0"


def test_what_runs_here_costs_nothing(folder):
    with lab(folder) as archive, warned() as told:
        group = archive.group("scan")
        for number in range(3):
            group.add(aer(), flipped(number), shots=5)
        group.run_sequential(max_cost=0.001)
        group.run_parallel(max_cost=0.001)
        assert group.statuses() == ["DONE"] * 3
    assert told == []
