"""Seat frames: how long frames take while the map of a 60,000-seat arena is moved and zoomed.

Run: ``python -m bench.seat_frames [--cpu 4] [--desktop]``. Chromium, slowed down as a phone is, looks at the scripted
arena; fingers (touch events) and the wheel are driven through DevTools while others take seats; frames are counted by
``requestAnimationFrame``. Besides the time between frames it tells how long the page's own drawing took, because a
machine without a graphics card also paints by the processor. One JSON line.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

from playwright.sync_api import CDPSession, Page, ViewportSize, sync_playwright

from bench.screenshots import CHROMIUM_ARGS
from bench.scripted_shop import Scene, serving

PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
WATCH = """() => {
  window.frames_ = []; window.works_ = [];
  const asked = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (act) => asked((now) => {
    const since = performance.now();
    act(now);
    window.works_.push(performance.now() - since);
  });
  let last = null;
  const beat = (now) => { if (last !== null) window.frames_.push(now - last); last = now; asked(beat); };
  asked(beat);
}"""
STEPS = 90


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--cpu", type=float, default=4)
    asked.add_argument("--desktop", action="store_true")
    options = asked.parse_args()
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    scene = Scene(hall="arena")
    with serving(scene) as (shop, address), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        size = DESKTOP if options.desktop else PHONE
        context = browser.new_context(
            viewport=size, device_scale_factor=1 if options.desktop else 2, has_touch=True
        )
        page = context.new_page()
        page.goto(f"{address}/events/northern-lights/seats")
        page.wait_for_selector("html[data-state=ready]")
        page.wait_for_timeout(800)
        devtools = context.new_cdp_session(page)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": options.cpu})
        page.evaluate(WATCH)
        box = page.locator("#canvas").bounding_box()
        if box is None:
            raise SystemExit("the map is not there")
        x, y = box["x"] + box["width"] * 0.32, box["y"] + box["height"] * 0.55
        found: dict[str, Any] = {}
        takes = iter(range(10_000, 50_000, 37))
        acts: dict[str, Callable[[], None]] = {
            "zoom in": lambda: wheel(devtools, x, y, -60, 70),
            "pan near": lambda: pan(devtools, x, y),
            "zoom out": lambda: wheel(devtools, x, y, 30, 60),
            "pan middle": lambda: pan(devtools, x, y),
            "zoom far": lambda: wheel(devtools, x, y, 60, 90),
        }
        for name, act in acts.items():
            page.evaluate("() => { window.frames_.length = 0; window.works_.length = 0; }")
            shop.others_take([next(takes) for _ in range(100)])
            act()
            found[name] = told(page)
        browser.close()
    everything = [one for part in found.values() for one in part.pop("frames")]
    works = [one for part in found.values() for one in part.pop("works")]
    line = {
        "figure": "seat-frames",
        "cpu_slowdown": options.cpu,
        "view": size,
        "median_ms": round(median(everything), 1),
        "p95_ms": round(quantiles(everything, n=20)[18], 1),
        "work_median_ms": round(median(works), 1),
        "work_p95_ms": round(quantiles(works, n=20)[18], 1),
        "parts": found,
    }
    sys.stdout.write(json.dumps(line) + "\n")


def wheel(devtools: CDPSession, x: float, y: float, by: float, steps: int) -> None:
    """Turn the wheel, a step each frame."""
    for _ in range(steps):
        devtools.send(
            "Input.dispatchMouseEvent", {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by}
        )
        time.sleep(0.016)


def pan(devtools: CDPSession, x: float, y: float) -> None:
    """Push the map about with a finger."""
    for way in (1, -1):
        devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for step in range(STEPS):
            at = {"x": x + way * step * 2.4, "y": y - way * step * 1.3}
            devtools.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at]})
            time.sleep(0.016)
        devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        time.sleep(0.2)


def told(page: Page) -> dict[str, Any]:
    """Read what was noted."""
    frames: list[float] = page.evaluate("() => window.frames_.splice(0)")
    works: list[float] = page.evaluate("() => window.works_.splice(0)")
    return {
        "n": len(frames),
        "median_ms": round(median(frames), 1),
        "p95_ms": round(quantiles(frames, n=20)[18], 1),
        "work_p95_ms": round(quantiles(works, n=20)[18], 1),
        "pitch": round(page.evaluate("() => document.getElementById('map').hall.map.pitch"), 1),
        "frames": frames,
        "works": works,
    }


if __name__ == "__main__":
    main()
