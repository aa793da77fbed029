"""Window: how much of one thing somebody has done lately, and how much of it may be.

A window counts **different members** (attempts, accounts, cards) that were seen of one subject (a card, a device, an
account, an address) in the last ``window_ms``. A member is alive while ``now_ms < seen_ms + window_ms``, and seeing it
again is not one more: so a retry counts once. A limit is passed when there are more than ``most``. Refused attempts
count as well: who goes on hammering stays refused.

**Exact, and bounded.** Only the ``most + 1`` members seen last are kept. Of those that were dropped each was seen
before ``most + 1`` others, so it could only be alive while the limit is passed anyway; seen again it is among the last
and comes back. Hence "more than ``most``" is the same as with everything kept. The count itself stops at ``most + 1``.

**Time.** A member's time never goes back. What was seen more than ``SET_BACK_MS`` in the future was seen by a clock
that has been set right since; it is forgotten, or an hour's mistake would refuse people for an hour.

``count`` is one call for one window; ``lua/count.lua`` does the same for all windows of an act in one piece, and
``tests/checkout/fraud/test_windows_agree.py`` proves that they agree. Pure. Not here: what follows (``rules``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from checkout.fraud.signals import Kind
from kernel.clock import SET_BACK_MS
from kernel.errors import Misconfigured

MOST_MOST = 10_000
"""A window keeps up to so many members and one more; a higher limit protects nobody."""

WINDOW_MOST_S = 30 * 86_400
OFF = "off"


class Answer(StrEnum):
    """What becomes of an attempt to pay, from the mildest to the hardest."""

    ALLOW = "allow"
    REVIEW = "review"
    """The money is authorised, and a person decides before it is taken."""
    BLOCK = "block"
    """The provider is not even asked."""


class Act(StrEnum):
    """What somebody did."""

    PAY = "pay"
    PICK = "pick"
    DROP = "drop"
    """A hold was given back or has lapsed."""
    DECLINE = "decline"
    """The buyer's bank said no."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Which members are counted of which subject; ``of`` None: the acts themselves."""

    name: str
    subject: Kind
    of: Kind | None
    acts: frozenset[Act]


def _counter(name: str, subject: Kind, of: Kind | None, *acts: Act) -> Counter:
    return Counter(name, subject, of, frozenset(acts))


COUNTERS: Mapping[str, Counter] = MappingProxyType(
    {
        counter.name: counter
        for counter in (
            _counter("card-attempts", Kind.CARD, None, Act.PAY),
            _counter("account-attempts", Kind.ACCOUNT, None, Act.PAY),
            _counter("device-attempts", Kind.DEVICE, None, Act.PAY),
            _counter("address-attempts", Kind.ADDRESS, None, Act.PAY),
            _counter("card-accounts", Kind.CARD, Kind.ACCOUNT, Act.PAY),
            _counter("account-cards", Kind.ACCOUNT, Kind.CARD, Act.PAY),
            _counter("device-accounts", Kind.DEVICE, Kind.ACCOUNT, Act.PAY, Act.PICK),
            _counter("device-picks", Kind.DEVICE, None, Act.PICK),
            _counter("account-drops", Kind.ACCOUNT, None, Act.DROP),
            _counter("device-drops", Kind.DEVICE, None, Act.DROP),
            _counter("account-declines", Kind.ACCOUNT, None, Act.DECLINE),
            _counter("address-declines", Kind.ADDRESS, None, Act.DECLINE),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Limit:
    """So much may be in so long a time, and what follows if there is more."""

    most: int
    window_ms: int
    then: Answer


DEFAULTS: Mapping[str, Limit] = MappingProxyType(
    {
        "card-attempts": Limit(5, 600_000, Answer.BLOCK),
        "account-attempts": Limit(8, 600_000, Answer.BLOCK),
        "device-attempts": Limit(10, 600_000, Answer.BLOCK),
        # Behind one address of a mobile network there are thousands of people.
        "address-attempts": Limit(60, 600_000, Answer.REVIEW),
        "card-accounts": Limit(2, 86_400_000, Answer.REVIEW),
        "account-cards": Limit(3, 86_400_000, Answer.REVIEW),
        "device-accounts": Limit(4, 600_000, Answer.REVIEW),
        "device-picks": Limit(40, 600_000, Answer.REVIEW),
        "account-drops": Limit(10, 1_800_000, Answer.REVIEW),
        "device-drops": Limit(15, 1_800_000, Answer.REVIEW),
        "account-declines": Limit(5, 600_000, Answer.BLOCK),
        "address-declines": Limit(20, 600_000, Answer.BLOCK),
    }
)


@dataclass(frozen=True, slots=True)
class Window:
    """One window of one subject (a pseudonym), and the member that was seen; '' only looks."""

    name: str
    subject: str
    most: int
    window_ms: int
    member: str


Seen = Mapping[str, int]
"""When each member was seen last."""


def count(seen: Seen, most: int, window_ms: int, member: str, now_ms: int) -> tuple[int, dict[str, int]]:
    """Note a member, and return how many are alive then (at most ``most + 1``) with what is kept."""
    alive = {one: at_ms for one, at_ms in seen.items() if now_ms - window_ms < at_ms <= now_ms + SET_BACK_MS}
    if member:
        alive[member] = max(now_ms, alive.get(member, now_ms))
        last = sorted(alive.items(), key=lambda item: (item[1], item[0]))[-(most + 1) :]
        alive = dict(last)
    return len(alive), alive


def windows_of(
    limits: Mapping[str, Limit], act: Act, subjects: Mapping[Kind, str], member: str
) -> tuple[Window, ...]:
    """Name the windows that an act touches, given the pseudonyms of all who are known.

    Only an attempt to pay looks into the windows of other acts, too; the rest write their own.
    """
    found: list[Window] = []
    for name, limit in limits.items():
        counter = COUNTERS[name]
        subject = subjects.get(counter.subject, "")
        seen = ""
        if act in counter.acts:
            seen = member if counter.of is None else subjects.get(counter.of, "")
        if subject and (seen or act is Act.PAY):
            found.append(Window(name, subject, limit.most, limit.window_ms, seen))
    return tuple(found)


def passed(limits: Mapping[str, Limit], counts: Mapping[str, int]) -> tuple[str, ...]:
    """Name the limits that are passed."""
    return tuple(name for name, limit in limits.items() if counts.get(name, 0) > limit.most)


def read_limits(changes: Iterable[str]) -> dict[str, Limit]:
    """Change the defaults by an operator's words: ``card-attempts=5/600/block``, ``device-picks=off``.

    Raises ``Misconfigured`` with every fault there is.
    """
    made = dict(DEFAULTS)
    faults: list[str] = []
    changed: set[str] = set()
    for text in changes:
        name, _, rule = (part.strip() for part in text.partition("="))
        if name not in COUNTERS:
            faults.append(f"The limit {name!r} is unknown; there are {', '.join(COUNTERS)}.")
        elif name in changed:
            faults.append(f"The limit {name} is set twice.")
        elif rule == OFF:
            made.pop(name)
        elif (limit := _limit(rule)) is None:
            faults.append(
                f"The limit {name} must be most/seconds/review or most/seconds/block, with 1 to {MOST_MOST} and "
                f"1 to {WINDOW_MOST_S}, or {OFF}, not {rule!r}."
            )
        else:
            made[name] = limit
        changed.add(name)
    if faults:
        raise Misconfigured(faults)
    return made


def _limit(rule: str) -> Limit | None:
    parts = rule.split("/")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts[:2]):
        return None
    most, seconds = int(parts[0]), int(parts[1])
    if not 1 <= most <= MOST_MOST or not 1 <= seconds <= WINDOW_MOST_S:
        return None
    if parts[2] not in {Answer.REVIEW.value, Answer.BLOCK.value}:
        return None
    return Limit(most, seconds * 1_000, Answer(parts[2]))
