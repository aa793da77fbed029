"""The line's use cases on a real store: joining, places, phases, the draw, and coming back after a loss."""

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.waitroom.house import ROOM, House, house, members, worker
from waitroom import service, status, ticket
from waitroom.census import Census
from waitroom.configure import Actor, Saved
from waitroom.draw import Shuffle
from waitroom.estimate import Learned
from waitroom.lanes import Lane, Serving
from waitroom.line import Line
from waitroom.merkle import root
from waitroom.rooms import Room, StockState
from waitroom.schedule import Phase, wanted
from waitroom.standing import Standing
from waitroom.store import CALLS_KEPT

SALE = {
    "name": "sale",
    "prequeue_start_time": "2027-01-15T08:10:00Z",
    "event_start_time": "2027-01-15T08:20:00Z",
    "event_end_time": "2027-01-15T09:20:00Z",
    "queueing_method": "fifo",
    "shuffle_at_event_start": True,
}
PREQUEUE_MS, START_MS, END_MS = 1_800_000_600_000, 1_800_001_200_000, 1_800_004_800_000


async def test_joins_get_consecutive_numbers_in_the_order_of_asking(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A hundred joins at once: numbers 0..99, in the order in which they were asked."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up()

        numbers = [number for _, number in await asyncio.gather(*(here.join() for _ in range(100)))]

    assert numbers == list(range(100))
    await store.aclose()


async def test_the_same_key_gives_the_same_place_also_through_another_worker(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A lost answer, asked for again, is the same number and the same leaf."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up()
        other = worker(store, here.journal, clock)
        await other.beat()

        first, number = await here.join("k" * 22)
        await here.join()
        again, same = await other.join("k" * 22)

        signer = here.waitroom.signer
        assert number == same == 0
        assert ticket.read(signer, first, ROOM).leaf == ticket.read(signer, again, ROOM).leaf
    await store.aclose()


async def test_a_fan_who_was_away_for_ten_minutes_finds_the_place_of_the_lost_answer(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The page asks under one key until it is answered. What was short-lived in the store is gone by then."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up()
        _, number = await here.join("k" * 22)
        await here.join()

        for key in [key async for key in store.scan_iter("wr:*")]:
            lives_ms = await store.pttl(key)
            if lives_ms > 0:
                await store.pexpire(key, lives_ms - 600_000)

        assert [key async for key in store.scan_iter("wr:*:batch:*")] == []
        assert (await here.join("k" * 22))[1] == number
    await store.aclose()


@pytest.mark.parametrize("how", ["draining", "draining, seen", "sold out"])
async def test_a_lost_answer_is_given_again_although_nobody_joins_any_more(
    store: Redis, clock: ManualClock, tmp_path: Path, how: str
) -> None:
    """Who joined in the last second has a place: the answer that got lost is still theirs, and nobody else's."""
    async with house(store, clock, tmp_path) as here:
        reading = await here.set_up()
        first, number = await here.join("k" * 22)
        assert reading.line is not None
        if how == "sold out":
            levers = {"stock_state": "soldout"}
            assert isinstance(await here.configurations.patch(ROOM, levers, None, Actor("test")), Saved)
            await here.waitroom.refresh()
        else:
            await here.waitroom.store.turn(ROOM, reading.line.run, Phase.SERVING, Phase.DRAINING, "test")
            if how == "draining, seen":
                await here.waitroom.refresh()

        again, same = await here.join("k" * 22)

        assert (ticket.read(here.waitroom.signer, again, ROOM).leaf, same) == (
            ticket.read(here.waitroom.signer, first, ROOM).leaf,
            number,
        )
        for once in ("z" * 22, ""):
            with pytest.raises(Refused) as reason:
                await here.join(once)
            assert reason.value.code == ("room-sold-out" if how == "sold out" else "room-draining")
        assert (await here.waitroom.refresh_room(ROOM)).line.issued == 1  # type: ignore[union-attr]
    await store.aclose()


async def test_joins_are_counted_that_got_a_number(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """A full room's refusals are counted as such, and not as joins."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up(max_waiting=3)

        await asyncio.gather(*(here.join() for _ in range(5)), return_exceptions=True)

        assert here.waitroom.metrics.joined.count == 3
    await store.aclose()


async def test_a_full_room_refuses_and_costs_nobody_a_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Joiners beyond max_waiting see "full"; those inside keep their numbers."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up(max_waiting=3)

        answers = await asyncio.gather(*(here.join() for _ in range(5)), return_exceptions=True)

        assert [answer[1] for answer in answers if isinstance(answer, tuple)] == [0, 1, 2]
        assert [answer.code for answer in answers if isinstance(answer, Refused)] == ["room-full"] * 2
        await here.waitroom.store.call(ROOM, here.waitroom.reading(ROOM).line.run, 1, Serving(2, 2, 2), 60)  # type: ignore[union-attr]
        await here.beat()
        assert (await here.join())[1] == 3
    await store.aclose()


async def test_a_place_is_called_exactly_when_the_threshold_passes_it(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Rank 1 is called at serving 2, and turns into recall at the end of its claim window."""
    async with house(store, clock, tmp_path) as here:
        reading = await here.set_up(claim_window_s=60)
        texts = [(await here.join())[0] for _ in range(3)]
        assert reading.line is not None

        async def standing(text: str, now_ms: int) -> Standing:
            await here.beat()
            return (await here.waitroom.place_of(ROOM, text, now_ms))[2].standing

        assert await standing(texts[1], clock.now_ms()) is Standing.WAITING
        await here.waitroom.store.call(ROOM, reading.line.run, 1, Serving(1, 1, 1), 60, clock.now_ms())
        assert await standing(texts[1], clock.now_ms()) is Standing.WAITING
        await here.waitroom.store.call(ROOM, reading.line.run, 2, Serving(2, 2, 2), 60, clock.now_ms())
        assert await standing(texts[1], clock.now_ms() + 59_999) is Standing.CALLED
        assert await standing(texts[1], clock.now_ms() + 60_000) is Standing.RECALL
    await store.aclose()


async def test_a_sale_gathers_freezes_draws_serves_and_ends(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The whole life of a lottery: everyone before the closing is drawn, later ones follow by number."""
    async with house(store, clock, tmp_path) as here:
        reading = await here.set_up(queueing_method="reject", sales=[SALE], draw_lead_s=90, drain_s=60)
        announced = members(reading)["draw"]
        assert reading.line is not None
        assert reading.line.phase is Phase.IDLE
        with pytest.raises(Refused, match="not open"):
            await here.join()

        clock.set(PREQUEUE_MS)
        reading = await here.beat()
        early = [(await here.join())[0] for _ in range(20)]
        assert reading.line.phase is Phase.GATHERING
        assert members(reading)["draw"] == announced
        _, held, place = await here.waitroom.place_of(ROOM, early[3], clock.now_ms())
        assert (place.rank, place.standing) == (None, Standing.GATHERING)

        clock.set(START_MS - 90_000)
        await here.beat()
        late, late_number = await here.join()
        reading = await here.beat()
        assert reading.line.frozen == 20
        assert reading.line.root == root([await here.waitroom.store.leaves(ROOM, 0, 20)]).hex()
        assert reading.line.seed == ""
        assert (await here.waitroom.place_of(ROOM, late, clock.now_ms()))[2].rank == late_number == 20

        clock.set(START_MS)
        for _ in range(2):
            reading = await here.beat()
        assert reading.line.phase is Phase.SERVING
        shuffle = Shuffle(bytes.fromhex(reading.line.seed), 20)
        ranks = [(await here.waitroom.place_of(ROOM, text, clock.now_ms()))[2].rank for text in early]
        assert ranks == [shuffle.rank(number) for number in range(20)]
        assert sorted(ranks) == list(range(20))  # type: ignore[type-var]

        clock.set(END_MS)
        reading = await here.beat()
        assert reading.line.phase is Phase.DRAINING
        with pytest.raises(Refused, match="Nobody joins"):
            await here.join()
        clock.set(END_MS + 60_000)
        reading = await here.beat()
        assert reading.line.phase is Phase.ENDED
        assert held.number == 3
    await store.aclose()


@pytest.mark.parametrize("slept", ["from the beginning", "after the announcement"])
async def test_a_room_that_slept_through_the_start_holds_its_draw_late_and_lets_people_in(
    store: Redis, clock: ManualClock, tmp_path: Path, slept: str
) -> None:
    """Without a draw nobody would ever have a rank. Who comes first is drawn, who comes later follows."""
    async with house(store, clock, tmp_path) as here:
        if slept == "from the beginning":
            clock.set(START_MS + 30_000)
        await here.set_up(queueing_method="reject", sales=[SALE], draw_lead_s=90)
        clock.set(START_MS + 30_000)
        reading = await here.beat()
        for _ in range(5):
            _, number = await here.join()
            reading = await here.beat()

        assert reading.line is not None
        assert (reading.line.phase, reading.line.seed != "") == (Phase.SERVING, True)
        assert reading.rank(number) == number == 4
    await store.aclose()


async def test_a_line_that_begins_to_serve_without_its_draw_would_be_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: it opens as the timetable says, and nobody ever has a rank."""
    monkeypatch.setattr(service, "by_way_of_draw", lambda wanted, _shuffled: wanted)
    async with house(store, clock, tmp_path) as here:
        clock.set(START_MS + 30_000)
        await here.set_up(queueing_method="reject", sales=[SALE], draw_lead_s=90)
        _, number = await here.join()
        for _ in range(5):
            reading = await here.beat()

        assert reading.rank(number) is None
    await store.aclose()


async def test_with_the_journal_away_a_room_waits_with_its_opening_and_holds_up_no_other(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """What the last opening did must be on record before a new one begins; other rooms go on meanwhile."""

    async def away(_room: str) -> None:
        raise Unavailable("journal-away", "The journal cannot be reached.")

    async def back(_room: str) -> None:
        await here.drained()

    async with house(store, clock, tmp_path) as here:
        reading = await here.set_up()
        assert reading.line is not None
        run = reading.line.run
        await here.join()
        await here.waitroom.store.turn(ROOM, run, Phase.SERVING, Phase.ENDED, "test")
        here.waitroom.drain = away
        reading = await here.beat()  # does not raise
        assert reading.line is not None
        assert (reading.line.run, reading.line.phase) == (run, Phase.ENDED)

        here.waitroom.drain = back
        reading = await here.beat()
        assert reading.line is not None
        assert reading.line.run != run
    await store.aclose()


async def test_tickets_of_an_earlier_run_are_worth_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Yesterday's paper opens nothing today."""
    async with house(store, clock, tmp_path) as here:
        reading = await here.set_up()
        text, _ = await here.join()
        assert reading.line is not None
        await here.waitroom.store.open(
            ROOM, reading.line.run, "ffff000000000000", "always", Phase.SERVING, "", "test"
        )
        await here.beat()

        with pytest.raises(Refused) as refused:
            await here.waitroom.place_of(ROOM, text, clock.now_ms())
        assert (refused.value.code, refused.value.status) == ("run-over", 410)
    await store.aclose()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda _: "", "ticket-missing"),
        (lambda text: text[:-1], "ticket-invalid"),
        (lambda text: text[:-2] + ("AA" if text[-2:] != "AA" else "BB"), "ticket-invalid"),
        (lambda text: "k9" + text[2:], "ticket-invalid"),
        (lambda text: text.replace(".", "", 1), "ticket-invalid"),
        (lambda _: "a.b.c", "ticket-invalid"),
        (lambda _: "x" * 5000, "ticket-invalid"),
        (lambda _: "\x00é", "ticket-invalid"),
    ],
)
async def test_bad_tickets_are_refused_with_a_reason(
    store: Redis, clock: ManualClock, tmp_path: Path, spoil: object, code: str
) -> None:
    """Forged, truncated, unknown key, garbage: each has a clear answer."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up()
        text, _ = await here.join()

        with pytest.raises(Refused) as refused:
            await here.waitroom.place_of(ROOM, spoil(text), clock.now_ms())  # type: ignore[operator]
        assert refused.value.code == code
    await store.aclose()


async def test_every_worker_serves_the_same_document_and_its_signature_holds(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The body is a pure function of the snapshot; a changed byte breaks the signature; < 1.5 kB."""
    async with house(store, clock, tmp_path) as here:
        reading = await here.set_up(message="x" * 280)
        other = worker(store, here.journal, clock)
        for _ in range(3):
            await here.join()
        assert reading.line is not None
        await here.waitroom.store.call(ROOM, reading.line.run, 5, Serving(2, 2, 2), 60, clock.now_ms())
        clock.advance(700)
        mine, theirs = (await here.beat()).document, (await other.beat()).document

        assert mine == theirs
        assert len(mine) < status.MAX_BYTES
        assert status.check(mine, here.waitroom.documents) is not None
        assert status.check(mine.replace(b'"issued":3', b'"issued":4'), here.waitroom.documents) is None
        assert status.check(mine[:-2], here.waitroom.documents) is None
        assert status.check(b"{}", here.waitroom.documents) is None
    await store.aclose()


async def _history(store: Redis, first: int, count: int, since_ms: int) -> None:
    """Write calls as the script does: two ranks every quarter of a second, now and then five."""
    at = [
        f"{since_ms + index * 250} {3 * index + index % 7} {3 * index + index % 7 - index % 2} 0"
        for index in range(first, first + count)
    ]
    await store.rpush(f"wr:{{{ROOM}}}:calls", *at)  # type: ignore[misc]
    await store.ltrim(f"wr:{{{ROOM}}}:calls", -CALLS_KEPT, -1)  # type: ignore[misc]


async def test_a_worker_that_has_just_started_signs_the_same_wait_as_one_that_saw_it_all(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """What is learned of waits follows from the kept calls alone, however they were read."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up()
        for part in range(50):
            await _history(store, part * 100, 100, clock.now_ms())
            if part > 2:  # so far it lacks nothing that the store still has
                mine = (await here.beat()).document
        theirs = (await worker(store, here.journal, clock).beat()).document

        assert mine == theirs
        wait = members(here.waitroom.reading(ROOM))["wait"]
        assert isinstance(wait, dict)
        assert wait["of"] > 100
        assert wait["held"] is not None
    await store.aclose()


async def test_a_worker_that_was_cut_off_reads_what_it_missed(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """More calls than one look brings leave no hole: neither in speeds nor in what is learned."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up()
        await _history(store, 0, 1000, clock.now_ms())
        await here.beat()
        await _history(store, 1000, 300, clock.now_ms())
        reading = await here.beat()

        assert len(reading.calls) == 1300
        assert (await worker(store, here.journal, clock).beat()).calls == reading.calls
    await store.aclose()


@pytest.mark.parametrize("moved_to", [None, "https://tickets.northern-lights.example.com/spring-2027"])
async def test_the_fullest_document_stays_below_its_limit(
    store: Redis, clock: ManualClock, tmp_path: Path, moved_to: str | None
) -> None:
    """A draw, void ranges, long figures, an address or a census, a message of full length: still below 1.5 kB."""
    room = Room(
        "main", "http://127.0.0.1:9", description="Northern Lights Festival", message="x" * 280,
        moved_to=moved_to, stock_state=StockState.SOLD_OUT, stock_left=1_000_000, claim_window_s=86_400,
    )  # fmt: skip
    number = 2_147_483_647
    line = Line(
        run="f" * 16, epoch=99, version=number, phase=Phase.GATHERING, issued=number, shown_issued=number,
        serving=Serving(number, number, number), plan_per_minute=number, shown_ms=clock.now_ms(), frozen=number,
        root="a" * 64, seed="b" * 64, commitment="c" * 64, void=((1_000_000, 1_000_100), (2_000_000, 2_000_100)),
    )  # fmt: skip
    learned = Learned(0.75, 1.35, 0.87, 360)
    counts = [Census(number, clock.now_ms(), number, number, 200_000, (1000,) * 8)]
    plan = wanted(room, clock.now_ms())
    body = status.body(room, plan, line, [], learned, counts, "B", 120)

    async with house(store, clock, tmp_path) as here:
        assert (body["census"] is None) == bool(moved_to)
        assert len(status.sign(body, here.waitroom.documents)) < status.MAX_BYTES
    await store.aclose()


async def _crowd(here: House, count: int) -> list[str]:
    return [(await here.join())[0] for _ in range(count)]


async def test_after_flushall_nobody_loses_a_place_and_no_number_is_given_twice(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Some joins are in the journal, some only in the worker's memory, some only in the fans' hands."""
    async with house(store, clock, tmp_path) as here:
        reading = await here.set_up()
        texts = await _crowd(here, 10)
        await here.drained()
        texts += await _crowd(here, 10)
        await here.beat()
        texts += await _crowd(here, 10)
        assert reading.line is not None
        before = reading.line

        await store.flushall()
        await here.waitroom.refresh()
        with pytest.raises(Unavailable):
            await here.waitroom.place_of(ROOM, texts[0], clock.now_ms())
        await here.beat()
        reading = await here.beat()

        assert reading.line is not None
        assert (reading.line.run, reading.line.epoch) == (before.run, before.epoch + 1)
        fresh, number = await here.join()
        places = [await here.waitroom.place_of(ROOM, text, clock.now_ms()) for text in texts]
        assert [place[1].number for place in places] == list(range(30))
        assert number >= 30
        assert all(place[0].fills_void(place[1]) for place in places[10:])
        assert not places[0][0].fills_void(places[0][1])
        assert fresh
    await store.aclose()


async def test_after_a_loss_with_all_workers_dead_the_journal_and_the_tickets_bring_the_line_back(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Nobody remembers anything but the journal; the room is not opened anew, and late tickets still count."""
    async with house(store, clock, tmp_path) as here:
        reading = await here.set_up()
        texts = await _crowd(here, 5)
        await here.drained()
        texts += await _crowd(here, 5)
        run = reading.line.run if reading.line else ""
        await store.flushall()

        fresh = worker(store, here.journal, clock)
        configs = here.journal.latest_configs()
        from waitroom.rooms import read_kept

        room = read_kept(configs[ROOM][1])
        assert room is not None
        await fresh.restorer.settings({ROOM: room})
        await fresh.beat()
        reading = await fresh.beat()

        assert reading.line is not None
        assert reading.line.run == run
        assert (await fresh.join())[1] >= 10
        for number, text in enumerate(texts):
            assert (await fresh.waitroom.place_of(ROOM, text, clock.now_ms()))[1].number == number
    await store.aclose()


async def test_a_ticket_beyond_the_counter_lifts_it_and_a_document_lifts_the_thresholds(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The crowd is the backup: what we once signed counts, and nothing else does."""
    async with house(store, clock, tmp_path) as here:
        reading = await here.set_up()
        texts = await _crowd(here, 5)
        assert reading.line is not None
        await here.waitroom.store.call(ROOM, reading.line.run, 5, Serving(4, 4, 4), 60, clock.now_ms())
        document = (await here.beat()).document
        high = ticket.write(
            here.waitroom.signer,
            ticket.Ticket(ROOM, reading.line.run, reading.line.epoch, 5000, "A" * 22, Lane.STANDARD, 0),
        )

        fresh = worker(store, here.journal, clock)
        await fresh.beat()
        await fresh.waitroom.place_of(ROOM, high, clock.now_ms())
        line = fresh.waitroom.reading(ROOM).line
        assert line is not None
        assert line.issued > 5000
        assert line.void[-1][0] == 5
        assert await fresh.waitroom.give_back(ROOM, document) is False, "same epoch: nothing was lost"
        with pytest.raises(Refused, match="not a status document"):
            await fresh.waitroom.give_back(ROOM, document.replace(b'"standard":4', b'"standard":9'))
        assert texts
    await store.aclose()


async def test_a_store_that_was_rolled_back_is_found_by_a_worker_that_remembers_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The store comes back with yesterday's counter, all workers are new: the journal knows better."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up()
        texts = await _crowd(here, 10)
        await here.drained()
        await store.hset("wr:{main}:line", "issued", 4)

        fresh = worker(store, here.journal, clock)
        await fresh.beat()
        reading = await fresh.beat()

        assert reading.line is not None
        assert reading.line.epoch == 2
        assert (await fresh.join())[1] >= 10
        assert [
            (await fresh.waitroom.place_of(ROOM, text, clock.now_ms()))[1].number for text in texts
        ] == list(range(10))
    await store.aclose()


async def test_an_ended_room_stays_ended_after_a_loss(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A wipe after the sale does not open it anew, and its epoch goes on."""
    async with house(store, clock, tmp_path) as here:
        reading = await here.set_up()
        await here.join()
        assert reading.line is not None
        await here.waitroom.store.turn(ROOM, reading.line.run, Phase.SERVING, Phase.ENDED, "test")
        await here.waitroom.refresh()
        await here.drained()
        await store.flushall()

        fresh = worker(store, here.journal, clock)
        from waitroom.rooms import read_kept

        room = read_kept(here.journal.latest_configs()[ROOM][1])
        assert room is not None
        await fresh.restorer.settings({ROOM: room})
        await fresh.waitroom.refresh()
        assert await fresh.restorer.mend(ROOM) is False
        line = (await fresh.waitroom.refresh_room(ROOM)).line  # type: ignore[union-attr]
        assert line is not None
        assert (line.run, line.phase, line.epoch) == (reading.line.run, Phase.ENDED, 2)
    await store.aclose()


async def test_without_the_comparison_a_rolled_back_store_gives_numbers_twice(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The mutant: a worker that believes the store gives number 4 to a second fan."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up()
        await _crowd(here, 10)
        await here.drained()
        await store.hset("wr:{main}:line", "issued", 4)

        credulous = worker(store, here.journal, clock)
        credulous.restorer._compared.add(ROOM)
        await credulous.beat()

        assert (await credulous.join())[1] == 4
    await store.aclose()
