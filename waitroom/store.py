"""The line's store: one typed method for each transition, and every key name of the line.

Redis errors become ``Unavailable`` here and nowhere else. Nothing is retried here except a join's own
repeat, which the store answers from memory (see ``join``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.clock import SET_BACK_MS
from kernel.lua import Script, call, fast_call, load
from kernel.store import Command, translated
from waitroom import census as censuses
from waitroom.carry import KEEP_MS, Parcel
from waitroom.census import Census
from waitroom.enlist import Enlisted
from waitroom.kept import line_of, moved_of, parcel_of, void_of, void_text
from waitroom.lanes import Lane, Moved, Serving
from waitroom.line import CHUNK, LEAF_BYTES, Line, without_void
from waitroom.schedule import Phase

CALLS_KEPT = 4096
JOIN_KEPT_MS = 900_000
"""A page asks again under its key until it is answered, which a tunnel or a full bucket can put off for minutes."""
BATCH_KEPT_MS = 60_000
CARRY_SLACK_MS = 60_000
"""A parcel is cleared away so long after the rule has refused it."""

_LUA = Path(__file__).parent / "lua"
_NAMES = (
    "open", "turn", "join", "freeze", "attest", "draw", "call", "lift", "clear", "restore", "carry", "take",
    "census", "climb", "slow", "pass", "enlist",
)  # fmt: skip
_NEW_CALLS = 128

Answer = list[Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent reading of a room."""

    line: Line | None
    calls: tuple[Moved, ...]
    config: str
    proof: str
    counts: tuple[Census, ...] = ()
    beside: tuple[Any, ...] = ()


class Keys:
    """Names of one room's keys. All share the hash tag, so a script may touch any of them."""

    def __init__(self, room: str) -> None:
        """Name the keys of `room`."""
        stem = f"wr:{{{room}}}:"
        self.line = stem + "line"
        self.leaves = stem + "leaves"
        self.journal = stem + "journal"
        self.calls = stem + "calls"
        self.counts = stem + "counts"
        self.in_verified = stem + "in-verified"
        self.in_standard = stem + "in-standard"
        self.slowed = stem + "slowed"
        self.tags = stem + "tags"
        self.spent = stem + "spent"
        self.here = stem + "here:"
        self.config = stem + "config"
        self.once = stem + "once:"
        self.batch = stem + "batch:"
        self.carry = stem + "carry:"

    def chunk(self, number: int) -> str:
        """Name the string that holds a number's leaf."""
        return f"{self.leaves}:{number // CHUNK}"

    def chunks(self, issued: int) -> list[str]:
        """Name all strings that hold leaves below `issued`."""
        return [f"{self.leaves}:{index}" for index in range(-(-issued // CHUNK))]

    def of_run(self, issued: int) -> list[str]:
        """Name what dies with a run of `issued` numbers, besides its line and calls."""
        own = self.counts, self.in_verified, self.in_standard, self.slowed, self.tags, self.spent
        return [*self.chunks(issued), *own]


class LineStore:
    """Transitions of the line on a Redis or Valkey."""

    def __init__(self, client: Redis, scripts: dict[str, Script] | None = None) -> None:
        """Use `client`; `scripts` replaces single scripts (mutants in tests)."""
        self._client = client
        self._scripts = {name: load(_LUA / f"{name}.lua") for name in _NAMES} | (scripts or {})
        self._keys: dict[str, Keys] = {}

    def keys(self, room: str) -> Keys:
        """Return the key names of a room."""
        keys = self._keys.get(room)
        if keys is None:
            keys = self._keys[room] = Keys(room)
        return keys

    async def snapshot(self, room: str, *, whole_history: bool, beside: Sequence[Command] = ()) -> Snapshot:
        """Read line, calls and configuration in one transaction; and what `beside` reads, in the same trip."""
        keys = self.keys(room)
        with translated():
            pipe = self._client.pipeline(transaction=True)
            pipe.hgetall(keys.line)
            pipe.lrange(keys.calls, 0 if whole_history else -_NEW_CALLS, -1)
            for command in (("GET", keys.config), ("LRANGE", keys.counts, 0, -1), *beside):
                pipe.execute_command(*command)
            fields, calls, config, counts, *replies = await pipe.execute()
        return Snapshot(
            line=line_of(fields),
            calls=tuple(moved_of(text) for text in calls),
            config=(config or b"").decode(),
            proof=fields.get(b"proof", b"").decode(),
            counts=tuple(censuses.read(text.decode()) for text in counts),
            beside=tuple(replies),
        )

    async def rooms(self) -> set[str]:
        """Name the rooms that are configured."""
        with translated():
            names: set[Any] = await self._client.smembers("wr:rooms")
            return {name.decode() for name in names}

    async def open(
        self, room: str, seen: str, run: str, opening: str, phase: Phase, commitment: str, who: str,
        stale: Sequence[str] = (), now_ms: int | None = None,
    ) -> Answer:  # fmt: skip
        """Begin a run; `stale` names the keys that die with the one before."""
        keys = self.keys(room)
        return await self._call(
            "open",
            {"line": keys.line, "journal": keys.journal, "calls": keys.calls, "stale": list(stale)},
            {
                "seen": seen,
                "run": run,
                "opening": opening,
                "phase": phase,
                "commitment": commitment,
                "who": who,
            },
            now_ms,
        )

    async def turn(
        self, room: str, run: str, before: Phase, after: Phase, who: str, now_ms: int | None = None
    ) -> Answer:
        """Change the phase, once."""
        args = {"run": run, "before": before, "after": after, "who": who}
        return await self._call("turn", self._two(room), args, now_ms)

    async def join(
        self, room: str, run: str, lane: Lane, leaves: Sequence[bytes], once: Sequence[str],
        batch: str, max_waiting: int | None, now_ms: int | None = None,
    ) -> Answer:  # fmt: skip
        """Give numbers to a batch. The first ``len(once)`` leaves belong to the keys in `once`.

        A failed call is repeated once: keys and batch id make the repeat answer what the first one did.
        """
        keys = self.keys(room)
        names = [keys.line, keys.leaves, keys.batch + batch, *(f"{keys.once}{run}:{key}" for key in once)]
        argv: list[str | int | bytes] = [
            run,
            lane,
            -1 if max_waiting is None else max_waiting,
            len(once),
            JOIN_KEPT_MS,
            BATCH_KEPT_MS,
            *leaves,
        ]
        with translated():
            try:
                return await fast_call(self._client, self._scripts["join"], names, argv, now_ms)
            except (RedisError, OSError):
                return await fast_call(self._client, self._scripts["join"], names, argv, now_ms)

    async def enlist(
        self, room: str, run: str, tag: str, leaf: bytes, lane: Lane, max_waiting: int | None,
        now_ms: int | None = None,
    ) -> Answer:  # fmt: skip
        """Give an identity its one place. Needs no key against repeats: the tag is one."""
        keys = self.keys(room)
        names = {
            "line": keys.line, "journal": keys.journal, "leaves": keys.leaves, "tags": keys.tags,
            "in_verified": keys.in_verified, "in_standard": keys.in_standard,
        }  # fmt: skip
        args: dict[str, str | int | bytes] = {
            "run": run, "tag": tag, "leaf": leaf, "lane": lane,
            "max_waiting": -1 if max_waiting is None else max_waiting,
        }  # fmt: skip
        return await self._call("enlist", names, args, now_ms)

    async def put_tags(self, room: str, places: Mapping[str, Enlisted]) -> None:
        """Write back which place each tag has, where the store knows none (after a loss)."""
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for tag, place in places.items():
                pipe.hsetnx(self.keys(room).tags, tag, place.text())
            await pipe.execute()

    async def drop_tags(self, room: str, run: str) -> None:
        """Delete which place each tag has, if the line is still that of `run`."""
        keys = self.keys(room)
        with translated():
            if await self._client.hget(keys.line, "run") == run.encode():
                await self._client.unlink(keys.tags)

    async def freeze(self, room: str, run: str, who: str, now_ms: int | None = None) -> Answer:
        """Close the draw."""
        return await self._call("freeze", self._two(room), {"run": run, "who": who}, now_ms)

    async def attest(self, room: str, run: str, root: str, now_ms: int | None = None) -> Answer:
        """Publish the root of the frozen leaves."""
        return await self._call("attest", self._two(room), {"run": run, "root": root}, now_ms)

    async def draw(
        self, room: str, run: str, root: str, seed: str, proof: str, now_ms: int | None = None
    ) -> Answer:
        """Set the seed."""
        args = {"run": run, "root": root, "seed": seed, "proof": proof}
        return await self._call("draw", self._two(room), args, now_ms)

    async def call(
        self,
        room: str,
        run: str,
        slot: int,
        serving: Serving,
        plan_per_minute: int,
        now_ms: int | None = None,
    ) -> Answer:
        """Advance the thresholds for one slot."""
        keys = self.keys(room)
        return await self._call(
            "call",
            {"line": keys.line, "journal": keys.journal, "calls": keys.calls},
            {
                "run": run, "slot": slot, "verified": serving.verified, "standard": serving.standard,
                "suspect": serving.suspect, "plan_per_minute": plan_per_minute, "keep": CALLS_KEPT,
                "set_back_ms": SET_BACK_MS,
            },
            now_ms,
        )  # fmt: skip

    async def climb(
        self, room: str, run: str, number: int, before: Lane, after: Lane, why: str, now_ms: int | None = None
    ) -> Answer:
        """Bring a place into a better lane."""
        args: dict[str, str | int] = {
            "run": run, "number": number, "before": before, "after": after, "why": why,
        }  # fmt: skip
        return await self._call("climb", self._lanes(room), args, now_ms)

    async def slow(
        self,
        room: str,
        run: str,
        seed: str,
        number: int,
        rank: int,
        before: Lane,
        reasons: str,
        now_ms: int | None = None,
        *,
        way: str = "",
    ) -> Answer:
        """Put a waiting place into the lane suspect; with a `way` only ask it for a check."""
        args: dict[str, str | int] = {
            "run": run, "seed": seed, "number": number, "rank": rank, "before": before, "reasons": reasons,
            "way": way,
        }  # fmt: skip
        return await self._call("slow", self._lanes(room), args, now_ms)

    async def slowed(self, room: str, run: str, number: int) -> tuple[int, str] | None:
        """Tell since when (ms) and why a number of this run waits in the lane suspect; None where it does not."""
        since, _, reasons = (await self._held_back(room, run, number)).partition(" ")
        return (int(since), reasons) if since.isdecimal() else None

    async def asked(self, room: str, run: str, number: int) -> str:
        """Tell for which check a number of this run was asked, and has not passed: ``prove``, ``step-up``, or ''."""
        way = (await self._held_back(room, run, number)).partition(" ")[0]
        return "" if way.isdecimal() else way

    async def passes(self, room: str, run: str, number: int, why: str, now_ms: int | None = None) -> Answer:
        """Take back what a place was asked for: it has passed a check."""
        return await self._call("pass", self._lanes(room), {"run": run, "number": number, "why": why}, now_ms)

    async def _held_back(self, room: str, run: str, number: int) -> str:
        keys = self.keys(room)
        with translated():
            pipe = self._client.pipeline(transaction=True)
            pipe.hget(keys.line, "run")
            pipe.hget(keys.slowed, str(number))
            found, text = await pipe.execute()
        return text.decode() if text is not None and found == run.encode() else ""

    async def has_climbed(self, room: str, run: str, number: int) -> bool:
        """Tell whether a number of this run has reached a better lane than that of its joining."""
        keys = self.keys(room)
        with translated():
            pipe = self._client.pipeline(transaction=True)
            pipe.hget(keys.line, "run")
            pipe.getbit(keys.in_verified, number)
            pipe.getbit(keys.in_standard, number)
            found, verified, standard = await pipe.execute()
        return bool(found == run.encode() and (verified or standard))

    async def lift(
        self, room: str, run: str, issued: int, serving: Serving, why: str, now_ms: int | None = None
    ) -> Answer:
        """Raise the counter and the thresholds to what a witness proves."""
        args: dict[str, str | int] = {
            "run": run, "issued": issued, "verified": serving.verified, "standard": serving.standard,
            "suspect": serving.suspect, "why": why,
        }  # fmt: skip
        return await self._call("lift", self._two(room), args, now_ms)

    async def clear(
        self, room: str, run: str, epoch: int, stale: Sequence[str] = (), now_ms: int | None = None
    ) -> Answer:
        """Take the line of an earlier run away; `stale` names the keys that die with it."""
        keys = self.keys(room)
        names = {"line": keys.line, "calls": keys.calls, "stale": list(stale)}
        return await self._call("clear", names, {"run": run, "epoch": epoch}, now_ms)

    async def restore(
        self, room: str, seen_epoch: int, line: Line, why: str, now_ms: int | None = None, *, proof: str = ""
    ) -> Answer:
        """Put a lost or rolled-back line back, in a new epoch; `proof` is that of its draw."""
        args: dict[str, str | int] = {
            "seen_epoch": seen_epoch, "run": line.run, "epoch": line.epoch, "phase": line.phase,
            "opening": line.opening, "issued": line.issued, "void": void_text(line.void),
            "verified": line.serving.verified, "standard": line.serving.standard, "suspect": line.serving.suspect,
            "joined_verified": line.joined_verified, "joined_suspect": line.joined_suspect,
            "frozen": -1 if line.frozen is None else line.frozen, "root": line.root, "seed": line.seed,
            "commitment": line.commitment, "proof": proof, "opened_ms": line.opened_ms, "why": why,
        }  # fmt: skip
        return await self._call("restore", self._two(room), args, now_ms)

    async def here(self, room: str, run: str, name: int, number: int, keep_ms: int) -> None:
        """Note that a number's page answered in a round."""
        key = f"{self.keys(room).here}{run}:{name}"
        with translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.sadd(key, number)
            pipe.pexpire(key, keep_ms)
            await pipe.execute()

    async def answered(self, room: str, run: str, name: int) -> set[int]:
        """Read the numbers that answered in a round."""
        with translated():
            found: Any = await self._client.smembers(f"{self.keys(room).here}{run}:{name}")
        return {int(number) for number in found}

    async def census(self, room: str, run: str, count: Census, now_ms: int | None = None) -> Answer:
        """Keep a round's count, once."""
        keys = self.keys(room)
        args: dict[str, str | int] = {
            "run": run, "round": count.round, "rest": censuses.text_of(count), "keep": censuses.KEPT,
        }  # fmt: skip
        return await self._call("census", {"line": keys.line, "counts": keys.counts}, args, now_ms)

    async def carry(
        self, room: str, run: str, name: str, contents: bytes, now_ms: int | None = None
    ) -> Answer:
        """Keep a sealed ticket for whoever brings its code."""
        args: dict[str, str | int | bytes] = {
            "run": run, "contents": contents, "keep_ms": KEEP_MS, "slack_ms": CARRY_SLACK_MS,
        }  # fmt: skip
        return await self._call("carry", self._parcel(room, name), args, now_ms)

    async def take(self, room: str, name: str, taker: str, now_ms: int | None = None) -> Answer:
        """Hand a sealed ticket over, once."""
        args: dict[str, str | int] = {"taker": taker, "keep_ms": KEEP_MS, "slack_ms": CARRY_SLACK_MS}
        return await self._call("take", self._parcel(room, name), args, now_ms)

    async def parcel(self, room: str, name: str) -> tuple[Parcel | None, int]:
        """Read a parcel, and the time by which the store judges it."""
        with translated():
            pipe = self._client.pipeline(transaction=True)
            pipe.hgetall(self.keys(room).carry + name)
            pipe.time()
            found, (seconds, micros) = await pipe.execute()
        return parcel_of(found), int(seconds) * 1000 + int(micros) // 1000

    def _parcel(self, room: str, name: str) -> dict[str, str | Sequence[str]]:
        keys = self.keys(room)
        return {"line": keys.line, "parcel": keys.carry + name}

    async def put_leaves(self, room: str, start: int, leaves: bytes) -> None:
        """Write leaves back after a loss, where the slots are still empty or the same (restore only)."""
        keys = self.keys(room)
        with translated():
            at = 0
            while at < len(leaves):
                number = start + at // LEAF_BYTES
                offset = number % CHUNK * LEAF_BYTES
                part = leaves[at : at + CHUNK * LEAF_BYTES - offset]
                if not await self._client.strlen(keys.chunk(number)):
                    await self._client.setrange(keys.chunk(number), CHUNK * LEAF_BYTES - 1, "\0")
                await self._client.setrange(keys.chunk(number), offset, part)
                at += len(part)

    async def leaves(self, room: str, start: int, count: int) -> bytes:
        """Read leaves [start, start + count) as the public sees them; missing and void ones are zero bytes.

        Who holds a void number may fill the slot at any time (a claim, a leave). The root is made of what this returns
        and so are the published blocks, hence a slot filled late changes neither.
        """
        keys = self.keys(room)
        parts: list[bytes] = []
        number, stop = start, start + count
        with translated():
            told: list[Any] = await self._client.hmget(keys.line, ["void"])
            while number < stop:
                last = min(stop, (number // CHUNK + 1) * CHUNK)
                since = number % CHUNK * LEAF_BYTES
                wanted = (last - number) * LEAF_BYTES
                part: Any = await self._client.getrange(keys.chunk(number), since, since + wanted - 1)
                parts.append(bytes(part).ljust(wanted, b"\0"))
                number = last
        return without_void(b"".join(parts), start, void_of((told[0] or b"").decode()))

    def _lanes(self, room: str) -> dict[str, str | Sequence[str]]:
        keys = self.keys(room)
        return {
            "line": keys.line, "journal": keys.journal, "in_verified": keys.in_verified,
            "in_standard": keys.in_standard, "slowed": keys.slowed,
        }  # fmt: skip

    def _two(self, room: str) -> dict[str, str | Sequence[str]]:
        return {"line": (keys := self.keys(room)).line, "journal": keys.journal}

    async def _call(
        self,
        name: str,
        keys: Mapping[str, str | Sequence[str]],
        args: Mapping[str, str | int | bytes],
        now_ms: int | None,
    ) -> Answer:
        with translated():
            return await call(self._client, self._scripts[name], keys, args, now_ms)
