"""A small crowd, half of it bots, before the real thing: nobody is kept out, and who passes no check stays behind."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.demo import Sale
from gateway.crowd.bots.kinds import KINDS
from tests.process.test_crowd import installation

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.alone]

GATHER_S, BOOT_S = 12.0, 8.0
ASKED = """bot_guard = "on"
challenge = {way = "work", asks = "everybody"}
lane_shares = {verified = 0.0, standard = 0.95, suspect = 0.05}
draw_lead_s = 3
"""
MOST_SHARE = 0.14
"""A third of what scripts are of this crowd (42 %): of seventy places a few more or less are luck."""


def test_where_everybody_does_the_check_scripts_get_few_places_and_nobody_is_kept_out(tmp_path: Path) -> None:
    """By the command line, seeded: a sale with a draw, and fewer places than people."""
    now_s = time.time()
    sale = Sale(now_s - 60, now_s + BOOT_S + GATHER_S, now_s + 3600, draw=True)
    with installation(tmp_path / "data", ASKED + sale.toml()) as place:
        done = subprocess.run(
            [
                sys.executable, "-m", "gateway", "crowd", place.site, "--fans", "200", "--duration", str(GATHER_S),
                "--shape", "constant", "--linger", "100", "--seed", "7", "--errands", "none", "--bots", "50%",
                "--places", "70", "--operator-url", place.operator, "--operator-token-file", str(place.token_file),
                "--journal-url", place.journal_url, "--json", str(tmp_path / "report.json"),
            ],
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["bots"]
    groups = {group["kind"]: group for group in told["groups"]}
    assert told["policy"] == "bot_guard on, challenge work for everybody"
    assert told["people_blocked"] == []
    assert told["admitted"] == 70
    assert told["scripted_share"] < MOST_SHARE
    assert all(group["was_suspect"] == group["placed"] for group in groups.values())
    assert {kind for kind, group in groups.items() if kind and group["lifted"] > 1} == {
        kind for kind, about in KINDS.items() if about.passes
    }
    replayed = groups["replay"]["outcomes"]
    assert replayed["lifted"] == 1
    assert replayed["challenge-spent"] == replayed["challenge-foreign"] == replayed["challenge-forged"] > 0
    assert "Scripted bots got" in done.stdout
