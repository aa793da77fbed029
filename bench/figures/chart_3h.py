"""The figure chart-3h: ms from the numbers of a three-hour sale in the page to four painted plots, in real Chromium.

`waitroom serve` with ninety days of a room in its journal's database. The page of the last sale (180 rows) is opened
twenty times; it marks when it begins to read its numbers and when the second frame after the plots has come. The same
again with 10,800 points, one for each second, put into the page on its way.

The reference draws the same numbers by hand in the same page, as SVG polylines without axes, legends or marks. A canvas
by hand, and two frames with nothing drawn, stand beside it. The time of the query is apart: the API's answer of the
same 180 minutes, with HTTP.
"""

import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import orjson
import sqlalchemy as sa
from playwright.sync_api import Page, Route

from bench import browser, harness
from bench.figure import Figure, failed, median_ratio, say
from bench.harness import OPERATOR_TOKEN, Bench, Ours
from kernel.database import address, begin_writing, close, engine
from waitroom.history_book import MINUTES
from waitroom.minutes import MINUTE_MS, Minute

TIMES = 20
MOST_MS = 200
DAYS = 90
SALE_MINUTES = 180
ROOM, SALE = "bench", "evening"
_AT_ONCE = 5_000

_BY_HAND = """(kind) => new Promise((done) => {
  const root = document.getElementById("plots");
  root.replaceChildren();
  const began = performance.now();
  const { t, plots } = JSON.parse(document.getElementById("drawn").textContent);
  const [wide, tall] = [440, 220];
  for (const { lines } of kind === "nothing" ? [] : plots) {
    const highest = ({ values }) => values.reduce((most, value) => Math.max(most, value ?? 0), 1);
    const high = Math.max(...lines.map(highest));
    const x = (at) => (wide * (at - t[0])) / (t.at(-1) - t[0]);
    const y = (value) => tall - (tall * value) / high;
    if (kind === "svg") {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("width", wide);
      svg.setAttribute("height", tall);
      for (const { values } of lines) {
        const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
        const point = (value, at) => (value == null ? [] : [`${x(t[at]).toFixed(1)},${y(value).toFixed(1)}`]);
        const points = values.flatMap(point);
        line.setAttribute("points", points.join(" "));
        line.setAttribute("fill", "none");
        line.setAttribute("stroke", "green");
        svg.append(line);
      }
      root.append(svg);
    } else {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [wide, tall];
      const paper = canvas.getContext("2d");
      for (const { values } of lines) {
        paper.beginPath();
        values.forEach((value, at) => { if (value != null) paper.lineTo(x(t[at]), y(value)); });
        paper.stroke();
      }
      root.append(canvas);
    }
  }
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
})"""
_OURS = """() => {
  const [found] = performance.getEntriesByName("history");
  return { ms: found.duration, since_asked: found.startTime + found.duration };
}"""
_DATA = re.compile(r'(<script type="application/json" id="drawn">)(.*?)(</script>)', re.DOTALL)


def measure(bench: Bench) -> Iterator[Figure]:
    """Fill the database, then open the page of the last sale and draw by hand in turn."""
    with harness.our_server(bench, harness.room_toml()) as ours:
        until = int(time.time() * 1000) // MINUTE_MS - 10
        octets = _fill(bench.folder / "ours" / "data" / "journal.db", until)
        query_ms = _queries(ours, until)
        with browser.chromium(bench) as chromium:
            context = chromium.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            _sign_in(page, ours)
            minutes = _rounds(page, ours)
            page.route("**/history?*", _by_second)
            seconds = _rounds(page, ours)
            version = browser.version(chromium)
    value = statistics.median(minutes["ours"])
    figure = Figure(
        "chart-3h", round(value, 1), "ms",
        reference="the same numbers as SVG polylines by hand, without axes, legends and marks",
        ratio=median_ratio(minutes["ours"], minutes["svg"]),
        target=f"<= {MOST_MS}", met=value <= MOST_MS,
        beside={
            "seconds_10800_ms": round(statistics.median(seconds["ours"]), 1),
            "query_ms": round(statistics.median(query_ms), 1),
        },
        conditions=bench.conditions(
            load=f"one browser, {TIMES} openings", browser=version, points=SALE_MINUTES, days_in_database=DAYS,
        ),
        details={
            "all_ms": [round(each, 1) for each in minutes["ours"]],
            **{f"{kind}_by_hand_ms": round(statistics.median(minutes[kind]), 1) for kind in ("svg", "canvas")},
            **{f"{kind}_10800_by_hand_ms": round(statistics.median(seconds[kind]), 1) for kind in ("svg", "canvas")},
            "two_frames_ms": round(statistics.median(minutes["nothing"]), 1),
            "asked_to_painted_ms": round(statistics.median(minutes["asked"]), 1),
            "octets_per_row": round(octets, 1),
            "octets_of_90_days": round(octets * DAYS * 1440),
        },
    )  # fmt: skip
    yield failed(figure, "not all plots were drawn") if len(minutes["ours"]) != TIMES else figure


def _rounds(page: Page, ours: Ours) -> dict[str, list[float]]:
    """Open the page so many times, and after each draw the same by hand."""
    seen: dict[str, list[float]] = {"ours": [], "asked": [], "svg": [], "canvas": [], "nothing": []}
    for number in range(TIMES + 1):
        page.goto(f"{ours.operator_url}/rooms/{ROOM}/history?sale={SALE}")
        page.wait_for_selector('#plots[data-drawn="4"]', timeout=60_000)
        noted: dict[str, Any] = page.evaluate(_OURS)
        by_hand = {kind: page.evaluate(_BY_HAND, kind) for kind in ("svg", "canvas", "nothing")}
        if number == 0:
            continue  # the first opening also loads the scripts
        seen["ours"].append(noted["ms"])
        seen["asked"].append(noted["since_asked"])
        for kind, took_ms in by_hand.items():
            seen[kind].append(took_ms)
    say(f"{statistics.median(seen['ours']):.1f} ms, by hand {statistics.median(seen['svg']):.1f} ms")
    return seen


def _by_second(route: Route) -> None:
    """Put a point for each second into a page, between those of its minutes."""
    answer = route.fetch()

    def widened(found: re.Match[str]) -> str:
        document = orjson.loads(found[2])
        first = document["t"][0]
        document["t"] = [first + second for second in range(len(document["t"]) * 60)]
        for plot in document["plots"]:
            for line in plot["lines"]:
                line["values"] = [
                    None if value is None else value + (second * 7 + index) % 11
                    for index, value in enumerate(line["values"])
                    for second in range(60)
                ]
        return found[1] + orjson.dumps(document).decode() + found[3]

    route.fulfill(response=answer, body=_DATA.sub(widened, answer.text()))


def _queries(ours: Ours, until: int) -> list[float]:
    """Ask the API for the sale, and return the ms of each answer."""
    asked = {"from": (until - SALE_MINUTES) * MINUTE_MS, "to": until * MINUTE_MS}
    took = []
    with httpx.Client(
        base_url=ours.operator_url, headers={"authorization": f"Bearer {OPERATOR_TOKEN}"}, trust_env=False
    ) as client:
        for _ in range(TIMES + 1):
            began = time.perf_counter()
            answer = client.get(f"/api/rooms/{ROOM}/history", params=asked)
            took.append(1000 * (time.perf_counter() - began))
            known = answer.raise_for_status().json()["columns"]["waiting"]
            if len(known) != SALE_MINUTES or None in known:
                raise ValueError("the history is not what was put into the database")
    return took[1:]


def _sign_in(page: Page, ours: Ours) -> None:
    page.goto(f"{ours.operator_url}/login")
    page.fill("#who", "bench")
    page.fill("#token", OPERATOR_TOKEN)
    page.click("button.main")
    page.wait_for_selector("main.control")


def _fill(path: Path, until: int) -> float:
    """Put ninety days into the database, the last three hours a sale; return the octets of a row in the file."""
    made = engine(address(f"sqlite:///{path}", "journal"), "journal")
    rows = [asdict(_minute(minute, until)) for minute in range(until - DAYS * 1440, until)]
    try:
        before = _size(made)
        for at in range(0, len(rows), _AT_ONCE):
            with made.connect() as connection:
                begin_writing(connection)
                with connection.begin():
                    connection.execute(sa.insert(MINUTES), rows[at : at + _AT_ONCE])
        return (_size(made) - before) / len(rows)
    finally:
        close(made)


def _size(made: sa.Engine) -> int:
    with made.connect() as connection:
        pages: int = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        octets: int = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    return pages * octets


def _minute(minute: int, until: int) -> Minute:
    """Play one minute: outside of the sale some hundred wait, in it up to twenty thousand."""
    since = minute - (until - SALE_MINUTES)
    waiting = 100 + minute % 37 if since < 0 else max(0, 20_000 - 110 * since + minute % 37)
    counted = minute % 100_000
    return Minute(
        ROOM, minute, minute * MINUTE_MS + 59_123, 60, version=12, phase="serving",
        opening="always" if since < 0 else SALE, run="0f3a9c51d2e84b67", sale="" if since < 0 else SALE,
        waiting=waiting, waiting_most=waiting + 40, called=minute % 23, active_sessions=900 + minute % 101, cap=1_000,
        rate=200, plan_per_minute=180, wait_low_s=waiting * 60 // 220, wait_high_s=waiting * 60 // 150,
        issued=500_000 + counted, called_in_all=480_000 + counted, admitted=3_000_000 + counted, lane_verified=1_234,
        lane_standard=450_000, lane_suspect=4_321, slowed=17, stock_left=40_000 - minute % 1000,
        origin_per_minute=12_345, origin_p95_ms=210, show_ratio=0.8731, origin_failure_ratio=0.0012,
    )  # fmt: skip
