"""Trees as templates and columns: exact, one form for equal trees, one template for all days, and checked when they are read."""

import importlib.util
import json
import math
import struct
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from qarchive import trees
from qarchive.codec import decode, encode
from qarchive.errors import NotCanonical, NotEncodable
from qarchive.values import Array, Chunked, Link, Timestamp, Typed

ROOT = Path(__file__).parent.parent
_found = importlib.util.spec_from_file_location("reader_of_trees", ROOT / "tools" / "reader.py")
reader = importlib.util.module_from_spec(_found)
_found.loader.exec_module(reader)

whole_seconds = st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat())
zones = st.sampled_from(["", "Z", "+00:00", "-05:00", "+0530", "+02:00"])
times = st.builds(lambda text, zone: text + zone, whole_seconds | st.datetimes().map(lambda moment: moment.isoformat(" ")), zones)
numbers = st.floats() | st.integers(-(1 << 70), 1 << 70) | st.sampled_from([0.0, -0.0, 0, 1 << 53, (1 << 53) + 1, -(1 << 63)])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=5) | times
leaves = scalars | st.integers(-(1 << 63), (1 << 63) - 1).map(Timestamp)
keys = st.text(max_size=3) | st.sampled_from(["value", "date", "name"])
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=4), max_leaves=40
)


def said(tree):
    """A tree as text that tells 1 from 1.0 and True, and 0.0 from -0.0."""
    if type(tree) is dict:
        return {key: said(tree[key]) for key in sorted(tree)}
    return [said(item) for item in tree] if type(tree) is list else repr(tree)


def through(tree, fixed=False):
    return trees.join(*(decode(encode(part)) for part in trees.split(tree, fixed)))


@settings(deadline=None)
@given(anything, st.booleans())
def test_every_tree_survives(tree, fixed):
    assert said(through(tree, fixed)) == said(tree)


@settings(deadline=None)
@given(st.dictionaries(keys, anything, max_size=4), st.booleans(), st.randoms())
def test_equal_trees_have_equal_parts_whatever_the_order_of_their_keys(tree, fixed, random):
    items = list(tree.items())
    random.shuffle(items)
    assert [encode(part) for part in trees.split(dict(items), fixed)] == [encode(part) for part in trees.split(tree, fixed)]


@settings(deadline=None)
@given(anything)
def test_a_tree_is_left_as_it_is(tree):
    before = said(tree)
    template, columns = trees.split(tree)
    trees.join(template, columns)
    assert said(tree) == before


def test_two_days_of_a_device_share_a_template():
    def day(number):
        return {
            "name": "ibm_x",
            "date": f"2024-03-0{number}T01:02:03-0{number}:00",
            "qubits": [
                [{"name": "T1", "value": 100.5 * number, "date": f"2024-03-0{number}T00:00:00.{number}Z"}],
                [{"name": "T1", "value": number, "date": f"2024-03-0{number}T00:00:00.123456Z"}],
            ],
        }

    one, two = trees.split(day(1), fixed=True), trees.split(day(2), fixed=True)
    assert encode(one[0]) == encode(two[0])
    assert encode(one[1]) != encode(two[1])
    assert one[0]["qubits"][1] == [{"name": "T1", "value": b"n", "date": b"t"}]


def test_a_figure_that_is_an_integer_or_missing_on_one_day_has_the_template_of_the_others():
    plain, odd = ([{"value": 0.25}, {"value": value}] for value in (0.5, 1))
    missing = [{"value": 0.25}, {"value": None}]
    templates = {encode(trees.split(tree, fixed=True)[0]) for tree in (plain, odd, missing)}
    assert len(templates) == 1
    assert through(odd, True) == odd and type(through(odd, True)[1]["value"]) is int
    assert trees.split(missing)[1]["kinds"] == Array("|u1", (2,), b"\0\2")


def test_integers_and_texts_stay_in_the_template_where_they_are_fixed():
    tree = {"gate": "cx", "qubits": [0, 1], "error": 0.5, "on": True, "tag": None}
    assert trees.split(tree, fixed=True)[0] == {"gate": "cx", "qubits": [0, 1], "error": b"n", "on": True, "tag": None}
    assert trees.split(tree)[0] == {"gate": b"s", "qubits": [b"i", b"i"], "error": b"n", "on": True, "tag": None}


def test_links_and_typed_values_stay_in_the_template():
    tree = [Link(bytes(32)), Typed("redacted", "key"), 1 << 64]
    assert trees.split(tree) == (tree, {})
    assert through(tree) == tree


@pytest.mark.parametrize("text", [
    "2024-01-01T00:00:00Z", "2024-01-01 00:00:00", "2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.000000000+00:00",
    "2024-01-01T00:00:00.123456789-11:59", "1969-12-31T23:59:59.999-0000", "1677-09-21T00:12:44Z", "2262-04-11T23:47:16Z",
    "2024-12-31T23:30:00-01:00", "1700-01-01T00:00:00",
])  # fmt: skip
def test_a_time_is_nanoseconds_and_comes_back_as_it_was_written(text):
    template, columns = trees.split([text], fixed=True)
    assert template == [b"t"]
    assert columns["times"]["seconds"].flat() == [0]
    assert through([text]) == [text]


@pytest.mark.parametrize("text", [
    "2024-01-01", "2024-01-01T00:00Z", "2024-01-01T24:00:00Z", "2024-02-30T00:00:00Z", "2016-12-31T23:59:60Z",
    "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.1234567890Z", "2024-01-01T00:00:00z", "2024-01-01t00:00:00Z",
    "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+01:60", "2024-01-01T00:00:00+01", "1500-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "2024-01-01T00:00:00Z ", "٢٠٢٤-01-01T00:00:00Z",
])  # fmt: skip
def test_a_text_that_would_not_come_back_is_no_time(text):
    assert trees.split([text], fixed=True) == ([text], {})
    assert through([text]) == [text]


def test_times_of_several_zones_are_comparable():
    _, columns = trees.split(["2024-03-10T01:59:59-05:00", "2024-03-10T03:00:00-04:00", Timestamp(1_710_054_001_000_000_000)])
    assert columns["times"]["seconds"].flat() == [0, 1, 2]
    assert columns["times"]["forms"] == ["T-05:00", "T-04:00", None]


@pytest.mark.parametrize(("tree", "message"), [
    ({"a": [1, b"x"]}, "cannot be stored at a.1: a builtins.bytes in a tree"),
    ((1, 2), "cannot be stored: a builtins.tuple in a tree"),
    ({"a": {"b": 1j}}, "cannot be stored at a.b: a builtins.complex in a tree"),
    ({"a": {1: 2}}, "cannot be stored: a key 1 that is no text in a tree"),
])  # fmt: skip
def test_what_is_no_tree_is_refused(tree, message):
    with pytest.raises(NotEncodable) as caught:
        trees.split(tree)
    assert str(caught.value) == message


def test_a_bottomless_tree_is_refused():
    tree = []
    tree.append(tree)
    with pytest.raises(NotEncodable) as caught:
        trees.split(tree)
    assert str(caught.value) == "cannot be stored: nested too deep"


def column(dtype, *items, code="B"):
    return Array(dtype, (len(items),), struct.pack(f"<{len(items)}{code}", *items))


def floats(*items):
    return column("<f8", *items, code="d")


def moments(**fields):
    return {"times": {"first": 0, "seconds": column("|u1", 0), "forms": ["TZ"], **fields}}


HUGE = Array("<f8", (1 << 30,), Chunked(1 << 33, (Link(bytes(32)),) * (1 << 13)))


@pytest.mark.parametrize(("template", "columns", "message"), [
    ([b"x"], {}, "a template with a byte string that names no column"),
    ([b""], {}, "a template with a byte string that names no column"),
    ([], [], "columns of a tree that are none"),
    ([], {"other": floats()}, "columns of a tree that are none"),
    ([b"n"], {}, "a template for 1 numbers without such a column"),
    ([], {"numbers": floats()}, "a template for 0 numbers with such a column"),
    ([b"n"], {"numbers": floats(1.0, 2.0)}, "a template for 1 numbers with a column of 2"),
    ([b"n"], {"numbers": [1.0]}, "numbers of a tree that are no column"),
    ([b"n"], {"numbers": column("<f4", 1.0, code="f")}, "numbers of a tree that are no column"),
    ([b"n"], {"numbers": Array("<f8", (1, 1), bytes(8))}, "numbers of a tree that are no column"),
    ([b"n"], {"numbers": HUGE}, "numbers of a tree that are no column"),
    ([], {"kinds": column("|u1")}, "kinds of a tree without numbers"),
    ([b"n"], {"numbers": floats(1.0), "kinds": column("|u1", 0, 0)}, "a template for 1 kinds with a column of 2"),
    ([b"n"], {"numbers": floats(1.0), "kinds": column("|u1", 3)}, "a number 1.0 of kind 3 in a tree"),
    ([b"n"], {"numbers": floats(0.5), "kinds": column("|u1", 1)}, "a number 0.5 of kind 1 in a tree"),
    ([b"n"], {"numbers": floats(-0.0), "kinds": column("|u1", 1)}, "a number -0.0 of kind 1 in a tree"),
    ([b"n"], {"numbers": floats(math.nan), "kinds": column("|u1", 1)}, "a number nan of kind 1 in a tree"),
    ([b"n"], {"numbers": floats(math.inf), "kinds": column("|u1", 1)}, "a number inf of kind 1 in a tree"),
    ([b"n"], {"numbers": floats(2.0**54), "kinds": column("|u1", 1)}, "a number 1.8014398509481984e+16 of kind 1 in a tree"),
    ([b"n"], {"numbers": floats(1.0), "kinds": column("|u1", 2)}, "a number 1.0 of kind 2 in a tree"),
    ([b"i"], {"integers": floats(1.0)}, "integers of a tree that are no column"),
    ([b"s"], {"texts": []}, "texts of a tree without a table of text"),
    ([b"s"], {"texts": {"table": ["a", 1], "places": column("|u1", 0)}}, "texts of a tree without a table of text"),
    ([b"s"], {"texts": {"table": ["a"], "places": column("|u1", 1)}}, "texts of a tree beyond a table of 1"),
    ([b"s"], {"texts": {"table": ["a"], "places": column("|i1", -1, code="b")}}, "texts of a tree that are no column"),
    ([b"t"], {"times": []}, "times of a tree that are no column"),
    ([b"t"], moments(more=1), "times of a tree that are no column"),
    ([b"t"], moments(first="0"), "times of a tree without a first second and forms"),
    ([b"t"], moments(forms=[1]), "times of a tree without a first second and forms"),
    ([b"t"], moments(forms=[]), "times of a tree that cannot be written"),
    ([b"t"], moments(forms=["TX"]), "times of a tree that cannot be written"),
    ([b"t"], moments(forms=["T+99:00"]), "times of a tree that cannot be written"),
    ([b"t"], moments(first=1 << 62), "times of a tree that cannot be written"),
    ([b"t"], moments(first=-(1 << 70), forms=[None]), "times of a tree that cannot be written"),
    ([b"t"], moments(form=column("|u1", 1)), "times of a tree beyond a table of 1"),
    ([b"t"], moments(ns=column("<u4", 1_000_000_000, code="I")), "times of a tree beyond a table of 1000000000"),
    ([b"t"], moments(seconds=column("|u1", 0, 0)), "a template for 1 times with a column of 2"),
])  # fmt: skip
def test_parts_that_do_not_fit_are_refused(template, columns, message):
    with pytest.raises(NotCanonical) as caught:
        trees.join(template, columns)
    assert str(caught.value) == f"not canonical msgpack: {message}"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.sampled_from([b"n", b"i", b"t", b"s", b"", "a", "TZ"])
    | st.builds(lambda items: column("|u1", *items), st.lists(st.integers(0, 3), max_size=3))
    | st.builds(lambda items: floats(*items), st.lists(st.sampled_from([0.0, 0.5]), max_size=3)),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["numbers", "kinds", "integers", "times", "texts", "table", "places", "first", "seconds",
                                       "forms", "form", "ns"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(values, values)
def test_whatever_the_parts_are_they_are_joined_or_refused(template, columns):
    try:
        trees.join(template, columns)
    except NotCanonical:
        pass


def vectors():
    return json.loads((ROOT / "spec" / "vectors" / "trees.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_a_tree_has_this_template_and_these_columns(vector):
    tree, template, columns = (bytes.fromhex(vector[part]) for part in ("tree", "template_bytes", "columns_bytes"))
    assert [encode(part) for part in trees.split(decode(tree), vector["fixed"])] == [template, columns]
    assert encode(trees.join(decode(template), decode(columns))) == tree
    assert [reader.show(reader.decode(part)) for part in (template, columns)] == [vector["template"], vector["columns"]]


def test_a_calibration_of_127_qubits_takes_little_more_than_its_numbers():
    """Figures that are all different do not shrink: 8 bytes each are what there is to store."""
    figures = [math.sin(i) for i in range(2000)]
    day = {"gates": [{"parameters": [{"date": f"2024-03-01T{i % 24:02}:{i % 60:02}:00-05:00", "name": "gate_error", "unit": "",
                                      "value": figure}]} for i, figure in enumerate(figures)]}  # fmt: skip
    columns = encode(trees.split(day, fixed=True)[1])
    assert len(zstandard.ZstdCompressor(level=3).compress(columns)) < 8 * len(figures) + 1000
    assert through(day, True) == day
