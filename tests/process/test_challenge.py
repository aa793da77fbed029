"""The check in a real browser in front of the real product: Chromium does the work, climbs, and keeps its number."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from bench import axe
from tests.botguard.provider import SECRET, SITEKEY, Judge, judging_aside
from tests.process.looking import PATIENCE_MS, PLAIN_HTTP, complaints
from tests.process.operating import changed
from tests.process.reading import FOCUSED, PHONE
from tests.process.test_demo import Demo, demo, let_in, wait_until

pytestmark = [pytest.mark.process, pytest.mark.browser]

ROOM = "/.waitroom/r/main"
CHECK = ROOM + "/challenge?target=%2F"
POSTS = re.compile(r"/challenge(/answer)?$")
API = "https://js.hcaptcha.com/**"
PASSES = (
    "globalThis.hcaptcha = {"
    " render: (node, { callback }) => setTimeout(() => callback('good:' + Math.random()), 50) };"
)
WAITS = "globalThis.hcaptcha = { render: (node) => { node.textContent = 'the widget'; } };"


HEARS = """
addEventListener('DOMContentLoaded', () => new MutationObserver(() => {
  sessionStorage.heard = (sessionStorage.heard ?? '') + (document.getElementById('said')?.innerText ?? '');
}).observe(document, { subtree: true, attributes: true, attributeFilter: ['hidden'] }));
"""
"""Keeps what the page says while it is said, however briefly."""


@pytest.fixture(scope="module")
def judge() -> Judge:
    """Give the provider of this file; it judges on this machine's host."""
    return Judge({"hostname": "127.0.0.1"})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, judge: Judge) -> Iterator[Demo]:
    """Run a demo with hCaptcha set up; its line stands still, and everybody is asked."""
    with judging_aside(judge) as url:
        environ = {
            "WAITROOM_HCAPTCHA_SITEKEY": SITEKEY,
            "WAITROOM_HCAPTCHA_SECRET": SECRET,
            "WAITROOM_HCAPTCHA_URL": url,
            "WAITROOM_CHALLENGE_HOSTS": "127.0.0.1",
        }
        with demo(tmp_path_factory.mktemp("checks") / "data", environ=environ) as shared:
            asks(shared, "work", paused=True)
            yield shared


def asks(running: Demo, way: str, **more: object) -> None:
    """Set the way of the room, and wait until its pages know."""
    token = (running.data / "operator-token").read_text().strip()
    with httpx.Client(headers={"authorization": f"Bearer {token}"}, timeout=20) as operator:
        room = f"{running.control}/api/rooms/main"
        changed(operator, "PATCH", room, "", {"challenge": {"way": way, "asks": "everybody"}, **more})
    wait_until("its pages know", lambda: f'data-way="{way}"' in httpx.get(running.site + CHECK).text)


def stand(page: Page, running: Demo) -> dict[str, object]:
    """Ask how the place stands."""
    told: dict[str, object] = page.request.get(f"{running.site}{ROOM}/ticket").json()
    return told


def waits(page: Page, running: Demo) -> dict[str, object]:
    """Come, get a place, and see the offer."""
    page.goto(running.site + "/", wait_until="commit")
    page.get_by_role("link", name="Do the short check").wait_for()
    return stand(page, running)


@pytest.mark.parametrize("secure", [True, False], ids=["secure", "plain"])
def test_chromium_does_the_work_climbs_and_keeps_its_number(
    fan: BrowserContext, running: Demo, secure: bool
) -> None:
    """From the waiting page by one press and back; also without a secure context, as on a phone in the LAN."""
    asks(running, "work")
    page = fan.new_page()
    if not secure:
        page.add_init_script(PLAIN_HTTP)
    objections = complaints(page)
    before = waits(page, running)
    assert "Here everybody shows" in page.inner_text("#notes")

    page.get_by_role("link", name="Do the short check").click()
    page.wait_for_url(re.compile(r"/\.waitroom/r/main\?target=%2F$"))
    page.wait_for_selector("html[data-state=paused]")
    after = stand(page, running)

    assert (before["lane"], after["lane"]) == ("suspect", "standard")
    assert (before["number"], before["rank"]) == (after["number"], after["rank"])
    expect(page.get_by_role("link", name="Do the short check")).to_be_hidden(timeout=PATIENCE_MS)
    kept = page.evaluate("JSON.parse(localStorage['waitroom:main:place'])")
    assert (kept["lane"], kept["number"]) == ("standard", before["number"])
    assert objections == []


def test_a_slow_device_is_given_an_easier_task_and_gets_there(fan: BrowserContext, running: Demo) -> None:
    """Its first worker never comes to an end; the page says what happens."""
    asks(running, "hcaptcha")
    page = fan.new_page()
    waits(page, running)
    asked: list[object] = []
    page.on("request", lambda sent: POSTS.search(sent.url) and asked.append(sent.post_data_json))
    silent: list[bool] = []

    def first_is_silent(route: Route) -> None:
        if silent:
            route.continue_()
        else:
            silent.append(True)
            route.fulfill(content_type="text/javascript", body="onmessage = () => {};")

    page.route("**/solve.js*", first_is_silent)
    page.add_init_script(HEARS)
    page.goto(f"{running.site}{CHECK}&way=work")
    page.wait_for_url(re.compile(r"/\.waitroom/r/main\?target=%2F$"))

    assert "This device takes longer" in page.evaluate("sessionStorage.heard")
    assert stand(page, running)["lane"] == "standard"
    levels = [
        one["given"]["parameters"]["data"]["level"]
        for one in asked
        if isinstance(one, dict) and "given" in one
    ]
    assert levels == [1]


def test_a_providers_check_passes_and_its_sources_are_allowed_there_alone(
    fan: BrowserContext, running: Demo, judge: Judge
) -> None:
    """The browser loads the script under the page's policy, the token goes to the provider once."""
    asks(running, "hcaptcha")
    judge.fault = ""
    page = fan.new_page()
    objections = complaints(page)
    page.route(API, lambda route: route.fulfill(content_type="text/javascript", body=PASSES))
    before = waits(page, running)
    page.get_by_role("link", name="Do the short check").click()
    page.wait_for_url(re.compile(r"/\.waitroom/r/main\?target=%2F$"))
    after = stand(page, running)

    assert (before["lane"], after["lane"], after["number"]) == ("suspect", "standard", before["number"])
    assert objections == []
    assert judge.asked[-1]["sitekey"] == SITEKEY
    refused = page.evaluate(
        "new Promise(done => { addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));"
        "const src = 'https://js.hcaptcha.com/1/api.js';"
        "document.head.append(Object.assign(document.createElement('script'), { src })); })"
    )
    assert refused == "script-src-elem"


@pytest.mark.parametrize("fault", ["blocked", "away"])
def test_where_the_provider_is_away_the_device_works_instead(
    fan: BrowserContext, running: Demo, judge: Judge, fault: str
) -> None:
    """Its script does not come, or its endpoint answers with a fault: never a dead end, never a silent pass."""
    asks(running, "hcaptcha")
    judge.fault = "status" if fault == "away" else ""
    page = fan.new_page()
    page.route(
        API,
        lambda route: (
            route.abort()
            if fault == "blocked"
            else route.fulfill(content_type="text/javascript", body=PASSES)
        ),
    )
    before = waits(page, running)
    answers: list[str] = []
    page.on(
        "request", lambda sent: sent.url.endswith("/answer") and answers.append(sent.post_data_json["way"])
    )
    page.add_init_script(HEARS)
    page.get_by_role("link", name="Do the short check").click()
    page.wait_for_url(re.compile(r"/\.waitroom/r/main\?target=%2F$"))
    after = stand(page, running)
    judge.fault = ""
    assert "Your device calculates instead" in page.evaluate("sessionStorage.heard")

    assert (after["lane"], after["number"]) == ("standard", before["number"])
    assert answers == (["work"] if fault == "blocked" else ["hcaptcha", "work"])


def test_without_javascript_the_page_is_honest(plain_fan: BrowserContext, running: Demo) -> None:
    """The way leads there and back; there is no check, and the place stays as it is."""
    asks(running, "work")
    page = plain_fan.new_page()
    page.goto(running.site + "/")
    page.get_by_role("button", name="Take my place").click()
    page.get_by_role("link", name="Do the short check").click()
    page.wait_for_url("**/challenge?**")
    assert "This check needs JavaScript" in page.inner_text("main")
    page.get_by_role("button", name="Back to my place").click()
    page.wait_for_url("**/ticket?**")
    assert "Here everybody shows" in page.inner_text("main")
    assert stand(page, running)["lane"] == "suspect"


@pytest.mark.parametrize(
    ("scheme", "language"), [("light", "en"), ("dark", "ar"), ("light", "de"), ("dark", "ja")]
)
def test_axe_finds_nothing_in_any_state_and_the_keyboard_reaches_everything(
    browser: Browser, running: Demo, scheme: str, language: str
) -> None:
    """Working, the widget, trouble, no place; on a phone, light and dark, from left and from right."""
    asks(running, "hcaptcha")
    context = browser.new_context(color_scheme=scheme, viewport=PHONE, reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.route(API, lambda route: route.fulfill(content_type="text/javascript", body=WAITS))
    found: dict[str, list[str]] = {}

    def look(name: str, state: str, query: str = "") -> None:
        page.goto(f"{running.site}{CHECK}&lang={language}{query}")
        page.wait_for_selector(f"html[data-check={state}]")
        if wrong := axe.violations(page):
            found[name] = wrong
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    look("no place", "lost")
    page.goto(running.site + "/", wait_until="commit")
    page.wait_for_selector("#prove:not([hidden])")
    if wrong := axe.violations(page):
        found["offer"] = wrong
    look("widget", "asked")
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    page.route(
        "**/solve.js*",
        lambda route: route.fulfill(content_type="text/javascript", body="onmessage = () => {};"),
    )
    look("working", "working", "&way=work")
    page.route(POSTS, lambda route: route.abort())
    look("trouble", "trouble")
    page.unroute(POSTS)
    page.locator("#again").press("Enter")
    page.wait_for_selector("html[data-check=asked]")
    context.close()

    assert found == {}
    assert len({str(stop) for stop in reached}) == 2


def test_who_never_does_the_check_gets_in_all_the_same(running: Demo) -> None:
    """The lane suspect moves: a slower lane is no closed door, not even where everybody stands in it."""
    asks(running, "work", paused=False)
    with httpx.Client(base_url=running.site, timeout=20) as fan:
        claim = let_in(fan)
        place = fan.get(f"{ROOM}/ticket").json()

    assert claim.json()["outcome"] == "admitted"
    assert place["lane"] == "suspect"
