"""Pages about people in real Chromium: what axe says of them, whether anything scrolls sideways, and by keyboard."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from dashboards.rights import Role
from kernel.clock import ManualClock
from kernel.store import connect
from tests.conftest import NOW_MS
from tests.dashboards.desk import app_of, client_of, csrf_in
from tests.dashboards.people import BY, PASSWORD, books_of, browser_of, send, sign_in_as, someone
from tests.dashboards.test_desk_sweep import Nobody
from tests.process.desk_looks import HOST, faults_of, served, violations_of, written

pytestmark = [pytest.mark.browser, pytest.mark.process]

LONG = "Bob with a rather long name for a person"


async def _look(store_url: str, folder: Path) -> dict[str, str]:
    """Write every page, good and bad."""
    clock, store, found = ManualClock(NOW_MS), connect(store_url), {}
    try:
        with books_of(folder, clock) as books:
            more: dict[str, Any] = {
                "access": books,
                "identity": Nobody(),
                "own_page": "https://control.example",
            }
            app = app_of(store, clock, **more)
            async with client_of(app) as stranger:
                found["login-token"] = (await stranger.get("/login")).text
                ann = someone(books, clock)
                someone(
                    books,
                    clock,
                    "Bob with a rather long name for a person",
                    Role.VIEWER,
                    frozenset({"main", "late-show"}),
                )
                _, code = books.accounts.invite("Cleo", Role.OPERATOR, None, BY)
                found["login-wrong"] = (await sign_in_as(stranger, ann, clock, password="x")).text
                found["welcome"] = (await stranger.get("/welcome", params={"code": code})).text
                found["welcome-gone"] = (await stranger.get("/welcome?code=x")).text
            async with browser_of(app, ann, clock, address="192.0.2.7") as browser:
                token = {"name": "deploy", "role": "operator", "rooms": "all", "days": "90"}
                found["token-told"] = (await send(browser, "/people/token", **token)).text
                found["people-wrong"] = (await send(browser, "/people/token", **token)).text
                found["people"] = (await browser.get("/people")).text
                found["account"] = (await browser.get("/account")).text
                found["device"] = (await browser.get("/account?device=new")).text
                found["codes"] = (await send(browser, "/account/recovery", password=PASSWORD)).text
                books.accounts.change(ann.name, Role.VIEWER, None, keep_owner=False, by=BY)
                found["not-yours"] = (await browser.get("/people")).text
                assert csrf_in(await browser.get("/account"))
    finally:
        await store.aclose()
    return found


@pytest.fixture(scope="module")
def pages(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Give every page."""
    folder = tmp_path_factory.mktemp("access")
    return written(_look(store_url, folder))


def test_axe_finds_nothing_on_the_pages_about_people(pages: Mapping[str, str], browser: Browser) -> None:
    """On every page, with everything unfolded; and nothing scrolls sideways."""
    found = faults_of(pages, browser)

    assert found == {}, json.dumps(found, indent=1)


def test_axe_notices_a_field_without_a_name(pages: Mapping[str, str], browser: Browser) -> None:
    """The mutant: nobody can hear that a password is wanted."""
    text = pages["login-wrong"].replace('<label for="password">Password</label>', "")
    wrong = violations_of(text, browser)

    assert text != pages["login-wrong"]
    assert any(line.startswith("label") for line in wrong)


def test_the_form_for_signing_in_goes_by_keyboard(pages: Mapping[str, str], browser: Browser) -> None:
    """From field to field to the button, in the order in which they stand."""
    page = browser.new_page()
    page.route("**/*", served(pages))
    page.goto(f"{HOST}/login-wrong")
    page.focus("#name")
    order = []
    for _ in range(3):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    page.close()

    assert order == ["password", "code", "Sign in"]
