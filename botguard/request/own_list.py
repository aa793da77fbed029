"""Own list: what an operator knows of networks and agents, above the lists that come with the package.

A text file, one entry a line: what it is, then a network, an autonomous system or a word of an agent; ``#`` begins a
comment::

    people  203.0.113.0/24      # the office
    people  AS64500             # needs a file of autonomous systems
    people  agent:TicketApp/    # our own app, though it calls itself okhttp
    hosting 198.51.100.0/24
    tor     192.0.2.7

``people`` lifts what our lists and a declared agent say; it lifts no limit and no proof. An agent is a text that
anybody can send, so choose one that is not known to everybody. All faults are told at once, each with its line. Pure.
Not here: reading the file anew (``kernel.watched``).
"""

from dataclasses import dataclass

from botguard.request.networks import Network, Networks, compiled, span
from kernel.errors import Misconfigured

MOST_BYTES = 16 * 1024 * 1024
KINDS = (Network.PEOPLE, Network.TOR, Network.HOSTING)
_AGENT = "agent:"
_LEAST_AGENT = 4


@dataclass(frozen=True, slots=True)
class OwnList:
    """The entries of the file."""

    networks: Networks
    agents: tuple[str, ...] = ()

    def is_peoples(self, agent: str) -> bool:
        """Tell whether an agent is one that the operator vouches for."""
        return any(word in agent for word in self.agents)


NOTHING = OwnList(compiled(()))


def read_own_list(octets: bytes) -> OwnList:
    """Read the file. Raises ``Misconfigured`` with every fault there is, by line."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = octets.count(b"\n", 0, error.start) + 1
        raise Misconfigured(f"line {at}: this is not UTF-8 text.") from error
    ranges: list[tuple[str, Network]] = []
    systems: list[tuple[int, Network]] = []
    agents: list[str] = []
    faults: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            kind, value = _entry(words)
            if value.startswith(_AGENT):
                agents.append(_agent(kind, value.removeprefix(_AGENT)))
            elif value[:2].upper() == "AS":
                systems.append((_system(value), kind))
            else:
                span(value)
                ranges.append((value, kind))
        except ValueError as error:
            faults.append(f"line {number}: {error}.")
    if faults:
        raise Misconfigured(faults)
    return OwnList(compiled(ranges, systems), tuple(agents))


def _entry(words: list[str]) -> tuple[Network, str]:
    if len(words) != 2:
        raise ValueError("an entry is a kind and one value")
    if words[0] not in KINDS:
        raise ValueError(f"the kind {words[0]!r} is unknown; there are {', '.join(KINDS)}")
    return Network(words[0]), words[1]


def _agent(kind: Network, word: str) -> str:
    if kind is not Network.PEOPLE or len(word) < _LEAST_AGENT:
        raise ValueError(f"an agent is people's, and its word has at least {_LEAST_AGENT} letters")
    return word


def _system(value: str) -> int:
    if not (value[2:].isascii() and value[2:].isdigit() and 0 < int(value[2:]) < 2**32):
        raise ValueError(f"{value!r} is no autonomous system; write AS64500")
    return int(value[2:])
