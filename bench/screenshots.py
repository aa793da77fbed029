"""Screenshots: every state of the waiting page, on phone and desktop, light and dark.

Run: ``python -m bench.screenshots OUTDIR [STATE …]``. Chromium looks at a scripted room, so that rare states
(store away, cookies refused) can be seen as easily as common ones.
"""

import argparse
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.scripted_room import PREFIX, Room, Scene, serving
from waitroom.draw import Shuffle, commitment, draw_id, seed

SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

DRAW = draw_id("main", "0123456789abcdef")
SECRET, ROOT = bytes(range(32)), bytes(range(32, 64))
SEED = seed(DRAW, 20_000, ROOT, secret=SECRET)
DRAWN = {
    "frozen": 20_000,
    "issued": 20_000,
    "root": ROOT.hex(),
    "seed": SEED.hex(),
    "commitment": commitment(DRAW, SECRET).hex(),
}
NUMBER = Shuffle(SEED, 20_000).number(1311)
"""Whoever drew rank 1,311."""


@dataclass(frozen=True)
class Shot:
    """A state: how the room is, what happens before the picture is taken, and with which browser."""

    scene: Callable[[], Scene]
    act: Callable[[Page, Room], None] = lambda page, room: None  # noqa: ARG005 - most states need no act
    wait_for: str = ""
    scripts: bool = True
    path: str = f"{PREFIX}r/main?target=/shop"
    full_page: bool = False


def waiting(**values: object) -> Scene:
    """Make a line of some thousands that moves; the visitor has number 4,310."""
    scene = Scene(issued=6200, next_number=4310, serving=2800, speed=240, plan=200)
    for name, value in values.items():
        setattr(scene, name, value)
    return scene


def drawn(**values: object) -> Scene:
    """Make a line whose order was drawn."""
    return waiting(**(DRAWN | {"next_number": NUMBER, "serving": 0} | values))


def move(page: Page, room: Room) -> None:
    """Let the line move twice under the eyes of the page."""
    for rank in (3300, 3998):
        room.scene.change(serving=rank)
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.wait_for_timeout(1600)


def lose_network(page: Page, _room: Room) -> None:
    """Take the network away."""
    page.wait_for_timeout(500)
    page.context.set_offline(True)
    page.wait_for_timeout(300)


def lose_store(page: Page, room: Room) -> None:
    """Take the store away."""
    page.wait_for_timeout(500)
    room.scene.away = True
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.wait_for_timeout(600)


def ask_to_leave(page: Page, _room: Room) -> None:
    """Open the question whether to leave."""
    page.wait_for_timeout(500)
    page.click("#leave")


def left(page: Page, room: Room) -> None:
    """Leave."""
    ask_to_leave(page, room)
    page.click("dialog button[value=leave]")
    page.wait_for_timeout(400)


def open_proof(page: Page, _room: Room) -> None:
    """Unfold the figures of the draw."""
    page.click("#proof summary")


def take_place(page: Page, _room: Room) -> None:
    """Press the button of the page without JavaScript."""
    page.click("button")
    page.wait_for_timeout(300)


NEXT = (202, {"outcome": "next", "retry_after_ms": 60_000, "ahead_of_you": 7})
SHOTS: dict[str, Shot] = {
    "before": Shot(lambda: Scene(phase="idle", opens_in_s=8000, starts_in_s=11_600), wait_for="before"),
    "gathering": Shot(
        lambda: Scene(phase="gathering", starts_in_s=754, issued=12_000, commitment=DRAWN["commitment"]),  # type: ignore[arg-type]
        wait_for="gathering",
    ),
    "drawing": Shot(
        lambda: drawn(phase="gathering", starts_in_s=82, seed="", message=""), wait_for="drawing"
    ),
    "drawn": Shot(
        lambda: drawn(phase="gathering", starts_in_s=74, plan=300, speed=0),
        open_proof,
        "drawn",
        full_page=True,
    ),
    "lined": Shot(lambda: waiting(phase="gathering", starts_in_s=754, serving=0, speed=0), wait_for="lined"),
    "waiting": Shot(waiting, move, "waiting"),
    "waiting-far": Shot(
        lambda: waiting(
            issued=1_200_000,
            next_number=1_048_575,
            message="The 20:00 show is nearly sold out. There are many good seats for Sunday.",
        ),
        wait_for="waiting",
    ),
    "waiting-one": Shot(lambda: waiting(serving=4309), wait_for="waiting"),
    "next-in-line": Shot(lambda: waiting(serving=4310), wait_for="waiting"),
    "next": Shot(lambda: waiting(serving=5000, claims=[NEXT]), wait_for="next"),
    "paused": Shot(
        lambda: waiting(paused=True, message="A short technical break. We go on at 20:15."), wait_for="paused"
    ),
    "full": Shot(
        lambda: waiting(join_problem=(429, {"code": "room-full", "detail": "Full.", "retry_after_s": 60})),
        wait_for="full",
    ),
    "ended": Shot(lambda: Scene(phase="ended"), wait_for="ended"),
    "offline": Shot(waiting, lose_network, "waiting"),
    "away": Shot(waiting, lose_store, "waiting"),
    "leaving": Shot(waiting, ask_to_leave, "waiting"),
    "left": Shot(waiting, left, "waiting"),
    "used": Shot(lambda: waiting(serving=5000, claims=[(410, {"code": "ticket-used"})]), wait_for="used"),
    "refused": Shot(
        lambda: waiting(
            join_problem=(
                403,
                {"code": "cross-site", "detail": "This page was opened from another site. Open it directly."},
            )
        ),
        wait_for="refused",
    ),
    "plain-shell": Shot(waiting, scripts=False),
    "plain-waiting": Shot(waiting, take_place, scripts=False),
    "plain-called": Shot(lambda: waiting(serving=5000), take_place, scripts=False),
}


def take(browser: Browser, name: str, shot: Shot, folder: Path) -> None:
    """Take the pictures of one state in all sizes and schemes."""
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            with serving(shot.scene()) as (room, address):
                context: BrowserContext = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    java_script_enabled=shot.scripts,
                    reduced_motion="reduce",
                    locale="en-GB",
                )
                page = context.new_page()
                page.goto(address + shot.path)
                if shot.wait_for:
                    page.wait_for_selector(f"html[data-state={shot.wait_for}]", timeout=5000)
                shot.act(page, room)
                page.screenshot(path=folder / f"{name}-{size}-{scheme}.png", full_page=shot.full_page)
                context.close()


def main() -> None:
    """Take all pictures, or those of the states that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("states", nargs="*", metavar="STATE", help=f"of {', '.join(SHOTS)}")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        for name in options.states or SHOTS:
            take(browser, name, SHOTS[name], options.folder)
            print(name)
        browser.close()


if __name__ == "__main__":
    main()
