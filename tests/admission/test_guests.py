"""Guests: an operator ends visits, keeps a place from its turn, gives it back; the transitions at their edges."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from redis.asyncio import Redis

from admission import claim as rules
from admission import guests, keyring, sessions
from admission.door import Door, LineNow
from admission.guests import Back, By, NoPlace, NotOut, Out
from admission.ports import Turn
from admission.service import Granted
from admission.sessions import FREE_MS
from admission.steering import AT_ONCE, Steering
from admission.store import _LUA, AdmissionStore
from admission.tokens import Claims
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from kernel.lua import Script, load
from tests.admission.doors import (
    KEYS,
    LIMITS,
    LINE,
    NOW_MS,
    ROOM,
    RUN,
    a_line,
    journal,
    place,
    read_door,
    sid,
)
from tests.admission.house import House, house

HOLD_MS = LIMITS.hold_ms
BY = By("Ann", "a mail to the organiser")
BEGUN = replace(LINE, issued=10)
Scripts = Mapping[str, Script]


@dataclass
class Both:
    """The rules and the store, which must say the same."""

    store: Redis
    scripts: Scripts = field(default_factory=dict)
    door: Door = field(default_factory=Door)
    line: LineNow = BEGUN

    async def begin(self) -> None:
        """Begin anew."""
        await self.store.flushall()
        self.door = await a_line(self.store, self.line)
        self.here = AdmissionStore(self.store, self.scripts)

    async def claim(self, number: int, now_ms: int) -> rules.ClaimOutcome:
        """Claim."""
        self.door, said = rules.claim(self.door, self.line, place(number), sid(number), LIMITS, now_ms)
        await self._same(await self.here.claim(place(number), sid(number), LIMITS, now_ms, now_ms), said)
        return said

    async def evict(self, number: int, now_ms: int, name: str | None = None, run: str = RUN) -> Out | NoPlace:
        """Evict, with the session of the number or another."""
        name = sid(number) if name is None else name
        self.door, said = guests.evict(self.door, self.line, run, number, name, now_ms)
        await self._same(await self.here.evict(ROOM, KEYS, run, number, name, BY, now_ms), said)
        return said

    async def reinstate(self, number: int, now_ms: int, run: str = RUN) -> Back | NotOut | NoPlace:
        """Give back."""
        self.door, said = guests.reinstate(self.door, self.line, run, number, now_ms)
        await self._same(await self.here.reinstate(ROOM, KEYS, run, number, BY, now_ms), said)
        return said

    async def end(self, number: int, now_ms: int) -> sessions.Ended | sessions.Already:
        """End the session of a number, as its backend does."""
        self.door, said = sessions.end(self.door, sid(number), LIMITS, now_ms)
        why = sessions.Why.REVOKED
        await self._same(await self.here.end(ROOM, KEYS, sid(number), why, LIMITS, now_ms), said)
        return said

    async def leave(self, number: int, now_ms: int) -> None:
        """Leave."""
        self.door, said = rules.leave(self.door, self.line, place(number), sid(number), now_ms)
        await self._same(await self.here.leave(place(number), sid(number), now_ms), said)

    async def _same(self, told: object, said: object) -> None:
        assert told == said
        assert await read_door(self.store, self.here.keys(ROOM)) == self.door


@pytest.fixture
def scripts() -> Scripts:
    """Give the scripts as they are; mutants call the same tests with theirs."""
    return {}


async def begun(store: Redis, scripts: Scripts) -> Both:
    """Give a line of ten numbers."""
    both = Both(store, scripts)
    await both.begin()
    return both


async def test_an_evicted_place_has_no_turn_until_it_is_given_back(store: Redis, scripts: Scripts) -> None:
    """Its number, its rank and everybody else's stay what they are."""
    both = await begun(store, scripts)
    assert await both.evict(3, NOW_MS) == Out(0, again=False)
    assert await both.claim(3, NOW_MS) == rules.Evicted()
    assert await both.claim(4, NOW_MS) == rules.Admitted(NOW_MS, NOW_MS + HOLD_MS)

    assert await both.reinstate(3, NOW_MS + 1_000) == Back(0)
    assert await both.claim(3, NOW_MS + 1_000) == rules.Admitted(NOW_MS + 1_000, NOW_MS + 1_000 + HOLD_MS)


async def test_who_stands_at_the_door_is_passed_over(store: Redis, scripts: Scripts) -> None:
    """The next free place goes to the one behind."""
    both = await begun(store, scripts)
    for number, said in ((1, rules.Admitted), (2, rules.Next), (4, rules.Next)):
        assert isinstance(await both.claim(number, NOW_MS), said)
    await both.evict(2, NOW_MS, name="")

    at = await both.here.settle(ROOM, KEYS, 10, LIMITS, NOW_MS + 1_000)

    assert (at.settled.granted, at.settled.next) == (1, 0)
    assert isinstance(
        await both.here.claim(place(4), sid(4), LIMITS, NOW_MS + 1_000, NOW_MS + 1_000), rules.Again
    )


async def test_a_visit_ends_with_the_eviction_and_comes_back_with_what_is_left_of_it(
    store: Redis, scripts: Scripts
) -> None:
    """At its last millisecond it still comes back, after that only the place does."""
    both = await begun(store, scripts)
    for late, back in ((HOLD_MS - 1, NOW_MS + HOLD_MS), (HOLD_MS, 0)):
        await both.begin()
        await both.claim(3, NOW_MS)
        assert await both.evict(3, NOW_MS + 10) == Out(NOW_MS + HOLD_MS, again=False)
        assert both.door.sessions[sid(3)] == NOW_MS + 10 + FREE_MS
        assert await both.reinstate(3, NOW_MS + late) == Back(back)
        said = await both.claim(3, NOW_MS + late)
        assert isinstance(said, rules.Again if back else rules.Used)


async def test_a_session_that_was_found_late_ends_all_the_same(store: Redis, scripts: Scripts) -> None:
    """And comes back with the place, although the first eviction knew nothing of it."""
    both = await begun(store, scripts)
    await both.claim(3, NOW_MS)
    assert await both.evict(3, NOW_MS, name="") == Out(0, again=False)
    assert await both.evict(3, NOW_MS + 1) == Out(NOW_MS + HOLD_MS, again=True)
    assert await both.evict(3, NOW_MS + 2) == Out(0, again=True)

    assert await both.reinstate(3, NOW_MS + 3) == Back(NOW_MS + HOLD_MS)
    assert await both.reinstate(3, NOW_MS + 3) == NotOut()


async def test_a_visit_that_ended_before_does_not_come_back(store: Redis, scripts: Scripts) -> None:
    """Who was revoked, evicted and given back is still revoked."""
    both = await begun(store, scripts)
    await both.claim(3, NOW_MS)
    await both.end(3, NOW_MS)

    assert await both.evict(3, NOW_MS + 1) == Out(0, again=False)
    assert await both.reinstate(3, NOW_MS + 2) == Back(0)
    assert await both.claim(3, NOW_MS + 3) == rules.Used()


async def test_a_visit_that_others_ended_meanwhile_does_not_come_back(store: Redis, scripts: Scripts) -> None:
    """An eviction gives back what it took: not what the backend has revoked since, nor what the fan gave up."""
    both = await begun(store, scripts)
    await both.claim(3, NOW_MS)
    await both.evict(3, NOW_MS + 1)

    assert await both.end(3, NOW_MS + 2) == sessions.Ended(NOW_MS + HOLD_MS)
    assert await both.end(3, NOW_MS + 3) == sessions.Already(NOW_MS + HOLD_MS)
    assert await both.reinstate(3, NOW_MS + 4) == Back(0)
    assert await both.claim(3, NOW_MS + 5) == rules.Used()

    await both.begin()
    await both.claim(3, NOW_MS)
    await both.evict(3, NOW_MS + 1)
    await both.leave(3, NOW_MS + 2)
    assert await both.reinstate(3, NOW_MS + 4) == Back(0)
    acts = [(act["kind"], act.get("why", "")) for act in await journal(both.store)]
    assert [kind for kind, _ in acts] == ["admitted", "evicted", "left", "reinstated"]


async def test_a_visit_that_came_back_ends_as_any_other(store: Redis, scripts: Scripts) -> None:
    """And is nothing that an eviction withholds, until the next one."""
    both = await begun(store, scripts)
    await both.claim(3, NOW_MS)
    await both.evict(3, NOW_MS + 1)
    await both.reinstate(3, NOW_MS + 2)
    assert await both.here.withheld(ROOM, NOW_MS + 2) == []
    assert await both.end(3, NOW_MS + 3) == sessions.Ended(NOW_MS + HOLD_MS)
    assert await both.evict(3, NOW_MS + 4) == Out(0, again=False)
    assert await both.end(3, NOW_MS + 5) == sessions.Already(NOW_MS + HOLD_MS)


async def test_what_an_eviction_withholds_is_known_until_its_time_is_over(store: Redis) -> None:
    """Then there is nothing to end any more."""
    both = await begun(store, {})
    await both.claim(3, NOW_MS)
    await both.evict(3, NOW_MS + 1)

    assert await both.here.withheld(ROOM, NOW_MS + HOLD_MS - 1) == [sid(3)]
    assert await both.here.withheld(ROOM, NOW_MS + HOLD_MS) == []


@pytest.mark.parametrize(("number", "run"), [(10, RUN), (11, RUN), (3, "00000000000000bb")])
async def test_there_is_nothing_to_evict_beyond_the_end_and_in_another_run(
    store: Redis, number: int, run: str, scripts: Scripts
) -> None:
    """The last number of the run is there."""
    both = await begun(store, scripts)
    assert await both.evict(number, NOW_MS, run=run) == NoPlace()
    assert await both.reinstate(number, NOW_MS, run=run) == NoPlace()
    assert await both.evict(9, NOW_MS, name="") == Out(0, again=False)


async def test_the_journal_keeps_both_with_who_and_why(store: Redis, scripts: Scripts) -> None:
    """And what recovery needs; a repeat is no second entry."""
    both = await begun(store, scripts)
    await both.claim(3, NOW_MS)
    for _ in range(2):
        await both.evict(3, NOW_MS)
    await both.reinstate(3, NOW_MS)

    _, out, back = await journal(both.store)
    shared = {
        "at_ms": str(NOW_MS), "run": RUN, "epoch": "2", "number": "3", "sid": sid(3),
        "until_ms": str(NOW_MS + HOLD_MS), "who": "Ann", "why": "a mail to the organiser",
    }  # fmt: skip
    assert out == {"kind": "evicted", **shared}
    assert back == {"kind": "reinstated", **shared}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("claim", "redis.call('HEXISTS', evicted, number) == 1", "false"),
        ("evict", "<= now then", "< 0 then"),
        ("evict", "if held_ms > now then", "if false then"),
        ("evict", "redis.call('ZADD', ended, held_ms, sid)", ""),
        ("evict", "redis.call('HINCRBY', door, 'ended_version', 1)", ""),
        ("evict", "math.min(held_ms, now + free_ms)", "now"),
        ("evict", "if before and until_ms == 0", "if before"),
        ("reinstate", "redis.call('HDEL', evicted, number)", ""),
        ("reinstate", "if until_ms > now then", "if until_ms >= now then"),
        ("reinstate", "redis.call('ZREM', ended, sid)", ""),
        ("reinstate", "redis.call('HINCRBY', door, 'ended_version', 1)", ""),
        ("evict", "redis.call('HSET', withheld, sid, number)", ""),
        ("end", "redis.call('HSET', evicted, number, '0')", ""),
        ("end", "redis.call('HDEL', withheld, sid)", ""),
        ("leave", "redis.call('HSET', evicted, number, '0')", ""),
        ("leave", "redis.call('HDEL', withheld, sid)", ""),
        ("reinstate", "redis.call('HDEL', withheld, sid)", ""),
    ],
)
async def test_each_guard_that_is_taken_out_is_missed(store: Redis, name: str, old: str, new: str) -> None:
    """The same moves, always in the same order: no luck is needed to catch a mutant."""
    mutant = {name: load(_LUA / f"{name}.lua").mutated(old, new)}

    with pytest.raises((AssertionError, Unavailable)):  # noqa: PT012 - which of the moves shows it differs
        for move in (
            test_an_evicted_place_has_no_turn_until_it_is_given_back,
            test_a_visit_ends_with_the_eviction_and_comes_back_with_what_is_left_of_it,
            test_a_session_that_was_found_late_ends_all_the_same,
            test_a_visit_that_ended_before_does_not_come_back,
            test_a_visit_that_others_ended_meanwhile_does_not_come_back,
        ):
            await move(store, mutant)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("evict", "tonumber(number) >=", "tonumber(number) >"),
        ("evict", "known[1] ~= run or", ""),
        ("reinstate", "known[1] ~= run or", ""),
    ],
)
async def test_an_act_beyond_the_run_is_caught(store: Redis, name: str, old: str, new: str) -> None:
    """Beyond the last number, and in another run."""
    mutant = {name: load(_LUA / f"{name}.lua").mutated(old, new)}

    with pytest.raises(AssertionError):  # noqa: PT012
        for number, run in ((10, RUN), (3, "00000000000000bb")):
            await test_there_is_nothing_to_evict_beyond_the_end_and_in_another_run(store, number, run, mutant)


async def test_a_settling_that_looks_at_no_eviction_is_caught(store: Redis) -> None:
    """It would give the turn away."""
    script = load(_LUA / "settle.lua").mutated(" or redis.call('HEXISTS', evicted, number) == 1", "")

    with pytest.raises(AssertionError):
        await test_who_stands_at_the_door_is_passed_over(store, {"settle": script})


# ---------------------------------------------------------------------------------- the use cases


class Record:
    """The stream as the record of turns; notes what operators did. `late` is found from the second look on."""

    def __init__(self, store: Redis) -> None:
        self.store = store
        self.acts: list[dict[str, Any]] = []
        self.away = False
        self.blind = 0

    async def turn_of(self, room: str, run: str, number: int) -> Turn | None:
        """Read the stream."""
        assert (room, run) == (ROOM, RUN)
        if self.blind:
            self.blind -= 1
            return None
        found = [
            act
            for act in await journal(self.store)
            if act["kind"] == "admitted" and act["number"] == str(number)
        ]
        return Turn(found[-1]["sid"], int(found[-1]["at_ms"]), found[-1]["lane"]) if found else None

    async def note(self, room: str, run: str, act: Any, now_ms: int) -> None:
        """Keep an act."""
        if self.away:
            raise Unavailable("journal-away", "The journal is away.")
        self.acts.append({"room": room, "run": run, "at_ms": now_ms, **act})


def steering_of(own: House, record: Record) -> Steering:
    """Make the operator's side of a house."""
    own.line.issued = 10
    return Steering(own.admission, own.line, record, ManualClock(NOW_MS))


async def _begun(store: Redis) -> tuple[House, Record, Steering]:
    await a_line(store, BEGUN)
    own, record = (
        house(store, limits=replace(LIMITS, new_users_per_minute=60_000, total_active_users=100)),
        Record(store),
    )
    return own, record, steering_of(own, record)


async def _in(own: House, number: int) -> Claims:
    answer = await own.admission.claim(ROOM, str(number), NOW_MS)
    assert isinstance(answer, Granted)
    claims = own.admission.verify(ROOM, answer.token, NOW_MS)
    assert isinstance(claims, Claims)
    return claims


async def test_a_visit_is_found_by_the_number_and_revoked(store: Redis) -> None:
    """The gates refuse it after their next tick; the record says who and why."""
    own, record, desk = await _begun(store)
    claims = await _in(own, 3)
    other = house(store)

    found = await desk.find(ROOM, 3)
    ended = await desk.revoke(ROOM, 3, BY)
    await other.admission.tick(ROOM, NOW_MS)

    assert (found.turn, found.until_ms) == (Turn(claims.sid, NOW_MS, "standard"), NOW_MS + HOLD_MS)
    assert (ended.until_ms, ended.evicted) == (0, False)
    assert other.admission.ended(ROOM) == {claims.sid}
    assert record.acts == [
        {
            "room": ROOM, "run": RUN, "at_ms": NOW_MS, "act": "session-revoked", "number": "3",
            "sid": claims.sid, "who": "Ann", "why": "a mail to the organiser",
        }
    ]  # fmt: skip
    with pytest.raises(Refused, match="no-session"):
        await desk.revoke(ROOM, 3, BY)
    with pytest.raises(Refused, match="no-session"):
        await desk.revoke(ROOM, 4, BY)


async def test_all_visits_of_a_room_end_and_are_counted(store: Redis) -> None:
    """Those who are in; what was ended before is not counted twice, who comes later stays."""
    own, record, desk = await _begun(store)
    sids = {(await _in(own, number)).sid for number in range(4)}
    await desk.revoke(ROOM, 0, BY)

    assert await desk.revoke_all(ROOM, BY) == 3
    assert await desk.revoke_all(ROOM, BY) == 0
    late = await _in(own, 5)

    await own.admission.tick(ROOM, NOW_MS)
    assert own.admission.ended(ROOM) == sids
    assert late.sid not in own.admission.ended(ROOM)
    assert [(act["act"], act.get("count")) for act in record.acts[1:]] == [
        ("sessions-revoked", "3"), ("sessions-revoked", "0"),
    ]  # fmt: skip


async def test_ending_all_visits_ends_those_that_evictions_hold_back(store: Redis) -> None:
    """A place that is given back afterwards has no visit."""
    own, record, desk = await _begun(store)
    for number in range(2):
        await _in(own, number)
    await desk.evict(ROOM, 0, BY)

    assert await desk.revoke_all(ROOM, BY) == 2
    assert record.acts[-1]["count"] == "2"
    assert (await desk.reinstate(ROOM, 0, BY)).until_ms == 0


async def test_who_comes_in_while_all_visits_end_stays(store: Redis) -> None:
    """Written down is how many were in; the one who came after the list was made is not among them."""
    own, record, desk = await _begun(store)
    sids = {(await _in(own, number)).sid for number in range(4)}
    note, came = record.note, list[Claims]()

    async def slow(*given: Any) -> None:
        came.append(await _in(own, 5))
        await note(*given)

    record.note = slow  # type: ignore[method-assign]

    assert await desk.revoke_all(ROOM, BY) == 4
    await own.admission.tick(ROOM, NOW_MS)
    assert own.admission.ended(ROOM) == sids
    assert await own.store.live_sids(ROOM, NOW_MS) == [came[0].sid]


async def test_a_rotation_of_keys_takes_no_visit_out_of_reach(store: Redis) -> None:
    """A turn that is taken again is the same session, and an operator ends it by its number."""
    own, _, desk = await _begun(store)
    before = await _in(own, 3)
    for use in sorted(keyring.ROTATED):
        own.ring.rotate(use, NOW_MS)
    again = await _in(own, 3)

    await desk.revoke(ROOM, 3, BY)

    assert again.sid == before.sid
    assert own.admission.ended(ROOM) == {before.sid}
    assert await own.store.live_sids(ROOM, NOW_MS) == []


async def test_more_visits_than_one_portion_end_too(store: Redis) -> None:
    """Whatever the bound of one portion is."""
    own, _, desk = await _begun(store)
    many = {f"{number:022d}": NOW_MS + HOLD_MS for number in range(2 * AT_ONCE + 1)}
    await store.zadd(own.store.keys(ROOM).sessions, many)

    assert await desk.revoke_all(ROOM, BY) == len(many)
    assert await own.store.live_sids(ROOM, NOW_MS) == []


async def test_without_the_journal_nothing_is_done(store: Redis) -> None:
    """An act that cannot be recorded does not happen."""
    own, record, desk = await _begun(store)
    await _in(own, 3)
    record.away = True

    for act in (desk.revoke(ROOM, 3, BY), desk.revoke_all(ROOM, BY)):
        with pytest.raises(Unavailable):
            await act
    assert (await desk.find(ROOM, 3)).until_ms == NOW_MS + HOLD_MS


async def test_an_admission_in_the_same_moment_as_the_eviction_ends(store: Redis) -> None:
    """The first look missed it; the second one, after the eviction, cannot."""
    own, record, desk = await _begun(store)
    await _in(own, 3)
    record.blind = 1

    guest = await desk.evict(ROOM, 3, BY)

    assert (guest.evicted, guest.until_ms) == (True, 0)
    with pytest.raises(Refused, match="place-evicted"):
        await own.admission.claim(ROOM, "3", NOW_MS)
    with pytest.raises(Refused, match="already-evicted"):
        await desk.evict(ROOM, 3, BY)
    assert await desk.evicted(ROOM) == [3]


async def test_what_is_given_back_is_inside_again(store: Redis) -> None:
    """With the same admission."""
    own, _, desk = await _begun(store)
    before = await _in(own, 3)
    await desk.evict(ROOM, 3, BY)

    guest = await desk.reinstate(ROOM, 3, BY)

    assert (guest.evicted, guest.until_ms) == (False, NOW_MS + HOLD_MS)
    assert await _in(own, 3) == before
    assert await desk.evicted(ROOM) == []
    with pytest.raises(Refused, match="not-evicted"):
        await desk.reinstate(ROOM, 3, BY)


async def test_numbers_and_rooms_that_there_are_not_say_so(store: Redis) -> None:
    """Each act alike, also while the line is away."""
    own, _, desk = await _begun(store)
    for act in (
        desk.find(ROOM, 10),
        desk.revoke(ROOM, 10, BY),
        desk.evict(ROOM, 10, BY),
        desk.reinstate(ROOM, 10, BY),
    ):
        with pytest.raises(Refused, match="place-unknown"):
            await act
    for act in (
        desk.find("x", 1),
        desk.revoke("x", 1, BY),
        desk.evict("x", 1, BY),
        desk.reinstate("x", 1, BY),
    ):
        with pytest.raises(Refused, match="room-unknown"):
            await act
    with pytest.raises(Refused, match="room-unknown"):
        await desk.revoke_all("x", BY)
    # The memory knows more numbers than the store: the store has the last word.
    own.line.issued = 11
    for act in (desk.evict(ROOM, 10, BY), desk.reinstate(ROOM, 10, BY)):
        with pytest.raises(Refused, match="place-unknown"):
            await act
    own.line.is_lost = True
    with pytest.raises(Refused, match="place-unknown"):
        await desk.find(ROOM, 1)


async def test_evictions_survive_the_store(store: Redis) -> None:
    """What was given back meanwhile stays given back, also where a rolled-back store still says otherwise."""
    own, _, _ = await _begun(store)
    await own.store.evict(ROOM, KEYS, RUN, 4, "", BY, NOW_MS)
    await own.store.restore(ROOM, RUN, used=(), sessions={}, ended={}, evicted={3: "0", 4: ""})

    assert await own.store.evicted(ROOM) == [3]
    assert own.store.keys(ROOM).evicted in own.store.stale_keys(ROOM, 10)
