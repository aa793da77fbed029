"""The seat page lives: what others do, a stream that breaks, overload, and the seasons of a sale."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from bench.scripted_shop import Scene, Shop, serving
from tests.process.seating import BYTE, SEATS, becomes, open_seats

pytestmark = [pytest.mark.process, pytest.mark.browser]


@pytest.fixture
def scene() -> Scene:
    """Give a theatre, a third of it taken."""
    return Scene()


@pytest.fixture
def place(scene: Scene) -> Iterator[tuple[Shop, str]]:
    """Serve the scene."""
    with serving(scene) as (shop, address):
        yield shop, address


# ------------------------------------------------------------------------------------------------ live
def test_a_broken_stream_goes_on_where_it_stopped(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """What changed in between arrives; the map is not fetched again while the copy is good."""
    shop, address = place
    page = open_seats(fan, address)
    seats = shop.free(2, 400)
    becomes(page, seats[0], 0)
    scene.cut = True
    expect(page.locator("#link")).to_be_visible()
    shop.others_take(seats)
    scene.cut = False

    page.wait_for_function(f"(seat) => ({BYTE})(seat) % 16 === 1", arg=seats[0])
    expect(page.locator("#link")).to_be_hidden()
    assert scene.seen["map"] == 1


def test_a_reset_and_a_wrong_mark_make_the_page_fetch_the_map_again(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """A copy that cannot be mended is made anew."""
    shop, address = place
    page = open_seats(fan, address)
    seat = shop.free(1, 400)[0]
    shop.octets[seat] |= 3
    shop.check()
    page.wait_for_function(f"(seat) => ({BYTE})(seat) % 16 === 3", arg=seat)
    shop.octets[seat] &= 0xF0
    shop.reset()
    page.wait_for_function(f"(seat) => ({BYTE})(seat) % 16 === 0", arg=seat)
    assert scene.seen["map"] == 3


def test_under_overload_sections_are_shown_and_seats_are_chosen_for_the_fan(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """Said honestly; a hold goes on as ever."""
    scene.sections_only = True
    _, address = place
    page = fan.new_page()
    page.goto(address + SEATS)

    expect(page.locator("#crowded")).to_contain_text("Many people are looking")
    page.click("#best-go")
    expect(page.locator(".hold .lines li")).to_have_count(2)


# ------------------------------------------------------------------------------------ seasons of a sale
def test_before_the_sale_there_is_a_clock_and_then_it_opens_by_itself(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """The server's clock counts; nothing has to be reloaded."""
    scene.opens_in_s = 5
    _, address = place
    page = open_seats(fan, address)

    expect(page.locator("#closed-title")).to_have_text("Not on sale yet")
    expect(page.locator("#best")).to_be_hidden()
    # It opens five seconds after the page was asked for, so it is looked at for longer.
    expect(page.locator("#best")).to_be_visible(timeout=30_000)
    page.click("#best-go")
    expect(page.locator(".hold")).to_have_count(1)


def test_sold_out_leads_to_the_waitlist_in_one_step(fan: BrowserContext, place: tuple[Shop, str]) -> None:
    """A press, and the place in it is told."""
    shop, address = place
    shop.sell_out()
    page = open_seats(fan, address)
    page.click("#waitlist-join")

    expect(page.locator("#waitlist-text")).to_contain_text("number 14")


def test_the_test_of_greying_notices_a_page_without_its_stream(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """Mutant: without the stream a seat that others take stays free on the page."""
    scene.cut = True
    shop, address = place
    page = open_seats(fan, address)
    # A page that has lost its stream asks for the whole map again after a while; that way is closed, too.
    page.route("**/map", lambda route: route.abort())
    seat = shop.free(1, 400)[0]
    shop.others_take([seat])

    with pytest.raises(PlaywrightTimeout):
        becomes(page, seat, 1)
