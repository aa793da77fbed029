"""Addresses: read once, kept in one spelling, refused with the reason, and shown without being told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.people.addresses import NAME_MOST, read_email, read_name, same_address, shown

LABEL = "y" * 63


@pytest.mark.parametrize(
    ("typed", "kept", "seen"),
    [
        ("Ann@Example.ORG", "Ann@example.org", "A•••@example.org"),
        (" ann@example.org ", "ann@example.org", "a•••@example.org"),
        ("a@b.co", "a@b.co", "•••@b.co"),
        ("ann.b+tickets@sub.example.org", "ann.b+tickets@sub.example.org", "a•••@sub.example.org"),
        ("ann@exämple.de", "ann@xn--exmple-cua.de", "a•••@exämple.de"),
        ("ann@XN--EXMPLE-CUA.de", "ann@xn--exmple-cua.de", "a•••@exämple.de"),
        ("ann@例え.jp", "ann@xn--r8jz45g.jp", "a•••@例え.jp"),
        ("x" * 64 + "@b.co", "x" * 64 + "@b.co", "x•••@b.co"),
    ],
)
def test_an_address_is_kept_in_one_spelling(typed: str, kept: str, seen: str) -> None:
    """Capitals of the domain and letters of the world; what stands before the @ is its owner's."""
    assert read_email(typed) == kept
    assert shown(kept) == seen
    assert read_email(kept) == kept


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "at"),
        ("ann", "at"),
        ("ann@a.org@b.org", "at"),
        ("@example.org", "local"),
        (".ann@example.org", "local"),
        ("ann..b@example.org", "local"),
        ("ann b@example.org", "local"),
        ('"ann b"@example.org', "local"),
        ("änn@example.org", "local"),
        ("x" * 65 + "@example.org", "local"),
        ("ann@", "domain"),
        ("ann@localhost", "domain"),
        ("ann@example..org", "domain"),
        ("ann@.example.org", "domain"),
        ("ann@example.org.", "domain"),
        ("ann@-example.org", "domain"),
        ("ann@exa_mple.org", "domain"),
        ("ann@192.0.2.1", "domain"),
        ("ann@[192.0.2.1]", "domain"),
        ("ann@xn--a.org", "domain"),
        ("ann@exam ple.org", "domain"),
        (f"ann@{LABEL}y.org", "domain"),
        (f"{'x' * 64}@{LABEL}.{LABEL}.{LABEL}.org", "long"),
        ("ann@example.org\nBcc: all@example.org", "control"),
        ("ann\r@example.org", "control"),
        ("ann@example.org\x00", "control"),
        ("ann\u202e@example.org", "control"),
        ("ann@exam\u200eple.org", "control"),
        ("\ud800@example.org", "control"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(typed: str, why: str) -> None:
    """One @, a mailbox, a domain, no character that cannot be seen."""
    with pytest.raises(ValueError, match=f"^{why}$"):
        read_email(typed)


@given(st.text(max_size=80) | st.emails())
def test_whatever_is_typed_is_an_address_or_a_reason(typed: str) -> None:
    """And an address that was read is ASCII, has one @, and is read as itself again."""
    kept = None
    try:
        kept = read_email(typed)
    except ValueError as error:
        is_told = str(error) in {"control", "long", "at", "local", "domain"}
    else:
        is_told = True
    assert is_told
    if kept is None:
        return
    assert kept.isascii()
    assert kept.count("@") == 1
    assert read_email(kept) == kept
    local = kept.partition("@")[0]
    assert len(local) == 1 or local not in shown(kept).partition("@")[0]


def test_an_address_is_found_in_any_capitals() -> None:
    """People write their own differently each time."""
    assert same_address(read_email("Ann@Example.org")) == same_address(read_email("ann@EXAMPLE.ORG"))


def test_a_name_is_a_line_of_text() -> None:
    """Spaces are put in order; nothing that cannot be seen, and nothing endless."""
    assert read_name("  Ann   O’Neil ") == "Ann O’Neil"
    assert read_name("") == ""
    for bad in ("Ann\nBcc: x", "x" * (NAME_MOST + 1), "Ann\u2066"):
        with pytest.raises(ValueError, match=r"^(control|long)$"):
            read_name(bad)
