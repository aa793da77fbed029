"""A browser that answers no more fails its test, and what comes after does not wait either."""

import threading

import pytest
from playwright.sync_api import Error, sync_playwright

from bench.screenshots import CHROMIUM_ARGS
from tests.hanging import TIMER, drivers, no_browser_after
from tests.process.looking import chromium

pytestmark = [pytest.mark.process, pytest.mark.browser]


def test_a_page_that_never_answers_is_an_error_and_so_is_all_that_follows(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Without an end the first call waits forever, as does closing what is left."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
        page = browser.new_page()
        assert len(drivers()) == 1
        with no_browser_after(0.5, "this test"), pytest.raises(Error):
            page.evaluate("new Promise(() => {})")
        for left in (page.title, page.close, browser.close):
            with pytest.raises(Error):
                left()

    assert "this test: 0.5 s before a browser are enough" in capfd.readouterr().err
    assert drivers() == []


def test_who_is_done_in_time_keeps_the_browser() -> None:
    """The timer is taken back, also where the test fails."""
    before = timers()
    with pytest.raises(AssertionError, match="one more"), no_browser_after(60, "this test"):
        assert timers() == before, "one more"

    assert timers() == before


def timers() -> int:
    """Count the timers that run."""
    return [one.name for one in threading.enumerate()].count(TIMER)
