"""Shells: the pages of all rooms, rendered once and kept ready, with the headers that every page carries.

Not here: what stands on them (``view``), who gets which (``web``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kernel.errors import Refused, Unavailable
from waitroom.reading import Reading
from waitroom.ticket import Ticket
from waitroom.view import (
    Action,
    Shell,
    TicketView,
    assets,
    content_security_policy,
    notice_page,
    shell,
    ticket_page,
)

Header = tuple[bytes, bytes]
_HTML = (b"content-type", b"text/html; charset=utf-8")
_JOIN_HELPS = frozenset(
    {"ticket-missing", "ticket-invalid", "ticket-foreign-room", "run-over", "ticket-used"}
)


@dataclass(frozen=True, slots=True)
class Page:
    """A body and its headers, without caching rules."""

    headers: tuple[Header, ...]
    body: bytes


class Pages:
    """Keeps a ready shell for each room and its present look."""

    def __init__(self, prefix: str) -> None:
        """`prefix` as in settings, without a slash at its end."""
        self._prefix = prefix + "/"
        self._shells: dict[str, tuple[tuple[str, str | None], Shell]] = {}

    def shell(self, reading: Reading, target: str) -> Page:
        """Return the page that waits, for somebody who wants to get to `target`."""
        room = reading.room
        look = room.description or room.name, room.custom_page_html
        kept = self._shells.get(room.name)
        if kept is None or kept[0] != look:
            kept = look, shell(room.name, self._prefix, look[0], look[1] or "")
            self._shells[room.name] = kept
        return Page(self._headers(reading, custom=look[1] is not None), kept[1].page(target))

    def ticket(self, reading: Reading, held: Ticket, view: TicketView, target: str, *, still: bool) -> Page:
        """Return a fan's own view without JavaScript."""
        room = reading.room
        name = room.description or room.name
        body = ticket_page(held.room, self._prefix, name, target, view, still=still)
        return Page(self._headers(reading), body)

    def refused(self, reading: Reading, target: str, reason: Refused | Unavailable) -> Page:
        """Say in one sentence why something was refused, with the way out where there is one."""
        base = f"{self._prefix}r/{reading.base.name}"
        again = f"{base}?target={target}" if target.isascii() and target.isprintable() else base
        action = Action("Try again", base)
        refresh_s = None
        if reason.code in _JOIN_HELPS:
            action = Action("Take a place in line", f"{base}/join", "post", target)
        elif reason.retry_after_s is not None:
            refresh_s = max(5, reason.retry_after_s)
        body = notice_page(
            self._prefix,
            reading.room.description or reading.room.name,
            stage="Waiting room",
            headline=_HEADLINES.get(reason.code, "This did not work"),
            detail=reason.public,
            action=action,
            refresh_s=refresh_s,
            again=again,
        )
        return Page(self._headers(reading), body)

    def asset(self, name: str) -> Page:
        """Return a static file. Raises Refused (404)."""
        found = assets().get(name)
        if found is None:
            raise Refused("address-unknown", "There is nothing at this address.", status=404)
        headers = (
            (b"content-type", found.media_type.encode()),
            (b"cache-control", b"public, max-age=31536000, immutable"),
            (b"x-content-type-options", b"nosniff"),
        )
        return Page(headers, found.body)

    def _headers(self, reading: Reading, *, custom: bool = False) -> tuple[Header, ...]:
        frames = " ".join(reading.base.frame_ancestors) or "'self'"
        policy = content_security_policy(frames, custom=custom)
        return (
            _HTML,
            (b"content-security-policy", policy.encode()),
            (b"referrer-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
        )


_HEADLINES: Mapping[str, str] = {
    "room-full": "The waiting room is full",
    "room-not-open": "Not open yet",
    "room-over": "This line has ended",
    "run-over": "That line is over",
    "ticket-missing": "You have no place yet",
    "ticket-invalid": "This place cannot be read",
    "ticket-foreign-room": "This place belongs to another room",
    "ticket-used": "This turn has been taken",
    "too-many-joins": "One moment, please",
    "store-away": "One moment, please",
    "room-restoring": "One moment, please",
}
