"""Spent: what was used once is used up, for everybody who asks the same store.

One SET with NX and a time to live: of two that bring the same thing in the same moment one gets it. It is kept until
it could not be used any more anyway. Names are hashes: no token stands in the store.
"""

from hashlib import sha256

from redis.asyncio import Redis

from kernel.store import translated


class SpentStore:
    """``port.Spent`` on a Redis or Valkey."""

    def __init__(self, client: Redis) -> None:
        """Remember in `client`."""
        self._client = client

    async def spend(self, name: str, keep_ms: int) -> bool:
        """Use something up; False when it had been used before. Raises Unavailable."""
        key = f"wr:spent:{sha256(name.encode()).hexdigest()}"
        with translated():
            return bool(await self._client.set(key, b"1", nx=True, px=max(1, keep_ms)))
