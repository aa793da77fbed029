"""FaultPlan on demand: what a real provider and a real network do at the worst moment, as often as asked.

A rule has a kind, a pattern of what it concerns (``POST /v1/payment_intents/*/confirm``, or an event's type for those
of webhooks; ``*`` matches anything), how often it strikes at most, and with which probability. Chance comes from the
rule's own seed, which is told, so a run can be repeated. Rules are asked in the order in which they were made; all that
match strike. Pure. Not here: what a strike does (``app``, ``deliveries``).
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

DELAY_MOST_MS = 600_000
COUNT_MOST = 1_000_000
RULES_MOST = 100


class FaultKind(StrEnum):
    """What can go wrong."""

    DROP_REQUEST = "drop-request"
    """The connection breaks before anything was executed."""
    DROP_ANSWER = "drop-answer"
    """It was executed; then the connection breaks."""
    DELAY = "delay"
    """It is executed ``delay_ms`` later; its key is taken meanwhile."""
    DELAY_ANSWER = "delay-answer"
    """It is executed; the answer comes ``delay_ms`` later."""
    ERROR_BEFORE = "error-before"
    """500, and nothing was executed or kept under the key."""
    ERROR_AFTER = "error-after"
    """It was executed, and yet 500, which is kept under the key."""
    TOO_MANY = "too-many"
    """429 with ``Retry-After``."""
    WEBHOOK_FIRST = "webhook-first"
    """Its webhooks were delivered before it is answered."""
    WEBHOOK_TWICE = "webhook-twice"
    """Delivered ``copies`` times."""
    WEBHOOK_LATE = "webhook-late"
    """Delivered ``delay_ms`` later, so that later ones overtake it."""
    WEBHOOK_LOST = "webhook-lost"
    """Never delivered."""


WEBHOOK_KINDS = frozenset({FaultKind.WEBHOOK_TWICE, FaultKind.WEBHOOK_LATE, FaultKind.WEBHOOK_LOST})
REQUEST_KINDS = frozenset(FaultKind) - WEBHOOK_KINDS


@dataclass(slots=True)
class Fault:
    """One rule."""

    kind: FaultKind
    where: str = "*"
    count: int = 1
    probability: float = 1.0
    delay_ms: int = 500
    copies: int = 3
    seed: int = 0
    struck: int = 0
    _chance: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 (a drill that can be repeated)

    def strikes(self, what: str) -> bool:
        """Tell whether it strikes now, and count it."""
        if self.struck >= self.count or not fnmatchcase(what, self.where):
            return False
        if self._chance.random() >= self.probability:
            return False
        self.struck += 1
        return True

    def wire(self) -> dict[str, object]:
        """Tell all of it."""
        return {
            "fault": self.kind.value,
            "where": self.where,
            "count": self.count,
            "probability": self.probability,
            "delay_ms": self.delay_ms,
            "copies": self.copies,
            "seed": self.seed,
            "struck": self.struck,
        }


class FaultPlan:
    """All rules."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a rule; the oldest that is spent makes room. Raises ``ValueError`` when there is none."""
        if len(self._rules) >= RULES_MOST:
            self._rules = [rule for rule in self._rules if rule.struck < rule.count]
        if len(self._rules) >= RULES_MOST:
            raise ValueError(f"there are {RULES_MOST} faults already")
        self._rules.append(fault)

    def clear(self) -> None:
        """Forget all rules."""
        self._rules = []

    def told(self) -> list[dict[str, object]]:
        """Tell all rules, and how often each has struck."""
        return [rule.wire() for rule in self._rules]

    def strike(self, kinds: Iterable[FaultKind], what: str) -> Mapping[FaultKind, Fault]:
        """Give the rules of some kinds that strike now."""
        if not self._rules:
            return {}
        wanted = frozenset(kinds)
        return {rule.kind: rule for rule in self._rules if rule.kind in wanted and rule.strikes(what)}


def read_fault(plain: Mapping[str, object], seed: int) -> Fault:
    """Read a rule; `seed` where it names none. Raises ``ValueError`` with a sentence."""
    unknown = set(plain) - {"fault", "where", "count", "probability", "delay_ms", "copies", "seed"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    kinds = ", ".join(FaultKind)
    if plain.get("fault") not in list(FaultKind):
        raise ValueError(f"fault must be one of {kinds}")
    where = plain.get("where", "*")
    if not isinstance(where, str) or not 0 < len(where) <= 200:
        raise ValueError("where must be a pattern of 1 to 200 characters")
    probability = plain.get("probability", 1.0)
    if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise ValueError("probability must be a number from 0 to 1")
    return Fault(
        FaultKind(str(plain["fault"])),
        where,
        _whole(plain, "count", 1, 1, COUNT_MOST),
        float(probability),
        _whole(plain, "delay_ms", 500, 0, DELAY_MOST_MS),
        _whole(plain, "copies", 3, 2, 100),
        _whole(plain, "seed", seed, 0, 2**63 - 1),
    )


def _whole(plain: Mapping[str, object], name: str, default: int, least: int, most: int) -> int:
    given = plain.get(name, default)
    if type(given) is not int or not least <= given <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}")
    return given
