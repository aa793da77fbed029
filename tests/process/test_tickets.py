"""Tickets in real browsers, on the real demo: bought, shown, kept as files, and given to somebody who never queued.

What is on the screen, in the PDF and in the pass is read by foreign programs (zxing, pdfium) and verified by the public
keys alone, as a scanner without a network does.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator

import pypdfium2
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bench import axe
from checkout.tickets.code import Facts, verify
from checkout.tickets.keys import TicketKeys
from tests.process.looking import PATIENCE_MS, complaints
from tests.process.test_demo import Demo, demo
from tests.process.test_paying import EVENT, come, pay, until_paid

pytestmark = [pytest.mark.process, pytest.mark.browser]

CARD = "article.entrance"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the demo."""
    with demo(tmp_path_factory.mktemp("tickets")) as shared:
        yield shared


@pytest.fixture(scope="module")
def page(browser: Browser, running: Demo) -> Iterator[Page]:
    """Buy two tickets on a phone, and go to them. Each test leaves them as they were, but for the last."""
    context = browser.new_context(
        locale="en-GB",
        reduced_motion="reduce",
        viewport={"width": 390, "height": 844},
        device_scale_factor=2,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = come(context, running)
    pay(page, "A card that pays")
    until_paid(page)
    page.get_by_role("link", name="To your tickets").click()
    expect(page.locator("h1")).to_have_text("Your tickets")
    yield page
    context.close()


@pytest.fixture
def friend(browser: Browser) -> Iterator[BrowserContext]:
    """Open another browser, which has no admission and never had one."""
    context = browser.new_context(locale="de-DE", java_script_enabled=False)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def offered(page: Page) -> str:
    """Offer the first ticket; returns the link to send."""
    page.locator("summary", has_text="Give to somebody").first.click()
    page.get_by_role("button", name="Give to somebody").first.click()
    return page.get_by_label("Link to send").input_value()


def keep(page: Page) -> None:
    """Take the offer back."""
    page.get_by_role("button", name="Keep it after all").click()


def codes_on(page: Page) -> list[str]:
    """Read the QR codes off the screen, as a camera would."""
    found = []
    for shown in page.locator(f"{CARD} .code svg").all():
        (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(shown.screenshot())))
        found.append(read.text)
    return found


def says(running: Demo, code: str) -> Facts:
    """Verify a code by what a scanner has: the public keys."""
    keys = TicketKeys.open(running.data / "ticket-keys.json", 0).public
    facts = verify(code, EVENT, keys)
    assert isinstance(facts, Facts), facts
    return facts


def test_a_buyer_has_two_tickets_on_screen_on_paper_and_in_a_wallet(page: Page, running: Demo) -> None:
    """The same code everywhere, one for each seat, and no browser objects to anything."""
    objections = complaints(page)
    page.reload()
    codes = codes_on(page)
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download as PDF").click()
    document = pypdfium2.PdfDocument(loading.value.path())
    printed = [
        read.text
        for number in range(len(document))
        for read in zxingcpp.read_barcodes(document[number].render(scale=3).to_pil())
    ]
    passes = [
        page.request.get(running.site + str(link.get_attribute("href"))).body()
        for link in page.get_by_role("link", name="Add to Apple Wallet").all()
    ]
    kept = [json.loads(zipfile.ZipFile(io.BytesIO(body)).read("pass.json")) for body in passes]

    assert len({says(running, code).seat for code in codes}) == 2
    assert printed == codes
    assert [one["barcodes"][0]["message"] for one in kept] == codes
    assert objections == []


def test_a_giver_may_keep_the_ticket(page: Page, friend: BrowserContext) -> None:
    """Taken back, the link opens nothing, also after the ticket is offered anew."""
    codes = codes_on(page)
    first = offered(page)
    keep(page)
    theirs = friend.new_page()
    kept = theirs.goto(first).status  # type: ignore[union-attr]
    second = offered(page)
    old = theirs.goto(first).status  # type: ignore[union-attr]
    new = theirs.goto(second).status  # type: ignore[union-attr]
    keep(page)

    assert first != second
    assert (kept, old, new) == (410, 404, 200)
    assert codes_on(page) == codes


def test_axe_finds_nothing(page: Page) -> None:
    """Tickets, one that is on offer, and what who opens the link sees; in the light and in the dark."""
    found, here = [], page.url
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(here)
        found += axe.violations(page)
        link = offered(page)
        found += axe.violations(page)
        page.goto(link)
        found += axe.violations(page)
        page.goto(here)
        keep(page)

    assert found == []


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path[:-2] + ("AA" if path[-2:] != "AA" else "BA"),
        lambda path: path.rpartition("/")[0] + "/",
        lambda path: path.replace("northern-lights", "paper-lanterns"),
        lambda path: path.replace("northern-lights", "no-such-evening"),
    ],
    ids=["mac", "none", "event", "no event"],
)
def test_a_link_that_is_not_ours_shows_nothing(
    change: Callable[[str], str], page: Page, friend: BrowserContext, running: Demo
) -> None:
    """Without an admission: there is no such page, or the waiting room; never a ticket."""
    path = page.url.removeprefix(running.site)
    answer = friend.request.get(running.site + change(path), max_redirects=0)

    assert "stub entrance" not in answer.text()
    assert answer.status == 404 or "stub" not in answer.text()


def test_a_ticket_is_given_to_somebody_who_never_queued(
    page: Page, friend: BrowserContext, running: Demo
) -> None:
    """A link, opened without an admission and without scripts; the giver's code is gone, and the link works once."""
    given, kept = codes_on(page)
    link = offered(page)
    theirs = friend.new_page()
    theirs.goto(link)
    expect(theirs.locator("h1")).to_have_text("Jemand gibt Ihnen ein Ticket")
    assert theirs.locator("svg[role=img]").count() == 0
    theirs.get_by_role("button", name="Ticket annehmen").click()
    expect(theirs.locator("h1")).to_have_text("Ihre Tickets")
    (taken,) = codes_on(theirs)
    page.reload()

    assert says(running, taken).seat == says(running, given).seat
    assert says(running, taken).ticket != says(running, given).ticket
    assert codes_on(page) == [kept]
    again = friend.new_page()
    assert again.goto(link).status == 410  # type: ignore[union-attr]
    expect(again.locator("h1")).to_have_text("Dieses Ticket lässt sich nicht annehmen")
