"""Office front: somebody at the back office, for tests: a browser that sends forms with the session's paper."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from checkout.people.staff import StaffRole
from tests.gateway.staff_front import ORIGIN, StaffFront, add_key, prove, staff_front
from tests.kernel.authenticator import Authenticator

OFFICE = "/staff/office"
EVENT = f"{OFFICE}/events/summer"


@dataclass
class Worker:
    """Somebody at the office, with a browser."""

    front: StaffFront
    browser: httpx.AsyncClient
    key: Authenticator | None = None
    keys: int = 0

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Look at a page."""
        return await self.browser.get(path, headers=headers)

    async def send(
        self, path: str, fields: Mapping[str, Any], file: bytes | None = None, **headers: str
    ) -> httpx.Response:
        """Send a form, with the session's paper and a key of its own."""
        self.keys += 1
        form = {"csrf": self.browser.headers["staff-csrf"], "key": f"form-{self.keys}", **fields}
        more: Any = {} if file is None else {"files": {"plan": ("hall.csv", file)}}
        return await self.browser.post(path, data=form, headers={"origin": ORIGIN, **headers}, **more)

    async def code(self) -> str:
        """Show a second factor."""
        if self.key is None:
            self.key, _ = await add_key(self.browser)
        return await prove(self.browser, self.key)


@asynccontextmanager
async def working(
    store_url: str, folder: Path, role: StaffRole = StaffRole.ORGANISER
) -> AsyncIterator[Worker]:
    """Log somebody in."""
    async with staff_front(store_url, folder) as front:
        browser = await front.entered("ida", role)
        yield Worker(front, browser)
        await browser.aclose()


def figures(answer: httpx.Response) -> dict[str, str]:
    """Read the figures of a page."""
    return dict(re.findall(r'data-figure="([^"]+)">([^<]*)', answer.text))


def hidden(answer: httpx.Response, name: str) -> str:
    """Read a hidden field; the first one of its name."""
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found is not None, answer.text
    return found[1]
