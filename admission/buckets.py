"""Bucket: a rate limit on an act, kept for each address by one worker.

Why in the worker's memory: joins come by the ten thousand in the same second, and a bucket only keeps one
address from inflating the line; it decides nobody's order. So an address gets at most the limit times the number
of workers. Limits that must be exact (claims, places) are in the store (``claim``).

An IPv6 address counts by its /64, which is what one household has. Not here: whose address it is
(``kernel.asgi.client_address``), limits across workers, of browsers and identities (``botguard.velocity``).
"""

from functools import lru_cache
from ipaddress import ip_address

from kernel.gcra import MINUTE_US, Rate, next_us, spent

MOST_KEPT = 200_000
"""Addresses remembered in all rooms; beyond it the fullest third is kept."""

_US_PER_MS = 1000


class Buckets:
    """The buckets of one worker."""

    __slots__ = ("_most", "_tats")

    def __init__(self, most: int = MOST_KEPT) -> None:
        """Remember at most `most` addresses."""
        self._tats: dict[tuple[str, str], int] = {}
        self._most = most

    def __len__(self) -> int:
        """Count what is remembered."""
        return len(self._tats)

    def take(self, room: str, address: str, rate_per_minute: int, burst: int, now_ms: int) -> int:
        """Take one act; return 0, or the milliseconds until one conforms."""
        key = room, network(address)
        rate = _rate(rate_per_minute, burst)
        now_us = now_ms * _US_PER_MS
        tat_us = self._tats.get(key, 0)
        at_us = next_us(tat_us, rate, now_us)
        if at_us > now_us:
            return -(-(at_us - now_us) // _US_PER_MS)
        if len(self._tats) >= self._most and key not in self._tats:
            self._forget(now_us)
        self._tats[key] = spent(tat_us, rate, now_us)
        return 0

    def _forget(self, now_us: int) -> None:
        """Drop full buckets, and where that is not enough those that are nearest to full."""
        busy = {key: tat_us for key, tat_us in self._tats.items() if tat_us > now_us}
        if len(busy) >= self._most:
            emptiest = sorted(busy, key=busy.__getitem__, reverse=True)[: self._most // 3]
            busy = {key: busy[key] for key in emptiest}
        self._tats = busy


@lru_cache(maxsize=256)
def _rate(rate_per_minute: int, burst: int) -> Rate:
    return Rate(-(-MINUTE_US // rate_per_minute), burst)


def network(address: str) -> str:
    """Return what counts as one address."""
    if ":" not in address:
        return address
    try:
        return str(ip_address(address).exploded)[:19]
    except ValueError:
        return address
