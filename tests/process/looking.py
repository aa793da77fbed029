"""Looking: what the tests of the page say to a browser in front of the scripted room."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from bench.scripted_room import PREFIX, Scene

PATIENCE_MS = 30_000
"""A machine that is busy with other work is no reason to fail."""
PAGE = f"{PREFIX}r/main?target=/shop"
LOOK = "window.dispatchEvent(new Event('online'))"
NO_CHANCE = "Math.random = () => 0;"
PLAIN_HTTP = """
Object.defineProperty(Crypto.prototype, 'subtle', {value: undefined});
Object.defineProperty(Navigator.prototype, 'locks', {value: undefined});
Object.defineProperty(Navigator.prototype, 'clipboard', {value: undefined});
Object.defineProperty(Navigator.prototype, 'wakeLock', {value: undefined});
Object.defineProperty(window, 'isSecureContext', {value: false});
delete window.Notification;
"""
"""What a phone in the LAN lacks: no certificate, hence no secure context."""
EYES = """
let hidden = false;
Object.defineProperty(Document.prototype, 'hidden', {get: () => hidden});
Object.defineProperty(Document.prototype, 'visibilityState', {get: () => hidden ? 'hidden' : 'visible'});
window.lookAway = () => { hidden = true; document.dispatchEvent(new Event('visibilitychange')); };
window.lookBack = () => { hidden = false; document.dispatchEvent(new Event('visibilitychange')); };
"""
"""A browser without a screen always looks; this lets a test look away."""


def chromium() -> str:
    """Find the browser that tests drive, without pages of its own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    assert any(map(shutil.which, names)), "chromium is missing: make setup"
    return str(Path(__file__).with_name("chromium.sh"))


def waiting(**values: Any) -> Scene:
    """Make a moving line; the next to join gets number 40."""
    return Scene(**({"issued": 60, "next_number": 40, "serving": 10, "speed": 6, "plan": 6} | values))


def state(page: Page, name: str) -> None:
    """Wait until the page is in a state."""
    page.wait_for_selector(f"html[data-state={name}]")


def come_in(fan: BrowserContext, site: str) -> None:
    """Join and claim without a page until the fan is in; what the waiting page does of it is another test's matter."""
    fan.request.post(f"{site}{PREFIX}r/main/join")
    deadline = time.monotonic() + 4 * PATIENCE_MS / 1000
    while (told := fan.request.post(f"{site}{PREFIX}r/main/claim", data={"target": "/"}).json())[
        "outcome"
    ] != "admitted":
        assert time.monotonic() < deadline, told
        time.sleep(min(told.get("retry_after_ms") or 250, 250) / 1000)


def until(page: Page, question: str | Callable[[], Any], answer: Any = True) -> None:
    """Ask the page (an expression) or the test (a function) until the answer is right."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while (told := page.evaluate(question) if isinstance(question, str) else question()) != answer:
        assert time.monotonic() < deadline, told
        page.wait_for_timeout(100)


def look(page: Page) -> None:
    """Let the page ask, and wait for the answer."""
    with page.expect_response("**/status"):
        page.evaluate(LOOK)


def ahead(page: Page) -> str:
    """Return the big number."""
    return page.inner_text("#value")


def complaints(page: Page) -> list[str]:
    """Collect what the browser objects to: broken policy, faults in the script."""
    found: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and "503" not in message.text:
            found.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda fault: found.append(str(fault)))
    return found
