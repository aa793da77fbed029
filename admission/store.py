"""The door's store: one typed method for each transition, and every key name of the door.

All keys of a room share its hash tag with the line's, so a claim may read the line. ``now_ms`` is given in tests
only; in production the store's own ``TIME`` counts. Redis errors become ``Unavailable`` here and nowhere else, and
nothing is ever repeated here: a claim whose answer was lost is asked again by the fan, and is the same admission.

TTLs: none but those of used proofs. Every other key is bounded by the admitted and the called, and a new run of a
room drops what belongs to the old one (``stale_keys``).
"""

import hashlib
import json
import secrets
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from redis.asyncio import Redis

from admission import guests, sessions
from admission.claim import (
    BOUNDS,
    LAPSE_MS,
    Admitted,
    Again,
    Bounds,
    Check,
    ClaimOutcome,
    Evicted,
    LeafMismatch,
    LeaveOutcome,
    Left,
    Next,
    Paused,
    RunOver,
    Settled,
    Stale,
    Used,
    Waiting,
    cohort_of,
)
from admission.door import Place, Stay
from admission.guests import By
from admission.keys import CHUNK, Glance, Headcount, Keys, SettledAt
from admission.limits import Limits
from admission.pace import COHORT_MS, COHORTS, Cohort, PaceState, show_ratio
from admission.ports import LineKeys
from kernel import gcra
from kernel.batch import Batch
from kernel.clock import SET_BACK_MS
from kernel.lua import Scalar, Script, fast_call, load
from kernel.store import Command, translated

__all__ = ["CHUNK", "AdmissionStore", "Glance", "Headcount", "Keys", "SettledAt"]

RESTORED_AT_ONCE = 1000
_VERSIONS = 1 << 40
_LUA = Path(__file__).parent / "lua"
SCRIPTS = ("claim", "settle", "leave", "end", "renew", "evict", "reinstate")

_CLAIMED: Mapping[str, type[Admitted | Again]] = {"admitted": Admitted, "again": Again}
_AHEAD: Mapping[str, type[Next | Waiting | Paused]] = {"next": Next, "waiting": Waiting, "paused": Paused}
_PLAIN: Mapping[str, ClaimOutcome] = {
    "evicted": Evicted(),
    "used": Used(),
    "leaf-mismatch": LeafMismatch(),
    "run-over": RunOver(),
    "stale": Stale(),
}
_LEFT: Mapping[str, LeaveOutcome] = {
    "left": Left(),
    "leaf-mismatch": LeafMismatch(),
    "run-over": RunOver(),
    "stale": Stale(),
}


class AdmissionStore:
    """Transitions of the door on a Redis or Valkey."""

    def __init__(self, client: Redis, scripts: Mapping[str, Script] | None = None) -> None:
        """Use `client`; `scripts` replaces single scripts (mutants in tests)."""
        self._client = client
        self._scripts = {name: load(_LUA / f"{name}.lua") for name in SCRIPTS} | dict(scripts or {})
        self._claims = Batch(client, self._scripts["claim"])
        self._ends = Batch(client, self._scripts["end"])
        self._keys: dict[str, Keys] = {}

    def keys(self, room: str) -> Keys:
        """Return the key names of a room."""
        keys = self._keys.get(room)
        if keys is None:
            keys = self._keys[room] = Keys(room)
        return keys

    async def claim(
        self, place: Place, sid: str, limits: Limits, at_ms: int, now_ms: int | None = None
    ) -> ClaimOutcome:
        """Let a called fan in, or keep the fan at the door; `at_ms` is the worker's time (statistics only)."""
        keys = self.keys(place.room)
        rate = gcra.per_minute(limits.new_users_per_minute)
        cohort = cohort_of(place, at_ms)
        names = (
            place.line_key, place.leaves_key, place.journal_key, keys.door, keys.chunk(place.number),
            keys.sessions, keys.stays, keys.ended, keys.next, keys.recall, keys.next_seen, keys.next_who, keys.came,
            place.slowed_key, keys.evicted,
        )  # fmt: skip
        argv = (
            place.run, place.epoch, place.seed, place.number, place.rank, place.lane, place.leaf,
            place.leaf_offset, int(place.void), int(place.recall), sid, "" if cohort is None else cohort,
            rate.interval_us, rate.burst, limits.total_active_users, limits.hold_ms, limits.recall_permille,
            int(limits.paused), int(place.checks),
        )  # fmt: skip
        with translated():
            answer = await self._claims.call(names, argv, now_ms)
        word = answer[0]
        if word in _CLAIMED:
            return _CLAIMED[word](answer[1], answer[2])
        if word == "check":
            return Check(answer[1].decode())
        return _AHEAD[word](answer[1]) if word in _AHEAD else _PLAIN[word]

    async def settle(
        self,
        room: str,
        line: LineKeys,
        issued: int,
        limits: Limits,
        now_ms: int | None = None,
        bounds: Bounds = BOUNDS,
    ) -> SettledAt:
        """Give free budget to the lowest ranks at the door, and sweep."""
        keys = self.keys(room)
        rate = gcra.per_minute(limits.new_users_per_minute)
        names = [
            line.line, line.journal, keys.door, keys.sessions, keys.stays, keys.ended, keys.next, keys.recall,
            keys.next_seen, keys.next_who, keys.evicted, *keys.chunks(issued),
        ]  # fmt: skip
        argv = [
            rate.interval_us, rate.burst, limits.total_active_users, limits.hold_ms, LAPSE_MS, limits.recall_permille,
            int(limits.paused), bounds.lapses, bounds.sweeps, bounds.candidates, SET_BACK_MS,
        ]  # fmt: skip
        with translated():
            answer = await fast_call(self._client, self._scripts["settle"], names, argv, now_ms)
        _, granted, called, recall, live, more, at_ms, admitted, tat_us = answer
        return SettledAt(Settled(granted, called, recall, live, bool(more)), at_ms, admitted, int(tat_us))

    async def leave(self, place: Place, sid: str, now_ms: int | None = None) -> LeaveOutcome:
        """Give a place up for good."""
        keys = self.keys(place.room)
        names = [
            place.line_key, place.leaves_key, place.journal_key, keys.door, keys.chunk(place.number), keys.sessions,
            keys.ended, keys.next, keys.recall, keys.next_seen, keys.next_who, keys.evicted, keys.withheld,
        ]  # fmt: skip
        argv: list[Scalar] = [
            place.run, place.epoch, place.number, place.leaf, place.leaf_offset, int(place.void), sid,
            sessions.FREE_MS,
        ]  # fmt: skip
        with translated():
            answer = await fast_call(self._client, self._scripts["leave"], names, argv, now_ms)
        return _LEFT[answer[0]]

    async def end(
        self,
        room: str,
        line: LineKeys,
        sid: str,
        why: sessions.Why,
        limits: Limits,
        now_ms: int | None = None,
    ) -> sessions.Ended | sessions.Already:
        """End a session before its time."""
        keys = self.keys(room)
        names = [
            line.line, line.journal, keys.door, keys.sessions, keys.ended, keys.next, keys.recall, keys.next_seen,
            keys.next_who, keys.evicted, keys.withheld,
        ]  # fmt: skip
        argv: list[Scalar] = [sid, why.value, limits.hold_ms, sessions.FREE_MS]
        with translated():
            answer = await self._ends.call(names, argv, now_ms)
        return sessions.Ended(answer[1]) if answer[0] == "ended" else sessions.Already(answer[1])

    async def live_sids(self, room: str, now_ms: int) -> list[str]:
        """Name all sessions that live now and were not ended."""
        keys = self.keys(room)
        with translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.zrangebyscore(keys.sessions, f"({now_ms}", "+inf")
            pipe.zrangebyscore(keys.ended, f"({now_ms}", "+inf")
            live, ended = await pipe.execute()
        over = set(ended)
        return [sid.decode() for sid in live if sid not in over]

    async def withheld(self, room: str, now_ms: int) -> list[str]:
        """Name the sessions that evictions have ended and that would come back with their places."""
        keys = self.keys(room)
        with translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.hkeys(keys.withheld)
            pipe.zrangebyscore(keys.ended, f"({now_ms}", "+inf")
            found, ended = await pipe.execute()
        return [sid.decode() for sid in sorted(set(found) & set(ended))]

    async def evict(
        self, room: str, line: LineKeys, run: str, number: int, sid: str, by: By, now_ms: int | None = None
    ) -> guests.Out | guests.NoPlace:
        """Keep a number from its turn, and end its session `sid` ('' for none that is known)."""
        argv: list[Scalar] = [run, number, sid, by.who, by.why, sessions.FREE_MS]
        with translated():
            answer = await fast_call(
                self._client, self._scripts["evict"], self._guest(room, line), argv, now_ms
            )
        return (
            guests.NoPlace()
            if answer[0] == "unknown"
            else guests.Out(answer[1], again=answer[0] == "already")
        )

    async def reinstate(
        self, room: str, line: LineKeys, run: str, number: int, by: By, now_ms: int | None = None
    ) -> guests.Back | guests.NotOut | guests.NoPlace:
        """Give an evicted number its place back."""
        argv: list[Scalar] = [run, number, by.who, by.why]
        with translated():
            answer = await fast_call(
                self._client, self._scripts["reinstate"], self._guest(room, line), argv, now_ms
            )
        if answer[0] == "reinstated":
            return guests.Back(answer[1])
        return guests.NotOut() if answer[0] == "not-evicted" else guests.NoPlace()

    async def guest(self, room: str, number: int, sid: str, now_ms: int) -> tuple[int, bool]:
        """Tell until when a session lives (0: it does not), and whether the number is evicted."""
        keys = self.keys(room)
        with translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.zscore(keys.sessions, sid)
            pipe.zscore(keys.ended, sid)
            pipe.hexists(keys.evicted, str(number))
            until_ms, ended_ms, evicted = await pipe.execute()
        lives = int(until_ms or 0) > now_ms >= int(ended_ms or 0)
        return int(until_ms) if lives else 0, bool(evicted)

    async def evicted(self, room: str) -> list[int]:
        """List the numbers that are kept from their turn."""
        with translated():
            found = await cast("Awaitable[list[bytes]]", self._client.hkeys(self.keys(room).evicted))
        return sorted(int(number) for number in found)

    def _guest(self, room: str, line: LineKeys) -> list[str]:
        keys = self.keys(room)
        return [line.line, line.journal, keys.door, keys.sessions, keys.ended, keys.evicted, keys.withheld]

    async def renew(
        self,
        room: str,
        line: LineKeys,
        sid: str,
        token: tuple[Stay, int] | None,
        limits: Limits,
        now_ms: int | None = None,
    ) -> sessions.Renewed | sessions.Kept | sessions.Over | sessions.Unknown | sessions.EarlierRun:
        """Give a session its full time again; `token` is what a verified token says, and until when it holds."""
        keys = self.keys(room)
        names = [
            line.line, line.journal, keys.door, keys.sessions, keys.stays, keys.ended, keys.next, keys.recall,
            keys.next_seen, keys.next_who,
        ]  # fmt: skip
        stay, token_until_ms = token or (Stay(0, "", ""), 0)
        argv: list[Scalar] = [
            sid, stay.since_ms, stay.run, stay.lane, token_until_ms, limits.hold_ms,
            limits.max_session_ms + limits.leeway_ms, int(limits.renewal),
        ]  # fmt: skip
        with translated():
            answer = await fast_call(self._client, self._scripts["renew"], names, argv, now_ms)
        match answer:
            case [("renewed" | "kept") as word, until_ms, since_ms, run, lane]:
                outcome = sessions.Renewed if word == "renewed" else sessions.Kept
                return outcome(until_ms, Stay(since_ms, run.decode(), lane.decode()))
            case ["over"]:
                return sessions.Over()
            case ["earlier-run"]:
                return sessions.EarlierRun()
            case _:
                return sessions.Unknown()

    async def spend_proof(self, room: str, key: str, jti: str, keep_ms: int) -> bool:
        """Use a proof's id up; False when it had been used before."""
        name = hashlib.sha256(f"{key}.{jti}".encode()).hexdigest()[:32]
        with translated():
            return bool(await self._client.set(f"wr:{{{room}}}:proof:{name}", b"1", nx=True, px=keep_ms))

    async def glance(self, room: str, known_version: int, now_ms: int) -> Glance:
        """Read what a tick needs beside the settling, and drop counts that no longer matter.

        `ended` is None while its version is the known one.
        """
        keys = self.keys(room)
        with translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.hget(keys.door, "ended_version")
            pipe.get(keys.pace)
            pipe.hgetall(keys.came)
            version, text, counts = await pipe.execute()
            came = {int(slot): int(count) for slot, count in counts.items()}
            old = [str(slot) for slot in came if slot < now_ms // COHORT_MS - 2 * COHORTS]
            if old:
                await self._client.hdel(keys.came, *old)
            sids: Any = None
            if int(version or 0) != known_version:
                sids = await self._client.zrangebyscore(keys.ended, f"({now_ms}", "+inf")
        return Glance(
            ended_version=int(version or 0),
            ended=None if sids is None else frozenset(sid.decode() for sid in sids),
            pace=None if text is None else _pace_of(text),
            came=came,
        )

    def counting(self, room: str, now_ms: int) -> list[Command]:
        """Name the commands whose replies ``counted`` reads: whoever reads a room anyhow sends them along."""
        keys = self.keys(room)
        return [
            ("ZCOUNT", keys.sessions, f"({now_ms}", "+inf"),
            ("ZCARD", keys.next),
            ("ZCARD", keys.recall),
            ("HGET", keys.door, "admitted"),
            ("GET", keys.pace),
            ("HGETALL", keys.came),
        ]

    async def headcount(self, room: str, now_ms: int) -> Headcount:
        """Count who is in and who is at the door, for figures."""
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for command in self.counting(room, now_ms):
                pipe.execute_command(*command)
            return self.counted(await pipe.execute(), now_ms)

    @staticmethod
    def counted(replies: Sequence[Any], now_ms: int) -> Headcount:
        """Read the replies to ``counting``: who is in, who is at the door, and which part of the called comes."""
        live, called, recall, admitted, text, counts = replies
        pace = None if text is None else _pace_of(text)
        ratio = None
        if pace is not None and pace.cohorts:
            came = {int(slot): int(count) for slot, count in counts.items()}
            ratio = show_ratio(pace.cohorts, came, now_ms)
        return Headcount(live, called, recall, int(admitted or 0), ratio)

    async def has_claimed(self, room: str, number: int) -> bool:
        """Tell whether a number was let in, or given back."""
        keys = self.keys(room)
        with translated():
            return bool(await self._client.getbit(keys.chunk(number), number % CHUNK))

    async def put_pace(self, room: str, state: PaceState) -> None:
        """Hand a state on to the next tick."""
        with translated():
            await self._client.set(self.keys(room).pace, json.dumps(asdict(state), separators=(",", ":")))

    def stale_keys(self, room: str, issued: int) -> list[str]:
        """Name the keys that die with a run of `issued` numbers. Sessions and the rate's debt live on."""
        keys = self.keys(room)
        return [
            *keys.chunks(issued), keys.evicted, keys.withheld, keys.next, keys.recall, keys.next_seen, keys.next_who,
            keys.came, keys.pace,
        ]  # fmt: skip

    async def restore(
        self,
        room: str,
        run: str,
        used: Collection[int],
        sessions: Mapping[str, int],
        ended: Mapping[str, int],
        evicted: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """Put back what the journal knows of a lost door. May be repeated; takes nothing away but old evictions.

        `evicted` holds '' for a place that was given back.
        `run` names the run whose numbers are used. Stays are not restored: a session that comes with its
        token brings its own.
        """
        _ = run
        keys = self.keys(room)
        numbers = sorted(used)
        with translated():
            for start in range(0, len(numbers), RESTORED_AT_ONCE):
                pipe = self._client.pipeline(transaction=False)
                for number in numbers[start : start + RESTORED_AT_ONCE]:
                    pipe.setbit(keys.chunk(number), number % CHUNK, 1)
                await pipe.execute()
            if sessions:
                await self._client.zadd(keys.sessions, dict(sessions), gt=True)
            if ended:
                await self._client.zadd(keys.ended, dict(ended), gt=True)
            out: dict[Any, Any] = {str(number): kept for number, kept in evicted.items() if kept}
            if out:
                await self._client.hset(keys.evicted, mapping=out)
            visits: dict[Any, Any] = {kept.split()[1]: number for number, kept in out.items() if " " in kept}
            if visits:
                await self._client.hset(keys.withheld, mapping=visits)
            if back := [str(number) for number, kept in evicted.items() if not kept]:
                await self._client.hdel(keys.evicted, *back)
            # Not the next number: a worker may have read just that one before the loss, and would look no further.
            await self._client.hincrby(keys.door, "ended_version", secrets.randbelow(_VERSIONS) + 1)


def _pace_of(text: bytes | str) -> PaceState | None:
    try:
        fields: dict[str, Any] = json.loads(text)
        fields["cohorts"] = tuple(Cohort(**row) for row in fields["cohorts"])
        return PaceState(**fields)
    except (ValueError, TypeError, KeyError):
        return None
