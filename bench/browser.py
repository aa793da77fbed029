"""Browser: a Chromium before the waiting page, and what it notes while the page loads.

Bytes are those of the wire, with headers, compressed as they came. The slow network is Lighthouse's "slow 4G" (150 ms
there and back, 1.6 Mbit/s down, 750 kbit/s up) with its four times slower processor.

Not here: what a figure makes of it (``figures/page_*``), the checks of axe (``axe``).
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, CDPSession, sync_playwright

from bench import harness
from bench import load as loads
from bench.harness import Bench
from bench.screenshots import CHROMIUM_ARGS
from bench.servers import ServerFailed
from waitroom.words import languages

PHONE = {"width": 412, "height": 823}
RTT_MS = 150
DOWN_BYTES_PER_S = 1_600_000 // 8
UP_BYTES_PER_S = 750_000 // 8
LIGHTHOUSE_REQUEST_MS = 562.5
"""What Lighthouse itself has each request wait where it throttles by DevTools: 3.75 times the way there and back."""
LIGHTHOUSE_DOWN_BYTES_PER_S = DOWN_BYTES_PER_S * 9 // 10
CPU_SLOWDOWN = 4

_WATCH = """
window.shifts = [];
new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((one) => one.value)))
  .observe({type: 'layout-shift', buffered: true});
"""
_NOTED = """() => ({
  fcp: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null,
  shift: window.shifts.reduce((sum, value) => sum + value, 0),
  blocking: performance.getEntriesByType('resource')
    .filter((one) => one.renderBlockingStatus === 'blocking').map((one) => one.name),
})"""


@dataclass(frozen=True, slots=True)
class Slow:
    """A slow network and a slow processor."""

    latency_ms: float
    down_bytes_per_s: int = DOWN_BYTES_PER_S
    up_bytes_per_s: int = UP_BYTES_PER_S
    cpu: int = CPU_SLOWDOWN

    def put_on(self, devtools: CDPSession) -> None:
        """Slow a page down."""
        devtools.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": self.latency_ms,
                "downloadThroughput": self.down_bytes_per_s,
                "uploadThroughput": self.up_bytes_per_s,
            },
        )
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": self.cpu})


@dataclass(slots=True)
class Loaded:
    """What came until the page waited: bytes by address, which of them the first paint had to wait for."""

    page_url: str
    bytes_by_url: dict[str, int] = field(default_factory=dict)
    blocking: list[str] = field(default_factory=list)
    fcp_ms: float = 0.0
    shift: float = 0.0

    @property
    def total_bytes(self) -> int:
        """Return all bytes."""
        return sum(self.bytes_by_url.values())

    @property
    def first_bytes(self) -> int:
        """Return the bytes of the document and of all that blocks its first paint."""
        return sum(self.bytes_by_url[url] for url in self.first)

    @property
    def first(self) -> set[str]:
        """Return the addresses of the document and of all that blocks its first paint."""
        return {self.page_url, *self.blocking}

    def parts(self, urls: Iterable[str] | None = None) -> dict[str, int]:
        """Return the bytes by the last part of the address, largest first; of all that came, or of some."""
        sizes = {url: self.bytes_by_url[url] for url in (self.bytes_by_url if urls is None else urls)}
        named = sorted(sizes.items(), key=lambda item: -item[1])
        return {url.partition("?")[0].rpartition("/")[2]: size for url, size in named}


@contextmanager
def chromium(bench: Bench) -> Iterator[Browser]:
    """Run this machine's Chromium on all cores that we may use. Raises ServerFailed where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise ServerFailed("chromium is missing: make setup")
    if bench.cores.allowed:
        os.sched_setaffinity(0, bench.cores.allowed)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        try:
            yield browser
        finally:
            browser.close()


def load(browser: Browser, url: str, slow: Slow | None = None, state: str = "waiting") -> Loaded:
    """Open an address with an empty cache, as a phone does, and wait until the page waits and asks nothing more."""
    context = browser.new_context(viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True)  # type: ignore[arg-type]
    try:
        context.add_init_script(_WATCH)
        page = context.new_page()
        devtools = context.new_cdp_session(page)
        seen = Loaded(url)
        _count_bytes(devtools, seen)
        if slow is not None:
            slow.put_on(devtools)
        page.goto(url, wait_until="commit", timeout=60_000)
        page.wait_for_selector(f"html[data-state={state}]", timeout=60_000)
        page.wait_for_load_state("networkidle")
        noted: dict[str, Any] = page.evaluate(_NOTED)
    finally:
        context.close()
    if noted["fcp"] is None:
        raise ServerFailed("the browser painted nothing")
    seen.fcp_ms, seen.shift, seen.blocking = noted["fcp"], noted["shift"], noted["blocking"]
    return seen


def _count_bytes(devtools: CDPSession, seen: Loaded) -> None:
    asked: dict[str, str] = {}

    def sent(event: dict[str, Any]) -> None:
        asked[event["requestId"]] = event["request"]["url"]

    def came(event: dict[str, Any]) -> None:
        url = asked.get(event["requestId"], "")
        if url.startswith("http"):
            seen.bytes_by_url[url] = seen.bytes_by_url.get(url, 0) + round(event["encodedDataLength"])

    devtools.on("Network.requestWillBeSent", sent)
    devtools.on("Network.loadingFinished", came)
    devtools.send("Network.enable")


def version(browser: Browser) -> str:
    """Return the browser's name and version."""
    return f"Chromium {browser.version}"


@contextmanager
def waiting_room(bench: Bench) -> Iterator[str]:
    """Run what ships, with some thousands in line before whoever comes next, and give the page's address."""
    with harness.our_server(bench, harness.room_toml()) as ours:
        loads.joins(ours.url, "bench", seconds=1, cores=bench.cores)
        yield f"{ours.url}/.waitroom/r/bench?target=/"


def in_every_language(bench: Bench) -> tuple[dict[str, Loaded], str]:
    """Load the page of a running server once in each language; return also which browser it was."""
    with waiting_room(bench) as url, chromium(bench) as browser:
        return {tag: load(browser, f"{url}&lang={tag}") for tag in languages()}, version(browser)
