"""Stock's store: what each room was told last, and which worker tells in this second.

Two small keys beside the halls: ``co:stock:turn`` and a hash ``co:stock:{room}`` for each room. Lost, they cost one
more telling of what is known. They go by themselves after a day without a change. Not here: when something is told
(``stock.watch``).
"""

from typing import Any

from redis.asyncio import Redis

from checkout.holds.store import LUA
from checkout.stock.remaining import Stock, StockState
from kernel.lua import fast_call, load
from kernel.store import translated

_TURN = LUA / "turn.lua"
_TURN_KEY = "co:stock:turn"
KEPT_S = 86_400


class StockStore:
    """What rooms were told."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._turn = load(_TURN)

    async def take_turn(self, who: str, lease_ms: int, now_ms: int | None = None) -> bool:
        """Take the right to tell rooms for a while; False while somebody has it."""
        with translated():
            answer = await fast_call(self._client, self._turn, [_TURN_KEY], ["take", who, lease_ms], now_ms)
        return bool(answer[0] == "mine")

    async def told(self, room: str) -> Stock | None:
        """Read what a room was told last."""
        with translated():
            found: list[Any] = await self._client.hmget(_key(room), ["state", "left", "back_ms"])
        state, left, back_ms = found
        if state is None or left is None:
            return None
        return Stock(StockState(state.decode()), int(left), int(back_ms) if back_ms else None)

    async def put(self, room: str, now: Stock) -> None:
        """Keep what a room was told."""
        back_ms = "" if now.back_ms is None else now.back_ms
        pipe = self._client.pipeline(transaction=True)
        pipe.hset(_key(room), mapping={"state": now.state.value, "left": now.left, "back_ms": back_ms})
        pipe.expire(_key(room), KEPT_S)
        with translated():
            await pipe.execute()


def _key(room: str) -> str:
    return f"co:stock:{{{room}}}"
