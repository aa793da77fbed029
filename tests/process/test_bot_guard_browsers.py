"""A real Chromium contradicts itself in nothing that the bot guard looks at: with scripts, without, on a phone."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest
from playwright.sync_api import Browser

from botguard.request.facts import Asking, Facts, Who
from botguard.request.hints import Sign
from tests.botguard.request.browsers import NOW_MS, Headers, reader
from tests.process.looking import PATIENCE_MS

pytestmark = [pytest.mark.process, pytest.mark.browser]

PAGE = b"""<!doctype html><meta charset="utf-8"><title>Join</title>
<form method="post" action="/join"><button>Join</button></form>
<script>fetch("/join", {method: "POST", body: "{}", headers: {"content-type": "application/json"}})
  .then(() => { document.title = "joined" })</script>"""


class Listener(BaseHTTPRequestHandler):
    """Keeps the headers of joins, in their order."""

    heard: ClassVar[list[Headers]] = []

    def do_GET(self) -> None:
        """Give the page."""
        self._answer(PAGE)

    def do_POST(self) -> None:
        """Hear a join."""
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.heard.append([(name.lower().encode(), value.encode()) for name, value in self.headers.items()])
        self._answer(b"<title>joined</title>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the standard library's name)
        """Keep quiet."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def url() -> Iterator[str]:
    """Listen on this machine, which a browser trusts like TLS: it sends its hints."""
    Listener.heard.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def joined(browser: Browser, url: str, **context: object) -> list[Facts]:
    """Join by the page's script, and by its button with the keyboard; return what each join shows."""
    seen = browser.new_context(**context)  # type: ignore[arg-type]
    seen.set_default_timeout(PATIENCE_MS)
    page = seen.new_page()
    page.goto(url)
    if context.get("java_script_enabled", True):
        page.wait_for_function("() => document.title === 'joined'")
    page.focus("button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/join")
    seen.close()
    asking = Asking("203.0.113.7", "POST", "/join", is_tls=True)
    return [reader().read(headers, asking, NOW_MS) for headers in Listener.heard]


def named(browser: Browser) -> str:
    """Give the agent of a Chromium in which somebody sits."""
    return (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{browser.version.partition('.')[0]}.0.0.0 Safari/537.36"
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_a_person_with_a_keyboard_shows_nothing_that_speaks_against_them(
    browser: Browser, url: str, scripts: bool
) -> None:
    """By the page's script and by the button."""
    facts = joined(browser, url, user_agent=named(browser), java_script_enabled=scripts)

    assert [(one.who, one.signs) for one in facts] == [(Who.UNDECLARED, ())] * (2 if scripts else 1)


def test_a_browser_that_is_steered_and_says_so_is_heard(browser: Browser, url: str) -> None:
    """As it comes it calls itself HeadlessChrome."""
    assert {one.who for one in joined(browser, url)} == {Who.AUTOMATION}


def test_a_language_that_a_script_puts_on_shows_in_the_order(browser: Browser, url: str) -> None:
    """Who steers a browser's language over its debugger has it written elsewhere."""
    facts = joined(browser, url, user_agent=named(browser), locale="de-DE")

    assert [one.signs for one in facts] == [(Sign.ORDER,)] * 2


def test_an_agent_that_is_put_on_is_seen_through(browser: Browser, url: str) -> None:
    """The mutant: a Chromium that calls itself an old one, a Firefox, or a Safari."""
    old = named(browser).replace(f"Chrome/{browser.version.partition('.')[0]}", "Chrome/99")
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"

    for agent in (old, firefox):
        Listener.heard.clear()
        assert all(one.signs for one in joined(browser, url, user_agent=agent)), agent
