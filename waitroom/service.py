"""Service: the use cases of the line: read, join, look up a place, keep the timetable.

The only place where ``await`` meets the rules. A use case reads the clock once. What other rooms of the
house must do (drain the journal, restore the door) comes in by ports; ``gateway.wiring`` joins them.
"""

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

from kernel.clock import Clock
from kernel.errors import Misconfigured, Refused, Unavailable
from kernel.signing import b64url
from kernel.store import Command
from kernel.tracing import at_place, is_recording, milestone
from waitroom import merkle, status, ticket
from waitroom.batch import Batches, Pending
from waitroom.closing import closed, full
from waitroom.counting import Counting
from waitroom.draw import draw_id
from waitroom.enlist import Enlisted
from waitroom.lanes import Lane, Serving
from waitroom.line import JOINABLE, LEAF_BYTES, Line
from waitroom.metrics import Metrics
from waitroom.newcomer import ANYBODY, Newcomer
from waitroom.ports import DocumentSigner, Door, SeedSource
from waitroom.reading import Reading, broadcast
from waitroom.recovery import Memory, fell_back, raise_to
from waitroom.rooms import ALWAYS, Room, merged, read_kept
from waitroom.schedule import CHANGES, Phase, by_way_of_draw, wanted
from waitroom.standing import Place
from waitroom.store import LineStore
from waitroom.ticket import Desk, Ticket, TicketSigner

log = logging.getLogger(__name__)

WHO = "timetable"


class Waitroom:
    """The rooms of this worker."""

    def __init__(
        self,
        store: LineStore,
        signer: TicketSigner,
        documents: DocumentSigner,
        seeds: SeedSource,
        door: Door,
        clock: Clock,
        *,
        ticket_id_key: bytes,
        metrics: Metrics,
    ) -> None:
        """Join the parts; nothing is read yet."""
        self.store = store
        self.signer = signer
        self.clock = clock
        self.readings: dict[str, Reading] = {}
        self.documents = documents
        self.metrics = metrics
        metrics.rooms = self.readings
        self.counting = Counting(store)
        self.drain: Callable[[str], Awaitable[None]] | None = None
        self._seeds = seeds
        self._door = door
        self._ticket_id_key = ticket_id_key
        self._batches: dict[tuple[str, str, Lane], Batches] = {}
        self._desks: dict[tuple[str, Lane], Desk] = {}
        self._lifting = asyncio.Lock()
        self._reading_locks: dict[str, asyncio.Lock] = {}

    # Reading -----------------------------------------------------------------------------------------

    def reading(self, room: str) -> Reading:
        """Return the last reading of a room. Raises Refused ``room-unknown`` (404)."""
        reading = self.readings.get(room)
        if reading is None:
            raise Refused("room-unknown", "There is no waiting room at this address.", status=404)
        return reading

    async def refresh(self, also: Iterable[str] = ()) -> None:
        """Read every room that is configured, remembered, or named in `also`. Raises Unavailable."""
        for room in sorted({*await self.store.rooms(), *self.readings, *also}):
            await self.refresh_room(room)

    async def refresh_room(self, room: str, beside: Sequence[Command] = ()) -> Reading | None:
        """Read one room; None when nobody knows it. What `beside` reads is kept in the reading.

        A snapshot that knows less than we have seen is not believed: the reading stays as it was, marked
        `fallen`, until the line is restored (``restoring``).
        """
        async with self._reading_locks.setdefault(room, asyncio.Lock()):
            known = self.readings.get(room)
            # Taken before the store is asked: numbers given meanwhile must not look like numbers lost.
            witness = known.memory if known else None
            snapshot = await self.store.snapshot(
                room, whole_history=known is None or known.line is None, beside=beside
            )
            # Every worker must hold the same calls, or they would sign different documents.
            if known and (
                not known.overlaps(snapshot.calls)
                or (witness and snapshot.line and witness.epoch != snapshot.line.epoch)
            ):
                snapshot = await self.store.snapshot(room, whole_history=True, beside=beside)
            now_ms = self.clock.now_ms()
            if (
                known
                and witness
                and (fell_back(snapshot.line, None, [Memory(witness)]) or _older(snapshot.line, witness))
            ):
                known.fallen = True
                return known
            base = self._settings_of(room, snapshot.config, known)
            if base is None:
                self.readings.pop(room, None)
                return None
            reading = known or Reading(base, base, wanted(base, now_ms))
            reading.base, reading.config = base, snapshot.config
            reading.wanted = wanted(base, now_ms)
            reading.room = merged(base, reading.wanted.sale)
            reading.proof, reading.beside = snapshot.proof, snapshot.beside
            reading.follow(
                snapshot.line, snapshot.calls, snapshot.counts, now_ms, whole_history=known is None
            )
            reading.fallen = False
            reading.read_ms = now_ms
            self._document(reading)
            self.readings[room] = reading
        if (
            witness
            and snapshot.line
            and witness.run == snapshot.line.run
            and witness.epoch < snapshot.line.epoch
        ):
            await self._witness(room, witness)
        return reading

    def _settings_of(self, room: str, config: str, known: Reading | None) -> Room | None:
        """Read the configuration, or keep the last good one; None for a room that was removed."""
        if known is not None and config in {known.config, ""}:
            return known.base
        try:
            return read_kept(config.encode())
        except Misconfigured:
            log.exception("a stored room cannot be read; the last good reading stays", extra={"room": room})
            return known.base if known else None

    async def _witness(self, room: str, memory: Line) -> None:
        """Tell a line that was put back what this worker had seen of it before the loss."""
        reading = self.reading(room)
        line = reading.line
        if line is None or (memory.issued <= line.issued and all(
            new >= old for new, old in zip(line.serving, memory.serving, strict=True)
        )):  # fmt: skip
            return
        await self.store.lift(room, line.run, memory.issued, memory.serving, "worker")
        await self.refresh_room(room)

    def _document(self, reading: Reading) -> None:
        members = status.body(
            reading.room,
            reading.wanted,
            reading.line,
            reading.calls,
            reading.learned,
            reading.counts,
            self._seeds.level,
            reading.rounds,
        )
        etag = _etag(members, self.documents.kid)
        if etag != reading.etag:
            reading.document = status.sign(members, self.documents)
            reading.etag = etag
            reading.ready = broadcast(reading.document, etag)

    def observe(self) -> None:
        """Set the gauges from the last readings."""
        now_ms = self.clock.now_ms()
        self.metrics.look(self.readings.keys(), now_ms)
        for room, reading in self.readings.items():
            self.metrics.age.labels(room).set((now_ms - reading.read_ms) / 1000)
            if (line := reading.line) is not None:
                self.metrics.issued.labels(room).set(line.issued)
                self.metrics.waiting.labels(room).set(line.waiting)
                is_calling = line.phase is Phase.SERVING and not reading.room.calls_nobody
                self.metrics.calling.labels(room).set(is_calling)
                self.metrics.epoch.labels(room).set(line.epoch)
                for lane in Lane:
                    self.metrics.serving.labels(room, lane).set(line.serving.of(lane))

    # Joining -----------------------------------------------------------------------------------------

    async def join(
        self, reading: Reading, once: str, now_ms: int, newcomer: Newcomer = ANYBODY
    ) -> tuple[str, int]:
        """Give the visitor the next number; return the ticket's text and the number.

        `once` is the visitor's idempotency key ('' for none): the same key gives the same number for a
        quarter of an hour (``JOIN_KEPT_MS``), in the same lane and for the same holder's key: else it is another place.
        Raises Refused (``room-not-open``, ``room-draining``, ``room-over``, ``room-full``) and Unavailable.
        """
        for _ in range(2):
            # Where nobody joins any more the store still knows who did: an answer that got lost is given again.
            line = reading.joinable or (reading.line if once and reading.was_open else None)
            if line is None:
                raise closed(reading, now_ms)
            room, first = reading.base.name, reading.first_lane
            lane = newcomer.begins(first)
            key = once if lane is first or not once else f"{once}~{lane}"
            if once and newcomer.holder_key:
                key += f"~{newcomer.holder_key}"
            desk = self._desks.get((room, lane))
            if desk is None or (desk.run, desk.epoch) != (line.run, line.epoch):
                desk = self._desks[room, lane] = Desk(self.signer, room, line.run, line.epoch, lane)
            raw = self._ticket_id(room, line.run, key)
            batches = self._batches.get((room, line.run, lane))
            if batches is None:
                batches = self._open_batches(room, line.run, lane)
            number = await batches.submit(desk.leaf(raw, newcomer.holder_key), key)
            if number == _STALE:
                await self.refresh_room(reading.base.name)
                continue
            if number < 0:
                raise closed(reading, now_ms) if reading.joinable is None else full()
            if is_recording():
                milestone("join", (room, line.run, b64url(raw)), at_place(room, number, str(lane)))
            return desk.write(number, raw, now_ms, newcomer.reasons, newcomer.holder_key), number
        raise Unavailable("room-turning", "The room is just opening anew. Please try again.")

    def _ticket_id(self, room: str, run: str, once: str) -> bytes:
        """A repeat must carry the leaf that its first try left, hence an id that follows from the key."""
        if not once:
            return secrets.token_bytes(LEAF_BYTES)
        keyed = hashlib.blake2b(
            f"{room}|{run}|{once}".encode(), key=self._ticket_id_key, digest_size=LEAF_BYTES
        )
        return keyed.digest()

    def _open_batches(self, room: str, run: str, lane: Lane) -> Batches:
        for key in [key for key in self._batches if key[0] == room and key[1] != run]:
            del self._batches[key]

        async def send(batch: list[Pending]) -> None:
            await self._send(room, run, lane, batch)

        return self._batches.setdefault((room, run, lane), Batches(send))

    async def _send(self, room: str, run: str, lane: Lane, batch: list[Pending]) -> None:
        """Make one store call for a batch and hand out its numbers."""
        if any(pending.once for pending in batch):
            batch = sorted(batch, key=lambda pending: not pending.once)
        once = [pending.once for pending in batch if pending.once]
        reading = self.reading(room)
        leaves = [pending.leaf for pending in batch]
        limit = reading.room.max_waiting if reading.joinable else 0
        answer = await self.store.join(room, run, lane, leaves, once, secrets.token_hex(8), limit)
        match answer[0]:
            case "joined":
                numbers = answer[2:]
            case "closed":
                none = _STALE if (await self.refresh_room(room) or reading).joinable else -1
                before = [*answer[2:], *[-1] * (len(batch) - len(once))]
                numbers = [none if number < 0 else number for number in before]
            case _:
                numbers = [_STALE] * len(batch)
        self.metrics.batches.count += 1
        self.metrics.joined.count += sum(number >= 0 for number in numbers)
        reading.given = max(reading.given, max(numbers) + 1)
        for pending, number in zip(batch, numbers, strict=True):
            if not pending.answer.done():
                pending.answer.set_result(number)

    # Places ------------------------------------------------------------------------------------------

    async def place_of(self, room: str, text: str, now_ms: int) -> tuple[Reading, Ticket, Place]:
        """Place a ticket. Raises Refused as `ticket.read` does, and ``run-over`` (410)."""
        reading = self.reading(room)
        held = ticket.read(self.signer, text, room)
        line = reading.line
        if line is None or held.run != line.run or held.number >= line.issued:
            await self.refresh_room(room)
            line = reading.line
        if line is None or reading.fallen:
            raise Unavailable("room-restoring", "The room is being put back. Your place is safe.")
        if held.run != line.run:
            raise Refused("run-over", "The line you stood in is over. You can join the new one.", status=410)
        if held.number >= line.issued:
            await self._lift(room, reading, held)
            line = reading.line
        if line and held.identity_tag and held.epoch < line.epoch and line.phase is not Phase.ENDED:
            # What the store lost after the journal's last entry is in the hands of those who hold it.
            own = Enlisted(held.number, held.epoch, held.lane, held.lane_since_ms)
            await self.store.put_tags(room, {held.identity_tag: own})
        return reading, held, reading.place(held.number, held.lane, now_ms, extensions=held.extensions)

    async def _lift(self, room: str, reading: Reading, held: Ticket) -> None:
        """A valid ticket beyond the counter proves that the store has lost joins."""
        async with self._lifting:
            line = reading.line
            if line is None or held.number < line.issued:
                return
            log.warning("a ticket proves lost joins", extra={"room": room, "number": held.number})
            proven = raise_to(line.issued, held.number, round(reading.joins_per_s))
            if proven is not None:
                await self.store.lift(room, line.run, proven, Serving(), "ticket")
            await self.refresh_room(room)

    async def give_back(self, room: str, text: bytes) -> bool:
        """Take a signed status document of an older epoch from a visitor: the crowd is the backup.

        Returns whether it told us anything. Thresholds only ever rise, and only to what we once signed.
        """
        reading = self.reading(room)
        members = status.check(text, self.documents)
        line = reading.line
        if members is None:
            raise Refused("document-invalid", "This is not a status document that we signed.", status=403)
        if line is None or members["run"] != line.run or not _earlier(members, line.epoch):
            return False
        serving = members["serving"]
        if not isinstance(serving, dict):
            return False
        proven = Serving(*(int(serving[lane]) for lane in Lane))
        if all(old >= new for old, new in zip(line.serving, proven, strict=True)):
            return False
        await self.store.lift(room, line.run, 0, proven, "document")
        await self.refresh_room(room)
        return True

    # The timetable -----------------------------------------------------------------------------------

    async def keep(self, room: str) -> None:
        """Do what the schedule asks of a room now: open a run, turn the phase, freeze, attest, draw.

        Every worker may do this at any time: each step is a transition that happens once.
        """
        reading = self.reading(room)
        if reading.fallen:
            return
        await self.counting.count(reading)
        plan, line = reading.wanted, reading.line
        known = line is not None and line.opening == plan.opening
        begins = plan.phase in JOINABLE and (not known or (line is not None and line.phase is Phase.ENDED))
        # A coming draw is announced before anybody can join it: its commitment must not be younger.
        # An announced draw that is called off, or announced late, begins anew while nobody can have joined.
        shuffled = plan.closes_ms is not None
        fresh = line is not None and line.phase is Phase.IDLE and line.issued == 0
        turned = line is not None and fresh and known and bool(line.commitment) != shuffled
        announces = (
            plan.phase is Phase.IDLE and plan.opening != ALWAYS and (turned or (shuffled and not known))
        )
        if begins or announces:
            await self._open(room, reading)
        elif line is None:
            return
        elif line.waits_for_draw and (plan.phase in JOINABLE or reading.room.draining):
            await self._hold_draw(room, reading, self.clock.now_ms())
        else:
            announced = line.phase is Phase.IDLE and line.commitment != ""
            await self._step(room, reading, by_way_of_draw(plan.phase, announced) if known else Phase.ENDED)

    async def _step(self, room: str, reading: Reading, target: Phase) -> None:
        """Turn to the phase that the schedule wants, where the table allows it."""
        line = reading.line
        if line is None or target not in CHANGES[line.phase]:
            return
        answer = await self.store.turn(room, line.run, line.phase, target, WHO)
        if answer[0] == "done":
            log.info("room changed its phase", extra={"room": room, "phase": str(target)})
        await self.refresh_room(room)

    async def _open(self, room: str, reading: Reading) -> None:
        line, plan = reading.line, reading.wanted
        if line is not None and not await self._drained(room):
            return
        run = secrets.token_hex(8)
        shuffled = plan.closes_ms is not None
        commitment = self._seeds.commitment(draw_id(room, run)).hex() if shuffled else ""
        issued = line.issued if line else 0
        stale = [*self.store.keys(room).of_run(issued), *self._door.stale_keys(room, issued)] if line else []
        seen = line.run if line else ""
        phase = by_way_of_draw(plan.phase, shuffled)
        answer = await self.store.open(room, seen, run, plan.opening, phase, commitment, WHO, stale)
        if answer[0] == "opened":
            log.info("room opened", extra={"room": room, "run": run, "opening": plan.opening})
        await self.refresh_room(room)

    async def _drained(self, room: str) -> bool:
        """Hand everything to the journal; while that is away this room waits, and no other does."""
        with suppress(Unavailable):
            if self.drain is not None:
                await self.drain(room)
            return True
        return False

    async def _hold_draw(self, room: str, reading: Reading, now_ms: int) -> None:
        """Freeze at the closing time, publish the root, and draw at the start."""
        line, plan = reading.line, reading.wanted
        if line is None:
            return
        due = plan.opening != line.opening or plan.closes_ms is None or now_ms >= plan.closes_ms
        if line.frozen is None:
            if due:
                await self.store.freeze(room, line.run, WHO)
                await self.refresh_room(room)
            return
        if not line.root:
            # Every frozen leaf must be in the journal before its root is public, or a loss could void it.
            if not await self._drained(room):
                return
            octets = await self.store.leaves(room, 0, line.frozen)
            root = await asyncio.to_thread(merkle.root, [octets])
            await self.store.attest(room, line.run, root.hex())
            await self.refresh_room(room)
            return
        if plan.opening == line.opening and plan.starts_ms is not None and now_ms < plan.starts_ms:
            return
        revealed = self._seeds.reveal(reading.draw_id, line.frozen, bytes.fromhex(line.root))
        if revealed is not None:
            await self.store.draw(
                room, line.run, line.root, revealed.seed.hex(), json.dumps(dict(revealed.proof))
            )
            log.info("the draw is done", extra={"room": room, "entries": line.frozen})
            await self.refresh_room(room)


_STALE = -2


def _older(line: Line | None, seen: Line) -> bool:
    """Tell whether a line went back within its epoch: versions only grow."""
    return line is not None and line.epoch == seen.epoch and line.version < seen.version


def _earlier(members: dict[str, object], epoch: int) -> bool:
    return isinstance(given := members.get("epoch"), int) and given < epoch


def _etag(members: dict[str, object], kid: str) -> bytes:
    digest = hashlib.sha256(json.dumps([members, kid], sort_keys=True).encode()).hexdigest()[:20]
    return f'"{digest}"'.encode()
