"""Bypass store: the one transition by which a bypass token comes in, on a Redis or Valkey."""

from collections.abc import Mapping
from pathlib import Path

from redis.asyncio import Redis

from admission.bypass import Entered
from admission.limits import Limits
from admission.ports import LineKeys
from admission.sessions import Over
from admission.store import Keys
from kernel.lua import Scalar, Script, fast_call, load
from kernel.store import translated

SCRIPT = Path(__file__).parent / "lua" / "bypass.lua"


class BypassStore:
    """Lets tokens in."""

    def __init__(self, client: Redis, scripts: Mapping[str, Script] | None = None) -> None:
        """Use `client`; `scripts` replaces the script (mutants in tests)."""
        self._client = client
        self._script = dict(scripts or {}).get("bypass") or load(SCRIPT)

    async def enter(
        self, room: str, line: LineKeys, sid: str, token: str, limits: Limits, now_ms: int | None = None
    ) -> Entered | Over:
        """Let the holder of a token in."""
        keys = Keys(room)
        names = [line.line, line.journal, keys.door, keys.sessions, keys.stays, keys.ended]
        argv: list[Scalar] = [sid, token, limits.hold_ms]
        with translated():
            answer = await fast_call(self._client, self._script, names, argv, now_ms)
        if answer[0] == "over":
            return Over()
        return Entered(answer[1], answer[2], answer[3].decode(), again=answer[0] == "again")
