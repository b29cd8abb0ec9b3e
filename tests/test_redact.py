"""Credentials are found by key and by shape; all else stays the same object."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qarchive import redact
from qarchive.values import Array, Typed

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize("secret, left", [
    (JWT, "[redacted jwt]"),
    ("Authorization: Bearer abcdef0123456789", "Authorization: [redacted bearer]"),
    ("crn:v1:bluemix:public:quantum-computing:us-east:a/0123:4567::", "[redacted crn]"),
    ("https://me:hunter22@example.org/x", "https://[redacted userinfo]@example.org/x"),
    ("https://s3.example.org/r?X-Amz-Date=1&X-Amz-Signature=0a1b2c&x=1",
     "https://s3.example.org/r?X-Amz-Date=1&[redacted presigned]&x=1"),
    ("ghp_0123456789abcdefghij", "[redacted key]"),
])  # fmt: skip
def test_a_credential_in_a_text_is_replaced_by_what_it_was(secret, left):
    assert redact.text(f"before {secret} after") == f"before {left} after"


@pytest.mark.parametrize(
    "key", ["token", "api_key", "apikey", "IBM_TOKEN", "x-authorization", "password", "client.secret", "access_key"]
)
def test_a_whole_value_under_a_telling_key_goes(key):
    assert redact.tree({"options": [{key: "abc"}]}) == {"options": [{key: Typed("redacted", "key")}]}


@pytest.mark.parametrize("key", ["tokens_used", "keyboard", "secretary", "passwords_seen", "seed"])
def test_other_keys_stay(key):
    value = {key: "abc"}
    assert redact.tree(value) is value


def test_numbers_under_a_telling_key_stay_since_no_credential_is_a_number():
    value = {"token": 7, "password": None, "secret": ""}
    assert redact.tree(value) is value


def test_typed_values_are_looked_into():
    assert redact.tree(Typed("qiskit.Counts", {"token": "abc"})) == Typed("qiskit.Counts", {"token": Typed("redacted", "key")})


plain = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text(alphabet="ab 01:/"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="abc"), inner),
)


@given(plain)
def test_what_holds_no_credential_is_the_same_object(value):
    assert redact.tree(value) is value


@given(plain, st.lists(st.integers(0, 3), max_size=4))
def test_redacting_twice_is_redacting_once(value, path):
    nested = value
    for _ in path:
        nested = {"token": JWT, "rest": [nested, f"see {JWT}"]}
    once = redact.tree(nested)
    assert redact.tree(once) == once
    assert JWT not in repr(once)


def test_arrays_are_left_alone():
    value = Array("|u1", (3,), b"abc")
    assert redact.tree(value) is value
