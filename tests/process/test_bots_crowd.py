"""A small crowd, half of it bots, before the real thing: nobody is kept out, and who passes no check stays behind."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gateway.crowd.bots.kinds import KINDS
from tests.process.operating import changed
from tests.process.test_crowd import Place, installation

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.alone]

GATHER_S = 15.0
ASKED = """queueing_method = "reject"
bot_guard = "on"
challenge = {way = "work", asks = "everybody"}
lane_shares = {verified = 0.0, standard = 0.95, suspect = 0.05}
draw_lead_s = 2
"""
MOST_SHARE = 0.14
"""A third of what scripts are of this crowd (42 %): of seventy places a few more or less are luck."""


def put_on_sale(place: Place) -> None:
    """Begin a sale with a draw: people may come at once, and it starts when they had time for the check."""
    now_s = time.time()
    times = {"prequeue_start_time": -60.0, "event_start_time": GATHER_S + 2, "event_end_time": 3600.0}
    sale = {name: datetime.fromtimestamp(now_s + at_s, UTC).isoformat() for name, at_s in times.items()}
    token = place.token_file.read_text(encoding="utf-8").strip()
    with httpx.Client(headers={"authorization": f"Bearer {token}"}, timeout=30) as operator:
        room = f"{place.operator}/api/rooms/main"
        more = {"name": "sale", "queueing_method": "fifo", "shuffle_at_event_start": True}
        changed(operator, "POST", room, "/sales", {**sale, **more})
        until_s = time.time() + 30
        while httpx.get(f"{place.site}/.waitroom/r/main/status").json()["phase"] != "gathering":
            assert time.time() < until_s
            time.sleep(0.2)


def test_where_everybody_does_the_check_scripts_get_few_places_and_nobody_is_kept_out(tmp_path: Path) -> None:
    """By the command line, seeded: a sale with a draw, and fewer places than people."""
    with installation(tmp_path / "data", ASKED) as place:
        put_on_sale(place)
        done = subprocess.run(
            [
                sys.executable, "-m", "gateway", "crowd", place.site, "--fans", "200", "--duration", "12",
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
