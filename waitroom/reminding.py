"""Reminding: what a fan may do with a reminder: ask for it, look at it, take it back; and stop all for an address.

An address is sealed (``kernel.sealing``) under a key of its line, one half of which is in the store and the other
follows from the key ring: neither of them opens anything alone. When the line is over the store's half is destroyed,
and with it whatever a copy of the store still holds. Not here: sending (``reminder_round``), the rules (``reminder``).
"""

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from kernel.errors import Refused, Unavailable
from kernel.sealing import CannotOpen, Vault, Where
from kernel.signing import BadSignature, PaperSigner, b64url, from_b64url
from waitroom import reminder as rules
from waitroom.ports import Way
from waitroom.reading import Reading
from waitroom.reminder import Reminder
from waitroom.reminder_store import WIPE_MOST, ReminderStore
from waitroom.service import Waitroom

HALF_BYTES = 32
TAG_CHARS = 24
_TRIES = 3
_KEY = "r1"
_SEAL, _FIND = b"waitroom:reminders:seal:v1", b"waitroom:reminders:find:v1"


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a fan wants to be told, and in which language. `way` is ``mail`` or ``push``."""

    way: str
    to: str
    language: str


class Reminding:
    """Reminders of this worker's rooms."""

    def __init__(
        self,
        waitroom: Waitroom,
        store: ReminderStore,
        ways: Mapping[str, Way],
        signer: PaperSigner,
        *,
        secret: bytes,
    ) -> None:
        """`ways` are those that are set up; `secret` is the ring's half of every room's key."""
        self.waitroom = waitroom
        self.store = store
        self.ways = ways
        self._signer = signer
        self._secret = secret
        self._vaults: dict[str, tuple[int, Vault]] = {}

    def offered(self, reading: Reading) -> Mapping[str, Way]:
        """Name the ways in which a room offers to tell its fans."""
        return self.ways if reading.room.reminder_minutes is not None else {}

    async def ask(self, room: str, text: str, way: str, given: object, language: str, now_ms: int) -> None:
        """Put a reminder for the place of a ticket, instead of the one that it had.

        Raises Refused (as ``Waitroom.place_of``; ``reminder-not-offered``, ``reminder-too-late``,
        ``reminder-address-invalid``, ``reminder-address-refused``, ``too-many-reminders``) and Unavailable.
        """
        reading = self.waitroom.reading(room)
        chosen = self.offered(reading).get(way)
        if chosen is None:
            raise Refused(
                "reminder-not-offered", "Nobody is told of their turn in this way here.", status=404
            )
        to, known_by = chosen.read(given)
        for _ in range(_TRIES):
            reading, held, place = await self.waitroom.place_of(room, text, now_ms)
            line = reading.line
            if line is None or not rules.can_be_asked(line.phase, place):
                raise Refused(
                    "reminder-too-late", "There is nothing left to tell you: look at the page.", status=409
                )
            vault = await self._vault(reading)
            contact = json.dumps({"way": way, "to": to, "lang": language}, separators=(",", ":"))
            wish = Reminder(
                held.number,
                held.lane,
                place.rank,
                vault.seal(contact, _where(room, line.run, held.number)),
                vault.index(way, known_by)[:TAG_CHARS],
                now_ms + rules.KEEP_MS,
            )
            answer = await self.store.remind(room, line.epoch, wish)
            if answer[0] == "stale":
                self._vaults.pop(room, None)
                await self.waitroom.refresh_room(room)
                continue
            self._judge(answer)
            return
        raise Unavailable("room-turning", "The room is just opening anew. Please try again.")

    @staticmethod
    def _judge(answer: list[object]) -> None:
        match answer[0]:
            case "stopped" | "crowded":
                # One word for both: whether somebody's address has been here is nobody's business.
                raise Refused(
                    "reminder-address-refused", "No more messages go from here to this address.", status=409
                )
            case "slow":
                wait_ms = int(str(answer[1]))
                raise Refused(
                    "too-many-reminders",
                    "This address was asked for too often. Please try again later.",
                    status=429,
                    retry_after_s=max(1, -(-wait_ms // 1000)),
                )
            case _:
                return

    async def contact(self, room: str, text: str, now_ms: int) -> Contact | None:
        """Tell where the place of a ticket wants to be told; None for nowhere."""
        reading, held, _ = await self.waitroom.place_of(room, text, now_ms)
        sealed = await self.store.sealed(room, held.number)
        return await self.opened(reading, held.number, sealed) if sealed else None

    async def forget(self, room: str, text: str, now_ms: int) -> bool:
        """Delete the reminder of a ticket's place; tell whether there was one."""
        _, held, _ = await self.waitroom.place_of(room, text, now_ms)
        answer = await self.store.forget(room, held.number)
        return bool(answer[1])

    async def stop(self, paper: str) -> tuple[str, bool]:
        """Delete every reminder of an address, by the paper that every message carries; for the rest of the line.

        Returns the room, and whether there was one. Raises Refused ``reminder-link-invalid`` (403).
        """
        room, epoch, tag = self.read_paper(paper)
        answer = await self.store.stop(room, epoch, tag)
        return room, answer[0] == "forgotten" and answer[1] > 0

    def paper(self, room: str, epoch: int, tag: str) -> str:
        """Sign what stops all messages to an address."""
        return self._signer.sign(f"1|{room}|{epoch}|{tag}".encode())

    def read_paper(self, paper: str) -> tuple[str, int, str]:
        """Read such a paper: room, epoch, tag. Raises Refused ``reminder-link-invalid`` (403)."""
        try:
            version, room, epoch, tag = self._signer.open(paper).decode("ascii").split("|")
            if version == "1":
                return room, int(epoch), tag
        except (BadSignature, ValueError):
            pass
        raise Refused("reminder-link-invalid", "This link is not complete. Copy the whole of it.", status=403)

    async def opened(self, reading: Reading, number: int, sealed: str) -> Contact | None:
        """Open what is kept for a place; None for what is of another line."""
        if (line := reading.line) is None:
            return None
        vault = await self._vault(reading)
        try:
            plain = json.loads(vault.open(sealed, _where(reading.base.name, line.run, number)))
        except CannotOpen:
            return None
        return Contact(plain["way"], plain["to"], plain["lang"])

    def lose_key(self, room: str) -> None:
        """Forget a room's key in this worker: its line is over."""
        self._vaults.pop(room, None)

    async def _vault(self, reading: Reading) -> Vault:
        """Give the key of a line, which is made when it is first needed."""
        line, room = reading.line, reading.base.name
        if line is None:
            raise Unavailable("room-restoring", "The room is being put back. Your place is safe.")
        kept = self._vaults.get(room)
        if kept is not None and kept[0] == line.epoch:
            return kept[1]
        half = b64url(secrets.token_bytes(HALF_BYTES))
        answer = await self.store.prepare(room, line.epoch, line.run, half)
        while answer[0] == "old":
            await self.store.wipe(room, line.epoch, WIPE_MOST)
            answer = await self.store.prepare(room, line.epoch, line.run, half)
        if answer[0] != "prepared":
            raise Unavailable("room-turning", "The room is just opening anew. Please try again.")
        octets = from_b64url(answer[1])
        key, find = (hmac.digest(self._secret, label + octets, "sha256") for label in (_SEAL, _FIND))
        vault = Vault(_KEY, {_KEY: key}, find)
        self._vaults[room] = line.epoch, vault
        return vault


def _where(room: str, run: str, number: int) -> Where:
    return Where("reminders", f"{room}/{run}/{number}", "contact")
