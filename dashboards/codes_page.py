"""Codes page: the priority codes of a room: how many of a batch are used; make a batch, revoke one.

Not here: what it has in common with the page of bypass tokens (``handed_page``), the API (``codes_api``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from admission.guests import By
from dashboards.codes_api import batch_of, number_of, offered
from dashboards.entrance import Entrance
from dashboards.handed_page import HandedPage, whole
from dashboards.page import Pages, one_line
from dashboards.ports import Deps, PriorityCodes
from dashboards.words import at
from waitroom.rooms import Room


class CodesPage(HandedPage):
    """The page and its forms."""

    path, template, field, public = "codes", "priority_codes.html", "batch", "code"
    gone = "The codes count no more, everywhere within two seconds. Places that used one keep the lane."
    once = "The codes"

    def __init__(self, deps: Deps, codes: PriorityCodes, pages: Pages, entrance: Entrance) -> None:
        """Show and change what `codes` keep."""
        super().__init__(deps, pages, entrance)
        self._codes = codes

    async def make(self, room: Room, form: Mapping[str, str], by: By) -> tuple[str, Sequence[str]]:
        """Make a batch."""
        label, count, hours = batch_of(
            one_line(form.get("name", "")), whole(form.get("count", "")), whole(form.get("hours", ""))
        )
        offered(room)
        made, texts = await self._codes.make(room.name, label, count, hours, by)
        return (
            f"{made.size:,} codes for {made.label} are made. They count everywhere within two seconds.",
            texts,
        )

    async def revoke(self, room: Room, given: str, by: By) -> None:
        """Revoke a batch by its number."""
        await self._codes.revoke(room.name, number_of(given), by)

    async def listed(self, room: Room, now_ms: int) -> list[dict[str, Any]]:
        """List the batches."""
        return [
            {
                "batch": one,
                "made": at(one.made_ms, now_ms),
                "until": at(one.until_ms, now_ms) if one.until_ms else "",
                "revoked": at(one.revoked_ms, now_ms) if one.revoked_ms else "",
            }
            for one in await self._codes.batches(room.name)
        ]
