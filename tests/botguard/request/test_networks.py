"""Networks: the compiled intervals against a plain walk over all ranges; the lists; the operator's own one."""

from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botguard.request import networks as rules
from botguard.request.facts import Who
from botguard.request.networks import FOLDER, Network, Networks, compiled, disjoint, span
from botguard.request.own_list import read_own_list
from kernel.errors import Misconfigured
from tests.botguard.request.browsers import NETWORKS, NoSystems, chromium, read, reader, replaced

KINDS = list(Network)
SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.sampled_from(KINDS)), max_size=12)


def plain(spans: list[tuple[int, int, Network]], at: int) -> Network | None:
    """Walk over all spans: the kindest that holds the address."""
    return min((kind for first, last, kind in spans if first <= at <= last), key=KINDS.index, default=None)


@given(SPANS)
def test_the_intervals_say_what_a_walk_over_all_ranges_says(rows: list[tuple[int, int, Network]]) -> None:
    """Overlapping, nested, adjacent, and the same twice."""
    spans = [(first, first + size, kind) for first, size, kind in rows]
    intervals = rules.Intervals(spans)

    assert [intervals.find(at) for at in range(-1, 90)] == [plain(spans, at) for at in range(-1, 90)]
    cut = list(disjoint(spans))
    assert all(left[1] < right[0] for left, right in pairwise(cut))


def test_a_cloud_that_counts_above_its_people_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: with kindness turned round, Private Relay within a cloud is the cloud."""
    rows = [("10.0.0.0/8", Network.HOSTING), ("10.1.0.0/16", Network.RELAY)]
    inside = ip_address("10.1.2.3")
    assert compiled(rows).find(inside) is Network.RELAY

    monkeypatch.setattr(rules, "_KINDNESS", {kind: -place for place, kind in enumerate(Network)})
    assert compiled(rows).find(inside) is Network.HOSTING


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("104.28.28.5", Network.RELAY),
        ("2a02:26f7:b00a:4000::1", Network.RELAY),
        ("3.5.140.1", Network.HOSTING),
        ("2a01:7e00::1", Network.HOSTING),
        ("203.0.113.7", None),
        ("2001:db8::1", None),
        ("0.0.0.0", None),
        ("255.255.255.255", None),
    ],
)
def test_the_lists_know_addresses(address: str, kind: Network | None) -> None:
    """Of both versions."""
    assert read(chromium(), address).network is kind
    assert read(chromium(), f"::ffff:{address}" if "." in address else address).network is kind


def test_every_range_of_people_is_theirs_whatever_cloud_it_lies_in() -> None:
    """All of Private Relay's, first and last address."""
    for text in (FOLDER / "ipranges" / "apple-proxy.txt").read_text().split():
        network = ip_network(text)
        for at in (network[0], network[-1]):
            assert NETWORKS.find(at) is Network.RELAY


def test_no_range_is_nobodys() -> None:
    """A list that holds addresses for documentation, or all that are given out anew, would mean the wrong people."""
    translated = [ip_network("2002::/16"), ip_network("2001::/32"), ip_network("64:ff9b::/96")]
    for path in (FOLDER / "ipranges").glob("*.txt"):
        for text in path.read_text().split():
            network = ip_network(text)
            assert network.is_global, (path.name, text)
            assert not any(network.version == 6 and network.overlaps(one) for one in translated), (
                path.name,
                text,
            )


def test_an_autonomous_system_is_known_where_a_file_tells_it() -> None:
    """One on the list of providers is hosting; a range that is known counts more."""
    systems = NoSystems({"203.0.113.7": 198375, "104.28.28.5": 198375, "192.0.2.1": 64500})

    found = [read(chromium(), at, reader(systems=systems)).network for at in systems.known]

    assert found == [Network.HOSTING, Network.RELAY, None]


def test_an_address_that_is_none_is_no_network() -> None:
    """A peer on a unix socket."""
    assert (read(chromium(), "local").network, read(chromium(), "local").address) == (None, None)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "10.0.0.1/8", "10.0.0", "::/129", "x", "10.0.0.0/-1", "::1/2/3"]
)
def test_a_range_that_is_none_is_refused(text: str) -> None:
    """So a spoilt list is noticed."""
    with pytest.raises(ValueError, match=r"network|prefix"):
        span(text)


OWN = b"""
people  3.5.140.0/24     # the office, in a cloud
people  AS64500
people  agent:TicketApp/
hosting 198.51.100.0/24
tor     2001:db8::7
"""


def test_the_operators_own_list_stands_above_ours() -> None:
    """For networks, systems and agents."""
    here = reader(read_own_list(OWN), systems=NoSystems({"192.0.2.1": 64500}))
    app = replaced(chromium(), b"user-agent", b"TicketApp/3.2 okhttp/4.12.0")

    facts = [read(chromium(), at, here) for at in ("3.5.140.9", "192.0.2.1", "198.51.100.1", "2001:db8::7")]

    assert [one.network for one in facts] == [Network.PEOPLE, Network.PEOPLE, Network.HOSTING, Network.TOR]
    assert [one.who for one in facts] == [Who.VOUCHED, Who.VOUCHED, Who.UNDECLARED, Who.UNDECLARED]
    assert (read(app, here=here).who, read(app).who) == (Who.VOUCHED, Who.TOOL)


def test_all_faults_of_a_list_are_told_at_once() -> None:
    """Each with its line."""
    spoilt = (
        b"people 10.0.0.1/8\nfriends 10.0.0.0/8\nhosting agent:Chrome/\npeople agent:x\ntor AS0\npeople\n"
    )

    with pytest.raises(Misconfigured) as caught:
        read_own_list(spoilt)

    assert [fault.partition(":")[0] for fault in caught.value.faults] == [f"line {n}" for n in range(1, 7)]
    with pytest.raises(Misconfigured, match="line 2"):
        read_own_list(b"\n\xff")


def test_an_empty_list_says_nothing() -> None:
    """And is no fault."""
    own = read_own_list(b"# nothing\n\n")

    assert isinstance(own.networks, Networks)
    assert own.networks.find(ip_address("10.0.0.1")) is None
    assert not own.is_peoples("anything")
