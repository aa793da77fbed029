"""The real shop in real browsers: gate, waiting page, shop processes, store and SQL, from the door to a reservation.

What ``test_seat_page*`` show of the page in front of a scripted hall is shown here of everything together, once.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.process.looking import PATIENCE_MS, complaints
from tests.process.seating import LIVE, becomes, choose, click
from tests.process.test_demo import Demo, demo, wait_until

pytestmark = [pytest.mark.process, pytest.mark.browser]

EVENING = "/events/northern-lights"
ARENA = "/events/small-hours"
IN_MS = 60_000
"""The demo lets two a second in; a busy machine takes its time."""

FREE = """(count) => {
  const {look, plan} = document.getElementById('map').hall;
  const bytes = look.bytes();
  for (const section of plan.sections) for (const row of section.rows ?? []) {
    let run = [];
    for (let seat = row.first; seat < row.first + row.count; seat += 1) {
      run = bytes[seat] % 16 === 0 ? [...run, seat] : [];
      if (run.length === count) return run;
    }
  }
  return [];
}"""
"""Find so many free seats side by side in what the page knows."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the demo with two gate workers and two shop workers.

    A machine that is busy with other work must not turn maps into sections: that is another test's matter.
    """
    settings = tmp_path_factory.mktemp("settings") / "demo.toml"
    settings.write_text("shop_lag_ms = 60000.0\n")
    words = ["--workers", "2", "--shop-workers", "2", "--settings", str(settings)]
    with demo(tmp_path_factory.mktemp("live"), *words) as shared:
        yield shared


def profile(browser: Browser, **more: object) -> BrowserContext:
    """Open a browser of somebody else."""
    context = browser.new_context(locale="en-GB", reduced_motion="reduce", **more)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    return context


def enter(fan: BrowserContext, running: Demo, path: str = "/") -> Page:
    """Come to the site, wait on the waiting page, and be let in by it."""
    page = fan.new_page()
    page.goto(running.site + path)
    page.wait_for_selector("a.brand, header.masthead", timeout=IN_MS)
    return page


def hall(page: Page, running: Demo, event: str = EVENING) -> Page:
    """Open the hall and wait for its map."""
    page.goto(f"{running.site}{event}/seats")
    page.wait_for_function(LIVE)
    return page


def free(page: Page, count: int) -> list[int]:
    """Find free seats side by side."""
    found: list[int] = page.evaluate(FREE, count)
    assert len(found) == count
    return found


def test_from_the_waiting_page_to_a_reservation_and_others_see_it_without_reload(
    browser: Browser, running: Demo
) -> None:
    """Door, programme, evening, map, hold, reservation; a second browser sees the seats grey, then free again."""
    fan, other = profile(browser), profile(browser)
    page = fan.new_page()
    page.goto(running.site + "/")
    assert page.locator("html").get_attribute("data-state") is not None
    page.wait_for_selector("a.brand", timeout=IN_MS)
    expect(page.locator("h1")).to_have_text("Evenings worth the wait")
    objections = complaints(page)
    page.get_by_role("link", name=re.compile("Northern Lights")).click()
    expect(page.locator("h1")).to_have_text("Northern Lights")
    page.get_by_role("link", name="Choose seats").click()
    page.wait_for_function(LIVE)
    watcher = hall(enter(other, running), running)
    seats = free(page, 3)

    choose(page, seats)
    page.click("#hold-go")
    expect(page.locator(".hold .lines li")).to_have_count(3)
    for seat in seats:
        becomes(watcher, seat, 1)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reservation/*")
    expect(page.locator("h1")).to_contain_text("Your seats are reserved until")
    expect(page.locator(".lines li")).to_have_count(3)
    for seat in seats:
        becomes(watcher, seat, 2)
    page.get_by_role("button", name="Give the seats back").click()
    expect(page.locator("h1")).to_have_text("The seats are given back")
    for seat in seats:
        becomes(watcher, seat, 0)
    assert objections == []
    fan.close()
    other.close()


def test_a_seat_that_somebody_chose_and_another_held_is_told_and_another_is_offered(
    browser: Browser, running: Demo
) -> None:
    """Two want the same; one gets it, the other hears so at once and has a way on."""
    fan, other = profile(browser), profile(browser)
    page, rival = (hall(enter(one, running), running) for one in (fan, other))
    seats = free(page, 2)
    choose(page, seats)
    choose(rival, seats)
    rival.click("#hold-go")

    expect(rival.locator(".hold .lines li")).to_have_count(2)
    expect(page.locator("#notice-title")).to_have_text("Somebody was faster")
    page.locator("#notice-actions button").click()
    page.click("#hold-go")
    expect(page.locator(".hold .lines li")).to_have_count(2)
    rival.get_by_role("button", name="Give back").click()
    page.get_by_role("button", name="Give back").click()
    fan.close()
    other.close()


def test_more_time_a_reload_and_the_best_seats_in_the_arena(browser: Browser, running: Demo) -> None:
    """A hold outlives a reload and is made longer once; sixty thousand places are drawn, sought and held."""
    fan = profile(browser)
    page = hall(enter(fan, running), running, ARENA)
    page.click("#best-go")
    expect(page.locator(".hold .lines li")).to_have_count(2)
    page.reload()
    expect(page.locator(".hold .lines li")).to_have_count(2)
    page.get_by_role("button", name="More time").click()
    expect(page.locator(".hold .extend")).to_be_hidden()
    page.get_by_role("button", name="Give back").click()
    expect(page.locator(".hold")).to_have_count(0)
    fan.close()


def test_the_whole_way_on_a_phone_without_scripts(browser: Browser, running: Demo) -> None:
    """The waiting page's own plain way in, then two forms and two redirects."""
    fan = profile(browser, java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = fan.new_page()
    page.goto(running.site + EVENING)
    page.locator("form[action*='/join'] button").click()
    page.get_by_role("button", name="Go in now").click(timeout=IN_MS)
    page.wait_for_selector("a.brand")
    page.goto(running.site + EVENING)
    page.get_by_text("Or let us choose").click()
    page.get_by_label("Seats").select_option("2")
    page.get_by_role("button", name="Find and hold").click()
    expect(page.locator(".lines li")).to_have_count(2)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("h1")).to_contain_text("Your seats are reserved until")
    page.get_by_role("button", name="Give the seats back").click()
    expect(page.locator("h1")).to_have_text("The seats are given back")
    fan.close()


def test_a_shop_process_that_dies_is_noticed_by_no_map(browser: Browser, running: Demo) -> None:
    """The stream comes back by itself, to whichever process is there; what changed meanwhile is on the map."""
    fan, other = profile(browser), profile(browser)
    watcher, page = (hall(enter(one, running), running) for one in (fan, other))
    seat = free(watcher, 1)[0]
    for pid, command in running.family.items():
        if "worker shop" in command:
            os.kill(pid, signal.SIGKILL)
    click(page, seat)
    page.click("#hold-go")
    expect(page.locator(".hold .lines li")).to_have_count(1, timeout=IN_MS)

    watcher.wait_for_function(
        "(seat) => document.getElementById('map').hall.look.bytes()[seat] % 16 === 1", arg=seat, timeout=IN_MS
    )
    page.get_by_role("button", name="Give back").click()
    expect(page.locator(".hold")).to_have_count(0)
    fan.close()
    other.close()


def test_afterwards_every_invariant_holds(running: Demo) -> None:
    """Nothing was sold twice and nothing was lost, as the checker sees it in SQL and in the store."""
    told = subprocess.run(
        [sys.executable, "-m", "gateway", "shop", "check", "--live", "--data", str(running.data)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stdout
    assert told.stdout.count("every invariant holds") == 4


def test_what_is_sold_out_is_said_at_the_door_and_what_comes_back_opens_it_again(
    browser: Browser, running: Demo
) -> None:
    """The organiser takes every seat of every evening off sale: nobody waits for nothing; then seats come back."""
    seats = dict.fromkeys(("northern-lights", "paper-lanterns", "late-trains"), 2000)
    seats["small-hours"] = 60_000
    stranger = profile(browser)
    page = stranger.new_page()
    with organiser(running) as api:
        for event, count in seats.items():
            taken = api.post(f"/events/{event}/block", json={"seats": list(range(count))})
            assert taken.status_code == 200, taken.text
        wait_until("sold out", lambda: stock(running) == ("soldout", 0))
        page.goto(running.site + "/")
        expect(page.get_by_role("heading", name="Everything is sold")).to_be_visible(timeout=IN_MS)

        for event, count in seats.items():
            api.post(f"/events/{event}/unblock", json={"seats": list(range(count))}).raise_for_status()
        wait_until("on sale again", lambda: stock(running) == ("selling", 66_000))
        page.reload()
        page.wait_for_selector("a.brand", timeout=IN_MS)
    stranger.close()


def organiser(running: Demo) -> httpx.Client:
    """Give a client of the organiser's API."""
    address = re.search(r"(http://\S+)/organiser/", running.welcome)
    assert address is not None
    token = (running.data / "organiser-token").read_text().strip()
    return httpx.Client(
        base_url=f"{address[1]}/organiser/api",
        headers={"authorization": f"Bearer {token}"},
        timeout=IN_MS / 1000,
    )


def stock(running: Demo) -> tuple[str | None, int | None]:
    """Read what the waiting page says is left."""
    said = httpx.get(f"{running.site}/.waitroom/r/main/status").json()["stock"]
    return said["state"], said["left"]
