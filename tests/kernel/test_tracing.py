"""Tests of traces: what is believed of a request, what goes on, what is recorded."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest

from kernel import traced, tracing
from kernel.asgi import Message, Receive, Scope, Send
from kernel.log import JsonLines
from kernel.problems import raw_problem
from kernel.traced import Traced, route_of
from kernel.tracing import Sampling, Span, Trace, continuing, derived, milestone, onward, parse, span, written

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{ID}-{SPAN}-01"
PROXY = (ip_network("10.0.0.0/8"),)
EVERYTHING = Sampling(1.0)


@dataclass
class Kept:
    """A recorder that keeps what it hears."""

    spans: list[Span] = field(default_factory=list)

    def record(self, span: Span) -> None:
        """Keep it."""
        self.spans.append(span)

    def close(self) -> None:
        """Nothing is left."""

    def named(self, name: str) -> Span:
        """Return the one span of this name."""
        (found,) = [one for one in self.spans if one.name == name]
        return found


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Record every trace."""
    recorder = Kept()
    tracing.install(recorder, EVERYTHING)
    yield recorder
    tracing.install(None)


@pytest.mark.parametrize(
    "malformed",
    [
        "", "00", PARENT.upper(), f"{PARENT} ", f" {PARENT}", PARENT[:-1], f"{PARENT}0", f"{PARENT}-", f"{PARENT}-more",
        f"ff-{ID}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{ID}-{'0' * 16}-01", f"00-{ID[:-1]}g-{SPAN}-01",
        f"00_{ID}_{SPAN}_01", f"0-{ID}-{SPAN}-01", f"00-{ID}-{SPAN}-zz", f"00-{ID}-{SPAN}", f"{PARENT},{PARENT}",
        f"00-{ID}-{SPAN}-01\n", "00-" + "٣" * 32 + f"-{SPAN}-01",
    ],
)  # fmt: skip
def test_a_malformed_parent_is_none(malformed: str) -> None:
    """The standard's own bad cases; a reader that forgives them continues a trace that nobody began."""
    assert parse(malformed) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    """Version 00 ends after the flags; a later one may go on behind a hyphen."""
    assert parse(f"01-{ID}-{SPAN}-01-more") == Trace(ID, SPAN, sampled=True)
    assert parse(f"01-{ID}-{SPAN}-02") == Trace(ID, SPAN, sampled=False)


@pytest.mark.parametrize("state", ["a=1,b=2", "x" * 512])
def test_what_others_add_is_carried(state: str) -> None:
    """The header ``tracestate`` goes on as it came."""
    here = parse(PARENT, state)
    assert here is not None
    assert onward(here) == {"traceparent": PARENT, "tracestate": state}


@pytest.mark.parametrize("state", ["", "x" * 513, "a=1\r\nx: y", "a=ü", "\x00"])
def test_a_malformed_state_is_left_out(state: str) -> None:
    """The trace itself counts all the same."""
    here = parse(PARENT, state)
    assert here is not None
    assert onward(here) == {"traceparent": PARENT}


def test_nothing_goes_on_outside_of_a_request() -> None:
    """No trace, no header; no trace, no text to keep."""
    assert tracing.current() is None
    assert onward() == {}
    assert written(None) == ""


# ------------------------------------------------------------------------------ what is believed


async def seen(
    headers: list[tuple[bytes, bytes]], client: tuple[str, int] | None, path: str = "/", method: str = "GET"
) -> Trace:
    """Send one request through the middleware, and tell in which trace its application was."""
    found: list[Trace | None] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        found.append(tracing.current())
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def lost(_message: Message) -> None:
        pass

    scope: dict[str, Any] = {
        "type": "http", "method": method, "path": path, "headers": headers, "client": client,
    }  # fmt: skip
    await asyncio.ensure_future(Traced(app, PROXY, "/.waitroom")(scope, nothing, lost))
    (here,) = found
    assert here is not None
    return here


STRANGERS = [("203.0.113.9", 1), ("11.0.0.1", 1), ("::ffff:203.0.113.9", 1), ("nonsense", 1)]
OURS = [("10.1.2.3", 1), ("::ffff:10.1.2.3", 1), None]


async def strangers_choose(client: tuple[str, int] | None) -> bool:
    """Tell whether a peer's word decides which trace its request is in."""
    return (await seen([(b"traceparent", PARENT.encode())], client)).trace_id == ID


@pytest.mark.parametrize("client", OURS)
async def test_a_trusted_proxys_trace_is_gone_on_with(client: tuple[str, int] | None) -> None:
    """Whoever stands before us may have begun it; on a unix socket it can be nobody else."""
    assert await strangers_choose(client)


@pytest.mark.parametrize("client", STRANGERS)
async def test_a_strangers_trace_is_not_gone_on_with(client: tuple[str, int]) -> None:
    """Else anybody could put lines of theirs under another's trace, or have everything recorded."""
    assert not await strangers_choose(client)


async def test_believing_everybody_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: who is trusted is not asked."""
    monkeypatch.setattr(traced, "trusts", lambda _scope, _trusted: True)

    assert all([await strangers_choose(client) for client in STRANGERS])


@pytest.mark.parametrize("client", STRANGERS)
async def test_a_strangers_trace_is_linked(client: tuple[str, int], kept: Kept) -> None:
    """What it says may help, and decides nothing: not the id, and not whether anything is recorded."""
    here = await seen([(b"traceparent", PARENT.encode())], client)

    (made,) = kept.spans
    assert made.trace.trace_id == here.trace_id != ID
    assert made.parent == ""
    assert [link.trace_id for link in made.links] == [ID]


async def test_a_stranger_has_nothing_recorded() -> None:
    """Its flag says sampled; ours says no."""
    recorder = Kept()
    tracing.install(recorder, Sampling(0.0))
    try:
        here = await seen([(b"traceparent", PARENT.encode())], STRANGERS[0])
    finally:
        tracing.install(None)
    assert not here.sampled
    assert recorder.spans == []


async def test_a_parent_that_is_told_twice_is_none() -> None:
    """Nobody could tell which of the two it is."""
    twice = [(b"traceparent", PARENT.encode())] * 2
    assert (await seen(twice, OURS[0])).trace_id != ID


async def test_a_trusted_parents_span_is_continued(kept: Kept) -> None:
    """Its span is our span's parent, and its state goes on."""
    headers = [(b"traceparent", PARENT.encode()), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    here = await seen(headers, OURS[0])

    (made,) = kept.spans
    assert (made.parent, made.trace.trace_id, here.state) == (SPAN, ID, "a=1,b=2")
    assert here.span_id == made.trace.span_id != SPAN


async def test_orders_are_always_recorded() -> None:
    """Whatever the share is, and whatever whoever stands before us has drawn."""
    recorder = Kept()
    tracing.install(recorder, Sampling(0.0, ("/order",)))
    try:
        path = "/events/E1/orders/O1/pay"
        assert (await seen([], STRANGERS[0], path, "POST")).sampled
        quiet = [(b"traceparent", f"00-{ID}-{SPAN}-00".encode())]
        assert (await seen(quiet, OURS[0], path, "POST")).sampled
        assert not (await seen([], STRANGERS[0], path, "GET")).sampled
        assert not (await seen([], STRANGERS[0], "/events/E1", "POST")).sampled
    finally:
        tracing.install(None)
    assert [one.name for one in recorder.spans] == ["POST /events/*/orders/*/pay"] * 2


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/.waitroom/r/main/join", "/.waitroom/r/*/join"),
        ("/tickets/E1/ann@x.example/abcdef", "/tickets/*/*/*"),
        ("/%61dmin/+491701234567", "/*/*"),
        ("/a/b/c/d/e/f/g/h/i/j/k", "/*/*/*/*/*/*/*/*"),
        ("/", "/"),
        ("", ""),
    ],
)
def test_an_address_is_told_as_a_template(path: str, told: str) -> None:
    """Only words of ours stand in it."""
    assert route_of(path, "/.waitroom") == told


class Fell(Exception):
    """An application fell over."""


@pytest.mark.parametrize(("status", "error"), [(404, ""), (503, "503"), (0, "Fell")])
async def test_a_request_that_fails_is_an_error(status: int, error: str, kept: Kept) -> None:
    """5xx, and what nobody caught; 4xx are the caller's."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if not status:
            raise Fell
        await send({"type": "http.response.start", "status": status, "headers": []})

    async def nothing(*_: object) -> Any:
        pass

    scope: dict[str, Any] = {"type": "http", "path": "/", "headers": [], "client": STRANGERS[0]}
    with pytest.raises(Fell) if not status else nullcontext():
        await Traced(app, ())(scope, nothing, nothing)
    (made,) = kept.spans
    assert (made.error, made.attributes.get("http.response.status_code", 0)) == (error, status)


# ------------------------------------------------------------------------------ steps


def test_a_step_is_a_part_of_the_one_around_it(kept: Kept) -> None:
    """Parents, the same trace, and where we are again afterwards."""
    token = tracing.enter(Trace(ID, SPAN, sampled=True))
    with span("outer"), span("inner"):
        assert onward()["traceparent"].split("-")[2] not in {SPAN, ""}
    here = tracing.current()
    tracing.leave(token)

    outer, inner = kept.named("outer"), kept.named("inner")
    assert (outer.parent, inner.parent) == (SPAN, outer.trace.span_id)
    assert {outer.trace.trace_id, inner.trace.trace_id} == {ID}
    assert here == Trace(ID, SPAN, sampled=True)


def test_what_is_not_sampled_is_not_recorded(kept: Kept) -> None:
    """Outside of a request, and in one that is not; we are in its trace all the same."""
    with span("nowhere"):
        pass
    with continuing(f"00-{ID}-{SPAN}-00", "quiet"):
        assert onward() == {"traceparent": f"00-{ID}-{SPAN}-00"}
    assert kept.spans == []


def test_a_kept_trace_is_gone_on_with_and_linked(kept: Kept) -> None:
    """A notice of a bank is a request of its own; what it leads to belongs to the order."""
    token = tracing.enter(Trace("a" * 32, "b" * 16, sampled=True))
    with continuing(PARENT, "order work"):
        pass
    tracing.leave(token)

    work = kept.named("order work")
    assert (work.trace.trace_id, work.parent) == (ID, SPAN)
    assert [(link.trace_id, link.span_id) for link in work.links] == [("a" * 32, "b" * 16)]


@pytest.mark.parametrize("text", ["", "nonsense", PARENT[:-3]])
def test_work_without_a_kept_trace_is_in_one_of_its_own(text: str) -> None:
    """So each line of it can be found together."""
    with continuing(text, "work"):
        here = tracing.current()
    assert here is not None
    assert tracing.current() is None


def test_a_later_visit_points_at_an_earlier_one(kept: Kept) -> None:
    """Nothing is stored: both know what it is about, and from the name nobody else can tell."""
    milestone("join", ("main", "run", "ticket-1"), {"waitroom.number": 7})
    milestone("claim", ("sid-1",), {}, [derived("join", "main", "run", "ticket-1")])

    join, claim = kept.named("join"), kept.named("claim")
    assert [(link.trace_id, link.span_id) for link in claim.links] == [
        (join.trace.trace_id, join.trace.span_id)
    ]
    assert derived("join", "main", "run", "ticket-2").trace_id != join.trace.trace_id
    assert derived("join", "main", "runt", "icket-1").trace_id != join.trace.trace_id


def test_every_share_is_drawn_by_the_id() -> None:
    """As the standard's samplers do, so that all who know the id and the share agree."""
    tracing.install(Kept(), Sampling(0.25))
    try:
        drawn = [derived("join", str(number)).sampled for number in range(4_000)]
    finally:
        tracing.install(None)
    assert 900 < sum(drawn) < 1_100


# ------------------------------------------------------------------------------ logs and problems


def test_a_line_names_its_trace() -> None:
    """And only a line that belongs to one; nobody's field can say another."""
    record = logging.makeLogRecord({"msg": "told", "trace_id": "faked"})
    assert "trace_id" not in JsonLines().format(record)
    with continuing(PARENT, "work"):
        line = JsonLines().format(record)
    assert f'"trace_id": "{ID}", "span_id": "{SPAN}"' in line
    assert "faked" not in line


def test_a_problem_names_its_trace() -> None:
    """What a fan can tell support; an unforeseen failure's reference is the same."""
    with continuing(PARENT, "work"):
        _, headers, body = raw_problem(ValueError("nobody foresaw"))
    assert (b"waitroom-trace", ID.encode()) in headers
    assert ID.encode() in body
