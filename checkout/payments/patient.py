"""Patience: a provider that is asked again where that can do no harm, and left alone where it does not answer.

* **Again**: after ``Unclear`` and ``NotNow``, under the same key, up to ``tries`` times and within ``most_ms``: no wait
  begins that would end after it (a call under way is bounded by the provider's own timeout). Waits are drawn between 0
  and a bound that doubles ("full jitter"), so that many callers do not come back together; what ``NotNow`` names comes
  on top. Only reads and calls with a key are repeated: without a key a repeat may be a second payment.
* **Alone**: a breaker counts ``Unclear``, which is also every 5xx. ``NotNow``, ``Refusal`` and a decline are answers.
  While it is open every call is ``NotNow`` at once.

**What is told in the end is never more than is known.** Once a try was ``Unclear``, a later ``NotNow`` does not mean
that nothing was done, so the end is ``Unclear``. A later answer or refusal counts: keys make it that of the first try.

Not here: which failure is which (each adapter), what follows (``orders``).
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from checkout.money import Money
from checkout.payments.port import (
    Capability,
    Charge,
    Notice,
    NotNow,
    Payment,
    Provider,
    Refund,
    Refusal,
    Unclear,
)
from kernel.breaker import Breaker, BreakerState
from kernel.clock import Clock
from kernel.tracing import CLIENT, Span, span

log = logging.getLogger(__name__)

TRIES = 5
MOST_MS = 30_000
FIRST_WAIT_MS = 200
LONGEST_WAIT_MS = 5_000

Result = TypeVar("Result")
Rest = Callable[[float], Awaitable[object]]


class KeptAway(NotNow):
    """The breaker is open: nobody was asked, and who waits here would only wait with all others."""


class Watch(Protocol):
    """Whoever counts: for metrics."""

    def asked(self, call: str, outcome: str) -> None:
        """Hear of each try: ``done unclear not-now refused broken-off``, or ``kept-away`` by the breaker."""

    def stands(self, state: BreakerState) -> None:
        """Hear how the breaker stands, whenever that changes."""


class Unwatched:
    """Nobody counts."""

    def asked(self, call: str, outcome: str) -> None:
        """Hear nothing."""

    def stands(self, state: BreakerState) -> None:
        """Hear nothing."""


class Patient:
    """A provider behind a breaker, with repeats."""

    def __init__(
        self,
        provider: Provider,
        clock: Clock,
        random: random.Random,
        *,
        breaker: Breaker | None = None,
        watch: Watch | None = None,
        tries: int = TRIES,
        most_ms: int = MOST_MS,
        first_wait_ms: int = FIRST_WAIT_MS,
        longest_wait_ms: int = LONGEST_WAIT_MS,
        rest: Rest = asyncio.sleep,
    ) -> None:
        """`most_ms`: so long after its first try a call is not tried again; `rest` waits for seconds."""
        self._provider = provider
        self._clock = clock
        self._random = random
        self._breaker = breaker or Breaker()
        self._watch = watch or Unwatched()
        self._tries = tries
        self._most_ms = most_ms
        self._first_wait_ms = first_wait_ms
        self._longest_wait_ms = longest_wait_ms
        self._rest = rest
        self._told = self._breaker.state
        self._watch.stands(self._told)

    @property
    def name(self) -> str:
        """Name the provider."""
        return self._provider.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Say what the provider can do."""
        return self._provider.capabilities

    @property
    def breaker_state(self) -> BreakerState:
        """Tell how the breaker stands."""
        return self._breaker.state

    async def create(self, charge: Charge) -> Payment:
        """Make a payment."""
        return await self._patiently(
            "create", lambda: self._provider.create(charge), may_repeat=bool(charge.key)
        )

    async def confirm(self, ref: str, method: str, return_url: str, key: str) -> Payment:
        """Ask the bank."""
        return await self._patiently(
            "confirm", lambda: self._provider.confirm(ref, method, return_url, key), may_repeat=bool(key)
        )

    async def fetch(self, ref: str) -> Payment:
        """Tell how a payment stands."""
        return await self._patiently("fetch", lambda: self._provider.fetch(ref), may_repeat=True)

    async def capture(self, ref: str, amount: Money, key: str) -> Payment:
        """Take what was authorised."""
        return await self._patiently(
            "capture", lambda: self._provider.capture(ref, amount, key), may_repeat=bool(key)
        )

    async def void(self, ref: str, key: str) -> Payment:
        """Let go of a payment."""
        return await self._patiently("void", lambda: self._provider.void(ref, key), may_repeat=bool(key))

    async def refund(self, ref: str, amount: Money, key: str) -> Refund:
        """Give back."""
        return await self._patiently(
            "refund", lambda: self._provider.refund(ref, amount, key), may_repeat=bool(key)
        )

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> list[Notice]:
        """Read what a webhook brings; nobody is asked."""
        return self._provider.parse_webhook(body, headers, now_ms)

    async def take_in(self, notices: Sequence[Notice]) -> None:
        """Keep what notices tell; nobody is asked."""
        await self._provider.take_in(notices)

    async def returned(self, query: Mapping[str, str]) -> str | None:
        """Take in what a buyer brings back; nobody is asked."""
        return await self._provider.returned(query)

    def acknowledgement(self) -> tuple[int, bytes, str]:
        """Give what the provider wants to hear."""
        return self._provider.acknowledgement()

    async def list_since(self, since_ms: int) -> AsyncIterator[Payment]:
        """Tell all payments since then; after a failure from the newest on again, without those already told.

        Each payment that is told counts as a call.
        """
        told: set[str] = set()
        listing: AsyncIterator[Payment] | None = None

        async def following() -> Payment | None:
            nonlocal listing
            listing = listing or self._provider.list_since(since_ms)
            try:
                async for payment in listing:
                    if payment.ref not in told:
                        return payment
            except (Unclear, NotNow):
                listing = None
                raise
            return None

        while (payment := await self._patiently("list", following, may_repeat=True)) is not None:
            told.add(payment.ref)
            yield payment

    async def _patiently(
        self, call: str, ask: Callable[[], Awaitable[Result]], *, may_repeat: bool
    ) -> Result:
        began_ms = self._clock.now_ms()
        unclear: Unclear | None = None
        tries = 0
        while True:
            tries += 1
            failure: Unclear | NotNow
            try:
                return await self._once(call, ask)
            except Unclear as error:
                unclear = failure = error
                least_ms = 0.0
            except NotNow as error:
                failure = error
                least_ms = error.retry_s * 1000
            wait_ms = least_ms + self._wait_ms(tries)
            passed_ms = max(0, self._clock.now_ms() - began_ms)
            if (
                not may_repeat
                or isinstance(failure, KeptAway)
                or tries >= self._tries
                or passed_ms + wait_ms >= self._most_ms
            ):
                if unclear is not None and failure is not unclear:
                    raise unclear from failure
                raise failure
            await self._rest(wait_ms / 1000)

    async def _once(self, call: str, ask: Callable[[], Awaitable[Result]]) -> Result:
        now_ms = self._clock.now_ms()
        number = self._breaker.ask(now_ms)
        if number is None:
            self._watch.asked(call, "kept-away")
            rest_ms = max(self._breaker.rest_ms(now_ms), self._first_wait_ms)
            raise KeptAway("the provider did not answer and is left alone", rest_ms / 1000)
        self._tell()
        with span(f"payment {call}", CLIENT, {"waitroom.payment.provider": self._provider.name}) as step:
            return await self._asked(call, ask, number, step)

    async def _asked(
        self, call: str, ask: Callable[[], Awaitable[Result]], number: int, step: Span | None
    ) -> Result:
        outcome = "done"
        try:
            result = await ask()
        except Unclear:
            outcome = "unclear"
            self._breaker.failed(number, self._clock.now_ms())
            raise
        except (NotNow, Refusal) as error:
            outcome = "not-now" if isinstance(error, NotNow) else "refused"
            self._breaker.answered(number)
            raise
        except BaseException:
            # Who asked has gone away, or the fault is ours: it tells nothing of the provider.
            outcome = "broken-off"
            self._breaker.gave_up(number)
            raise
        else:
            self._breaker.answered(number)
            return result
        finally:
            if step is not None:
                step.set("waitroom.payment.outcome", outcome)
            self._watch.asked(call, outcome)
            self._tell()

    def _tell(self) -> None:
        """Tell how the breaker stands, if that is news."""
        state = self._breaker.state
        if state is not self._told:
            self._told = state
            self._watch.stands(state)
            log.log(
                logging.INFO if state is BreakerState.CLOSED else logging.WARNING,
                "payments: the breaker of a provider has changed",
                extra={"provider": self._provider.name, "state": state.value},
            )

    def _wait_ms(self, tries: int) -> float:
        return self._random.uniform(0, min(self._longest_wait_ms, self._first_wait_ms * 2 ** (tries - 1)))
