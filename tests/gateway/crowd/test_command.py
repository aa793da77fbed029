"""The command: arguments in, exit status out; it loads this machine and no other."""

import argparse
import json
from pathlib import Path

import pytest

from checkout.audit.records import read
from gateway.crowd import command
from gateway.crowd.bots.kinds import Kind
from gateway.crowd.command import GREEN, RED, WRONG, Harm, add_arguments, drills_of, plan_of, run
from gateway.crowd.crowd import Hooks, Result
from gateway.crowd.paying import Manner
from gateway.crowd.plan import Errand, Limits, Plan, Script
from tests.gateway.crowd.naive_room import Fault
from tests.gateway.crowd.naive_shop import NaiveShop
from tests.gateway.crowd.test_mutants import PLAN, crowd_before
from tests.gateway.crowd.test_seat_checks import crowd_before as crowd_in_shop
from tests.gateway.crowd.test_seat_stories import PLAN as SEATS_PLAN


def arguments(*words: str) -> argparse.Namespace:
    """Parse a command line."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_without_arguments_the_crowd_is_the_plans_own() -> None:
    """The defaults stand in one place."""
    assert plan_of(arguments()) == Plan()


def test_every_argument_reaches_the_plan(tmp_path: Path) -> None:
    """The operator's token comes from a file, never from the command line."""
    token = tmp_path / "token"
    token.write_text("a-long-secret-token\n")
    given = arguments(
        "http://localhost:9/", "--room", "vip", "--fans", "7", "--duration", "8", "--linger", "9", "--shape", "flash",
        "--mix", "ghost=1", "--seed", "3", "--connections", "5", "--target", "/x", "--prefix", "/w/",
        "--limit-rate", "60", "--limit-active", "4", "--operator-url", "http://127.0.0.1:8081",
        "--operator-token-file", str(token), "--errands", "watch=1", "--event", "late-trains", "--alone",
        "--paying", "ok=3,two-tabs=1", "--settle", "5", "--bots", "50%", "--kinds", "mimic,many-join=2",
        "--places", "4", "--passes", "good:",
    )  # fmt: skip

    assert plan_of(given) == Plan(
        url="http://localhost:9",
        room="vip",
        fans=7,
        duration_s=8.0,
        linger_s=9.0,
        shape="flash",
        mix={Script.GHOST: 1.0},
        seed=3,
        connections=5,
        target="/x",
        prefix="/w",
        limits=Limits(60.0, 4),
        operator_url="http://127.0.0.1:8081",
        operator_token="a-long-secret-token",
        errands={Errand.WATCH: 1.0},
        manners={Manner.OK: 3.0, Manner.TWO_TABS: 1.0},
        settle_s=5.0,
        event="late-trains",
        alone=True,
        bots=0.5,
        kinds={Kind.MIMIC: 1.0, Kind.MANY_JOIN: 2.0},
        places=4,
        passes="good:",
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["http://example.com"], "not loopback"),
        (["--operator-url", "http://10.0.0.1:8081"], "not loopback"),
        (["--shape", "wave"], "is not known; there are onsale"),
        (["--shape", "trace:/nowhere.csv"], "cannot be read"),
        (["--mix", "steady"], "needs NAME=SHARE"),
        (["--errands", "dance=1"], "needs NAME=SHARE"),
        (["--paying", "gold=1"], "needs NAME=SHARE"),
        (["--paying", "ok=-1"], "No way to pay has a share below zero"),
        (["--settle", "4000"], "settling last between 0 s and an hour"),
        (["--books", "/nowhere"], "There is no shop's database"),
        (["--sandbox-url", "http://127.0.0.1:1"], "name the installation's folder as well"),
        (["--event", "Late Trains"], "is not an event's id"),
        (["--bots", "150%"], "between 0% and 100%"),
        (["--bots", "half"], "needs a share as 50%"),
        (["--bots", "50%", "--kinds", "robots"], "needs NAME=SHARE"),
        (["--bots", "50%", "--kinds", "mimic=0"], "at least one with a share above zero"),
        (["--places", "0"], "at least one place"),
        (["--fans", "0"], "between 1 and 1,000,000"),
        (["--drill", "flush@3"], "this command cannot harm a room"),
        (["--operator-token-file", "/nowhere"], "No such file"),
        (["--journal-url", "sqlite:////nowhere/journal.db"], "There is no journal"),
        (["http://127.0.0.1:1", "--url", "http://127.0.0.1:2"], "given twice"),
    ],
)
def test_arguments_that_make_no_sense_are_told_in_a_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, nothing is sent, nothing stands on stdout."""
    assert run(arguments(*words)) == WRONG

    told = capsys.readouterr()
    assert sentence in told.err
    assert told.out == ""
    assert "Traceback" not in told.err


def test_nobody_at_the_address_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1: there was nothing to check."""
    assert run(arguments("http://127.0.0.1:1", "--fans", "3")) == RED
    assert "Is the waiting room running?" in capsys.readouterr().err


async def _nothing() -> None:
    """Harm nobody."""


def test_drills_are_those_that_the_caller_can_do() -> None:
    """A name that the caller has, at a time; others are refused with the names that there are."""
    harms = {
        "flush": Harm(_nothing, loses_store=True, grace_s=4.0),
        "kill-store": Harm(_nothing, loses_store=True),
    }

    drills = drills_of("flush@20, kill-store@40.5", harms)

    assert [(drill.name, drill.at_s, drill.loses_store) for drill in drills] == [
        ("flush", 20.0, True),
        ("kill-store", 40.5, True),
    ]
    assert drills[0].grace_s == 4.0
    with pytest.raises(ValueError, match="there are flush, kill-store"):
        drills_of("drown@3", harms)
    with pytest.raises(ValueError, match="NAME@SECONDS"):
        drills_of("flush@soon", harms)


@pytest.mark.parametrize(("fault", "status"), [(None, GREEN), (Fault.OVERTAKE, RED)])
def test_the_exit_status_is_that_of_the_checks(
    fault: Fault | None,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """0 with all green, 1 with a red; table, page and JSON are written."""
    result = crowd_before(PLAN, fault=fault)

    def give(plan: Plan, hooks: Hooks) -> Result:
        del plan, hooks
        return result

    monkeypatch.setattr(command, "_run", give)
    page, figures = tmp_path / "crowd.html", tmp_path / "crowd.json"

    assert run(arguments("--report", str(page), "--json", str(figures))) == status
    assert "Checks" in capsys.readouterr().out
    assert json.loads(figures.read_text())["green"] is (status == GREEN)
    assert page.read_text().startswith("<!doctype html>")
    assert run(arguments("--json", "-")) == status
    assert json.loads(capsys.readouterr().out)["fans"] == PLAN.fans
    assert run(arguments("--report", str(tmp_path / "no" / "folder.html"))) == WRONG


def test_the_records_of_seats_are_written_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is named on stderr; a crowd before other origins has none to write."""
    result = crowd_in_shop(NaiveShop, SEATS_PLAN)
    monkeypatch.setattr(command, "_run", lambda *_: result)
    path = tmp_path / "sale.jsonl"

    assert run(arguments("--records", str(path))) == GREEN
    assert f"is in {path}" in capsys.readouterr().err
    assert list(read(path.read_bytes().splitlines()))
    assert run(arguments("--records", str(tmp_path / "no" / "sale.jsonl"))) == WRONG
