"""Search bot: whether a search engine's crawler is really one, by forward-confirmed reverse DNS.

The engine's own rule: the address has a name below one of the engine's domains, and that name has this address. Asking
takes seconds at worst, so nobody waits for it: a crawler is **unconfirmed** until the answer is there, and what it is
then counts for its next request. Answers are kept for a day, failures for some minutes; a few questions are under way
at a time, each with a time limit, and more than that are not asked. The name service is a port (``ports.Resolver``).

Not here: who claims to be one (``crawlers``), what follows (``botguard.verdict``).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from botguard.request.ports import Resolver

DOMAINS: Mapping[str, tuple[str, ...]] = {
    "Googlebot": ("googlebot.com", "google.com"),
    "bingbot": ("search.msn.com",),
    "Applebot": ("applebot.apple.com",),
    "YandexBot": ("yandex.ru", "yandex.net", "yandex.com"),
    "Baiduspider": ("baidu.com", "baidu.jp"),
    "PetalBot": ("petalsearch.com",),
    "SeznamBot": ("seznam.cz",),
}
KEPT_MS = 86_400_000
AGAIN_MS = 300_000
TIMEOUT_S = 2.0
MOST_ASKED = 4
MOST_KEPT = 10_000


class Standing(StrEnum):
    """What is known of a crawler."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNKNOWN = "unknown"
    """Not asked yet, or nobody answered."""


def domains(agent: str) -> tuple[str, ...]:
    """Return the domains below which an agent's crawlers stand; none for an agent that claims no engine."""
    return next((found for word, found in DOMAINS.items() if word in agent), ())


def is_below(name: str, above: tuple[str, ...]) -> bool:
    """Tell whether a host stands below one of the domains.

    >>> is_below("crawl-1.googlebot.com.", ("googlebot.com",)), is_below("evilgooglebot.com", ("googlebot.com",))
    (True, False)
    """
    host = name.rstrip(".").lower()
    return any(host.endswith(f".{domain}") for domain in above)


class SearchBots:
    """Remembers who was confirmed, for one worker."""

    def __init__(
        self, resolver: Resolver, count: Callable[[str], None], *, timeout_s: float = TIMEOUT_S
    ) -> None:
        """`count` hears what came of each question."""
        self._resolver = resolver
        self._count = count
        self._timeout_s = timeout_s
        self._known: OrderedDict[tuple[str, tuple[str, ...]], tuple[Standing, int]] = OrderedDict()
        self._asking: dict[tuple[str, tuple[str, ...]], asyncio.Task[None]] = {}

    def standing(self, address: IPv4Address | IPv6Address, agent: str, now_ms: int) -> Standing:
        """Return what is known now; where that is nothing, ask in the background."""
        above = domains(agent)
        if not above:
            return Standing.UNKNOWN
        key = str(address), above
        standing, until_ms = self._known.get(key, (Standing.UNKNOWN, 0))
        if now_ms < until_ms:
            return standing
        if key not in self._asking and len(self._asking) < MOST_ASKED:
            task = asyncio.get_running_loop().create_task(self._ask(key, now_ms))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return standing

    async def settled(self) -> None:
        """Wait for the questions that are under way."""
        while self._asking:
            await asyncio.wait(tuple(self._asking.values()))

    async def close(self) -> None:
        """Leave the questions that are under way."""
        for task in tuple(self._asking.values()):
            task.cancel()
        await self.settled()

    async def _ask(self, key: tuple[str, tuple[str, ...]], now_ms: int) -> None:
        address, above = key
        try:
            async with asyncio.timeout(self._timeout_s):
                standing = await self._confirm(address, above)
        except (TimeoutError, OSError):
            standing = Standing.UNKNOWN
        self._count(standing.value)
        kept_ms = AGAIN_MS if standing is Standing.UNKNOWN else KEPT_MS
        self._known[key] = standing, now_ms + kept_ms
        self._known.move_to_end(key)
        if len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)

    async def _confirm(self, address: str, above: tuple[str, ...]) -> Standing:
        name = await self._resolver.name_of(address)
        if not is_below(name, above):
            return Standing.REFUTED
        there = await self._resolver.addresses_of(name)
        return Standing.CONFIRMED if address in there else Standing.REFUTED
