"""Reminder: a fan's wish to be told when the turn is near, and again when it is there.

A reminder belongs to one place and has one address (a mailbox or a browser), sealed (``kernel.sealing``) under a key of
its room that is destroyed when the line ends. All reminders of a line stand in one **book**, bound to the line's run
and epoch: after a loss of the store the line has a new epoch, and a book of an older one is wiped and never read, so
what somebody took back cannot come back with an old copy of the store. Their pages ask anew.

Found by rank: each lane has its reminders in the order of their ranks, so who is near, and who is called, is a range,
however many wait. While a draw is to come they have no rank, and stand aside. Each message is taken by one worker for
a **lease**; who dies with it leaves it to the next, so it is sent at least once. The turn comes before what was to be
tried again, and that before who is near.

Nobody's mailbox is flooded through us: an address is known by its `tag` (an HMAC under the room's key), has
`LIVE_MOST` reminders at once and `ADDRESS_RATE` askings; once its owner has said stop, it gets no more of this line.

Every function below that takes a book is one transition; the file of the same name in ``lua/`` does the same in the
store. Not here: the words (``reminder_letters``), the sending (``reminder_round``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from kernel.gcra import Rate, next_us, spent
from waitroom.lanes import Lane, Serving
from waitroom.line import JOINABLE
from waitroom.schedule import Phase
from waitroom.standing import Place, Standing

LIVE_MOST = 3
"""Reminders that one address may have at once: a family with several places."""

ADDRESS_RATE = Rate(600_000_000, 6)
"""An address may be asked for six times at once, and then once in ten minutes."""

KEEP_MS = 7 * 86_400_000
"""A reminder that could not serve is deleted after so long, whatever the line does."""

LEASE_MS = 60_000
FIRST_MS = 5_000
LONGEST_MS = 60_000
WINDOWS_USEFUL = 2
"""A turn is told until so many claim windows after the call: in the second one the fan may still come in."""


class Job(StrEnum):
    """What there is to tell."""

    NEAR = "near"
    TURN = "turn"


class Came(StrEnum):
    """What came of a try."""

    TOLD = "told"
    LATER = "later"
    OVER = "over"
    """It was refused for good, or is of no use any more."""


@dataclass(frozen=True, slots=True)
class Reminder:
    """One place's wish. `rank` is None while a draw is to come; `job` is set while a message is under way."""

    number: int
    lane: Lane
    rank: int | None
    sealed: str = field(repr=False)
    tag: str
    until_ms: int
    is_near: bool = False
    """It has been told that the turn is near."""
    job: Job | None = None
    tries: int = 0
    at_ms: int = 0
    """While a job is under way: when it may be taken (again)."""
    lease: str = ""


@dataclass(frozen=True, slots=True)
class Book:
    """All reminders of a line. `half` is the store's half of the room's key; '' once it was destroyed."""

    epoch: int
    run: str
    half: str = field(repr=False)
    reminders: Mapping[int, Reminder] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()
    asked: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The book is there, with this half of its key."""

    half: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Old:
    """A book of an older line is in the way: wipe it first."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The line has gone on; look again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The reminder stands in the book."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The owner of this address has said stop."""


@dataclass(frozen=True, slots=True)
class Crowded:
    """The address has as many reminders as it may."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The address was asked for too often; again after `wait_ms`."""

    wait_ms: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """So many reminders were deleted."""

    count: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """So many have a rank now."""

    count: int


@dataclass(frozen=True, slots=True)
class Due:
    """One message that the taker is to send now."""

    number: int
    lane: Lane
    job: Job
    tries: int
    sealed: str = field(repr=False)
    tag: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What is to be sent, and how many reminders there are, those without a rank counted again."""

    due: tuple[Due, ...]
    kept: int
    unranked: int


@dataclass(frozen=True, slots=True)
class Noted:
    """What came of it is written down."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Somebody else has it, or nobody any more."""


@dataclass(frozen=True, slots=True)
class More:
    """Not everything is wiped yet."""


@dataclass(frozen=True, slots=True)
class Wiped:
    """Nothing is left."""


def prepare(book: Book | None, epoch: int, run: str, half: str) -> tuple[Book | None, Prepared | Old | Stale]:
    """Begin the book of a line, once; `half` is what its key will have if it is new."""
    if book is None:
        return Book(epoch, run, half), Prepared(half)
    if book.epoch < epoch:
        return book, Old()
    if book.epoch > epoch or book.run != run or not book.half:
        return book, Stale()
    return book, Prepared(book.half)


def remind(
    book: Book | None, epoch: int, wish: Reminder, most: int, rate: Rate, now_ms: int
) -> tuple[Book | None, Kept | Stale | Stopped | Crowded | Slow]:
    """Put a reminder into the book, in the place of the one that this place had."""
    if book is None or book.epoch != epoch or not book.half:
        return book, Stale()
    if wish.tag in book.stopped:
        return book, Stopped()
    others = sum(one.tag == wish.tag and one.number != wish.number for one in book.reminders.values())
    if others >= most:
        return book, Crowded()
    now_us, tat_us = now_ms * 1000, book.asked.get(wish.tag, 0)
    at_us = next_us(tat_us, rate, now_us)
    if at_us > now_us:
        return book, Slow(-(-(at_us - now_us) // 1000))
    return (
        replace(
            book,
            reminders={**book.reminders, wish.number: wish},
            asked={**book.asked, wish.tag: spent(tat_us, rate, now_us)},
        ),
        Kept(),
    )


def forget(book: Book | None, number: int) -> tuple[Book | None, Forgotten]:
    """Delete the reminder of a place."""
    if book is None or number not in book.reminders:
        return book, Forgotten(0)
    return _without(book, [number]), Forgotten(1)


def stop(book: Book | None, epoch: int, tag: str) -> tuple[Book | None, Forgotten | Stale]:
    """Delete every reminder of an address, and take no more for it."""
    if book is None or book.epoch != epoch:
        return book, Stale()
    numbers = [one.number for one in book.reminders.values() if one.tag == tag]
    return replace(_without(book, numbers), stopped=book.stopped | {tag}), Forgotten(len(numbers))


def rank(book: Book | None, epoch: int, ranks: Mapping[int, int]) -> tuple[Book | None, Ranked | Stale]:
    """Give ranks to those who had none: the draw is done."""
    if book is None or book.epoch != epoch:
        return book, Stale()
    found = {
        number: replace(book.reminders[number], rank=given)
        for number, given in ranks.items()
        if number in book.reminders and book.reminders[number].rank is None
    }
    return replace(book, reminders={**book.reminders, **found}), Ranked(len(found))


def due(
    book: Book | None,
    epoch: int,
    serving: Serving,
    near: Serving,
    most: int,
    lease: str,
    lease_ms: int,
    now_ms: int,
) -> tuple[Book | None, Taken | Stale]:
    """Take up to `most` messages: who is called, what is to be tried again, who is near; drop what is too old."""
    if book is None or book.epoch != epoch:
        return book, Stale()
    old = sorted((one.until_ms, str(one.number)) for one in book.reminders.values() if one.until_ms <= now_ms)
    book = _without(book, [int(number) for _, number in old[:most]])
    taken = [
        *_called(book, serving, most),
        *_trying(book, serving, now_ms),
        *_near(book, serving, near),
    ][:most]
    leased = {
        one.number: replace(one, tries=one.tries + 1, at_ms=now_ms + lease_ms, lease=lease) for one in taken
    }
    book = replace(book, reminders={**book.reminders, **leased})
    told = tuple(_due(one) for one in leased.values())
    unranked = sum(one.rank is None for one in book.reminders.values())
    return book, Taken(told, len(book.reminders), unranked)


def _called(book: Book, serving: Serving, most: int) -> list[Reminder]:
    found = []
    for lane in Lane:
        for is_near in (True, False):
            idle = [
                one
                for one in _idle(book, lane, is_near=is_near)
                if one.rank is not None and one.rank < serving.of(lane)
            ]
            found += [replace(one, job=Job.TURN, tries=0) for one in idle]
    return found[:most]


def _trying(book: Book, serving: Serving, now_ms: int) -> list[Reminder]:
    again = [one for one in book.reminders.values() if one.job is not None and one.at_ms <= now_ms]
    found = []
    for one in sorted(again, key=lambda one: (one.at_ms, str(one.number))):
        overtaken = one.job is Job.NEAR and one.rank is not None and one.rank < serving.of(one.lane)
        found.append(replace(one, job=Job.TURN, tries=0) if overtaken else one)
    return found


def _near(book: Book, serving: Serving, near: Serving) -> list[Reminder]:
    return [
        replace(one, job=Job.NEAR, tries=0)
        for lane in Lane
        for one in _idle(book, lane, is_near=False)
        if one.rank is not None and serving.of(lane) <= one.rank < near.of(lane)
    ]


def _idle(book: Book, lane: Lane, *, is_near: bool) -> list[Reminder]:
    found = [
        one
        for one in book.reminders.values()
        if one.job is None and one.lane is lane and one.is_near is is_near and one.rank is not None
    ]
    return sorted(found, key=lambda one: (one.rank, str(one.number)))


def _due(one: Reminder) -> Due:
    return Due(one.number, one.lane, one.job or Job.TURN, one.tries, one.sealed, one.tag)


def told(
    book: Book | None, number: int, lease: str, came: Came, wait_ms: int, now_ms: int
) -> tuple[Book | None, Noted | Gone]:
    """Write down what came of a try: the next message, the same again after `wait_ms`, or nothing more."""
    one = book.reminders.get(number) if book else None
    if book is None or one is None or one.job is None or one.lease != lease:
        return book, Gone()
    if came is Came.LATER:
        changed = replace(one, at_ms=now_ms + wait_ms, lease="")
    elif came is Came.TOLD and one.job is Job.NEAR:
        changed = replace(one, is_near=True, job=None, tries=0, at_ms=0, lease="")
    else:
        return _without(book, [number]), Noted()
    return replace(book, reminders={**book.reminders, number: changed}), Noted()


def wipe(book: Book | None, below: int, most: int) -> tuple[Book | None, More | Wiped]:
    """Destroy the key and delete up to `most` reminders of a book whose epoch is below `below`."""
    if book is None or book.epoch >= below:
        return book, Wiped()
    doomed = sorted(book.reminders.values(), key=lambda one: (one.until_ms, str(one.number)))[:most]
    if len(doomed) < len(book.reminders):
        return replace(_without(book, [one.number for one in doomed]), half=""), More()
    return None, Wiped()


def _without(book: Book, numbers: Sequence[int]) -> Book:
    gone = set(numbers)
    return replace(
        book, reminders={number: one for number, one in book.reminders.items() if number not in gone}
    )


# ------------------------------------------------------------------------------- what a worker decides


def can_be_asked(phase: Phase, place: Place) -> bool:
    """Tell whether there is something left to remind of: the line moves, and the place is not called yet."""
    return phase in JOINABLE and place.standing in {Standing.GATHERING, Standing.WAITING}


def is_useful(job: Job, place: Place, claim_window_ms: int, now_ms: int) -> bool:
    """Tell whether a message still helps: a turn until the second claim window is over."""
    if job is Job.NEAR or place.called_ms is None:
        return True
    return now_ms < place.called_ms + WINDOWS_USEFUL * claim_window_ms


def pause_ms(tries: int, chance: float) -> int:
    """Say how long to wait after so many tries, shortened by chance (from [0, 1)) by up to a half."""
    wait_ms: int = min(FIRST_MS << min(max(tries, 1) - 1, 16), LONGEST_MS)
    return wait_ms - int(wait_ms / 2 * chance)
