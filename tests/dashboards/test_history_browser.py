"""The history in a real browser: the plots are there, they and the table say the same, and it fits on any screen."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from redis.asyncio import Redis

from kernel.clock import ManualClock
from tests.conftest import NOW_MS
from tests.dashboards.desk import MAIN, Counted
from tests.dashboards.played import GATHER, book_in, sale
from tests.dashboards.test_control_browser import FITS, PATIENCE_MS, page_of, violations
from waitroom.configure import Actor, Configurations

pytestmark = pytest.mark.browser

START = NOW_MS // 60_000 - 190
HOLE = range(START + 50, START + 58)
PLAYED = [each for each in sale("main", "autumn", START, 180, 6000) if each.minute not in HOLE]

PAINTED = """() => [...document.querySelectorAll("#plots canvas")].map((canvas) => {
  const {width, height} = canvas;
  const octets = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let drawn = 0;
  for (let at = 3; at < octets.length; at += 4) drawn += octets[at] > 0;
  return drawn;
})"""
NUMBERS = """() => JSON.parse(document.getElementById("drawn").textContent)"""
TABLE = """() => [...document.querySelectorAll("details.table tbody tr")]
  .map((row) => [...row.cells].map((cell) => cell.textContent))"""


async def fits(page: Page) -> None:
    """See to it that nothing is wider than the screen, on a phone as on a desk, and that axe has nothing to say."""
    for width in (320, 390, 768, 1280):
        await page.set_viewport_size({"width": width, "height": 844})
        async with asyncio.timeout(PATIENCE_MS / 1000):
            await page.evaluate(FITS, width)
    assert await violations(page) == []


async def test_plots_table_and_numbers_say_the_same(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """A sale with a hole in it, then two sales side by side; reached, opened and scrolled by keyboard."""
    rooms = Configurations(store, clock)
    for name in ("main", "other"):
        await rooms.create({**MAIN, "name": name, "path": f"/{name}"}, Actor("Bob"))
    with book_in(tmp_path) as book:
        book.write([*PLAYED, *sale("other", "spring", START - 1440, 90, 600)])
        async with page_of(store, clock, Counted(), history=book) as page:
            await page.get_by_role("link", name="History", exact=True).click()
            await expect(page.locator("#plots[data-drawn='4'] canvas")).to_have_count(4)
            assert min(await page.evaluate(PAINTED)) > 1000

            numbers, rows = await page.evaluate(NUMBERS), await page.evaluate(TABLE)
            waiting = numbers["plots"][0]["lines"][0]["values"]
            assert [row[2] for row in rows] == ["–" if value is None else f"{value:,}" for value in waiting]
            by_minute = {each.minute: each.waiting for each in PLAYED}
            assert waiting == [by_minute.get(START - GATHER + index) for index in range(190)]
            assert waiting.count(None) == len(HOLE)

            summary = page.locator("details.table summary")
            await summary.focus()
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("cell", name="6,000", exact=True)).to_be_visible()
            await page.keyboard.press("Tab")
            await expect(page.locator(".scroll.tall")).to_be_focused()
            await fits(page)

            await page.get_by_role("link", name="Compare", exact=True).click()
            await page.select_option("#side-a", "main/autumn")
            await page.select_option("#side-b", "other/spring")
            await page.get_by_role("button", name="Compare").click()
            await expect(page.locator("#plots[data-drawn='4'] canvas")).to_have_count(4)
            await page.locator("details.table summary").click()
            await fits(page)
            await page.locator("label[for=side-a]").evaluate("(label) => label.remove()")
            assert any(
                "select-name" in rule for rule in await violations(page)
            )  # the mutant: axe does look at it
