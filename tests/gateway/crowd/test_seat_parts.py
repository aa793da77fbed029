"""The parts of the crowd in a shop: the hall, the stream of events, the clock, the streaming connection."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from checkout.halls.deltas import version
from checkout.halls.houses import arena_60000, theatre_2000
from checkout.halls.seats import Status
from gateway.crowd.clock import SLACK_US, WallClock
from gateway.crowd.seats.buying import taken_of, unpacked
from gateway.crowd.seats.hall import Hall, Seen, Wish
from gateway.crowd.seats.sse import Message, Reader
from gateway.crowd.streams import BrokenOff
from gateway.crowd.wire import Answer, Broken, NoAnswer, Wire
from tests.gateway.crowd.naive_hall import hall as small_layout

TOLD = {
    "id": "night",
    "currency": "EUR",
    "limits": {"max_per_buyer": 4, "hold_s": 120},
    "tiers": [{"tier": 0, "prices": {"EUR": 5000, "JPY": 9}}, {"tier": 1, "prices": {"JPY": 9}}],
    "price_version": 3,
}


def a_hall() -> Hall:
    """A small hall: ten rows of fourteen, and a floor for twenty."""
    return Hall(TOLD, small_layout())


def test_seats_that_are_picked_are_free_and_side_by_side_in_one_row() -> None:
    """Whatever is taken, and wherever the search begins; those for wheelchairs are left."""
    own, dice = a_hall(), Random(3)
    for _ in range(300):
        plain = bytearray(dice.choice((0, 0, 1)) for _ in range(own.seats))
        count = dice.randint(1, 4)
        seats = own.pick(plain, count, dice)
        runs = [
            first
            for first in range(140 - count + 1)
            if first // 14 == (first + count - 1) // 14
            and not any(plain[first : first + count])
            and {0, 1}.isdisjoint(range(first, first + count))
        ]

        assert bool(seats) == bool(runs)
        assert not seats or (seats[0] in runs and list(seats) == list(range(seats[0], seats[0] + count)))


@pytest.mark.parametrize("make", [theatre_2000, arena_60000])
def test_a_full_hall_and_an_empty_one_are_searched_to_the_end(make: Callable[[], object]) -> None:
    """The real halls: something in the empty one, nothing in the full one, the last seats if only they are left."""
    layout = make().layout  # type: ignore[attr-defined]
    own = Hall(TOLD, layout)
    last = [section for section in layout.sections if section.rows][-1].rows[-1]
    places = tuple(range(last.first + last.count - 2, last.first + last.count))
    almost = bytearray(b"\1" * own.seats)
    almost[places[0] : places[-1] + 1] = bytes(2)

    assert len(own.pick(bytes(own.seats), 4, Random(1))) == 4
    assert own.pick(b"\3" * own.seats, 1, Random(1)) == ()
    assert own.pick(almost, 2, Random(1)) == places
    assert own.pick(almost, 3, Random(1)) == ()


def test_who_stands_does_so_where_there_is_room() -> None:
    """By what is free in each standing section; nobody chooses a place."""
    own = a_hall()

    assert own.stand(bytes(own.seats), 20, Random(1)) == Wish(count=20, section=1, stands=True)
    assert own.stand(bytes(own.seats), 21, Random(1)) is None
    assert own.is_chosen(139)
    assert not own.is_chosen(140)


def test_the_seat_beside_is_in_the_same_row() -> None:
    """At the end of a row there is one neighbour."""
    own = a_hall()

    assert {own.beside(20, Random(seed)) for seed in range(20)} == {19, 21}
    assert {own.beside(13, Random(seed)) for seed in range(20)} == {12}


def test_a_group_is_never_larger_than_one_may_have() -> None:
    """The event's own limit."""
    assert {a_hall().group(Random(seed)) for seed in range(200)} == {1, 2, 3, 4}


def test_maps_that_cannot_be_right_are_told() -> None:
    """Another number of seats, a status that is none, a second map of one version."""
    own = a_hall()
    good = Seen(version("1:5-1"), bytes(own.seats))

    assert own.see(good) == ""
    assert own.see(Seen(version("1:5-1"), bytes(own.seats))) == ""
    assert "two maps" in own.see(Seen(version("1:5-1"), b"\1" + bytes(own.seats - 1)))
    assert "159 seats" in own.see(Seen(version("1:5-2"), bytes(own.seats - 1)))
    assert "no known status" in own.see(Seen(version("1:5-3"), b"\7" + bytes(own.seats - 1)))
    assert own.first is good
    assert own.map is not None
    assert str(own.map.version) == "1:5-3"


def test_an_older_map_does_not_replace_a_newer_one() -> None:
    """Answers may overtake each other."""
    own = a_hall()
    for text in ("1:5-2", "1:5-1"):
        own.see(Seen(version(text), bytes(own.seats)))

    assert own.map is not None
    assert str(own.map.version) == "1:5-2"


def test_prices_are_those_of_every_version_seen() -> None:
    """In the event's currency; a version between two that were seen is not known."""
    own = a_hall()
    own.read({**TOLD, "price_version": 5, "tiers": [{"tier": 0, "prices": {"EUR": 5500}}]})

    assert own.costs(0) == {5000, 5500}
    assert own.costs(1) == set()
    assert not own.knows_all_prices
    own.read({**TOLD, "price_version": 4})
    assert own.knows_all_prices


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (Wish((4, 5)), b'{"currency":"EUR","seats":[4,5]}'),
        (Wish(count=2, tier=1), b'{"currency":"EUR","best":{"count":2,"tier":1,"section":null}}'),
        (Wish(count=2, section=1, stands=True), b'{"currency":"EUR","standing":{"section":1,"count":2}}'),
    ],
)
def test_a_wish_is_written_as_the_shop_reads_it(wish: Wish, text: bytes) -> None:
    """The three kinds of wishes on the wire."""
    assert wish.body("EUR") == text


def test_a_refusal_that_cannot_be_read_lists_nothing() -> None:
    """Only pairs of whole numbers are seats."""
    told = [{"seat": 4, "status": 1}, {"seat": "5", "status": 1}, 6, {"seat": 7}, {"seat": True, "status": 1}]

    assert taken_of({"taken": told}) == ((4, 1),)
    assert taken_of({"taken": "all"}) == ()


STREAM = (
    b": here\n\nretry: 300\nid: 1:5-1\ndata: 4=01\n\n"
    b"event: check\r\nid: 1:5-2\r\ndata: 00c0ffee\r\n\r\n"
    b"event:reset\ndata:\n\ndata: a\ndata:  b\n\nid: 1:5-3\n\ndata: \xc3\xa4\n\n"
)
MESSAGES = [
    Message("message", "1:5-1", "4=01"),
    Message("check", "1:5-2", "00c0ffee"),
    Message("reset", "1:5-2", ""),
    Message("message", "1:5-2", "a\n b"),
    Message("message", "1:5-3", "ä"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_stream_is_read_the_same_however_it_is_cut(size: int) -> None:
    """Also between CR and LF, and within a character."""
    reader = Reader()
    found = [message for at in range(0, len(STREAM), size) for message in reader.feed(STREAM[at : at + size])]

    assert found == MESSAGES


def test_a_lone_return_ends_a_line() -> None:
    """The oldest kind of line end, and one that is held back until it is known which."""
    reader = Reader()

    assert reader.feed(b"data: a\r") == []
    assert reader.feed(b"\r") == []
    assert reader.feed(b"data: b\r\r") == [Message("message", "", "a")]
    assert reader.feed(b"\r") == [Message("message", "", "b")]


def test_the_wall_clock_is_read_again_and_widens_what_it_tells() -> None:
    """It follows a clock that runs faster, and notices one that is set."""
    now = {"s": 100.0, "ahead_ms": 0.0}
    clock = WallClock(lambda: now["s"], lambda: now["s"] * 1000 + now["ahead_ms"])

    assert clock.us(100.0) == 100_000_000
    now |= {"s": 100.5, "ahead_ms": 3.0}
    assert clock.us(100.5) == 100_500_000
    now["s"] = 101.5
    assert clock.us(101.5) == 101_503_000
    assert clock.asked_us(101.5) == 101_503_000 - SLACK_US
    assert clock.answered_us(101.5) == 101_503_000 + SLACK_US
    assert clock.jump_ms == pytest.approx(3.0)


def test_a_pause_between_the_two_clocks_spoils_no_reading() -> None:
    """A reading that took long is read again."""
    moments = iter([0.0, 0.0, 0.4, 0.5, 0.5])
    clock = WallClock(lambda: next(moments), lambda: 500.0)

    assert clock.us(0.5) == 500_000


def test_a_packed_body_is_unpacked_and_a_broken_one_refused() -> None:
    """gzip, as it is asked for."""
    packed = Answer(200, gzip.compress(b"abc"), {b"content-encoding": b"gzip"})

    assert unpacked(packed) == b"abc"
    assert unpacked(Answer(200, b"abc")) == b"abc"
    with pytest.raises(ValueError, match="not gzip"):
        unpacked(Answer(200, b"abc", {b"content-encoding": b"gzip"}))


# ----------------------------------------------------------------------------- streams over a socket

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def listening(serve: Serve) -> tuple[asyncio.Server, Wire]:
    """Serve on a free port; give a wire to it."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return server, Wire("127.0.0.1", port, connections=2, timeout_s=2.0)


async def test_a_stream_gives_what_has_come_until_it_is_whole() -> None:
    """Chunks in, bytes out; then nothing more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        assert asked.startswith(b"GET /deltas?after=1 HTTP/1.1\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for piece in (b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
        writer.close()

    server, wire = await listening(serve)
    async with server:
        stream = await wire.stream(b"/deltas?after=1", b"accept: text/event-stream\r\n")
        heard = b""
        while piece := await stream.read():
            heard += piece
        stream.close()

    assert (stream.status, heard, stream.headers[b"content-type"]) == (200, b"abcde", b"text/event-stream")


async def test_a_stream_that_breaks_off_is_not_whole() -> None:
    """A closed connection in the middle of a body is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await writer.drain()
        writer.close()

    server, wire = await listening(serve)
    async with server:
        stream = await wire.stream(b"/deltas")
        assert await stream.read() == b"abc"
        with pytest.raises(BrokenOff):
            await stream.read()


@pytest.mark.parametrize(
    ("answer", "kind"), [(b"", Broken.CLOSED), (b"not http at all\r\n\r\n", Broken.CLOSED)]
)
async def test_a_stream_without_a_head_is_no_answer(answer: bytes, kind: Broken) -> None:
    """Closed at once, or something else than HTTP."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server, wire = await listening(serve)
    async with server:
        with pytest.raises(NoAnswer) as caught:
            await wire.stream(b"/deltas")

    assert caught.value.kind is kind


async def test_nobody_at_the_address_is_no_answer_either() -> None:
    """As with any request."""
    server, wire = await listening(lambda _reader, writer: asyncio.sleep(0, writer.close()))  # type: ignore[arg-type]
    server.close()
    await server.wait_closed()

    with pytest.raises(NoAnswer) as caught:
        await wire.stream(b"/deltas")

    assert caught.value.kind is Broken.REFUSED


def test_the_statuses_are_the_shops_own() -> None:
    """What is free to a fan is free to the shop."""
    assert Seen(version("1:1-0"), bytes([0x10, 0x21, 0x32])).plain == bytes(
        [Status.FREE, Status.HELD, Status.RESERVED]
    )
