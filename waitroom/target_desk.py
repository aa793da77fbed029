"""Target desk: what owners do with targets: make, remove, pause, resume, test, replay, give a new secret.

Each act goes into the journal with who and why, in the transaction that does it. A target's secret is kept nowhere:
it follows from the key ring, the target's salt and its generation, and is told when the target is made and when it
gets a new one. From then on both secrets sign for a day, so a receiver changes over without losing an event.

Not here: who is an owner (``dashboards``), how targets are told (``target_round``).
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from hmac import digest
from typing import Any

from kernel.clock import Clock
from kernel.errors import Misconfigured, Refused
from kernel.reach import Reach
from kernel.sending import Result
from kernel.webhook_signing import secret_text
from waitroom.configure import WHO_CHARS, WHY_CHARS, Actor
from waitroom.journal import Kind, NewEntry
from waitroom.target_store import TargetStore
from waitroom.target_ways import TargetWays
from waitroom.targets import Delivery, State, Target, Way, address_fault, read_target

SALT_BYTES = 16
BOTH_MS = 86_400_000
"""So long the secret before the present one signs, too."""


class Act(StrEnum):
    """What is done with a target that there is."""

    TEST = "test"
    PAUSE = "pause"
    RESUME = "resume"
    REPLAY = "replay"
    ROTATE = "rotate"


SAID: Mapping[Act, str] = {
    Act.PAUSE: "paused the target",
    Act.RESUME: "resumed the target",
    Act.REPLAY: "replays events to the target",
    Act.ROTATE: "gave a new secret to the target",
}


class Secrets:
    """The secrets of all targets."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        """`key` is of the key ring, for this purpose alone."""
        self._key = key
        self._clock = clock

    def of(self, target: Target, generation: int | None = None) -> bytes:
        """Return the secret of a generation; the present one where none is named."""
        which = target.generation if generation is None else generation
        return digest(self._key, b"%s\0%d\0" % (target.name.encode(), which) + target.salt, "sha256")

    def hold(self, target: Target) -> Sequence[bytes]:
        """Return the secrets that sign now."""
        if self._clock.now_ms() < target.old_until_ms:
            return [self.of(target), self.of(target, target.generation - 1)]
        return [self.of(target)]


class TargetDesk:
    """The use cases of an owner."""

    def __init__(
        self,
        store: TargetStore,
        ways: TargetWays,
        keys: Secrets,
        reach: Reach,
        clock: Clock,
        *,
        mails: bool = False,
    ) -> None:
        """Join the parts."""
        self._store = store
        self._ways = ways
        self._keys = keys
        self._clock = clock
        self._reach = reach
        self.mails = mails

    async def all(self) -> list[Target]:
        """Return all targets by name."""
        return await asyncio.to_thread(self._store.all)

    async def get(self, name: str) -> Target:
        """Return a target. Raises ``Refused``."""
        return await asyncio.to_thread(self._store.get, name)

    async def deliveries(self, name: str) -> list[Delivery]:
        """Return the last tries of a target, newest first. Raises ``Refused``."""
        await self.get(name)
        return await asyncio.to_thread(self._store.deliveries, name)

    async def make(self, given: Mapping[str, Any], actor: Actor) -> tuple[Target, str]:
        """Make a target; return it and its secret, told this once. Raises ``Misconfigured`` and ``Refused``."""
        target, after = read_target(given, self._reach, mails=self.mails)
        fresh = replace(target, salt=secrets.token_bytes(SALT_BYTES), made_ms=self._clock.now_ms())
        made = await asyncio.to_thread(
            self._store.make, fresh, after, self._record("made the target", fresh.name, actor)
        )
        return made, self._told_secret(made)

    async def put(self, name: str, given: Mapping[str, Any], tag: str | None, actor: Actor) -> Target:
        """Make another of a target: way, address, rooms, kinds. It goes on where it was, and keeps its secret.

        `tag`: what it has to be until then. Raises ``Misconfigured`` and ``Refused``.
        """
        faults = [f"{one}: there is no such field" for one in ("name", "after") if one in given]
        if faults:
            raise Misconfigured(faults)
        wanted, _ = read_target({**given, "name": name}, self._reach, mails=self.mails)
        record = self._record("changed the target", name, actor)
        return await asyncio.to_thread(self._store.redefine, wanted, tag, record)

    async def remove(self, name: str, actor: Actor, tag: str | None = None) -> None:
        """Forget a target, where it is still what `tag` says. Raises ``Refused``."""
        await asyncio.to_thread(
            self._store.remove, name, tag, self._record("removed the target", name, actor)
        )

    async def act(self, name: str, act: Act, given: Mapping[str, Any], actor: Actor) -> tuple[Target, str]:
        """Do something with a target; return it, and a new secret or ''. Raises ``Refused``, ``Misconfigured``."""
        target = await self.get(name)
        more: dict[str, str] = {}
        values: dict[str, Any]
        match act:
            case Act.TEST:
                await self._test(target)
                return await self.get(name), ""
            case Act.PAUSE:
                values = {"state": State.PAUSED.value}
            case Act.RESUME:
                values = {"state": State.ACTIVE.value, "tries": 0, "next_ms": 0, "why": ""}
            case Act.REPLAY:
                first = _first(given)
                values, more = (
                    {"cursor": first - 1, "tries": 0, "next_ms": 0, "why": ""},
                    {"from": str(first)},
                )
            case Act.ROTATE:
                until_ms = self._clock.now_ms() + BOTH_MS
                values = {"generation": target.generation + 1, "old_until_ms": until_ms}
        record = self._record(SAID[act], name, actor, **more)
        changed = await asyncio.to_thread(lambda: self._store.change(name, record, **values))
        return changed, self._told_secret(changed) if act is Act.ROTATE else ""

    def _told_secret(self, target: Target) -> str:
        return secret_text(self._keys.of(target)) if target.way is Way.WEBHOOK else ""

    async def _test(self, target: Target) -> Result:
        if fault := address_fault(target.way, target.address, self._reach, mails=self.mails):
            raise Misconfigured([f"address: {fault}"])
        began_ms = self._clock.now_ms()
        result = await self._ways.test(target)
        now_ms = self._clock.now_ms()
        delivery = Delivery(now_ms, 0, 0, result.outcome.value, result.why, now_ms - began_ms)
        await asyncio.to_thread(self._store.log, target.name, delivery)
        return result

    def _record(self, act: str, name: str, actor: Actor, **more: str) -> NewEntry:
        by = {"who": actor.who[:WHO_CHARS], "why": actor.why[:WHY_CHARS]}
        body = {"act": act, "what": name} | by | more
        return NewEntry(self._clock.now_ms(), "", "", Kind.TARGET, body)


def _first(given: Mapping[str, Any]) -> int:
    first = given.get("from")
    if not isinstance(first, int) or isinstance(first, bool) or not 1 <= first < 1 << 53:
        raise Refused("replay-malformed", "Say from which event on: a whole number from 1 on.", 422)
    return first
