"""The page in a real browser tells its rhythm once, shortly before the turn, and shows the lane that follows."""

import pytest
from playwright.sync_api import BrowserContext, expect

from bench.scripted_room import serving
from botguard.telling import read
from tests.process.looking import LOOK, PAGE, complaints, look, state, until, waiting

pytestmark = [pytest.mark.process, pytest.mark.browser]

LATER = "{ const own = performance.now.bind(performance); performance.now = () => own() + 20_000; }"
"""The page has been open for a while."""


def test_the_page_tells_its_rhythm_once_and_waits_in_the_lane_that_follows(fan: BrowserContext) -> None:
    """Nothing while the wait is long; then sums that the server believes, once, and the slower lane said in words."""
    scene = waiting(slows=True)
    with serving(scene) as (_, address):
        page = fan.new_page()
        page.add_init_script(LATER)
        objections = complaints(page)
        page.goto(address + PAGE)
        state(page, "waiting")
        page.wait_for_load_state("load")
        for at in range(30):
            page.mouse.move(100 + 9 * at, 200 + at * at % 40)
        page.keyboard.press("Tab")
        assert scene.rhythms == []

        scene.change(speed=60, plan=60)
        page.evaluate(LOOK)
        until(page, lambda: len(scene.rhythms), 1)
        expect(page.locator("#notes")).to_contain_text("your lane moves more slowly")
        for _ in range(3):
            look(page)

        kept = page.evaluate("JSON.parse(localStorage['waitroom:main:place'])")
        told = read(scene.rhythms[0])
        assert (kept["lane"], kept["number"], kept["ticket"][-1]) == ("suspect", 40, "s")
        assert len(scene.rhythms) == 1
        assert told.sums["moves"] >= 20
        assert told.sums["keys"] == 1
        assert objections == []
