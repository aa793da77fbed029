"""The figure delta: how long until a change of seats has reached 2,000 viewers, at 500 holds a second.

Every viewer has a stream of its own (server-sent events) on a socket of its own. A hold is asked for at its time,
whether or not earlier ones were answered; its latency for a viewer runs from that time until the message that names
its seats has arrived there. The messages are coalesced, so few messages a second carry many holds; a sample of each
message's holds is taken, the same for every viewer. The reference is one lone viewer under the same holds.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.figure import Figure, say
from bench.harness import Bench
from bench.paced import Load
from bench.shop import GROUP, Shop, groups, on_load_core, our_shop
from gateway.files import most_connections

VIEWERS = 2000
HOLDS_PER_S = 500
MOST_P99_MS = 500.0
MOST_MESSAGES_PER_S = 5.0
SAMPLE = 8
FANS = 1000
CONNECTING = 100
TAIL_S = 2.0

_ID = re.compile(rb"id: ?(\S+)")
_CHUNK = re.compile(rb"^(?:\r\n)*[0-9a-fA-F]+\r\n")
_RUN = re.compile(r"(\d+)(?:\+(\d+))?=(\w\w)")


@dataclass(slots=True)
class Board:
    """What all viewers note: which message came when, and which holds it told of."""

    due_s: dict[int, float] = field(default_factory=dict)
    """When the hold of a group was due, by its first seat."""

    told: dict[bytes, list[float]] = field(default_factory=dict)
    """Due times of a sample of the holds that a message told of, by the message's id."""

    arrivals: list[tuple[bytes, float]] = field(default_factory=list)
    resets: int = 0
    sections: int = 0
    """Messages that told how much is free in each section, instead of seats."""

    def take(self, message: bytes, now_s: float) -> None:
        """Note a message."""
        if message.startswith(b":") or b"data:" not in message:
            return
        if b"event: reset" in message:
            self.resets += 1
        if b"event: counts" in message:
            self.sections += 1
        found = _ID.search(message)
        if found is None or b"event:" in message:
            return
        id_ = found[1]
        if id_ not in self.told:
            seats = [int(run[1]) for run in _RUN.finditer(message.partition(b"data:")[2].decode())]
            due = sorted(self.due_s[seat] for seat in seats if seat in self.due_s)
            step = max(1, len(due) // SAMPLE)
            self.told[id_] = due[::step]
        self.arrivals.append((id_, now_s))

    def latencies_ms(self) -> list[float]:
        """Return the sampled latencies, in order."""
        return sorted((at_s - due_s) * 1000 for id_, at_s in self.arrivals for due_s in self.told[id_])


class Viewer(asyncio.Protocol):
    """One stream."""

    def __init__(self, ask: bytes, board: Board) -> None:
        self._ask, self._board = ask, board
        self._rest = b""
        self.messages = 0
        self.is_lost = False
        self.transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - loop.create_connection gives no other
        self.transport = transport
        transport.write(self._ask)

    def data_received(self, data: bytes) -> None:
        """Note whole messages."""
        now_s = self._loop.time()
        *whole, self._rest = (self._rest + data).split(b"\n\n")
        for message in whole:
            if b"data:" in message:
                self.messages += b"event:" not in message
                self._board.take(_CHUNK.sub(b"", message), now_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the stream ended."""
        del exc
        self.is_lost = True


def measure(bench: Bench) -> Iterator[Figure]:
    """Watch with one viewer, then with all."""
    most_connections()
    seconds = max(5, bench.seconds)
    with our_shop(bench, events=2) as shop:
        fans = shop.admissions(FANS)
        shop.welcome(fans)
        with on_load_core(bench):
            say("one viewer")
            alone = asyncio.run(watch(shop, shop.events[0], fans, 1, seconds))
            say(f"{VIEWERS:,} viewers")
            crowd = asyncio.run(watch(shop, shop.events[1], fans, VIEWERS, seconds))
    latencies, lone = crowd.board.latencies_ms(), alone.board.latencies_ms()
    p99, lone_p99 = _percentile(latencies, 0.99), _percentile(lone, 0.99)
    each_per_s = max(crowd.messages) / (seconds + TAIL_S)
    errors = [
        f"{crowd.lost} streams ended" if crowd.lost else "",
        f"{crowd.board.resets} resets" if crowd.board.resets else "",
        f"{crowd.refused} holds were refused" if crowd.refused else "",
        "a viewer heard nothing" if min(crowd.messages) == 0 else "",
    ]
    error = ", ".join(text for text in errors if text) or None
    yield Figure(
        "delta",
        p99,
        "ms",
        "one lone viewer under the same holds",
        ratio=p99 / lone_p99 if lone_p99 else None,
        beside={"p50_ms": _percentile(latencies, 0.5), "messages_per_s": each_per_s},
        target=f"p99 <= {MOST_P99_MS:.0f} ms, <= {MOST_MESSAGES_PER_S:.0f} messages a second each",
        met=error is None and p99 <= MOST_P99_MS and each_per_s <= MOST_MESSAGES_PER_S,
        conditions=bench.conditions(
            rounds=1,
            load=f"{VIEWERS:,} streams and {HOLDS_PER_S} holds/s, open loop, for {seconds} s",
            seats_each=GROUP,
        ),
        details={
            "viewers": VIEWERS,
            "samples": len(latencies),
            "arrivals": len(crowd.board.arrivals),
            "reference_p99_ms": round(lone_p99, 1),
            "hold_p99_ms": round(crowd.hold_p99_ms, 1),
        },
        error=error,
    )


@dataclass(slots=True)
class Watched:
    """What one run saw."""

    board: Board
    messages: list[int]
    lost: int
    refused: int
    hold_p99_ms: float


async def watch(
    shop: Shop, event: str, fans: Sequence[str], viewers: int, seconds: int, *, per_s: int = HOLDS_PER_S
) -> Watched:
    """Have so many look at an event while `per_s` holds a second are made there."""
    loop, board = asyncio.get_running_loop(), Board()
    host, _, port = shop.url.removeprefix("http://").partition(":")
    streams: list[Viewer] = []
    for first in range(0, viewers, CONNECTING):
        some = range(first, min(first + CONNECTING, viewers))
        asks = [
            shop.request(
                "GET", f"/api/events/{event}/deltas", fans[number % len(fans)], ["Accept: text/event-stream"]
            )
            for number in some
        ]
        made = await asyncio.gather(
            *(loop.create_connection(lambda ask=ask: Viewer(ask, board), host, int(port)) for ask in asks)  # type: ignore[misc]
        )
        streams += [viewer for _, viewer in made]
    await asyncio.sleep(1)
    wanted = groups(shop.plan.layout)[: per_s * seconds]
    asked = [
        shop.hold(event, fans[number % len(fans)], f"delta-{viewers}-{number}", {"seats": seats})
        for number, seats in enumerate(wanted)
    ]
    load = Load()
    await load.connect(shop.url, 64)
    began_s = loop.time()
    for number, seats in enumerate(wanted):
        board.due_s[seats[0]] = began_s + number / per_s
    seen = await load.run(asked, per_s)
    await asyncio.sleep(TAIL_S)
    lost = sum(viewer.is_lost for viewer in streams)
    for viewer in streams:
        if viewer.transport is not None:
            viewer.transport.abort()
    refused = seen.unanswered + sum(count for status, count in seen.statuses.items() if status != 201)
    return Watched(board, [viewer.messages for viewer in streams], lost, refused, seen.percentile_ms(0.99))


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
