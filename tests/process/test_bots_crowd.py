"""A small crowd, half of it bots, before the real thing: nobody is kept out, and who passes no check stays behind.

The sale starts when most people had the time for their check, however long that takes on a machine.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gateway.crowd.bots.kinds import KINDS
from tests.process.operating import changed
from tests.process.test_crowd import Place, installation

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.crowd]

FAR_S = 40.0
"""A start that is put off: so near that everybody looks every two seconds."""

PASSED = 95
"""So many have passed their check when the sale is about to start: nearly all of the people, and most of the bots that
can. And all who replay what another has passed have tried it."""

REPLAYS = 9
PATIENCE_S = 240.0
ASKED = """queueing_method = "reject"
bot_guard = "on"
challenge = {way = "work", asks = "everybody"}
lane_shares = {verified = 0.0, standard = 0.95, suspect = 0.05}
draw_lead_s = 2
"""
MOST_SHARE = 0.14
"""A third of what scripts are of this crowd (42 %): of seventy places a few more or less are luck."""


class Sale:
    """A sale with a draw, to which people may come at once."""

    def __init__(self, place: Place, operator: httpx.Client) -> None:
        self._place, self._operator = place, operator
        self._room = f"{place.operator}/api/rooms/main"
        now_s = time.time()
        sale = {"name": "sale", "queueing_method": "fifo", "shuffle_at_event_start": True}
        times = {"prequeue_start_time": -60.0, "event_start_time": FAR_S, "event_end_time": 3600.0}
        sale |= {name: _moment(now_s + at_s) for name, at_s in times.items()}
        changed(operator, "POST", self._room, "/sales", sale)
        _until(lambda: httpx.get(f"{place.site}/.waitroom/r/main/status").json()["phase"] == "gathering")

    def start_when_most_are_checked(self) -> None:
        """Put the start off until so many have passed the check; then it comes."""
        starts_s = 0.0

        def is_time() -> bool:
            nonlocal starts_s
            if starts_s - time.time() < FAR_S / 2:
                starts_s = self._start_in(FAR_S)
            return self._told("passed") >= PASSED and self._told("forged") >= REPLAYS

        _until(is_time)
        self._start_in(4.0)

    def _start_in(self, seconds: float) -> float:
        starts_s = time.time() + seconds
        changed(self._operator, "PATCH", self._room, "/sales/sale", {"event_start_time": _moment(starts_s)})
        return starts_s

    def _told(self, outcome: str) -> float:
        told = self._operator.get(f"{self._place.operator}/metrics").raise_for_status().text
        rows = re.findall(r"^waitroom_challenges_answered_total\{(.*)\} (\S+)$", told, re.MULTILINE)
        return sum(float(count) for labels, count in rows if f'outcome="{outcome}"' in labels)


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def _until(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.2)


def test_where_everybody_does_the_check_scripts_get_few_places_and_nobody_is_kept_out(tmp_path: Path) -> None:
    """By the command line, seeded: a sale with a draw, and fewer places than people."""
    with installation(tmp_path / "data", ASKED) as place:
        auth = {"authorization": f"Bearer {place.token_file.read_text(encoding='utf-8').strip()}"}
        with httpx.Client(headers=auth, timeout=60) as operator:
            sale = Sale(place, operator)
            words = [
                sys.executable, "-m", "gateway", "crowd", place.site, "--fans", "200", "--duration", "8",
                "--shape", "constant", "--linger", "300", "--seed", "7", "--errands", "none", "--bots", "50%",
                "--places", "70", "--operator-url", place.operator, "--operator-token-file", str(place.token_file),
                "--journal-url", place.journal_url, "--json", str(tmp_path / "report.json"),
            ]  # fmt: skip
            with subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as crowd:
                try:
                    sale.start_when_most_are_checked()
                    said, _ = crowd.communicate(timeout=PATIENCE_S)
                finally:
                    crowd.terminate()

    assert crowd.returncode == 0, said
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
    assert "Scripted bots got" in said
