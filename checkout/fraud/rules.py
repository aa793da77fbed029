"""Rule: from what was found of an attempt to pay to what becomes of it.

Every finding is a reason with an answer of its own, and the hardest answer counts:

1. **Lists.** What stands on the blocklist is refused. An entry of the allowlist speaks for its own kind only: it lifts
   the blocklist's entry of this kind, this subject's limits, and for an address or a country the question where it
   is. It never lifts another kind: a good address makes no stolen card good.
2. **Country.** Where a list of countries served is set, others are refused or looked at, as set; so are addresses
   of which nobody knows where they are.
3. **Limits** (``windows``). A device that is only a guess refuses nobody; there REVIEW is the most.
4. **Score** of an external scorer, and what is set for when there is none.
5. **Store away**: nothing was counted, and what is set for that follows; a sale is never stopped by it.

The person hears a code and a sentence that gives away nothing of which signal it was: who tries cards would learn from
it. The operator gets the reasons. Pure. Not here: how anything is found (``service``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from checkout.fraud.signals import Kind
from checkout.fraud.windows import COUNTERS, Answer, Limit, passed
from kernel.errors import Refused
from kernel.places import Place

HARDNESS = tuple(Answer)
WHERE = frozenset({Kind.ADDRESS, Kind.COUNTRY})
"""Who is on the allowlist by one of these is not asked where they are."""


class Why(StrEnum):
    """Why there is no score."""

    OFF = "off"
    TIMEOUT = "timeout"
    FAILED = "failed"
    MALFORMED = "malformed"
    SKIPPED = "skipped"
    """The scorer failed several times in a row and is left alone for a while."""


@dataclass(frozen=True, slots=True)
class Score:
    """What an external scorer said: 0 is a good one, 1 is fraud."""

    value: float
    reasons: tuple[str, ...] = ()


Scored = Score | Why


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator has set."""

    limits: Mapping[str, Limit]
    served: frozenset[str] = frozenset()
    """Countries, as ISO 3166 codes; none at all: the whole world."""
    elsewhere: Answer = Answer.BLOCK
    nowhere: Answer = Answer.REVIEW
    """For an address of which nobody knows where it is; only where ``served`` is set."""
    review_from: float = 0.7
    block_from: float | None = None
    scorer_away: Answer = Answer.REVIEW
    store_away: Answer = Answer.ALLOW


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one attempt. ``counts`` is None when the store was away; ``place`` where nobody looked.

    ``blocked`` says for each kind what on the blocklist was hit.
    """

    counts: Mapping[str, int] | None = field(default_factory=dict)
    place: Place | None = None
    blocked: Mapping[Kind, str] = field(default_factory=dict)
    allowed: frozenset[Kind] = frozenset()
    score: Scored = Why.OFF
    is_weak: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that speaks against an attempt: for the operator only.

    ``word`` is of a small set (for the metric), ``detail`` says what it was.
    """

    word: str
    answer: Answer
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an attempt. ``code`` and ``public`` are for the person; '' when it is allowed."""

    answer: Answer
    code: str = ""
    reasons: tuple[Reason, ...] = ()
    score: float | None = None

    @property
    def public(self) -> str:
        """Give the sentence for the person."""
        return PUBLIC.get(self.code, "")


BLOCKED = "blocked"
TOO_MANY = "too-many-attempts"
NOT_SERVED = "country-not-served"
UNDER_REVIEW = "under-review"

PUBLIC: Mapping[str, str] = MappingProxyType(
    {
        BLOCKED: "This payment cannot be taken. Please ask the organiser.",
        TOO_MANY: "There were too many attempts. Please try again later.",
        NOT_SERVED: "Tickets are not sold to where you are.",
        UNDER_REVIEW: "Your payment is being checked. You will hear from us by e-mail.",
    }
)


def decide(policy: Policy, found: Found) -> Verdict:
    """Weigh everything; with several reasons of one hardness the first in the order above names the code."""
    reasons = (*_listed(found), *_where(policy, found), *_limits(policy, found), *_scored(policy, found))
    against = tuple(reason for reason in reasons if reason.answer is not Answer.ALLOW)
    value = found.score.value if isinstance(found.score, Score) else None
    if not against:
        return Verdict(Answer.ALLOW, reasons=reasons, score=value)
    first = max(against, key=lambda reason: HARDNESS.index(reason.answer))
    code = first.code if first.answer is Answer.BLOCK else UNDER_REVIEW
    return Verdict(first.answer, code, reasons, value)


def refusal(verdict: Verdict) -> Refused:
    """Give what the person hears of a block. Raises ``ValueError`` for any other verdict."""
    if verdict.answer is not Answer.BLOCK:
        raise ValueError(f"{verdict.answer} refuses nobody")
    match verdict.code:
        case "too-many-attempts":
            return Refused("too-many-attempts", verdict.public, 429)
        case "country-not-served":
            return Refused("country-not-served", verdict.public, 403)
        case _:
            return Refused("blocked", verdict.public, 403)


def _listed(found: Found) -> Iterator[Reason]:
    for kind, detail in found.blocked.items():
        lifted_by = WHERE if kind is Kind.COUNTRY else {kind}
        if found.allowed.isdisjoint(lifted_by):
            code = NOT_SERVED if kind is Kind.COUNTRY else BLOCKED
            yield Reason(f"listed-{kind}", Answer.BLOCK, code, detail)


def _where(policy: Policy, found: Found) -> Iterator[Reason]:
    if not policy.served or not found.allowed.isdisjoint(WHERE):
        return
    country = "" if found.place is None else found.place.country
    if not country:
        yield Reason("country-unknown", policy.nowhere, NOT_SERVED)
    elif country not in policy.served:
        yield Reason("country", policy.elsewhere, NOT_SERVED, country)


def _limits(policy: Policy, found: Found) -> Iterator[Reason]:
    if found.counts is None:
        yield Reason("store-away", policy.store_away, BLOCKED)
        return
    for name in passed(policy.limits, found.counts):
        limit, subject = policy.limits[name], COUNTERS[name].subject
        if subject in found.allowed:
            continue
        then = Answer.REVIEW if subject is Kind.DEVICE and found.is_weak else limit.then
        yield Reason(name, then, TOO_MANY, f"more than {limit.most} in {limit.window_ms // 1000} s")


def _scored(policy: Policy, found: Found) -> Iterator[Reason]:
    score = found.score
    if isinstance(score, Why):
        if score is not Why.OFF:
            yield Reason("scorer-away", policy.scorer_away, BLOCKED, score.value)
        return
    detail = "; ".join((f"{score.value:.3f}", *score.reasons))
    if policy.block_from is not None and score.value >= policy.block_from:
        yield Reason("score", Answer.BLOCK, BLOCKED, detail)
    elif score.value >= policy.review_from:
        yield Reason("score", Answer.REVIEW, BLOCKED, detail)
