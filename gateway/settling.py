"""Settling at the gate: the bot guard's word on a place whose turn comes near, in the words of the line.

The mapping stands here: **slow, and a proof, put a place into the lane suspect**; all else leaves it where it is,
and ``prove`` and ``step-up`` ask for a check there. A place is judged once, and what it told is read
before that is noted, so that a rhythm which cannot be read costs nobody their say. What is kept: for a day that the
place has told, under a hash, and the marks of its sketch.

Not here: what a rhythm is worth (``botguard``), where the line asks (``waitroom.settling``).
"""

from collections.abc import Mapping

from redis.asyncio import Redis

from botguard.behaviour import Behaviours
from botguard.challenges.spent import SpentStore
from botguard.service import Guard
from botguard.sketch_store import SketchStore
from botguard.telling import read
from botguard.velocity.subjects import DAY_MS
from botguard.verdict import Verdict
from gateway.bot_guard import Newcomers
from kernel.asgi import Scope
from waitroom.ports import Found
from waitroom.rooms import Room
from waitroom.ticket import Ticket

SLOW = frozenset({Verdict.SLOW, Verdict.DENY})
ASKS = frozenset({Verdict.PROVE, Verdict.STEP_UP})


class Settler:
    """``waitroom.ports.Settler``."""

    def __init__(self, guard: Guard, newcomers: Newcomers, client: Redis, secret: bytes) -> None:
        """Join the parts; the guard's model is asked. `secret` makes the names in the marks of sketches."""
        self._guard = guard
        self._newcomers = newcomers
        self._spent = SpentStore(client)
        self._behaviours = Behaviours(guard.model, SketchStore(client, secret), guard.metrics.without.count)

    async def settle(
        self,
        scope: Scope,
        room: Room,
        cookies: Mapping[str, str],
        place: Ticket,
        given: Mapping[str, object],
        now_ms: int,
    ) -> Found | None:
        """Judge a place by what its page tells; None for one that was judged before."""
        told = read(given)
        session = f"{room.name}|{place.run}|{place.number}"
        if not await self._spent.spend(f"rhythm|{session}", DAY_MS):
            return None
        asked = self._newcomers.asked(room)
        device, proofs = self._newcomers.device(asked, cookies)
        judged = await self._guard.settle(
            room.name,
            scope["headers"],
            self._newcomers.asking(scope),
            now_ms,
            mode=asked.mode,
            thresholds=asked.thresholds,
            device=device,
            identity=place.identity_tag,
            proofs=proofs,
            behaviour=await self._behaviours.weigh(session, told, now_ms),
        )
        verdict = judged.verdict
        return Found(verdict in SLOW, judged.reasons, str(verdict) if verdict in ASKS else "")
