"""The scanner in real Chromium, whose camera sees a code: online, offline, and what two gates make of one ticket."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from bench import axe
from bench.screenshots import CHROMIUM_ARGS
from tests.process.gates import Place, picture, standing
from tests.process.looking import PATIENCE_MS, chromium, complaints, until

pytestmark = [pytest.mark.process, pytest.mark.browser]

PHONE = {"width": 390, "height": 844}
KNOWS = "() => document.getElementById('as-of').textContent !== ''"
KEPT = "async () => (await navigator.serviceWorker.ready).active.state === 'activated'"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> Iterator[Place]:
    """Open the doors."""
    with standing(tmp_path_factory.mktemp("doors"), store_url) as found:
        yield found


@pytest.fixture(scope="module")
def camera(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Give a Chromium whose camera sees the first ticket."""
    file = picture(place.code(0), tmp_path_factory.mktemp("camera") / "ticket.y4m")
    seeing = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        own = playwright.chromium.launch(
            executable_path=chromium(),
            args=[*CHROMIUM_ARGS, *seeing, f"--use-file-for-fake-video-capture={file}"],
        )
        yield own
        own.close()


@pytest.fixture
def phone(camera: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Give phones: browser profiles of their own."""
    made: list[BrowserContext] = []

    def one(**more: object) -> BrowserContext:
        context = camera.new_context(
            locale="en-GB", reduced_motion="reduce", viewport=PHONE, **more  # type: ignore[arg-type]
        )  # fmt: skip
        context.set_default_timeout(PATIENCE_MS)
        made.append(context)
        return context

    yield one
    for context in made:
        context.close()


def opened(context: BrowserContext, place: Place, gate: str) -> Page:
    """Open a gate's link, and wait until the page has the list and can do without a network."""
    page = context.new_page()
    page.goto(place.address + place.links[gate])
    page.wait_for_function(KNOWS)
    page.evaluate(KEPT)
    return page


def typed(page: Page, text: str) -> None:
    """Type into the field, as people and barcode scanners do."""
    page.fill("#number", text)
    page.press("#number", "Enter")


def told(page: Page, word: str) -> None:
    """See an answer; a good one goes away by itself, its words stay where they are."""
    expect(page.locator("#verdict-word")).to_have_text(word, timeout=PATIENCE_MS)


def dismiss(page: Page) -> None:
    """Take the answer away, unless it has gone by itself."""
    page.evaluate("() => document.getElementById('verdict').close()")


def sees_its_ticket(page: Page, place: Place) -> None:
    """Let the camera see the first ticket, then take the camera away: it would go on seeing it."""
    page.click("#start")
    told(page, "Come in")
    expect(page.locator("#verdict-number")).to_have_text(place.tickets[0].number)
    expect(page.locator("#verdict-seat")).not_to_be_empty()
    expect(page.locator("#count")).to_have_text("1")
    page.reload()
    page.wait_for_function(KNOWS)
    expect(page.locator("#count")).to_have_text("1")


def test_a_ticket_is_scanned_and_two_gates_without_a_network_come_to_one_conflict(
    place: Place, phone: Callable[..., BrowserContext]
) -> None:
    """By camera, again, by number, offline at both gates, online again: one admission each, and one conflict shown."""
    first, second, before = phone(), phone(), place.own.admissions()
    a = opened(first, place, "Gate A")
    faults = complaints(a)
    assert "#" not in a.url
    expect(a.locator("#gate")).to_have_text("Gate A")

    sees_its_ticket(a, place)
    b = opened(second, place, "Gate B")
    typed(b, place.code(0))
    told(b, "Used already")
    expect(b.locator("#verdict")).to_be_visible()
    expect(b.locator("#verdict-who")).to_contain_text("Gate A")
    dismiss(b)
    typed(b, "https://example.org/a-ticket-of-somebody-else")
    told(b, "No ticket")
    dismiss(b)

    number = place.tickets[5].number
    # A browser that is told to be offline forgets it for a moment while a page is loaded anew; the server does not.
    place.cut |= {"Gate A", "Gate B"}
    for context, page in ((first, a), (second, b)):
        context.set_offline(True)
        expect(page.locator("#line")).to_have_attribute("data-state", "offline")
        typed(page, number.lower().replace("-", ""))
        told(page, "Come in")
        expect(page.locator("#verdict-why")).to_have_text("Decided without a connection")
        expect(page.locator("#queue")).to_have_text("1 scan to send")
        dismiss(page)
    typed(b, place.code(6)[:-3] + "000")
    told(b, "Forged")
    dismiss(b)
    # A page that is closed and opened again without a network knows what it knew.
    b.reload()
    b.wait_for_function(KNOWS)
    expect(b.locator("#queue")).to_have_text("2 scans to send")
    typed(b, number)
    expect(b.locator("#verdict")).to_have_attribute("data-outcome", re.compile("^(again|used)$"))
    dismiss(b)

    place.cut.remove("Gate A")
    first.set_offline(False)
    expect(a.locator("#queue")).to_be_hidden(timeout=PATIENCE_MS)
    place.cut.remove("Gate B")
    second.set_offline(False)
    expect(b.locator("#queue")).to_be_hidden(timeout=PATIENCE_MS)
    expect(b.locator("#conflicts-list li")).to_have_count(1, timeout=PATIENCE_MS)
    expect(b.locator("#conflicts-list li")).to_contain_text(number)
    expect(b.locator("#conflicts-list li")).to_contain_text("Gate A")
    expect(a.locator("#conflicts")).to_be_hidden()

    report = place.run(place.own.scanning.conflicts("summer", (), 10))
    assert [(row.name, row.first_name) for row in report] == [("Gate B", "Gate A")]
    assert place.own.admissions() == before + 2
    assert [one for one in faults if "ERR_INTERNET_DISCONNECTED" not in one and "503" not in one] == []


def test_the_browser_s_own_detector_is_used_where_there_is_one(
    place: Place, phone: Callable[..., BrowserContext]
) -> None:
    """It sees another ticket than the picture has, so it was asked; a camera that is refused is told in words."""
    own = (
        "globalThis.BarcodeDetector = class { static getSupportedFormats() { return Promise.resolve(['qr_code']); }"
        f" detect() {{ return Promise.resolve([{{rawValue: '{place.code(7)}'}}]); }} }};"
    )
    context = phone()
    context.add_init_script(own)
    page = opened(context, place, "Gate A")
    page.click("#start")
    told(page, "Come in")
    expect(page.locator("#verdict-number")).to_have_text(place.tickets[7].number)

    blind = phone()
    blind.add_init_script("navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no'));")
    page = opened(blind, place, "Gate A")
    page.click("#start")
    expect(page.locator("#eye-note")).to_contain_text("Type the number")


def test_a_barcode_scanner_types_wherever_it_is(place: Place, phone: Callable[..., BrowserContext]) -> None:
    """No field has the focus, then an answer covers everything: what is typed is read all the same."""
    page = opened(phone(), place, "Gate A")
    for at in (1, 2):
        page.keyboard.type(place.code(at))
        page.keyboard.press("Enter")
        told(page, "Come in")
        expect(page.locator("#verdict-number")).to_have_text(place.tickets[at].number)
    dismiss(page)
    expect(page.locator("#count")).to_have_text("2")


def test_a_scanner_comes_in_by_its_link_or_by_typing_and_goes_when_it_is_revoked(
    place: Place, phone: Callable[..., BrowserContext]
) -> None:
    """A wrong token is told; a revoked one ends the page at the next scan, and scripts never see it."""
    own = place.own
    made = place.run(own.scanning.make("summer", "Gate C", own.clock.now_ms() + 3_600_000))
    page = phone().new_page()
    page.goto(f"{place.address}/scan/summer")
    expect(page.locator("#enter")).to_be_visible()
    page.fill("#token", "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA")
    page.press("#token", "Enter")
    expect(page.locator("#enter-fault")).to_contain_text("wrong")
    page.fill("#token", made.token.lower())
    page.press("#token", "Enter")
    expect(page.locator("#gate")).to_have_text("Gate C")
    page.wait_for_function(KNOWS)
    assert page.evaluate("document.cookie") == ""
    place.run(own.scanning.revoke("summer", made.scanner.id))
    typed(page, place.code(3))

    expect(page.locator("#enter")).to_be_visible()
    expect(page.locator("#enter-fault")).to_contain_text("works no more")
    assert own.now(place.tickets[3]).used_ms == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(place: Place, phone: Callable[..., BrowserContext], scheme: str) -> None:
    """Axe on every view and every answer; and in Arabic, from right to left."""
    context = phone(color_scheme=scheme)
    page = opened(context, place, "Gate B")
    found = {"work": axe.violations(page)}
    for outcome in ("admitted", "again", "used", "blocked"):
        page.evaluate("() => { document.adoptedStyleSheets = []; }")
        page.evaluate(
            """(outcome) => {
              const kinds = {admitted: 'go', again: 'same', used: 'stop', blocked: 'care'};
              const verdict = document.getElementById('verdict');
              verdict.close();
              verdict.dataset.kind = kinds[outcome];
              for (const id of ['word', 'seat', 'who', 'why', 'number']) {
                document.getElementById(`verdict-${id}`).textContent = outcome;
              }
              verdict.showModal();
            }""",
            outcome,
        )
        found[outcome] = axe.violations(page)
    arabic = context.new_page()
    arabic.goto(f"{place.address}/scan/winter?lang=ar")
    expect(arabic.locator("#enter")).to_be_visible()
    until(arabic, "document.documentElement.dir", "rtl")
    found["enter"] = axe.violations(arabic)

    assert {name: lines for name, lines in found.items() if lines} == {}
