"""Ticket keys: Ed25519 keys that sign tickets, in a file of their own (``kernel.keyfile``).

A ticket is signed by the newest key that was there when the ticket was made, so its code is the same whenever and
by whichever process it is written, and nothing of the key is kept beside the ticket. ``rotate`` adds a key that
counts a minute later, when every process has read it. Keys that have signed go on verifying: they are dropped by hand,
when somebody else has got hold of one. Then the tickets that it has signed are signed by another key, their codes are
others, and scanners refuse the old ones; people need to be sent theirs again.

Scanners have the public halves only (``public_keys``). Not here: what is signed (``tickets.code``).
"""

import json
import logging
import secrets
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from checkout.tickets.code import key_id, write
from checkout.tickets.ticket import Ticket
from kernel import keyfile
from kernel.errors import Misconfigured
from kernel.signing import b64url, from_b64url

log = logging.getLogger(__name__)

SETTLE_MS = 60_000
"""So long after it was made a new key counts: by then every process has it."""

_SEED_BYTES = 32


@dataclass(frozen=True)
class TicketKey:
    """One key. ``secret``: its seed as base64url, which never shows in logs; ``dropped``: nobody trusts it any more."""

    secret: str
    from_ms: int
    dropped: bool = False

    def __repr__(self) -> str:
        return f"TicketKey({self.id}, from {self.from_ms}{', dropped' if self.dropped else ''})"

    @cached_property
    def private(self) -> Ed25519PrivateKey:
        """The signing half."""
        return Ed25519PrivateKey.from_private_bytes(from_b64url(self.secret))

    @cached_property
    def public(self) -> Ed25519PublicKey:
        """The verifying half."""
        return self.private.public_key()

    @cached_property
    def octets(self) -> bytes:
        """The verifying half as 32 octets."""
        return self.public.public_bytes_raw()

    @cached_property
    def name(self) -> bytes:
        """The four octets that a code names it by."""
        return key_id(self.octets)

    @property
    def id(self) -> str:
        """The same for people."""
        return self.name.hex()


def new_key(from_ms: int) -> TicketKey:
    """Make a key."""
    return TicketKey(b64url(secrets.token_bytes(_SEED_BYTES)), from_ms)


def parse(text: str) -> list[TicketKey]:
    """Read the file's text, the oldest key first. Raises ``Misconfigured``; no secret is told."""
    try:
        rows = json.loads(text)["keys"]
        keys = [TicketKey(str(row["secret"]), int(row["from_ms"]), row["dropped"] is True) for row in rows]
        names = {key.name for key in keys}
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured([f"The keys of tickets cannot be read: {type(error).__name__}."]) from None
    if len(names) != len(keys):
        raise Misconfigured(["Two keys of tickets have the same id."])
    if all(key.dropped for key in keys):
        raise Misconfigured(["There is no key of tickets that is trusted."])
    return sorted(keys, key=lambda key: key.from_ms)


def write_text(keys: Sequence[TicketKey]) -> str:
    """Write the file's text."""
    rows = [
        {"id": key.id, "from_ms": key.from_ms, "dropped": key.dropped, "secret": key.secret} for key in keys
    ]
    return json.dumps({"version": 1, "keys": rows}, indent=1) + "\n"


class TicketKeys:
    """The keys as this process knows them."""

    def __init__(self, keys: Sequence[TicketKey], path: Path | None = None) -> None:
        """Use `keys`; with a `path` they follow the file."""
        self._path = path
        self._seen: keyfile.Mark | None = None
        self._use(keys)

    @classmethod
    def open(cls, path: Path, now_ms: int) -> "TicketKeys":
        """Read the file, after making it if there is none. Raises ``Misconfigured``."""
        del now_ms  # the first key counts from the beginning: tickets may be older than the file
        try:
            if not path.exists():
                keyfile.create(path, write_text([new_key(0)]))
            seen = keyfile.mark(path)
            keys = cls(parse(path.read_text(encoding="utf-8")), path)
            keys._seen = seen
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured([f"The keys of tickets {path} cannot be used: {error}."]) from error
        except Misconfigured as error:
            raise Misconfigured([f"{path}: {fault}" for fault in error.faults]) from None
        return keys

    def refresh(self) -> None:
        """Take over a changed file; one that is damaged leaves the keys in memory in use, and says so."""
        if self._path is None:
            return
        try:
            seen = keyfile.mark(self._path)
            if seen == self._seen:
                return
            keys = parse(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, Misconfigured) as error:
            log.error(  # noqa: TRY400 (the fault names all there is to know)
                "the keys of tickets cannot be read; those in memory stay in use", extra={"error": str(error)}
            )
            return
        self._seen = seen
        self._use(keys)

    def code(self, ticket: Ticket) -> str:
        """Write a ticket's code."""
        key = self.signing(ticket.created_ms)
        return write(key.name, ticket.event, ticket.id, ticket.seat, key.private.sign)

    def signing(self, at_ms: int) -> TicketKey:
        """Return the key for tickets of a time: the newest trusted one by then, else the first after it."""
        place = bisect_right(self._from, at_ms)
        return self._trusted[max(0, place - 1)]

    @property
    def public(self) -> dict[str, Ed25519PublicKey]:
        """The keys that verify, by id."""
        return {key.id: key.public for key in self._trusted}

    def public_keys(self) -> list[dict[str, str]]:
        """Return the public halves for scanners: ``id`` in hex, ``key`` as base64url of 32 octets."""
        return [{"id": key.id, "key": b64url(key.octets)} for key in self._trusted]

    @property
    def keys(self) -> tuple[TicketKey, ...]:
        """All keys, the oldest first."""
        return self._keys

    def rotate(self, now_ms: int) -> TicketKey:
        """Add a key for tickets that are made from a minute on."""
        made = new_key(now_ms + SETTLE_MS)
        self._change(lambda keys: [*keys, made])
        return made

    def drop(self, id_: str) -> bool:
        """Trust a key no more; False when there is none of that name. Raises ``Misconfigured`` for the last one."""
        if not any(key.id == id_ and not key.dropped for key in self._keys):
            return False
        self._change(lambda keys: [replace(key, dropped=True) if key.id == id_ else key for key in keys])
        return True

    def _change(self, change: Callable[[list[TicketKey]], list[TicketKey]]) -> None:
        def changed(text: str) -> str:
            return write_text(parse(write_text(change(parse(text)))))

        if self._path is None:
            self._use(parse(changed(write_text(self._keys))))
            return
        try:
            keyfile.change(self._path, changed)
        except OSError as error:
            raise Misconfigured([f"The keys of tickets {self._path} cannot be changed: {error}."]) from error
        self.refresh()

    def _use(self, keys: Sequence[TicketKey]) -> None:
        self._keys = tuple(keys)
        self._trusted = [key for key in keys if not key.dropped]
        self._from = [key.from_ms for key in self._trusted]
