"""Bots in the crowd: what they wear and do, what is counted of them; and a guard with a gap is caught."""

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from botguard.request.facts import Asking, Facts, Who
from botguard.request.networks import Network
from gateway.crowd.bots.guise import BROWSERS, Guise, dress
from gateway.crowd.bots.kinds import DEFAULT_KINDS, KINDS, RING, Kind, read_ratio
from gateway.crowd.bots.plays import PLAYS
from gateway.crowd.bots.report import bots_as_dict
from gateway.crowd.bots.shares import Shares, blocked, judge_bots, shares
from gateway.crowd.bots.work import solve
from gateway.crowd.crowd import Hooks, Result, run_crowd
from gateway.crowd.observed import Admitted, Checked, FanFile, Observed, Outcome, Route, Turned
from gateway.crowd.plan import Limits, Plan, Script, faults, kinds, read_kinds
from gateway.crowd.report import as_dict, table
from gateway.crowd.report_page import page
from gateway.crowd.verdict import State
from tests.botguard.request.browsers import NOW_MS, reader
from tests.gateway.crowd.naive_guard import Gap, NaiveGuard
from tests.gateway.crowd.virtual import run_virtually

ORIGIN = "http://127.0.0.1:8080"
PLAN = Plan(
    fans=120,
    duration_s=15.0,
    linger_s=120.0,
    away_s=3.0,
    patience_s=4.0,
    limits=Limits(admissions_per_minute=1200),
    bots=0.5,
    passes="good:",
)


def sent(plan: Plan, *, gap: Gap | None = None, way: str = "work") -> tuple[Result, NaiveGuard]:
    """Send a crowd to a naive guard in virtual time."""

    async def run() -> tuple[Result, NaiveGuard]:
        now_s = asyncio.get_running_loop().time
        room = NaiveGuard(now_s, way=way, gap=gap)
        hooks = Hooks(asker=room.at, seconds=now_s, wall_ms=lambda: now_s() * 1000)
        return await run_crowd(plan, hooks), room

    return run_virtually(run())


def only(*of: Kind) -> Plan:
    """Plan a crowd whose bots are of these kinds."""
    return replace(PLAN, kinds=dict.fromkeys(of, 1.0))


def shown(result: Result) -> Shares:
    """Give the shares of a crowd that has bots."""
    found = shares(result.observed, result.plan.places)
    assert found is not None
    return found


def facts(guise: Guise) -> Facts:
    """Read a join in this guise as the guard does, behind a proxy that tells of TLS."""
    lines = [line.split(b": ", 1) for line in (guise.head + guise.act).split(b"\r\n") if line]
    headers = [(name, value) for name, value in lines]
    address = dict(headers)[b"x-forwarded-for"].decode()
    return reader().read(headers, Asking(address, "POST", "/join", is_tls=True, is_direct=False), NOW_MS)


def worn(kind: Kind | None, many: int = 400) -> list[Guise]:
    """Dress so many of a kind."""
    return [dress(kind, nth, nth, ORIGIN, Random(f"{kind}/{nth}")) for nth in range(many)]


def test_every_kind_has_words_a_price_and_a_play() -> None:
    """No kind is forgotten."""
    assert set(KINDS) == set(PLAYS) == set(DEFAULT_KINDS) == set(Kind)
    assert sum(DEFAULT_KINDS.values()) == pytest.approx(1)
    assert all(about.does and about.costs for about in KINDS.values())


def test_half_of_a_crowd_are_bots_in_exact_shares_and_a_seed_brings_them_again() -> None:
    """Who is a bot is dealt once; scripts and arrivals of the crowd stay as they are without bots."""
    dealt = kinds(0.5, DEFAULT_KINDS, 200, Random(3))

    assert Counter(dealt) == {
        None: 100, Kind.LIBRARY: 15, Kind.MANY_JOIN: 15, Kind.MIMIC: 15, Kind.MIMIC_ONE_NETWORK: 10,
        Kind.REPLAY: 10, Kind.MOVER: 10, Kind.ECHO: 10, Kind.SOLVER: 10, Kind.FARM: 5,
    }  # fmt: skip
    assert dealt == kinds(0.5, DEFAULT_KINDS, 200, Random(3))
    assert set(kinds(0.0, DEFAULT_KINDS, 5, Random(3))) == {None}


@pytest.mark.parametrize(("text", "ratio"), [("50%", 0.5), ("0.25", 0.25), (" 100% ", 1.0), ("0", 0.0)])
def test_a_share_of_bots_is_read(text: str, ratio: float) -> None:
    """As percent or as a ratio."""
    assert read_ratio(text) == ratio


@pytest.mark.parametrize("text", ["", "%", "half", "-1%", "101%", "1.5", "nan", "inf%"])
def test_an_odd_share_is_told(text: str) -> None:
    """In a sentence that names the option."""
    with pytest.raises(ValueError, match="--bots"):
        read_ratio(text)


@pytest.mark.parametrize("text", ["", "ghost", "mimic=", "mimic=x", "mimic,,solver"])
def test_an_odd_kind_is_told(text: str) -> None:
    """With the kinds that there are."""
    with pytest.raises(ValueError, match="many_join"):
        read_kinds(text)


def test_kinds_are_named_with_or_without_shares() -> None:
    """Names alone come in equal parts."""
    assert read_kinds("mimic,many-join=3") == {Kind.MIMIC: 1.0, Kind.MANY_JOIN: 3.0}


def test_a_plan_with_odd_bots_has_faults() -> None:
    """One sentence for each."""
    odd = replace(PLAN, bots=1.5, kinds={Kind.MIMIC: 0.0}, places=0)

    assert len(faults(odd)) == 3
    assert faults(PLAN) == []


def test_nothing_speaks_against_people_nor_against_who_wears_their_headers() -> None:
    """People of all browsers, and every mimic: not one sign. Libraries say what they are."""
    for kind in (None, *Kind):
        for one in worn(kind):
            found = facts(one)
            expected = Who.TOOL if kind is Kind.LIBRARY else Who.UNDECLARED
            assert (found.who, found.signs) == (expected, ()), one.head


def test_people_come_with_all_browsers_from_all_sorts_of_networks() -> None:
    """Hundreds behind few addresses, some by a relay, some from a cloud; the most from homes."""
    people = worn(None, 1000)
    agents = Counter(one.head.partition(b"user-agent: ")[2].partition(b"\r\n")[0] for one in people)
    networks = Counter(facts(one).network for one in people)
    addresses = Counter(one.head.partition(b"x-forwarded-for: ")[2].partition(b"\r\n")[0] for one in people)

    assert len(agents) == len(BROWSERS)
    assert networks[Network.RELAY] > 50
    assert networks[Network.HOSTING] > 10
    assert 40 < max(addresses.values()) < 90
    assert 5 < sum(not one.has_scripts for one in people) < 40


def test_bots_come_from_where_their_kind_says() -> None:
    """One address for a ring, one network of a cloud, a household for each mimic."""

    def seen(kind: Kind, many: int) -> tuple[int, Network | None]:
        heads = {
            one.head.partition(b"x-forwarded-for: ")[2].partition(b"\r\n")[0] for one in worn(kind, many)
        }
        return len(heads), facts(worn(kind, 1)[0]).network

    assert seen(Kind.MANY_JOIN, RING) == (1, None)
    assert seen(Kind.MIMIC_ONE_NETWORK, 250) == (250, Network.HOSTING)
    assert seen(Kind.MIMIC, 250) == (250, None)


async def test_work_is_found_at_its_end_and_nowhere_else() -> None:
    """The last counter is tried; without it there is no solution."""
    puzzle = {"salt": "00" * 16, "nonce": "11" * 16, "keyPrefix": "", "data": {"level": 0}}
    first = await solve(puzzle, 0)
    assert first is not None
    key = (await solve(puzzle | {"keyPrefix": "abc1"}, 1 << 20)) or first

    assert await solve(puzzle | {"keyPrefix": key.key[:32]}, key.counter) is not None
    assert await solve(puzzle | {"keyPrefix": key.key[:32]}, key.counter - 1) is None


def test_a_crowd_with_bots_before_a_good_guard_is_green_and_counts_everybody() -> None:
    """Nobody is kept out; who passes the check climbs, who does not stays in the lane suspect."""
    result, _ = sent(PLAN)
    found = shown(result)

    assert [one.name for one in result.verdicts if one.state is State.RED] == []
    assert result.matched == PLAN.fans
    assert sum(group.came for group in found.groups) == PLAN.fans
    assert sum(group.share for group in found.groups) == pytest.approx(1)
    by_kind = {group.kind: group for group in found.groups}
    assert all(by_kind[kind].lifted == by_kind[kind].came for kind in (Kind.SOLVER, Kind.FARM))
    for kind, about in KINDS.items():
        if not about.passes:
            assert by_kind[kind].lifted == (kind is Kind.REPLAY), kind
    assert by_kind[Kind.SOLVER].cpu_s_per_place > 0
    assert by_kind[Kind.FARM].usd_per_place == pytest.approx(0.001)
    assert by_kind[None].lifted + by_kind[None].in_suspect == by_kind[None].came


def test_replays_are_sent_and_none_counts() -> None:
    """The recorded answer again, at another place, and a check of one's own making: each by its code."""
    result, room = sent(replace(only(Kind.REPLAY), fans=40))
    (group,) = (group for group in shown(result).groups if group.kind is Kind.REPLAY)

    assert group.outcomes == {
        "lifted": 1, "challenge-spent": 19, "challenge-foreign": 19, "challenge-forged": 19,
    }  # fmt: skip
    assert result.is_green
    assert room.line.issued == 40


@pytest.mark.parametrize(
    ("gap", "name"),
    [
        (Gap.SPENT, "door-shut"),
        (Gap.FOREIGN, "door-shut"),
        (Gap.FORGED, "door-shut"),
        (Gap.REPEATED, "door-shut"),
        (Gap.FIREFOX, "people-let-in"),
        (Gap.STRICT, "people-let-in"),
    ],
)
def test_a_guard_with_a_gap_is_caught(gap: Gap, name: str) -> None:
    """The mutants: a guard that believes a replay, and one that keeps people out."""
    plan = only(Kind.MIMIC) if name == "people-let-in" else only(Kind.REPLAY)
    result, _ = sent(replace(plan, fans=80 if name == "people-let-in" else 40), gap=gap)

    assert result.verdict(name).state is State.RED
    assert result.verdict(name).examples


def test_many_joins_keep_one_browsers_cookie_or_throw_it_away() -> None:
    """The first ring comes back with what it was given; the second never does."""
    result, room = sent(only(Kind.MANY_JOIN))
    kept = sum("waitroom-device" in cookies for cookies in room.devices)

    assert result.is_green
    assert RING // 2 < kept < RING


def test_a_farm_pays_for_wrong_answers_too_and_a_solver_works_beside_the_widget() -> None:
    """Where a provider's check is wanted."""
    result, _ = sent(only(Kind.FARM, Kind.SOLVER), way="hcaptcha")
    farm, solver = (
        next(one for one in shown(result).groups if one.kind is kind) for kind in (Kind.FARM, Kind.SOLVER)
    )

    assert farm.outcomes["challenge-wrong"] > 0
    assert farm.usd == pytest.approx(0.001 * sum(farm.outcomes.values()))
    assert (farm.cpu_s, solver.usd) == (0, 0)
    assert solver.lifted == solver.came
    assert {check.way for check in result.observed.checks} == {"hcaptcha", "work"}


def test_without_a_stand_in_for_a_provider_people_work() -> None:
    """As the page does where the widget does not load."""
    result, _ = sent(replace(only(Kind.MIMIC), passes=""), way="hcaptcha")

    assert {check.way for check in result.observed.checks} == {"work"}
    assert result.is_green


def test_a_sale_is_over_with_its_last_place() -> None:
    """Everybody else is sent home with the place kept; nobody counts beyond it."""
    result, _ = sent(replace(PLAN, places=20))

    assert shown(result).admitted == 20
    assert result.is_green
    assert sum(file.outcome is Outcome.WAITING for file in result.observed.fans) > 20


def test_without_bots_nothing_of_it_is_told() -> None:
    """No share, no check of its own, no guise: a crowd as it always was."""
    result, _ = sent(replace(PLAN, bots=0.0, mix={Script.STEADY: 1.0}))

    assert shares(result.observed) is None
    assert judge_bots(result.observed) == []
    assert as_dict(result)["bots"] is None


def test_the_reports_tell_the_shares() -> None:
    """In words, on the page and as numbers."""
    result, _ = sent(PLAN)
    told, text = table(result, colour=False), page(result)

    assert "Scripted bots got" in told
    assert "mimic one network" in told
    assert "What came of checks, and what they cost" in text
    found = as_dict(result)["bots"]
    assert found["people_blocked"] == []
    assert [group["kind"] for group in found["groups"]] == [None, *Kind]
    assert bots_as_dict(None) is None


def admission(fan: int, at_ms: int) -> Admitted:
    """Make one admission."""
    return Admitted(fan, "a", fan, f"s{fan}", at_ms, 1000, 0.0, at_ms / 1000)


def test_only_the_first_places_count_and_a_repeated_claim_counts_once() -> None:
    """By the room's clock."""
    files = [
        FanFile(0, Script.STEADY, 0),
        *(FanFile(n, Script.STEADY, 0, kind=Kind.MIMIC) for n in (1, 2, 3)),
    ]
    observed = Observed(
        fans=files, admissions=[admission(2, 9), admission(0, 1), admission(0, 1), admission(1, 5)]
    )

    everybody, two = shares(observed), shares(observed, 2)
    assert everybody is not None
    assert two is not None
    assert (everybody.admitted, everybody.scripted) == (3, pytest.approx(2 / 3))
    assert (two.admitted, two.scripted, two.bots) == (2, 0.5, 0.5)


def person(index: int, outcome: Outcome, **more: object) -> FanFile:
    """Make a person."""
    return FanFile(index, Script.STEADY, 0.0, outcome=outcome, **more)  # type: ignore[arg-type]


def test_who_counts_as_kept_out_and_who_does_not() -> None:
    """Refused, turned away, put off to the end, failed at the check; waiting longer is none of it."""
    files = [
        person(0, Outcome.FAILED, faults=["a join was answered 403 forged"]),
        person(1, Outcome.WAITING),
        person(2, Outcome.OUTSIDE, put_off=9),
        person(3, Outcome.OUTSIDE),
        person(4, Outcome.WAITING, lane="suspect"),
        person(5, Outcome.WAITING, lane="suspect"),
        person(6, Outcome.WAITING, lane="suspect"),
        FanFile(7, Script.BAD, 0.0, outcome=Outcome.FAILED),
        FanFile(8, Script.STEADY, 0.0, outcome=Outcome.FAILED, kind=Kind.MIMIC),
    ]
    checks = [Checked(4, "work", "challenge-wrong", 0, 0), Checked(5, "work", "easier", 0, 0)]
    observed = Observed(
        fans=files, checks=checks, turned=[Turned(1, Route.CLAIM, 403, "ticket-invalid", 1.0)]
    )

    assert [one.partition(":")[0] for one in blocked(observed)] == [
        "person 0",
        "person 1",
        "person 2",
        "person 4",
    ]
