"""The figure bots-ghost: bots in a real Chromium with ghost-cursor that pass the waiting page's check, in percent.

Where everybody does the work. Each place is a fresh browser context, its pointer is moved by the npm package
``ghost-cursor``; once as puppeteer starts Chromium (it calls itself HeadlessChrome) and once with that word taken out.
A bot that drives a real browser does the check as people do: what is measured is that nothing here holds it back, and
the seconds that a place takes it. What its pointer's rhythm shows is another figure (``bots-recall-chromium``).

Needs node, npm and a Chromium; the packages are fetched into the figure's own folder, at the versions that stand here.
"""

import json
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.demo import ROOM, demo
from bench.figure import Figure, say
from bench.harness import Bench
from bench.servers import ServerFailed

PLACES = 10
PACKAGES = ("ghost-cursor@1.4.2", "puppeteer-core@24.43.1")
SCRIPT = Path(__file__).resolve().parents[1] / "ghost_cursor.mjs"
FETCH_S, EACH_S = 180, 90
CHECK = {"way": "work", "asks": "everybody"}


def measure(bench: Bench) -> Iterator[Figure]:
    """Send ten with each agent."""
    node, npm, chromium = (_found(name) for name in ("node", "npm", "chromium"))
    folder = bench.folder / "ghost"
    folder.mkdir()
    say("fetching ghost-cursor")
    fetched = [
        npm,
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(folder),
        *PACKAGES,
    ]
    if subprocess.run(fetched, capture_output=True, timeout=FETCH_S, check=False).returncode:
        raise ServerFailed("npm could not fetch ghost-cursor")
    script = folder / SCRIPT.name
    script.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    room = {"bot_guard": "on", "challenge": CHECK, "paused": True}
    with demo(bench, per_minute=60, room=room) as installation:
        for agent in ("plain", "patched"):
            say(f"{PLACES} places with the agent {agent}")
            words = [
                node,
                str(script),
                installation.url,
                f"/.waitroom/r/{ROOM}",
                chromium,
                str(PLACES),
                agent,
            ]
            done = subprocess.run(words, capture_output=True, text=True, timeout=PLACES * EACH_S, check=False)
            yield _figure(bench, agent, done)


def _figure(bench: Bench, agent: str, done: "subprocess.CompletedProcess[str]") -> Figure:
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    climbed = [
        row for row in rows if (row["before"], row["after"], row["same"]) == ("suspect", "standard", True)
    ]
    reasons = sorted({reason for row in rows for reason in row["reasons"]})
    return Figure(
        f"bots-ghost-{agent}",
        100 * len(climbed) / PLACES,
        "% of places that climbed",
        f"{PLACES} places, all began in the lane suspect",
        beside={"seconds_per_place": statistics.median(row["seconds"] for row in rows) if rows else 0.0},
        conditions=bench.conditions(workers=2, load="one Chromium, one place after the other", rounds=1),
        details={"began": sorted({row["before"] for row in rows}), "reasons": reasons, "packages": PACKAGES},
        error=None
        if done.returncode == 0 and len(rows) == PLACES
        else done.stderr[-500:] or "not all places came",
    )


def _found(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ServerFailed(f"{name} is not installed")
    return path
