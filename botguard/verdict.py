"""Verdict: from what is known of somebody to the lane or the check that follows. The whole table stands here.

    what is known                                        when       verdict
    -----------------------------------------------------------------------------------------------
    a proof (forged paper, spent nonce, hard limit)      always     deny
    declares to be a program, or is known as one         always     slow     (the lane suspect)
    on the operator's list, or an agent that signed      always     allow
    anything else                                        at join    allow    (noted, decided later)
    likelihood of a program >= ``slow``                  settling   slow
                            >= ``step_up``               settling   step-up  (a check that a person passes)
                            >= ``prove``                 settling   prove    (the device works in the background)
                            below                        settling   allow

**Only a proof denies**, and a proof is no likelihood: the code that weighs cannot reach ``deny``. Slow is reversible: a
check passed lifts it, and the place is kept.

The likelihood is ``1 / (1 + e^-x)`` with ``x = base + request + where + often + behaviour``, all of them log-odds:

* ``request``: what the headers say against the agent, at most ``REQUEST_MOST``. One header that is not there
  (``ABSENCES``) is missing and adds nothing: privacy browsers and apps leave one out. Two or more count in full;
* ``often``: what one browser or identity does, at most ``OFTEN_MOST``;
* ``where``: the network and how often it acts, because thousands share one: at most ``WHERE_MOST``, and never more than
  request and often say together. So **nobody is checked for where they are**, and the same rhythm is judged alike at
  home, behind a mobile network's address and in a company's cloud (ADR-0033);
* ``behaviour``: what the page's rhythm says, between ``-BEHAVIOUR_MOST`` and ``BEHAVIOUR_MOST``, so that it alone makes
  nobody slow.

**What is missing is missing**: it adds nothing and is no reason. Reasons are codes of closed sets; they go into the
fan's receipt and into the metrics. Pure. Not here: how anything is found out (``request``, ``velocity``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log2
from types import MappingProxyType
from typing import NamedTuple

from botguard.request.facts import Facts, Who
from botguard.request.hints import Sign
from botguard.request.networks import Network
from botguard.velocity.subjects import Subject
from botguard.velocity.windows import Count


class Verdict(StrEnum):
    """What follows, the mildest first."""

    ALLOW = "allow"
    PROVE = "prove"
    STEP_UP = "step-up"
    SLOW = "slow"
    DENY = "deny"


class Proof(StrEnum):
    """What is certain, and no matter of likelihood."""

    FORGED_DEVICE = "forged-device"
    FORGED_TICKET = "forged-ticket"
    SPENT_NONCE = "spent-nonce"
    DEVICE_LIMIT = "device-limit"
    IDENTITY_LIMIT = "identity-limit"


class Stage(StrEnum):
    """When it is asked."""

    JOIN = "join"
    SETTLE = "settle"
    """The wait falls below two minutes, and "your turn" has not been shown."""


LIMITS: Mapping[Subject, Proof] = MappingProxyType(
    {Subject.DEVICE: Proof.DEVICE_LIMIT, Subject.IDENTITY: Proof.IDENTITY_LIMIT}
)
"""Whose rate is a hard limit. A network's is none."""

PROGRAMS = frozenset({Who.AGENT, Who.SEARCH_BOT, Who.CRAWLER, Who.AUTOMATION, Who.TOOL})
WELCOME = frozenset({Who.VOUCHED, Who.SIGNED_AGENT})

BASE = -3.0
"""One of twenty, before anything is known."""

REQUEST_MOST = 4.0
WHERE_MOST = 1.5
OFTEN_MOST = 3.0
BEHAVIOUR_MOST = 2.5

SIGNS: Mapping[Sign, float] = MappingProxyType(
    {
        Sign.AGENT_MISSING: 3.0,
        Sign.HINTS_MISSING: 1.5,
        Sign.HINTS_UNEXPECTED: 2.0,
        Sign.HINTS_VERSION: 2.0,
        Sign.HINTS_SYSTEM: 1.5,
        Sign.HINTS_MOBILE: 0.5,
        Sign.FETCH_MISSING: 1.5,
        Sign.LANGUAGE_MISSING: 1.0,
        Sign.ORDER: 1.0,
        Sign.TLS: 1.0,
    }
)
ABSENCES = frozenset({Sign.HINTS_MISSING, Sign.FETCH_MISSING, Sign.LANGUAGE_MISSING})
"""Headers that are not there: one is forgiven, two are not."""

NETWORKS: Mapping[Network, float] = MappingProxyType(
    {
        Network.PEOPLE: 0.0,
        Network.RELAY: 0.0,
        Network.TOR: 0.0,
        Network.AGENTS: 0.5,
        Network.EDGE: 0.0,
        Network.HOSTING: 1.0,
    }
)
SHARED = frozenset({Network.PEOPLE, Network.RELAY, Network.TOR, Network.EDGE})
"""Made to be shared by many: how often such a network acts says nothing."""

BUSY_PREFIX = 200
"""Acts of one prefix within ten minutes, from which on each doubling adds ``PREFIX_STEP``."""

PREFIX_STEP = 0.25
PREFIX_MOST = 1.0
BUSY_DEVICE = 3
DEVICE_STEP = 1.0


class Thresholds(NamedTuple):
    """Likelihoods from which on something follows; operators choose them within ``LEAST``."""

    prove: float = 0.3
    step_up: float = 0.9
    slow: float = 0.98


LEAST = Thresholds(prove=0.2, step_up=0.5, slow=0.8)
"""Lower ones would check people for how they move (``prove``, ``step_up``), or slow them for it (``slow``)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known. None and '' and what is not in a mapping are not known."""

    facts: Facts
    counts: Mapping[Subject, Count] | None = None
    proofs: frozenset[Proof] = frozenset()
    behaviour: float | None = None
    """Log-odds of what the page's rhythm says, from below the person to above the program."""

    rhythm: tuple[str, ...] = ()
    """What speaks for a program in it: codes of ``behaviour``, told where it weighs anything."""


class Reason(NamedTuple):
    """One thing that speaks against somebody: a code, and what it weighs."""

    code: str
    weight: float


class Judged(NamedTuple):
    """What follows and why; ``likelihood`` is None where nothing was weighed."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    likelihood: float | None = None


def proofs(evidence: Evidence) -> list[str]:
    """List the proofs: those that were found, and the limits that are passed."""
    counts = evidence.counts or {}
    limits = [
        proof
        for subject, proof in LIMITS.items()
        if (count := counts.get(subject)) is not None and count.wait_ms > 0
    ]
    return sorted({*evidence.proofs, *limits})


def decide(evidence: Evidence, thresholds: Thresholds, stage: Stage) -> Judged:
    """Say what follows."""
    if certain := proofs(evidence):
        return Judged(Verdict.DENY, tuple(certain))
    who = evidence.facts.who
    if who in PROGRAMS:
        return Judged(Verdict.SLOW, (who.value,))
    if who in WELCOME:
        return Judged(Verdict.ALLOW, (who.value,))
    likelihood, reasons = weigh(evidence)
    codes = tuple(reason.code for reason in reasons)
    if stage is Stage.JOIN:
        return Judged(Verdict.ALLOW, codes, likelihood)
    return Judged(by_likelihood(likelihood, thresholds), codes, likelihood)


def by_likelihood(likelihood: float, thresholds: Thresholds) -> Verdict:
    """Say what follows from a likelihood when the turn comes near."""
    if likelihood >= thresholds.slow:
        return Verdict.SLOW
    if likelihood >= thresholds.step_up:
        return Verdict.STEP_UP
    if likelihood >= thresholds.prove:
        return Verdict.PROVE
    return Verdict.ALLOW


def weigh(evidence: Evidence) -> tuple[float, list[Reason]]:
    """Return the likelihood of a program, and what speaks for it, the heaviest first.

    Reasons have their weight by themselves; that of a network or of one absence may not have counted.
    """
    request = [Reason(sign.value, SIGNS[sign]) for sign in evidence.facts.signs]
    where, often = _where(evidence), _often(evidence)
    told = evidence.behaviour
    behaviour = 0.0 if told is None else max(-BEHAVIOUR_MOST, min(BEHAVIOUR_MOST, told))
    own = min(REQUEST_MOST, sum(reason.weight for reason in request) - _forgiven(evidence))
    own += min(OFTEN_MOST, sum(reason.weight for reason in often))
    odds = BASE + own + _beside(own, sum(reason.weight for reason in where)) + behaviour
    against = [*request, *where, *often, *([Reason("behaviour", behaviour)] if behaviour > 0 else [])]
    against.sort(key=lambda reason: (-reason.weight, reason.code))
    more = [Reason(code, 0.0) for code in evidence.rhythm] if behaviour > 0 else []
    return 1 / (1 + exp(-odds)), [*against, *more]


def _forgiven(evidence: Evidence) -> float:
    """Return what one absence weighs by itself; two are not forgiven."""
    absent = [SIGNS[sign] for sign in evidence.facts.signs if sign in ABSENCES]
    return absent[0] if len(absent) == 1 else 0.0


def _beside(own: float, where: float) -> float:
    """Return what a network adds to what somebody shows themselves."""
    return min(WHERE_MOST, where, own)


def _where(evidence: Evidence) -> list[Reason]:
    network = evidence.facts.network
    found: list[Reason] = []
    if network is not None and (weight := NETWORKS[network]):
        found.append(Reason(f"network-{network}", weight))
    count = (evidence.counts or {}).get(Subject.PREFIX)
    if count is not None and network not in SHARED and count.acts > BUSY_PREFIX:
        found.append(Reason("prefix-busy", min(PREFIX_MOST, PREFIX_STEP * log2(count.acts / BUSY_PREFIX))))
    return found


def _often(evidence: Evidence) -> list[Reason]:
    counts = evidence.counts or {}
    return [
        Reason(f"{subject}-busy", DEVICE_STEP * log2(count.acts / BUSY_DEVICE))
        for subject in (Subject.DEVICE, Subject.IDENTITY)
        if (count := counts.get(subject)) is not None and count.acts > BUSY_DEVICE
    ]


REASONS = frozenset(
    {
        *(proof.value for proof in Proof),
        *(who.value for who in PROGRAMS | WELCOME),
        *(sign.value for sign in Sign),
        *(f"network-{network}" for network, weight in NETWORKS.items() if weight),
        "prefix-busy",
        *(f"{subject}-busy" for subject in (Subject.DEVICE, Subject.IDENTITY)),
        "behaviour",
    }
)
"""Every code there is, besides those of a rhythm (``behaviour.CODES``)."""
