"""Windows' store: all windows of one act in one script call, and their key names.

The keys share one hash tag, because one call touches those of a card, a device, an account and an address. Each goes
by itself when its window is over, and holds at most one member more than its limit. ``now_ms`` is given in tests only;
in production the store's own ``TIME`` counts. Not here: which windows (``windows``), what if the store is away
(``service``).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from redis.asyncio import Redis

from checkout.fraud.windows import Window
from kernel.clock import SET_BACK_MS
from kernel.lua import Scalar, Script, fast_call, load
from kernel.store import translated

LUA = Path(__file__).parent / "lua"


def key(window: Window) -> str:
    """Name a window's key."""
    return f"co:{{fraud}}:{window.name}:{window.subject}"


class WindowStore:
    """Windows on a Redis or Valkey."""

    def __init__(self, client: Redis, scripts: Mapping[str, Script] | None = None) -> None:
        """Use `client`; `scripts` replaces the script (mutants in tests)."""
        self._client = client
        self._count = (scripts or {}).get("count") or load(LUA / "count.lua")

    async def count(self, windows: Sequence[Window], now_ms: int | None = None) -> dict[str, int]:
        """Note what was seen in every window at once, and return how many members each holds then, by name.

        Raises ``Unavailable``.
        """
        if not windows:
            return {}
        argv: list[Scalar] = [SET_BACK_MS]
        for window in windows:
            argv += (window.most, window.window_ms, window.member)
        with translated():
            answer = await fast_call(
                self._client, self._count, [key(window) for window in windows], argv, now_ms
            )
        return {window.name: int(number) for window, number in zip(windows, answer[1:], strict=True)}
