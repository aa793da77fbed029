"""Cookies: written strictly, read tolerantly, and an id that a browser cannot choose."""

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.cookies import HEADER_MAX_BYTES, host_name, parse, set_cookie
from kernel.errors import Refused
from kernel.signing import Signer

SIGNER = Signer([("k1", b"s" * 32)], "visitor")


def test_the_safe_attributes_are_the_defaults() -> None:
    """Not readable by scripts, not sent along by other sites' forms, for the whole host."""
    assert set_cookie("a", "1", secure=True) == b"a=1; Path=/; SameSite=Lax; HttpOnly; Secure"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            set_cookie("a", "", secure=False, http_only=False, max_age_s=0),
            b"a=; Path=/; SameSite=Lax; Max-Age=0",
        ),
        (
            set_cookie("a", "x", secure=True, same_site="none", max_age_s=60, path="/r", partitioned=True),
            b"a=x; Path=/r; SameSite=None; Max-Age=60; HttpOnly; Secure; Partitioned",
        ),
        (
            set_cookie("__Host-a", "x", secure=True, same_site="strict"),
            b"__Host-a=x; Path=/; SameSite=Strict; HttpOnly; Secure",
        ),
    ],
)
def test_every_attribute_can_be_chosen(written: bytes, expected: bytes) -> None:
    """Deleting is `max_age_s=0`; an embedded page needs `none` and `partitioned`."""
    assert written == expected


@pytest.mark.parametrize(
    ("name", "value", "options"),
    [
        ("", "x", {}),
        ("a b", "x", {}),
        ("a=b", "x", {}),
        ("a;b", "x", {}),
        ("é", "x", {}),
        ("a", "x y", {}),
        ("a", "x;y", {}),
        ("a", "x,y", {}),
        ("a", 'x"y', {}),
        ("a", "x\\y", {}),
        ("a", "x\r\nSet-Cookie: b=1", {}),
        ("a", "é", {}),
        ("a", "x", {"path": "relative"}),
        ("a", "x", {"path": "/a;b"}),
        ("__Host-a", "x", {"path": "/r"}),
        ("__Host-a", "x", {"secure": False}),
        ("__Secure-a", "x", {"secure": False}),
        ("a", "x", {"secure": False, "same_site": "none"}),
        ("a", "x", {"secure": False, "partitioned": True}),
    ],
)
def test_what_a_browser_would_not_take_is_our_mistake(
    name: str, value: str, options: dict[str, object]
) -> None:
    """A header cannot be injected, and a cookie is never lost without a word."""
    with pytest.raises(ValueError, match=r"cookie|encoding"):
        set_cookie(name, value, **({"secure": True} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", {}),
        (b"a=1; b=2", {"a": "1", "b": "2"}),
        (b"a=1;b=2 ;  c = 3 ", {"a": "1", "b": "2", "c": "3"}),
        (b"a=1; a=2", {"a": "1"}),
        (b"a==b=", {"a": "=b="}),
        (b'a="quoted"; b="; c=""', {"a": "quoted", "b": '"', "c": ""}),
        (b"nonsense; =x; ; a=1; ;", {"a": "1"}),
        (b"a=\xe9", {"a": "é"}),
    ],
)
def test_other_peoples_cookies_do_not_disturb(header: bytes, expected: dict[str, str]) -> None:
    """What cannot be read is passed over; the first of two counts."""
    assert parse(header) == expected


def test_an_oversized_header_is_refused() -> None:
    """The limit is inclusive; the code and status are stable."""
    assert parse(b"a" * HEADER_MAX_BYTES) == {}

    with pytest.raises(Refused) as refusal:
        parse(b"a" * (HEADER_MAX_BYTES + 1))
    assert (refusal.value.code, refusal.value.status) == ("cookies-too-large", 431)


@given(header=st.binary(max_size=200))
def test_no_header_breaks_the_reader(header: bytes) -> None:
    """Whatever comes is read or passed over."""
    assert all(name for name in parse(header))


@given(
    value=st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='",;\\'), max_size=40
    )
)
def test_what_is_written_reads_back_as_the_standard_library_reads_it(value: str) -> None:
    """The whole alphabet of a cookie's value survives."""
    written = set_cookie("a", value, secure=False).decode()
    morsel: SimpleCookie = SimpleCookie()
    morsel.load(written)

    assert morsel["a"].value == value
    assert parse(f"a={value}".encode())["a"] == value


def test_the_host_prefix_needs_tls() -> None:
    """Browsers drop a `__Host-` cookie without it, so plain HTTP goes without."""
    assert host_name("waitroom-visitor", secure=True) == "__Host-waitroom-visitor"
    assert host_name("waitroom-visitor", secure=False) == "waitroom-visitor"
