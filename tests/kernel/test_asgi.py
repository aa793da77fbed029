"""Raw ASGI: bodies are bounded, and nobody can choose the address that we count by."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.asgi import HOPS_MAX, WHOLE, Message, client_address, header, read_body, respond
from kernel.errors import Refused

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


class Arriving:
    """A request body that arrives in the given pieces."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = list(messages)

    async def __call__(self) -> Message:
        """Give the next piece."""
        return self.messages.pop(0)


def piece(body: bytes, more: bool) -> Message:
    """Make one message of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_put_together_from_its_pieces() -> None:
    """A server may leave out `body` and `more_body`."""
    assert await read_body(Arriving([piece(b"ab", True), piece(b"", True), piece(b"c", False)]), 3) == b"abc"
    assert await read_body(Arriving([{"type": "http.request"}]), 0) == b""


async def test_a_body_above_the_limit_is_refused_before_it_is_all_here() -> None:
    """The rest is not read: the answer does not wait for a gigabyte."""
    arriving = Arriving([piece(b"ab", True), piece(b"cd", True), piece(b"ef", False)])

    with pytest.raises(Refused) as refusal:
        await read_body(arriving, 3)

    assert (refusal.value.code, refusal.value.status) == ("body-too-large", 413)
    assert len(arriving.messages) == 1


async def test_half_a_body_is_not_a_body() -> None:
    """A caller that hung up asked for nothing."""
    with pytest.raises(Refused, match="body-incomplete"):
        await read_body(Arriving([piece(b"ab", True), {"type": "http.disconnect"}]), 10)


async def test_a_response_says_its_length() -> None:
    """Two messages, the given headers first."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await respond(send, 202, [(b"content-type", b"text/plain")], b"called")

    assert sent == [
        {
            "type": "http.response.start",
            "status": 202,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"6")],
            WHOLE: True,
        },
        {"type": "http.response.body", "body": b"called"},
    ]


def test_the_first_header_of_a_name_is_given() -> None:
    """Names are lower case, as ASGI has them."""
    scope = {"headers": [(b"a", b"1"), (b"b", b"2"), (b"b", b"3")]}

    assert header(scope, b"b") == b"2"
    assert header(scope, b"c") is None


def address(peer: str | None, *forwarded: str, trusted: Sequence[Any] = PROXIES) -> str:
    """Ask for the address of a request from `peer` with these X-Forwarded-For headers."""
    scope = {
        "client": None if peer is None else (peer, 4711),
        "headers": [(b"host", b"h"), *((b"x-forwarded-for", line.encode("latin-1")) for line in forwarded)],
    }
    return client_address(scope, trusted)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.1:5555"], "198.51.100.1"),
        ("10.0.0.1", ['"[2001:db8::1]:5555"'], "2001:db8::1"),
        ("10.0.0.1", ["2001:DB8:0::1%eth0"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:db8::1, fd00::2"], "2001:db8::1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1,"], "10.0.0.1"),
        ("10.0.0.1", ["é"], "10.0.0.1"),
        ("testclient", ["198.51.100.1"], "testclient"),
        (None, [], "local"),
        (None, ["198.51.100.1"], "198.51.100.1"),
        (None, ["1.1.1.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
    ],
)
def test_the_nearest_hop_that_is_not_ours_counts(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    """Read from the right, where our own proxies wrote."""
    assert address(peer, *forwarded) == expected


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.1", "testclient"])
def test_without_trusted_proxies_only_the_peer_counts(peer: str) -> None:
    """A header is worth nothing when nobody of ours wrote it."""
    assert address(peer, "198.51.100.1", trusted=[]) == peer


def test_without_trusted_proxies_ipv4_in_ipv6_clothes_counts_as_ipv4_too() -> None:
    """A port that listens for both sees every IPv4 peer so; as IPv6 they would all be one household."""
    assert address("::ffff:203.0.113.9", trusted=[]) == "203.0.113.9"
    assert address("2001:DB8::1", trusted=[]) == "2001:db8::1"


def test_a_local_proxy_is_believed_without_a_list() -> None:
    """Only a process on this machine reaches a unix socket; it wrote the last hop."""
    assert address(None, "1.1.1.1, 198.51.100.1", trusted=[]) == "198.51.100.1"


@given(
    forged=st.lists(st.sampled_from(["10.0.0.9", "1.1.1.1", "", "unknown", "fd00::9", "x" * 50]), max_size=60)
)
def test_whatever_a_visitor_writes_the_address_is_the_one_our_proxy_saw(forged: list[str]) -> None:
    """Spoof-proof: the proxy appends what it saw, and the walk ends there."""
    assert address("10.0.0.1", ", ".join([*forged, "198.51.100.1", "10.0.0.2"])) == "198.51.100.1"


def test_the_usual_first_entry_would_be_forgeable() -> None:
    """The mutant: with the whole world trusted, which amounts to taking the leftmost, the visitor chooses."""
    everybody = [ip_network("0.0.0.0/0")]

    assert address("10.0.0.1", "1.1.1.1, 198.51.100.1", trusted=everybody) == "1.1.1.1"


def test_the_walk_has_an_end() -> None:
    """Thousands of our own addresses in a row are a forgery."""
    assert address("10.0.0.1", ", ".join(["1.1.1.1"] + ["10.0.0.7"] * HOPS_MAX)) == "10.0.0.7"
    assert address("10.0.0.1", ", ".join(["1.1.1.1"] + ["10.0.0.7"] * (HOPS_MAX - 1))) == "1.1.1.1"


def test_another_header_can_be_named() -> None:
    """Some proxies write their own."""
    scope = {"client": ("10.0.0.1", 1), "headers": [(b"cf-connecting-ip", b"198.51.100.1")]}

    assert client_address(scope, PROXIES, "cf-connecting-ip") == "198.51.100.1"
