"""Shop screenshots: every page and state of the shop, on phone and desktop, light and dark, in some languages.

Run: ``python -m bench.shop_screenshots OUTDIR [STATE …]`` (``--languages en,de``). Chromium looks at a scripted shop;
each state has its own scene, so that a picture shows what it is named after and nothing else.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench.screenshots import CHROMIUM_ARGS, SCHEMES, SIZES
from bench.scripted_shop import Scene, Shop, serving

EVENT = "/events/northern-lights"
SEATS = f"{EVENT}/seats"
LIVE = "() => document.getElementById('map').hall?.look.tally()"
SHOW = "(seats) => document.getElementById('map').hall.map.show(seats)"
PLACE = "(seat) => document.getElementById('map').hall.map.place(seat)"
NEAR = 400


@dataclass(frozen=True)
class Shot:
    """A picture: the scene, where to look, what is done before it is taken, and whether scripts run."""

    path: str
    act: Callable[[Page, Shop], None] = lambda _page, _shop: None
    scene: dict[str, object] = field(default_factory=dict)
    scripts: bool = True
    whole: bool = True


def live(page: Page, _shop: Shop) -> None:
    """Wait for the map."""
    page.wait_for_function(LIVE)
    page.wait_for_timeout(500)


def chosen(page: Page, shop: Shop) -> list[int]:
    """Choose three seats side by side."""
    live(page, shop)
    seats = shop.free(3, NEAR)
    page.evaluate(SHOW, seats)
    page.wait_for_timeout(400)
    for seat in seats:
        x, y = page.evaluate(PLACE, seat)
        page.locator("#canvas").click(position={"x": x, "y": y})
        page.wait_for_timeout(200)
        page.evaluate(SHOW, seats)
    page.mouse.move(2, 2)
    page.wait_for_timeout(400)
    return seats


def choosing(page: Page, shop: Shop) -> None:
    """Choose, and leave it at that."""
    chosen(page, shop)


def beaten(page: Page, shop: Shop) -> None:
    """Lose one of them."""
    shop.others_take(chosen(page, shop)[:1])
    page.wait_for_selector("#notice:not([hidden])")
    page.wait_for_timeout(300)


def conflict(page: Page, shop: Shop) -> None:
    """Lose one of them at the last moment."""
    seats = chosen(page, shop)
    taken = [{"seat": seats[0], "status": 1}]
    shop.scene.refusals.append((409, {"code": "seats-taken", "taken": taken}))
    page.click("#hold-go")
    page.wait_for_selector("#notice:not([hidden])")
    page.wait_for_timeout(300)


def held(page: Page, shop: Shop) -> None:
    """Hold the best."""
    live(page, shop)
    page.click("#best-go")
    page.wait_for_selector(".hold")
    page.wait_for_timeout(500)


def expired(page: Page, shop: Shop) -> None:
    """Let the time run out."""
    held(page, shop)
    page.wait_for_selector("#notice:not([hidden])")


def listed(page: Page, shop: Shop) -> None:
    """Open the list, a section and a row."""
    live(page, shop)
    page.click("#as-list")
    page.locator("#list summary").nth(1).click()
    page.locator(".row summary").nth(1).click()
    page.wait_for_timeout(300)


def filtered(page: Page, shop: Shop) -> None:
    """Look at two prices alone."""
    live(page, shop)
    for at in (0, 2):
        page.locator(".chip").nth(at).click()
    page.wait_for_timeout(400)


def near(page: Page, shop: Shop) -> None:
    """Look closely."""
    live(page, shop)
    page.evaluate(SHOW, shop.free(4, 20_000))
    page.wait_for_timeout(600)


def sold_out(page: Page, shop: Shop) -> None:
    """Sell the rest."""
    shop.sell_out()
    page.reload()


def waitlisted(page: Page, shop: Shop) -> None:
    """Join the waitlist."""
    sold_out(page, shop)
    live(page, shop)
    page.click("#waitlist-join")
    page.wait_for_selector("#waitlist-place:not([hidden])")


def offline(page: Page, shop: Shop) -> None:
    """Cut the line."""
    live(page, shop)
    shop.scene.cut = True
    page.wait_for_selector("#link:not([hidden])")


def reserved(page: Page, shop: Shop) -> None:
    """Reserve."""
    held(page, shop)
    page.click(".continue")
    page.wait_for_url("**/reservation/*")


def menus(page: Page, shop: Shop) -> None:
    """Open the choice of languages over the map."""
    live(page, shop)
    page.locator("details.lang summary").click()
    page.wait_for_timeout(200)


def fields(page: Page, _shop: Shop) -> None:
    """Wait for the card fields."""
    page.locator("#fields button").wait_for()
    page.wait_for_timeout(300)


def fields_wrong(page: Page, shop: Shop) -> None:
    """Send them with nothing chosen."""
    fields(page, shop)
    page.locator("#fields button").click()
    page.wait_for_selector("#fields-wrong:not([hidden])")


def fields_away(page: Page, _shop: Shop) -> None:
    """Keep the provider's script away."""
    page.route("**/v3/", lambda route: route.abort())
    page.reload()
    page.wait_for_selector("#fields-wrong:not([hidden])")


def kept(page: Page, shop: Shop) -> None:
    """Hold, and choose another currency then."""
    held(page, shop)
    shop.scene.currencies = tuple(reversed(shop.scene.currencies))
    page.reload()
    page.wait_for_selector(".hold")
    page.wait_for_timeout(500)


def plain_held(page: Page, _shop: Shop) -> None:
    """Hold without scripts."""
    page.locator("details.fold summary").click()
    page.locator(".plainform button").click()
    page.wait_for_url("**/hold")


SHOTS: dict[str, Shot] = {
    "programme": Shot("/"),
    "search-none": Shot("/?q=opera"),
    "event": Shot(EVENT),
    "event-before": Shot(EVENT, scene={"opens_in_s": 5000.0}),
    "event-soldout": Shot(EVENT, sold_out),
    "event-over": Shot(EVENT, scene={"over": True}),
    "event-cancelled": Shot(EVENT, scene={"cancelled": True}),
    "seats": Shot(SEATS, live, whole=False),
    "seats-arena": Shot(SEATS, live, {"hall": "arena"}, whole=False),
    "seats-arena-near": Shot(SEATS, near, {"hall": "arena"}, whole=False),
    "seats-filtered": Shot(SEATS, filtered, whole=False),
    "seats-chosen": Shot(SEATS, choosing, whole=False),
    "seats-beaten": Shot(SEATS, beaten, whole=False),
    "seats-conflict": Shot(SEATS, conflict, whole=False),
    "seats-held": Shot(SEATS, held, whole=False),
    "seats-late": Shot(SEATS, held, {"hold_s": 45.0}, whole=False),
    "seats-expired": Shot(SEATS, expired, {"hold_s": 2.0}, whole=False),
    "seats-list": Shot(SEATS, listed, whole=False),
    "seats-before": Shot(SEATS, live, {"opens_in_s": 5000.0}, whole=False),
    "seats-soldout": Shot(SEATS, sold_out, whole=False),
    "seats-waitlist": Shot(SEATS, waitlisted, whole=False),
    "seats-crowded": Shot(
        SEATS, lambda page, _: page.wait_for_timeout(900), {"sections_only": True}, whole=False
    ),
    "seats-offline": Shot(SEATS, offline, whole=False),
    "reserved": Shot(SEATS, reserved),
    "event-currencies": Shot(EVENT, scene={"currencies": ("EUR", "CHF", "JPY"), "offer": "CHF"}),
    "event-menu": Shot(EVENT, lambda page, _: page.locator("details.lang summary").click(), whole=False),
    "seats-menu": Shot(SEATS, menus, {"currencies": ("EUR", "CHF", "JPY")}, whole=False),
    "reserved-currencies": Shot(SEATS, reserved, {"currencies": ("EUR", "CHF", "JPY")}),
    "order-to-pay": Shot(f"{EVENT}/order/to-pay"),
    "order-dinars": Shot(f"{EVENT}/order/to-pay", scene={"currencies": ("KWD", "EUR")}),
    "order-yen": Shot(f"{EVENT}/order/to-pay", scene={"currencies": ("JPY", "EUR")}),
    "order-fields": Shot(f"{EVENT}/order/to-pay?fields=1", fields),
    "order-fields-wrong": Shot(f"{EVENT}/order/declined?fields=1", fields_wrong),
    "order-fields-away": Shot(f"{EVENT}/order/to-pay?fields=1", fields_away),
    "order-fields-plain": Shot(f"{EVENT}/order/to-pay?fields=1", scripts=False),
    "bank": Shot("/bank"),
    "event-unmet": Shot(EVENT, scene={"unmet": "JPY"}),
    "seats-unmet": Shot(SEATS, live, {"unmet": "JPY"}, whole=False),
    "seats-kept": Shot(SEATS, kept, {"currencies": ("JPY", "EUR")}, whole=False),
    "order-pending": Shot(f"{EVENT}/order/pending"),
    "order-declined": Shot(f"{EVENT}/order/declined"),
    "order-action": Shot(f"{EVENT}/order/action"),
    "order-paid": Shot(f"{EVENT}/order/paid"),
    "order-refunded": Shot(f"{EVENT}/order/refunded"),
    "finish": Shot("/finish"),
    "missing": Shot("/nowhere"),
    "plain-seats": Shot(SEATS, scripts=False, whole=False),
    "plain-held": Shot(EVENT, plain_held, scripts=False),
}


def main() -> None:
    """Take the pictures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("states", nargs="*", choices=[*SHOTS, []])
    asked.add_argument("--languages", default="en,de")
    options = asked.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        for name in options.states or SHOTS:
            shot = SHOTS[name]
            for size, (width, height) in SIZES.items():
                for scheme in SCHEMES:
                    for language in options.languages.split(","):
                        context = browser.new_context(
                            viewport={"width": width, "height": height},
                            color_scheme=scheme,
                            java_script_enabled=shot.scripts,
                            reduced_motion="reduce",
                            locale=language,
                            timezone_id="Europe/Berlin",
                        )
                        with serving(Scene(**shot.scene)) as (shop, address):  # type: ignore[arg-type]
                            page = context.new_page()
                            page.goto(address + shot.path)
                            shot.act(page, shop)
                            picture = options.folder / f"{name}-{size}-{scheme}-{language}.png"
                            page.screenshot(path=picture, full_page=shot.whole)
                        context.close()
            sys.stderr.write(f"{name}\n")
        browser.close()


if __name__ == "__main__":
    main()
