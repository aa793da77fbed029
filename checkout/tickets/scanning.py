"""Scanning: scanners, the scans that they send, what they must know to work without a network, and what all came to.

A scanner is a gate's right to scan one event, for a time. Its token is told once, when it is made; we keep its hash.
125 random bits need no slow hash, and can be typed in (25 characters of Crockford's alphabet).

Each scan is a transaction of its own, so what one of a batch runs into keeps none of the others. Of two scans of one
ticket at two workers one is the admission: the ticket's version and its log see to that, the other looks again. A scan
is named by its device, so sending it again is hearing the same word.

Lists are made once for all who ask at the same time (``Once``). Not here: what a scan comes to
(``tickets.admitting``), statements (``tickets.scanner_rows``), HTTP (``tickets.scan_web``).
"""

import gzip
import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from checkout.eventlog.store import at_one_moment
from checkout.grouping import Grouping
from checkout.holds.places import Places
from checkout.metrics import Metrics
from checkout.once import Once
from checkout.tickets import scanner_rows
from checkout.tickets.admitting import Outcome, Scan, is_conflict
from checkout.tickets.code import Fault, event_tag, verify
from checkout.tickets.keys import TicketKeys
from checkout.tickets.rows import Stale
from checkout.tickets.scan_list import NOBODY, OVERLAP_MS, gate_of, pack, prefix_of
from checkout.tickets.scanner_rows import Answer, Scanner
from checkout.tickets.ticket import read_number
from kernel.clock import Clock
from kernel.errors import Unavailable

log = logging.getLogger(__name__)

MOST_SCANNERS = 200
"""Of an event, with those that are over."""

TRIES = 8
SEEN_MS = 15_000
"""So often it is written down that a scanner is there."""

WHOLE_MS, CHANGES_MS = 4_000, 1_000
"""So old a list may be that is given to others who ask."""

_GRID_MS = 10_000
_PACKING = 5
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISTAKEN = str.maketrans("ILO", "110")
_TOKEN_LENGTH = 25
_DOMAIN = b"shop-scanner\0"


@dataclass(frozen=True, slots=True)
class Made:
    """A new scanner, and its token, which nobody can be told again."""

    scanner: Scanner
    token: str


@dataclass(frozen=True, slots=True)
class ScanList:
    """What scanners are told, as JSON, and packed."""

    octets: bytes
    packed: bytes


@dataclass(frozen=True, slots=True)
class Figures:
    """How an event's doors stand: ``gates`` by scanner, ``refused`` by outcome, ``minutes`` as (when, how many)."""

    sold: int
    entered: int
    scanners: Sequence[Scanner]
    gates: Mapping[str, int]
    refused: Mapping[str, int]
    minutes: Sequence[tuple[int, int]]


class Scanning:
    """The use cases."""

    def __init__(self, places: Places, keys: TicketKeys, clock: Clock, metrics: Metrics) -> None:
        self._places = places
        self._keys = keys
        self._clock = clock
        self._metrics = metrics
        self._groups: dict[str, Grouping] = {}
        self._whole: Once[str, ScanList] = Once(self._make_whole, clock, keep_ms=WHOLE_MS, most=8)
        self._changes: Once[tuple[str, int], ScanList] = Once(
            self._make_changes, clock, keep_ms=CHANGES_MS, most=64
        )

    def _group(self, event: str) -> Grouping:
        place = self._places.of(event)
        return self._groups.setdefault(place.name, Grouping(place.database))

    # ---------------------------------------------------------------------------------- scanners

    async def make(self, event: str, name: str, until_ms: int) -> Made | None:
        """Make a scanner; None when the event has too many."""
        token = "".join(secrets.choice(_DIGITS) for _ in range(_TOKEN_LENGTH))
        rest = secrets.token_hex(7)
        made = Scanner(
            id="",
            event=event,
            name=name,
            token_hash=hash_of(event, token),
            revoked=False,
            created_ms=self._clock.now_ms(),
            until_ms=until_ms,
            seen_ms=0,
        )

        def work(connection: Connection) -> Scanner | None:
            there = scanner_rows.scanners_of(connection, event)
            if len(there) >= MOST_SCANNERS:
                return None
            # Lists name a gate by one octet.
            free = sorted(set(range(NOBODY)) - {gate_of(one.id) for one in there})
            scanner = replace(made, id=f"{secrets.choice(free):02x}{rest}")
            scanner_rows.add_scanner(connection, scanner)
            return scanner

        scanner = await self._group(event).write(work)
        return None if scanner is None else Made(scanner, written(token))

    async def scanners(self, event: str) -> Sequence[Scanner]:
        """Return an event's scanners."""
        return await self._group(event).read(lambda connection: scanner_rows.scanners_of(connection, event))

    async def revoke(self, event: str, id_: str) -> bool:
        """Let a scanner scan no more; False if there is none of that name that does."""
        return await self._group(event).write(
            lambda connection: scanner_rows.revoke_scanner(connection, event, id_)
        )

    async def known_by(self, event: str, token: str) -> Scanner | None:
        """Find the scanner of a token, if it may scan now."""
        plain = read_token(token)
        if plain is None:
            return None
        given, now_ms = hash_of(event, plain), self._clock.now_ms()
        # Every one is compared, so that the time tells nothing of which came close.
        found = [one for one in await self.scanners(event) if hmac.compare_digest(one.token_hash, given)]
        if not found or not found[0].works_at(now_ms):
            return None
        if now_ms - found[0].seen_ms >= SEEN_MS:
            await self._group(event).write(
                lambda connection: scanner_rows.seen(connection, found[0].id, now_ms)
            )
        return found[0]

    # ------------------------------------------------------------------------------------- scans

    async def take(self, scanner: Scanner, scans: Sequence[Scan]) -> list[Answer]:
        """Give the word on each scan, one after the other."""
        self._keys.refresh()
        trusted = self._keys.public
        answers = []
        for scan in scans:
            read = (
                verify(scan.code, scanner.event, trusted)
                if scan.code
                else read_number(scan.number) or Fault.UNREADABLE
            )
            answer = await self._admit(scanner, scan, read)
            if answer.is_new:
                self._metrics.scans.count(answer.outcome.value)
            if answer.is_told and is_conflict(scan.told, answer.outcome):
                log.warning(
                    "somebody was let in who should not have been",
                    extra={"event": scanner.event, "gate": scanner.name, "outcome": answer.outcome.value},
                )
            answers.append(answer)
        return answers

    async def _admit(self, scanner: Scanner, scan: Scan, read: Any) -> Answer:
        group = self._group(scanner.event)
        for _ in range(TRIES):
            now_ms = self._clock.now_ms()
            try:
                return await group.write(
                    lambda connection: scanner_rows.admit(connection, scanner, scan, read, now_ms)  # noqa: B023
                )
            except (Stale, IntegrityError):
                # Somebody else had this ticket, or this scan, at the same moment: what is so now?
                continue
        raise Unavailable("shop-away", "Others were faster each time. Please try again.")

    # -------------------------------------------------------------------------------------- list

    async def list(self, event: str, since_ms: int) -> ScanList:
        """Give what scanners must know: everything, or what has changed since the cursor of another list."""
        self._keys.refresh()
        if since_ms <= 0:
            return await self._whole.get(event)
        return await self._changes.get((event, since_ms - since_ms % _GRID_MS))

    async def _make_whole(self, event: str) -> ScanList:
        return await self._make(event, 0)

    async def _make_changes(self, asked: tuple[str, int]) -> ScanList:
        event, since_ms = asked
        return await self._make(event, max(1, since_ms - OVERLAP_MS))

    async def _make(self, event: str, since_ms: int) -> ScanList:
        # The time before the reading: what is committed later has the chance to come with the next list.
        now_ms = self._clock.now_ms()

        def read(connection: Connection) -> ScanList:
            known = scanner_rows.known(at_one_moment(connection), event, since_ms)
            plain = {
                "event": event,
                "tag": event_tag(event).hex(),
                "now_ms": now_ms,
                "at": now_ms,
                "since": since_ms,
                "keys": self._keys.public_keys(),
                "gates": {str(gate_of(one.id)): one.name for one in known.scanners},
                "blocked": [prefix_of(id_) for id_ in known.blocked],
                "count": known.count,
                "versions": known.versions,
                "tickets": pack(known.tickets),
            }
            octets = orjson.dumps(plain)
            return ScanList(octets, gzip.compress(octets, _PACKING, mtime=0))

        return await self._group(event).read(read)

    # ----------------------------------------------------------------------------------- figures

    async def figures(self, event: str) -> Figures:
        """Tell how an event's doors stand."""

        def read(connection: Connection) -> Figures:
            found = scanner_rows.figures(at_one_moment(connection), event)
            states, outcomes = found["states"], found["outcomes"]
            entered = states.get("used", 0)
            quiet = {Outcome.ADMITTED, Outcome.AGAIN}
            refused = {word: count for word, count in outcomes.items() if word not in quiet}
            return Figures(
                sold=entered + states.get("valid", 0),
                entered=entered,
                scanners=scanner_rows.scanners_of(connection, event),
                gates=found["gates"],
                refused=refused,
                minutes=found["minutes"],
            )

        return await self._group(event).read(read)

    async def conflicts(self, event: str, after: tuple[Any, ...], limit: int) -> Sequence[Any]:
        """Return `limit` scans that let somebody in whom we would not have, behind the cursor `after`."""
        return await self._group(event).read(
            lambda connection: scanner_rows.conflicts(connection, event, after, limit)
        )


def hash_of(event: str, token: str) -> str:
    """Hash a token; the same text would be another token of another event."""
    return hashlib.sha256(_DOMAIN + event.encode() + b"\0" + token.encode()).hexdigest()


def read_token(text: str) -> str | None:
    """Read a token as people type it; None for what is none."""
    if len(text) > 4 * _TOKEN_LENGTH:
        return None
    plain = text.strip().upper().replace("-", "").replace(" ", "").translate(_MISTAKEN)
    is_one = len(plain) == _TOKEN_LENGTH and all(character in _DIGITS for character in plain)
    return plain if is_one else None


def written(token: str) -> str:
    """Write a token as people read it: five groups of five."""
    return "-".join(token[at : at + 5] for at in range(0, _TOKEN_LENGTH, 5))
