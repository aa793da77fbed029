"""Sketches in the store: the same as ``sketch.SketchesHere``, for all workers, until the day is over.

For each day and room and band of a word one list of marks, the newest first: eight bytes that stand for the place,
which nobody can tell without our secret, and the word's eight. A list keeps ``DEPTH`` of them, so a room's day is
bounded (docs/adr/0027), and a movement that is replayed among very many people is known again while its last copy is
not older than some thousands of visits. At midnight (UTC) all of them lapse.

Two trips, one to look and one to put down: of two copies that come in the same moment none may be found; the third is.
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain
from struct import Struct

from redis.asyncio import Redis

from botguard.sketch import ALIKE_RATIO, FEWEST_WORDS, NEAR_BITS, bands
from botguard.velocity.subjects import DAY_MS
from kernel.store import translated

DEPTH = 64
NAME_BYTES = 8
_NAME, _MARK = Struct(">Q"), Struct(">QQ")


def band_key(room: str, day: int, band: str) -> str:
    """Name the list of a band."""
    return f"bg:{{sketch:{room}:{day}}}:{band}"


class SketchStore:
    """Sketches of one room on a Redis or Valkey; ``sketch.Sketches``. A session's name begins with its room."""

    def __init__(self, client: Redis, secret: bytes) -> None:
        """Keep marks in `client`; `secret` makes the names of places in them."""
        self._client = client
        self._key = secret[: blake2b.MAX_KEY_SIZE]

    def name(self, session: str) -> bytes:
        """Return what stands for a session in its marks."""
        return blake2b(session.encode(), key=self._key, digest_size=NAME_BYTES).digest()

    async def alike(self, session: str, words: Sequence[str], now_ms: int) -> str | None:
        """Return an earlier session's name (as hexadecimal) with an alike sketch, and keep this one.

        Raises Unavailable.
        """
        if len(words) < FEWEST_WORDS:
            return None
        day, room = now_ms // DAY_MS, session.partition("|")[0]
        own = self.name(session)
        found = {band: band_key(room, day, band) for word in words for band in bands(word)}
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for key in found.values():
                pipe.lrange(key, 0, -1)
            marks = dict(zip(found, await pipe.execute(), strict=True))
            pipe = self._client.pipeline(transaction=False)
            for word in words:
                for band in bands(word):
                    pipe.lpush(found[band], own + bytes.fromhex(word))
            for key in found.values():
                pipe.ltrim(key, 0, DEPTH - 1)
                pipe.pexpire(key, (day + 1) * DAY_MS - now_ms)
            await pipe.execute()
        return _alike(own, words, marks)


def _alike(own: bytes, words: Sequence[str], marks: dict[str, list[bytes]]) -> str | None:
    """Return the place with the most words that are near; the numbers of a mark are compared as such, for speed."""
    (own_number,) = _NAME.unpack(own)
    seen: Counter[int] = Counter()
    for word in words:
        number = int(word, 16)
        lists = (_MARK.iter_unpack(b"".join(marks[band])) for band in bands(word))
        seen.update(
            {
                place
                for place, other in chain.from_iterable(lists)
                if (number ^ other).bit_count() <= NEAR_BITS and place != own_number
            }
        )
    if not seen:
        return None
    place, many = min(seen.items(), key=lambda one: (-one[1], one[0]))
    return _NAME.pack(place).hex() if many >= ALIKE_RATIO * len(words) else None
