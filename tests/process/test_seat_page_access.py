"""The seat page for everybody: by key, by list, by finger, without scripts, light in weight, and what axe says."""

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bench import axe
from bench.scripted_shop import Scene, Shop, serving
from checkout.site.assets import SEAT_MODULES, assets
from tests.process.seating import LIVE, PITCH, PLACE, SEATS, click, open_seats

pytestmark = [pytest.mark.process, pytest.mark.browser]

PAGE_BYTES = 60_000
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def scene() -> Scene:
    """Give a theatre, a third of it taken."""
    return Scene()


@pytest.fixture
def place(scene: Scene) -> Iterator[tuple[Shop, str]]:
    """Serve the scene."""
    with serving(scene) as (shop, address):
        yield shop, address


# ------------------------------------------------------------------------------- by key, list and finger
def test_the_keyboard_alone_leads_from_the_map_to_a_hold(
    fan: BrowserContext, place: tuple[Shop, str]
) -> None:
    """Enter goes closer, arrows find a seat and say it, Enter chooses, Tab leads to the button."""
    shop, address = place
    page = open_seats(fan, address)
    page.focus("#map")
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => ({PITCH})() > 20")
    expect(page.locator("#said")).to_contain_text("row")
    for _ in range(30):
        said = page.inner_text("#said")
        if said.endswith("free"):
            break
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "(said) => document.getElementById('said').textContent.length > 5 && "
            "document.getElementById('said').textContent !== said",
            arg=said,
        )
    page.keyboard.press("Enter")
    expect(page.locator("#chosen-list li")).to_have_count(1)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "hold-go":
            break
    page.keyboard.press("Enter")

    expect(page.locator(".hold .lines li")).to_have_count(1)
    assert len(shop.holds) == 1


def test_the_list_names_every_seat_in_full_and_holds_it(fan: BrowserContext, place: tuple[Shop, str]) -> None:
    """Section, row, seat, price, state: a toggle button in the same state as the map."""
    shop, address = place
    page = open_seats(fan, address, "?view=list")
    seat = shop.free(1)[0]
    section, row, number = shop.where[seat]
    page.locator("summary", has_text=section).first.click()
    page.get_by_text(f"Row {row}", exact=True).first.click()
    button = page.locator(f"button[data-seat='{seat}']")
    expect(button).to_have_attribute("aria-label", f"{section}, row {row}, seat {number}, 64.00\xa0€, free")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.click("#hold-go")

    expect(page.locator(".hold .lines li")).to_have_count(1)
    expect(button).to_have_attribute("aria-disabled", "true")


def test_a_finger_first_goes_closer_and_then_chooses(browser: Browser, place: tuple[Shop, str]) -> None:
    """From afar a seat is smaller than a fingertip: a tap zooms until it is 24 pixels large."""
    shop, address = place
    context = browser.new_context(viewport=PHONE, has_touch=True, locale="en-GB", reduced_motion="reduce")  # type: ignore[arg-type]
    page = open_seats(context, address)
    seat = shop.free(1, 400)[0]
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    x, y = page.evaluate(PLACE, seat)
    page.touchscreen.tap(box["x"] + x, box["y"] + y)
    page.wait_for_function(f"() => ({PITCH})() >= 24")
    expect(page.locator("#chosen")).to_be_hidden()
    click(page, seat, touch=True)
    expect(page.locator("#chosen-list li")).to_have_count(1)
    context.close()


def test_prices_can_be_filtered_and_filtered_seats_are_no_target(
    fan: BrowserContext, place: tuple[Shop, str]
) -> None:
    """What is not asked for fades; a tap on it chooses nothing else by accident."""
    shop, address = place
    page = open_seats(fan, address)
    page.get_by_role("button", name="Premium").click()
    expect(page.get_by_role("button", name="Premium")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#said")).to_contain_text("Showing Premium")
    seat = next(seat for seat in shop.free(4, 700) if shop.octets[seat] >> 4 == 1)
    click(page, seat)
    page.wait_for_timeout(300)
    expect(
        page.locator(f"#chosen-list li:has-text('Stalls centre, row {shop.where[seat][1]}')")
    ).to_have_count(0)
    page.get_by_role("button", name="Premium").click()
    click(page, seat)
    expect(page.locator("#chosen-list li")).to_have_count(1)


# ------------------------------------------------------------------------------------- without scripts
def test_without_scripts_the_best_seats_are_held_and_reserved(
    plain_fan: BrowserContext, place: tuple[Shop, str]
) -> None:
    """Two forms and two redirects; nothing is lost by a reload."""
    _, address = place
    page = plain_fan.new_page()
    page.goto(address + "/events/northern-lights")
    page.get_by_text("Or let us choose").click()
    page.get_by_label("Seats").select_option("3")
    page.get_by_role("button", name="Find and hold").click()
    expect(page.locator(".lines li")).to_have_count(3)
    page.reload()
    page.get_by_role("button", name="Continue").click()

    expect(page.locator("h1")).to_contain_text("Your seats are reserved until")


# --------------------------------------------------------------------------------------- weight, axe
def test_the_page_its_style_and_its_scripts_weigh_less_than_60_kilobytes(
    fan: BrowserContext, place: tuple[Shop, str]
) -> None:
    """Compressed, without layout and map."""
    _, address = place
    html = fan.request.get(address + SEATS).body()
    names = [
        "shop.css",
        "seats.css",
        "aurora.svg",
        "seats.js",
        "words.en.js",
        *(f"{one}.js" for one in SEAT_MODULES),
    ]
    weight = len(gzip.compress(html)) + sum(len(assets()[name].gzip) for name in names)

    assert weight <= PAGE_BYTES


def test_axe_finds_nothing_on_any_page_in_either_scheme(browser: Browser) -> None:
    """Programme, event, seats in their states, list, hold, reservation, goodbye."""
    found: dict[str, Any] = {}
    with serving(Scene()) as (shop, address):
        for scheme, language in (("light", "en-GB"), ("dark", "de-DE")):
            context = browser.new_context(
                color_scheme=scheme, locale=language, reduced_motion="reduce", viewport=PHONE
            )  # type: ignore[arg-type]
            page = context.new_page()

            def look(name: str, page: Page = page, scheme: str = scheme) -> None:
                if wrong := axe.violations(page):
                    found[f"{name} {scheme}"] = wrong

            for path in ("/", "/?q=nothing", "/events/northern-lights", "/nowhere", "/finish"):
                page.goto(address + path)
                if path != "/finish":
                    look(path)
            page = open_seats(context, address)
            look("seats", page)
            # What is scrolled away behind the panel stands on no paper that a picture could show: make it all fit.
            page.set_viewport_size({"width": 390, "height": 3000})
            page.goto(address + SEATS + "?view=list")
            page.wait_for_function(LIVE)
            page.locator("#list summary").first.click()
            page.locator(".row summary").first.click()
            page.locator("button[data-state=free]").first.click()
            look("list", page)
            page.goto(address + SEATS)
            page.wait_for_function(LIVE)
            page.click("#best-go")
            page.wait_for_selector(".hold")
            look("held", page)
            page.click(".continue")
            page.wait_for_url("**/reservation/*")
            look("reserved", page)
            context.close()
        del shop
    assert found == {}


def test_axe_notices_a_seat_without_a_name(fan: BrowserContext, place: tuple[Shop, str]) -> None:
    """Mutant: what the test above would miss if axe did not run."""
    _, address = place
    page = open_seats(fan, address)
    page.evaluate("() => document.getElementById('zoom-in').removeAttribute('aria-label')")

    assert any(line.startswith("button-name") for line in axe.violations(page))
