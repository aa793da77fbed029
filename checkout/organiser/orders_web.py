"""Orders' web: the organiser's addresses of what was bought, below ``/organiser/api``. Decides nothing.

Below ``/events/{id}``::

    GET   /orders?state=&buyer=&card=&from_ms=&until_ms=     a page of orders, the newest first (``pages``)
    GET   /orders/{order}                                    all of one
    POST  /orders/{order}/refunds                            {"amount_minor", "reason"}, Idempotency-Key
    POST  /orders/{order}/refunds/{refund}/retry             a refund that has failed, once more
    POST  /orders/{order}/release, /refuse                   {"note"}: decide a review
    GET   /refunds?state=   /reviews   /disputes?state=      what waits for a person
    GET   /cancellation                                      how far the end of a cancelled event has come
    GET   /money                                             what it has come to, by currency

and of all events::

    GET   /notices?event=&seen=    POST  /notices/{provider}/{id}/seen
    GET   /strays?event=&seen=     POST  /strays/{provider}/{ref}/seen
    GET   /money, /money.csv

They stand behind the organiser's door (``organiser.web``), which tells who asks. A refund that is wanted and not done
yet answers 202. Not here: what is decided (``orders.caring``), what is read (``finding``, ``queues``, ``takings``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.catalogue.reading import CatalogueReader
from checkout.fraud.review import Decision
from checkout.orders.caring import Caring, Judged, NotFailed
from checkout.orders.order import is_order_id
from checkout.orders.refund import Refund, RefundState
from checkout.orders.returning import NoRefund
from checkout.orders.review import Word
from checkout.orders.service import No
from checkout.organiser import queues as listed
from checkout.organiser.finding import KEY, PARAMETERS, Finding
from checkout.organiser.order_papers import (
    aside_paper,
    case_paper,
    dispute_paper,
    listed_paper,
    order_paper,
    read_note,
    read_refund,
    refund_paper,
    refund_row_paper,
    refusal_of,
    review_paper,
    review_papers,
    sum_paper,
)
from checkout.organiser.pages import is_name, read_wish, refuse_any
from checkout.organiser.queues import Aside, Queues
from checkout.organiser.takings import Counting, Takings
from checkout.organiser.takings import table as takings_table
from checkout.organiser.talking import PREFIX, Endpoint, answer, event_of, resource, table, told, who
from checkout.requests import idempotency_key, read_object
from kernel.clock import Clock
from kernel.errors import Refused

RefundOutcome = Refund | No | NoRefund | NotFailed


class OrdersDesk:
    """The addresses of what was bought; ``routes`` go behind the organiser's door."""

    def __init__(
        self,
        catalogue: CatalogueReader,
        caring: Caring,
        finding: Finding,
        queues: Queues,
        counting: Counting,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._caring = caring
        self._finding = finding
        self._queues = queues
        self._counting = counting
        self._clock = clock
        event = f"{PREFIX}/events/{{event}}"
        order = f"{event}/orders/{{order}}"
        self.routes: Sequence[Route] = [
            resource(f"{event}/orders", GET=self.orders),
            resource(order, GET=self.order),
            resource(f"{order}/refunds", POST=self.refund),
            resource(f"{order}/refunds/{{refund:path}}/retry", POST=self.retry),
            resource(f"{order}/release", POST=self._judge(Decision.RELEASE)),
            resource(f"{order}/refuse", POST=self._judge(Decision.REFUSE)),
            resource(f"{event}/refunds", GET=self.refunds),
            resource(f"{event}/reviews", GET=self.reviews),
            resource(f"{event}/disputes", GET=self.disputes),
            resource(f"{event}/cancellation", GET=self.cancellation),
            resource(f"{event}/money", GET=self.money),
            resource(f"{PREFIX}/notices", GET=self._asides(Aside.NOTICE)),
            resource(f"{PREFIX}/notices/{{provider}}/{{name:path}}/seen", POST=self._seen(Aside.NOTICE)),
            resource(f"{PREFIX}/strays", GET=self._asides(Aside.STRAY)),
            resource(f"{PREFIX}/strays/{{provider}}/{{name:path}}/seen", POST=self._seen(Aside.STRAY)),
            resource(f"{PREFIX}/money", GET=self.all_money),
            resource(f"{PREFIX}/money.csv", GET=self.money_table),
        ]

    # -------------------------------------------------------------------------------------- orders

    async def orders(self, request: Request) -> Response:
        """GET /orders."""
        event = await self._event(request)
        wish = read_wish(request.query_params.multi_items(), PARAMETERS, KEY)
        page = await self._finding.orders(event, wish)
        return answer({"orders": [listed_paper(row) for row in page.rows], "next": page.next or None})

    async def order(self, request: Request) -> Response:
        """GET /orders/{order}: as it is now."""
        event, name = await self._event(request), _order(request)
        case = await self._caring.case(event, name)
        if case is None:
            raise refusal_of(No.UNKNOWN)
        beside = await self._finding.beside(event, name, case.order.reservation)
        return answer(case_paper(case, beside))

    # ------------------------------------------------------------------------------------- refunds

    async def refund(self, request: Request) -> Response:
        """POST /orders/{order}/refunds: have money go back; a repeat under its key is the same refund."""
        event, name, key = await self._event(request), _order(request), idempotency_key(request.scope)
        octets, plain = await read_object(request.scope, request.receive)
        amount, reason = read_refund(plain)
        outcome = await self._caring.refund(
            event, name, amount, key, by=who(request), reason=reason, body=octets
        )
        return self._refunded(request, event, outcome)

    async def retry(self, request: Request) -> Response:
        """POST /orders/{order}/refunds/{refund}/retry: what has failed, as a refund of its own."""
        event, name, key = await self._event(request), _order(request), request.path_params["refund"]
        if not is_name(key):
            raise refusal_of(No.UNKNOWN)
        return self._refunded(request, event, await self._caring.retry(event, name, key, by=who(request)))

    def _refunded(self, request: Request, event: str, outcome: RefundOutcome) -> Response:
        if not isinstance(outcome, Refund):
            raise refusal_of(outcome)
        told(
            request, "refund", event=event, order=outcome.order, refund=outcome.key, state=outcome.state.value,
            amount_minor=outcome.amount.amount_minor, currency=outcome.amount.currency,
        )  # fmt: skip
        return answer(refund_paper(outcome), 202 if outcome.state is RefundState.WANTED else 200)

    async def refunds(self, request: Request) -> Response:
        """GET /refunds: the newest first; ?state=failed tells those that somebody has to look at."""
        event = await self._event(request)
        given = request.query_params.multi_items()
        page = await self._queues.refunds(
            event, read_wish(given, listed.REFUND_PARAMETERS, listed.REFUND_KEY)
        )
        return answer({"refunds": [refund_row_paper(row) for row in page.rows], "next": page.next or None})

    # ------------------------------------------------------------------------------------- reviews

    async def reviews(self, request: Request) -> Response:
        """GET /reviews: the open ones, the oldest first, with why, since when, and when they lapse."""
        event = await self._event(request)
        given = request.query_params.multi_items()
        wish = read_wish(given, listed.REVIEW_PARAMETERS, listed.REVIEW_KEY)
        page, said = await self._queues.reviews(event, wish)
        now_ms = self._clock.now_ms()
        return answer(
            {"reviews": review_papers(page.rows, said), "now_ms": now_ms, "next": page.next or None}
        )

    def _judge(self, decision: Decision) -> Endpoint:
        return partial(self._decide, decision)

    async def _decide(self, decision: Decision, request: Request) -> Response:
        """POST /orders/{order}/release, /refuse: one decision counts, the same again is the same."""
        event, name = await self._event(request), _order(request)
        _, plain = await read_object(request.scope, request.receive)
        outcome = await self._caring.judge(event, name, decision, Word(who(request), read_note(plain)))
        if not isinstance(outcome, Judged):
            raise refusal_of(outcome, self._clock.now_ms())
        if not outcome.again:
            told(request, f"review-{decision.value}", event=event, order=name)
        return answer({**order_paper(outcome.order), "review": review_paper(outcome.review)})

    # ------------------------------------------------------------------------------- what else waits

    async def disputes(self, request: Request) -> Response:
        """GET /disputes: the newest first, and what they come to."""
        event = await self._event(request)
        given = request.query_params.multi_items()
        wish = read_wish(given, listed.DISPUTE_PARAMETERS, listed.DISPUTE_KEY)
        page, sums = await self._queues.disputes(event, wish)
        plain = [sum_paper(row) for row in sums]
        return answer(
            {"disputes": [dispute_paper(row) for row in page.rows], "sums": plain, "next": page.next or None}
        )

    def _asides(self, kind: Aside) -> Endpoint:
        return partial(self._aside, kind)

    async def _aside(self, kind: Aside, request: Request) -> Response:
        given = request.query_params.multi_items()
        page = await self._queues.aside(kind, read_wish(given, listed.ASIDE_PARAMETERS, listed.ASIDE_KEY))
        return answer({f"{kind}s": [aside_paper(row) for row in page.rows], "next": page.next or None})

    def _seen(self, kind: Aside) -> Endpoint:
        return partial(self._mark, kind)

    async def _mark(self, kind: Aside, request: Request) -> Response:
        provider, name = request.path_params["provider"], request.path_params["name"]
        if not (is_name(provider) and is_name(name)) or not await self._queues.mark(
            kind, provider, name, who(request), self._clock.now_ms()
        ):
            raise Refused("notice-unknown", "Nothing of this name is put aside.", 404)
        told(request, f"{kind}-seen", provider=provider, name=name)
        return Response(status_code=204, headers={"cache-control": "no-store"})

    async def cancellation(self, request: Request) -> Response:
        """GET /cancellation: how far the end of an event has come."""
        known = await self._catalogue.known(event_of(request), drafts=True)
        event = known.event.id
        now = await self._caring.progress(event)
        state = known.event.state.value
        return answer(
            {
                "event": event,
                "state": state,
                "orders": dict(now.orders),
                "refunds": dict(now.refunds),
                "left": now.left,
                "moving": now.moving,
                "is_done": state == "cancelled" and now.is_done,
            }
        )

    # --------------------------------------------------------------------------------------- money

    async def money(self, request: Request) -> Response:
        """GET /events/{event}/money."""
        event = await self._event(request)
        refuse_any(request.query_params.multi_items())
        return self._money(await self._counting.of(event))

    async def all_money(self, request: Request) -> Response:
        """GET /money: every event that money has moved of."""
        refuse_any(request.query_params.multi_items())
        return self._money(await self._counting.all())

    async def money_table(self, request: Request) -> Response:
        """GET /money.csv."""
        refuse_any(request.query_params.multi_items())
        return table(takings_table(await self._counting.all()), "money.csv")

    def _money(self, takings: Sequence[Takings]) -> Response:
        rows: list[Mapping[str, Any]] = [asdict(one) for one in takings]
        return answer({"at_ms": self._clock.now_ms(), "money": rows})

    async def _event(self, request: Request) -> str:
        """Name the event, which must be there. Raises ``Refused("event-unknown")``."""
        return (await self._catalogue.known(event_of(request), drafts=True)).event.id


def _order(request: Request) -> str:
    """Name the order, as far as it can be one's name. Raises ``Refused("order-unknown")``."""
    name = str(request.path_params["order"])
    if not is_order_id(name):
        raise refusal_of(No.UNKNOWN)
    return name
