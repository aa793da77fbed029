"""The page in a frame of another site, with real TLS, in a browser that keeps no third party's cookies."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from bench.screenshots import CHROMIUM_ARGS
from tests.process.looking import PATIENCE_MS
from tests.process.sites import RULES, TICKETS, sites
from waitroom import rooms

pytestmark = [pytest.mark.process, pytest.mark.browser, pytest.mark.usefixtures("store")]

STRICT = "--test-third-party-cookie-phaseout"
"""As browsers will be, and Firefox and Safari are: a frame of another site gets partitioned cookies or none."""


NO_SCRIPTS = "--blink-settings=scriptEnabled=false"
"""From the start of each process: what Playwright turns off may come too late for the frame of another site."""


@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[..., Browser]]:
    """Give what runs a Chromium that knows where the sites are."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "chromium is missing: make setup"
    with sync_playwright() as playwright:
        yield lambda *words: playwright.chromium.launch(
            executable_path=path, args=[*CHROMIUM_ARGS, RULES, STRICT, *words]
        )


@pytest.fixture(scope="module")
def strict(launch: Callable[..., Browser]) -> Iterator[Browser]:
    """Give one that keeps no third party's cookies."""
    with launch() as own:
        yield own


@pytest.fixture
def scriptless(launch: Callable[..., Browser]) -> Iterator[Browser]:
    """Give one that runs no scripts either."""
    with launch(NO_SCRIPTS) as own:
        yield own


@pytest.fixture
def visitor(strict: Browser) -> Iterator[BrowserContext]:
    """Give a fresh profile; the certificates are our own."""
    context = strict.new_context(locale="en-GB", ignore_https_errors=True, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def framed(page: Page, fans: str) -> Any:
    """Open the fan club's page; give what is in its frame."""
    page.goto(fans)
    return page.frame_locator("iframe")


def kept(context: BrowserContext) -> dict[str, dict[str, Any]]:
    """Return the cookies of the gate's site by name."""
    return {str(one["name"]): dict(one) for one in context.cookies() if one["domain"] == TICKETS}


def test_a_place_and_an_admission_stay_in_the_frame_of_another_site(
    visitor: BrowserContext, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both cookies are the frame's own (CHIPS): the fan is let in there, and a reload keeps what they have."""
    with sites(store_url, tmp_path, monkeypatch) as (_, fans):
        page = visitor.new_page()
        frame = framed(page, fans)
        expect(frame.locator("h1")).to_have_text("Welcome to the shop", timeout=PATIENCE_MS)
        cookies = kept(visitor)
        again = framed(page, fans)
        expect(again.locator("h1")).to_have_text("Welcome to the shop", timeout=PATIENCE_MS)

    assert set(cookies) == {
        "__Host-waitroom-ticket-main",
        "__Host-waitroom-admission-main",
        "__Host-waitroom-device",
    }
    for cookie in cookies.values():
        assert (cookie["sameSite"], cookie["secure"], cookie["httpOnly"]) == ("None", True, True)
        assert "fanclub.test" in cookie["partitionKey"]


def test_without_scripts_a_fan_gets_in_inside_the_frame_too(
    scriptless: Browser, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form's cookie is all there is then: the place is taken, seen and used in the frame."""
    context = scriptless.new_context(locale="en-GB", ignore_https_errors=True)
    context.set_default_timeout(PATIENCE_MS)
    with sites(store_url, tmp_path, monkeypatch) as (_, fans):
        frame = framed(context.new_page(), fans)
        frame.get_by_role("button", name="Take my place").click()
        frame.get_by_role("button", name="Go in now").click()
        expect(frame.locator("h1")).to_have_text("Welcome to the shop", timeout=PATIENCE_MS)
    context.close()


@pytest.mark.parametrize("how", ["lax", "unpartitioned"])
def test_cookies_of_the_usual_kind_get_lost_in_the_frame(
    visitor: BrowserContext, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The mutants: a room that insists on lax, and cookies without a partition. The page says what is wrong."""
    settings = '[rooms.main.cookie_attributes]\nsamesite = "lax"' if how == "lax" else ""
    if how == "unpartitioned":
        marks = rooms.Marks(secure=True, same_site="none", partitioned=False)
        for module in ("waitroom.papers", "gateway.adapters", "gateway.bot_guard"):
            monkeypatch.setattr(f"{module}.cookie_marks", lambda *_, **__: marks)
    with sites(store_url, tmp_path, monkeypatch, settings) as (_, fans):
        frame = framed(visitor.new_page(), fans)
        expect(frame.locator("h1")).to_have_text(
            "Your browser keeps no cookies for this site", timeout=PATIENCE_MS
        )
        cookies = kept(visitor)

    assert cookies == {}
