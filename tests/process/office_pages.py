"""Office pages: shows a browser the back office's pages as they were written, with their files."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from playwright.sync_api import Route

from checkout.backoffice.page import TYPES, assets


def served(pages: Mapping[str, str]) -> Callable[[Route], None]:
    """Give what answers a browser: a page by its name, or a file of the office's."""

    def answer(route: Route) -> None:
        name = urlsplit(route.request.url).path.rpartition("/")[2]
        if name in assets():
            route.fulfill(body=assets()[name], content_type=TYPES[name[name.rfind(".") :]])
        else:
            route.fulfill(body=pages[name], content_type="text/html; charset=utf-8")

    return answer
