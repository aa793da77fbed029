"""What is left reaches the line: over HTTP, at the operator's real port, with the backend's token and no other."""

import pytest
from redis.asyncio import Redis

from checkout.stock.remaining import StockState
from gateway.room_stock import OperatorsRooms
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.dashboards.desk import MAIN, app_of
from tests.gateway.serving import serving
from waitroom.configure import Actor, Configurations

BACKEND = "throwaway-backend-token"


async def test_a_room_hears_what_is_left_and_lets_nobody_join_when_that_is_nothing(
    store: Redis, clock: ManualClock
) -> None:
    """What was told stands in the room's settings, from where every waiting page has it."""
    app = app_of(store, clock, backend_token=BACKEND)
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, Actor("bob"))
    async with serving(app) as port:
        told = OperatorsRooms(f"http://127.0.0.1:{port}/", BACKEND)
        await told.tell("main", StockState.LAST, 120)
        last = await rooms.get("main")
        await told.tell("main", StockState.SOLD_OUT, 0)
        gone = await rooms.get("main")

    assert (last.stock_state, last.stock_left) == ("last", 120)
    assert (gone.stock_state, gone.stock_left) == ("soldout", 0)


async def test_a_wrong_token_or_an_unknown_room_is_refused_and_a_silent_port_is_away(
    store: Redis, clock: ManualClock
) -> None:
    """Whoever asks in vain for ever, and whoever asks too early, are two things."""
    app = app_of(store, clock, backend_token=BACKEND)
    async with serving(app) as port:
        address = f"http://127.0.0.1:{port}"
        for token, room in (("another-token-of-someone", "main"), (BACKEND, "nowhere"), (BACKEND, "../x")):
            with pytest.raises(Refused):
                await OperatorsRooms(address, token).tell(room, StockState.LAST, 1)
    with pytest.raises(Unavailable):
        await OperatorsRooms(address, BACKEND).tell("main", StockState.LAST, 1)
