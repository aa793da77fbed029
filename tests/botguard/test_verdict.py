"""The table from what is known to what follows, in full; and the promises to people that it keeps."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain, combinations, product
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botguard import verdict as rules
from botguard.request.facts import Facts, Who
from botguard.request.hints import Sign
from botguard.request.networks import Network
from botguard.velocity.subjects import Subject
from botguard.velocity.windows import Count
from botguard.verdict import (
    LEAST,
    REASONS,
    Evidence,
    Proof,
    Stage,
    Thresholds,
    Verdict,
    decide,
    weigh,
)

DEFAULT = Thresholds()
HARDNESS = list(Verdict)
NETWORKS = [None, *Network]
CROWDED = 1_000_000

FACTS = st.builds(
    Facts,
    st.sampled_from(list(Who)),
    st.lists(st.sampled_from(list(Sign)), unique=True).map(tuple),
    st.sampled_from(NETWORKS),
)
COUNTS = st.none() | st.dictionaries(
    st.sampled_from(list(Subject)),
    st.builds(Count, st.integers(0, CROWDED), st.integers(0, 60_000)),
    max_size=3,
)
EVIDENCE = st.builds(
    Evidence, FACTS, COUNTS, st.frozensets(st.sampled_from(list(Proof)), max_size=2),
    st.none() | st.floats(-50, 50),
)  # fmt: skip


def person(network: Network | None = None, **changes: object) -> Evidence:
    """Give somebody of whom nothing else is known."""
    return replace(Evidence(Facts(Who.UNDECLARED, (), network)), **changes)  # type: ignore[arg-type]


def counts(prefix: int = 1, device: int = 1, wait_ms: int = 0) -> Mapping[Subject, Count]:
    """Give how often a network and a browser acted."""
    return {Subject.PREFIX: Count(prefix, 90_000), Subject.DEVICE: Count(device, wait_ms)}


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("proof", Proof)
def test_a_proof_denies_whoever_it_is(proof: Proof, stage: Stage) -> None:
    """A vouched one as well: nobody vouches for a forgery."""
    for who in Who:
        found = decide(Evidence(Facts(who), None, frozenset({proof})), DEFAULT, stage)
        assert (found.verdict, found.reasons) == (Verdict.DENY, (proof.value,))


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize(
    ("who", "verdict"),
    [
        (Who.UNDECLARED, Verdict.ALLOW),
        (Who.VOUCHED, Verdict.ALLOW),
        (Who.SIGNED_AGENT, Verdict.ALLOW),
        (Who.AGENT, Verdict.SLOW),
        (Who.SEARCH_BOT, Verdict.SLOW),
        (Who.CRAWLER, Verdict.SLOW),
        (Who.AUTOMATION, Verdict.SLOW),
        (Who.TOOL, Verdict.SLOW),
    ],
)
def test_what_somebody_declares_is_believed(who: Who, verdict: Verdict, stage: Stage) -> None:
    """Programs wait behind people; those that somebody stands for do not."""
    assert decide(Evidence(Facts(who)), DEFAULT, stage).verdict is verdict


def test_the_table_names_everybody() -> None:
    """The mutant is a new word that nobody decides on."""
    assert rules.PROGRAMS | rules.WELCOME | {Who.UNDECLARED} == set(Who)
    assert rules.SIGNS.keys() == set(Sign)
    assert rules.NETWORKS.keys() == set(Network)
    assert set(rules.LIMITS) == set(Subject) - {Subject.PREFIX}


@pytest.mark.parametrize(
    ("likelihood", "verdict"),
    [
        (0.0, Verdict.ALLOW), (0.2999, Verdict.ALLOW), (0.3, Verdict.PROVE), (0.8999, Verdict.PROVE),
        (0.9, Verdict.STEP_UP), (0.9799, Verdict.STEP_UP), (0.98, Verdict.SLOW), (1.0, Verdict.SLOW),
    ],
)  # fmt: skip
def test_the_bands_are_half_open(
    likelihood: float, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the threshold on, not beyond it."""
    monkeypatch.setattr(rules, "weigh", lambda _evidence: (likelihood, []))

    assert decide(person(), DEFAULT, Stage.SETTLE).verdict is verdict
    assert decide(person(), DEFAULT, Stage.JOIN).verdict is Verdict.ALLOW


@given(EVIDENCE, st.sampled_from(list(Stage)))
def test_only_a_proof_denies(evidence: Evidence, stage: Stage) -> None:
    """And a proof always does."""
    limits = [
        subject
        for subject in rules.LIMITS
        if (count := (evidence.counts or {}).get(subject)) and count.wait_ms
    ]
    denied = decide(evidence, DEFAULT, stage).verdict is Verdict.DENY

    assert denied is bool(evidence.proofs or limits)


@given(EVIDENCE, st.sampled_from(list(Stage)))
def test_at_join_only_what_is_certain_changes_anything(evidence: Evidence, stage: Stage) -> None:
    """A likelihood is noted, and decided later."""
    found = decide(evidence, DEFAULT, stage)

    if stage is Stage.JOIN and found.verdict is not Verdict.ALLOW:
        assert evidence.facts.who in rules.PROGRAMS or rules.proofs(evidence)
    assert set(found.reasons) <= REASONS
    assert found.likelihood is None or 0 < found.likelihood < 1


@given(EVIDENCE)
def test_what_is_missing_adds_nothing_and_is_no_reason(evidence: Evidence) -> None:
    """Without an input the likelihood is what it is with a neutral one."""
    odds, reasons = weigh(replace(evidence, behaviour=None))
    assert odds == weigh(replace(evidence, behaviour=0.0))[0]
    assert "behaviour" not in [reason.code for reason in reasons]

    uncounted = weigh(replace(evidence, counts=None))
    assert uncounted == weigh(replace(evidence, counts={}))
    assert uncounted == weigh(replace(evidence, counts=counts()))
    unknown = replace(evidence, counts=None, facts=replace(evidence.facts, network=None))
    assert weigh(unknown)[0] <= uncounted[0]


@given(EVIDENCE, st.sampled_from(list(Sign)), st.integers(0, 1_000))
def test_more_against_somebody_never_makes_it_milder(evidence: Evidence, sign: Sign, more: int) -> None:
    """A sign more, an act more."""
    before = weigh(evidence)[0]
    signs = tuple({*evidence.facts.signs, sign})
    assert weigh(replace(evidence, facts=replace(evidence.facts, signs=signs)))[0] >= before - 1e-12

    grown = {
        subject: count._replace(acts=count.acts + more) for subject, count in (evidence.counts or {}).items()
    }
    assert weigh(replace(evidence, counts=grown))[0] >= before - 1e-12


LADDER = (
    1,
    rules.BUSY_DEVICE,
    rules.BUSY_DEVICE + 1,
    20,
    rules.BUSY_PREFIX,
    rules.BUSY_PREFIX + 1,
    5_000,
    CROWDED,
)


def climbing(subject: Subject) -> list[float]:
    """Give the likelihood of a program whose headers are odd, as one of its counts grows."""
    odd = Evidence(Facts(Who.UNDECLARED, (Sign.HINTS_VERSION,), Network.HOSTING))
    return [weigh(replace(odd, counts={subject: Count(acts, 0)}))[0] for acts in LADDER]


@pytest.mark.parametrize("subject", Subject)
def test_who_acts_more_often_is_never_more_like_a_person(subject: Subject) -> None:
    """How often a network, a browser or an identity acts speaks one way only (ADR-0032), and it does speak."""
    seen = climbing(subject)

    assert seen == sorted(seen)
    assert seen[0] < seen[-1]


@pytest.mark.parametrize(
    ("step", "subject"),
    [("DEVICE_STEP", Subject.DEVICE), ("DEVICE_STEP", Subject.IDENTITY), ("PREFIX_STEP", Subject.PREFIX)],
)
def test_acts_that_excuse_somebody_would_be_noticed(
    step: str, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: whoever acts often looks like a person for it."""
    monkeypatch.setattr(rules, step, -getattr(rules, step))

    assert climbing(subject) != sorted(climbing(subject))


# What people are promised ------------------------------------------------------------------------------


def lowest() -> list[Thresholds]:
    """Give the hardest thresholds that an operator may set, and the defaults."""
    return [LEAST, DEFAULT]


@pytest.mark.parametrize("thresholds", lowest())
@pytest.mark.parametrize("network", NETWORKS)
def test_nobody_is_checked_for_where_they_are(network: Network | None, thresholds: Thresholds) -> None:
    """Private Relay, a mobile network's address with a million others, Tor, a company's cloud: allowed."""
    for acts in (1, 200, 201, 5_000, CROWDED):
        evidence = person(network, counts={Subject.PREFIX: Count(acts, 60_000)})
        assert decide(evidence, thresholds, Stage.SETTLE).verdict is Verdict.ALLOW


@pytest.mark.parametrize("thresholds", lowest())
@pytest.mark.parametrize("network", NETWORKS)
def test_how_somebody_moves_makes_nobody_slow(network: Network | None, thresholds: Thresholds) -> None:
    """Behaviour alone, and behaviour from the worst network: a check at most, never the lane suspect."""
    alone = decide(person(behaviour=50.0), thresholds, Stage.SETTLE).verdict
    there = decide(
        person(network, behaviour=50.0, counts=counts(prefix=CROWDED)), thresholds, Stage.SETTLE
    ).verdict

    assert HARDNESS.index(alone) < HARDNESS.index(Verdict.SLOW)
    assert HARDNESS.index(there) < HARDNESS.index(Verdict.SLOW)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_adds_no_more_than_somebody_shows_themselves(network: Network | None) -> None:
    """The same rhythm weighs alike everywhere; a contradiction weighs more in a busy cloud than at home."""
    for behaviour in (None, -2.0, 0.0, 1.0, 2.5):
        here = person(network, behaviour=behaviour, counts=counts(prefix=CROWDED))
        assert weigh(here)[0] == weigh(person(behaviour=behaviour))[0]

    order = Facts(Who.UNDECLARED, (Sign.ORDER,), Network.HOSTING)
    at_home = weigh(Evidence(Facts(Who.UNDECLARED, (Sign.ORDER,))))[0]
    assert at_home < weigh(Evidence(order, counts(prefix=CROWDED)))[0]


def test_one_header_that_is_missing_is_missing_and_two_are_not() -> None:
    """Privacy browsers and apps leave one out; a program that writes its own headers leaves out more."""
    nothing = weigh(person())[0]
    for sign in rules.ABSENCES:
        assert weigh(Evidence(Facts(Who.UNDECLARED, (sign,))))[0] == nothing
    for pair in combinations(sorted(rules.ABSENCES), 2):
        found = weigh(Evidence(Facts(Who.UNDECLARED, pair)))[0]
        weighed = log(found / (1 - found)) - log(nothing / (1 - nothing))
        assert weighed == pytest.approx(sum(rules.SIGNS[sign] for sign in pair))


@pytest.mark.parametrize("network", [None, Network.RELAY, Network.TOR, Network.EDGE, Network.HOSTING])
def test_somebody_without_any_rhythm_is_judged_by_the_rest(network: Network | None) -> None:
    """Keyboard only, screen reader, switch control, no JavaScript: no rhythm, no reason, no check."""
    found = decide(person(network, counts=counts(prefix=5_000)), DEFAULT, Stage.SETTLE)

    assert found.verdict is Verdict.ALLOW
    assert "behaviour" not in found.reasons


def test_a_shared_network_is_not_busy_however_busy_it_is() -> None:
    """Private Relay, Tor and edges are made to be shared; a cloud is not."""
    busy = {
        network: decide(person(network, counts=counts(prefix=CROWDED)), DEFAULT, Stage.SETTLE)
        for network in Network
    }

    assert {network for network, found in busy.items() if "prefix-busy" in found.reasons} == {
        Network.AGENTS, Network.HOSTING,
    }  # fmt: skip


@pytest.mark.parametrize("sign", Sign)
def test_one_contradiction_is_a_check_in_the_background_at_most(sign: Sign) -> None:
    """An extension that hides something is not a bot."""
    verdict = decide(Evidence(Facts(Who.UNDECLARED, (sign,))), DEFAULT, Stage.SETTLE).verdict

    assert verdict in {Verdict.ALLOW, Verdict.PROVE}


def test_only_several_kinds_of_evidence_together_make_slow() -> None:
    """Of the four groups, each at its worst: the request, the network, the browser's acts, the rhythm."""
    worst = {
        "request": {"facts": Facts(Who.UNDECLARED, tuple(Sign))},
        "where": {},
        "often": {},
        "behaviour": {"behaviour": 50.0},
    }
    for chosen in chain.from_iterable(combinations(worst, size) for size in range(5)):
        facts = Facts(
            Who.UNDECLARED,
            tuple(Sign) if "request" in chosen else (),
            Network.HOSTING if "where" in chosen else None,
        )
        acts = counts(CROWDED if "where" in chosen else 1, CROWDED if "often" in chosen else 1)
        behaviour = 50.0 if "behaviour" in chosen else None
        found = decide(Evidence(facts, acts, frozenset(), behaviour), DEFAULT, Stage.SETTLE)
        if found.verdict is Verdict.SLOW:
            assert len(chosen) >= 2


# Mutants -----------------------------------------------------------------------------------------------


def test_behaviour_without_a_cap_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: how somebody moves puts them at the back."""
    monkeypatch.setattr(rules, "BEHAVIOUR_MOST", 100.0)

    assert decide(person(behaviour=50.0), DEFAULT, Stage.SETTLE).verdict is Verdict.SLOW


def test_a_mobile_network_that_is_punished_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: where somebody is counts by itself, and a million people behind one address are checked."""
    monkeypatch.setattr(rules, "_beside", lambda _own, where: where)
    monkeypatch.setattr(rules, "PREFIX_MOST", 100.0)

    assert decide(person(counts=counts(prefix=CROWDED)), DEFAULT, Stage.SETTLE).verdict is not Verdict.ALLOW


def test_a_network_whose_rate_is_a_limit_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: a busy network is denied."""
    monkeypatch.setattr(rules, "LIMITS", {**rules.LIMITS, Subject.PREFIX: Proof.DEVICE_LIMIT})

    assert decide(person(counts=counts(prefix=CROWDED)), DEFAULT, Stage.JOIN).verdict is Verdict.DENY


def test_missing_as_evidence_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: who has no rhythm has the worst one."""
    original = rules.weigh

    def suspicious(evidence: Evidence) -> tuple[float, list[rules.Reason]]:
        told = 50.0 if evidence.behaviour is None else evidence.behaviour
        return original(replace(evidence, behaviour=told))

    monkeypatch.setattr(rules, "weigh", suspicious)

    assert decide(person(), DEFAULT, Stage.SETTLE).verdict is not Verdict.ALLOW


def test_thresholds_below_the_least_would_check_people_for_how_they_move() -> None:
    """Why a room refuses them: a rhythm that is a little odd would be a person's check, and the worst one the lane."""
    assert decide(person(behaviour=50.0), Thresholds(0.2, 0.37, 0.8), Stage.SETTLE).verdict is Verdict.STEP_UP
    assert decide(person(behaviour=50.0), Thresholds(0.2, 0.3, 0.37), Stage.SETTLE).verdict is Verdict.SLOW
    assert decide(person(behaviour=50.0), LEAST, Stage.SETTLE).verdict is Verdict.PROVE
    assert all(least <= default for least, default in zip(LEAST, DEFAULT, strict=True))


def test_every_reason_can_come_up() -> None:
    """And none that is not on the list."""
    seen: set[str] = set()
    for who, network in product(Who, Network):
        acts = {subject: Count(CROWDED, 0) for subject in Subject}
        seen.update(
            decide(
                Evidence(Facts(who, tuple(Sign), network), acts, frozenset(), 9.0), DEFAULT, Stage.SETTLE
            ).reasons
        )
    for proof in Proof:
        seen.update(decide(Evidence(Facts(), None, frozenset({proof})), DEFAULT, Stage.JOIN).reasons)

    assert seen == REASONS
