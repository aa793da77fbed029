"""Draw web: the addresses where anybody finds what it takes to check the draw, as raw ASGI. Decides nothing.

GET draw            notice, freeze, root, seed and proof, as far as they are there
GET leaves/{block}  1,024 leaves, 16 bytes each, once the root over them is public
"""

from collections.abc import Awaitable, Callable

import orjson

from kernel.asgi import Receive, Scope, Send, respond
from kernel.errors import Refused
from waitroom.draw import rounds_for
from waitroom.service import Waitroom

Handler = Callable[[Scope, Receive, Send, str], Awaitable[None]]

LEAVES_PER_BLOCK = 1024


class DrawWeb:
    """Handlers of the draw. Each takes (scope, receive, send, room)."""

    def __init__(self, waitroom: Waitroom) -> None:
        """Tell of the rooms of `waitroom`."""
        self._waitroom = waitroom
        self.routes: dict[tuple[str, str], Handler] = {
            ("GET", "draw"): self.draw,
            ("GET", "leaves"): self.leaves,
        }

    async def draw(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Publish what anyone needs to check the draw."""
        del scope, receive
        reading = self._waitroom.reading(room)
        line = reading.line
        if line is None or not line.commitment:
            raise Refused("no-draw", "This line has no draw: first come, first served.", status=404)
        proof = orjson.loads(reading.proof) if reading.proof else None
        answer = {
            "draw_id": reading.draw_id.decode(),
            "algorithm": "swap-or-not-sha256",
            "rounds": rounds_for(line.frozen or 0),
            "leaf": "waitroom-leaf-v1",
            "commitment": line.commitment,
            "closes_ms": reading.wanted.closes_ms,
            "frozen": line.frozen,
            "void": [list(pair) for pair in line.void],
            "root": line.root or None,
            "seed": line.seed or None,
            "proof": proof,
        }
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"public, max-age=5")]
        await respond(send, 200, headers, orjson.dumps(answer))

    async def leaves(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Publish one block of 1,024 leaves, 16 bytes each, once their root is; from then on they are as they are."""
        del receive
        reading = self._waitroom.reading(room)
        line = reading.line
        text = str(scope["path"]).rpartition("/")[2]
        block = int(text) if text.isdecimal() and len(text) < 8 else -1
        if (
            line is None
            or line.frozen is None
            or not line.root
            or not 0 <= block * LEAVES_PER_BLOCK < line.frozen
        ):
            raise Refused("no-leaves", "There are no published leaves at this address.", status=404)
        start = block * LEAVES_PER_BLOCK
        octets = await self._waitroom.store.leaves(room, start, min(LEAVES_PER_BLOCK, line.frozen - start))
        headers = [
            (b"content-type", b"application/octet-stream"),
            (b"cache-control", b"public, max-age=31536000, immutable"),
        ]
        await respond(send, 200, headers, octets)
