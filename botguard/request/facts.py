"""Fact: what one request shows, in words of closed sets; nothing of it names anybody.

``read`` walks over the headers once and asks each part (agents, crawlers, hints, networks, signatures) for its word. It
does not wait for anything: an engine's crawler that nobody has confirmed yet is unconfirmed. What cannot be known here
is None or not in the list, and speaks for nobody and against nobody. Not here: what the facts weigh
(``botguard.verdict``), how often somebody acts (``botguard.velocity``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from botguard.request.agents import Agent, read_agent
from botguard.request.crawlers import Crawlers, Declared
from botguard.request.hints import Header, Sign, signs
from botguard.request.networks import Network, Networks
from botguard.request.own_list import OwnList
from botguard.request.ports import Systems
from botguard.request.search_bots import SearchBots, Standing
from botguard.request.signed import Keys, Target, signer
from kernel.asgi import address_of

WANTED = frozenset(
    (
        b"accept", b"accept-encoding", b"accept-language", b"host", b"sec-ch-ua", b"sec-ch-ua-mobile",
        b"sec-ch-ua-platform", b"sec-fetch-site", b"signature", b"signature-agent", b"signature-input",
        b"user-agent", b"via",
    )
)  # fmt: skip


class Who(StrEnum):
    """What somebody says, or shows, to be."""

    UNDECLARED = "undeclared"
    """A browser, as far as it tells."""

    VOUCHED = "vouched"
    """On the operator's own list of people."""

    SIGNED_AGENT = "signed-agent"
    AGENT = "declared-agent"
    SEARCH_BOT = "search-bot"
    """Confirmed."""

    CRAWLER = "declared-crawler"
    AUTOMATION = "declared-automation"
    TOOL = "declared-tool"


_DECLARED = {
    Declared.AGENT: Who.AGENT,
    Declared.SEARCH: Who.CRAWLER,
    Declared.CRAWLER: Who.CRAWLER,
    Declared.AUTOMATION: Who.AUTOMATION,
    Declared.TOOL: Who.TOOL,
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request shows. ``address`` is for counting only, and is kept nowhere."""

    who: Who = Who.UNDECLARED
    signs: tuple[Sign, ...] = ()
    network: Network | None = None
    address: IPv4Address | IPv6Address | None = None
    agent_name: str = ""
    """Of an agent that signed: as its key is called."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What is known of a request besides its headers."""

    address: str
    method: str = "GET"
    path: str = "/"
    is_tls: bool = False
    is_direct: bool = True
    """Nobody stands between the browser and us who may have changed the order of headers."""

    ja4: str = ""


class Reader:
    """Reads requests, for one worker."""

    def __init__(
        self,
        crawlers: Crawlers,
        networks: Networks,
        *,
        own_list: Callable[[], OwnList],
        keys: Callable[[], Keys],
        search_bots: SearchBots,
        systems: Systems | None = None,
    ) -> None:
        """`own_list` and `keys` are read anew when their files change."""
        self._crawlers = crawlers
        self._networks = networks
        self._own_list = own_list
        self._keys = keys
        self._search_bots = search_bots
        self._systems = systems

    def read(self, headers: Iterable[Header], asking: Asking, now_ms: int) -> Facts:
        """Tell what a request shows."""
        names: list[bytes] = []
        said: dict[bytes, bytes] = {}
        for header, value in headers:
            if header in WANTED:
                names.append(header)
                said.setdefault(header, value)
        text = said.get(b"user-agent", b"").decode("latin-1")
        at = address_of(asking.address)
        own = self._own_list()
        network = self._network(own, at)
        if network is Network.PEOPLE or (own.agents and own.is_peoples(text)):
            return Facts(Who.VOUCHED, (), network, at)
        authority = said.get(b"host", b"").decode("latin-1")
        if b"signature-input" in said and (
            name := signer(said, Target(asking.method, authority, asking.path), self._keys(), now_ms)
        ):
            return Facts(Who.SIGNED_AGENT, (), network, at, name)
        who = self._who(text, at, now_ms)
        if who is not Who.UNDECLARED:
            return Facts(who, (), network, at)
        agent: Agent = read_agent(text)
        found = signs(agent, said, names, is_tls=asking.is_tls, is_direct=asking.is_direct, ja4=asking.ja4)
        return Facts(who, tuple(found), network, at)

    async def close(self) -> None:
        """Leave the questions that are under way."""
        await self._search_bots.close()

    def _network(self, own: OwnList, at: IPv4Address | IPv6Address | None) -> Network | None:
        if at is None:
            return None
        system = 0 if self._systems is None else self._systems.system_of(at)
        found = own.networks.find(at, system)
        return self._networks.find(at, system) if found is None else found

    def _who(self, text: str, at: IPv4Address | IPv6Address | None, now_ms: int) -> Who:
        declared = self._crawlers.find(text)
        if declared is None:
            return Who.UNDECLARED
        if declared is Declared.SEARCH and at is not None:
            standing = self._search_bots.standing(at, text, now_ms)
            return Who.SEARCH_BOT if standing is Standing.CONFIRMED else Who.CRAWLER
        return _DECLARED[declared]
