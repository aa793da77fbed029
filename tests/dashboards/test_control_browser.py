"""Console in a real browser: it follows the room by itself, and never takes words out of somebody's hands."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright, expect
from redis.asyncio import Redis

from bench import axe
from kernel.clock import ManualClock
from tests.dashboards.desk import FIGURES, MAIN, TOKEN, Counted, app_of
from tests.process.looking import chromium
from waitroom.configure import Actor, Configurations, Lever
from waitroom.words import languages

pytestmark = pytest.mark.browser

BOB = Actor("Bob")
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)
FITS = """(width) => new Promise((done) => {
  // Plots follow the width of their place when the browser has laid it out.
  const look = () => document.documentElement.scrollWidth <= width ? done() : requestAnimationFrame(look);
  look();
})"""
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@asynccontextmanager
async def page_of(
    store: Redis, clock: ManualClock, counted: Counted, *, script: bool = True, **more: Any
) -> AsyncIterator[Page]:
    """Serve the application and open it in Chromium, signed in."""
    # It listens from here on, so the browser may come before the server is up.
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(app_of(store, clock, counted, **more), log_level="warning", lifespan="off")
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        async with async_playwright() as tools:
            browser = await tools.chromium.launch(executable_path=chromium(), args=QUIET)
            context = await browser.new_context(java_script_enabled=script)
            page = await context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            complaints: list[str] = []
            page.on("console", lambda said: complaints.append(said.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(f"http://127.0.0.1:{port}/")
            await page.fill("#who", "Ann Lee")
            await page.fill("#token", TOKEN)
            await page.click("button.main")
            yield page
            assert complaints == []
            await browser.close()
    finally:
        server.should_exit = True
        await serving


async def test_the_page_follows_the_room_and_leaves_typing_alone(store: Redis, clock: ManualClock) -> None:
    """Numbers and switches change by themselves; a field in use stays, also when others change the room."""
    rooms, counted = Configurations(store, clock), Counted()
    await rooms.create(MAIN, BOB)
    async with page_of(store, clock, counted) as page:
        await expect(page.locator("#pulse")).to_have_text("Live")
        await page.fill("#rate", "777")

        counted.now = {**FIGURES, "waiting": 4321}
        await rooms.act("main", Lever.PAUSE, None, None, BOB)
        await expect(page.locator(".figures")).to_contain_text("4,321")
        await expect(page.locator("#switch-button")).to_have_text("Resume")
        await expect(page).to_have_title("1 paused · Waitroom console")
        await expect(page.locator(".changes li").first).to_contain_text("Bob")
        await expect(page.locator("#rate")).to_have_value("777")

        await page.focus("#switch-button")
        await rooms.act("main", Lever.RESUME, None, None, BOB)
        await expect(page.locator("#switch-button")).to_have_text("Stop")
        await expect(page.locator("#switch-button")).to_be_focused()
    assert (await rooms.get("main")).new_users_per_minute == 200


async def test_a_person_stops_and_resumes(store: Redis, clock: ManualClock) -> None:
    """The step before the stop is a dialog, which may be left; what was done is told once, not again after a reload."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, BOB)
    async with page_of(store, clock, Counted()) as page:
        await page.click("#switch-button")
        await expect(page.locator("#stop")).to_contain_text(
            "The line stands still for a moment, for everybody."
        )
        await page.click("#stop button.quiet")
        await expect(page.locator("#stop")).to_be_hidden()
        assert not (await rooms.get("main")).paused
        await page.click("#switch-button")
        await page.fill("#stop-why", "site is slow")
        await page.click("#stop-now")
        await expect(page.locator(".notice")).to_contain_text("Nobody is called until you resume")
        assert (await rooms.get("main")).paused
        await expect(page).to_have_url(page.url.partition("?")[0] + "?room=main")
        await page.reload()
        await expect(page.locator(".notice")).to_have_count(0)
        await page.click("#switch-button")
        await expect(page.locator("#switch-button")).to_have_text("Stop")
    assert not (await rooms.get("main")).paused
    assert [change["why"] for change in await rooms.changes("main", 2)] == ["", "site is slow"]


async def violations(page: Page) -> list[str]:
    """Return what axe objects to on a page, in light and in dark."""
    found = []
    await page.evaluate(axe.script())
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        rules = await page.evaluate(
            "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})"
            ".then((answer) => answer.violations.flatMap((rule) =>"
            " rule.nodes.map((node) => `${rule.id}: ${node.target.join(' ')}`)))",
            axe.TAGS,
        )
        found += [f"{scheme} {rule}" for rule in rules]
    return found


async def test_ten_rooms_fit_on_any_screen_and_axe_finds_nothing(store: Redis, clock: ManualClock) -> None:
    """No sideways scrolling, and the switch is on the first screen, on a small phone as on a desk."""
    rooms = Configurations(store, clock)
    await rooms.create({**MAIN, "description": "A rather long name of a hall and of a tour " * 3}, BOB)
    for number in range(9):
        await rooms.create(
            {**MAIN, "name": f"room-{number}", "path": f"/{number}", "paused": number == 4}, BOB
        )
    async with page_of(store, clock, Counted({**FIGURES, "origin_failure_ratio": 0.3})) as page:
        await expect(page.locator(".tile")).to_have_count(10)
        await expect(page.locator(".tile .pill.halt", has_text="Paused")).to_have_count(1)
        for where in ("overview", "room"):
            if where == "room":
                await page.locator(".tile a", has_text="room-4").click()
                await expect(page.locator("#plots canvas")).to_have_count(4)
            for width in (320, 390, 768, 1280):
                await page.set_viewport_size({"width": width, "height": 844})
                async with asyncio.timeout(PATIENCE_MS / 1000):
                    await page.evaluate(FITS, width)
                if where == "room":
                    await expect(page.locator("#switch-button")).to_be_in_viewport()
            assert await violations(page) == []
        await page.evaluate("document.querySelector('main h1').style.color = '#ccc'")
        await page.evaluate("document.getElementById('rate').labels[0].remove()")
        rules = {line.split()[1] for line in await violations(page)}
        assert {"color-contrast:", "label:"} <= rules  # the mutant: axe does look at this page


async def test_what_is_opened_or_explained_stays_while_numbers_change(
    store: Redis, clock: ManualClock
) -> None:
    """Reached by keyboard, dismissed by Escape, there again when the focus comes back; and the table stays open."""
    counted = Counted()
    await Configurations(store, clock).create(MAIN, BOB)
    async with page_of(store, clock, counted) as page:
        await page.click("#plot-table")
        await page.focus("#tip-inside")
        await expect(page.locator("#why-inside")).to_be_visible()
        counted.now = {**FIGURES, "active_sessions": 444}
        await expect(page.locator(".figures")).to_contain_text("444")
        await expect(page.locator("#why-inside")).to_be_visible()
        await expect(page.locator("#tip-inside")).to_be_focused()
        await expect(page.locator("[data-live=table] table")).to_be_visible()

        await page.keyboard.press("Escape")
        await expect(page.locator("#why-inside")).to_be_hidden()
        await expect(page.locator("#tip-inside")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.locator("#why-let-in")).to_be_visible()
        await page.hover("#tip-called")
        await page.hover("#why-called")
        await expect(page.locator("#why-called")).to_be_visible()


async def test_where_no_stream_comes_through_the_page_asks_by_itself(
    store: Redis, clock: ManualClock
) -> None:
    """A proxy that swallows streams costs two seconds, not the console."""
    counted = Counted()
    await Configurations(store, clock).create(MAIN, BOB)
    async with page_of(store, clock, counted) as page:
        await page.route("**/events*", lambda route: route.fulfill(status=204))
        await page.reload()
        counted.now = {**FIGURES, "waiting": 4321}
        await expect(page.locator(".figures")).to_contain_text("4,321")
        await expect(page.locator("#pulse")).to_have_text("Live")


async def test_without_javascript_every_lever_still_works(store: Redis, clock: ManualClock) -> None:
    """The gate is opened only with the box ticked and a reason given; the step before a stop is a page."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, BOB)
    async with page_of(store, clock, Counted(), script=False) as page:
        await expect(page.locator("#pulse")).to_have_text("Refresh")
        await page.fill("#rate", "42")
        await page.press("#rate", "Enter")
        await expect(page.locator(".notice")).to_contain_text("new rate")
        await page.fill("#message", "Soon.\nThank you.")
        await page.locator('form[action$="/message"] button', has_text="Show").click()
        await expect(page.locator("#message")).to_have_value("Soon.\nThank you.")
        await page.click("#switch-button")
        await page.click("button.halt")
        await expect(page.locator("#switch-button")).to_have_text("Resume")
        await page.click("#switch-button")
        await expect(page.locator("#switch-button")).to_have_text("Stop")
        await page.click(".bypass summary")
        await page.click("button.alarm")
        assert not (await rooms.get("main")).bypass
        await page.fill("#bypass-why", "ours is in the way")
        await page.check("input[name=confirm]")
        await page.click("button.alarm")
        await expect(page.locator(".notice.open")).to_be_visible()
    room = await rooms.get("main")
    assert (room.new_users_per_minute, room.message, room.bypass) == (42, "Soon.\nThank you.", True)


async def test_a_message_is_seen_on_the_waiting_page_itself_and_then_shown(
    store: Redis, clock: ManualClock
) -> None:
    """A ready one, chosen instead of one's own words, in a page of another direction; shares are told as one types."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, BOB)
    async with page_of(store, clock, Counted()) as page:
        await expect(page.locator("#pulse")).to_have_text("Live")
        await page.fill("#lane-suspect", "2,5")
        await expect(page.locator('output[for="lane-suspect"]')).to_have_text("5 a minute")
        await page.fill("#message", "Soon.")
        await page.select_option("#situation", "delay")
        await expect(page.locator("#message")).to_have_value("")
        await page.locator('form[action$="/message"] button', has_text="Preview").click()
        await page.locator(".tongues button", has_text="العربية").click()
        text = languages()["ar"].text("canned.delay")
        await expect(page.frame_locator("iframe").locator("#message")).to_have_text(text)
        for width in (320, 1280):
            await page.set_viewport_size({"width": width, "height": 844})
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await page.locator("button", has_text="Show it to everybody").click()
        await expect(page.locator(".said")).to_contain_text("The start is put off.")
    assert (await rooms.get("main")).message == "canned:delay"
