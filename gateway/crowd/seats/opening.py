"""Opening: the first fan who gets in finds out whether the origin sells seats, and reads what all need to know.

It does where ``/api/events`` lists events on sale (or the one that the plan names is): their details, their layouts and
a first map of each. Anything else, whatever it is, is an origin like any other, of which fans only look at pages.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from checkout.halls.layout import Layout
from checkout.halls.layout import read as read_layout
from gateway.crowd.fan import Fan
from gateway.crowd.observed import Route
from gateway.crowd.seats.buying import PACKED, Buyer, Cut, ask, shows_room, unpacked
from gateway.crowd.seats.hall import Hall
from kernel.errors import Refused

HALLS_MOST = 8
"""So many events are enough to choose from; each has a hall in memory."""

TRIES = 5
LISTING = b"/api/events?limit=100"
ON_SALE = "on-sale"


async def open_shop(fan: Fan) -> bool:
    """Tell whether there is a shop; the first who asks finds out. Raises Cut when the session ends meanwhile."""
    programme = fan.venue.programme
    if not programme.is_read:
        async with programme.reading:
            if not programme.is_read:
                shop = fan.notes.shop
                try:
                    await _read(fan)
                except (KeyError, TypeError, ValueError, AttributeError, Refused) as error:
                    shop.halls.clear()
                    shop.why_not = f"the shop's programme could not be understood: {error!r}"
                programme.halls = tuple(shop.halls.values())
                programme.is_read = True
    return bool(programme.halls)


async def refresh(fan: Fan, hall: Hall) -> None:
    """Read an event's own facts again: prices may have changed."""
    answer, _ = await ask(fan, Route.EVENTS, b"/api/events/" + hall.id.encode())
    if answer.status == 200:
        hall.read(orjson.loads(answer.body))


async def _read(fan: Fan) -> None:
    plan, shop = fan.plan, fan.notes.shop
    if plan.event:
        ids = [plan.event]
    else:
        listed = await _object(fan, LISTING)
        ids = [str(event["id"]) for event in (listed or {}).get("events", ()) if _is_ours(event, plan.room)]
    layouts: dict[str, Layout] = {}
    for event in ids[:HALLS_MOST]:
        told = await _object(fan, f"/api/events/{event}".encode())
        if told is None or not _is_ours(told, plan.room):
            continue
        url = str(told["layout"]["url"])
        if url not in layouts:
            layouts[url] = read_layout(await _layout(fan, url.encode()))
        hall = shop.halls[event] = Hall(told, layouts[url])
        await Buyer(fan, hall).look()
    if plan.event and not shop.halls:
        shop.why_not = f"the event {plan.event} is not on sale behind room {plan.room}"


def _is_ours(told: Mapping[str, Any], room: str) -> bool:
    return told["sale"]["standing"] == ON_SALE and told.get("room", "") in {"", room}


async def _object(fan: Fan, path: bytes) -> Mapping[str, Any] | None:
    """Ask what may not be there; None for anything but a JSON object.

    An origin that knows no such address may answer as it likes: that is not counted as a failure of the room.
    """
    for _ in range(TRIES):
        answer = await fan.try_for(Route.EVENTS, path)
        if answer is not None and (shows_room(fan, answer) or answer.status == 401):
            if answer.answered_at >= fan.expires_s:
                raise Cut
            if answer.status == 401:
                break
        elif answer is not None and answer.status not in {429, 503}:
            break
        await fan.venue.sleep((answer.retry_after_s if answer else None) or 1.0)
    if answer is None or answer.status != 200:
        return None
    try:
        found = orjson.loads(answer.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


async def _layout(fan: Fan, path: bytes) -> bytes:
    answer, _ = await ask(fan, Route.LAYOUT, path, extra=PACKED)
    if answer.status != 200:
        raise ValueError(f"the layout was answered {answer.status}")
    return unpacked(answer)
