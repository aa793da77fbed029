"""Metrics of the line. Labels come from closed sets; rooms are few and set by the operator."""

from collections import Counter as Tallied
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

from kernel.asgi import Receive, Scope, Send
from kernel.errors import Refused, Unavailable
from kernel.metrics import REGISTRY, Tally
from waitroom.lanes import Lane

Handler = Callable[[Scope, Receive, Send, str], Awaitable[None]]
Key = TypeVar("Key", bound=tuple[str, str])


PROMISED = ("join", "status", "ticket")
"""Acts whose failures are counted from 0 on, because objectives stand on them."""


JOIN = "join"
BUSY = frozenset({429, 503})
QUESTIONS = frozenset({"identity-needed"})
"""Refusals that are a step on the way to a place."""


class Metrics:
    """What the line counts. Hot paths count in tallies, flushed each tick."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Register everything."""
        self.joined = Tally(
            Counter(
                "waitroom_line_joined", "Joins answered with a number, repeats included", registry=registry
            )
        )
        self.batches = Tally(
            Counter("waitroom_line_join_batches", "Calls of the store that carried joins", registry=registry)
        )
        self.documents = Tally(
            Counter(
                "waitroom_line_status_documents", "Status documents given to whoever asked", registry=registry
            )
        )
        self.here = Tally(
            Counter("waitroom_line_here", "Answers of pages that a census asked", registry=registry)
        )
        self.refused = Counter(
            "waitroom_line_refused", "Requests refused, by the problem's code", ["code"], registry=registry
        )
        self._refusals: Tallied[str] = Tallied()
        self._shown: set[str] = set()
        self.rooms: Container[str] = ()
        """The rooms that there are: whoever makes up names of others must not make us count them."""
        self._counts: Tallied[tuple[str, str]] = Tallied()
        self.failed = Counter(
            "waitroom_line_failed", "Requests that the line could not answer, by what was asked", ["act"],
            registry=registry,
        )  # fmt: skip
        for act in PROMISED:
            self.failed.labels(act)
        self.carries = Counter(
            "waitroom_line_carries", "Steps of places on their way to another device", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.settled = Counter(
            "waitroom_line_settled", "Places judged when their turn comes near, by what came of it", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.identities = Counter(
            "waitroom_line_identities", "What was shown by whoever a room asks who they are", ["way", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.reminder_requests = Counter(
            "waitroom_line_reminder_requests", "What fans asked of reminders", ["channel", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.reminder_sends = Counter(
            "waitroom_line_reminder_sends", "Tries to remind a fan", ["channel", "job", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.reminders = Gauge(
            "waitroom_line_reminders", "Fans who want to be told", ["room"], registry=registry,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.issued = Gauge(
            "waitroom_line_issued_numbers", "Numbers given in the current run", ["room"], registry=registry,
            multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.waiting = Gauge(
            "waitroom_line_waiting_visitors", "Numbers not yet called", ["room"], registry=registry,
            multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.calling = Gauge(
            "waitroom_line_calling", "1 while a room calls people: it is serving, and nobody has stopped it", ["room"],
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.serving = Gauge(
            "waitroom_line_serving_rank", "Threshold below which ranks are called", ["room", "lane"],
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.epoch = Gauge(
            "waitroom_line_epoch", "How often the line was opened or put back", ["room"], registry=registry,
            multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.age = Gauge(
            "waitroom_line_reading_age_seconds", "Age of a worker's last reading of the store, of the oldest", ["room"],
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        # With a label, because one without stands at 0 in the files of every process that never sets it.
        self.beat = Gauge(
            "waitroom_line_beat_timestamp_seconds",
            "When a worker last looked round its rooms, of the one that did so longest ago", ["role"],
            registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self.journal_age = Gauge(
            "waitroom_line_journal_age_seconds", "Time since a worker last had everything in the journal",
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip

    def look(self, rooms: AbstractSet[str], now_ms: int) -> None:
        """Say that a worker looks round these rooms; of one that was removed nothing is shown any more.

        What it showed last would stand there, and be alarming, for ever: several processes share files, from which
        nothing can be removed.
        """
        self.beat.labels("gate").set(now_ms / 1000)
        for room in self._shown - rooms:
            for gauge in (self.age, self.waiting, self.calling):
                gauge.labels(room).set(0)
        self._shown = set(rooms)

    def refuse(self, reason: Refused | Unavailable, act: str = "page", room: str = "") -> None:
        """Count a refusal; what is away for the moment refuses nobody, it fails. `room`: where a join was asked for."""
        if act == JOIN:
            self._turn_away(room, reason)
        if isinstance(reason, Refused):
            self.refused.labels(reason.code).inc()
            self._refusals[reason.code] += 1
        else:
            self.failed.labels(act).inc()

    def refusals(self, code: str) -> int:
        """Tell how often this process has refused somebody so."""
        return self._refusals[code]

    def _turn_away(self, room: str, reason: Exception) -> None:
        """Count a join without a number: it was refused for what it is, or shed because we are busy or broken."""
        if room in self.rooms and not (isinstance(reason, Refused) and reason.code in QUESTIONS):
            was_refused = isinstance(reason, Refused) and reason.status not in BUSY
            self._counts[room, "refused" if was_refused else "shed"] += 1

    def settle(self, room: str, outcome: str, lane: Lane) -> None:
        """Count what came of a place that was judged near its turn: kept, slowed, asked, passed, or said again.

        `lane` is that in which it waited when it was judged.
        """
        self.settled.labels(outcome).inc()
        for name in (outcome, f"{outcome}_{lane}"):
            self._counts[room, name] += 1

    def counts(self) -> dict[str, dict[str, int]]:
        """Return by room what was counted since this was asked last: joins refused and shed, places settled."""
        counts, self._counts = self._counts, Tallied()
        found: dict[str, dict[str, int]] = {}
        for (room, name), count in counts.items():
            found.setdefault(room, {})[name] = count
        return found

    def watched(self, routes: Mapping[Key, Handler]) -> dict[Key, Handler]:
        """Return the same handlers; each counts what it refuses."""
        return {key: self._watched(handler, key[1] or "page") for key, handler in routes.items()}

    def _watched(self, handler: Handler, act: str) -> Handler:
        async def watch(scope: Scope, receive: Receive, send: Send, name: str) -> None:
            try:
                await handler(scope, receive, send, name)
            except Refused as reason:
                self.refuse(reason, act, name)
                raise
            except Exception as fault:
                self.failed.labels(act).inc()
                if act == JOIN:
                    self._turn_away(name, fault)
                raise

        return watch


class EventMetrics:
    """What is counted of events on their way out."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Register everything."""
        self.sent = Counter(
            "waitroom_events_sends", "Tries to tell a target of events", ["way", "outcome"], registry=registry
        )
        self.behind = Gauge(
            "waitroom_events_behind_entries", "Entries of the journal that an active target has still before it",
            ["target"],
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.state = Gauge(
            "waitroom_events_targets", "Targets by what they are doing", ["state"], registry=registry,
            multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.failed = Gauge(
            "waitroom_events_failed_tries", "Tries in a row that an active target did not take", ["target"],
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self._shown: set[str] = set()

    def show(self, targets: Sequence[tuple[str, int, int, str]]) -> None:
        """Show each target (name, behind, failed tries, state); one that is not told has nothing before it."""
        names = {name for name, _, _, _ in targets}
        # Several processes share files, from which nothing can be removed.
        gone = [(name, 0, 0, "gone") for name in self._shown - names]
        self._shown = names
        for name, behind, failed, state in [*targets, *gone]:
            is_told = state == "active"
            self.behind.labels(name).set(max(0, behind) if is_told else 0)
            self.failed.labels(name).set(failed if is_told else 0)
        for state in ("active", "paused", "dead"):
            self.state.labels(state).set(sum(one == state for _, _, _, one in targets))
