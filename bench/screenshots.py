"""Screenshots: every state of the waiting page, on phone and desktop, light and dark, in two languages.

Run: ``python -m bench.screenshots OUTDIR [STATE …]`` (``--languages en,ar``; ``--sheets DIR`` also puts all states of a
phone side by side, a sheet for each scheme and language). Chromium looks at the previews of a scripted room, which
show each state with the same figures every time; besides, at what only comes up by a press (the dialogs, the proof
of the draw) and at the pages without JavaScript.
"""

import argparse
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from bench.scripted_room import PREFIX, Scene, serving
from waitroom.draw import Shuffle, commitment, draw_id, seed
from waitroom.view import PLAIN_STATES, STATES

SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LANGUAGES = "en,ar"
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


ROOM = f"{PREFIX}r/main"
SHEET = """
body { margin: 0; padding: 12px; background: #e8e4da; font: 13px sans-serif; color: #1c1b18;
  display: grid; grid-template-columns: repeat(7, 1fr); gap: 12px; }
figure { margin: 0; } img { width: 100%; height: 420px; object-fit: cover; object-position: top; border-radius: 10px; }
"""


@dataclass(frozen=True)
class Shot:
    """A picture: where to look, what to press before it is taken, and whether scripts run."""

    path: str
    act: Callable[[Page], None] = lambda page: None  # noqa: ARG005 - most pictures need no act
    scripts: bool = True


def settle(page: Page) -> None:
    """Wait until the preview has its state."""
    page.wait_for_selector("html[data-preview]:not([data-state=loading]), html[data-preview=loading]")


def open_proof(page: Page) -> None:
    """Unfold the figures of the draw."""
    settle(page)
    page.click("#proof summary")


def ask_to_leave(page: Page) -> None:
    """Open the question whether to leave."""
    settle(page)
    page.click("#leave")


def carry(page: Page) -> None:
    """Open the link and the code to another device."""
    page.wait_for_selector("html[data-state=waiting]")
    page.click("#carry")
    page.wait_for_selector("#carrying .code")


SHOTS: dict[str, Shot] = {
    **{state: Shot(f"{ROOM}/preview/{state}?", settle) for state in STATES},
    "proof": Shot(f"{ROOM}/preview/drawn?", open_proof),
    "leaving": Shot(f"{ROOM}/preview/waiting?", ask_to_leave),
    "carrying": Shot(f"{ROOM}?target=/shop&", carry),
    "how": Shot(f"{ROOM}/how?"),
    "previews": Shot(f"{ROOM}/preview?"),
    "plain-shell": Shot(f"{ROOM}?target=/shop&", scripts=False),
    **{f"plain-{state}": Shot(f"{ROOM}/preview/{state}?js=0&", scripts=False) for state in PLAIN_STATES},
}


def scene() -> Scene:
    """Make the line behind the pictures that need one: some hundreds, and it moves."""
    return Scene(issued=6200, next_number=4310, serving=3998, speed=18, plan=20)


def take(browser: Browser, address: str, names: list[str], languages: list[str], folder: Path) -> None:
    """Take the pictures in all sizes, schemes and languages."""
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            for language in languages:
                for scripts in (True, False):
                    context = browser.new_context(
                        viewport={"width": width, "height": height},
                        color_scheme=scheme,
                        java_script_enabled=scripts,
                        reduced_motion="reduce",
                        locale="en-GB",
                        timezone_id="Europe/London",
                    )
                    page = context.new_page()
                    for name in names:
                        shot = SHOTS[name]
                        if shot.scripts is not scripts:
                            continue
                        page.goto(f"{address}{shot.path}lang={language}")
                        shot.act(page)
                        # A dialog stands in the window's middle; all else is a page to scroll.
                        whole = name not in {"leaving", "carrying"}
                        page.screenshot(
                            path=folder / f"{name}-{size}-{scheme}-{language}.png", full_page=whole
                        )
                    context.close()
            print(size, scheme)


def lay_out(browser: Browser, names: list[str], languages: list[str], folder: Path, sheets: Path) -> None:
    """Put the phone's pictures of all states side by side."""
    page = browser.new_page(viewport={"width": 1800, "height": 600})
    for scheme in SCHEMES:
        for language in languages:
            found = [folder / f"{name}-phone-{scheme}-{language}.png" for name in names if name in STATES]
            pictures = "".join(
                f"<figure><img src='{path.name}'><figcaption>{path.name.partition('-phone')[0]}</figcaption></figure>"
                for path in found
            )
            sheet = folder / "sheet.html"
            sheet.write_text(f"<!doctype html><style>{SHEET}</style>{pictures}", encoding="utf-8")
            page.goto(sheet.resolve().as_uri(), wait_until="load")
            page.screenshot(path=sheets / f"states-{scheme}-{language}.png", full_page=True)
            sheet.unlink()
    page.close()


def main() -> None:
    """Take all pictures, or those of the states that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("states", nargs="*", metavar="STATE", help=f"of {', '.join(SHOTS)}")
    parser.add_argument("--sheets", type=Path, help="folder for sheets of all states")
    parser.add_argument("--languages", default=LANGUAGES, help="tags with commas between them")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        names, languages = options.states or list(SHOTS), options.languages.split(",")
        with serving(scene()) as (_, address):
            take(browser, address, names, languages, options.folder)
        if options.sheets is not None:
            options.sheets.mkdir(parents=True, exist_ok=True)
            lay_out(browser, names, languages, options.folder, options.sheets)
        browser.close()


if __name__ == "__main__":
    main()
