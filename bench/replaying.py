"""Replaying: recorded people's movements in a real Chromium, told by the same listener that hears its scripts.

A script and a person are told apart only if both are told by the same logger: whole sessions of DELBOT's people are
dispatched to a page by DevTools (``Input.dispatchMouseEvent``) at the moments at which they were recorded, and what
the page hears is kept in the form of ``tests/data/chromium_bots``. Each event carries its own moment, so that a
busy machine trembles no more than the recording did; the browser still puts moves of one frame together.

Run: ``python -m bench.replaying tests/data/chromium_people/people.jsonl.gz`` (some minutes; needs a Chromium). Which
sessions: the same number from each device, by a seed, of at most ``MOST_MS`` each; fingers are replayed as a mouse.
"""

import argparse
import gzip
import json
import random
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from bench.bots import people
from bench.figure import say
from bench.screenshots import CHROMIUM_ARGS
from botguard.training.traces import DEVICES, FEWEST_MOVES, Move, Trace

SEED = 7
EACH = 30
MOST_MS = 5_000.0
LEAD_MS = 30.0
WIDE, HIGH = 1920, 1080

_LISTEN = """() => {
  window.heard = [];
  document.addEventListener('pointermove', (event) => window.heard.push([0, event.timeStamp, event.clientX,
    event.clientY, event.getCoalescedEvents ? event.getCoalescedEvents().length : 1, event.movementX,
    event.movementY, event.pressure, event.isTrusted ? 1 : 0, event.pointerType]), true);
}"""
_TAKEN = "() => window.heard.splice(0)"


def chosen(every: Sequence[Trace], each: int, seed: int) -> list[Trace]:
    """Return as many sessions of each device, or all it has."""
    dice, found = random.Random(seed), []
    for device in DEVICES:
        own = [one for one in every if one.group == device]
        found += sorted(dice.sample(own, min(each, len(own))), key=lambda one: one.name)
    return found


def placed(moves: Sequence[Move]) -> list[Move]:
    """Return the first moves of a session from moment 0, shifted into the page where they lie outside."""
    begun = moves[0][0]
    kept = [(t - begun, x, y) for t, x, y in moves if t - begun <= MOST_MS]
    shifts = [
        -min(0.0, *(move[axis] for move in kept)) - max(0.0, *(move[axis] - size + 1 for move in kept))
        for axis, size in ((1, WIDE), (2, HIGH))
    ]
    return [(t, x + shifts[0], y + shifts[1]) for t, x, y in kept]


def replay(page: Page, devtools: CDPSession, moves: Sequence[Move]) -> list[list[Any]]:
    """Move the pointer as recorded; return what the page heard."""
    page.evaluate(_TAKEN)
    begun = time.time() + LEAD_MS / 1000
    for t, x, y in moves:
        at = begun + t / 1000
        if (rest := at - time.time()) > 0:
            time.sleep(rest)
        devtools.send(
            "Input.dispatchMouseEvent",
            {"type": "mouseMoved", "x": x, "y": y, "timestamp": at, "pointerType": "mouse"},
        )
    page.wait_for_timeout(LEAD_MS)
    heard: list[list[Any]] = page.evaluate(_TAKEN)
    return heard


def main(argv: Sequence[str]) -> int:
    """Replay and write; the exit status is that of the worst session."""
    parser = argparse.ArgumentParser(prog="python -m bench.replaying")
    parser.add_argument("out", type=Path, help="where the sessions go (.jsonl.gz)")
    parser.add_argument("--each", type=int, default=EACH, help=f"how many sessions of each device ({EACH})")
    args = parser.parse_args(argv)
    chromium = shutil.which("chromium")
    lines, poor = [], 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        page = browser.new_page(viewport={"width": WIDE, "height": HIGH})
        page.set_content("<!doctype html><title>replay</title><body style='height:100vh'></body>")
        page.evaluate(_LISTEN)
        devtools = page.context.new_cdp_session(page)
        for trace in chosen(people(), args.each, SEED):
            events = replay(page, devtools, placed(trace.moves))
            if len(events) < FEWEST_MOVES:
                poor += 1
                continue
            kept = [
                [kind, round(t - events[0][1], 1), round(x, 2), round(y, 2), *rest]
                for kind, t, x, y, *rest in events
            ]
            lines.append(json.dumps({"k": trace.group, "n": trace.name, "e": kept}, separators=(",", ":")))
        browser.close()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(("\n".join(lines) + "\n").encode())
    say(f"{len(lines)} sessions, {poor} of too few moves")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
