"""Binding store: which key counts for a place that was carried to another browser, or whose key was let go.

A hash for each run, number to thumbprint, with a field only for places that moved: whoever stays in the browser of
the join costs nothing here, because the leaf holds their key. '' stands for a key that was let go. Two that write in
the same moment: the later one counts. A loss of the store brings the keys back that the tickets name.

A key that an operator lets go of stands in the room's stream in the same step, from where it goes into the journal.

Redis errors become ``Unavailable``. Not here: who may write (``binding``).
"""

from collections.abc import Mapping
from typing import Any, cast

from redis.asyncio import Redis

from kernel.store import translated
from waitroom.journal import Kind

KEPT_MS = 7 * 86_400_000
"""Rubbish collection: so long after the last carrying, and a ticket's cookie lasts a day."""


class BindingStore:
    """Keys of places on a Redis or Valkey."""

    def __init__(self, client: Redis) -> None:
        """Use `client`."""
        self._client = client

    async def moved(self, room: str, run: str, number: int) -> str | None:
        """Return the thumbprint that counts instead of the first one, '' for none any more; None: nothing moved."""
        with translated():
            found = cast("bytes | None", await self._client.hget(_name(room, run), str(number)))
        return None if found is None else found.decode()

    async def move(self, room: str, run: str, number: int, key: str) -> None:
        """Let another key count from now on."""
        await self._put(room, run, number, key, {})

    async def release(
        self, room: str, run: str, number: int, stream: str, act: Mapping[str, str], now_ms: int
    ) -> None:
        """Let no key count any more, and record the operator's `act` in the room's `stream`: both, or neither."""
        record = {"kind": Kind.OPERATOR.value, "at_ms": str(now_ms), "run": run, **act}
        await self._put(room, run, number, "", record, stream)

    async def _put(
        self, room: str, run: str, number: int, key: str, record: Mapping[str, str], stream: str = ""
    ) -> None:
        with translated():
            pipe = self._client.pipeline(transaction=True)
            if record:
                fields: dict[Any, Any] = dict(record)
                pipe.xadd(stream, fields)
            pipe.hset(_name(room, run), str(number), key)
            pipe.pexpire(_name(room, run), KEPT_MS)
            await pipe.execute()


def _name(room: str, run: str) -> str:
    return f"wr:{{{room}}}:keys:{run}"
