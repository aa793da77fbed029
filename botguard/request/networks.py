"""Network: what is known of the address that a request comes from, by lists of ranges and of autonomous systems.

The lists are compiled to sorted intervals that do not overlap, one array for each IP version: a look-up is a binary
search. Where lists overlap, the kinder one counts: Private Relay lies in the ranges of a cloud, and people use it.

What a network says is a prior and no more. Behind a cloud's address there may be a company's or a VPN's customers;
nobody is refused or slowed because of one (``botguard.verdict``). An operator's own list stands above ours
(``own_list``). Sources: lord-alfred/ipranges (CC0) and brianhama/bad-asn-list (MIT), beside this file with their
licences. Pure but for ``shipped``, which reads them. Not here: which autonomous system an address is in
(``kernel.places``).
"""

import csv
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton

FOLDER = Path(__file__).parent / "networks"


class Network(StrEnum):
    """What kind of network it is; the kinder one first."""

    PEOPLE = "people"
    """An operator's word."""

    RELAY = "relay"
    """Hides people (Private Relay): those behind it are no fewer people for that."""

    TOR = "tor"
    AGENTS = "agents"
    """From here a provider's assistants read and act."""

    EDGE = "edge"
    """A provider that passes on for others."""

    HOSTING = "hosting"


LISTS: Sequence[tuple[str, Network]] = (
    ("apple-proxy", Network.RELAY),
    ("openai", Network.AGENTS),
    ("cloudflare", Network.EDGE),
    ("amazon", Network.HOSTING),
    ("digitalocean", Network.HOSTING),
    ("github", Network.HOSTING),
    ("google", Network.HOSTING),
    ("linode", Network.HOSTING),
    ("microsoft", Network.HOSTING),
    ("oracle", Network.HOSTING),
    ("vultr", Network.HOSTING),
)
_KINDNESS = {kind: place for place, kind in enumerate(Network)}

Span = tuple[int, int, Network]
"""First and last address as whole numbers, both inside."""


class Intervals:
    """Spans that do not overlap, in order."""

    __slots__ = ("_kinds", "_lasts", "_starts")

    def __init__(self, spans: Iterable[Span]) -> None:
        """Cut what overlaps: the kinder kind keeps its part."""
        self._starts: list[int] = []
        self._lasts: list[int] = []
        self._kinds: list[Network] = []
        for first, last, kind in disjoint(spans):
            self._starts.append(first)
            self._lasts.append(last)
            self._kinds.append(kind)

    def __len__(self) -> int:
        """Count them."""
        return len(self._starts)

    def find(self, at: int) -> Network | None:
        """Return the kind of the span that an address is in."""
        place = bisect_right(self._starts, at) - 1
        return self._kinds[place] if place >= 0 and at <= self._lasts[place] else None


def disjoint(spans: Iterable[Span]) -> Iterator[Span]:
    """Cut spans so that none overlaps; neighbours of one kind become one."""
    rows = sorted(spans, key=lambda span: span[0])
    cuts = sorted({edge for first, last, _ in rows for edge in (first, last + 1)})
    alive: list[tuple[int, int, Network]] = []
    coming, held = 0, None
    for start, end in pairwise(cuts):
        while coming < len(rows) and rows[coming][0] <= start:
            _, last, kind = rows[coming]
            heappush(alive, (_KINDNESS[kind], last, kind))
            coming += 1
        while alive and alive[0][1] < start:
            heappop(alive)
        kind_here = alive[0][2] if alive else None
        if held is not None and (kind_here is not held[2] or held[1] + 1 != start):
            yield held
            held = None
        if kind_here is not None:
            held = (held[0] if held else start, end - 1, kind_here)
    if held is not None:
        yield held


def span(text: str) -> tuple[int, int, int]:
    """Read a range: IP version, first and last address. Raises ``ValueError`` for anything else.

    >>> span("10.0.0.0/30")[2] - span("10.0.0.0/30")[1]
    3
    """
    address, _, length = text.partition("/")
    version, family, bits = (6, AF_INET6, 128) if ":" in address else (4, AF_INET, 32)
    try:
        at = int.from_bytes(inet_pton(family, address))
    except OSError as error:
        raise ValueError(f"{text!r} is neither an address nor a network") from error
    if not (not length or (length.isascii() and length.isdigit() and int(length) <= bits)):
        raise ValueError(f"{text!r} has no such prefix")
    size = 1 << (bits - int(length or bits))
    if at % size:
        raise ValueError(f"{text!r} has bits behind its prefix")
    return version, at, at + size - 1


@dataclass(frozen=True, slots=True)
class Networks:
    """Ranges of both versions, and autonomous systems."""

    v4: Intervals
    v6: Intervals
    systems: dict[int, Network]

    def find(self, address: IPv4Address | IPv6Address, system: int = 0) -> Network | None:
        """Return what is known of an address, and of its autonomous system where that is known."""
        found = (self.v4 if address.version == 4 else self.v6).find(int(address))
        return self.systems.get(system) if found is None else found


def compiled(rows: Iterable[tuple[str, Network]], systems: Iterable[tuple[int, Network]] = ()) -> Networks:
    """Compile ranges and systems. Raises ``ValueError`` for a range that is none."""
    spans: dict[int, list[Span]] = {4: [], 6: []}
    for text, kind in rows:
        version, first, last = span(text)
        spans[version].append((first, last, kind))
    return Networks(Intervals(spans[4]), Intervals(spans[6]), dict(systems))


def shipped(folder: Path = FOLDER) -> Networks:
    """Read the lists that come with the package."""
    rows = [
        (line, kind)
        for name, kind in LISTS
        for line in (folder / "ipranges" / f"{name}.txt").read_text("ascii").split()
    ]
    with (folder / "bad-asn-list" / "bad-asn-list.csv").open(encoding="utf-8", newline="") as file:
        systems = [(int(row["ASN"]), Network.HOSTING) for row in csv.DictReader(file)]
    return compiled(rows, systems)
