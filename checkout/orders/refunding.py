"""Refunding: asks for money that is to go back, and writes what became of it together with what its payment then says.

A refund that nobody can say anything of stays wanted, and is asked for again under the same key: at the provider it is
the same refund. Not here: how much may be wanted (``orders.store``), letting go of a try (``orders.driving``).
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from checkout.grouping import Grouping
from checkout.metrics import Metrics
from checkout.orders.driving import STEPS_MOST, Driving, pause_ms
from checkout.orders.order import NEVER_MS, Attempt, Order
from checkout.orders.refund import Refund, RefundState
from checkout.orders.returning import write_refund
from checkout.orders.rows import Stale
from checkout.orders.rule import hears
from checkout.payments.port import NotNow, Provider, Refusal, Unclear
from checkout.payments.port import RefundState as TheirRefund
from kernel.clock import Clock
from kernel.crashing import crashpoint
from kernel.tracing import continuing

log = logging.getLogger(__name__)


class Refunding:
    """One worker's refunds at one place."""

    def __init__(
        self,
        group: Grouping,
        driving: Driving,
        providers: Mapping[str, Provider],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._group = group
        self._driving = driving
        self._providers = providers
        self._clock = clock
        self._metrics = metrics

    async def give_back(self, refund: Refund) -> Refund:
        """Ask for a refund, and go on with its order; what does not succeed now is tried later."""
        found = await self._driving.read(refund.order, refund.attempt)
        if found is None or refund.state is not RefundState.WANTED:
            return refund
        with continuing(found[1].trace, "order refund"):
            return await self._give_back(refund, found)

    async def _give_back(self, refund: Refund, found: tuple[Order, Attempt]) -> Refund:
        provider = self._providers[found[1].provider]
        crashpoint("give-back.before")
        try:
            told = await provider.refund(found[1].ref, refund.amount, refund.provider_key)
            crashpoint("give-back.after")
            if told.state is TheirRefund.ASKED:
                # Not done before its provider says so; who asks again under the same key hears how it stands.
                asked = replace(
                    refund,
                    ref=told.ref,
                    tries=refund.tries + 1,
                    due_ms=self._in_ms(pause_ms(refund.tries + 1)),
                )
                return await self._refunded(found, refund, asked)
            state = RefundState.FAILED if told.state is TheirRefund.FAILED else RefundState.DONE
            done = replace(refund, state=state, ref=told.ref, due_ms=NEVER_MS)
        except Refusal as refusal:
            log.warning("a refund is refused", extra={"order": refund.order, "code": refusal.code})
            done = replace(refund, state=RefundState.FAILED, due_ms=NEVER_MS)
        except (Unclear, NotNow) as error:
            self._metrics.payment_troubles.count(type(error).__name__.lower())
            pause = pause_ms(refund.tries + 1)
            return await self._refunded(
                found, refund, replace(refund, tries=refund.tries + 1, due_ms=self._in_ms(pause))
            )
        return await self._refunded(found, refund, done)

    async def _refunded(self, found: tuple[Order, Attempt], was: Refund, now: Refund) -> Refund:
        """Write what became of a refund together with what its payment now says: neither is ever without the other."""
        for _ in range(STEPS_MOST):
            order, attempt = found
            heard = attempt
            if now.state is not RefundState.WANTED:
                try:
                    heard = hears(attempt, await self._providers[attempt.provider].fetch(attempt.ref))
                except (Unclear, NotNow, Refusal):
                    # Asked again under the same key it will be the same refund.
                    now = replace(was, tries=was.tries + 1, due_ms=self._in_ms(pause_ms(was.tries + 1)))
            try:
                written = await self._group.write(
                    partial(
                        write_refund,
                        was=was,
                        now=now,
                        attempt=attempt,
                        heard=heard,
                        at_ms=self._clock.now_ms(),
                    )
                )
            except Stale:
                again = await self._driving.read(was.order, was.attempt)
                if again is None or again == found:
                    # Somebody else is at this refund.
                    return was
                found = again
                continue
            if written.state is RefundState.DONE:
                await self._driving.again(order.id, attempt.number, look=False)
            return written
        raise Stale

    def _in_ms(self, pause: int) -> int:
        return self._clock.now_ms() + pause
