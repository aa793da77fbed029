"""Work: solving the room's check as the page's script does it, and what that costs a processor.

ALTCHA's second format: count up until the SHA-256 of salt, nonce and counter (four bytes, big-endian) begins with the
given bytes. In slices, because load and fans share one loop. A compiled solver is some ten times as fast as this one.
"""

import asyncio
import base64
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

SLICE = 1_000


class Solved(NamedTuple):
    """A counter that solves a puzzle, the hash that it makes, and the processor's time for finding it."""

    counter: int
    key: str
    cpu_s: float


async def solve(parameters: Mapping[str, Any], tries_most: int) -> Solved | None:
    """Count from 0 to `tries_most`; None where nothing solves it. Raises KeyError or ValueError for another puzzle."""
    base = sha256(bytes.fromhex(parameters["salt"]) + bytes.fromhex(parameters["nonce"]))
    wanted = bytes.fromhex(parameters["keyPrefix"])
    cpu_s = 0.0
    for first in range(0, tries_most + 1, SLICE):
        begun = time.thread_time()
        for counter in range(first, min(first + SLICE, tries_most + 1)):
            hashed = base.copy()
            hashed.update(counter.to_bytes(4, "big"))
            if hashed.digest().startswith(wanted):
                return Solved(counter, hashed.hexdigest(), cpu_s + time.thread_time() - begun)
        cpu_s += time.thread_time() - begun
        await asyncio.sleep(0)
    return None


def written(challenge: object, counter: int, key: str, took_ms: int = 0) -> str:
    """Write a solution as the page sends it: base64 of ALTCHA's payload."""
    solution = {"counter": counter, "derivedKey": key, "time": took_ms}
    return base64.b64encode(orjson.dumps({"challenge": challenge, "solution": solution})).decode()
