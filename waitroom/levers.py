"""Lever: what an operator steers a running room with. Each is a pure change of the room's settings.

Phases are not turned by hand: a sale's times are settings, and the phase follows from them (``schedule``). So to
delay, to prolong and to end are changes of times, refused where they would cost people what they were shown: a
sale that has started does not begin again, and once a draw is about to close its order stands.

To *drain* is a switch like the pause: nobody joins and nobody more is called, whoever was called may still come in, and
``reopen`` takes it back. To *end* is for good, unless the end is prolonged while the line still drains.

Not here: who may, and which version they saw (``configure``), what a person is asked before (``dashboards``).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from kernel.errors import Misconfigured, Refused
from waitroom.field_readers import moment_text
from waitroom.rooms import ALWAYS, MINUTE_MS, Room, Sale, parse, sale_to_dict, to_dict
from waitroom.schedule import Phase, Window, wanted, windows

MINUTES_MAX = 7 * 24 * 60
CLOSING_MARGIN_MS = 5_000
"""Before a draw closes: a worker may decide by settings that are a second or two old."""

LANES = ("verified", "standard", "suspect")


class Lever(StrEnum):
    """What an operator steers a running room with."""

    PAUSE = "pause"
    RESUME = "resume"
    BYPASS_ON = "bypass-on"
    BYPASS_OFF = "bypass-off"
    MESSAGE = "message"
    RATE = "rate"
    CAP = "cap"
    LANES = "lanes"
    DELAY = "delay"
    PROLONG = "prolong"
    END = "end"
    DRAIN = "drain"
    REOPEN = "reopen"


REASONED = frozenset({Lever.BYPASS_ON, Lever.END, Lever.DRAIN, Lever.LANES})
"""Levers that take a reason: who looks back will ask for it."""


def turned(room: Room, lever: Lever, value: object, now_ms: int) -> Room:
    """Return a room's settings after a lever was pulled.

    `value` is a message's text, a rate or a cap (a whole number), minutes of a delay or of a prolonging, three shares
    by lane (0 to 1), else nothing. Rate and cap change what is in force: the sale's own limits while a sale that
    has some is on. Raises ``Misconfigured`` for a value that cannot be, ``Refused`` for what is not possible now.
    """
    match lever:
        case Lever.PAUSE | Lever.RESUME:
            return replace(room, paused=lever is Lever.PAUSE)
        case Lever.BYPASS_ON | Lever.BYPASS_OFF:
            return replace(room, bypass=lever is Lever.BYPASS_ON)
        case Lever.DRAIN | Lever.REOPEN:
            return _drained(room, lever, now_ms)
        case Lever.MESSAGE:
            return _patched(room, {"message": value})
        case Lever.LANES:
            return _patched(room, {"lane_shares": _shares(value)})
        case Lever.DELAY:
            return _delayed(room, _minutes(value), now_ms)
        case Lever.PROLONG:
            return _prolonged(room, _minutes(value), now_ms)
        case Lever.END:
            return _ended(room, now_ms)
        case _:
            setting = "new_users_per_minute" if lever is Lever.RATE else "total_active_users"
            return _limited(room, setting, value, now_ms)


# ------------------------------------------------------------------------------- the schedule


def coming(room: Room, now_ms: int) -> Window | None:
    """Return the sale that a delay is about: the first that has not ended."""
    return next((window for window in windows(room) if now_ms < window.sale.event_end_ms), None)


def under_way(room: Room, now_ms: int) -> Window | None:
    """Return the sale that prolonging is about: the first that has not drained."""
    return next((window for window in windows(room) if now_ms < window.drained_ms), None)


def settled(window: Window, now_ms: int) -> Refused | None:
    """Tell why a sale's start cannot be put off any more; None while it can."""
    sale = window.sale
    if now_ms >= sale.event_start_ms:
        return Refused(
            "sale-started",
            f"The sale {sale.name} has started and does not begin again. A pause holds it; its end can be prolonged.",
            409,
        )
    if window.closes_ms is not None and now_ms >= window.closes_ms - CLOSING_MARGIN_MS:
        return Refused(
            "draw-closed",
            f"The draw of the sale {sale.name} is closing or closed: its order stands, and so does its start. "
            "A pause holds everybody in that order until you resume.",
            409,
        )
    return None


def _delayed(room: Room, minutes: int, now_ms: int) -> Room:
    """Put off the current or next sale: start, end, opening and the closing of its draw move together.

    A prequeue that has opened stays open: who gathered keeps gathering.
    """
    window = coming(room, now_ms)
    if window is None:
        raise Refused("sale-none", "The room has no sale that is on or to come.", 409)
    if (reason := settled(window, now_ms)) is not None:
        raise reason
    sale, by_ms = window.sale, minutes * MINUTE_MS

    def edit(document: dict[str, Any]) -> dict[str, Any]:
        moved = {
            "event_start_time": moment_text(sale.event_start_ms + by_ms),
            "event_end_time": moment_text(sale.event_end_ms + by_ms),
        }
        if sale.prequeue_start_ms is not None and sale.prequeue_start_ms > now_ms:
            moved["prequeue_start_time"] = moment_text(sale.prequeue_start_ms + by_ms)
        return document | moved

    return _with_sale(room, sale.name, edit)


def _prolonged(room: Room, minutes: int, now_ms: int) -> Room:
    """Let a sale end later; one that drains already serves again until then."""
    window = under_way(room, now_ms)
    if window is None:
        raise Refused(
            "sale-none",
            "The room has no sale that is on or to come, and a line that is over is never opened again.",
            409,
        )
    end_ms = max(window.sale.event_end_ms, now_ms) + minutes * MINUTE_MS
    return _with_end(room, window.sale, end_ms)


def _ended(room: Room, now_ms: int) -> Room:
    """End a sale now: nobody joins, nobody more is called, whoever was called may still come in."""
    plan = wanted(room, now_ms)
    if plan.opening == ALWAYS or plan.sale is None or plan.phase is Phase.ENDED:
        raise Refused(
            "sale-none", "No sale with a line of its own is on. To close the room's own line, drain it.", 409
        )
    if now_ms < plan.sale.event_start_ms + MINUTE_MS:
        raise Refused(
            "sale-not-started",
            f"The sale {plan.sale.name} has not been on for a minute. Delay it, or pause it.",
            409,
        )
    if now_ms >= plan.sale.event_end_ms:
        raise Refused("sale-ended", f"The sale {plan.sale.name} has ended already.", 409)
    return _with_end(room, plan.sale, now_ms)


def _drained(room: Room, lever: Lever, now_ms: int) -> Room:
    drains = lever is Lever.DRAIN
    phase = wanted(replace(room, draining=False), now_ms).phase
    if drains and phase is not Phase.SERVING:
        raise Refused(
            "line-not-serving",
            f"Only a line that serves can drain; this one is {phase} by its schedule.",
            409,
        )
    return replace(room, draining=drains)


# ------------------------------------------------------------------------------------- inside


def _limited(room: Room, setting: str, value: object, now_ms: int) -> Room:
    """Set a limit where it is in force: the sale's own while a sale that has some is on."""
    sale = wanted(room, now_ms).sale
    if sale is None or sale.total_active_users is None:
        return _patched(room, {setting: value})
    return _with_sale(room, sale.name, lambda document: document | {setting: value})


def _patched(room: Room, patch: Mapping[str, Any]) -> Room:
    """Set whole settings; no value is a fault here, and not the default as in a merge patch."""
    return parse({**to_dict(room), **patch})


def _with_end(room: Room, sale: Sale, end_ms: int) -> Room:
    return _with_sale(room, sale.name, lambda document: document | {"event_end_time": moment_text(end_ms)})


def _with_sale(room: Room, name: str, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Room:
    documents = [edit(sale_to_dict(each)) if each.name == name else sale_to_dict(each) for each in room.sales]
    return parse(to_dict(room) | {"sales": documents})


def _minutes(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MINUTES_MAX:
        raise Misconfigured([f"minutes must be a whole number from 1 to {MINUTES_MAX}"])
    return value


def _shares(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or set(value) != set(LANES):
        raise Misconfigured([f"lane_shares must give a share to each of {', '.join(LANES)}"])
    return value
