"""List: whom an operator refuses (blocklist), and for whom an exception is made (allowlist).

A text file, one entry a line, kind first, then a space or a comma; ``#`` begins a comment::

    address 203.0.113.0/24      # or one address; IPv6 as well
    account 5f0c2a…             # the buyer's id
    card    Xt5EWLLDS7FJjR1c    # the provider's fingerprint
    device  9b1d…               # the id in the cookie
    email   mailinator.com      # the domain, and all below it
    country KP                  # ISO 3166, two letters

Accounts, cards and devices may also stand as their pseudonyms (``signals.Pseudonyms``), as a reviewer sees them; then
the file says nothing to whoever finds it. All faults of a file are told at once, each with its line. Pure but for
``Lists``, which keeps two files. Not here: reading files anew (``watched``), what follows (``rules``).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from types import MappingProxyType

from checkout.faults import Faults
from checkout.fraud.ports import FraudMetrics
from checkout.fraud.signals import Kind
from kernel.addresses import parsed
from kernel.errors import Misconfigured
from kernel.watched import FileCounts, Watched

MOST_BYTES = 64 * 1024 * 1024
NAME_MOST = 200

_LINE = re.compile(r"([a-z]+)(?:\s*,\s*|\s+)([^\s,]+)")
_COUNTRY = re.compile(r"[A-Z]{2}")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")

Spellings = Mapping[Kind, Sequence[str]]
"""For each kind the names under which somebody may stand on a list; a country's and a domain's is one."""


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of one file; each is known by its line."""

    names: Mapping[tuple[Kind, str], int]
    networks: Mapping[tuple[int, int], Mapping[int, int]]
    """By IP version and length of the prefix: the network's bits, and the line."""

    def __len__(self) -> int:
        """Count them; the same twice is one."""
        return len(self.names) + sum(len(networks) for networks in self.networks.values())

    def lines(self, spellings: Spellings, address: str) -> dict[Kind, int]:
        """Return the line of the entry that is hit, for each kind."""
        found: dict[Kind, int] = {}
        line = self._line_of(address)
        if line is not None:
            found[Kind.ADDRESS] = line
        for kind, names in spellings.items():
            for name in _domains(names) if kind is Kind.EMAIL else names:
                line = self.names.get((kind, name))
                if line is not None:
                    found[kind] = line
                    break
        return found

    def _line_of(self, address: str) -> int | None:
        at = parsed(address)
        if at is None:
            return None
        lines = [
            line
            for (version, prefix), networks in self.networks.items()
            if version == at.version
            and (line := networks.get(int(at) >> (at.max_prefixlen - prefix))) is not None
        ]
        return min(lines, default=None)


NOTHING = Entries(MappingProxyType({}), MappingProxyType({}))


def read_list(octets: bytes) -> Entries:
    """Read a file. Raises ``Misconfigured`` with every fault there is, by line."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = octets.count(b"\n", 0, error.start) + 1
        raise Misconfigured(f"line {at}: this is not UTF-8 text.") from error
    names: dict[tuple[Kind, str], int] = {}
    networks: dict[tuple[int, int], dict[int, int]] = {}
    faults = Faults("list-invalid", "The list cannot be used.")
    for number, line in enumerate(text.split("\n"), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            kind, value = _entry(entry)
            if kind is Kind.ADDRESS:
                network = _network(value)
                bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
                networks.setdefault((network.version, network.prefixlen), {}).setdefault(bits, number)
            else:
                names.setdefault((kind, _name(kind, value)), number)
        except ValueError as error:
            faults.add(f"line {number}: {error}.")
    if faults:
        raise Misconfigured(faults.told())
    return Entries(names, networks)


def domain(written: str) -> str:
    """Write a domain in its one spelling; '' for what cannot be one."""
    try:
        text = written.strip().rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
    return text if _DOMAIN.fullmatch(text) else ""


def _domains(names: Sequence[str]) -> Iterator[str]:
    """Give a domain and those above it."""
    for name in names:
        labels = domain(name).split(".")
        yield from (".".join(labels[first:]) for first in range(len(labels) - 1))


def _entry(entry: str) -> tuple[Kind, str]:
    found = _LINE.fullmatch(entry)
    if found is None:
        raise ValueError("an entry is a kind and one value")
    try:
        return Kind(found[1]), found[2]
    except ValueError:
        raise ValueError(f"the kind {found[1]!r} is unknown; there are {', '.join(Kind)}") from None


def _network(value: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(value)
    except ValueError:
        try:
            meant = ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f"{value!r} is neither an address nor a network") from None
        raise ValueError(f"{value!r} has bits behind its prefix; did you mean {meant}?") from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{value!r} is an IPv4 address in IPv6 clothes; write it as IPv4")
    return network


def _name(kind: Kind, value: str) -> str:
    if kind is Kind.COUNTRY and not _COUNTRY.fullmatch(value):
        raise ValueError(f"{value!r} is no country; write two capital letters, as GB")
    if kind is Kind.EMAIL:
        if not domain(value):
            raise ValueError(f"{value!r} is no domain; write what stands behind the @")
        return domain(value)
    if len(value) > NAME_MOST:
        raise ValueError(f"the {kind} is longer than {NAME_MOST} characters")
    return value


@dataclass(frozen=True, slots=True)
class Listed:
    """What of an attempt stands on the lists. ``blocked`` says where, for the operator."""

    blocked: Mapping[Kind, str] = field(default_factory=dict)
    allowed: frozenset[Kind] = frozenset()


class Lists:
    """The two lists, for one worker."""

    def __init__(
        self, metrics: FraudMetrics, *, block: Path | None = None, allow: Path | None = None
    ) -> None:
        """Read the files. Raises ``Misconfigured`` with the faults of both."""
        self.files: list[Watched[Entries]] = []
        self._named: dict[str, Watched[Entries]] = {}
        faults: list[str] = []
        counts = FileCounts(metrics.fraud_reloads, metrics.fraud_stale)
        for name, path in (("blocklist", block), ("allowlist", allow)):
            try:
                if path is not None:
                    self._named[name] = Watched(name, path, read_list, counts, most_bytes=MOST_BYTES)
                    self.files.append(self._named[name])
            except Misconfigured as error:
                faults += error.faults
        if faults:
            raise Misconfigured(faults)

    def find(self, spellings: Spellings, address: str) -> Listed:
        """Look somebody up."""
        blocked = self._entries("blocklist").lines(spellings, address)
        allowed = self._entries("allowlist").lines(spellings, address)
        return Listed({kind: f"blocklist, line {line}" for kind, line in blocked.items()}, frozenset(allowed))

    def _entries(self, name: str) -> Entries:
        file = self._named.get(name)
        return NOTHING if file is None else file.value
