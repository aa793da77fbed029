"""People's keys: the master keys that seal personal values, and the key of the index, in one private file (JSON).

One key is *active*: it seals. Those that it replaced are *retiring*: they only open, until no value uses them any more
(``rotating``). Several processes share the file; each looks before it seals, and before it gives an envelope up, so a
rotation is in force at once. A file that is damaged later leaves the keys in memory in use, and the log says so.

Whoever has lost the file has lost every sealed value: it belongs into the backup, but not beside the database's.
The index's key stays: values would have to be looked for under two of them meanwhile (ADR 0021).
"""

import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from checkout.people.private_file import Mark, PrivateFile
from kernel.errors import Misconfigured
from kernel.sealing import KEY_BYTES, CannotOpen, Vault, Where, Why
from kernel.signing import b64url, from_b64url

log = logging.getLogger(__name__)

WHAT = "The file with the people's keys"
ACTIVE, RETIRING = "active", "retiring"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One key that seals, or has sealed."""

    name: str
    state: str
    created_ms: int
    octets: bytes = field(repr=False)
    retired_ms: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """What the file says."""

    keys: tuple[MasterKey, ...]
    index_key: bytes = field(repr=False)

    @property
    def active(self) -> MasterKey:
        """The key that seals."""
        return next(key for key in self.keys if key.state == ACTIVE)

    @property
    def retiring(self) -> Sequence[MasterKey]:
        """The keys that only open."""
        return [key for key in self.keys if key.state == RETIRING]

    def vault(self) -> Vault:
        """Give what seals and opens."""
        return Vault(self.active.name, {key.name: key.octets for key in self.keys}, self.index_key)


def parse(text: str) -> Document:
    """Read the file's text. Raises ``Misconfigured`` with all faults; no secret is told."""
    try:
        plain = json.loads(text)
        keys = tuple(
            MasterKey(
                str(row["name"]),
                str(row["state"]),
                int(row["created_ms"]),
                from_b64url(row["secret"]),
                int(row.get("retired_ms", 0)),
            )
            for row in plain["keys"]
        )
        index_key = from_b64url(plain["index"]["secret"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured([f"{WHAT} cannot be read: {type(error).__name__}."]) from None
    faults = []
    if sum(key.state == ACTIVE for key in keys) != 1:
        faults.append(f"{WHAT} must have one active key.")
    if len({key.name for key in keys}) != len(keys):
        faults.append(f"{WHAT} has two keys of one name.")
    faults += [
        f"{WHAT}: the key {key.name!r} is damaged."
        for key in keys
        if len(key.octets) != KEY_BYTES or key.state not in {ACTIVE, RETIRING} or not _is_name(key.name)
    ]
    if len(index_key) != KEY_BYTES:
        faults.append(f"{WHAT}: the key of the index is damaged.")
    if faults:
        raise Misconfigured(faults)
    return Document(keys, index_key)


def written(document: Document) -> str:
    """Write the file's text."""
    rows = [
        {
            "name": key.name, "state": key.state, "created_ms": key.created_ms, "retired_ms": key.retired_ms,
            "secret": b64url(key.octets),
        }
        for key in document.keys
    ]  # fmt: skip
    plain = {"version": 1, "keys": rows, "index": {"secret": b64url(document.index_key)}}
    return json.dumps(plain, indent=1) + "\n"


def fresh(now_ms: int) -> Document:
    """Make keys."""
    return Document((_new(now_ms),), secrets.token_bytes(KEY_BYTES))


class PeopleKeys:
    """The keys as this process knows them; ``seal``, ``open`` and ``index`` follow the file."""

    def __init__(self, file: PrivateFile) -> None:
        """Use ``open_keys``."""
        self._file = file
        self._mark: Mark = file.mark()
        self.document = parse(file.read())
        self._vault = self.document.vault()

    @staticmethod
    def open_keys(path: Path, now_ms: int) -> "PeopleKeys":
        """Read the file, after making it if there is none. Raises ``Misconfigured``."""
        file = PrivateFile(path, WHAT)
        if not file.is_there():
            file.make(written(fresh(now_ms)))
        try:
            return PeopleKeys(file)
        except Misconfigured as error:
            raise Misconfigured([f"{path}: {fault}" for fault in error.faults]) from None

    @property
    def vault(self) -> Vault:
        """Give what seals and opens as the file says now."""
        self.refresh()
        return self._vault

    def refresh(self) -> None:
        """Take over a changed file; without a change this costs one ``stat``."""
        try:
            mark = self._file.mark()
            if mark == self._mark:
                return
            document = parse(self._file.read())
        except Misconfigured as error:
            log.error("the people's keys cannot be read; those in memory stay", extra={"error": str(error)})  # noqa: TRY400
            return
        self._mark, self.document, self._vault = mark, document, document.vault()
        log.info("the people's keys changed", extra={"active": document.active.name})

    def seal(self, text: str, where: Where) -> str:
        """Put a text into an envelope."""
        return self.vault.seal(text, where)

    def open(self, envelope: str, where: Where) -> str:
        """Take a text out of its envelope. Raises ``CannotOpen``."""
        try:
            return self._vault.open(envelope, where)
        except CannotOpen as error:
            if error.why is not Why.KEY:
                raise
        return self.vault.open(envelope, where)

    def index(self, kind: str, text: str) -> str:
        """Give what a value is found by."""
        return self._vault.index(kind, text)

    # ---------------------------------------------------------------------------------- changes

    def rotate(self, now_ms: int) -> MasterKey:
        """Make a new active key; the one before goes on opening. Raises ``Misconfigured``."""
        made = _new(now_ms)

        def change(text: str) -> str:
            was = parse(text)
            aged = (
                replace(key, state=RETIRING, retired_ms=now_ms) if key.state == ACTIVE else key
                for key in was.keys
            )
            return written(Document((made, *aged), was.index_key))

        self._file.change(change)
        self.refresh()
        return made

    def drop(self, names: Sequence[str]) -> None:
        """Forget retiring keys. Whoever calls has made sure that no value uses them. Raises ``Misconfigured``."""

        def change(text: str) -> str:
            was = parse(text)
            kept = tuple(key for key in was.keys if key.state == ACTIVE or key.name not in names)
            return written(Document(kept, was.index_key))

        self._file.change(change)
        self.refresh()


def _new(now_ms: int) -> MasterKey:
    return MasterKey(f"p{secrets.token_hex(4)}", ACTIVE, now_ms, secrets.token_bytes(KEY_BYTES))


def _is_name(name: str) -> bool:
    return name.isalnum() and name.isascii()
