"""Admission: the use cases, on a real store."""

from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from admission.claim import LAPSE_MS
from admission.keyring import KeyRing
from admission.service import Granted, NotYet
from admission.sessions import FREE_MS, Already, Ended, Why
from admission.store import AdmissionStore, Headcount
from admission.tokens import Claims, Reason
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from kernel.store import connect
from tests.admission.doors import LIMITS, LINE, NOW_MS, NUMBERS, ROOM, RUN, a_line, write_line
from tests.admission.house import House, house

HOLD_MS = LIMITS.hold_ms


async def granted(own: House, number: int, now_ms: int = NOW_MS) -> Granted:
    """Claim a turn that is free."""
    answer = await own.admission.claim(ROOM, str(number), now_ms)
    assert isinstance(answer, Granted)
    return answer


def away(own: House) -> None:
    """Take the store away."""
    own.admission.store = AdmissionStore(connect("unix:///nowhere/store.sock"))


async def test_a_claim_gives_a_token_that_says_what_was_admitted(store: Redis) -> None:
    """And the same text again, for a second tab or a lost answer."""
    await a_line(store)
    own = house(store)

    first = await granted(own, 3)
    again = await granted(own, 3, NOW_MS + 1_500)

    assert (first.again, again.again) == (False, True)
    assert first.token == again.token
    claims = own.admission.verify(ROOM, first.token)
    assert isinstance(claims, Claims)
    assert (claims.room, claims.run, claims.lane) == (ROOM, RUN, "standard")
    assert (claims.admitted_ms, claims.expires_ms) == (NOW_MS, NOW_MS + LIMITS.session_ms)
    assert first.expires_ms == claims.expires_ms


async def test_who_is_over_the_budget_is_told_when_to_ask_again(store: Redis) -> None:
    """And after the settling the next retry is in."""
    await a_line(store)
    own = house(store)
    await granted(own, 0)

    assert await own.admission.claim(ROOM, "2", NOW_MS) == NotYet("next", 0, 1_000)
    assert await own.admission.claim(ROOM, "4", NOW_MS) == NotYet("next", 1, 2_000)
    await own.admission.tick(ROOM, NOW_MS + 1_000)
    assert (await granted(own, 2, NOW_MS + 1_100)).again


async def test_each_outcome_has_its_answer(store: Redis) -> None:
    """Waiting, paused, lost line: ask again. Used, another run, another's number: never."""
    await a_line(store)
    own = house(store)
    own.places.changes = {"rank": 1_060}
    assert await own.admission.claim(ROOM, "3", NOW_MS) == NotYet("waiting", 60, 3_000)
    own.places.changes = {}
    own.rooms.now = replace(LIMITS, paused=True)
    assert await own.admission.claim(ROOM, "3", NOW_MS) == NotYet("paused", 0, 10_000)
    own.rooms.now = LIMITS
    await write_line(store, None)
    assert await own.admission.claim(ROOM, "3", NOW_MS) == NotYet("waiting", 0, 1_000)
    await write_line(store, LINE)

    for changes, code, status in (
        ({"leaf": b"x" * 16}, "leaf-mismatch", 403),
        ({"run": "0b"}, "run-over", 410),
    ):
        own.places.changes = changes
        with pytest.raises(Refused) as refused:
            await own.admission.claim(ROOM, "3", NOW_MS)
        assert (refused.value.code, refused.value.status) == (code, status)
    own.places.changes = {}
    await granted(own, 3, NOW_MS + 1_000)
    with pytest.raises(Refused, match="ticket-used"):
        await own.admission.claim(ROOM, "3", NOW_MS + 1_000 + HOLD_MS)


async def test_a_worker_counts_its_claims(store: Redis) -> None:
    """By room and outcome."""
    from kernel import metrics

    await a_line(store)
    own = house(store)
    await granted(own, 3)
    await granted(own, 3)

    metrics.flush()

    value = own.registry.get_sample_value
    assert value("waitroom_admission_claims_total", {"room": ROOM, "outcome": "admitted"}) == 1
    assert value("waitroom_admission_claims_total", {"room": ROOM, "outcome": "again"}) == 1


async def test_leaving_ends_the_session_and_the_number(store: Redis) -> None:
    """At once in this worker, with the next tick in the others."""
    await a_line(store)
    own, other = house(store), house(store)
    other.admission.ring = own.ring
    token = (await granted(own, 3)).token
    claims = own.admission.verify(ROOM, token)
    assert isinstance(claims, Claims)
    await other.admission.tick(ROOM, NOW_MS)

    await own.admission.leave(ROOM, "3", NOW_MS + 1)

    assert claims.sid in own.admission.ended(ROOM)
    assert claims.sid not in other.admission.ended(ROOM)
    await other.admission.tick(ROOM, NOW_MS + 500)
    assert claims.sid in other.admission.ended(ROOM)
    with pytest.raises(Refused, match="ticket-used"):
        await own.admission.claim(ROOM, "3", NOW_MS + 2)
    assert await own.admission.renew(ROOM, token, NOW_MS + 2) is None


async def test_leaving_with_a_bad_ticket_is_refused(store: Redis) -> None:
    """Another's number; and while the line is lost nobody can tell."""
    await a_line(store)
    own = house(store)
    own.places.changes = {"leaf": b"x" * 16}

    with pytest.raises(Refused, match="leaf-mismatch"):
        await own.admission.leave(ROOM, "3", NOW_MS)
    await write_line(store, None)
    with pytest.raises(Unavailable, match="room-restoring"):
        await own.admission.leave(ROOM, "3", NOW_MS)


async def test_an_ended_sid_is_forgotten_when_its_token_is_worthless(store: Redis) -> None:
    """What a worker remembers does not grow for ever."""
    await a_line(store)
    own = house(store)
    await granted(own, 3)
    claims = own.admission.verify(ROOM, (await granted(own, 3)).token)
    assert isinstance(claims, Claims)

    assert await own.admission.end(ROOM, claims.sid, Why.FINISHED, NOW_MS) == Ended(NOW_MS + HOLD_MS)
    assert await own.admission.end(ROOM, claims.sid, Why.REVOKED, NOW_MS) == Already(NOW_MS + HOLD_MS)
    await own.admission.tick(ROOM, NOW_MS + FREE_MS)
    assert own.admission.ended(ROOM) == {claims.sid}
    await own.admission.end(ROOM, "B" * 22, Why.REVOKED, NOW_MS + HOLD_MS)
    await own.admission.tick(ROOM, NOW_MS + HOLD_MS + 2 * FREE_MS)
    assert own.admission.ended(ROOM) == {"B" * 22}


async def test_renewing_extends_the_place_first_and_keeps_the_beginning(store: Redis) -> None:
    """The new token's iat is the admission's own time."""
    await a_line(store)
    own = house(store)
    token = (await granted(own, 3)).token

    fresh = await own.admission.renew(ROOM, token, NOW_MS + 20_000)

    assert fresh is not None
    claims = own.admission.verify(ROOM, fresh, NOW_MS + 20_000)
    assert isinstance(claims, Claims)
    assert (claims.admitted_ms, claims.issued_ms) == (NOW_MS, NOW_MS + 20_000)
    assert claims.expires_ms == NOW_MS + 20_000 + LIMITS.session_ms
    again = await granted(own, 3, NOW_MS + 20_001)
    assert again.token == fresh


@pytest.mark.parametrize("reason", ["forged", "expired", "renewal off", "another room's"])
async def test_what_is_not_renewed_gives_no_token(store: Redis, reason: str) -> None:
    """None, whatever the cause."""
    await a_line(store)
    own = house(store)
    token, at_ms = (await granted(own, 3)).token, NOW_MS + 1
    match reason:
        case "forged":
            token = token[:-4] + "AAAA"
        case "expired":
            at_ms = NOW_MS + HOLD_MS
        case "renewal off":
            own.rooms.now = replace(LIMITS, renewal=False)
        case _:
            own.rooms.now = replace(LIMITS, audience="https://other.example")

    assert await own.admission.renew(ROOM, token, at_ms) is None


async def test_a_backend_renews_by_the_session_alone(store: Redis) -> None:
    """Only a live one."""
    await a_line(store)
    own = house(store)
    claims = own.admission.verify(ROOM, (await granted(own, 3)).token)
    assert isinstance(claims, Claims)

    renewed = await own.admission.renew_session(ROOM, claims.sid, NOW_MS + 5_000)

    assert renewed is not None
    assert renewed[1] == NOW_MS + 5_000 + LIMITS.session_ms
    assert await own.admission.renew_session(ROOM, "B" * 22, NOW_MS) is None


async def test_while_the_store_is_away_sessions_live_and_are_renewed_by_their_token(
    store: Redis, clock: ManualClock
) -> None:
    """Counted, up to the longest stay; nobody new comes in unseen."""
    await a_line(store)
    own = house(store, clock)
    token = (await granted(own, 3)).token
    away(own)

    assert isinstance(own.admission.verify(ROOM, token), Claims)
    with pytest.raises(Unavailable):
        await own.admission.claim(ROOM, "4")
    fresh = await own.admission.renew(ROOM, token, clock.advance(20_000))
    assert fresh is not None
    claims = own.admission.verify(ROOM, fresh)
    assert isinstance(claims, Claims)
    assert claims.expires_ms == NOW_MS + 20_000 + LIMITS.session_ms
    own.rooms.now = replace(LIMITS, max_session_ms=LIMITS.session_ms)
    assert await own.admission.renew(ROOM, token, clock.now_ms()) is None
    value = own.registry.get_sample_value
    assert value("waitroom_admission_store_away_total", {"act": "claim"}) == 1
    assert value("waitroom_admission_store_away_total", {"act": "renew"}) == 2


async def test_a_session_lost_with_the_store_comes_back_with_its_token(store: Redis) -> None:
    """And takes its place again."""
    await a_line(store)
    own = house(store)
    token = (await granted(own, 3)).token
    await store.flushall()
    await write_line(store, LINE)

    assert await own.admission.renew(ROOM, token, NOW_MS + 5_000) is not None
    assert (await granted(own, 3, NOW_MS + 5_001)).again
    settled = await own.store.settle(ROOM, own.line.keys(ROOM), 1, LIMITS, NOW_MS + 5_002)
    assert settled.settled.live == 1


async def test_restoring_puts_back_what_the_journal_knows_and_takes_nothing_away(store: Redis) -> None:
    """Used numbers are used, live sessions live, ended ones are refused; twice is once."""
    await a_line(store)
    own = house(store)
    claims = own.admission.verify(ROOM, (await granted(own, 3)).token)
    assert isinstance(claims, Claims)
    await store.delete(*own.store.stale_keys(ROOM, 70_000), own.store.keys(ROOM).sessions)

    for _ in range(2):
        await own.store.restore(
            ROOM,
            RUN,
            used={3, 7, NUMBERS[-1]},
            sessions={claims.sid: NOW_MS + HOLD_MS},
            ended={"B" * 22: NOW_MS + 9_000},
        )

    assert (await granted(own, 3, NOW_MS + 1)).again
    for number in (7, NUMBERS[-1]):
        with pytest.raises(Refused, match="ticket-used"):
            await own.admission.claim(ROOM, str(number), NOW_MS + 1)
    await own.admission.tick(ROOM, NOW_MS + 2)
    assert own.admission.ended(ROOM) == {"B" * 22}


async def test_an_end_right_after_a_restoration_is_heard_by_every_worker(store: Redis) -> None:
    """Versions are counted anew after a loss, and must not meet one that a worker has read before it."""
    await a_line(store)
    own, other = house(store), house(store)
    for number, sid in enumerate(("A" * 22, "B" * 22)):
        await own.admission.end(ROOM, sid, Why.REVOKED, NOW_MS + number)
    await other.admission.tick(ROOM, NOW_MS + 10)

    await store.flushall()
    await write_line(store, LINE)
    await own.store.restore(ROOM, RUN, used=(), sessions={}, ended={"A" * 22: NOW_MS + HOLD_MS})
    await own.admission.end(ROOM, "C" * 22, Why.REVOKED, NOW_MS + 20)
    await other.admission.tick(ROOM, NOW_MS + 30)

    assert other.admission.ended(ROOM) >= {"A" * 22, "C" * 22}


async def test_a_new_run_forgets_the_old_numbers_and_keeps_the_sessions(store: Redis) -> None:
    """Places stay taken, and the rate's debt stays."""
    await a_line(store)
    own = house(store)
    await granted(own, 3)
    await own.admission.claim(ROOM, "4", NOW_MS)

    await store.delete(*own.store.stale_keys(ROOM, 70_000))

    settled = await own.store.settle(ROOM, own.line.keys(ROOM), 70_000, LIMITS, NOW_MS + 1)
    assert (settled.settled.live, settled.settled.next, settled.settled.granted) == (1, 0, 0)
    assert settled.tat_us == (NOW_MS + 1_000) * 1_000


async def test_a_rotated_key_still_verifies_and_a_pruned_one_does_not(store: Redis) -> None:
    """What was verified is not remembered beyond its key."""
    await a_line(store)
    own = house(store)
    token = (await granted(own, 3)).token
    assert isinstance(own.admission.verify(ROOM, token), Claims)

    own.ring.rotate("admission", NOW_MS)
    assert isinstance(own.admission.verify(ROOM, token), Claims)
    own.ring.prune(NOW_MS + 1)
    assert own.admission.verify(ROOM, token) is Reason.UNKNOWN_KEY


async def test_a_tick_calls_and_a_second_worker_in_the_same_slot_does_not(store: Redis) -> None:
    """Each slot of time counts once; the pace's state goes from worker to worker."""
    await a_line(store)
    own, other = house(store), house(store)
    own.line.serving = dict.fromkeys(LINE.serving, 0)
    other.admission._line = own.line

    await own.admission.tick(ROOM, NOW_MS)
    await other.admission.tick(ROOM, NOW_MS + 1)
    assert len(own.line.calls) == 1
    await other.admission.tick(ROOM, NOW_MS + 500)
    assert len(own.line.calls) == 2
    assert own.line.serving["standard"] >= 1
    assert own.registry.get_sample_value("waitroom_admission_show_ratio", {"room": ROOM}) == 0.75


async def test_a_tick_without_a_line_settles_and_calls_nobody(store: Redis) -> None:
    """Also before the start of the first run, and after the end."""
    own = house(store)
    own.line.is_lost = True
    await own.admission.tick(ROOM, NOW_MS)
    own.line.is_lost, own.line.phase = False, "draining"
    await own.admission.tick(ROOM, NOW_MS + 500)

    assert own.line.calls == []


async def test_a_crowd_comes_in_tick_by_tick_in_the_order_of_ranks(store: Redis) -> None:
    """From the first call to the last session, with all parts together."""
    await a_line(store)
    own = house(store, limits=replace(LIMITS, new_users_per_minute=120, total_active_users=100))
    own.line.serving, own.line.issued = dict.fromkeys(LINE.serving, 0), 8
    await write_line(store, replace(LINE, serving=own.line.serving))
    order: list[int] = []
    for step in range(40):
        at_ms = NOW_MS + step * 250
        for number in range(8):
            answer = await own.admission.claim(ROOM, str(number), at_ms)
            if isinstance(answer, Granted) and number not in order:
                order.append(number)
        await own.admission.tick(ROOM, at_ms)

    assert order == sorted(order)
    assert len(order) == 8


async def test_the_pace_survives_a_state_it_cannot_read(store: Redis) -> None:
    """It begins anew."""
    await a_line(store)
    own = house(store)
    await store.set(own.store.keys(ROOM).pace, "{")

    await own.admission.tick(ROOM, NOW_MS)

    assert len(own.line.calls) == 1


async def test_counts_of_old_calls_are_dropped(store: Redis) -> None:
    """The door's memory is bounded by the time that a claim counts."""
    await a_line(store)
    own = house(store)
    await granted(own, 3)
    key = own.store.keys(ROOM).came
    assert await store.hlen(key) == 1

    await own.admission.tick(ROOM, NOW_MS + 3_600_000)

    assert await store.hlen(key) == 0
    assert LAPSE_MS < 3_600_000


async def test_a_token_of_a_key_that_another_worker_has_just_made_is_accepted(
    store: Redis, tmp_path: Path
) -> None:
    """An unknown key is looked for in the file before the token is refused."""
    await a_line(store)
    own, other = house(store), house(store)
    own.admission.ring = KeyRing.open(tmp_path / "ring.json", NOW_MS)
    other.admission.ring = KeyRing.open(tmp_path / "ring.json", NOW_MS)
    other.admission.ring.rotate("admission", NOW_MS)

    token = (await granted(other, 3)).token

    assert isinstance(own.admission.verify(ROOM, token), Claims)


async def test_what_a_worker_remembers_of_tokens_is_bounded(
    store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verified ones are forgotten when there are too many."""
    monkeypatch.setattr("admission.service.VERIFIED_KEPT", 2)
    await a_line(store)
    own = house(store, limits=replace(LIMITS, new_users_per_minute=60_000, total_active_users=100))

    for number in range(5):
        token = (await granted(own, number)).token
        assert isinstance(own.admission.verify(ROOM, token), Claims)

    assert len(own.admission._verified) <= 2


async def test_a_cookie_lives_as_long_as_its_token(store: Redis) -> None:
    """Told, or read from the token; none takes it away; a bad one is worth nothing."""
    await a_line(store)
    own = house(store)
    token = (await granted(own, 3)).token

    assert own.admission.cookie_name(ROOM) == f"waitroom-admission-{ROOM}"
    assert b"Max-Age=40;" in own.admission.cookie(ROOM, token)
    assert b"Max-Age=7;" in own.admission.cookie(ROOM, token, NOW_MS + 7_000)
    assert b"Max-Age=0;" in own.admission.cookie(ROOM, None)
    assert b"Max-Age=0;" in own.admission.cookie(ROOM, "nonsense")


async def test_a_stand_in_opens_the_origins_guard_and_holds_no_place(
    store: Redis, clock: ManualClock
) -> None:
    """For requests that need no admission; the same one for half a minute, then another."""
    own = house(store, clock)

    first = own.admission.stand_in(ROOM)

    assert isinstance(own.admission.verify(ROOM, first), Claims)
    assert own.admission.stand_in(ROOM) == first
    clock.advance(30_000)
    assert own.admission.stand_in(ROOM) != first


async def test_a_headcount_tells_who_is_in_and_who_stands_at_the_door(store: Redis) -> None:
    """By class."""
    await a_line(store)
    own = house(store)
    await granted(own, 0)
    await own.admission.claim(ROOM, "1", NOW_MS)
    own.places.changes = {"recall": True}
    await own.admission.claim(ROOM, "2", NOW_MS)

    assert await own.store.headcount(ROOM, NOW_MS) == Headcount(live=1, next=1, recall=1, admitted=1)
    assert await own.store.headcount(ROOM, NOW_MS + HOLD_MS) == Headcount(0, 1, 1, 1)


async def test_a_tick_settles_as_often_as_it_takes(store: Redis) -> None:
    """Many at the door, and more than one settling may serve."""
    numbers = tuple(range(300))
    await a_line(store, LINE, numbers)
    own = house(store, limits=replace(LIMITS, new_users_per_minute=60_000, total_active_users=1))
    await granted(own, 0)
    for number in numbers[1:]:
        await own.admission.claim(ROOM, str(number), NOW_MS)
    own.rooms.now = replace(own.rooms.now, total_active_users=1_000)

    await own.admission.tick(ROOM, NOW_MS + 1_000)

    assert (await own.store.headcount(ROOM, NOW_MS + 1_000)).live == 300
