"""The back office in real Chromium: what axe says of its pages, and money that goes back by a key's touch."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest
from playwright.async_api import expect
from playwright.sync_api import Browser

from bench import axe
from checkout.sandbox import login_page
from checkout.sandbox.login_rules import Somebody
from checkout.sandbox.words import spoken
from gateway.demo_staff import PEOPLE
from tests.checkout.conftest import templates
from tests.checkout.offices import AT, opened
from tests.checkout.offices import Browser as Staff
from tests.checkout.sale_courses import Doubtful, run
from tests.checkout.templates import Templates
from tests.process.office_pages import served
from tests.process.test_staff_page import HOST, desk

__all__ = ["templates"]

pytestmark = [pytest.mark.browser, pytest.mark.process]


async def test_money_goes_back_by_the_touch_of_a_key(store_url: str, tmp_path: Path) -> None:
    """From the list to the order, an amount and a reason, the key; too much is refused on the same page."""
    async with desk(store_url, tmp_path) as own:
        page, said = own.page, []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        async with own.front.till.browser() as buyer:
            order = await own.front.till.order(buyer, "ann", 0, 1)
            await own.front.till.pay(buyer, "ann", order, "k1")
        await own.plug_in()
        await own.log_in()
        await own.add_key("Blue")
        await page.wait_for_selector("#told:not([hidden])")
        await page.goto(f"{own.site}{AT}/orders")
        await page.click("#orders tbody a")
        await page.fill("#amount", "100")
        await page.fill("#reason", "asked for")
        await page.click("#refund [data-key]")
        await expect(page.locator("#fault")).to_contain_text("At most €84.00 can go back.")
        await page.fill("#amount", "10.50")
        await page.click("#refund [data-key]")
        await expect(page.locator("#said")).to_have_text("The money went back.")
        refunded = await page.inner_text("#refunded")
        listed = await page.locator("#refunds tbody tr").count()

    assert (unescape(refunded), listed) == ("€10.50", 1)
    assert own.faults == []
    assert [text for text in said if "409" not in text] == []


# -------------------------------------------------------------------------------------- how it looks

LANGUAGES = ("en", "de")
Pages = Mapping[str, str]


async def _look(url: str, store_url: str, folder: Path) -> dict[str, str]:
    """Write every page as it looks in the middle of a sale, with what was refused on one of them."""
    found: dict[str, str] = {}
    async with opened(url, store_url, folder, judge=Doubtful()) as own:
        made = await run(own.desk)
        await own.desk.other_event("winter")
        doubtful = await own.desk.shop.order("kim", 31)
        await own.desk.shop.pay(doubtful, buyer="kim")
        people = [Somebody(one.name, one.email, one.role.value) for one in PEOPLE]
        for tag in LANGUAGES:
            found[f"login-{tag}"] = login_page.question(people, "token", spoken(None, tag)).decode()
            ida: Staff = await own.enter(**{"accept-language": tag})
            asked: dict[str, tuple[str, dict[str, str]]] = {
                "home": ("", {}), "sales": ("/sales", {"span": "day"}), "orders": ("/orders", {}),
                "review": (f"/orders/{doubtful['order']}", {}), "support": ("/support", {"find": "4242"}),
                "waiting": ("/waiting", {}), "money": ("/money", {}), "wrong": ("/nowhere", {}),
            }  # fmt: skip
            for name, (path, query) in asked.items():
                at = AT if path else "/staff/office"
                found[f"{name}-{tag}"] = (await ida.client.get(at + path, params=query)).text
            refused = await ida.send(
                f"/orders/{made['ann']}/refunds", amount="1000", reason="x" * 80, code="no"
            )
            found[f"refused-{tag}"] = refused.text
    return found


@pytest.fixture(scope="module")
def pages(store_url: str, templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Give every page in both languages."""
    folder = tmp_path_factory.mktemp("office")
    url = f"sqlite:///{folder}/shop.db"
    templates.fill(url)
    # In a thread: the browser's own loop may run in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _look(url, store_url, folder)).result()


@pytest.mark.parametrize(("language", "scheme", "width"), [("en", "light", 320), ("de", "dark", 1200)])
def test_axe_finds_nothing_on_the_offices_pages(
    language: str, scheme: str, width: int, pages: Pages, browser: Browser
) -> None:
    """On every page, with everything unfolded; and nothing scrolls sideways."""
    found = {}
    context = browser.new_context(
        color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 1600}
    )  # type: ignore[arg-type]
    page = context.new_page()
    page.route("**/*", served(pages))
    for name in pages:
        if not name.endswith(language):
            continue
        page.goto(f"{HOST}/{name}")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        if (wrong := axe.violations(page)) or wide:
            found[name] = [*wrong, *(["scrolls sideways"] if wide else [])]
    context.close()

    assert found == {}, json.dumps(found, indent=1)


def test_axe_notices_a_field_without_a_label(pages: Pages, browser: Browser) -> None:
    """Mutant: the label of the reason is gone."""
    text = pages["refused-en"].replace('<label for="reason">', "<label>")
    page = browser.new_page()
    page.route("**/*", served({"x": text}))
    page.goto(f"{HOST}/x")
    wrong = axe.violations(page)
    page.close()

    assert any(line.startswith("label") for line in wrong)
