"""Looking at pages of the operator's port, written beforehand: what axe says, and whether they scroll sideways."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route

from bench import axe
from dashboards.page import _static_files

HOST = "http://control.test"
LOOKS: tuple[tuple[Literal["light", "dark"], int], ...] = (("light", 320), ("dark", 1280))
"""A scheme and a width in pixels each."""

Pages = Mapping[str, str]
"""Pages by name, as the server wrote them."""


def written(look: Coroutine[Any, Any, dict[str, str]]) -> Pages:
    """Have pages written; in a thread, because the browser's own loop may run in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, look).result()


def served(pages: Pages) -> Callable[[Route], None]:
    """Give what answers a browser: a page by its name, or a file."""
    files = _static_files()

    def answer(route: Route) -> None:
        name = urlsplit(route.request.url).path.rpartition("/")[2]
        if name in files:
            route.fulfill(body=files[name][1], content_type=files[name][0])
        else:
            route.fulfill(body=pages[name], content_type="text/html; charset=utf-8")

    return answer


def faults_of(pages: Pages, browser: Browser) -> dict[str, list[str]]:
    """Look at every page with everything unfolded: what axe finds, and whether it scrolls sideways."""
    found = {}
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.route("**/*", served(pages))
    for name in pages:
        page.goto(f"{HOST}/{name}")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        for scheme, width in LOOKS:
            page.set_viewport_size({"width": width, "height": 1600})
            page.emulate_media(color_scheme=scheme)
            wide = page.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
            if (wrong := axe.violations(page)) or wide:
                found[f"{name} {scheme} {width}"] = [*wrong, *(["scrolls sideways"] if wide else [])]
    context.close()
    return found


def violations_of(text: str, browser: Browser) -> list[str]:
    """Return what axe finds on one page."""
    page = browser.new_page()
    page.route("**/*", served({"x": text}))
    page.goto(f"{HOST}/x")
    wrong = list(axe.violations(page))
    page.close()
    return wrong
