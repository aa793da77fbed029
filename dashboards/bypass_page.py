"""Bypass page: the bypass tokens of a room: who has one and why, how often it was used; make one, revoke one.

Not here: what it has in common with the page of priority codes (``handed_page``), the API (``bypass_api``).
"""

from collections.abc import Mapping
from typing import Any

from admission.guests import By
from dashboards.entrance import Entrance
from dashboards.handed_page import HandedPage, whole
from dashboards.page import Pages, one_line
from dashboards.ports import Deps, Passes
from dashboards.words import at
from waitroom.rooms import Room


class BypassPage(HandedPage):
    """The page and its forms."""

    path, template, field, public = "bypass", "bypass_tokens.html", "token", "bypass"
    gone = "The token counts no more. Every gate knows it within two seconds."
    once = "The token"

    def __init__(self, deps: Deps, passes: Passes, pages: Pages, entrance: Entrance) -> None:
        """Show and change what `passes` keep."""
        super().__init__(deps, pages, entrance)
        self._passes = passes

    async def make(self, room: Room, form: Mapping[str, str], by: By) -> tuple[str, str]:
        """Make a token."""
        name, hours = one_line(form.get("name", "")), whole(form.get("hours", ""))
        made, text = await self._passes.make(room.name, name, hours or 0, by)
        return f"The token for {made.name} is made, and counts at once.", text

    async def revoke(self, room: Room, given: str, by: By) -> None:
        """Revoke a token by its id."""
        await self._passes.revoke(room.name, given, by)

    async def listed(self, room: Room, now_ms: int) -> list[dict[str, Any]]:
        """List the tokens."""
        return [
            {
                "token": one,
                "counts": one.counts(now_ms),
                "until": at(one.until_ms, now_ms),
                "last": at(one.last_ms, now_ms) if one.last_ms else "",
                "revoked": at(one.revoked_ms, now_ms) if one.revoked_ms else "",
            }
            for one in await self._passes.tokens(room.name)
        ]
