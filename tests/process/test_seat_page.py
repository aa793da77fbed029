"""The seat page in a real browser: choosing, holding, losing, and all until the reservation."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from bench.scripted_shop import Scene, Shop, serving
from tests.process.looking import complaints, until
from tests.process.seating import becomes, choose, click, open_seats

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


# ------------------------------------------------------------------------------------- choose and hold
def test_three_seats_are_clicked_held_and_turn_grey_for_others_without_reload(
    fan: BrowserContext, place: tuple[Shop, str]
) -> None:
    """The acceptance of the interactive map: two tabs, one hold, no reload, nothing that the browser objects to."""
    shop, address = place
    mine, other = open_seats(fan, address), open_seats(fan, address)
    objections = complaints(mine)
    seats = shop.free(3, 400)
    choose(mine, seats)
    mine.click("#hold-go")

    expect(mine.locator(".hold .lines li")).to_have_count(3)
    expect(mine.locator(".hold .remaining")).to_have_text("2:59")
    for seat in seats:
        becomes(other, seat, 1)
    assert objections == []


def test_what_is_held_keeps_its_currency_when_another_is_chosen_and_the_page_says_so(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """The panel shows the hold in what it will be charged in, whatever the prices around it are shown in."""
    _, address = place
    scene.currencies = ("JPY", "EUR")
    page = open_seats(fan, address)
    page.click("#best-go")
    held = page.locator(".hold")
    expect(held.locator(".charged")).to_have_text("Charged in JPY, exactly this amount")
    expect(held.locator(".kept")).to_be_hidden()
    yen = held.locator(".total").inner_text()
    scene.currencies = ("EUR", "JPY")
    page.reload()

    expect(held.locator(".total")).to_have_text(yen)
    expect(held.locator(".charged")).to_have_text("Charged in JPY, exactly this amount")
    expect(held.locator(".kept")).to_contain_text("These seats keep their currency, JPY.")
    assert "JP¥" in yen
    expect(page.locator("#tiers .chip").first).to_contain_text("€")


def test_a_seat_that_others_take_leaves_the_choice_and_the_nearest_is_offered(
    fan: BrowserContext, place: tuple[Shop, str]
) -> None:
    """What is only chosen is nobody's yet; the page says so and has a way on."""
    shop, address = place
    page = open_seats(fan, address)
    seats = shop.free(2, 400)
    choose(page, seats)
    shop.others_take(seats[:1])

    expect(page.locator("#notice-title")).to_have_text("Somebody was faster")
    expect(page.locator("#alarm")).to_contain_text("has just been taken")
    page.locator("#notice-actions button").click()
    expect(page.locator("#chosen-list li")).to_have_count(2)


def test_a_conflict_names_the_seats_that_are_gone(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """All or nothing: after a 409 nothing is held, the lost seat is named and the rest stays marked."""
    shop, address = place
    page = open_seats(fan, address)
    seats = shop.free(3, 400)
    choose(page, seats)
    scene.refusals.append((409, {"code": "seats-taken", "taken": [{"seat": seats[1], "status": 1}]}))
    page.click("#hold-go")

    expect(page.locator("#notice-title")).to_have_text("One seat is gone")
    expect(page.locator("#notice-text")).to_contain_text(f"seat {shop.where[seats[1]][2]}")
    expect(page.locator("#chosen-list li")).to_have_count(2)
    assert shop.holds == {}


def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """The hold was made, its answer lost: the retry finds it, and there is one hold."""
    shop, address = place
    page = open_seats(fan, address)
    scene.lose_answers = 2
    page.click("#best-go")

    expect(page.locator(".hold .lines li")).to_have_count(2)
    assert len(set(scene.keys)) == 1
    assert len(scene.keys) == 3
    assert len(shop.holds) == 1


def test_the_key_test_notices_a_new_key_for_each_try(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """Mutant: with a fresh key a lost answer makes a second hold, and we would see it."""
    shop, address = place
    page = open_seats(fan, address)
    fresh = iter("abcdef")
    page.route(
        "**/holds",
        lambda route: route.continue_(headers={**route.request.headers, "idempotency-key": next(fresh) * 22}),
    )
    scene.lose_answers = 1
    page.click("#best-go")
    expect(page.locator(".hold")).to_have_count(1)

    assert len(shop.holds) == 2


def test_when_nothing_answers_trying_again_is_still_the_same_request(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """Four tries, then words; the button keeps the key."""
    shop, address = place
    page = open_seats(fan, address)
    scene.lose_answers = 4
    page.click("#best-go")
    expect(page.locator("#notice")).to_be_visible(timeout=15_000)
    page.get_by_role("button", name="Try again").click()

    expect(page.locator(".hold .lines li")).to_have_count(2)
    assert len(set(scene.keys)) == 1
    assert len(shop.holds) == 1


def test_the_limit_is_told_before_the_server_is_asked(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """Held and chosen seats count together."""
    scene.max_per_buyer = 2
    shop, address = place
    page = open_seats(fan, address)
    seats = shop.free(3, 400)
    choose(page, seats[:2])
    click(page, seats[2])

    expect(page.locator("#notice-text")).to_contain_text("At most 2 tickets")
    expect(page.locator("#chosen-list li")).to_have_count(2)


# ------------------------------------------------------------------------------------- while it is held
def test_a_reload_and_a_second_tab_find_the_hold_again(fan: BrowserContext, place: tuple[Shop, str]) -> None:
    """The hold is the server's; the page only shows it."""
    _, address = place
    page = open_seats(fan, address)
    page.click("#best-go")
    expect(page.locator(".hold")).to_have_count(1)
    page.reload()
    expect(page.locator(".hold .lines li")).to_have_count(2)
    expect(open_seats(fan, address).locator(".hold .lines li")).to_have_count(2)


def test_who_holds_seats_asks_now_and_then_so_that_the_door_stays_open(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """A visit inside is prolonged by each request: half a minute without a click must not end it before the hold."""
    _, address = place
    page = open_seats(fan, address)
    later = "() => { const now = performance.now.bind(performance); performance.now = () => now() + 31_000; }"
    page.evaluate(later)
    page.wait_for_timeout(1_500)
    before = scene.seen["mine"]
    page.click("#best-go")
    expect(page.locator(".hold")).to_have_count(1)
    page.evaluate(later)
    until(page, lambda: scene.seen["mine"] > before)

    assert before == 1


def test_more_time_is_given_once(fan: BrowserContext, place: tuple[Shop, str]) -> None:
    """The button goes when it has been used; the time is the old end plus as much again."""
    _, address = place
    page = open_seats(fan, address)
    page.click("#best-go")
    page.get_by_role("button", name="More time").click()

    expect(page.locator(".hold .remaining")).to_contain_text("5:5")
    expect(page.get_by_role("button", name="More time")).to_be_hidden()


def test_the_end_of_the_time_is_announced_and_explained(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """At 20 seconds a word, at the end what happened and what can be done."""
    scene.hold_s = 21.5
    shop, address = place
    page = open_seats(fan, address)
    page.click("#best-go")
    expect(page.locator("#alarm")).to_contain_text("seconds left to decide")
    scene.hold_s = 60
    shop.expire()
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".hold")).to_have_count(0)


def test_a_hold_that_ran_out_can_be_tried_again(
    fan: BrowserContext, place: tuple[Shop, str], scene: Scene
) -> None:
    """The same seats, if they are still free."""
    scene.hold_s = 2
    shop, address = place
    page = open_seats(fan, address)
    page.click("#best-go")
    expect(page.locator("#notice-title")).to_have_text("Your time is over")
    shop.expire()
    page.get_by_role("button", name="Hold the same seats again").click()
    expect(page.locator(".hold .lines li")).to_have_count(2)


def test_giving_back_frees_the_seats_for_others(fan: BrowserContext, place: tuple[Shop, str]) -> None:
    """Within a second, on every page."""
    shop, address = place
    page, other = open_seats(fan, address), open_seats(fan, address)
    page.click("#best-go")
    expect(page.locator(".hold")).to_have_count(1)
    seats = [seat["seat"] for seat in next(iter(shop.holds.values()))["seats"]]
    page.get_by_role("button", name="Give back").click()

    expect(page.locator(".hold")).to_have_count(0)
    becomes(other, seats[0], 0)


def test_continue_leads_to_the_reservation_in_good_words(
    fan: BrowserContext, place: tuple[Shop, str]
) -> None:
    """Reserved until when, what comes next, and how to give the seats back."""
    _, address = place
    page = open_seats(fan, address)
    page.click("#best-go")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reservation/*")

    expect(page.locator("h1")).to_contain_text("Your seats are reserved until")
    expect(page.locator(".lead")).to_contain_text("Payment is the next step")
    expect(page.locator(".lines li")).to_have_count(2)
    page.get_by_role("button", name="Give the seats back").click()
    expect(page.locator("h1")).to_have_text("The seats are given back")
