"""Marks: an object and its copies are told again, wherever they are handed on to; nothing of it is pickled."""

import copy
import inspect
import os
import pickle
import sys

import pytest

from qarchive.errors import BadInput
from qarchive.providers import hooks


class Thing:
    """Stands for an object of an SDK's."""

    def __init__(self):
        self.inside = [1]


class Slotted:
    __slots__ = ()


def test_an_object_and_its_copies_are_told_again():
    thing, recorder = Thing(), object()
    hooks.mark(thing, recorder)
    again = copy.deepcopy(thing)
    assert again.inside is not thing.inside
    assert [hooks.marked(one) for one in (thing, copy.copy(thing), again, Thing(), 3)] == [recorder] * 3 + [None] * 2


def test_the_last_one_who_asks_gets_it_and_none_ends_it():
    thing, first, last = Thing(), object(), object()
    hooks.mark(thing, first)
    early = copy.copy(thing)
    hooks.mark(thing, last)
    assert (hooks.marked(thing), hooks.marked(early)) == (last, first)
    hooks.mark(thing, None)
    assert hooks.marked(thing) is None


def test_a_mark_is_not_pickled():
    thing = Thing()
    hooks.mark(thing, object())
    assert hooks.marked(pickle.loads(pickle.dumps(thing))) is None  # noqa: S301  written by this test


def test_the_first_marked_object_says_who_records():
    plain, marked, recorder = Thing(), Thing(), object()
    hooks.mark(marked, recorder)
    assert hooks.recorder_of(plain, marked) is recorder
    assert hooks.recorder_of(plain) is None


def test_what_cannot_be_marked_says_so():
    with pytest.raises(BadInput) as caught:
        hooks.mark(Slotted(), object())
    assert str(caught.value) == "a Slotted: takes no attribute, so it cannot be told again; use autolog"


def test_a_frame_of_ours_is_told_without_asking_all_modules():
    """SDKs that look at the stack at every request would do so for each of our frames."""

    @hooks.passed_over
    def frame():
        return sys._getframe()

    found = frame()
    assert os.path.abspath(found.f_code.co_filename) in inspect.modulesbyfile
    assert inspect.getmodule(found).__name__ == __name__
