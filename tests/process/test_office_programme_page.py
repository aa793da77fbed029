"""The programme's pages in real Chromium: what axe says of them, and whether anything scrolls sideways."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from bench import axe
from checkout.people.staff import StaffRole
from tests.gateway.office_front import EVENT, OFFICE, working
from tests.process.office_pages import served
from tests.process.test_staff_page import HOST

pytestmark = [pytest.mark.browser, pytest.mark.process]

BAD = b"section,row,number,x,y,tier\nStalls,A,1,0,0,Front\nStalls,A,2,left,0,\n"
LOOKED_AT = {
    "home": OFFICE,
    "venues": f"{OFFICE}/venues",
    "people": f"{OFFICE}/people",
    "team": f"{OFFICE}/team",
    "choose": f"{OFFICE}/new-event",
    **{
        name: f"{EVENT}/{name}"
        for name in ("about", "cancel", "hall", "blocks", "prices", "doors", "exports")
    },
}
Pages = Mapping[str, str]


async def _look(store_url: str, folder: Path) -> dict[str, str]:
    """Write every page, and those that forms are answered with, good and bad."""
    found: dict[str, str] = {}
    async with working(store_url, folder, StaffRole.OWNER) as ida:
        layout = (await ida.front.till.shop.parts.catalogue.committed("summer")).event.layout_id
        until = "2001-01-01T00:00"
        for tag in ("en", "de"):
            own = {"accept-language": tag}
            new = f"{OFFICE}/new-event?venue=old-mill&layout={layout}"
            for name, path in {**LOOKED_AT, "new": new}.items():
                found[f"{name}-{tag}"] = (await ida.get(path, **own)).text
            sent: dict[str, Any] = {
                "plan-bad": (f"{OFFICE}/venues/old-mill/layouts", {}, BAD),
                "new-bad": (
                    f"{OFFICE}/new-event",
                    {"venue_id": "old-mill", "layout_id": layout, "t-1": "x"},
                    None,
                ),
                "look": (f"{EVENT}/blocks/look", {"seats": "Stalls / A", "act": "block"}, None),
                "look-bad": (f"{EVENT}/blocks/look", {"seats": "Balcony", "act": "block"}, None),
                "prices-look": (f"{EVENT}/prices/look", {"p-0-EUR": "45"}, None),
                "prices-bad": (f"{EVENT}/prices/look", {"p-0-EUR": "x"}, None),
                "tiers-look": (f"{EVENT}/tiers/look", {"tier": "0", "sections": "1"}, None),
                "gate-bad": (f"{EVENT}/scanners", {"name": "North", "until": until}, None),
                "found": (f"{OFFICE}/people/find", {"email": "ann@example.org"}, None),
            }
            for name, (path, fields, file) in sent.items():
                found[f"{name}-{tag}"] = (await ida.send(path, fields, file, **own)).text
    return found


@pytest.fixture(scope="module")
def pages(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Give every page in both languages."""
    folder = tmp_path_factory.mktemp("office")
    # In a thread: the browser's own loop may run in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _look(store_url, folder)).result()


@pytest.mark.parametrize(("language", "scheme", "width"), [("en", "light", 320), ("de", "dark", 1200)])
def test_axe_finds_nothing_on_the_programmes_pages(
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
        if not name.endswith(f"-{language}"):
            continue
        page.goto(f"{HOST}/{name}")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        if (wrong := axe.violations(page)) or wide:
            found[name] = [*wrong, *(["scrolls sideways"] if wide else [])]
    context.close()

    assert found == {}, json.dumps(found, indent=1)


def test_axe_notices_a_price_without_a_name(pages: Pages, browser: Browser) -> None:
    """Mutant: nobody can hear which price it is."""
    text = pages["prices-en"].replace('aria-label="Front, EUR"', "")
    page = browser.new_page()
    page.route("**/*", served({"x": text}))
    page.goto(f"{HOST}/x")
    wrong = axe.violations(page)
    page.close()

    assert text != pages["prices-en"]
    assert any(line.startswith("label") for line in wrong)
