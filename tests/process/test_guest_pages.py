"""Pages about guests, tokens beside the line and priority codes, in real Chromium: what axe says, and their width."""

import json

import pytest
from playwright.sync_api import Browser

from kernel.clock import ManualClock
from kernel.store import connect
from tests.conftest import NOW_MS
from tests.dashboards.desk import MAIN, app_of, csrf_in, program, signed_in
from tests.dashboards.test_bypass import Passes
from tests.dashboards.test_codes import Batches
from tests.dashboards.test_guests import Line
from tests.process.desk_looks import Pages, faults_of, violations_of, written

pytestmark = [pytest.mark.browser, pytest.mark.process]

ROOM = "/rooms/main"
LONG = "a-rather-long-name-that-somebody-chose-for-what-they-made-so"


async def _look(store_url: str) -> dict[str, str]:
    """Write every page, good and bad."""
    store, found = connect(store_url), {}
    try:
        await store.flushall()
        app = app_of(
            store, ManualClock(NOW_MS), guests=Line(out={8}), bypassing=Passes(), codes=Batches(),
            waiting_page="http://room.test/.waitroom/r/",
        )  # fmt: skip
        async with program(app) as api, signed_in(app) as browser:
            await api.post("/api/rooms", json=MAIN)
            for name, arrived in (
                ("inside", "4"),
                ("over", "5"),
                ("waiting", "10"),
                ("evicted", "9"),
                ("none", "99"),
            ):
                found[f"guest-{name}"] = (
                    await browser.get(f"{ROOM}/guests", params={"arrived": arrived})
                ).text
            found["guests-all"] = (await browser.get(f"{ROOM}/guests/all")).text
            for page in ("bypass", "codes"):
                empty = await browser.get(f"{ROOM}/{page}")
                form = {"csrf": csrf_in(empty), "name": LONG, "count": "2", "hours": "72", "why": "press"}
                found[f"{page}-empty"] = empty.text
                found[f"{page}-told"] = (await browser.post(f"{ROOM}/{page}", data=form)).text
                found[f"{page}-wrong"] = (await browser.post(f"{ROOM}/{page}", data=form | {"why": ""})).text
                found[page] = (await browser.get(f"{ROOM}/{page}")).text
    finally:
        await store.aclose()
    return found


@pytest.fixture(scope="module")
def pages(store_url: str) -> Pages:
    """Give every page."""
    return written(_look(store_url))


def test_axe_finds_nothing_on_the_pages_about_guests(pages: Pages, browser: Browser) -> None:
    """On every page, with everything unfolded; and nothing scrolls sideways."""
    found = faults_of(pages, browser)

    assert found == {}, json.dumps(found, indent=1)


def test_axe_notices_a_number_without_a_name(pages: Pages, browser: Browser) -> None:
    """The mutant: nobody can hear which number is wanted."""
    text = pages["guest-inside"].replace('<label for="arrived">The number on the fan\'s page</label>', "")
    wrong = violations_of(text, browser)

    assert text != pages["guest-inside"]
    assert any(line.startswith("label") for line in wrong)
