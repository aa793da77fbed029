"""Blocklist and allowlist: what a line says, what is wrong with it, and that a broken list changes nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.fraud.lists import Lists, domain, read_list
from checkout.fraud.signals import Kind
from kernel.errors import Misconfigured
from tests.checkout.fraud.suspects import Metrics

LIST = """\
# Known fraud, of the last festival
address 203.0.113.0/24   # a hosting company
address,198.51.100.7
address 2001:db8:bad::/48

account , fran
card Xt5EWLLDS7FJjR1c
device 9b1d
email Mailinator.com
email bücher.example
country KP
"""


def put(path: Path, text: str) -> Path:
    """Replace a file as an operator should."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return path


@pytest.mark.parametrize(
    ("kind", "name", "line"),
    [
        (Kind.ACCOUNT, "fran", 6),
        (Kind.ACCOUNT, "Fran", None),
        (Kind.CARD, "Xt5EWLLDS7FJjR1c", 7),
        (Kind.CARD, "fran", None),
        (Kind.DEVICE, "9b1d", 8),
        (Kind.EMAIL, "mailinator.com", 9),
        (Kind.EMAIL, "MX.Mailinator.Com.", 9),
        (Kind.EMAIL, "notmailinator.com", None),
        (Kind.EMAIL, "com", None),
        (Kind.EMAIL, "xn--bcher-kva.example", 10),
        (Kind.EMAIL, "not a domain", None),
        (Kind.COUNTRY, "KP", 11),
        (Kind.COUNTRY, "GB", None),
    ],
)
def test_a_name_is_found_by_its_line(kind: Kind, name: str, line: int | None) -> None:
    """Names as they are written, domains with all below them."""
    found = read_list(LIST.encode()).lines({kind: (name,)}, "")

    assert found == ({} if line is None else {kind: line})


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("203.0.113.0", 2),
        ("203.0.113.255", 2),
        ("203.0.114.0", None),
        ("198.51.100.7", 3),
        ("::ffff:198.51.100.7", 3),
        ("198.51.100.8", None),
        ("2001:db8:bad:ffff::1", 4),
        ("2001:db8:bae::", None),
        ("local", None),
    ],
)
def test_an_address_is_found_in_its_network(address: str, line: int | None) -> None:
    """Both kinds of addresses, to the last one of a network."""
    found = read_list(LIST.encode()).lines({}, address)

    assert found == ({} if line is None else {Kind.ADDRESS: line})


def test_any_of_several_spellings_is_found() -> None:
    """In clear, or as the pseudonym that a reviewer sees."""
    entries = read_list(b"card PSEUDONYM")

    assert entries.lines({Kind.CARD: ("card-1", "PSEUDONYM")}, "") == {Kind.CARD: 1}


def test_the_same_twice_is_one_entry() -> None:
    """The first line is told; overlapping networks as well."""
    entries = read_list(b"account a\naccount a\naddress 10.1.0.0/16\naddress 10.0.0.0/8\naddress 10.1.0.0/16")

    assert len(entries) == 3
    assert entries.lines({Kind.ACCOUNT: ("a",)}, "10.1.2.3") == {Kind.ACCOUNT: 1, Kind.ADDRESS: 3}
    assert entries.lines({}, "10.2.0.0") == {Kind.ADDRESS: 4}


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\r\n  \r\n", "\ufeff# a mark"])
def test_a_file_may_hold_nothing(text: str) -> None:
    """An empty list is a list; so is one from another system."""
    assert len(read_list(text.encode())) == 0
    assert len(read_list(f"{text}\r\naccount fran\r\n".encode())) == 1


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("fran", "an entry is a kind and one value"),
        ("account", "an entry is a kind and one value"),
        ("account a b", "an entry is a kind and one value"),
        ("account,a,b", "an entry is a kind and one value"),
        ("Account fran", "an entry is a kind and one value"),
        (
            "person fran",
            "the kind 'person' is unknown; there are account, device, address, card, email, country",
        ),
        ("account " + "a" * 201, "the account is longer than 200 characters"),
        ("address 300.1.1.1", "'300.1.1.1' is neither an address nor a network"),
        ("address 10.0.0.0/33", "'10.0.0.0/33' is neither an address nor a network"),
        ("address 10.0.0.1/8", "'10.0.0.1/8' has bits behind its prefix; did you mean 10.0.0.0/8?"),
        ("address ::ffff:10.0.0.1", "'::ffff:10.0.0.1' is an IPv4 address in IPv6 clothes; write it as IPv4"),
        ("email a@example.com", "'a@example.com' is no domain; write what stands behind the @"),
        ("email com", "'com' is no domain; write what stands behind the @"),
        ("email a..b", "'a..b' is no domain; write what stands behind the @"),
        ("country UK!", "'UK!' is no country; write two capital letters, as GB"),
        ("country gb", "'gb' is no country; write two capital letters, as GB"),
    ],
)
def test_a_bad_line_is_named_with_what_is_wrong(line: str, fault: str) -> None:
    """And how it should be."""
    with pytest.raises(Misconfigured) as caught:
        read_list(f"# head\n{line}\naccount fran\n".encode())
    assert caught.value.faults == (f"line 2: {fault}.",)


def test_all_faults_are_told_at_once() -> None:
    """A hundred in words, the rest as a number."""
    with pytest.raises(Misconfigured) as caught:
        read_list(b"account fran\n" + b"nonsense\n" * 150)
    assert caught.value.faults[0].startswith("line 2: ")
    assert len(caught.value.faults) == 101
    assert caught.value.faults[-1] == "and 50 more"


def test_octets_that_are_no_text_are_named_by_their_line() -> None:
    """A file in another encoding."""
    with pytest.raises(Misconfigured, match="line 3: this is not UTF-8"):
        read_list(b"account a\naccount b\naccount \xff\n")


@given(st.binary(max_size=200))
def test_a_list_is_read_or_refused_whatever_it_holds(octets: bytes) -> None:
    """Nothing but ``Misconfigured`` comes out."""
    try:
        entries = read_list(octets)
    except Misconfigured:
        return
    assert len(entries) <= octets.count(b"\n") + 1


@given(st.text(max_size=30))
def test_a_domain_has_one_spelling(written: str) -> None:
    """Written again it stays the same."""
    once = domain(written)

    assert domain(once) == once
    assert domain(f" {written.strip()} ") == once


async def test_a_list_counts_without_a_restart_and_a_broken_one_keeps_the_old(tmp_path: Path) -> None:
    """Even if only its last line is broken: half a list is no list."""
    path = put(tmp_path / "block.txt", "account fran\n")
    metrics = Metrics()
    lists = Lists(metrics, block=path)

    def is_blocked(account: str) -> bool:
        return Kind.ACCOUNT in lists.find({Kind.ACCOUNT: (account,)}, "").blocked

    put(path, "account gil\n")
    assert await lists.files[0].refresh()
    assert (is_blocked("fran"), is_blocked("gil")) == (False, True)

    put(path, "account hal\naccount\n")
    assert not await lists.files[0].refresh()
    assert (is_blocked("hal"), is_blocked("gil")) == (False, True)
    assert metrics.value("fraud_stale_files", file="blocklist") == 1

    put(path, "account hal\n")
    assert await lists.files[0].refresh()
    assert is_blocked("hal")
    assert metrics.value("fraud_stale_files", file="blocklist") == 0


def test_the_two_lists_are_told_apart(tmp_path: Path) -> None:
    """Either may be missing."""
    block, allow = (
        put(tmp_path / "b", "account fran\naddress 10.0.0.0/8"),
        put(tmp_path / "a", "account fran"),
    )
    who = {Kind.ACCOUNT: ("fran",)}

    both = Lists(Metrics(), block=block, allow=allow).find(who, "10.1.1.1")
    assert both.blocked == {Kind.ADDRESS: "blocklist, line 2", Kind.ACCOUNT: "blocklist, line 1"}
    assert both.allowed == {Kind.ACCOUNT}
    assert Lists(Metrics(), allow=allow).find(who, "10.1.1.1").blocked == {}
    assert Lists(Metrics(), block=block).find(who, "10.1.1.1").allowed == set()


def test_at_start_the_faults_of_both_lists_are_told(tmp_path: Path) -> None:
    """Each names its file."""
    block, allow = put(tmp_path / "b", "nonsense"), tmp_path / "missing"

    with pytest.raises(Misconfigured) as caught:
        Lists(Metrics(), block=block, allow=allow)
    assert [fault.partition(": ")[0] for fault in caught.value.faults] == [str(block), str(allow)]
