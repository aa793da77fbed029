"""Provider: somebody else's check, with a limit of time and a breaker, and each token good for once.

A token is spent before the provider is asked, so that of two who bring the same one only one is believed, whatever the
provider says. Whoever does not answer is left alone for a while (``kernel.breaker``); then, and whenever an answer is
``AWAY``, the proof of work is what is offered: never a silent pass.
"""

import logging

from botguard.challenges.judging import judged
from botguard.challenges.port import Asking, Away, Outcome, Spent, Subject
from botguard.challenges.siteverify import Site
from kernel.breaker import Breaker, BreakerState
from kernel.clock import Clock

log = logging.getLogger(__name__)

TOKEN_MOST_CHARS = 8192
TOKEN_KEPT_MS = 900_000
"""Longer than any provider's token is good (Turnstile 300 s, hCaptcha and reCAPTCHA 120 s)."""
FAILURES_MOST = 5


class Provider:
    """One provider."""

    def __init__(
        self, site: Site, ask: Asking, spent: Spent, clock: Clock, breaker: Breaker | None = None
    ) -> None:
        """Ask by `ask` about tokens of `site`."""
        self.site = site
        self._ask = ask
        self._spent = spent
        self._clock = clock
        self._breaker = breaker or Breaker(FAILURES_MOST)

    @property
    def state(self) -> BreakerState:
        """Tell how the breaker stands."""
        return self._breaker.state

    def is_open(self, now_ms: int) -> bool:
        """Tell whether a page may be sent to this provider now."""
        return self._breaker.rest_ms(now_ms) == 0

    async def verify(self, token: str, subject: Subject) -> Outcome:
        """Judge a token. Raises Unavailable when nobody knows whether it was used."""
        if not 0 < len(token) <= TOKEN_MOST_CHARS or not token.isascii() or not token.isprintable():
            return Outcome.MALFORMED
        number = self._breaker.ask(self._clock.now_ms())
        if number is None:
            return Outcome.AWAY
        answered: bool | None = None
        try:
            if not await self._spent.spend(f"{self.site.way}|{token}", TOKEN_KEPT_MS):
                return Outcome.SPENT
            reply = await self._ask(token)
            outcome = judged(self.site.way, reply, self.site.hosts, subject.tag)
            answered = True
        except Away as reason:
            answered = False
            log.warning(
                "challenges: a provider gave no usable answer",
                extra={"provider": str(self.site.way), "reason": str(reason)},
            )
            return Outcome.AWAY
        finally:
            self._tell(number, answered)
        return outcome

    def _tell(self, number: int, answered: bool | None) -> None:
        """Let the breaker know; None: the call ended before anybody was asked."""
        if answered is None:
            self._breaker.gave_up(number)
        elif answered:
            self._breaker.answered(number)
        else:
            self._breaker.failed(number, self._clock.now_ms())
