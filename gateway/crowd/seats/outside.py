"""Outside: somebody without an admission, or with a forged one, asks for a seat all the same."""

from gateway.crowd.browser import members
from gateway.crowd.fan import Fan
from gateway.crowd.observed import Route
from gateway.crowd.seats.buying import new_key, shows_room
from gateway.crowd.seats.hall import Wish

TRY_RATIO = 0.05
"""So many try who have not joined yet."""

SHOPS_OWN = frozenset({"seats-taken", "limit-reached", "too-few-left", "no-such-block", "key-reused"})
"""Refusals that only the shop itself can give: whoever gets one was let in."""


async def try_the_door(fan: Fan, *, always: bool = False) -> None:
    """Ask for a seat, once somebody has found out that there are any; note it when that was heard."""
    halls = fan.venue.programme.halls
    if not halls or (not always and fan.random.random() >= TRY_RATIO):
        return
    hall = fan.random.choice(halls)
    answer = await fan.ask(
        Route.HOLD,
        b"/api/events/%s/holds" % hall.id.encode(),
        Wish(count=1).body(hall.currency),
        extra=b"idempotency-key: %s\r\n" % new_key(fan).encode(),
    )
    fan.notes.shop.outside += 1
    if answer is None or shows_room(fan, answer):
        return
    code = str(members(answer).get("code", ""))
    if answer.status < 300 or code in SHOPS_OWN:
        told = (
            f"fan {fan.file.index} asked for a seat at {hall.id} without an admission: {answer.status} {code}"
        )
        fan.notes.shop.slipped.append(told.rstrip())
