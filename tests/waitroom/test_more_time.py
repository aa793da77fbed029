"""More time: who is called may make the claim window longer, a bounded number of times, and only while it runs."""

import re
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from gateway.adapters import LinePlaces
from kernel.clock import ManualClock
from kernel.signing import Signer, b64url, from_b64url
from tests.waitroom.house import ROOM, House
from tests.waitroom.test_web import BASE, FORM, site
from waitroom import more_web, ticket
from waitroom.lanes import Lane, Moved, Serving
from waitroom.line import Line
from waitroom.schedule import Phase
from waitroom.standing import Extended, NoMore, Standing, more_time, stand

NOW_MS = 1_800_000_000_000
WINDOW_MS = 60_000
MOST = 10
LINE = Line(run="aa", phase=Phase.SERVING, issued=100, serving=Serving(50, 50, 0))
CALLS = [Moved(NOW_MS, Serving(50, 50, 0))]
SIGNER = Signer([("k1", b"t" * 32)], "ticket")
JSON = {"content-type": "application/json"}
MORE = BASE + "/more-time"


# ------------------------------------------------------------------------------------------------ the rule
@pytest.mark.parametrize(
    ("after_ms", "extensions", "told"),
    [
        (0, 0, Extended(1, NOW_MS + 2 * WINDOW_MS)),
        (WINDOW_MS - 1, 0, Extended(1, NOW_MS + 2 * WINDOW_MS)),
        (WINDOW_MS, 0, NoMore.TOO_LATE),
        (WINDOW_MS, 1, Extended(2, NOW_MS + 3 * WINDOW_MS)),
        (2 * WINDOW_MS - 1, 1, Extended(2, NOW_MS + 3 * WINDOW_MS)),
        (2 * WINDOW_MS, 1, NoMore.TOO_LATE),
        (0, MOST - 1, Extended(MOST, NOW_MS + (MOST + 1) * WINDOW_MS)),
        (0, MOST, NoMore.USED_UP),
        ((MOST + 1) * WINDOW_MS, MOST, NoMore.TOO_LATE),
    ],
)
def test_a_window_is_made_longer_by_its_own_length_while_it_runs(
    after_ms: int, extensions: int, told: Extended | NoMore
) -> None:
    """Half-open: until the last millisecond before its end, and as often as the room allows."""
    at_ms = NOW_MS + after_ms
    place = stand(LINE, CALLS, 7, Lane.STANDARD, WINDOW_MS, at_ms, extensions=extensions)

    assert more_time(LINE, place, extensions, MOST, WINDOW_MS, at_ms) == told


@pytest.mark.parametrize(("rank", "calls"), [(50, CALLS), (99, CALLS), (7, []), (None, CALLS)])
def test_where_no_window_runs_there_is_nothing_to_add(rank: int | None, calls: list[Moved]) -> None:
    """Not called, before the draw, or called so long ago that nobody knows when."""
    place = stand(LINE, calls, rank, Lane.STANDARD, WINDOW_MS, NOW_MS)

    assert more_time(LINE, place, 0, MOST, WINDOW_MS, NOW_MS) is NoMore.NOTHING_RUNS


@pytest.mark.parametrize(
    ("phase", "given_one"),
    [(Phase.SERVING, True), (Phase.DRAINING, True), (Phase.ENDED, False), (Phase.IDLE, False)],
)
def test_a_line_that_lets_nobody_in_gives_no_time(phase: Phase, *, given_one: bool) -> None:
    """Time is worth something only as long as a turn can be taken."""
    line = Line(run="aa", phase=phase, issued=100, serving=Serving(50, 50, 0))
    place = stand(line, CALLS, 7, Lane.STANDARD, WINDOW_MS, NOW_MS)

    assert isinstance(more_time(line, place, 0, MOST, WINDOW_MS, NOW_MS), Extended) is given_one


@given(
    window_ms=st.sampled_from([1_000, 60_000, 600_000]),
    most=st.integers(0, 20),
    waits=st.lists(st.sampled_from(["start", "before", "end"]), max_size=25),
)
def test_no_order_of_asking_gives_more_than_the_room_allows(
    window_ms: int, most: int, waits: list[str]
) -> None:
    """Whenever it is asked for: the end is the call and a window for each extension; late once is late for good."""
    now_ms, extensions = NOW_MS, 0
    for wait in waits:
        end_ms = NOW_MS + window_ms * (1 + extensions)
        now_ms = {"start": now_ms, "before": max(now_ms, end_ms - 1), "end": max(now_ms, end_ms)}[wait]
        place = stand(LINE, CALLS, 7, Lane.STANDARD, window_ms, now_ms, extensions=extensions)
        told = more_time(LINE, place, extensions, most, window_ms, now_ms)

        assert place.until_ms == end_ms
        assert (place.standing is Standing.RECALL) == (now_ms >= end_ms)
        if isinstance(told, Extended):
            assert now_ms < end_ms
            assert told.until_ms == end_ms + window_ms
            extensions = told.extensions
        else:
            assert now_ms >= end_ms or extensions == most
    assert extensions <= most


# ---------------------------------------------------------------------------------------------- the ticket
def test_a_ticket_without_extensions_is_the_paper_of_before() -> None:
    """Papers given out by an older version stay good, and are written the same."""
    plain = ticket.Ticket("main", "00ff", 3, 41, b64url(b"i" * 16), Lane.STANDARD, 17)
    old = SIGNER.sign(f"1|main|00ff|3|41|{plain.ticket_id}|standard|17||".encode())

    assert ticket.write(SIGNER, plain) == old
    assert ticket.read(SIGNER, old, "main") == plain


@given(extensions=st.integers(1, 20))
def test_a_ticket_keeps_how_often_it_was_made_longer(extensions: int) -> None:
    """The leaf, and so the place and its session, stays the same."""
    plain = ticket.Ticket("main", "00ff", 3, 41, b64url(b"i" * 16), Lane.STANDARD, 17)
    longer = ticket.Ticket("main", "00ff", 3, 41, b64url(b"i" * 16), Lane.STANDARD, 17, extensions=extensions)

    assert ticket.read(SIGNER, ticket.write(SIGNER, longer), "main") == longer
    assert longer.leaf == plain.leaf


@pytest.mark.parametrize("field", ["", "0", "-1", "+1", "01", "1.0", "100", "x", "1|1"])
def test_an_extension_that_is_no_count_makes_no_ticket(field: str) -> None:
    """Even under our own signature."""
    from kernel.errors import Refused

    text = SIGNER.sign(f"1|main|00ff|3|41|{b64url(b'i' * 16)}|standard|17|||{field}".encode())

    with pytest.raises(Refused, match="ticket-invalid"):
        ticket.read(SIGNER, text, "main")


# --------------------------------------------------------------------------------------------- the address
async def called(here: House, browser: httpx.AsyncClient) -> str:
    """Join, and be called; return the ticket."""
    text: str = (await browser.post(BASE + "/join", json={})).json()["ticket"]
    reading = await here.beat()
    assert reading.line is not None
    await here.waitroom.store.call(ROOM, reading.line.run, 9, Serving(1, 1, 1), 60, here.clock.now_ms())
    await here.beat()
    return text


async def test_a_called_fan_gets_more_time_and_keeps_the_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The ticket comes anew, as JSON and cookie; the window ends later everywhere; old papers tell their old end."""
    async with site(store, clock, tmp_path, claim_window_s=60, claim_extensions=2) as (here, browser):
        old = await called(here, browser)
        called_ms = clock.now_ms()
        before = (await browser.get(BASE + "/ticket")).json()
        first = await browser.post(MORE, json={})
        again = await browser.post(MORE, headers={"waitroom-ticket": old}, json={})
        clock.advance(60_000)
        place = (await browser.get(BASE + "/ticket")).json()
        plain = (await browser.get(BASE + "/ticket", headers={"waitroom-ticket": old})).json()
        second = await browser.post(MORE, json={})
        used_up = await browser.post(MORE, json={})
        last = (await browser.get(BASE + "/ticket")).json()
        clock.advance(120_000)
        late = await browser.post(MORE, json={})

    told = first.json()
    assert (before["claim_until_ms"], before["extensions_left"]) == (called_ms + 60_000, 2)
    assert (told["outcome"], told["extensions"], told["extensions_left"]) == ("extended", 1, 1)
    assert told["claim_until_ms"] == place["claim_until_ms"] == called_ms + 120_000
    assert "HttpOnly" in first.headers["set-cookie"]
    assert again.json() == told
    assert (place["standing"], plain["standing"]) == ("called", "recall")
    assert (place["number"], place["extensions_left"], plain["extensions_left"]) == (0, 1, 0)
    assert second.json()["claim_until_ms"] == called_ms + 180_000
    assert (used_up.status_code, used_up.json()["code"]) == (409, "more-time-used-up")
    assert last["extensions_left"] == 0
    assert (late.status_code, late.json()["code"]) == (409, "time-over")


async def test_a_claim_within_the_longer_window_is_no_recall(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The door goes by the ticket that is shown: the longer one is called, the old one has missed its turn."""
    async with site(store, clock, tmp_path, claim_window_s=60) as (here, browser):
        old = await called(here, browser)
        longer = (await browser.post(MORE, json={})).json()["ticket"]
        places = LinePlaces(here.waitroom)
        recalls = {}
        for after_ms in (59_999, 60_000, 119_999, 120_000):
            at_ms = clock.now_ms() + after_ms
            recalls[after_ms] = [(await places.place_of(ROOM, text, at_ms)).recall for text in (old, longer)]

    assert recalls == {
        59_999: [False, False],
        60_000: [True, False],
        119_999: [True, False],
        120_000: [True, True],
    }


async def test_without_scripts_a_button_asks_and_the_page_tells_the_new_time(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A form is led back to its page, with more time or without; the target is kept."""
    async with site(store, clock, tmp_path, claim_window_s=120, claim_extensions=1) as (here, browser):
        await called(here, browser)
        html = {"accept": "text/html"}
        before = (await browser.get(BASE + "/ticket?target=/a%3Fb", headers=html)).text
        answer = await browser.post(MORE, data={"target": "/a?b"})
        after = (await browser.get(answer.headers["location"], headers=html)).text
        refused = await browser.post(MORE, data={"target": "/a?b"})

    assert "Time left to come in: 2 minutes" in before
    assert re.search(r'value="/a\?b".*<button [^>]*formaction="[^"]*/more-time">Give me more time', before)
    assert (answer.status_code, "target=%2Fa%3Fb" in answer.headers["location"]) == (303, True)
    assert "Time left to come in: 4 minutes" in after
    assert "more-time" not in after
    assert (refused.status_code, refused.headers["location"]) == (303, answer.headers["location"])
    assert "set-cookie" not in refused.headers


BAD = [
    ("POST", "/.waitroom/r/nowhere/more-time", JSON, "{}", 404, "room-unknown"),
    ("POST", MORE, JSON, "{}", 401, "ticket-missing"),
    ("POST", MORE, {}, "", 401, "ticket-missing"),
    ("POST", MORE, JSON | {"waitroom-ticket": "garbage"}, "{}", 403, "ticket-invalid"),
    ("POST", MORE, JSON | {"waitroom-ticket": "x" * 3000}, "{}", 403, "ticket-invalid"),
    ("POST", MORE, JSON | {"cookie": "a=" + "b" * 17_000}, "{}", 431, "cookies-too-large"),
    ("POST", MORE, JSON | {"sec-fetch-site": "cross-site"}, "{}", 403, "cross-site"),
    ("POST", MORE, JSON | {"sec-fetch-site": "same-site"}, "{}", 403, "cross-site"),
    ("POST", MORE, JSON | {"origin": "https://evil.test"}, "{}", 403, "cross-site"),
    ("POST", MORE, {"content-type": "text/plain"}, "{}", 415, "content-type-unknown"),
    ("POST", MORE, {"content-type": "multipart/form-data"}, "{}", 415, "content-type-unknown"),
    ("POST", MORE, JSON, "x" * 5000, 413, "body-too-large"),
    ("POST", MORE + "/", JSON, "{}", 404, "address-unknown"),
    ("POST", MORE + "/9", JSON, "{}", 404, "address-unknown"),
    ("GET", MORE, {}, None, 405, "method-not-allowed"),
    ("PUT", MORE, JSON, "{}", 405, "method-not-allowed"),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "code", "word"), BAD)
async def test_bad_requests_get_a_clear_answer_and_no_time(
    store: Redis, clock: ManualClock, tmp_path: Path, method: str, path: str, headers: dict[str, str],
    body: str | None, code: int, word: str,
) -> None:  # fmt: skip
    """Each has its status, its word and a sentence; no cookie comes along."""
    async with site(store, clock, tmp_path) as (_, browser):
        answer = await browser.request(method, path, headers=headers, content=body)

        assert (answer.status_code, answer.json()["code"]) == (code, word)
        assert answer.json()["detail"].endswith(".")
        assert "set-cookie" not in answer.headers


async def test_who_is_not_called_or_of_another_run_gets_no_time(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Waiting is no reason; a form without a ticket comes back to a page that says so."""
    async with site(store, clock, tmp_path) as (here, browser):
        await browser.post(BASE + "/join", json={})
        waiting = await browser.post(MORE, json={})
        reading = await here.beat()
        assert reading.line is not None
        run = reading.line.run
        await here.waitroom.store.open(ROOM, run, "f" * 16, "always", Phase.SERVING, "", "test")
        await here.waitroom.refresh()
        over = await browser.post(MORE, json={})
        browser.cookies.clear()
        form = await browser.post(MORE, content="target=%2F", headers={"content-type": FORM})

    assert (waiting.status_code, waiting.json()["code"]) == (409, "no-time-runs")
    assert (over.status_code, over.json()["code"]) == (410, "run-over")
    assert form.status_code == 303


async def test_a_count_that_was_raised_by_hand_is_refused(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The count stands under the signature: neither adding it nor raising it works."""
    async with site(store, clock, tmp_path, claim_window_s=60) as (here, browser):
        await called(here, browser)
        given_text = (await browser.post(MORE, json={})).json()["ticket"]
        browser.cookies.clear()
        kid, payload, mac = given_text.split(".")
        raised = from_b64url(payload).removesuffix(b"|1") + b"|9"
        clock.advance(130_000)
        forged = f"{kid}.{b64url(raised)}.{mac}"
        answers = [
            await browser.get(BASE + "/ticket", headers={"waitroom-ticket": forged}),
            await browser.post(MORE, headers={"waitroom-ticket": forged}, json={}),
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (403, "ticket-invalid")
    ] * 2


async def test_without_its_guards_a_window_would_never_end(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a rule that looks neither at the end nor at the count gives time to who missed the turn."""
    monkeypatch.setattr(
        more_web,
        "more_time",
        lambda _line, place, extensions, _most, window_ms, _now: Extended(
            extensions + 1, (place.until_ms or 0) + window_ms
        ),
    )
    async with site(store, clock, tmp_path, claim_window_s=60, claim_extensions=0) as (here, browser):
        await called(here, browser)
        clock.advance(60_000)
        late = await browser.post(MORE, json={})
        place = (await browser.get(BASE + "/ticket")).json()

    assert late.status_code == 200
    assert place["standing"] == "called"
