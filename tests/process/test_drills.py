"""The drills in their short form: hard days of a sale on a whole installation, all processes, real HTTP.

The full forms are ``make drill NAME=…``; what they measured stands in docs/drills.md.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.drills.__main__ import NAMES

pytestmark = [pytest.mark.process, pytest.mark.slow]

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 550


def play(name: str) -> dict[str, dict[str, Any]]:
    """Play a drill's short form and give its lines by their names; every line met its target."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.drills", name, "--short"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    lines = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    missed = {line["name"]: (line["value"], line.get("error")) for line in lines.values() if not line["met"]}

    assert missed == {}, done.stderr[-3000:]
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return lines


@pytest.mark.crowd
def test_a_crowd_gets_in_as_the_draw_says() -> None:
    """They gather, are drawn by a committed secret, and are admitted by rank; who came when says nothing."""
    told = play("lottery")

    assert told["lottery-drawn"]["value"] >= 90
    assert told["lottery-drawn"]["details"]["late"] > 0
    assert told["lottery-crowd"]["details"]["checks"]["draw-kept"] == "green"
    assert told["lottery-crowd"]["details"]["checks"]["nobody-early"] == "green"
    order = told["lottery-order"]["details"]
    # Who came when says nothing: five deviations of a correlation that is none.
    assert abs(order["against_arrival"]) < 5 / (order["admissions"] - 1) ** 0.5


@pytest.mark.crowd
def test_the_flash_of_1998_gets_through() -> None:
    """A real 48-fold rise, scaled: every check is green, and everybody's day goes as the script says."""
    told = play("flash")

    assert told["flash-crowd"]["value"] == 200
    assert told["flash-places-lost"]["value"] == 0


@pytest.mark.crowd
def test_a_tenfold_step_moves_neither_the_rate_nor_the_memory() -> None:
    """Admissions stay under the cap, memory stays flat, every refusal says until when, every place is kept."""
    told = play("step")

    assert told["step-refusals-wrong"]["details"]["other_5xx"] == 0
    assert set(told["step-refusals-wrong"]["details"]["refusals"]) >= {"page 429", "join 429", "claim 202"}
    assert {name for name in told if name.startswith("step-growth-")} == {
        "step-growth-store", "step-growth-worker-0", "step-growth-worker-1",
    }  # fmt: skip


@pytest.mark.crowd
def test_a_thousand_open_sockets_wait_for_the_start() -> None:
    """Each fan keeps a socket open; at the start nobody was admitted early, and afterwards no ticket is lost."""
    told = play("sockets")

    assert told["sockets-numbers"]["value"] == 1000
    assert told["sockets-early"]["value"] == 0


def test_a_drill_that_is_not_known_is_refused_with_those_that_are() -> None:
    """A wrong NAME lists them and ends with 2."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.drills", "nap"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert all(name in done.stderr for name in NAMES)
