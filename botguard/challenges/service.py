"""Service: which way is open, what is issued, what an answer is worth. Everything is counted here.

Work is always open: it stands in where a provider is away or not set up, and whoever cannot or will not use a
provider's check chooses it, one level dearer (``price``).
"""

import asyncio
from collections.abc import Mapping

from botguard.challenges.metrics import Metrics
from botguard.challenges.port import Outcome, Subject, Way, Weight, Widget
from botguard.challenges.price import level_of
from botguard.challenges.provider import Provider
from botguard.challenges.work import POOL_MOST, Work

_WORK = Widget(Way.WORK)


class Challenges:
    """The challenges of this worker."""

    def __init__(self, work: Work, providers: Mapping[Way, Provider], metrics: Metrics) -> None:
        """Offer work, and the providers that are set up."""
        self._work = work
        self._providers = dict(providers)
        self._metrics = metrics
        self._filling: asyncio.Task[None] | None = None

    def widget(self, wanted: Way, now_ms: int) -> Widget:
        """Say what a page needs for the way that a room wants, or for the work that stands in."""
        provider = self._providers.get(wanted)
        return provider.site.widget if provider is not None and provider.is_open(now_ms) else _WORK

    async def issue(
        self, wanted: Way, way: Way, subject: Subject, weight: Weight, now_ms: int, given: object = None
    ) -> Mapping[str, object] | Outcome:
        """Give a challenge; `given` is one that a slow device takes back for an easier one.

        Asks for `way` where the room wants `wanted`; what is given says by its ``way`` what it is.
        Raises Unavailable.
        """
        open_way = self.widget(wanted, now_ms).way
        if way is not Way.WORK and way is open_way:
            self._metrics.issued.labels(str(way)).inc()
            return {"way": str(way), "tag": subject.tag}
        level = level_of(weight, instead=way is Way.WORK and open_way is not Way.WORK)
        if given is not None:
            next_level = await self._work.easier(given, subject, now_ms)
            if isinstance(next_level, Outcome):
                self._metrics.easier.labels(str(next_level)).inc()
                return next_level
            level = next_level
            self._metrics.easier.labels(str(Outcome.PASSED)).inc()
        elif wanted is not Way.WORK:
            reason = "chosen" if open_way is wanted else "away" if wanted in self._providers else "unset"
            self._metrics.instead.labels(reason).inc()
        self._metrics.issued.labels(str(Way.WORK)).inc()
        made = self._work.issue(subject, level, now_ms)
        self._fill()
        return {"way": str(Way.WORK), **made}

    async def verify(self, wanted: Way, way: Way, answer: str, subject: Subject, now_ms: int) -> Outcome:
        """Judge an answer; only work and the way that the room wants count. Raises Unavailable."""
        provider = self._providers.get(way)
        if way is Way.WORK:
            outcome = await self._work.verify(answer, subject, now_ms)
        elif way is not wanted:
            outcome = Outcome.FOREIGN
        elif provider is None:
            outcome = Outcome.AWAY
        else:
            outcome = await provider.verify(answer, subject)
        self._metrics.answered.labels(str(way), str(outcome)).inc()
        return outcome

    async def close(self) -> None:
        """Stop making puzzles ahead."""
        if self._filling is not None:
            self._filling.cancel()

    def _fill(self) -> None:
        """Make puzzles ahead in the pauses of other work."""
        if self._filling is None or self._filling.done():
            self._filling = asyncio.create_task(self._filled(), name="puzzles")

    async def _filled(self) -> None:
        for _ in range(POOL_MOST):
            if not self._work.fill():
                return
            await asyncio.sleep(0)
