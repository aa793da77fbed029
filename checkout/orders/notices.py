"""Notices: what providers send of their own accord. A notice says where to look; what counts is what is seen there.

* **Once.** A notice is written down in the transaction of its effect (``order_notices``), for good: a provider repeats
  one for days. One whose effect failed is not written down, and its sender hears so and sends it again.
* **Whose.** It must be of a payment that we know, for the amount that we asked, and of the kind of money that we mean
  (live or test). What cannot be is put aside for a person (``quarantined``), changes no order, and is acknowledged,
  because a repeat would say the same.
* **Old.** One that says only that a payment has come so far, of an attempt that has come further, is let pass: mostly
  the request that pays has heard the same before. Nothing is asked and nothing written.
* **Early.** A notice may come before the answer that it is about: then its payment's name is not written down yet, and
  the try is found by the order and number that the payment carries.

Not here: signatures (each adapter's ``parse_webhook``), HTTP (``orders.web``).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from checkout.holds.places import Place, Places
from checkout.metrics import Metrics
from checkout.orders.order import Attempt, AttemptState, is_order_id
from checkout.orders.rows import attempt_of_ref, find_attempt
from checkout.orders.service import Till
from checkout.orders.store import NoticeState, is_known, note
from checkout.payments.port import Notice, NotNow, Provider, Refusal, Topic, Unclear
from kernel.clock import Clock
from kernel.errors import Unavailable

log = logging.getLogger(__name__)


class Effect(StrEnum):
    """What a notice did."""

    DONE = "done"
    KNOWN = "known"
    OLD = "old"
    """It says nothing that we have not learnt by ourselves; nothing is written."""
    OTHER = "other"
    """It is about something that we do not follow."""
    QUARANTINED = "quarantined"


class Notices:
    """Hears notices, for one worker."""

    def __init__(
        self,
        places: Places,
        tills: Callable[[Place], Till],
        providers: Mapping[str, Provider],
        clock: Clock,
        metrics: Metrics,
        *,
        is_live: bool,
    ) -> None:
        """`is_live`: whether the shop takes real money; a notice of the other kind is none of ours."""
        self._places = places
        self._tills = tills
        self._providers = providers
        self._clock = clock
        self._metrics = metrics
        self._is_live = is_live

    async def hear(self, provider: str, body: bytes, headers: Mapping[str, str]) -> list[Effect]:
        """Take in what a webhook brought. Raises ``Forged``, ``ValueError``; ``Unavailable``: send it again."""
        own = self._providers[provider]
        notices = own.parse_webhook(body, headers, self._clock.now_ms())
        await own.take_in(notices)
        return [await self._hear(provider, notice) for notice in notices]

    async def _hear(self, provider: str, notice: Notice) -> Effect:
        effect = await self._effect(provider, notice)
        self._metrics.notices.count(str(effect))
        return effect

    async def _effect(self, provider: str, notice: Notice) -> Effect:
        if notice.topic is Topic.OTHER:
            return Effect.OTHER
        found = await self._find(provider, notice)
        if found is None:
            return await self._put_aside(self._main(), provider, notice, "no such payment")
        till, attempt = found
        if why := self._wrong(notice, attempt):
            return await self._put_aside(till, provider, notice, why, attempt.event)
        if not says_more(notice, attempt):
            return Effect.OLD
        if notice.implies is not None and await till.driving.rest(attempt.order):
            # Whoever pays was at it just now, and has mostly heard the same.
            again = await self._find(provider, notice)
            if again is not None and not says_more(notice, again[1]):
                return Effect.OLD
        if await till.group.read(partial(is_known, provider=provider, id_=notice.id)):
            return Effect.KNOWN
        try:
            await till.driving.again(attempt.order, attempt.number, notice=(notice, provider))
        except IntegrityError:
            return Effect.KNOWN
        except (Unclear, NotNow, Refusal) as error:
            raise Unavailable("provider-away", "The payment cannot be looked at just now.", 5) from error
        return Effect.DONE

    def _wrong(self, notice: Notice, attempt: Attempt) -> str:
        if notice.is_live is not self._is_live:
            return "real money and tests are mixed up"
        if notice.order and (notice.order, notice.event) != (attempt.order, attempt.event):
            return "it names another order than its payment's"
        if notice.amount is not None and notice.topic is Topic.PAYMENT and notice.amount != attempt.amount:
            return "another amount than was asked for"
        return ""

    async def _find(self, provider: str, notice: Notice) -> tuple[Till, Attempt] | None:
        """Find the attempt: by the event that the payment names, else at every place."""
        places: Sequence[Place] = (
            (self._places.of(notice.event),) if notice.event else tuple(self._places.all())
        )
        for place in places:
            till = self._tills(place)
            attempt = await till.group.read(partial(_attempt_of, provider=provider, notice=notice))
            if attempt is not None:
                return till, attempt
        return None

    async def _put_aside(
        self, till: Till, provider: str, notice: Notice, why: str, event: str = ""
    ) -> Effect:
        log.error("a notice is put aside", extra={"provider": provider, "notice": notice.id, "why": why})
        try:
            await till.group.write(
                partial(
                    note,
                    provider=provider,
                    notice=notice,
                    event=event,
                    state=NoticeState.QUARANTINED,
                    at_ms=self._clock.now_ms(),
                    why=why,
                )
            )
        except IntegrityError:
            return Effect.KNOWN
        return Effect.QUARANTINED

    def _main(self) -> Till:
        return self._tills(self._places.all()[0])


_RANKS = {
    AttemptState.NEW: -1,
    AttemptState.UNMADE: -1,
    AttemptState.OPEN: 0,
    AttemptState.ASKED: 0,
    AttemptState.ACTION: 1,
    AttemptState.PROCESSING: 1,
    AttemptState.AUTHORISED: 2,
    AttemptState.CAPTURED: 3,
    AttemptState.DECLINED: 4,
    AttemptState.VOIDED: 5,
}
"""How far an attempt has come."""


def says_more(notice: Notice, attempt: Attempt) -> bool:
    """Tell whether a notice may say something that its attempt does not say already."""
    return notice.implies is None or _RANKS[attempt.state] < _RANKS[AttemptState(notice.implies.value)]


def _attempt_of(connection: Connection, provider: str, notice: Notice) -> Attempt | None:
    found = attempt_of_ref(connection, provider, notice.ref)
    if found is None and is_order_id(notice.order):
        found = find_attempt(connection, notice.order, notice.attempt)
        if found is not None and (found.ref or found.provider != provider):
            return None
    return found
