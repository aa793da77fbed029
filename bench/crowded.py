"""A crowded room: many joins at once by the service's own store method, for figures that need a long line.

The same script and the same batches as the service's, without HTTP: a million take seconds, not minutes.
"""

import asyncio
import os
import secrets
import time

from bench.figure import say
from bench.harness import Ours
from kernel.store import connect
from waitroom.batch import LARGEST
from waitroom.lanes import Lane
from waitroom.line import LEAF_BYTES
from waitroom.store import LineStore


def join_many(ours: Ours, room: str, count: int) -> float:
    """Join `count` fans to a room and return how many seconds it took."""
    began = time.monotonic()
    asyncio.run(_join_many(ours.store_url, room, ours.line(room)["run"], count))
    return time.monotonic() - began


async def _join_many(store_url: str, room: str, run: str, count: int) -> None:
    client = connect(store_url, timeout_s=10)
    store = LineStore(client)
    try:
        for done in range(0, count, LARGEST):
            size = min(LARGEST, count - done)
            leaves = [os.urandom(LEAF_BYTES) for _ in range(size)]
            answer = await store.join(room, run, Lane.STANDARD, leaves, [], secrets.token_hex(8), None)
            if answer[0] != "joined":
                raise RuntimeError(f"a batch was not joined but {answer[:2]}")
            if done // LARGEST % 400 == 0:
                say(f"{room}: {done + size:,} of {count:,} joined")
    finally:
        await client.aclose()
