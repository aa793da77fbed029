"""Where tickets go, and accounts: what axe says of each of their pages, wide and on a phone, in either scheme."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route

from bench import axe
from checkout.site.assets import assets
from checkout.site.render import Visit
from tests.checkout.site.test_pages import NOW_MS, every_page

pytestmark = [pytest.mark.browser, pytest.mark.process]

HOST = "http://shop.test"


def _served(pages: dict[str, str]) -> object:
    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        name = path.rpartition("/")[2]
        if path.startswith("/static/") and name in assets():
            asset = assets()[name]
            route.fulfill(body=asset.body, content_type=asset.media_type)
        else:
            route.fulfill(body=pages[name], content_type="text/html; charset=utf-8")

    return answer


PAGES = ("order contact asked", "order contact kept wrong", "order account in", "account", "account failed")


@pytest.mark.parametrize(
    ("language", "scheme", "width"), [("en", "light", 390), ("de", "dark", 1200), ("ar", "light", 390)]
)
def test_axe_finds_nothing_on_pages_of_contacts_and_accounts(
    language: str, scheme: str, width: int, browser: Browser
) -> None:
    """Asked, kept and wrong; logged in, or not for some reason; and nothing scrolls sideways."""
    made = every_page(Visit(language, NOW_MS))
    pages = {name.replace(" ", "-"): made[name] for name in PAGES}
    found = {}
    context = browser.new_context(
        color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 1600}
    )  # type: ignore[arg-type]
    page = context.new_page()
    page.route("**/*", _served(pages))  # type: ignore[arg-type]
    for name in pages:
        page.goto(f"{HOST}/{name}")
        wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        if (wrong := axe.violations(page)) or wide:
            found[name] = [*wrong, *(["scrolls sideways"] if wide else [])]
    context.close()

    assert found == {}


def test_axe_notices_a_field_without_a_label(browser: Browser) -> None:
    """Mutant: the label of the address is gone."""
    page_text = every_page(Visit("en", NOW_MS))["order contact asked"].replace(
        '<label for="contact-email">', "<label>"
    )
    page = browser.new_page()
    page.route("**/*", _served({"x": page_text}))  # type: ignore[arg-type]
    page.goto(f"{HOST}/x")
    wrong = axe.violations(page)
    page.close()

    assert any(line.startswith("label") for line in wrong)
