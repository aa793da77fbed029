"""Fairness: what befalls groups of people under every setting that a room may have; and each mutant that is unfair."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from math import log, log2

import pytest

from botguard import verdict as rules
from botguard.fairness import measure
from botguard.fairness.browsers import PEOPLE
from botguard.fairness.groups import APPS, GROUPS, Group, Place
from botguard.fairness.measure import HARD, MOST_SHARE, SETTINGS, faults, table
from botguard.fairness.rhythms import Rhythms, shipped
from botguard.fairness.simulating import Seen, addresses, simulate
from botguard.fairness.telling import chosen, lines
from botguard.request import agents, crawlers, hints
from botguard.request.networks import Network
from botguard.request.networks import shipped as networks
from botguard.velocity.subjects import Subject
from botguard.verdict import LEAST, Evidence, Judged, Thresholds, Verdict
from gateway.cli import main
from kernel.addresses import parsed
from kernel.errors import Misconfigured
from tests.house.tree import ROOT

FEW = 120
"""People of each group in the mutants: enough for shares of one in a hundred."""

RHYTHMS = shipped()


@pytest.fixture(scope="module")
def seen() -> Mapping[str, Sequence[Seen]]:
    """Have everybody join once, for all tests of the file."""
    return asyncio.run(simulate(GROUPS, RHYTHMS))


@pytest.mark.parametrize("thresholds", SETTINGS, ids=lambda one: "-".join(map(str, one)))
def test_no_group_is_refused_slowed_or_checked_more_than_others(
    seen: Mapping[str, Sequence[Seen]], thresholds: Thresholds
) -> None:
    """At every setting that a room may have."""
    assert faults(table(GROUPS, seen, thresholds)) == []


def test_the_hardest_setting_is_among_them_and_says_something(seen: Mapping[str, Sequence[Seen]]) -> None:
    """There some are checked, so the comparison is one; and nobody who shows no rhythm is."""
    assert LEAST in SETTINGS
    told = table(GROUPS, seen, LEAST)

    assert 0 < told.average < MOST_SHARE
    assert all(row.checked == 0 for row in told.rows if row.group.is_held and not row.group.rhythm)


def test_a_group_s_people_are_many_and_are_not_known_by_heart() -> None:
    """The file of rhythms belongs to the shipped model; make it again with `waitroom bots rhythms` where it changes."""
    raw = files("botguard").joinpath("models/rhythm.json").read_bytes()

    assert RHYTHMS.model_sha256 == sha256(raw).hexdigest()
    assert {group.rhythm for group in GROUPS} == {"", *RHYTHMS.scores}
    assert sum(map(len, RHYTHMS.scores.values())) > 1_000
    assert all(list(scores) == sorted(scores) for scores in RHYTHMS.scores.values())


def test_every_group_of_the_promise_is_there() -> None:
    """None is left out because it is inconvenient."""
    held = " / ".join(group.name for group in GROUPS if group.is_held)

    for word in (
        "keyboard", "screen reader", "switch", "touch", "zoom", "reduced motion", "contrast", "slow phone",
        "Relay", "carrier", "Tor", "proxy", "fingerprinting", "Brave", "old browsers", "within apps", "languages",
        "no JavaScript", "cookies blocked", "remote desktop", "mouse keys",
    ):  # fmt: skip
        assert word in held
    assert len({group.name for group in GROUPS}) == len(GROUPS)


@pytest.mark.parametrize(
    ("place", "network"),
    [
        (Place.HOUSEHOLDS, None), (Place.CARRIER, None), (Place.OFFICE, None), (Place.RELAY, Network.RELAY),
        (Place.CLOUD, Network.HOSTING),
    ],
)  # fmt: skip
def test_people_come_from_where_the_group_says(place: Place, network: Network | None) -> None:
    """By the lists that come with the package."""
    known = networks()
    found = [parsed(address) for address in addresses(place)]

    assert {known.find(one) for one in found if one is not None} == {network}


def test_the_crowd_beside_somebody_is_counted() -> None:
    """Ten thousand behind one address are really there, and twenty more of the group itself."""
    counted: list[int] = []
    original = rules.decide

    def listening(evidence: Evidence, thresholds: Thresholds, stage: rules.Stage) -> Judged:
        count = (evidence.counts or {}).get(Subject.PREFIX)
        counted.append(0 if count is None else count.acts)
        return original(evidence, thresholds, stage)

    carrier = next(group for group in GROUPS if group.place is Place.CARRIER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botguard.service.decide", listening)
        asyncio.run(simulate([carrier], RHYTHMS, many=20))

    assert max(counted) == carrier.others + 40


def test_the_same_seed_gives_the_same_people() -> None:
    """The table that an operator prints is one that others can print."""
    first, again = (asyncio.run(simulate(GROUPS[:3], RHYTHMS, many=50, seed=3)) for _ in range(2))
    assert first == again


# Mutants -----------------------------------------------------------------------------------------------


def adding(more: Callable[[Evidence], float]) -> Callable[[pytest.MonkeyPatch], None]:
    """Give a verdict that counts something more, in log-odds."""
    original = rules.weigh

    def weigh(evidence: Evidence) -> tuple[float, list[rules.Reason]]:
        likelihood, reasons = original(evidence)
        odds = log(likelihood / (1 - likelihood)) + more(evidence)
        return 1 / (1 + 2.718281828459045**-odds), reasons

    return lambda patch: patch.setattr(rules, "weigh", weigh)


def of_shared_address(evidence: Evidence) -> float:
    """Count how many act from one network, however it is shared."""
    count = (evidence.counts or {}).get(Subject.PREFIX)
    return 0.0 if count is None else 0.25 * log2(max(1, count.acts / 200))


def without_forgiveness(patch: pytest.MonkeyPatch) -> None:
    """Hold one missing header against people."""
    patch.setattr(rules, "ABSENCES", frozenset())


def network_by_itself(patch: pytest.MonkeyPatch) -> None:
    """Have the network count where nothing else speaks against somebody."""
    patch.setattr(rules, "_beside", lambda _own, where: min(rules.WHERE_MOST, where))


def proxy_that_is_not_heard(patch: pytest.MonkeyPatch) -> None:
    """Do not listen to a proxy that says it is there."""
    original = hints.signs

    def signs(agent: agents.Agent, headers: Mapping[bytes, bytes], *more: object, **others: object) -> object:
        heard = {name: value for name, value in headers.items() if name != b"via"}
        return original(agent, heard, *more, **others)  # type: ignore[arg-type]

    patch.setattr("botguard.request.facts.signs", signs)


def apps_that_are_crawlers(patch: pytest.MonkeyPatch) -> None:
    """Take the list of crawlers as it comes."""
    patch.setattr(crawlers, "IN_APP", frozenset())


def builds_that_are_crawlers(patch: pytest.MonkeyPatch) -> None:
    """Take a telephone's build for a program."""
    patch.setattr(crawlers, "PEOPLES", frozenset())


def limit_of_network(patch: pytest.MonkeyPatch) -> None:
    """Refuse for how often a network acts."""
    patch.setattr(rules, "LIMITS", {**rules.LIMITS, Subject.PREFIX: rules.Proof.DEVICE_LIMIT})


MUTANTS: Mapping[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "a pointer that is missing": (adding(lambda one: 2.0 * (one.behaviour is None)), "keyboard only"),
    "Tor": (adding(lambda one: 2.0 * (one.facts.network is Network.TOR)), "Tor"),
    "Tor, a little": (adding(lambda one: 1.25 * (one.facts.network is Network.TOR)), "Tor"),
    "Private Relay": (adding(lambda one: 3.0 * (one.facts.network is Network.RELAY)), "Private Relay"),
    "a shared address": (adding(of_shared_address), "10,000 on one address of a carrier"),
    "a shared address is a limit": (limit_of_network, "10,000 on one address of a carrier"),
    "a cloud by itself": (network_by_itself, "a company's cloud, or a VPN"),
    "one missing header": (without_forgiveness, "a Chromium without client hints"),
    "what a proxy strips": (proxy_that_is_not_heard, "a company's proxy that strips headers"),
    "an app's name": (apps_that_are_crawlers, "browsers within apps"),
    "a telephone's build": (builds_that_are_crawlers, "browsers within apps"),
}
"""What is counted, and the group that must be named for it."""


@pytest.mark.parametrize("what", MUTANTS)
def test_a_guard_that_counts_it_would_be_noticed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mutant, at some setting that a room may have."""
    break_it, group = MUTANTS[what]
    one = next(row for row in GROUPS if row.name == group)
    others = [row for row in GROUPS if row.name in {"mouse", "touch on a phone", "touchpad", group}]

    break_it(monkeypatch)
    seen = asyncio.run(simulate(others, RHYTHMS, many=FEW))
    found = [fault for thresholds in SETTINGS for fault in faults(table(others, seen, thresholds))]

    assert any(fault.startswith(one.name) for fault in found)


def test_a_group_that_is_checked_a_little_more_would_be_noticed() -> None:
    """The rule itself: a quarter above the average is fair, one person more is not; two of a hundred always are."""

    def told(*checked: int) -> measure.Table:
        groups = [Group(str(at), (), "") for at in range(len(checked))]
        seen = {
            group.name: [
                Seen(None, Judged(Verdict.ALLOW, (), 0.3 if at < many else 0.1)) for at in range(1_000)
            ]
            for group, many in zip(groups, checked, strict=True)
        }
        return table(groups, seen, Thresholds())

    assert faults(told(100, 100, 100, 136)) == []
    assert len(faults(told(100, 100, 100, 137))) == 1
    assert faults(told(0, 0, 0, 20)) == []
    assert len(faults(told(0, 0, 0, 21))) == 1


@pytest.mark.parametrize("verdict", HARD)
def test_one_person_who_is_slowed_is_one_too_many(verdict: Verdict) -> None:
    """Refused, in the lane suspect, or asked for a check: nobody of a held group; the others are told, not held."""
    seen = {"a": [Seen(verdict, Judged(Verdict.ALLOW)), *[Seen(None, Judged(Verdict.ALLOW))] * 999]}

    assert faults(table([Group("a", ())], seen, Thresholds())) == [
        f"a: {verdict} for 0.1%, and should be for nobody."
    ]
    assert (
        faults(table([Group("a", (), is_held=False), Group("b", ())], seen | {"b": seen["a"][1:]}, LEAST))
        == []
    )


# The command -------------------------------------------------------------------------------------------


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Every group a row, and how the mean was."""
    assert main(["bots", "fairness", "--prove", "0.2", "--people", "120"]) == 0

    told = capsys.readouterr().out
    assert all(f"| {group.name} |" in told for group in GROUPS)
    assert "prove 0.2, step_up 0.9, slow 0.98; checked in the mean of the held groups" in told


def test_the_command_tells_what_is_unfair(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 1, and the group by its name."""
    limit_of_network(monkeypatch)

    assert main(["bots", "fairness", "--people", "100"]) == 1
    assert "10,000 on one address of a carrier: deny for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prove", "0.1"], "prove is 0.1; it must be from 0.2 to 1."),
        (["--step-up", "0.4"], "step_up is 0.4; it must be from 0.5 to 1."),
        (["--slow", "1.5"], "slow is 1.5; it must be from 0.8 to 1."),
        (["--slow", "nan"], "slow is nan; it must be from 0.8 to 1."),
        (["--prove", "0.95"], "The thresholds must not fall from prove to step_up to slow."),
        (["--people", "0"], "0 people of each group are too few; 100 at least tell of one in a hundred."),
    ],
)
def test_thresholds_that_no_room_may_have_are_told(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2 and a sentence."""
    assert main(["bots", "fairness", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_all_faults_of_thresholds_are_told_at_once() -> None:
    """As everywhere."""
    with pytest.raises(Misconfigured) as told:
        chosen(0.1, 0.05, 2.0, 0)
    assert len(told.value.faults) == 5


def test_the_documents_table_is_the_one_that_is_printed(seen: Mapping[str, Sequence[Seen]]) -> None:
    """docs/bots-fairness.md has the table of the hardest setting, as measured."""
    text = (ROOT / "docs" / "bots-fairness.md").read_text(encoding="utf-8")

    assert "\n".join(line for line in lines(table(GROUPS, seen, LEAST)) if line.startswith("|")) in text


def test_apps_and_browsers_are_read_as_people() -> None:
    """No agent of the table is a crawler's, and of a browser within an app nothing is expected."""
    known = crawlers.Crawlers()
    assert [agent for agent in APPS if known.find(agent) is not None] == []
    assert {agents.read_agent(agent).engine for agent in APPS} == {agents.Engine.OTHER}
    assert PEOPLE.keys() >= {"chrome", "firefox", "safari"}


def test_a_rhythm_is_spread_evenly_over_people() -> None:
    """Two groups of one kind are alike, however many they are."""
    told = Rhythms("", {"one": tuple(float(at) for at in range(100))})

    assert told.spread("one", 4) == [12.0, 37.0, 62.0, 87.0]
    assert len(told.spread("one", 1_000)) == 1_000
    assert told.spread("", 3) == [None] * 3
    assert replace(told, model_sha256="x").scores is told.scores
