"""Answer: what a transition of the hall says, in the words that the scripts use.

A *record* is what the store keeps of one hold; its text form is one line of twelve words (``HoldRecord.text``), the
same in the store, in the rebuilding after a loss, and in the oracle. A hold that is over keeps its record for ten
minutes, so that a repeated request hears what became of it instead of getting seats a second time.

``currency`` and ``body`` are ``-`` where nobody knows them any more (after a rebuilding from SQL). Not here: when
which answer is given (``holds``), the scripts (``lua/``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from checkout.halls.seats import Status

UNKNOWN_TEXT = "-"


class HoldState(StrEnum):
    """Where a hold stands."""

    HELD = "held"
    PINNED = "pinned"
    """Its seats are reserved in SQL, or about to be."""
    RELEASED = "released"
    EXPIRED = "expired"
    SOLD = "sold"
    UNKNOWN = "unknown"
    """The store has no record: never made, over for long, or lost."""


LIVE = frozenset((HoldState.HELD, HoldState.PINNED))

Places = tuple[tuple[int, int], ...]
"""Seats with the tier they were held at: ``(seat, tier)``, in the order of seats."""


def places_of(text: str) -> Places:
    """Read ``120.0,121.0``."""
    return tuple(
        (int(seat), int(tier)) for seat, _, tier in (item.partition(".") for item in text.split(",") if item)
    )


def places_text(places: Iterable[tuple[int, int]]) -> str:
    """Write ``120.0,121.0``."""
    return ",".join(f"{seat}.{tier}" for seat, tier in places)


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """One hold. ``until_ms``: the end; of a hold that is over: when it ended.

    ``end_ms``: while pinned, the end that the hold had before; else 0. ``back``: the status that its seats return to.
    """

    state: HoldState
    fence: int
    epoch: int
    until_ms: int
    end_ms: int
    extended: bool
    back: Status
    price_version: int
    currency: str
    buyer: str
    body: str
    seats: Places

    @property
    def is_live(self) -> bool:
        """True while the hold has its seats."""
        return self.state in LIVE

    def text(self) -> str:
        """Write the record as the store keeps it."""
        return (
            f"{self.state} {self.fence} {self.epoch} {self.until_ms} {self.end_ms} {int(self.extended)} "
            f"{int(self.back)} {self.price_version} {self.currency} {self.buyer} {self.body} "
            f"{places_text(self.seats)}"
        )

    @staticmethod
    def of(text: bytes | str) -> "HoldRecord":
        """Read a record. Raises ``ValueError`` for anything else."""
        words = (text.decode() if isinstance(text, bytes) else text).split(" ")
        state, fence, epoch, until_ms, end_ms, extended, back, price_version, currency, buyer, body, seats = (
            words
        )
        return HoldRecord(
            state=HoldState(state),
            fence=int(fence),
            epoch=int(epoch),
            until_ms=int(until_ms),
            end_ms=int(end_ms),
            extended=extended == "1",
            back=Status(int(back)),
            price_version=int(price_version),
            currency=currency,
            buyer=buyer,
            body=body,
            seats=places_of(seats),
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a hold asks for: named seats, and any ``count`` places of ``(first, last, count)`` ranges."""

    seats: tuple[int, ...] = ()
    ranges: tuple[tuple[int, int, int], ...] = ()

    @property
    def count(self) -> int:
        """How many seats that is."""
        return len(self.seats) + sum(count for _, _, count in self.ranges)

    def text(self) -> str:
        """Write it for the script, in order. Raises ``ValueError`` for nothing, a seat named twice, a bad range."""
        seats = sorted(set(self.seats))
        if len(seats) != len(self.seats) or (seats and seats[0] < 0):
            raise ValueError(f"these cannot be held together: {self.seats}")
        if not self.count or any(first < 0 or last < first or n < 1 for first, last, n in self.ranges):
            raise ValueError(f"this cannot be held: {self}")
        parts = [str(seat) for seat in seats]
        parts += [f"{first}-{last}*{count}" for first, last, count in self.ranges]
        return ",".join(parts)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for a hold. ``body`` tells one request's body from another under the same id."""

    id: bytes
    buyer: str
    wanted: Wanted
    ttl_ms: int
    max_per_buyer: int
    price_version: int
    body: str
    back: Status = Status.FREE
    currency: str = UNKNOWN_TEXT


@dataclass(frozen=True, slots=True)
class Held:
    """The seats are this buyer's until ``until_ms``."""

    fence: int
    until_ms: int
    epoch: int
    seats: Places


@dataclass(frozen=True, slots=True)
class HeldAgain:
    """The same request came before; this is where its hold stands now."""

    state: HoldState
    fence: int
    until_ms: int
    epoch: int
    seats: Places
    price_version: int
    currency: str
    extended: bool


@dataclass(frozen=True, slots=True)
class Differs:
    """The id belongs to another request."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Nothing is held, because these of the wanted seats are not to be had."""

    seats: tuple[tuple[int, Status], ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """Nothing is held, because the buyer would have more than ``most`` seats."""

    has: int
    most: int


@dataclass(frozen=True, slots=True)
class Few:
    """Nothing is held, because only so many places of a range are to be had."""

    left: int


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing is sold at the moment."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The store has no map of this event; it must be rebuilt first."""


@dataclass(frozen=True, slots=True)
class Extended:
    """The hold ends later. ``again``: it had been extended before, and this is the same end."""

    until_ms: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """The hold is not in a state in which this can be done."""

    state: HoldState


@dataclass(frozen=True, slots=True)
class NotYours:
    """The hold is another buyer's."""


@dataclass(frozen=True, slots=True)
class Released:
    """The seats are given back."""


@dataclass(frozen=True, slots=True)
class Expired:
    """So many holds were over, with so many seats. ``more``: there may be others."""

    holds: int
    seats: int
    more: bool


@dataclass(frozen=True, slots=True)
class Pinned:
    """The seats stay the buyer's while SQL decides. ``again``: they were pinned before."""

    fence: int
    until_ms: int
    epoch: int
    price_version: int
    seats: Places
    currency: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """The hold is where SQL says it is."""


@dataclass(frozen=True, slots=True)
class Marked:
    """So many seats have changed."""

    seats: int


@dataclass(frozen=True, slots=True)
class Busy:
    """Nothing is marked, because these seats are in another state."""

    seats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The store's map is the given one."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Newer:
    """Nothing is loaded: the store has this epoch, which is not older."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The whole hall at one moment. ``counts``: seats of each status, in the order of ``Status``."""

    epoch: int
    delta_id: str
    map: bytes
    counts: tuple[int, ...]

    @property
    def version(self) -> str:
        """Name this state of the map."""
        return f"{self.epoch}:{self.delta_id}"


HoldOutcome = Held | HeldAgain | Differs | Taken | Limit | Few | Closed | Missing
ExtendOutcome = Extended | Gone | NotYours
ReleaseOutcome = Released | Gone | NotYours
PinOutcome = Pinned | Gone | NotYours
SettleOutcome = Settled | Gone
MarkOutcome = Marked | Busy | Missing
LoadOutcome = Loaded | Newer
