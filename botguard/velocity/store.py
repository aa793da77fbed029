"""Velocity's store: the acts of many people in one script call, the day's salt, and their key names.

The records of a room share one hash tag, so that one call may touch them all; it is not the line's, so a flood of acts
is another slot's work. ``now_ms`` is given in tests only; in production the store's own ``TIME`` counts. Not here: what
happens while the store is away (``counting``).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from redis.asyncio import Redis

from botguard.velocity.subjects import DAY_MS
from botguard.velocity.windows import Count, Row
from kernel.clock import SET_BACK_MS
from kernel.lua import Scalar, Script, fast_call, load
from kernel.store import translated

LUA = Path(__file__).parent / "lua"
SALT_KEPT_MS = 2 * DAY_MS


def key(room: str, subject: str) -> str:
    """Name a subject's record."""
    return f"bg:{{velocity:{room}}}:{subject}"


def salt_key(day: int) -> str:
    """Name a day's salt."""
    return f"bg:salt:{day}"


class VelocityStore:
    """Records on a Redis or Valkey."""

    def __init__(self, client: Redis, scripts: Mapping[str, Script] | None = None) -> None:
        """Use `client`; `scripts` replaces the script (mutants in tests)."""
        self._client = client
        self._count = (scripts or {}).get("count") or load(LUA / "count.lua")

    async def count(self, room: str, rows: Sequence[Row], now_ms: int | None = None) -> list[Count]:
        """Play rows in their order; return a count for each. Raises ``Unavailable``."""
        if not rows:
            return []
        argv: list[Scalar] = [SET_BACK_MS]
        for _, plan, acts in rows:
            argv += (
                plan.rate.interval_us,
                plan.rate.burst,
                plan.slot_ms,
                plan.slots,
                plan.kept_ms,
                int(acts),
            )
        with translated():
            answer = await fast_call(
                self._client, self._count, [key(room, row.subject) for row in rows], argv, now_ms
            )
        return [
            Count(int(acts), int(wait_ms)) for acts, wait_ms in zip(answer[1::2], answer[2::2], strict=True)
        ]

    async def salt(self, day: int, fresh: bytes) -> bytes:
        """Return the day's salt; where there is none yet, `fresh` becomes it for everybody. Raises ``Unavailable``."""
        with translated():
            await self._client.set(salt_key(day), fresh, nx=True, px=SALT_KEPT_MS)
            found = await self._client.get(salt_key(day))
        return found if isinstance(found, bytes) else fresh
