"""The figure page-fcp: first contentful paint on an emulated slow 4G with a four times slower processor.

The browser's emulation makes each request wait for one way there and back (150 ms), but forgets that a connection must
be made first. So beside the value stand what a visitor sees who knows nobody yet (three more ways there and back, for
DNS, TCP and TLS), and what Lighthouse's own, coarser rule gives (562.5 ms for every request). Nothing may move while
the page finds its place.
"""

import statistics
from collections.abc import Iterator

from bench import browser
from bench.browser import Slow
from bench.figure import Figure, failed, say
from bench.harness import Bench

MOST_MS = 1000
CONNECTING_MS = 3 * browser.RTT_MS
MOST_SHIFT = 0.0005


def measure(bench: Bench) -> Iterator[Figure]:
    """Load the page of a running server, with an empty cache each time."""
    slow = Slow(browser.RTT_MS)
    lighthouse = Slow(browser.LIGHTHOUSE_REQUEST_MS, browser.LIGHTHOUSE_DOWN_BYTES_PER_S)
    seen, coarse = [], []
    with browser.waiting_room(bench) as url, browser.chromium(bench) as chromium:
        browser.load(chromium, url)
        for number in range(bench.rounds):
            seen.append(browser.load(chromium, url, slow))
            coarse.append(browser.load(chromium, url, lighthouse))
            say(f"round {number + 1} of {bench.rounds}: {seen[-1].fcp_ms:.0f} ms")
        version = browser.version(chromium)
    paints = [one.fcp_ms for one in seen]
    value = statistics.median(paints)
    shift = max(one.shift for one in (*seen, *coarse))
    figure = Figure(
        "page-fcp",
        round(value),
        "ms",
        target=f"<= {MOST_MS}",
        met=value <= MOST_MS,
        conditions=bench.conditions(
            load="one browser, empty cache, phone 412 x 823",
            browser=version,
            network="150 ms there and back, 1.6 Mbit/s down, 750 kbit/s up; processor 4 times slower",
        ),
        details={
            "all_ms": [round(paint) for paint in paints],
            "with_connecting_ms": round(value + CONNECTING_MS),
            "lighthouse_request_delay_ms": round(statistics.median(one.fcp_ms for one in coarse)),
            "layout_shift": round(shift, 4),
        },
    )
    yield failed(figure, f"the page moved: layout shift {shift:.4f}") if shift > MOST_SHIFT else figure
