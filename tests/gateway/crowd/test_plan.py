"""The plan: fixed before the first fan comes, and for this machine only."""

import pickle
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from gateway.crowd.paying import Manner
from gateway.crowd.plan import (
    DEFAULT_ERRANDS,
    DEFAULT_MANNERS,
    DEFAULT_MIX,
    Errand,
    Plan,
    Script,
    errands,
    faults,
    is_loopback,
    manners,
    read_errands,
    read_manners,
    read_mix,
    scripts,
)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://127.8.9.1",
        "http://[::1]:8080",
        "http://localhost:8080",
        "http://127.0.0.1/x",
    ],
)
def test_this_machine_may_be_loaded(url: str) -> None:
    """127.0.0.0/8, ::1 and localhost."""
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://10.0.0.1",
        "http://128.0.0.1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://0.0.0.0:8080",
        "http://user@example.com@127.0.0.1.nip.io",
        "http://[::ffff:10.0.0.1]",
        "https://127.0.0.1",
        "http://127.0.0.1:99999",
        "127.0.0.1:8080",
        "http://",
        "",
    ],
)
def test_no_other_machine_is_ever_loaded(url: str) -> None:
    """A crowd sends forged papers and thousands of requests a second: never to somebody else."""
    assert not is_loopback(url)
    assert any("loopback" in fault for fault in faults(Plan(url=url)))
    assert any("loopback" in fault for fault in faults(Plan(operator_url=url)))


def test_all_faults_are_told_at_once() -> None:
    """One sentence for each."""
    plan = Plan(
        url="http://example.com",
        room="Main!",
        fans=0,
        duration_s=0,
        linger_s=-1,
        connections=0,
        mix={Script.STEADY: 0},
        target="//elsewhere",
        prefix="x",
        finish_path="/a b",
        errands={Errand.WATCH: -1},
        event="Night!",
        follow_s=-1,
    )

    assert len(faults(plan)) == 13
    assert faults(Plan()) == []


def test_the_operators_token_is_never_shown() -> None:
    """A plan can be logged."""
    assert "secret" not in repr(replace(Plan(), operator_token="a-secret-token"))


def test_scripts_have_exactly_their_shares() -> None:
    """Largest remainder: nobody is missing, and no share is off by more than one fan."""
    dealt = Counter(scripts(DEFAULT_MIX, 333, Random(1)))

    assert dealt.total() == 333
    for script, share in DEFAULT_MIX.items():
        assert abs(dealt[script] - 333 * share) < 1


def test_scripts_are_dealt_in_a_seeded_order() -> None:
    """The same seed deals the same scripts, and they are well mixed."""
    assert scripts(DEFAULT_MIX, 100, Random(1)) == scripts(DEFAULT_MIX, 100, Random(1))
    assert len(set(scripts(DEFAULT_MIX, 400, Random(1))[:60])) > 4


def test_a_mix_names_its_scripts() -> None:
    """Names with - or _; what is not named is not there."""
    assert read_mix("steady=8, double-click=2") == {Script.STEADY: 8.0, Script.DOUBLE_CLICK: 2.0}


@pytest.mark.parametrize("text", ["steady", "steady=many", "nobody=1", "", "=1"])
def test_a_mix_that_cannot_be_read_is_refused_with_the_names_that_there_are(text: str) -> None:
    """The sentence lists the scripts."""
    with pytest.raises(ValueError, match="two_tabs"):
        read_mix(text)


def test_errands_have_their_shares_too() -> None:
    """Dealt as scripts are; without shares nobody has one."""
    dealt = Counter(errands(DEFAULT_ERRANDS, 200, Random(1)))

    assert dealt.total() == 200
    assert sum(DEFAULT_ERRANDS.values()) == pytest.approx(1.0)
    for errand, share in DEFAULT_ERRANDS.items():
        assert abs(dealt[errand] - 200 * share) < 1
    assert errands({}, 2, Random(1)) == [None, None]


def test_errands_are_named_or_there_are_none() -> None:
    """Names with - or _; ``none`` is for fans who only look at pages."""
    assert read_errands("reserve=8, walk-away=2") == {Errand.RESERVE: 8.0, Errand.WALK_AWAY: 2.0}
    assert read_errands("none") == {}
    with pytest.raises(ValueError, match=r"The errands have 'dance=1'.*two_tabs, rival"):
        read_errands("dance=1")


def test_ways_to_pay_have_their_shares_too() -> None:
    """Every way is in the usual crowd; they are named as errands are, and a seed deals them anew."""
    dealt = manners(DEFAULT_MANNERS, 1000, Random(1))

    assert set(DEFAULT_MANNERS) == set(Manner)
    assert sum(DEFAULT_MANNERS.values()) == pytest.approx(1)
    assert {manner: count / 1000 for manner, count in Counter(dealt).items()} == DEFAULT_MANNERS
    assert dealt == manners(DEFAULT_MANNERS, 1000, Random(1)) != manners(DEFAULT_MANNERS, 1000, Random(2))
    assert read_manners("ok=80, two-tabs=20") == {Manner.OK: 80.0, Manner.TWO_TABS: 20.0}
    assert manners(read_manners("none"), 3, Random(1)) == [None, None, None]


def test_a_plan_goes_to_other_processes() -> None:
    """A drill sends its crowd from several."""
    plan = Plan(url="http://127.0.0.1:8080", room="main", fans=10, seed=1)

    assert pickle.loads(pickle.dumps(plan)) == plan  # noqa: S301 (made here)
