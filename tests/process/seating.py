"""Seating: what the tests of the seat page say to a browser in front of the scripted shop."""

from playwright.sync_api import BrowserContext, Page, expect

SEATS = "/events/northern-lights/seats"
WITHIN_A_SECOND_MS = 1000
PLACE = "(seat) => document.getElementById('map').hall.map.place(seat)"
SHOW = "(seats) => document.getElementById('map').hall.map.show(seats)"
BYTE = "(seat) => document.getElementById('map').hall.look.bytes()[seat]"
PITCH = "() => document.getElementById('map').hall.map.pitch"
LIVE = "() => document.getElementById('map').hall?.look.tally()"


def open_seats(fan: BrowserContext, address: str, query: str = "") -> Page:
    """Open the seat page and wait until it has the map."""
    page = fan.new_page()
    page.goto(address + SEATS + query)
    page.wait_for_function(LIVE)
    return page


def click(page: Page, seat: int, *, touch: bool = False) -> None:
    """Press a seat on the map; bring it near first."""
    page.evaluate(SHOW, [seat])
    x, y = page.evaluate(PLACE, seat)
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    if touch:
        page.touchscreen.tap(box["x"] + x, box["y"] + y)
    else:
        page.mouse.click(box["x"] + x, box["y"] + y)


def choose(page: Page, seats: list[int]) -> None:
    """Press seats and see them chosen."""
    for count, seat in enumerate(seats, 1):
        click(page, seat)
        expect(page.locator("#chosen-list li")).to_have_count(count)


def becomes(page: Page, seat: int, status: int) -> None:
    """Wait until the page's own copy of the map says so, at most a second."""
    page.wait_for_function(
        f"([seat, status]) => ({BYTE})(seat) % 16 === status", arg=[seat, status], timeout=WITHIN_A_SECOND_MS
    )
