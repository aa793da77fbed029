"""Paying in real browsers, on the real demo: gate, shop, store, SQL, Stripe's own package, and the sandbox.

A bank that asks, one that declines, a second card, a tab that is closed, a browser without scripts, and a shop process
that is killed while its buyer is at the bank. Afterwards the books of shop and provider are compared.
"""

import os
import re
import secrets
import signal
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page, expect
from playwright.sync_api import Error as BrowserError

from admission.keyring import KeyRing
from bench import axe
from bench.screenshots import SCHEMES
from checkout.audit.checking import read_log, read_money
from checkout.audit.money import Theirs, money_is_right
from checkout.database import ShopDatabase
from gateway.deriving import secret_for
from kernel.clock import SystemClock
from tests.process.looking import PATIENCE_MS, come_in, complaints
from tests.process.test_demo import Demo, demo, wait_until

pytestmark = [pytest.mark.process, pytest.mark.browser]

EVENT = "northern-lights"
EVENING = f"/events/{EVENT}"
PAID = "Paid. The seats are yours"
PENDING = "Your payment is being made"
LOOK = "a[href$='?look=1']"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the demo."""
    with demo(tmp_path_factory.mktemp("paying")) as shared:
        yield shared


@pytest.fixture
def buyer(browser: Browser) -> Iterator[BrowserContext]:
    """Open a browser on a phone."""
    context = browser.new_context(
        locale="en-GB", reduced_motion="reduce", viewport={"width": 390, "height": 844}
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def come(fan: BrowserContext, running: Demo) -> Page:
    """Come in, hold two seats, take them to pay; waiting page and map are other tests' matter."""
    come_in(fan, running.site)
    page = fan.new_page()
    form = {"key": secrets.token_hex(8), "count": "2", "tier": ""}
    told = {"headers": {"Origin": running.site}, "max_redirects": 0}
    held = fan.request.post(f"{running.site}{EVENING}/hold", form=form, **told)  # type: ignore[arg-type]
    hold = held.headers["location"].partition("hold=")[2]
    address = f"{running.site}{EVENING}/hold/{hold}/reserve"
    reserved = fan.request.post(address, form={"key": "x"}, **told)  # type: ignore[arg-type]
    page.goto(running.site + reserved.headers["location"])
    page.get_by_role("button", name="Go to pay").click()
    expect(page.locator("h1")).to_have_text("Pay for your seats")
    return page


def pay(page: Page, way: str) -> None:
    """Choose an outcome, and pay."""
    page.get_by_label(re.compile(way)).check()
    page.get_by_role("button", name=re.compile("^Pay ")).click()


def answer(page: Page, button: str) -> None:
    """Go to the bank's page, and press a button there."""
    page.get_by_role("link", name="To your bank's page").click()
    page.get_by_role("button", name=button).click()


def until_paid(page: Page, head: str = PAID, pending: str = PENDING) -> None:
    """See that it is paid; while the page says that it is being paid, and only then, look again by its own link."""
    for _ in range(12):
        expect(page.locator("h1")).to_have_text(re.compile(f"^({re.escape(head)}|{re.escape(pending)})$"))
        if page.locator("h1").inner_text() == head:
            return
        page.locator(LOOK).click()
    expect(page.locator("h1")).to_have_text(head)


def test_a_bank_that_asks_and_agrees(buyer: BrowserContext, running: Demo) -> None:
    """From the order to the bank's page and back; the page that stays has no traces of it, and nobody objects."""
    page = come(buyer, running)
    objections = complaints(page)
    pay(page, "3-D Secure")
    expect(page.locator("h1")).to_have_text("Your bank has a question")
    answer(page, "Approve payment")
    until_paid(page)

    assert re.fullmatch(rf"{re.escape(running.site + EVENING)}/order/O[\w-]{{11}}", page.url)
    assert objections == []
    page.reload()
    expect(page.locator("h1")).to_have_text(PAID)


def test_a_decline_a_refusal_and_then_a_card_that_pays(buyer: BrowserContext, running: Demo) -> None:
    """Each says what happened and that nobody was charged; the seats are the same all the time."""
    page = come(buyer, running)
    seats = page.locator(".lines").inner_text()
    pay(page, "without enough money")
    expect(page.locator(".lead")).to_contain_text("There is not enough money on this card")
    pay(page, "3-D Secure")
    answer(page, "Refuse")
    expect(page.locator(".lead")).to_contain_text("could not confirm that it is you")
    pay(page, "A card that pays")
    until_paid(page)

    assert page.locator(".lines").inner_text() == seats


def test_a_tab_that_is_closed_at_the_bank(buyer: BrowserContext, running: Demo) -> None:
    """The buyer comes back by the order's address and pays with another card."""
    page = come(buyer, running)
    pay(page, "3-D Secure")
    expect(page.locator("h1")).to_have_text("Your bank has a question")
    address = page.url
    page.close()
    page = buyer.new_page()
    page.goto(address)
    pay(page, "A card that pays")

    until_paid(page)


def test_seats_are_given_back_instead(buyer: BrowserContext, running: Demo) -> None:
    """The order has ended, and says that nobody was charged."""
    page = come(buyer, running)
    page.get_by_role("button", name="Give the seats back").click()

    expect(page.locator("h1")).to_have_text("This order has ended")
    expect(page.locator(".lead")).to_contain_text("You have not been charged")


def test_without_scripts(browser: Browser, buyer: BrowserContext, running: Demo) -> None:
    """Everything is forms and links; how one comes in without scripts is shown elsewhere."""
    come_in(buyer, running.site)
    context = browser.new_context(
        locale="de-DE", java_script_enabled=False, storage_state=buyer.storage_state()
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{running.site}{EVENING}")
    page.goto(f"{running.site}{EVENING}/seats")
    page.locator("form[action$='/hold'] button").click()
    page.locator("form[action$='/reserve'] button").click()
    page.get_by_role("button", name="Zum Bezahlen").click()
    page.get_by_label(re.compile("erst fragt")).check()
    page.get_by_role("button", name=re.compile("bezahlen$")).click()
    page.get_by_role("link", name="Zur Seite Ihrer Bank").click()
    page.locator("button").first.click()

    until_paid(page, "Bezahlt. Die Plätze gehören Ihnen", "Ihre Zahlung läuft")
    context.close()


def test_axe_finds_nothing(buyer: BrowserContext, running: Demo) -> None:
    """To pay, declined, at the bank's page, asked, paid; on a phone, light and dark."""
    found: list[str] = []

    def look() -> None:
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found.extend(f"{scheme}: {wrong}" for wrong in axe.violations(page))

    page = come(buyer, running)
    look()
    pay(page, "the bank declines")
    look()
    pay(page, "3-D Secure")
    look()
    page.get_by_role("link", name="To your bank's page").click()
    look()
    page.get_by_role("button", name="Approve payment").click()
    look()

    assert found == []


def test_a_shop_that_is_killed_while_its_buyer_is_at_the_bank(buyer: BrowserContext, running: Demo) -> None:
    """Nobody comes back to the shop: notice or look, somebody finds the payment, and the order is paid."""
    page = come(buyer, running)
    pay(page, "3-D Secure")
    expect(page.locator("h1")).to_have_text("Your bank has a question")
    address = page.url
    page.get_by_role("link", name="To your bank's page").click()
    (worker,) = [pid for pid, command in running.family.items() if "worker shop" in command]
    os.kill(worker, signal.SIGKILL)
    # The bank has heard; whether the shop that one is sent back to is up again by then is not waited for.
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.get_by_role("button", name="Approve payment").click(no_wait_after=True)
    page.close()
    said: list[str] = []

    def is_paid() -> bool:
        again = buyer.new_page()
        try:
            again.goto(address)
            said.append(again.locator("h1").inner_text())
            return said[-1] == PAID
        except BrowserError as error:  # the next worker is not up yet
            said.append(error.message)
            return False
        finally:
            again.close()

    wait_until(f"the order is paid, but {said}", is_paid, 90)


def test_afterwards_the_books_agree(running: Demo) -> None:
    """SQL, its log and the provider: nobody was charged twice, and nothing stands open but what waits for its buyer."""
    octets = KeyRing.open(running.data / "keyring.json", SystemClock().now_ms()).active("sid").octets
    key = f"sk_test_{secret_for(octets, 'sandbox').hex()}"
    sandbox = re.search(r"sandbox.*(http://127\.0\.0\.1:\d+)", running.welcome)
    assert sandbox is not None
    told = httpx.get(
        f"{sandbox[1]}/_sandbox/ledger", headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_MS
    ).json()
    theirs = [
        Theirs(
            "sandbox", one["id"], row["order"], one["captured"], one["refunded"], one["disputed"],
            one["status"] == "requires_capture",
        )
        for row in told["orders"] for one in row["payments"]
    ]  # fmt: skip
    url = f"sqlite:///{running.data}/shop.db"
    database = ShopDatabase(url)
    with database.listing() as connection:
        books = read_money(connection, EVENT)
        states = dict(connection.execute(sa.text("SELECT state, count(*) FROM orders GROUP BY state")).all())
    database.close()
    entries, in_log = read_log(url, EVENT)

    assert states["paid"] >= 6
    assert entries > 7 * 5
    assert in_log == []
    assert [one for one in money_is_right(books, theirs, settled=True) if one.invariant != "I12"] == []
