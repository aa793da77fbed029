"""Groups of people in a real browser: each comes by its own input to the check and through it, and nothing follows.

One demo and one Chromium for all of them. What the page's own script of the rhythm hears is summed up by it, scored by
the shipped model and decided at the hardest thresholds. Not here: shares of populations (tests/botguard/fairness), what
axe finds (``test_challenge``, ``test_page_access``).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, CDPSession, Page, Route, expect

from botguard.features import vector
from botguard.model import default
from botguard.request.facts import Facts
from botguard.rhythm.summary import NAMES
from botguard.verdict import LEAST, Evidence, Stage, Verdict, decide
from tests.botguard.provider import SECRET, SITEKEY
from tests.process.looking import PATIENCE_MS, complaints
from tests.process.reading import CUT, FOCUSED, PHONE
from tests.process.test_challenge import CHECK, asks, stand
from tests.process.test_demo import Demo, demo

pytestmark = [pytest.mark.process, pytest.mark.browser]

OFFER = "Do the short check"
MODEL = default()
SCRIPT = files("waitroom").joinpath("static/rhythm.js").read_text(encoding="utf-8").replace("export ", "")
HEAR = f"""(() => {{ {SCRIPT}
const {{ rhythm }} = listen(document);
addEventListener("pagehide", () => {{ sessionStorage.heard ??= JSON.stringify(rhythm.summary()); }});
}})()"""
"""The page's own script, listening; what the first page heard is kept when it is left."""

ZOOMED = {"width": 320, "height": 256}
"""1,280 by 1,024 pixels at 400 %."""
SOLVES = re.compile(r"(solves\(counter\) \{\s*)hash\(counter\);")
SLOWER = 100
LIVES = 3
"""Times that the slow phone makes each hash: some six thousand a second, a hundredth of a desktop's."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run a demo whose line stands still and asks everybody for work."""
    environ = {
        "WAITROOM_HCAPTCHA_SITEKEY": SITEKEY,
        "WAITROOM_HCAPTCHA_SECRET": SECRET,
        "WAITROOM_CHALLENGE_HOSTS": "127.0.0.1",
    }
    with demo(tmp_path_factory.mktemp("fairness") / "data", environ=environ) as shared:
        asks(shared, "work", paused=True)
        yield shared


def by_keyboard(page: Page, _session: CDPSession) -> None:
    """Go on with Tab, look around with the arrows, choose with Enter."""
    page.keyboard.press("ArrowDown")
    _to_the_offer(page, 60)
    page.keyboard.press("Enter")


def by_switch(page: Page, _session: CDPSession) -> None:
    """Press one switch to go on, slowly, and another to choose."""
    _to_the_offer(page, 300)
    page.keyboard.press("Enter")


def _to_the_offer(page: Page, rest_ms: int) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        page.wait_for_timeout(rest_ms)
        focused = page.evaluate(FOCUSED)
        assert focused["outline"], focused
        if page.evaluate("() => document.activeElement.textContent.trim()") == OFFER:
            return
    raise AssertionError("the offer is not reached by Tab")


def by_screen_reader(_page: Page, session: CDPSession) -> None:
    """Find the link in the accessibility tree, put the focus there and let the tree act: no key, no pointer."""
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    (link,) = [
        node for node in nodes
        if node.get("role", {}).get("value") == "link" and node.get("name", {}).get("value") == OFFER
    ]  # fmt: skip
    session.send("DOM.focus", {"backendNodeId": link["backendDOMNodeId"]})
    node = session.send("DOM.resolveNode", {"backendNodeId": link["backendDOMNodeId"]})["object"]
    session.send(
        "Runtime.callFunctionOn",
        {"objectId": node["objectId"], "functionDeclaration": "function () { this.click(); }"},
    )


def by_touch(page: Page, session: CDPSession) -> None:
    """Drag the page up and down with a finger, then tap."""

    def touch(kind: str, *points: tuple[float, float]) -> None:
        told = [{"x": x, "y": y, "radiusX": 9, "radiusY": 11, "force": 0.6} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})

    for way in (-1, 1):
        x, y = 190.0, 400.0
        touch("touchStart", (x, y))
        for step in range(12):
            x, y = x + 1.5 * (step % 3), y + way * (6 + step)
            touch("touchMove", (x, y))
            page.wait_for_timeout(16)
        touch("touchEnd")
    link = page.get_by_role("link", name=OFFER)
    link.scroll_into_view_if_needed()
    box = link.bounding_box()
    assert box is not None
    touch("touchStart", (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    touch("touchEnd")


def by_mouse(page: Page, _session: CDPSession) -> None:
    """Move there in a bow, and click."""
    link = page.get_by_role("link", name=OFFER)
    link.scroll_into_view_if_needed()
    box = link.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for step in range(13):
        rest = 1 - step / 12
        page.mouse.move(x + 90 * rest * rest, y - 60 * rest)
        page.wait_for_timeout(10 + 3 * (step % 4))
    page.mouse.click(x, y)


class Way(NamedTuple):
    """How a group comes: its input, its browser, and which pointer it moves.

    A mouse that a test moves is a script's, so what follows from its rhythm is not asked here; people's is
    (tests/botguard/fairness).
    """

    act: Callable[[Page, CDPSession], None]
    context: Mapping[str, Any] = {}
    pointer: str = ""


TOUCH = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
WAYS: Mapping[str, Way] = {
    "keyboard only": Way(by_keyboard),
    "screen reader": Way(by_screen_reader),
    "switch control": Way(by_switch),
    "touch": Way(by_touch, TOUCH, "touch"),
    "zoom of 400 %": Way(by_mouse, {"viewport": ZOOMED}, "mouse"),
    "reduced motion": Way(by_mouse, {"reduced_motion": "reduce"}, "mouse"),
    "high contrast": Way(by_mouse, {"forced_colors": "active", "color_scheme": "dark"}, "mouse"),
}


def comes(page: Page, running: Demo, way: Way) -> tuple[dict[str, object], dict[str, object]]:
    """Wait, be offered the check, go there, and come back; return the place before and after."""
    session = page.context.new_cdp_session(page)
    page.goto(running.site + "/", wait_until="commit")
    page.get_by_role("link", name=OFFER).wait_for()
    before = stand(page, running)
    assert page.evaluate(CUT) == []
    way.act(page, session)
    page.wait_for_selector("html[data-check=done]")
    assert page.evaluate(CUT) == []
    page.wait_for_selector("html[data-state=paused]")
    expect(page.get_by_role("link", name=OFFER)).to_be_hidden(timeout=PATIENCE_MS)
    return before, stand(page, running)


def heard(page: Page) -> dict[str, float]:
    """Return what the waiting page's script heard before the check."""
    told: dict[str, float] = json.loads(page.evaluate("() => sessionStorage.heard"))
    assert list(told) == list(NAMES)
    return told


def follows(summary: Mapping[str, float]) -> tuple[float | None, Verdict]:
    """Return the rhythm's score, and what follows from it where nothing else speaks against somebody."""
    score = MODEL.score(vector(summary))
    return score, decide(Evidence(Facts(), behaviour=score), LEAST, Stage.SETTLE).verdict


def judged(browser: Browser, running: Demo, name: str, way: Way) -> tuple[float | None, Verdict]:
    """Have somebody come in this way, and return what follows from how they moved."""
    context = browser.new_context(locale="en-GB", **way.context)
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(HEAR)
    page = context.new_page()
    objections = complaints(page)
    before, after = comes(page, running, way)
    summary = heard(page)
    score, verdict = follows(summary)
    context.close()

    assert (before["lane"], after["lane"]) == ("suspect", "standard"), name
    assert (before["number"], before["rank"]) == (after["number"], after["rank"]), name
    assert objections == [], name
    assert {kind for kind in ("mouse", "touch", "pen") if summary[kind]} == {way.pointer} - {""}, name
    assert (summary["keys"] > 0) is (way.act in {by_keyboard, by_switch}), name
    assert way.pointer or score is None, name
    return score, verdict


def test_every_kind_of_input_passes_the_check_and_nothing_follows_from_it(
    browser: Browser, running: Demo
) -> None:
    """From the waiting page through the check and back, with the number kept; all in one browser.

    These fingers are a program's: how a busy machine spaces their few moves is chance, so they have three lives.
    """
    for name, way in WAYS.items():
        for _ in range(LIVES):
            score, verdict = judged(browser, running, name, way)
            if way.pointer == "mouse" or verdict is Verdict.ALLOW:
                break
        else:
            pytest.fail(f"{name}: {score}")


def test_a_pointer_that_is_expected_would_be_noticed() -> None:
    """The mutant: who moves nothing is given the worst rhythm, and is checked."""
    empty = dict.fromkeys(NAMES, 0.0)
    assert follows(empty) == (None, Verdict.ALLOW)

    score = MODEL.score(vector(empty)) or 50.0  # the mutant: nothing is the worst
    assert decide(Evidence(Facts(), behaviour=score), LEAST, Stage.SETTLE).verdict is not Verdict.ALLOW


def test_a_phone_a_hundred_times_slower_passes_in_its_time_box(browser: Browser, running: Demo) -> None:
    """Throttled, with every hash made a hundred times: it gives back what takes too long, and gets there."""
    context = browser.new_context(locale="en-GB", **TOUCH)
    context.set_default_timeout(4 * PATIENCE_MS)
    page = context.new_page()
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 6})
    levels: list[int] = []

    def slower(route: Route) -> None:
        body = route.fetch().text()
        slow = SOLVES.sub(f"\\1for (let at = 0; at < {SLOWER}; at += 1) hash(counter);", body)
        assert slow != body
        route.fulfill(content_type="text/javascript", body=slow)

    def told(response: Any) -> None:
        if response.url.endswith("/challenge") and response.request.method == "POST":
            levels.append(response.json()["challenge"]["parameters"]["data"]["level"])

    page.route("**/solve.js*", slower)
    asks(running, "hcaptcha")
    page.goto(running.site + "/", wait_until="commit")
    page.get_by_role("link", name=OFFER).wait_for()
    before = stand(page, running)
    page.on("response", told)
    page.goto(f"{running.site}{CHECK}&way=work")
    page.wait_for_selector("html[data-check=done]")
    after = stand(page, running)
    context.close()

    assert (before["lane"], after["lane"], after["number"]) == ("suspect", "standard", before["number"])
    assert levels[0] == 1
    assert levels in ([1], [1, 0])
