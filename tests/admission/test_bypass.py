"""Bypass tokens: one visit at a time beside the line, from the entry that made the token to the one that revoked it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from admission import bypass, keyring, sessions
from admission.bypass import Entered, Paper
from admission.bypass_store import SCRIPT, BypassStore
from admission.bypassing import HOUR_MS, MOST_HOURS, TOKENS_MOST, Bypassing, Openness
from admission.guests import By
from admission.service import Granted, NotYet
from admission.sessions import FREE_MS, Over, Renewed
from admission.store import AdmissionStore
from admission.tokens import Claims
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from kernel.lua import Script, load
from kernel.signing import Signer
from tests.admission.doors import (
    KEYS,
    LIMITS,
    LINE,
    NOW_MS,
    ROOM,
    RUN,
    a_line,
    journal,
    read_door,
    write_line,
)
from tests.admission.house import House, house

HOLD_MS = LIMITS.hold_ms
SID, TOKEN = "P" * 22, "00112233aabbccdd"
BY = By("Ann", "the press has its own entrance")
SIGNER = Signer([("k1", b"b" * 32)], "bypass")
Scripts = Mapping[str, Script]


@pytest.fixture
def scripts() -> Scripts:
    """Give the script as it is; mutants call the same test with theirs."""
    return {}


async def test_rule_and_lua_agree_at_every_edge(store: Redis, scripts: Scripts) -> None:
    """In, in again, out in time and in anew; after its end by an operator not until that is forgotten."""
    door, here, others = await a_line(store), BypassStore(store, scripts), AdmissionStore(store)

    async def enter(at_ms: int, run: str | None = RUN) -> Entered | Over:
        nonlocal door
        door, said = bypass.bypass(door, run, SID, LIMITS, at_ms)
        assert await here.enter(ROOM, KEYS, SID, TOKEN, LIMITS, at_ms) == said
        assert await read_door(store, others.keys(ROOM)) == door
        return said

    first = Entered(NOW_MS, NOW_MS + HOLD_MS, RUN, again=False)
    assert await enter(NOW_MS) == first
    assert await enter(NOW_MS - 5_000) == replace(first, again=True)
    assert await enter(NOW_MS + HOLD_MS - 1) == replace(first, again=True)
    assert await enter(NOW_MS + HOLD_MS) == Entered(NOW_MS + HOLD_MS, NOW_MS + 2 * HOLD_MS, RUN, again=False)

    at_ms = NOW_MS + HOLD_MS + 1
    door, _ = sessions.end(door, SID, LIMITS, at_ms)
    await others.end(ROOM, KEYS, SID, sessions.Why.REVOKED, LIMITS, at_ms)
    assert await enter(at_ms) == Over()
    assert await enter(NOW_MS + 2 * HOLD_MS - 1) == Over()
    assert isinstance(await enter(NOW_MS + 2 * HOLD_MS), Entered)

    await write_line(store, None)
    last_ms = NOW_MS + 3 * HOLD_MS
    assert await enter(last_ms, None) == Entered(last_ms, last_ms + HOLD_MS, bypass.NO_RUN, again=False)
    # The door has seen a later time, and does not go back.
    door, _ = sessions.end(door, "x", LIMITS, last_ms + HOLD_MS)
    await others.end(ROOM, KEYS, "x", sessions.Why.REVOKED, LIMITS, last_ms + HOLD_MS)
    assert isinstance(await enter(last_ms + 1, None), Entered)
    acts = [act for act in await journal(store) if act["kind"] == "bypassed"]
    assert [act["run"] for act in acts] == [RUN, RUN, RUN, bypass.NO_RUN, bypass.NO_RUN]
    assert acts[0] == {
        "kind": "bypassed", "at_ms": str(NOW_MS), "run": RUN, "epoch": "2", "token": TOKEN, "sid": SID,
        "lane": "bypass", "until_ms": str(NOW_MS + HOLD_MS),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("redis.call('ZSCORE', ended, sid) or 0) > now", "0) > now"),
        ("redis.call('ZSCORE', ended, sid) or 0) > now", "redis.call('ZSCORE', ended, sid) or 0) >= now"),
        ("if held_ms > now then", "if held_ms >= now then"),
        ("if held_ms > now then", "if false then"),
        ("redis.call('ZADD', sessions, until_ms, sid)", ""),
        ("math.max(now_ms, tonumber(redis.call('HGET', door, 'last_ms') or 0))", "now_ms"),
        ("redis.call('XADD'", "redis.pcall('NOTHING'"),
    ],
)
async def test_each_guard_that_is_taken_out_is_missed(store: Redis, old: str, new: str) -> None:
    """The same moves in the same order."""
    with pytest.raises((AssertionError, Unavailable, IndexError)):
        await test_rule_and_lua_agree_at_every_edge(store, {"bypass": load(SCRIPT).mutated(old, new)})


# ---------------------------------------------------------------------------------- the use cases


class Record:
    """The stream for visits, a list for what operators did."""

    def __init__(self, store: Redis) -> None:
        self.store = store
        self.acts: list[tuple[int, str, Mapping[str, str]]] = []
        self.away = False

    async def bypasses(self, room: str) -> list[tuple[int, str, Mapping[str, str]]]:
        """Read both, in order of time."""
        assert room == ROOM
        visits = [
            (int(act["at_ms"]), act["run"], act)
            for act in await journal(self.store)
            if act["kind"] == "bypassed"
        ]
        return sorted([*self.acts, *visits], key=lambda act: act[0])

    async def note(self, room: str, run: str, act: Any, now_ms: int) -> None:
        """Keep an act."""
        assert (room, run) == (ROOM, "")
        if self.away:
            raise Unavailable("journal-away", "The journal is away.")
        self.acts.append((now_ms, run, act))


async def _begun(store: Redis, places: int = 3) -> tuple[House, Record, Bypassing, ManualClock]:
    await a_line(store)
    clock = ManualClock(NOW_MS)
    own, record = house(store, clock, replace(LIMITS, total_active_users=places)), Record(store)
    return own, record, Bypassing(own.admission, BypassStore(store), own.line, record, SIGNER, clock), clock


async def test_a_token_lets_one_visit_in_beside_the_line(store: Redis) -> None:
    """Shown twice it is one place; its admission is one that any backend takes, and is renewed as any other."""
    own, _, desk, _ = await _begun(store)
    made, text = await desk.make(ROOM, "press desk", 12, BY)

    first = await desk.enter(ROOM, text, NOW_MS)
    again = await desk.enter(ROOM, text, NOW_MS + 1_000)

    claims = own.admission.verify(ROOM, first.token, NOW_MS)
    assert isinstance(claims, Claims)
    assert (claims.lane, claims.run, claims.expires_ms) == ("bypass", RUN, NOW_MS + LIMITS.session_ms)
    assert (first.again, again.again, first.token) == (False, True, again.token)
    assert (await own.store.headcount(ROOM, NOW_MS)).live == 1
    assert await own.admission.renew(ROOM, first.token, NOW_MS + 5_000) is not None
    (token,) = await desk.tokens(ROOM)
    assert (token.token, token.name, token.who, token.why) == (made.token, "press desk", BY.who, BY.why)
    assert (token.passes, token.last_ms, token.counts(NOW_MS)) == (1, NOW_MS, True)
    assert text not in str(await journal(store)) + str(desk._record)


async def test_it_takes_a_place_and_neither_a_number_nor_the_rate(store: Redis) -> None:
    """Also in a full room: the fans behind it wait for one place more, and their count is theirs alone."""
    own, _, desk, _ = await _begun(store, places=1)
    _, text = await desk.make(ROOM, "monitor", 1, BY)
    await desk.enter(ROOM, text, NOW_MS)

    assert isinstance(await own.admission.claim(ROOM, "3", NOW_MS), NotYet)
    count = await own.store.headcount(ROOM, NOW_MS)
    assert (count.live, count.admitted) == (1, 0)
    assert isinstance(await desk.enter(ROOM, (await desk.make(ROOM, "press", 1, BY))[1], NOW_MS), Granted)


async def test_a_revoked_token_is_out_at_once_and_stays_out(store: Redis) -> None:
    """Its visit ends at the gates' next tick; a repeat is recorded once."""
    own, record, desk, clock = await _begun(store)
    made, text = await desk.make(ROOM, "press desk", 12, BY)
    claims = own.admission.verify(ROOM, (await desk.enter(ROOM, text, NOW_MS)).token, NOW_MS)
    assert isinstance(claims, Claims)
    clock.advance(10)

    for _ in range(2):
        assert (await desk.revoke(ROOM, made.token, BY)).revoked_ms == NOW_MS + 10
    other = house(store)
    await other.admission.tick(ROOM, NOW_MS + 10)

    assert claims.sid in other.admission.ended(ROOM)
    assert [act["act"] for _, _, act in record.acts] == ["bypass-made", "bypass-revoked"]
    for later_ms in (10, FREE_MS, 10 * HOLD_MS):
        with pytest.raises(Refused, match="bypass-invalid"):
            await desk.enter(ROOM, text, NOW_MS + later_ms)


async def revoked_in_between(store: Redis, *, ends: bool = True) -> None:
    """Revoke a token when whoever shows it has been looked up and is not in yet."""
    own, record, desk, _ = await _begun(store)
    made, text = await desk.make(ROOM, "press desk", 12, BY)
    look = record.bypasses

    async def bypasses(room: str) -> list[tuple[int, str, Mapping[str, str]]]:
        record.bypasses = look  # type: ignore[method-assign]
        found = await look(room)
        await desk.revoke(ROOM, made.token, BY)
        return found

    async def no_end(*_: object) -> None:
        """Write it down, and do nothing."""

    record.bypasses = bypasses  # type: ignore[method-assign]
    if not ends:
        own.admission.end = no_end  # type: ignore[assignment, method-assign]
    with pytest.raises(Refused, match="bypass-invalid"):
        await desk.enter(ROOM, text)
    assert await store.zcard(own.store.keys(ROOM).sessions) == 0


async def test_who_is_revoked_while_coming_in_stays_out(store: Redis) -> None:
    """The look into the journal came first; the revoking's mark at the door is what counts."""
    await revoked_in_between(store)


async def test_a_revoking_that_leaves_no_mark_is_noticed(store: Redis) -> None:
    """The mutant: the journal alone."""
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        await revoked_in_between(store, ends=False)


async def over_a_rotation(store: Redis) -> None:
    """Make a token, rotate every key that is rotated, show it again, and revoke it."""
    own, record, _, clock = await _begun(store)
    signer = own.ring.signer("cookie", "bypass")
    desk = Bypassing(own.admission, BypassStore(store), own.line, record, signer, clock)
    made, text = await desk.make(ROOM, "press desk", 12, BY)
    before = own.admission.verify(ROOM, (await desk.enter(ROOM, text, NOW_MS)).token, NOW_MS)
    for use in sorted(keyring.ROTATED):
        own.ring.rotate(use, NOW_MS)

    again = await desk.enter(ROOM, text, NOW_MS)
    await desk.revoke(ROOM, made.token, BY)

    assert again.again
    assert isinstance(before, Claims)
    assert before.sid in own.admission.ended(ROOM)
    assert await own.store.live_sids(ROOM, NOW_MS) == []


async def test_a_rotation_takes_no_token_out_of_reach(store: Redis) -> None:
    """Its paper is read by a retired key, and its visit has the id that it had."""
    await over_a_rotation(store)


async def test_a_rotation_that_changes_ids_is_noticed(store: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: the key of the sessions' ids is rotated, too."""
    monkeypatch.setattr(keyring, "ROTATED", frozenset(keyring.USES))
    with pytest.raises(AssertionError):
        await over_a_rotation(store)


async def test_everybody_may_know_how_many_passed(store: Redis) -> None:
    """Visits, in this run and ever; tokens that count now."""
    _, record, desk, clock = await _begun(store)
    record.acts.append(
        (1, "", {"act": "bypass-made", "token": "old", "name": "x", "who": "x", "why": "x", "until_ms": "2"})
    )
    texts = [(await desk.make(ROOM, name, hours, BY))[1] for name, hours in (("a", 1), ("b", 2))]
    for text in texts:
        await desk.enter(ROOM, text, NOW_MS)
    await write_line(store, None)
    await desk.enter(ROOM, texts[1], NOW_MS + HOLD_MS)
    clock.advance(HOUR_MS)

    assert await desk.openness(ROOM) == Openness(passed=3, passed_in_run=2, tokens=1)
    assert [token.passes for token in await desk.tokens(ROOM)] == [2, 1, 0]


async def test_only_a_token_of_this_room_that_we_signed_and_that_counts_lets_in(store: Redis) -> None:
    """Each of the others is refused alike, and no place is taken."""
    own, record, desk, _ = await _begun(store)
    made, text = await desk.make(ROOM, "a", 1, BY)
    foreign = Signer([("k1", b"x" * 32)], "bypass")
    papers = [
        "", "x", text[:-1], text + "x", "é", "a.b.c" * 200,
        bypass.write(foreign, Paper(ROOM, made.token, made.until_ms)),
        bypass.write(SIGNER, Paper("side", made.token, made.until_ms)),
        bypass.write(SIGNER, Paper(ROOM, "0" * 16, made.until_ms)),
        bypass.write(SIGNER, Paper(ROOM, made.token, NOW_MS)),
        SIGNER.sign(b"[]"), SIGNER.sign(b"{}"), SIGNER.sign(b'["main",1,"x"]'), SIGNER.sign(b"\xff"),
    ]  # fmt: skip
    for paper in papers:
        with pytest.raises(Refused, match="bypass-invalid"):
            await desk.enter(ROOM, paper, NOW_MS)
    with pytest.raises(Refused, match="bypass-invalid"):
        await desk.enter(ROOM, text, NOW_MS + HOUR_MS)
    # A paper that says it counts for longer than the journal does.
    longer = bypass.write(SIGNER, Paper(ROOM, made.token, made.until_ms + 1))
    with pytest.raises(Refused, match="bypass-invalid"):
        await desk.enter(ROOM, longer, made.until_ms)

    assert (await own.store.headcount(ROOM, NOW_MS)).live == 0
    assert len(record.acts) == 1
    value = own.registry.get_sample_value
    assert value("waitroom_admission_bypassed_total", {"room": ROOM, "outcome": "refused"}) == len(papers) + 2


async def test_what_cannot_be_made_or_revoked_says_so(store: Redis) -> None:
    """And leaves nothing in the journal."""
    _, record, desk, _ = await _begun(store)
    for name, hours in (("", 1), ("x" * 81, 1), ("x", 0), ("x", -1), ("x", MOST_HOURS + 1)):
        with pytest.raises(Refused, match="bypass-malformed"):
            await desk.make(ROOM, name, hours, BY)
    with pytest.raises(Refused, match="bypass-unknown"):
        await desk.revoke(ROOM, "0" * 16, BY)
    for act in (
        desk.make("x", "a", 1, BY),
        desk.revoke("x", "a", BY),
        desk.enter("x", "a"),
        desk.openness("x"),
    ):
        with pytest.raises(Refused, match="room-unknown"):
            await act
    record.away = True
    with pytest.raises(Unavailable):
        await desk.make(ROOM, "a", 1, BY)
    assert record.acts == []
    record.away = False
    made = {"act": "bypass-made", "name": "x", "who": "x", "why": "x", "until_ms": str(NOW_MS + 1)}
    record.acts = [(NOW_MS, "", made | {"token": str(number)}) for number in range(TOKENS_MOST)]
    with pytest.raises(Refused, match="bypass-full"):
        await desk.make(ROOM, "a", 1, BY)


async def test_a_visit_of_an_earlier_run_is_not_renewed(store: Redis) -> None:
    """It lasts to its end; then the token opens another one."""
    own, _, desk, _ = await _begun(store)
    _, text = await desk.make(ROOM, "a", 1, BY)
    first = await desk.enter(ROOM, text, NOW_MS)
    await write_line(store, replace(LINE, run="00000000000000bb"))

    assert await own.admission.renew(ROOM, first.token, NOW_MS + 1_000) is None
    assert not isinstance(first, Renewed)
    assert (await desk.enter(ROOM, text, NOW_MS + HOLD_MS)).again is False
