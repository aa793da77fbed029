"""The soak in its short form, and that it would notice: a shop that sells, then books that somebody has spoiled.

The full form is ``make soak MINUTES=10``; docs/failure-matrix.md says what it looks at.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from bench.drills.soak.buyers import PAYS, Buyer, Diary, pays, second_card
from bench.drills.soak.judging import come_to_rest, judge
from bench.drills.soak.stage import EVENT, Stage, stage
from bench.drills.soak.wrecking import FAULTS, POINTS, Kind, Misfortune, Wrecker, crash_at, plan
from checkout.money import Money
from checkout.payments.port import Charge
from checkout.payments.stripe import StripeProvider

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 550
DIGITS = "4242" * 4
"""Put together here, so that this file has none."""


def soak(*words: str) -> tuple[int, str, str]:
    """Play a soak; returns its status, what it found and what it told. It ends with us, and all of it."""
    command = [sys.executable, "-m", "bench.drills.soak", "--parent", str(os.getpid()), *words]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as playing:
        try:
            out, err = playing.communicate(timeout=PATIENCE_S)
        finally:
            # Asked to end, it stops the shop and the database; killed, it could not.
            playing.terminate()
    return playing.returncode, out, err


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.crowd
@pytest.mark.parametrize(
    ("database", "seed", "hurt"),
    [
        ("sqlite", "1402", {"kill all workers", "kill the store", "kill the sandbox", "stop a worker"}),
        pytest.param(
            "postgresql",
            "5626",
            {"kill a process of the database", "restart the database", "stop the store", "wipe the store"},
            marks=pytest.mark.postgres,
        ),
    ],
)
def test_a_minute_of_selling_while_everything_is_killed(database: str, seed: str, hurt: set[str]) -> None:
    """S2, short: a third of a minute under misfortunes; at rest every invariant holds, there is no card number."""
    status, out, err = soak("--minutes", "0.3", "--seed", seed, "--database", database)
    (told,) = map(json.loads, out.splitlines())

    assert told["details"]["violations"] == [], err[-3000:]
    assert status == 0, out + err[-3000:]
    assert err.startswith(f"bench: seed {seed}; the same day again: make soak MINUTES=0.3 SEED={seed}")
    assert set(told["details"]["misfortunes"]) >= hurt
    assert told["misfortunes"] > 3
    assert told["paid"] > 5


def test_a_seed_is_a_day() -> None:
    """The same misfortunes at the same moments; another seed is another day; each kind comes up in the end."""
    days = [plan(seed, 600, 36, is_postgres=True, every_s=7) for seed in (1, 1, 2)]

    assert days[0] == days[1] != days[2]
    assert all(0 < one.at_s < 600 and one.at_s + one.lasts_s <= 600.1 for one in days[0])
    seen = [one for seed in range(20) for one in plan(seed, 600, 36, is_postgres=True, every_s=7)]
    assert {one.kind for one in seen} == set(Kind)
    assert {one.fault for one in seen} == set(FAULTS)
    assert max(one.lasts_s for one in seen if one.kind is Kind.STOP_WORKER) > 36
    assert crash_at(5) == crash_at(5)
    assert {crash_at(seed).partition(":")[0] for seed in range(200)} == set(POINTS)


def test_on_sqlite_no_server_is_hurt_that_is_not_there() -> None:
    """What happens to PostgreSQL only is left out."""
    seen = {one.kind for seed in range(20) for one in plan(seed, 600, 36, is_postgres=False, every_s=7)}

    assert seen == set(Kind) - {Kind.KILL_BACKEND, Kind.RESTART_DATABASE}


def test_a_misfortune_waits_for_what_it_is_to_hurt() -> None:
    """All workers were killed just now and are not up again: who is to kill one waits until there is one."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as worker:
        looks = iter([[], [], [worker.pid]])
        stage = SimpleNamespace(processes=lambda _role: next(looks))
        wrecker = Wrecker(cast("Stage", stage), [])
        try:
            asyncio.run(wrecker.run([Misfortune(0.0, Kind.KILL_WORKER, 1.0, 0)]))
        finally:
            worker.kill()

    assert wrecker.done == {"kill a worker": 1}


async def two_buyers(own: Stage, diary: Diary) -> None:
    """Have two buyers pay, one of them with a second card."""
    async with httpx.AsyncClient(base_url=own.url, timeout=30, trust_env=False) as client:
        for number, errand in enumerate((pays, second_card)):
            dice = random.Random(number)
            buyer = Buyer(own, client, dice, diary, f"fan{number:019d}")
            await errand(buyer, own.wanted[number][:2])


def charge_again(own: Stage, diary: Diary) -> None:
    """Take the money of a paid order a second time, at the provider and behind the shop's back."""

    async def charge() -> None:
        provider = StripeProvider("sandbox", own.sandbox_key, ["whsec_x"], api_base=own.sandbox_url)
        amount = Money(4000, "EUR")
        made = await provider.create(Charge(EVENT, min(diary.paid), 9, amount, "spoiled:create"))
        await provider.confirm(made.ref, PAYS, "https://shop.example/", "spoiled:confirm")
        await provider.capture(made.ref, amount, "spoiled:capture")
        await provider.close()

    asyncio.run(charge())


def lose_an_order(_own: Stage, diary: Diary) -> None:
    """Have a buyer say that an order is paid which nobody knows."""
    diary.paid.add("Onobodysown1")


def hear_a_failure(_own: Stage, diary: Diary) -> None:
    """Have a buyer hear of a failure that nobody foresaw."""
    diary.answers["pay internal"] += 1


def print_a_card(own: Stage, _diary: Diary) -> None:
    """Have the shop print a card number."""
    with own.log.open("a") as log:
        log.write(f'{{"message": "paid with {DIGITS}"}}\n')


SPOILED: dict[str, Callable[[Stage, Diary], None]] = {
    "we do not know payment": charge_again,
    "was told to be paid": lose_an_order,
    "nobody foresaw": hear_a_failure,
    "looks like a card number": print_a_card,
}


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.crowd
def test_the_judge_finds_what_is_spoiled(tmp_path: Path) -> None:
    """A right sale is right, on the demo's own processes with SQL, store, sandbox and logs; then it is spoiled."""
    tmp_path.chmod(0o711)
    with stage(tmp_path, "sqlite", reserved_s=16) as own:
        diary = Diary()
        asyncio.run(two_buyers(own, diary))
        rest_s, left = asyncio.run(come_to_rest(own))
        right = judge(own, diary, rest_s, left)
        assert right.faults == []
        assert right.states == {"paid": 2}
        assert right.money["captured"] == 2

        for spoil in SPOILED.values():
            spoil(own, diary)
        faults = judge(own, diary, rest_s, {}, looks=1).faults
    for sentence in SPOILED:
        assert any(sentence in fault for fault in faults), (sentence, faults)
    assert any(fault.startswith("I4") and "as its provider says" in fault for fault in faults)


STARTED = """
import sys, time
from pathlib import Path
from bench.drills.soak.stage import stage
with stage(Path(sys.argv[1]), "sqlite", reserved_s=16) as own:
    print(own.pid, *own.processes("shop"), *own.processes("sandbox"), *own.store_pids(), flush=True)
    time.sleep(600)
"""


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.crowd
def test_a_soak_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    """Whatever kills who has started a shop: supervisor, workers, sandbox and store end as well."""
    words = [sys.executable, "-c", STARTED, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as playing:
        assert playing.stdout is not None
        started = [int(word) for word in playing.stdout.readline().split()]
        playing.kill()

    assert len(started) == 5
    until_s = time.monotonic() + PATIENCE_S
    while left := [pid for pid in started if is_alive(pid)]:
        assert time.monotonic() < until_s, left
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    """Tell whether a process is there; one that has ended and that nobody has asked after is not."""
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
