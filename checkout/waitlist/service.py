"""Waiting: from "sold out" onto the waitlist in one step, and from there to seats that came back.

* **Join**: while nothing is free (of the tier that is asked for), or others wait for the same already. A buyer stands
  in line once for an event.
* **Step**: what a background task of any worker does each second for each event with a waitlist. Entries whose offer
  was taken or lapsed are ended; kept seats are offered in order (``offers``); when nobody waits, what is kept is free.
* **Offer**: a hold in the buyer's name, for ``offer_ms``, with seats that go back to those who wait. Taking it is
  paying for it, as with any hold; not answering passes it on, and the entry is at its end (a new one has a new number).

Why no seat is offered twice: the hold is one script call, and its id follows from the entry. Two workers at the same
entry ask for the same hold, the second hears of the first's; an entry gets one hold in its life, unless the store
lost it before its time. Crashes: a hold without its row is found by the next step under the same id; a row without its
hold has lapsed, or waits again. Not here: who is next (``offers``), HTTP (``waitlist.web``).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from checkout.catalogue.selling import Standing, sale
from checkout.halls.seats import Status, hold_id_of, hold_id_text, statuses, tier
from checkout.holds.answers import Ask, Closed, Held, HeldAgain, HoldState, Limit, Missing, Seen, Wanted
from checkout.waitlist import offers
from checkout.waitlist.offers import Offer, Terms, Wish
from checkout.waitlist.store import Entry, EntryState, KeptStore, WaitlistRows
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

OFFER_MS = (120_000, 600_000)
"""The shortest and the longest time that an offer may stand."""

LEASE_MS = 10_000
"""A worker that died in the middle of a step is replaced after this time."""


class Programme(Protocol):
    """Where events are known."""

    async def terms(self, event: str) -> Terms | None:
        """Return what is known of an event; None for one that nobody may see."""


class Places(Protocol):
    """Which database and which store an event has."""

    def rows(self, event: str) -> WaitlistRows:
        """Return the rows of an event's shard."""

    def kept(self, event: str) -> KeptStore:
        """Return the store of an event's hall."""

    def all_rows(self) -> Iterable[WaitlistRows]:
        """Return the rows of every shard."""


@dataclass(frozen=True, slots=True)
class Line:
    """A buyer's entry, how many wait before it, and the offer if there is one."""

    entry: Entry
    before: int
    until_ms: int | None
    now_ms: int
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class NoEvent:
    """There is no such event for the public."""


@dataclass(frozen=True, slots=True)
class NotOnSale:
    """The sale has not begun (`at_ms` is when it will) or is over (since when)."""

    standing: Standing
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class NoTier:
    """The event has no such tier."""


@dataclass(frozen=True, slots=True)
class SeatsLeft:
    """So many seats are free: hold them."""

    free: int


@dataclass(frozen=True, slots=True)
class TooMany:
    """With these the buyer would have more than the limit."""

    has: int
    most: int


@dataclass(frozen=True, slots=True)
class OtherWish:
    """The buyer waits already, for something else."""

    line: Line


JoinOutcome = Line | NoEvent | NotOnSale | NoTier | SeatsLeft | TooMany | OtherWish


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step did; `is_idle` when nobody waits and nothing is kept any more."""

    offered: int = 0
    taken: int = 0
    lapsed: int = 0
    freed: int = 0
    is_idle: bool = False


class Waitlist:
    """Use cases of the waitlist, for one worker."""

    def __init__(
        self,
        programme: Programme,
        places: Places,
        hold_id: Callable[[str, str, str], bytes],
        clock: Clock,
        who: str,
        *,
        offer_ms: int = OFFER_MS[0],
    ) -> None:
        """`hold_id` makes an id of event, buyer and key, as for any hold; `who` names this worker for its turns.

        Raises ``ValueError`` for an offer that stands shorter or longer than ``OFFER_MS``.
        """
        if not OFFER_MS[0] <= offer_ms <= OFFER_MS[1]:
            raise ValueError(f"an offer must stand {OFFER_MS[0]} to {OFFER_MS[1]} ms, not {offer_ms}")
        self._programme = programme
        self._places = places
        self._hold_id = hold_id
        self._clock = clock
        self._who = who
        self._offer_ms = offer_ms
        self._watched: set[str] | None = None

    async def join(self, event: str, buyer: str, wanted: int, tier: int | None) -> JoinOutcome:
        """Put a buyer at the end of an event's waitlist; who stands there already keeps the place."""
        terms = await self._programme.terms(event)
        if terms is None:
            return NoEvent()
        now_ms = self._clock.now_ms()
        standing = sale(terms.window, now_ms)
        if standing.standing is not Standing.ON_SALE:
            return NotOnSale(standing.standing, standing.at_ms)
        if tier is not None and tier not in terms.tiers:
            return NoTier()
        rows, kept = self._places.rows(event), self._places.kept(event)
        if await asyncio.to_thread(rows.live, event, buyer) is None:
            _, has, _ = await kept.holds.mine(event, buyer)
            if has + wanted > terms.max_per_buyer:
                return TooMany(has, terms.max_per_buyer)
        free = await self._free(kept, event, tier)
        joined = await asyncio.to_thread(rows.join, event, buyer, wanted, tier, now_ms, is_sold_out=not free)
        if joined is None:
            return SeatsLeft(free)
        entry, is_new = joined
        if entry.state is EntryState.WAITING and not await kept.join(event):
            raise Unavailable(
                "map-rebuilding", "The seats of this event are being put back. Please try again."
            )
        line = await self.mine(event, buyer, is_new=is_new)
        if line is None:
            return NoEvent()
        return line if (entry.wanted, entry.tier) == (wanted, tier) else OtherWish(line)

    async def mine(self, event: str, buyer: str, *, is_new: bool = False) -> Line | None:
        """Return a buyer's entry as it stands."""
        found = await asyncio.to_thread(self._places.rows(event).live, event, buyer)
        if found is None:
            return None
        entry, before = found
        until_ms = entry.offer_until_ms
        id_ = hold_id_of(entry.hold or "")
        if id_ is not None:
            record = await self._places.kept(event).holds.record(event, id_)
            if record is not None and record.is_live:
                until_ms = record.until_ms
        return Line(entry, before, until_ms, self._clock.now_ms(), is_new)

    async def leave(self, event: str, buyer: str) -> bool:
        """Give up the place, and the offer if there is one; False when there is none."""
        rows = self._places.rows(event)
        while found := await asyncio.to_thread(rows.live, event, buyer):
            entry, _ = found
            if await asyncio.to_thread(rows.end, entry, EntryState.LEFT):
                id_ = hold_id_of(entry.hold or "")
                if id_ is not None:
                    # One that is being paid for stays: it is "gone" for a release.
                    await self._places.kept(event).holds.release(event, id_, buyer)
                return True
        return False

    # ------------------------------------------------------------------------- background

    async def run(self, every_s: float = 1.0) -> None:
        """Step every event with a waitlist, for ever."""
        while not is_ending():
            try:
                await self.pass_by()
            except Unavailable as error:
                log.warning("the waitlist could not be worked on", extra={"code": error.code})
            await asyncio.sleep(every_s)

    async def pass_by(self) -> None:
        """Step every event for which anybody waits, or did until a step has tidied up."""
        ever = self._watched is None
        events = self._watched or set()
        is_whole = True
        for rows in self._places.all_rows():
            try:
                events |= await asyncio.to_thread(rows.events, ever=ever)
            except Unavailable as error:
                log.warning("a shard's waitlists could not be read", extra={"code": error.code})
                is_whole = False
        # What was asked for once only is asked for again where a shard has not answered.
        self._watched = set(events) if is_whole or not ever else None
        for event in sorted(events):
            try:
                stepped = await self.step(event)
            except Unavailable as error:
                # One event that is being moved, or whose shard is away, holds up no other.
                log.warning("a waitlist could not be worked on", extra={"event": event, "code": error.code})
                continue
            if stepped is not None and stepped.is_idle and self._watched is not None:
                self._watched.discard(event)

    async def step(self, event: str) -> Stepped | None:
        """Bring an event's waitlist up to date; None while another worker is at it."""
        kept = self._places.kept(event)
        if not await kept.take_turn(event, self._who, LEASE_MS):
            return None
        try:
            return await self._step(event, kept, self._places.rows(event))
        finally:
            await kept.give_turn(event, self._who)

    async def _step(self, event: str, kept: KeptStore, rows: WaitlistRows) -> Stepped:
        await kept.holds.expire(event)
        flag = await kept.look(event)
        terms = await self._programme.terms(event)
        if flag is None or terms is None:
            return Stepped()
        # The flag's mark is read before the rows: whoever joins in between is noticed.
        entries = await asyncio.to_thread(rows.entries, event)
        taken, lapsed = await self._settle(event, kept, rows, entries)
        waiting = [entry for entry in entries if entry.state is EntryState.WAITING]
        now_ms = self._clock.now_ms()
        standing = sale(terms.window, now_ms).standing
        if standing in {Standing.OVER, Standing.CANCELLED}:
            for entry in waiting:
                lapsed += await asyncio.to_thread(rows.end, entry, EntryState.LAPSED)
            waiting = []
        if not waiting:
            freed = await kept.close(event, flag.seen)
            has_offers = len(entries) > taken + lapsed
            return Stepped(0, taken, lapsed, freed or 0, is_idle=freed is not None and not has_offers)
        if not flag.is_waiting:
            # The store was rebuilt, or the worker that wrote the row died before it raised the flag.
            await kept.join(event)
        seen = await kept.holds.look(event)
        if isinstance(seen, Missing) or standing is not Standing.ON_SALE:
            return Stepped(0, taken, lapsed)
        offered, more, freed = await self._offer_all(
            event, kept, rows, waiting, seen, terms, flag.seen, now_ms
        )
        return Stepped(offered, taken, lapsed + more, freed)

    async def _settle(
        self, event: str, kept: KeptStore, rows: WaitlistRows, entries: Sequence[Entry]
    ) -> tuple[int, int]:
        """End the entries whose offer was taken or is over; return how many of each."""
        offered = [entry for entry in entries if entry.state is EntryState.OFFERED]
        reserved = await asyncio.to_thread(rows.reserved, event, [entry.hold or "" for entry in offered])
        taken = lapsed = 0
        for entry in offered:
            record = await kept.holds.record(event, hold_id_of(entry.hold or "") or b"")
            if entry.hold in reserved or (record is not None and record.state is HoldState.SOLD):
                taken += await asyncio.to_thread(rows.end, entry, EntryState.TAKEN)
            elif record is None and self._clock.now_ms() < (entry.offer_until_ms or 0):
                await asyncio.to_thread(rows.back, entry)
            elif record is None or not record.is_live:
                lapsed += await asyncio.to_thread(rows.end, entry, EntryState.LAPSED)
        return taken, lapsed

    async def _offer_all(
        self,
        event: str,
        kept: KeptStore,
        rows: WaitlistRows,
        waiting: Sequence[Entry],
        seen: Seen,
        terms: Terms,
        mark: str,
        now_ms: int,
    ) -> tuple[int, int, int]:
        """Carry out the plan; return how many were offered seats, have lapsed, and how many seats were freed."""
        wishes = [Wish(entry.number, entry.wanted, entry.tier) for entry in waiting]
        before = await kept.held_up(event)
        plan = offers.plan(wishes, seen.map, terms.stretches, before, self._offer_ms, now_ms)
        by_number = {entry.number: entry for entry in waiting}
        offered = lapsed = 0
        for offer in plan.offers:
            state = await self._offer(kept, rows, by_number[offer.number], offer, terms)
            offered += state is EntryState.OFFERED
            lapsed += state is EntryState.LAPSED
        if plan.held_up_ms != before:
            await kept.put_held_up(event, plan.held_up_ms)
        freed = await kept.free(event, mark, plan.unwanted) if plan.unwanted else 0
        return offered, lapsed, freed or 0

    async def _offer(
        self, kept: KeptStore, rows: WaitlistRows, entry: Entry, offer: Offer, terms: Terms
    ) -> EntryState:
        """Put the seats aside in the entry's name, then say so in the row."""
        id_ = self._hold_id(entry.event, entry.buyer, offer_key(entry))
        ask = Ask(
            id=id_,
            buyer=entry.buyer,
            wanted=Wanted(offer.seats),
            ttl_ms=self._offer_ms,
            max_per_buyer=terms.max_per_buyer,
            price_version=terms.price_version,
            body=offer_key(entry),
            back=Status.KEPT,
            currency=terms.currency,
        )
        match await kept.holds.hold(entry.event, ask):
            case (
                Held(until_ms=until_ms)
                | HeldAgain(state=HoldState.HELD | HoldState.PINNED, until_ms=until_ms)
            ):
                if await asyncio.to_thread(
                    rows.offer, entry, hold_id_text(id_), until_ms, self._clock.now_ms()
                ):
                    return EntryState.OFFERED
                found = await asyncio.to_thread(rows.live, entry.event, entry.buyer)
                if found is not None and found[0].number == entry.number:
                    return found[0].state
                # The buyer left while the seats were put aside.
                await kept.holds.release(entry.event, id_, entry.buyer)
                return EntryState.LEFT
            case HeldAgain() | Limit():
                # The offer came and went before the row was written, or the buyer has other seats by now.
                ended = await asyncio.to_thread(rows.end, entry, EntryState.LAPSED)
                return EntryState.LAPSED if ended else EntryState.LEFT
            case Closed() | Missing() | _:
                # Somebody was faster, or the hall is closed: the next step sees what is there then.
                return EntryState.WAITING

    async def _free(self, kept: KeptStore, event: str, only: int | None) -> int:
        """Count free seats, of one tier or of any."""
        if only is None:
            counts = await kept.holds.counts(event)
            return 0 if counts is None else counts[Status.FREE]
        seen = await kept.holds.look(event)
        if isinstance(seen, Missing):
            return 0
        plain = statuses(seen.map)
        return sum(
            now == Status.FREE and tier(octet) == only for now, octet in zip(plain, seen.map, strict=True)
        )


def offer_key(entry: Entry) -> str:
    """Name an entry's offer; no client can send such an idempotency key, because of the colon."""
    return f"waitlist:{entry.number}"
