"""Binding store: which key counts for a place that was carried to another browser, or whose key was let go.

A hash for each run, number to thumbprint, with a field only for places that moved: whoever stays in the browser of
the join costs nothing here, because the leaf holds their key. '' stands for a key that was let go. Two that write in
the same moment: the later one counts. A loss of the store brings the keys back that the tickets name.

Redis errors become ``Unavailable``. Not here: who may write (``binding``).
"""

from typing import cast

from redis.asyncio import Redis

from kernel.store import translated

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
        """Let another key count from now on, or ('') none."""
        with translated():
            pipe = self._client.pipeline(transaction=True)
            pipe.hset(_name(room, run), str(number), key)
            pipe.pexpire(_name(room, run), KEPT_MS)
            await pipe.execute()


def _name(room: str, run: str) -> str:
    return f"wr:{{{room}}}:keys:{run}"
