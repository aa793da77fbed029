"""The figure page-axe: what axe-core objects to, over every page that a fan can meet.

Every state, light and dark, left to right and right to left; the same without JavaScript; both dialogs; how the line
works; the list of previews; the shell before a place is taken, without scripts. Each violation is named.
"""

from collections.abc import Callable, Iterator
from itertools import product

from playwright.sync_api import Browser, Page

from bench import axe, browser
from bench.figure import Figure, say
from bench.harness import Bench
from bench.scripted_room import PREFIX, Scene, serving
from waitroom.view import PLAIN_STATES, STATES

LANGUAGES = ("en", "ar")
SCHEMES = ("light", "dark")
ROOM = f"{PREFIX}r/main"


def measure(bench: Bench) -> Iterator[Figure]:
    """Look at all pages once."""
    found: dict[str, list[str]] = {}
    undecided: set[str] = set()
    pages = 0
    scene = Scene(issued=6200, next_number=4310, serving=2800, speed=240, plan=200)
    with serving(scene) as (_, address), browser.chromium(bench) as chromium:
        for scheme, language in product(SCHEMES, LANGUAGES):
            for name, wrong, open_questions in looked_at(chromium, address, scheme, language):
                pages += 1
                undecided.update(open_questions)
                if wrong:
                    found[f"{name} {scheme} {language}"] = wrong
            say(f"{scheme} {language}: {pages} pages, {sum(map(len, found.values()))} violations so far")
        version = browser.version(chromium)
    count = sum(map(len, found.values()))
    yield Figure(
        "page-axe",
        count,
        "violations",
        target="<= 0",
        met=count == 0,
        conditions=bench.conditions(
            load="one browser", rounds=1, browser=version, axe=axe.version(), rules=", ".join(axe.TAGS)
        ),
        details={"pages": pages, "left_to_people": sorted(undecided), "violations": found},
        error=None if pages else "no page was looked at",
    )


def looked_at(
    chromium: Browser, address: str, scheme: str, language: str
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Look at every page in one scheme and language; give its name, what is wrong, what axe cannot tell."""
    context = chromium.new_context(
        viewport=browser.PHONE,  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
        locale="en-GB",
    )
    page = context.new_page()
    try:
        for name, path, ready in places(language, scheme):
            page.goto(address + path)
            ready(page)
            yield name, axe.violations(page), axe.undecided(page)
        page.route("**/waitroom.js*", lambda route: route.abort())
        page.goto(f"{address}{ROOM}?target=/shop&lang={language}")
        axe.show_without_scripts(page)
        yield "shell without scripts", axe.violations(page), axe.undecided(page)
    finally:
        context.close()


def places(language: str, scheme: str) -> Iterator[tuple[str, str, Callable[[Page], object]]]:
    """Name every page, its address, and what must happen before it is looked at."""

    def shows(state: str) -> Callable[[Page], object]:
        return lambda page: page.wait_for_selector(f"html[data-state={state}]")

    def nothing(page: Page) -> None:
        """A page without scripts is ready when it is there."""

    for state in STATES:
        yield state, f"{ROOM}/preview/{state}?lang={language}&theme={scheme}", shows(state)
    for state in PLAIN_STATES:
        yield f"{state} without scripts", f"{ROOM}/preview/{state}?lang={language}&js=0", nothing
    yield "how", f"{ROOM}/how?lang={language}", nothing
    yield "previews", f"{ROOM}/preview?lang={language}", nothing
    for button, dialog in (("#leave", "#leaving"), ("#carry", "#carrying")):
        yield f"dialog {dialog}", f"{ROOM}?target=/shop&lang={language}", _opens(button, dialog)


def _opens(button: str, dialog: str) -> Callable[[Page], object]:
    def open_it(page: Page) -> None:
        page.wait_for_selector("html[data-state=waiting]")
        page.click(button)
        page.wait_for_selector(f"{dialog}[open]")

    return open_it
