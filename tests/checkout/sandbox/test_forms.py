"""Forms in Stripe's encoding, read back as the package writes them."""

import contextlib
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from checkout.sandbox.answers import ApiError
from checkout.sandbox.forms import read_form

NAMES = st.text(
    st.characters(whitelist_categories=("Ll", "Lu", "Nd"), max_codepoint=500), min_size=1, max_size=8
).filter(lambda name: not name.isdecimal())
VALUES = st.text(max_size=20)
TREES = st.dictionaries(
    NAMES,
    VALUES
    | st.lists(VALUES, min_size=1, max_size=4)
    | st.dictionaries(NAMES, VALUES, min_size=1, max_size=4),
    max_size=6,
)


@given(TREES)
def test_what_the_package_writes_is_read_back(tree: dict[str, Any]) -> None:
    """Texts, lists and mappings."""
    assert read_form(urlencode(list(_api_encode(tree))).encode()) == tree


def test_forms_of_other_clients_are_read() -> None:
    """``[]`` without numbers, and the last of two."""
    assert read_form(b"expand[]=a&expand[]=b&x=1&x=2&m[k]=") == {
        "expand": ["a", "b"],
        "x": "2",
        "m": {"k": ""},
    }
    assert read_form(b"") == {}


@pytest.mark.parametrize(
    "body",
    [b"a", b"a&b", b"=1", b"[a]=1", b"a[=1", b"a]=1", b"a[b=1", b"a[][b]=1", b"a=1&a[b]=2", b"a[b]=1&a=2",
     b"a[b][c][d][e][f]=1", b"a=%ff", b"\xff=1", b"&".join([b"a=1"] * 300)],
)  # fmt: skip
def test_what_is_none_is_refused(body: bytes) -> None:
    """With 400, never an accident."""
    with pytest.raises(ApiError) as told:
        read_form(body)
    assert told.value.status == 400


@given(st.binary(max_size=80))
def test_nothing_breaks_it(body: bytes) -> None:
    """A tree, or a refusal."""
    with contextlib.suppress(ApiError):
        assert isinstance(read_form(body), dict)
