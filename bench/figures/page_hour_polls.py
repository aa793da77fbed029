"""The figure page-hour-polls: what an hour of waiting asks of the server, and what it costs the phone.

An hour passes on the page's own clock, second by second, while the line moves; every poll is counted and compared with
the plan, computed here from the same documents by the Python rules (``waitroom.wait``). The page's dice always show the
middle, so that chance plays no part. Memory is what the garbage collector leaves after the first minute and after
the hour; the processor is measured in real time, in the foreground, with all motion on.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, Request

from bench import browser
from bench.figure import Figure, failed, say
from bench.harness import Bench
from bench.scripted_room import PREFIX, Room, Scene, serving
from waitroom.wait import next_poll_ms, wait_interval

HOUR_S = 3600
RANK, SPEED = 15_600, 240
"""So far behind, and so many a minute, that the turn comes five minutes after the hour."""
CAP_S = 60
MIDDLE = 0.5
MOST_HEAP_MB = 2.0
MOST_CPU_PERCENT = 1.0
FOREGROUND_S = 20
PAGE = f"{PREFIX}r/main?target=/shop&lang=en"
_ONE_DIE = f"Math.random = () => {MIDDLE};"


@dataclass(slots=True)
class Asked:
    """What the page asked for, and what is on its way."""

    by_name: dict[str, int] = field(default_factory=dict)
    under_way: set[Request] = field(default_factory=set)

    def watch(self, page: Page) -> None:
        """Count from now on."""

        def begun(request: Request) -> None:
            name = request.url.partition("?")[0].rpartition("/")[2]
            self.by_name[name] = self.by_name.get(name, 0) + 1
            self.under_way.add(request)

        def done(request: Request) -> None:
            self.under_way.discard(request)

        page.on("request", begun)
        page.on("requestfinished", done)
        page.on("requestfailed", done)


def measure(bench: Bench) -> Iterator[Figure]:
    """Let an hour pass, then look at the clock on the wall for some seconds."""
    with browser.chromium(bench) as chromium:
        asked, planned, growth_mb = _hour(chromium)
        cpu = {motion: _foreground(chromium, motion) for motion in ("no-preference", "reduce")}
        version = browser.version(chromium)
    polls = asked.by_name.get("status", 0)
    ratio = polls / planned
    figure = Figure(
        "page-hour-polls",
        ratio,
        "polls made / polls planned",
        "next_poll_ms of waitroom/wait.py",
        target="<= 1.0",
        met=ratio <= 1.0,
        conditions=bench.conditions(
            load="one page, one hour on its own clock", rounds=1, browser=version, foreground_s=FOREGROUND_S
        ),
        details={
            "polls": polls,
            "planned": planned,
            "asked": asked.by_name,
            "heap_growth_mb": round(growth_mb, 2),
            "heap_target": f"<= {MOST_HEAP_MB:g}",
            "renderer_cpu_percent": {motion: seen["renderer"] for motion, seen in cpu.items()},
            "cpu_target": f"<= {MOST_CPU_PERCENT:g}",
            "other_processes_cpu_percent": {motion: seen["others"] for motion, seen in cpu.items()},
        },
    )
    faults = []
    if polls < planned / 2:
        faults.append("the page hardly asked: its clock did not run")
    if growth_mb > MOST_HEAP_MB:
        faults.append(f"the heap grew by {growth_mb:.2f} MB")
    worst = max(seen["renderer"] for seen in cpu.values())
    if worst > MOST_CPU_PERCENT:
        faults.append(f"the page in the foreground took {worst:.2f} % of a core")
    yield failed(figure, "; ".join(faults)) if faults else figure


def _scene() -> Scene:
    return Scene(issued=RANK + 5000, next_number=RANK, serving=0, speed=SPEED, plan=SPEED)


def planned_polls() -> int:
    """Count the polls that the rules ask for: from the first document, as the line stands at each poll."""
    polls, now_s = 0, 0.0
    while True:
        ahead = RANK - _served(now_s)
        interval = wait_interval(ahead, SPEED, SPEED)
        eta_s = None if interval is None else sum(interval) / 2
        now_s += next_poll_ms(eta_s, CAP_S, MIDDLE) / 1000
        if now_s > HOUR_S:
            return polls
        polls += 1


def _served(at_s: float) -> int:
    return int(at_s * SPEED / 60)


def _hour(chromium: Browser) -> tuple[Asked, int, float]:
    with serving(_scene()) as (room, address):
        context = chromium.new_context(viewport=browser.PHONE, locale="en-GB")  # type: ignore[arg-type]
        try:
            page = context.new_page()
            devtools = context.new_cdp_session(page)
            page.add_init_script(_ONE_DIE)
            page.clock.install()
            page.goto(address + PAGE)
            page.wait_for_selector("html[data-state=waiting]")
            page.clock.pause_at(page.evaluate("Date.now()") + 1)
            asked = Asked()
            asked.watch(page)
            before = 0.0
            for second in range(1, HOUR_S + 1):
                _pass_a_second(page, room, asked, second)
                if second == 60:
                    before = _heap_mb(devtools)
                if second % 600 == 0:
                    say(f"{second // 60} minutes: {asked.by_name}")
            return asked, planned_polls(), _heap_mb(devtools) - before
        finally:
            context.close()


def _pass_a_second(page: Page, room: Room, asked: Asked, second: int) -> None:
    room.scene.change(serving=_served(second))
    page.clock.run_for(1000)
    # What the network brings does not wait for the page's clock: let it come before the next second.
    for _ in range(200):
        if not asked.under_way:
            return
        page.wait_for_timeout(5)


def _heap_mb(devtools: CDPSession) -> float:
    for _ in range(3):
        devtools.send("HeapProfiler.collectGarbage")
    used: float = devtools.send("Runtime.getHeapUsage")["usedSize"]
    return used / 1_000_000


def _foreground(chromium: Browser, motion: Any) -> dict[str, float]:
    """Return the share of one core, in percent, that the page's process takes, and the browser's others."""
    with serving(_scene()) as (_, address):
        context = chromium.new_context(viewport=browser.PHONE, locale="en-GB", reduced_motion=motion)  # type: ignore[arg-type]
        try:
            page = context.new_page()
            page.goto(address + PAGE)
            page.wait_for_selector("html[data-state=waiting]")
            page.wait_for_timeout(3000)
            system = chromium.new_browser_cdp_session()
            began, before = time.monotonic(), _cpu_s(system)
            page.wait_for_timeout(FOREGROUND_S * 1000)
            after, took_s = _cpu_s(system), time.monotonic() - began
            system.detach()
        finally:
            context.close()
    used = {kind: round(100 * (after[kind] - before.get(kind, 0.0)) / took_s, 2) for kind in after}
    others = sum(share for kind, share in used.items() if kind != "renderer")
    say(f"in the foreground ({motion}): {used}")
    return {"renderer": used.get("renderer", 0.0), "others": round(others, 2)}


def _cpu_s(system: CDPSession) -> dict[str, float]:
    found: dict[str, float] = {}
    for process in system.send("SystemInfo.getProcessInfo")["processInfo"]:
        found[process["type"]] = found.get(process["type"], 0.0) + process["cpuTime"]
    return found
