"""What people are shown holds nothing that a terminal or a page would obey, and is in their own script all the same."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qarchive.cli.output import width
from qarchive.printable import clean, clean_lines

CAT, FAMILY, PERSIAN, HINDI, HIJRI = "🐈\u200d⬛", "👩🏽\u200d❤️\u200d👩", "می\u200cخواهم", "क्\u200dष", "ه\u200d"
SEEN = {"L", "M", "N", "P", "S"}  # the categories of what is printed, but for the space


@pytest.mark.parametrize("text", ["bell", "näme", CAT, FAMILY, PERSIAN, HINDI, HIJRI, "مرحبا", "דוגמה", "a b", "量子"])
def test_names_in_any_script_are_shown_as_they_are(text):
    assert clean(text) == clean_lines(text) == text


@pytest.mark.parametrize(
    "text, shown",
    [
        ("be\u200dll", "be\\u200dll"), ("be\u200cll", "be\\u200cll"), ("\u200dbell", "\\u200dbell"),
        (CAT[:2], "🐈\\u200d"),
        ("🐈\u200c⬛", "🐈\\u200c⬛"), ("🐈\u200d\u200d⬛", "🐈\\u200d\\u200d⬛"), ("量\u200d子", "量\\u200d子"),
        ("خ\u200c\u200cخ", "خ\u200c\\u200cخ"),
        ("\u202egnp.exe", "\\u202egnp.exe"), ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("\u200e\u200f\u061c", "\\u200e\\u200f\\u061c"),
        ("\x1b[31m", "\\x1b[31m"), ("\x9b2J", "\\x9b2J"), ("\ufeffa\u00ad\u2060", "\\ufeffa\\xad\\u2060"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"), ("a\u2028b\x85", "a\\u2028b\\x85"),
    ],
)  # fmt: skip
def test_what_is_obeyed_or_not_seen_is_escaped(text, shown):
    assert clean(text) == clean_lines(text) == shown


def test_lines_are_kept_where_they_are_wanted():
    assert clean("a\n\tb\r") == "a\\n\\tb\\r" and clean_lines("a\n\tb\r") == "a\n\tb\\r"


@given(st.text(st.characters() | st.sampled_from("\u200c\u200d\u202e\u061c🐈⬛ی्\x1b\n")))
def test_of_any_text_only_what_is_printed_and_joiners_are_left(text):
    shown = clean(text)
    assert all(c == " " or c in "\u200c\u200d" or unicodedata.category(c)[0] in SEEN for c in shown)
    assert clean(shown) == shown and clean_lines(shown) == shown


def test_joiners_take_no_columns():
    assert width(CAT) == 4 and width(PERSIAN) == 7 and width("❤️") == 1
