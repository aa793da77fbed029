"""The page in a real browser tells its rhythm once, shortly before the turn, and shows the lane that follows."""

import base64
import json
import re
from hashlib import sha256
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

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


COUNTER = 300
"""What solves the puzzle."""


def asked_for(page: Page, way: str, posted: list[dict[str, Any]]) -> None:
    """Let the server ask for a check: an easy puzzle, and an answer that is always good."""
    key = sha256(bytes.fromhex("01" * 16 + "02" * 16) + COUNTER.to_bytes(4, "big")).hexdigest()
    parameters = {
        "algorithm": "SHA-256",
        "cost": 1,
        "salt": "01" * 16,
        "nonce": "02" * 16,
        "keyPrefix": key[:8],
        "data": {"level": 1},
    }

    def answer(route: Route) -> None:
        told = route.request.post_data_json
        if route.request.url.endswith("/rhythm"):
            route.fulfill(json={"outcome": "asked", "way": way, "lane": "standard"})
        elif route.request.url.endswith("/answer"):
            posted.append(json.loads(base64.b64decode(told["answer"])))
            route.fulfill(json={"outcome": "lifted", "lane": "standard", "number": 40})
        else:
            challenge = {"parameters": parameters}
            route.fulfill(json={"outcome": "issued", "asked": True, "way": "work", "challenge": challenge,
                                "tries_most": 100_000})  # fmt: skip

    page.route(re.compile(r"/rhythm$|/challenge(/answer)?$"), answer)
    page.route(
        re.compile(r"/challenge\?"), lambda route: route.fulfill(body="the check", content_type="text/html")
    )


def test_who_is_asked_works_beside_the_page_or_is_offered_the_check_and_led_there(
    fan: BrowserContext,
) -> None:
    """At `prove` nothing shows and the puzzle is solved; at `step-up` the link stays, the turn leads to the check."""
    scene = waiting(speed=60, plan=60)
    with serving(scene) as (_, address):
        page, posted = fan.new_page(), list[dict[str, Any]]()
        page.add_init_script(LATER)
        objections = complaints(page)
        asked_for(page, "prove", posted)
        page.goto(address + PAGE)
        until(page, lambda: len(posted), 1)
        assert posted[0]["solution"]["counter"] == COUNTER
        expect(page.locator("#prove")).to_be_hidden()

        other = fan.new_page()
        other.add_init_script(LATER)
        asked_for(other, "step-up", posted)
        other.goto(address + PAGE)
        expect(other.locator("#prove")).to_be_visible()
        look(other)
        expect(other.locator("#prove")).to_be_visible()
        page.close()
        scene.change(claims=[(202, {"outcome": "check", "way": "step-up", "poll_ms": 1000})] * 30, serving=50)
        other.evaluate(LOOK)
        other.wait_for_url("**/challenge?**")
        assert objections == []
        assert len(posted) == 1
