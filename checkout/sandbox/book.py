"""Book: everything the sandbox knows, in memory, in the order in which it came.

Who changes a thing ``put``s it, who lets the world know ``tell``s it, and whoever serves a call takes both out in the
end (``taken``), for the file and for the webhooks. Time never goes back here, so a list is ordered by time.

Events are kept until their receiver has them (but no more than ``EVENTS_MOST``), and beyond that the last
``EVENTS_KEPT``; Stripe keeps them for 30 days.
Not here: rules (``intents``, ``returns``), the file (``journal``).
"""

import heapq
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

import orjson

from checkout.sandbox.records import API_VERSION, Charge, Dispute, Event, Intent, Refund, Wire
from kernel.clock import later

EVENTS_KEPT = 10_000
EVENTS_MOST = 100_000

Record = Intent | Charge | Refund | Dispute
Kept = TypeVar("Kept", Intent, Charge, Refund, Dispute)


class Shelf(Generic[Kept]):
    """Things of one kind, in order."""

    def __init__(self) -> None:
        self.things: dict[str, Kept] = {}
        self._order: list[str] = []
        self._place: dict[str, int] = {}

    def get(self, ident: str) -> Kept | None:
        """Give a thing."""
        return self.things.get(ident)

    def put(self, thing: Kept) -> None:
        """Keep a thing, or what it has become."""
        if thing.id not in self.things:
            self._place[thing.id] = len(self._order)
            self._order.append(thing.id)
        self.things[thing.id] = thing

    def page(
        self, limit: int, after: str, since: Mapping[str, int], keeps: Callable[[Kept], bool]
    ) -> tuple[list[Kept], bool] | None:
        """List things, the newest first, and tell whether there are more; None when `after` is unknown."""
        start = len(self._order)
        if after:
            if after not in self._place:
                return None
            start = self._place[after]
        found: list[Kept] = []
        for index in range(start - 1, -1, -1):
            thing = self.things[self._order[index]]
            if within(thing.created_ms // 1000, since) and keeps(thing):
                if len(found) == limit:
                    return found, True
                found.append(thing)
        return found, False


class Book:
    """All of it."""

    def __init__(self) -> None:
        self.intents: Shelf[Intent] = Shelf()
        self.charges: Shelf[Charge] = Shelf()
        self.refunds: Shelf[Refund] = Shelf()
        self.disputes: Shelf[Dispute] = Shelf()
        self.events: OrderedDict[str, Event] = OrderedDict()
        self._charges_of: dict[str, list[str]] = {}
        self._refunds_of: dict[str, list[str]] = {}
        self._disputes_of: dict[str, list[str]] = {}
        self._changed: dict[str, Record] = {}
        self._told: list[Event] = []
        self._due: list[tuple[int, str]] = []
        self._last_ms = 0

    def now(self, now_ms: int) -> int:
        """Give the time that counts: never before what was written last, unless the clock was set back."""
        self._last_ms = later(now_ms, self._last_ms)
        return self._last_ms

    def put(self, record: Record) -> None:
        """Keep a thing, or what it has become."""
        is_new = False
        match record:
            case Intent():
                self.intents.put(record)
            case Charge():
                is_new = self.charges.get(record.id) is None
                self.charges.put(record)
                mine, owner = self._charges_of, record.intent
            case Refund():
                is_new = self.refunds.get(record.id) is None
                self.refunds.put(record)
                mine, owner = self._refunds_of, record.charge
            case Dispute():
                is_new = self.disputes.get(record.id) is None
                self.disputes.put(record)
                mine, owner = self._disputes_of, record.charge
        if is_new:
            mine.setdefault(owner, []).append(record.id)
        self._changed[record.id] = record
        if isinstance(record, Intent | Refund) and record.due_ms:
            heapq.heappush(self._due, (record.due_ms, record.id))

    def tell(self, kind: str, thing: Wire, now_ms: int) -> None:
        """Let the world know."""
        ident = new_id("evt")
        body = orjson.dumps(
            {
                "id": ident,
                "object": "event",
                "api_version": API_VERSION,
                "created": now_ms // 1000,
                "data": {"object": thing},
                "livemode": False,
                "pending_webhooks": 1,
                "request": {"id": None, "idempotency_key": None},
                "type": kind,
            }
        ).decode()
        event = Event(ident, kind, now_ms, body)
        self.keep_event(event)
        self._told.append(event)

    def keep_event(self, event: Event) -> None:
        """Keep an event, and forget the oldest that its receiver has."""
        self.events[event.id] = event
        while len(self.events) > EVENTS_KEPT:
            oldest = next(iter(self.events.values()))
            if not oldest.is_safe and len(self.events) <= EVENTS_MOST:
                return
            del self.events[oldest.id]

    def taken(self) -> tuple[list[Record], list[Event]]:
        """Hand over what has changed and what was told since the last time."""
        changed, self._changed = list(self._changed.values()), {}
        told, self._told = self._told, []
        return changed, told

    def has_due(self, now_ms: int) -> bool:
        """Tell whether something may be due."""
        return bool(self._due) and self._due[0][0] <= now_ms

    def due(self, now_ms: int) -> Iterator[str]:
        """Give the ids of what may be due, the earliest first; each as often as it was put."""
        while self.has_due(now_ms):
            yield heapq.heappop(self._due)[1]

    def charges_of(self, intent: str) -> list[Charge]:
        """Give the tries of a payment intent."""
        return [self.charges.things[one] for one in self._charges_of.get(intent, ())]

    def refunds_of(self, charge: str) -> list[Refund]:
        """Give what went back of a charge."""
        return [self.refunds.things[one] for one in self._refunds_of.get(charge, ())]

    def disputes_of(self, charge: str) -> list[Dispute]:
        """Give the disputes of a charge."""
        return [self.disputes.things[one] for one in self._disputes_of.get(charge, ())]


def new_id(prefix: str) -> str:
    """Make an id that no restart makes again."""
    return f"{prefix}_{secrets.token_hex(12)}"


def within(at_s: int, since: Mapping[str, int]) -> bool:
    """Tell whether a time is within bounds by the names ``gt gte lt lte``."""
    return (
        at_s >= since.get("gte", at_s)
        and at_s <= since.get("lte", at_s)
        and at_s > since.get("gt", at_s - 1)
        and at_s < since.get("lt", at_s + 1)
    )
