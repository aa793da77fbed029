"""Counting on a real store: pages say that they are there, a round is counted once, every worker tells the same."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from tests.waitroom.house import ROOM, House, house, members, worker
from tests.waitroom.test_service import PREQUEUE_MS, SALE
from tests.waitroom.test_service import START_MS as SALE_MS
from tests.waitroom.test_web import BASE, site
from waitroom.census import ANSWERS_LEAST, ROUNDS_MS
from waitroom.lanes import Serving
from waitroom.schedule import Phase

SPAN_MS = ROUNDS_MS[0]
LINE = "wr:{main}:line"


async def _shown(here: House, shown_ms: int) -> dict[str, object]:
    """Let the line show itself at a moment, for the store's clock cannot be set; return the document."""
    await here.store.hset(LINE, "shown_ms", str(shown_ms))  # type: ignore[misc]
    await here.store.hincrby(LINE, "version", 1)  # type: ignore[misc]
    return members(await here.beat())


async def _line(here: House, people: int) -> tuple[list[str], int]:
    """Let people join and be shown; return their tickets and the moment at which the present round began."""
    reading = await here.set_up()
    texts = [(await here.join())[0] for _ in range(people)]
    assert reading.line is not None
    await here.waitroom.store.call(ROOM, reading.line.run, 1, Serving(1, 1, 1), 60, here.clock.now_ms())
    begin_ms = here.clock.now_ms() // SPAN_MS * SPAN_MS
    await _shown(here, begin_ms)
    return texts, begin_ms


async def _answer(here: House, texts: list[str], numbers: set[int]) -> None:
    for text in texts:
        reading, held, _ = await here.waitroom.place_of(ROOM, text, here.clock.now_ms())
        if held.number in numbers:
            assert await here.waitroom.counting.hear(reading, held)


async def test_who_says_so_is_counted_when_the_round_is_over(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The later half is still there, of the earlier half every second one: the document tells the shares."""
    async with house(store, clock, tmp_path) as here:
        texts, begin_ms = await _line(here, 400)
        asked = await _shown(here, begin_ms)
        await _answer(here, texts, {number for number in range(400) if number >= 200 or number % 2})

        told = (await _shown(here, begin_ms + SPAN_MS))["census"]

        assert asked["census"] == {"round": begin_ms // 1000, "one_in": 1}
        assert isinstance(told, dict)
        assert (told["round"], told["since"], told["leaving"]) == ((begin_ms + SPAN_MS) // 1000, 1, 0)
        assert told["live"] == pytest.approx([500, 1000], abs=20)
    await store.aclose()


async def test_a_round_is_counted_once_and_told_alike_by_all(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Whoever is first counts; the others, also one that has just started, sign the same bytes."""
    async with house(store, clock, tmp_path) as here:
        texts, begin_ms = await _line(here, 100)
        await _answer(here, texts, set(range(100)))
        other = worker(store, here.journal, clock)
        await other.beat()
        await _shown(here, begin_ms + SPAN_MS)
        documents = [
            (await each.beat()).document for each in (here, other, worker(store, here.journal, clock))
        ]

        assert len(set(documents)) == 1
        assert len(here.waitroom.reading(ROOM).counts) == 1
    await store.aclose()


async def test_who_goes_between_two_rounds_shows_as_leaving(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The same pages are asked each time: a tenth less in five minutes is two in a hundred a minute."""
    async with house(store, clock, tmp_path) as here:
        texts, begin_ms = await _line(here, 201)
        await _answer(here, texts, set(range(1, 201)))
        await _shown(here, begin_ms + SPAN_MS)
        await _answer(here, texts, set(range(21, 201)))
        told = (await _shown(here, begin_ms + 2 * SPAN_MS))["census"]

        assert isinstance(told, dict)
        assert told["leaving"] == pytest.approx(21_072, abs=1)
    await store.aclose()


async def test_too_few_answers_leave_the_wait_as_it_was(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A room whose pages do not answer (apps, no scripts) tells what it told before."""
    async with house(store, clock, tmp_path) as here:
        texts, begin_ms = await _line(here, 100)
        await _answer(here, texts, set(range(1, ANSWERS_LEAST)))
        told = (await _shown(here, begin_ms + SPAN_MS))["census"]

        assert told == {"round": (begin_ms + SPAN_MS) // 1000, "one_in": 1}
    await store.aclose()


async def test_the_personal_figures_follow_the_count(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Ahead of the last are twice as many people for each rank as those called now: that takes longer."""
    async with site(store, clock, tmp_path) as (here, browser):
        reading = here.waitroom.reading(ROOM)
        assert reading.line is not None
        texts = [(await here.join())[0] for _ in range(400)]
        for slot, serving in ((1, 1), (2, 20)):
            now_ms = clock.advance(60_000)
            await here.waitroom.store.call(ROOM, reading.line.run, slot, Serving(*[serving] * 3), 0, now_ms)
        last = {"waitroom-ticket": texts[-1]}
        begin_ms = clock.now_ms() // SPAN_MS * SPAN_MS
        await here.beat()
        before = (await browser.get(BASE + "/ticket", headers=last)).json()
        await _shown(here, begin_ms)
        await _answer(here, texts, {number for number in range(400) if number >= 200 or number % 2})
        await _shown(here, begin_ms + SPAN_MS)
        await here.store.hset(LINE, "shown_ms", str(clock.now_ms()))  # type: ignore[misc]
        await here.beat()
        after = (await browser.get(BASE + "/ticket", headers=last)).json()

    assert after["ahead"] == before["ahead"] == 379
    assert after["wait_low_s"] / before["wait_low_s"] == pytest.approx(1.5, abs=0.1)


async def test_before_a_draw_nobody_is_asked(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Without a rank there is nothing to count by; after the draw there is, and the ranks are the drawn ones."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up(queueing_method="reject", sales=[SALE], draw_lead_s=90)
        clock.set(PREQUEUE_MS)
        await here.beat()
        texts = [(await here.join())[0] for _ in range(200)]
        run = (await here.beat()).line.run  # type: ignore[union-attr]
        await here.waitroom.store.call(ROOM, run, 1, Serving(), 60)
        gathering = members(await here.beat())
        clock.set(SALE_MS - 90_000)
        for _ in range(3):
            await here.beat()
        clock.set(SALE_MS)
        for _ in range(3):
            await here.beat()
        begin_ms = clock.now_ms() // SPAN_MS * SPAN_MS
        await _shown(here, begin_ms)
        reading = here.waitroom.reading(ROOM)
        first = {number for number in range(200) if (reading.rank(number) or 0) < 100}
        await _answer(here, texts, first)
        told = (await _shown(here, begin_ms + SPAN_MS))["census"]

        assert gathering["census"] is None
        assert isinstance(told, dict)
        assert told["width"] == 100
    await store.aclose()


async def test_a_page_says_that_it_is_there_and_nothing_else_happens(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """204 with nothing in it; who is not meant, or says it twice, changes nothing."""
    async with site(store, clock, tmp_path) as (here, browser):
        ticket = (await browser.post(BASE + "/join", json={})).json()["ticket"]
        early = await browser.post(BASE + "/here")
        line = here.waitroom.reading(ROOM).line
        assert line is not None
        await here.waitroom.store.call(ROOM, line.run, 1, Serving(), 60, clock.now_ms())
        await here.beat()
        quiet = await store.keys("*here*")
        answers = [
            await browser.post(BASE + "/here"),
            await browser.post(BASE + "/here", headers={"waitroom-ticket": ticket}),
        ]
        keys = await store.keys("*here*")
        times_ms = [await store.pttl(key) for key in keys]

    assert [answer.status_code for answer in (early, *answers)] == [204] * 3
    assert {answer.content for answer in answers} == {b""}
    assert all("set-cookie" not in answer.headers for answer in answers)
    assert quiet == []
    assert len(keys) == 1
    assert 0 < times_ms[0] <= 3 * SPAN_MS
    assert here.waitroom.metrics.here.count == 2


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "code"),
    [
        ("/here", {}, "", 401, "ticket-missing"),
        ("/here", {"waitroom-ticket": "k1.x.y"}, "", 403, "ticket-invalid"),
        ("/here", {"sec-fetch-site": "cross-site"}, "", 403, "cross-site"),
        ("/here", {"waitroom-ticket": "k1.x.y"}, "x" * 300, 413, "body-too-large"),
        ("/here/more", {}, "", 404, "address-unknown"),
    ],
)
async def test_bad_answers_get_a_clear_one_and_count_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path, path: str, headers: dict[str, str], body: str, status: int,
    code: str,
) -> None:  # fmt: skip
    """Each has its status and its word; the store hears of none."""
    async with site(store, clock, tmp_path) as (_, browser):
        answer = await browser.post(BASE + path, headers=headers, content=body)

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert await store.keys("*here*") == []


async def test_another_openings_count_is_forgotten(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """A new run begins without one: its people are others."""
    async with house(store, clock, tmp_path) as here:
        texts, begin_ms = await _line(here, 100)
        await _answer(here, texts, set(range(100)))
        await _shown(here, begin_ms + SPAN_MS)
        run = here.waitroom.reading(ROOM).line.run  # type: ignore[union-attr]
        await here.waitroom.store.turn(ROOM, run, Phase.SERVING, Phase.ENDED, "test")
        reading = await here.beat()

        assert reading.line is not None
        assert reading.line.run != run
        assert reading.counts == ()
    await store.aclose()
