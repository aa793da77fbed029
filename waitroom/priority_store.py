"""Priority store: which codes of a run are used, and by which place, on a Redis or Valkey."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from kernel.lua import Script, fast_call, load
from kernel.store import translated
from waitroom.priority import Spent
from waitroom.store import Keys

SCRIPT = Path(__file__).parent / "lua" / "spend.lua"


class PriorityStore:
    """Uses codes up."""

    def __init__(self, client: Redis, scripts: Mapping[str, Script] | None = None) -> None:
        """Use `client`; `scripts` replaces the script (mutants in tests)."""
        self._client = client
        self._script = dict(scripts or {}).get("spend") or load(SCRIPT)

    async def spend(self, room: str, run: str, number: int, code: str) -> Spent:
        """Use the code of this name up, for a place of the run."""
        keys = Keys(room)
        with translated():
            answer = await fast_call(
                self._client, self._script, [keys.line, keys.spent], [run, number, code], None
            )
        return Spent(answer[0])

    async def put(self, room: str, spent: Mapping[str, int]) -> None:
        """Put back what the journal knows of used codes. May be repeated."""
        with translated():
            fields: dict[Any, Any] = dict(spent)
            if fields:
                await self._client.hset(Keys(room).spent, mapping=fields)
