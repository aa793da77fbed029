"""Reading: one worker's memory of a room, made anew from each snapshot of the store.

Everything that a request needs to know of a room stands here, ready: the configuration in force, the
line, its history, the permutation, the status document's bytes. A worker that cannot reach the store
goes on with its last reading and says how old it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kernel.asgi import Ready
from waitroom.census import Census, fullness
from waitroom.draw import Shuffle, draw_id, rounds_for
from waitroom.estimate import Learned, learn, mark_ms, speed_per_minute
from waitroom.lanes import Lane, Moved, Serving
from waitroom.line import JOINABLE, Line, covered, is_void, rank_of
from waitroom.room_fields import ChallengeAsks, ChallengeWay, StockState
from waitroom.rooms import Room
from waitroom.schedule import Phase, Wanted
from waitroom.standing import Place, stand
from waitroom.ticket import Ticket
from waitroom.wait import MEASURED, Interval, wait_interval

CALLS_KEPT = 4096
_FADING = 0.99
"""For each reading: a peak counts by half after seventy of them, that is about twenty seconds."""


@dataclass(slots=True)
class Reading:
    """A room as last read. `base` is its configuration, `room` the view with the current sale merged in."""

    base: Room
    room: Room
    wanted: Wanted
    line: Line | None = None
    joinable: Line | None = None
    """The line, while it takes joins: it has a phase for that, and there is something left to wait for."""
    calls: list[Moved] = field(default_factory=list)
    learned: Learned | None = None
    """What the calls tell of waits; made anew when the mark behind it moves."""
    learned_mark: tuple[int, ...] = ()
    counts: tuple[Census, ...] = ()
    """The kept counts of who is still there, the newest last."""
    shuffle: Shuffle | None = None
    proof: str = ""
    beside: tuple[Any, ...] = ()
    """Replies to what was read along with the line (``Waitroom.refresh_room``)."""
    document: bytes = b""
    etag: bytes = b""
    ready: Ready | None = None
    """The answer that carries the document."""
    read_ms: int = 0
    config: str = ""
    given: int = 0
    """One more than the highest number that this worker has given: it may know more than the last snapshot."""
    joins_per_s: float = 0.0
    """The busiest recent second of joins, fading: what a gap must be able to swallow."""
    fallen: bool = False
    """The store knows less than this worker has seen: it was wiped or rolled back."""

    @property
    def memory(self) -> Line | None:
        """What this worker can witness of the line."""
        return replace(self.line, issued=max(self.line.issued, self.given)) if self.line else None

    @property
    def was_open(self) -> bool:
        """Whether people have joined who are no longer taken now: sold out, or the line drains or is over."""
        sold_out = self.room.stock_state is StockState.SOLD_OUT
        return self.line is not None and (sold_out or self.line.phase in {Phase.DRAINING, Phase.ENDED})

    @property
    def claim_window_ms(self) -> int:
        """How long a call may be answered before it turns into a recall."""
        return self.room.claim_window_s * 1000

    @property
    def rounds(self) -> int:
        """Rounds of this line's draw."""
        return rounds_for((self.line.frozen or 0) if self.line else 0)

    def follow(
        self,
        line: Line | None,
        calls: tuple[Moved, ...],
        counts: tuple[Census, ...],
        now_ms: int,
        *,
        whole_history: bool,
    ) -> None:
        """Take over a snapshot's line, the new end of its history and the counts of who is there."""
        before = self.line
        if before is not None and line is not None and before.run == line.run and now_ms > self.read_ms:
            joined = line.issued - before.issued - covered(line.void, before.issued, line.issued)
            rate = joined * 1000 / (now_ms - self.read_ms)
            self.joins_per_s = max(self.joins_per_s * _FADING, rate)
        self.line = line
        if before is None or line is None or before.run != line.run:
            self.given = 0
        # The history only grows; where its end is older than what is known, the clock was set back and it began anew.
        anew = bool(self.calls) and (not calls or calls[-1] < self.calls[-1])
        if whole_history or anew or before is None or line is None or before.epoch != line.epoch:
            self.calls = list(calls)
        else:
            # Thresholds and times only grow, so records compare in the order in which they were written.
            last = self.calls[-1] if self.calls else Moved(-1, Serving())
            self.calls.extend(record for record in calls if record > last)
            del self.calls[:-CALLS_KEPT]
        self.counts = counts
        told_ms = mark_ms(self.calls)
        mark = (line.epoch if line else 0, told_ms, *(one.round for one in counts if one.at_ms <= told_ms))
        if whole_history or mark != self.learned_mark:
            self.learned, self.learned_mark = learn(self.calls, counts), mark
        takes = (
            line is not None and line.phase in JOINABLE and self.room.stock_state is not StockState.SOLD_OUT
        )
        self.joinable = line if takes else None
        if line is None or not line.seed or not line.frozen:
            self.shuffle = None
        elif self.shuffle is None or self.shuffle.seed.hex() != line.seed or self.shuffle.n != line.frozen:
            self.shuffle = Shuffle(bytes.fromhex(line.seed), line.frozen)

    def overlaps(self, calls: Sequence[Moved]) -> bool:
        """Tell whether the end of a history joins on to what is known: else there is a hole between them."""
        return not calls or (bool(self.calls) and calls[0] <= self.calls[-1])

    def rank(self, number: int) -> int | None:
        """Return a number's rank; None while a draw is to come."""
        line = self.line
        if line is None:
            return None
        drawn = None
        if self.shuffle is not None and number < self.shuffle.n and not is_void(line.void, number):
            drawn = self.shuffle.rank(number)
        return rank_of(line, number, drawn)

    def place(self, number: int, lane: Lane, now_ms: int, *, extensions: int = 0) -> Place:
        """Place a number in the line. Raises ValueError when no run is open."""
        if self.line is None:
            message = "there is no line"
            raise ValueError(message)
        rank, window_ms = self.rank(number), self.claim_window_ms
        return stand(self.line, self.calls, rank, lane, window_ms, now_ms, extensions=extensions)

    def wait(self, place: Place, lane: Lane, delay_s: float = 0.0) -> Interval | None:
        """Tell how long a place waits still, as the page does; None where nobody can know."""
        line, learned = self.line, self.learned
        if line is None or place.rank is None or place.ahead is None:
            return None
        count = self.counts[-1] if self.counts else None
        return wait_interval(
            place.ahead * fullness(count, line.serving.of(lane), place.rank),
            speed_per_minute(self.calls, line.shown_ms).of(lane),
            line.plan_per_minute,
            factors=learned.factors if learned else MEASURED,
            paused=self.room.calls_nobody,
            delay_s=delay_s,
            leaving=count.leaving if count else 0,
        )

    @property
    def first_lane(self) -> Lane:
        """Name the lane in which a newcomer begins; where everybody is asked for a check it is the last one."""
        rule = self.room.challenge
        asked = rule.asks is ChallengeAsks.EVERYBODY and rule.way is not ChallengeWay.NONE
        return Lane.SUSPECT if asked else Lane.STANDARD

    @property
    def draw_id(self) -> bytes:
        """Name this run's draw."""
        return draw_id(self.base.name, self.line.run if self.line else "")

    def fills_void(self, ticket: Ticket) -> bool:
        """Tell whether an older ticket may write its own leaf into an empty, published void slot."""
        line = self.line
        return line is not None and ticket.epoch < line.epoch and is_void(line.void, ticket.number)


def broadcast(document: bytes, etag: bytes) -> Ready:
    """Return the answer that carries a document."""
    headers = (
        (b"content-type", b"application/json"),
        (b"cache-control", b"public, max-age=1, stale-while-revalidate=5"),
        (b"etag", etag),
    )
    return Ready(etag, headers, document)
