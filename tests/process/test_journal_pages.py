"""The journal and whom events are told, in real Chromium: what axe says, nothing scrolls sideways, and by keys."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from kernel.clock import ManualClock
from kernel.store import connect
from tests.conftest import NOW_MS
from tests.dashboards.desk import app_of, csrf_in, signed_in
from tests.dashboards.outgoing import configured, entry, parts
from tests.process.desk_looks import HOST, faults_of, served, violations_of, written
from waitroom.configure import Actor
from waitroom.journal import Fault, Kind
from waitroom.journal_watch import Verified
from waitroom.targets import Delivery, State

pytestmark = [pytest.mark.browser, pytest.mark.process]

LONG = "a-rather-long-name-for-a-target-of-events-that-somebody-chose"
ANN = Actor("Ann Lee")


async def _look(store_url: str, folder: Path) -> dict[str, str]:
    """Write every page, good and bad."""
    clock, store, found = ManualClock(NOW_MS), connect(store_url), {}
    try:
        with parts(f"sqlite:///{folder}/journal.db", clock) as made:
            app = app_of(store, clock, outgoing=made.outgoing)
            async with signed_in(app) as browser:
                found["journal-empty"] = (await browser.get("/journal")).text
                found["targets-empty"] = (await browser.get("/targets")).text
                made.journal.append(
                    [
                        configured(1, NOW_MS, "Ann Lee", "w" * 300),
                        configured(2, NOW_MS, "Bob", paused=True, total_active_users=9, description="x" * 80),
                        *(entry(Kind.PHASE, NOW_MS + n, phase="serving") for n in range(60)),
                    ]
                )
                made.watch.step()
                found["journal"] = (await browser.get("/journal")).text
                found["journal-older"] = (await browser.get("/journal?before=20&room=main")).text
                found["journal-wrong"] = (await browser.get("/journal?since=x&room=No")).text
                made.watch.known = Verified(1, NOW_MS, Fault(2, "the entry is not what its hash says"))
                found["journal-broken"] = (await browser.get("/journal")).text
                for name, way in ((LONG, "webhook"), ("team", "chat")):
                    given = {"name": name, "way": way, "address": f"http://127.0.0.1/{name}"}
                    await made.desk.make(given, ANN)
                made.store.log(LONG, Delivery(NOW_MS, 1, 1, "later", "no answer in time", 10_000))
                dead = {"state": State.DEAD.value, "tries": 16, "why": "no answer in time"}
                made.store.change("team", entry(Kind.TARGET, NOW_MS, ""), **dead)
                page = await browser.get("/targets")
                found["targets"] = page.text
                form = {"csrf": csrf_in(page), "name": LONG, "why": "the old one has leaked"}
                found["targets-secret"] = (await browser.post("/targets/rotate", data=form)).text
                found["targets-wrong"] = (await browser.post("/targets/make", data=form)).text
    finally:
        await store.aclose()
    return found


@pytest.fixture(scope="module")
def pages(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Give every page."""
    folder = tmp_path_factory.mktemp("journal")
    return written(_look(store_url, folder))


def test_axe_finds_nothing_on_the_pages_of_the_journal(pages: Mapping[str, str], browser: Browser) -> None:
    """On every page, with everything unfolded; and nothing scrolls sideways."""
    found = faults_of(pages, browser)

    assert found == {}, json.dumps(found, indent=1)


def test_axe_notices_a_filter_without_a_name(pages: Mapping[str, str], browser: Browser) -> None:
    """The mutant: nobody can hear what is chosen there."""
    text = pages["journal"].replace('<label for="kind">What</label>', "")
    wrong = violations_of(text, browser)

    assert text != pages["journal"]
    assert any(line.startswith("select-name") for line in wrong)


def test_the_filters_go_by_keyboard(pages: Mapping[str, str], browser: Browser) -> None:
    """From field to field, in the order in which they stand."""
    page = browser.new_page()
    page.route("**/*", served(pages))
    page.goto(f"{HOST}/journal")
    page.focus("#room")
    order = []
    for _ in range(4):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id"))
    page.close()

    assert order == ["kind", "who", "text", "since"]
