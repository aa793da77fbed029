"""Challenges: the bot guard's checks in the words of the line, and the parts that they are made of.

Two numbers go in: how long the line is, and a score from whoever judges visits; nobody does so yet, so every place has
the same price. What comes of a check is decided in ``botguard.challenges``, what follows from it in ``waitroom``.
"""

from collections.abc import Callable, Mapping

from redis.asyncio import Redis

from botguard.challenges.boxed import Boxed
from botguard.challenges.metrics import Metrics
from botguard.challenges.port import Asking, Outcome, Subject, Way, Weight
from botguard.challenges.provider import Provider
from botguard.challenges.service import Challenges
from botguard.challenges.siteverify import Asked, Site, Wire
from botguard.challenges.spent import SpentStore
from botguard.challenges.work import Work
from gateway.settings import Settings
from kernel.clock import Clock
from waitroom.check_page import Check
from waitroom.ports import Asker

_WAYS = frozenset(str(way) for way in Way)

Score = Callable[[Asker], float | None]
"""How much a place looks like a bot's, 0 to 1; None while nobody has judged."""


def unjudged(asker: Asker) -> float | None:
    """Know nothing."""
    del asker
    return None


class RoomChallenges:
    """``waitroom.ports.Challenges``: checks for places."""

    def __init__(
        self,
        settings: Settings,
        client: Redis,
        secret: bytes,
        clock: Clock,
        metrics: Metrics,
        score: Score = unjudged,
    ) -> None:
        """Make the ways that are set up; nothing is asked yet."""
        spent = SpentStore(client)
        self._wire = Wire(settings.challenge_limit_s)
        self._score = score
        hosts = settings.hosts_of_checks(settings.public_url)
        providers = {}
        for way, (sitekey, key, url) in settings.provider_keys().items():
            site = Site(way, sitekey, key, url, hosts)
            ask: Asking = Boxed(site, self._wire) if way is Way.HCAPTCHA else Asked(site, self._wire)
            providers[way] = Provider(site, ask, spent, clock)
        self._challenges = Challenges(Work(spent, secret), providers, metrics)

    def check(self, wanted: str, now_ms: int) -> Check:
        """Say what a page needs."""
        widget = self._challenges.widget(Way(wanted), now_ms)
        return Check(str(widget.way), widget.sitekey, widget.script, widget.sources)

    async def issue(self, asker: Asker, way: str, given: object, now_ms: int) -> Mapping[str, object] | str:
        """Give a challenge, or the word why not."""
        weight = Weight(asker.wait_min, self._score(asker))
        found = await self._challenges.issue(
            Way(asker.wanted), _way(way), _subject(asker), weight, now_ms, given
        )
        return str(found) if isinstance(found, Outcome) else found

    async def verify(self, asker: Asker, way: str, answer: str, now_ms: int) -> str:
        """Return ``passed``, or the word why an answer does not count."""
        if way not in _WAYS:
            return str(Outcome.MALFORMED)
        return str(
            await self._challenges.verify(Way(asker.wanted), Way(way), answer, _subject(asker), now_ms)
        )

    async def close(self) -> None:
        """Stop."""
        await self._challenges.close()
        await self._wire.close()


def _way(text: str) -> Way:
    """Read what is asked for; whatever it is not, work is."""
    return Way(text) if text in _WAYS else Way.WORK


def _subject(asker: Asker) -> Subject:
    return Subject(asker.room, asker.run, asker.number, asker.ticket_id)
