"""Metrics of the shop. Labels come from closed sets; places (databases and stores) are few and set by the operator.

What is counted thousands of times a second goes through a ``Tally``, which is flushed when somebody looks. A count by
outcome takes the word of the answer (``held``, ``taken`` …), so a new answer needs no change here.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

from kernel.asgi import Receive, Scope, Send
from kernel.errors import Refused
from kernel.metrics import REGISTRY, Tally, Words

Handler = Callable[..., Awaitable[None]]
Key = TypeVar("Key")
Mode = Literal["mostrecent", "livemax", "livesum"]


STEPS = ("held", "reserved", "ordered", "paid", "abandoned")
"""How far a hold came. ``held`` and the ends of holds are told by their journal, so they follow within a second."""


class Metrics:
    """What the shop counts."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Register everything."""

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"waitroom_shop_{name}", meaning, labels, registry=registry)

        def gauge(name: str, meaning: str, *labels: str, mode: Mode = "mostrecent") -> Gauge:
            return Gauge(f"waitroom_shop_{name}", meaning, labels, registry=registry, multiprocess_mode=mode)

        # Holds
        self.holds = Words(counter("holds", "Wishes for seats by what came of them", "outcome"))
        self.seats_held = Tally(counter("held_seats", "Seats put aside for buyers"))
        self.hold_acts = Words(
            counter("hold_acts", "Holds that buyers extended or released, by what came of it", "outcome")
        )
        self.expired_holds = counter("expired_holds", "Holds whose time was over, freed by the sweeper")
        self.expired_seats = counter(
            "expired_seats", "Seats of holds whose time was over, freed by the sweeper"
        )
        self.journal_notes = counter("journal_notes", "Notes of holds brought from the store to SQL")
        self.journal_dropped = counter(
            "journal_dropped_notes", "Notes of holds given up because SQL was away for too long"
        )
        self.journal_lag = gauge(
            "journal_lag_seconds", "Age of the oldest note that was not in SQL at the last look", "place"
        )
        self.journal_waiting = gauge(
            "journal_waiting_notes", "Notes in the store that are not in SQL yet", "place"
        )

        # The map
        self.store_map_reads = Tally(counter("store_map_reads", "Whole maps read from the store"))
        self.store_delta_reads = Tally(
            counter("store_delta_reads", "Readings of a hall's changes from the store")
        )
        self.map_answers = Words(
            counter("map_answers", "Maps given to whoever asked: seats, sections, or unchanged", "detail")
        )
        self.streams = gauge("map_streams", "Open streams of changes", mode="livesum")
        self.stream_messages = Words(
            counter("stream_messages", "Messages written to streams of changes, by kind", "kind")
        )
        self.map_crowded = gauge("map_crowded", "1 while only sections are told, else 0", mode="livemax")
        self.loop_lag = gauge(
            "loop_lag_seconds", "Mean lateness of the event loop in the last second", mode="livemax"
        )
        self.rebuilds = Words(
            counter("map_rebuilds", "Maps put together from SQL after a loss, by what came of it", "outcome")
        )

        # Reservations
        self.reservations = Words(
            counter("reservations", "Holds taken to pay, by what came of it", "outcome")
        )
        self.reservation_ends = Words(
            counter("reservation_ends", "Reservations that ended, by how", "outcome")
        )
        self.drift = gauge(
            "inventory_drift",
            "Seats on which the store and SQL do not agree, at the last comparison",
            "place",
        )

        self.log_sealed = gauge(
            "log_sealed_timestamp_seconds", "When all that was sold was last found to be in blocks", "place"
        )

        # The sale, step by step
        self.funnel = Words(
            counter(
                "funnel",
                "Holds by how far they came, each step once; abandoned: ended without a sale",
                "step",
            ),
            *STEPS,
        )
        self.tickets = Tally(counter("tickets", "Tickets made for what was paid"))

        # Money
        self.orders = Words(
            counter("orders", "Orders by what became of them", "outcome"), "opened", "paid", "lapsed", "cancelled",
            "refused", "failed", "stray",
        )  # fmt: skip
        self.payments = Words(
            counter("payments", "Tries to pay: answered, or away where nobody could say what came of it", "outcome"),
            "answered", "away",
        )  # fmt: skip
        self.declines = Words(
            counter("declined_payments", "Payments that a bank declined, by reason", "reason")
        )
        self.payment_troubles = Words(
            counter(
                "payment_troubles", "Calls of a provider without an answer, or told to come later", "kind"
            )
        )
        self.notices = Words(
            counter("payment_notices", "Notices of providers, by what became of them", "outcome")
        )
        self._provider_calls = counter(
            "provider_calls",
            "Calls of a payment provider, by what came of them",
            "provider",
            "call",
            "outcome",
        )
        self._breakers = gauge(
            "provider_breaker",
            "Breaker of a provider: 0 closed, 1 half open, 2 open",
            "provider",
            mode="livemax",
        )
        self.open_attempts = gauge(
            "open_payment_attempts", "Payments in which something is left to be done", "place"
        )
        self.open_reviews = gauge("open_reviews", "Payments that wait for a person", "place")
        self.oldest_review = gauge(
            "oldest_review_seconds", "Age of the oldest payment that waits for a person", "place"
        )

        self._people(counter, gauge)
        self._fraud(counter, gauge)

        # Tickets
        self.scans = Words(counter("scans", "Tickets scanned at doors, by what came of it", "outcome"))

        # The room in front
        self.stock_told = Words(
            counter("stock_told", "What is left, said to a room, by what came of it", "outcome")
        )

        # Everything
        self.refused = Words(counter("refused", "Requests refused, by the problem's code", "code"))
        self.background_failures = Words(
            counter("background_failures", "Rounds of background work that failed, by task", "task")
        )

    def _people(self, counter: Callable[..., Counter], gauge: Callable[..., Gauge]) -> None:
        """Count what is kept of people, what they are told, and how they log in."""
        self.contacts = Words(
            counter(
                "contacts", "Addresses that buyers' tickets go to: kept, erased on demand, purged", "outcome"
            )
        )
        self.push_devices = Words(
            counter(
                "push_devices",
                "Browsers that are told of an order: kept, gone at their service, erased on demand, purged",
                "outcome",
            )
        )

        # What people are told
        self.request_keys = gauge(
            "request_keys", "Keys of requests to pay and to refund that are remembered", "place"
        )
        self.outbox_waiting = gauge(
            "outbox_waiting_messages", "Messages that wait to be sent, by channel", "place", "channel"
        )
        self.outbox_oldest = gauge(
            "outbox_oldest_seconds", "Age of the oldest message that waits to be sent", "place", "channel"
        )
        self.outbox_sends = counter(
            "outbox_sends", "Tries to send a message, by what came of them", "channel", "outcome"
        )

        # Accounts
        self.logins = Words(
            counter("logins", "Logins of fans: begun, entered, or the word why one did not count", "outcome")
        )
        self.staff_logins = Words(
            counter(
                "staff_logins", "Logins of staff: begun, entered, invited, or the word why not", "outcome"
            )
        )

    def _fraud(self, counter: Callable[..., Counter], gauge: Callable[..., Gauge]) -> None:
        """Count what the checks of payments find."""
        self.fraud_verdicts = Words(
            counter("fraud_verdicts", "Attempts to pay, by what became of them", "verdict")
        )
        self.fraud_reasons = Words(
            counter("fraud_reasons", "What spoke against attempts and holds, by reason", "reason")
        )
        self.fraud_scores = Words(
            counter("fraud_scores", "Questions to the external scorer, by what came of them", "outcome")
        )
        self.fraud_without = Words(
            counter(
                "fraud_without",
                "Checks decided without the store or a record, by what was missing",
                "missing",
            )
        )
        self.fraud_lost_signals = Words(
            counter(
                "fraud_lost_signals", "Picks and drops of seats that the fraud checks never heard of", "act"
            )
        )
        self.fraud_reloads = Words(
            counter("fraud_reloads", "Lists and Geo-IP files that changed, by what came of it", "outcome")
        )
        self.fraud_stale = gauge(
            "fraud_stale_files", "1 while the newest state of a file is not in use", "file", mode="livemax"
        )

    def provider(self, name: str) -> "ProviderWatch":
        """Count what a provider is asked."""
        return ProviderWatch(self._provider_calls, self._breakers, name)

    def watched(self, routes: Mapping[Key, Handler]) -> dict[Key, Handler]:
        """Return the same handlers; each counts what it refuses."""
        return {key: self._watched(handler) for key, handler in routes.items()}

    def _watched(self, handler: Handler) -> Handler:
        async def watch(scope: Scope, receive: Receive, send: Send, *names: str) -> None:
            try:
                await handler(scope, receive, send, *names)
            except Refused as reason:
                self.refused.count(reason.code)
                raise

        return watch


class ProviderWatch:
    """Counts the calls of one provider, and shows its breaker (``payments.patient.Watch``)."""

    _STATES = ("closed", "half-open", "open")

    def __init__(self, calls: Counter, breakers: Gauge, name: str) -> None:
        self._calls = calls
        self._breaker = breakers.labels(name)
        self._name = name

    def asked(self, call: str, outcome: str) -> None:
        """Count a try."""
        self._calls.labels(self._name, call, outcome).inc()

    def stands(self, state: str) -> None:
        """Show the breaker."""
        self._breaker.set(self._STATES.index(state))
