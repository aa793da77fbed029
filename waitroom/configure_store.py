"""Settings in the store: one JSON text for each room, which begins with its version, and the set of their names.

The names are in another hash slot than the rooms, so a name is added before its room and never taken away: a name
without a room means nothing, whereas a room without its name would be lost to every list.
Not here: what the settings mean (``configure``).
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kernel.lua import Script, call, load
from kernel.store import Store, translated
from waitroom.revision import Act, Kept, Outcome, Word

NAMES = "wr:rooms"
CHANGES_KEPT = 100
_HEAD = re.compile(rb'\{"version":(\d+)(,"_removed":true)?')
_HEAD_BYTES = 48
_LUA = Path(__file__).parent / "lua"


class ConfigureStore:
    """The transition ``configure``, and what reads its result."""

    def __init__(self, client: Store, script: Script | None = None) -> None:
        """Use `client`; `script` replaces the shipped one (mutants in tests)."""
        self._client = client
        self._script = script or load(_LUA / "configure.lua")

    async def names(self) -> set[str]:
        """Name all rooms that there are or were."""
        with translated():
            names: set[Any] = await self._client.smembers(NAMES)
        return {name.decode() for name in names}

    async def heads(self, rooms: Iterable[str]) -> dict[str, Kept | None]:
        """Read only the versions: cheap enough for each worker's every second."""
        asked = list(rooms)
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for room in asked:
                pipe.getrange(_key(room, "config"), 0, _HEAD_BYTES)
            heads = await pipe.execute()
        return {room: head_of(head) for room, head in zip(asked, heads, strict=True)}

    async def text(self, room: str) -> bytes:
        """Read a room's settings as they are kept; empty where there are none."""
        with translated():
            kept: Any = await self._client.get(_key(room, "config"))
        return kept or b""

    async def configure(
        self, room: str, act: Act, expected: int, body: str, who: str, why: str, what: str,
        now_ms: int | None = None,
    ) -> Outcome:  # fmt: skip
        """Compare and set; `body` and `what` are JSON objects with at least one member."""
        with translated():
            await self._client.sadd(NAMES, room)
            word, *rest = await call(
                self._client,
                self._script,
                {
                    "config": _key(room, "config"),
                    "journal": _key(room, "journal"),
                    "changes": _key(room, "changes"),
                },
                {
                    "act": act,
                    "expected": expected,
                    "body": body,
                    "who": who,
                    "why": why,
                    "what": what,
                    "keep": CHANGES_KEPT,
                },
                now_ms,
            )
        return Outcome(Word(word), *rest)

    async def changes(self, room: str, count: int) -> list[dict[str, object]]:
        """Read the last accepted changes, newest first."""
        with translated():
            texts = await self._client.lrange(_key(room, "changes"), 0, count - 1)
        return [json.loads(text) for text in texts]


def head_of(text: bytes) -> Kept | None:
    """Read the version at the head of a kept text; None where there is none."""
    found = _HEAD.match(text)
    return Kept(int(found[1]), removed=found[2] is not None) if found else None


def _key(room: str, what: str) -> str:
    return f"wr:{{{room}}}:{what}"
