"""Service: judges whoever joins, as the room wants it: off, watch or on.

``watch`` reads, counts and changes nothing: nobody waits for the store, and what would have followed is told by the
metrics. ``on`` waits a moment for the counts (``velocity.counting``), because a hard limit must hold before a number is
given. Whoever is denied hears in words why, and what they can do. ``settle`` is asked once more, when the wait has
fallen below two minutes and the page tells its rhythm; there the likelihood counts.

Not here: lanes and tickets (``waitroom``, joined in ``gateway``), what follows from what (``verdict``).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any

from botguard.behaviour import NOTHING, Behaviour
from botguard.metrics import Metrics
from botguard.model import Model, default
from botguard.request.facts import Asking, Facts, Reader
from botguard.request.hints import Header
from botguard.velocity.counting import Counts, Velocity
from botguard.velocity.subjects import Actor
from botguard.verdict import LIMITS, Evidence, Judged, Proof, Stage, Thresholds, Verdict, decide
from kernel.errors import Refused
from kernel.tasks import is_ending
from kernel.watched import Watched

log = logging.getLogger(__name__)

LOOK_S = 5.0


class Mode(StrEnum):
    """What a room does with verdicts."""

    OFF = "off"
    WATCH = "watch"
    ON = "on"


class Guard:
    """Use cases of the bot guard, for one worker."""

    def __init__(
        self,
        reader: Reader,
        velocity: Velocity,
        metrics: Metrics,
        *,
        files: Sequence[Watched[Any]] = (),
        model: Callable[[], Model] = default,
    ) -> None:
        """`files` are looked after by ``run``; `model` gives the one that is in use."""
        self.metrics = metrics
        self.model = model
        self._reader = reader
        self._velocity = velocity
        self._files = files

    async def join(
        self,
        room: str,
        headers: Iterable[Header],
        asking: Asking,
        now_ms: int,
        *,
        mode: Mode,
        thresholds: Thresholds,
        device: str = "",
        identity: str = "",
        proofs: frozenset[Proof] = frozenset(),
    ) -> Judged:
        """Judge somebody who joins; what nobody waits for is counted when it is known. Raises ``Refused``."""
        if mode is Mode.OFF:
            return Judged(Verdict.ALLOW)
        facts = self._reader.read(headers, asking, now_ms)
        actor = Actor(facts.address, device, identity)
        if mode is Mode.WATCH:
            answer = await self._velocity.submit(room, actor)
            if answer is None:
                self._told(room, mode, decide(Evidence(facts, None, proofs), thresholds, Stage.JOIN))
            else:
                answer.add_done_callback(lambda done: self._later(room, facts, proofs, thresholds, done))
            return Judged(Verdict.ALLOW)
        counts = await self._velocity.act(room, actor)
        judged = decide(Evidence(facts, counts, proofs), thresholds, Stage.JOIN)
        self._told(room, mode, judged)
        if judged.verdict is Verdict.DENY:
            raise denied(judged.reasons, counts)
        return judged

    async def settle(
        self,
        room: str,
        headers: Iterable[Header],
        asking: Asking,
        now_ms: int,
        *,
        mode: Mode,
        thresholds: Thresholds,
        device: str = "",
        identity: str = "",
        proofs: frozenset[Proof] = frozenset(),
        behaviour: Behaviour = NOTHING,
    ) -> Judged:
        """Judge somebody whose turn comes near; nothing is counted as another act.

        A room that only watches hears ``allow``; what would have followed is counted.
        """
        if mode is Mode.OFF:
            return Judged(Verdict.ALLOW)
        facts = self._reader.read(headers, asking, now_ms)
        counts = await self._velocity.act(room, Actor(facts.address, device, identity), acts=False)
        # A limit is passed by an act; who only comes back has done nothing more.
        known = counts and {subject: count._replace(wait_ms=0) for subject, count in counts.items()}
        evidence = Evidence(facts, known, proofs, behaviour.odds, behaviour.codes)
        judged = decide(evidence, thresholds, Stage.SETTLE)
        self.metrics.settle(room, mode, judged.verdict, judged.likelihood)
        for reason in judged.reasons:
            self.metrics.settled_reasons.count(reason)
        return judged if mode is Mode.ON else Judged(Verdict.ALLOW)

    async def run(self, every_s: float = LOOK_S) -> None:
        """Look after the files, for ever."""
        while not is_ending():
            await self.refresh()
            await asyncio.sleep(every_s)

    async def refresh(self) -> None:
        """Take over the files that have changed."""
        for file in self._files:
            await file.refresh()

    async def close(self) -> None:
        """Leave what is under way."""
        await self._velocity.close()
        await self._reader.close()

    def _later(
        self,
        room: str,
        facts: Facts,
        proofs: frozenset[Proof],
        thresholds: Thresholds,
        done: "asyncio.Future[Counts | None]",
    ) -> None:
        counts = None if done.cancelled() else done.result()
        self._told(room, Mode.WATCH, decide(Evidence(facts, counts, proofs), thresholds, Stage.JOIN))

    def _told(self, room: str, mode: Mode, judged: Judged) -> None:
        self.metrics.judge(room, mode, judged.verdict)
        for reason in judged.reasons:
            self.metrics.reasons.count(reason)


def denied(reasons: Sequence[str], counts: Counts | None) -> Refused:
    """Say to somebody who is denied why, and what they can do."""
    limits = {proof.value: subject for subject, proof in LIMITS.items()}
    waits_ms = [
        count.wait_ms
        for reason in reasons
        if (subject := limits.get(reason)) is not None and (count := (counts or {}).get(subject)) is not None
    ]
    if len(waits_ms) == len(reasons):
        return Refused(
            "too-many-places",
            "This browser has taken many places within a few minutes. Keep one of them, or wait a little for another.",
            status=429,
            retry_after_s=max(1, -(-max(waits_ms) // 1000)),
            reasons=list(reasons),
        )
    return Refused(
        "forged",
        "Something that your browser sent was not made by this site. Delete this site's cookies and try again.",
        status=403,
        reasons=list(reasons),
    )
