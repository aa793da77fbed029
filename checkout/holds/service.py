"""Holding: seats put aside for a buyer, given more time, given back, and found again.

What is decided here, before the store is asked: whether the event is on sale, which seats a code opens, which seats
are best. What only the store can decide (whether seats are free, whether the buyer may have so many) it decides in
the one call that also takes them.

* **Repeats.** A hold's id follows from event, buyer and idempotency key, so the same request is the same hold, to
  whichever worker it comes, whether or not the first answer arrived, and also when the sale is over or nothing is left.
  Another body under the same key is refused. A repeat that comes while the first is still under way in this worker is
  told so; between two workers the store decides.
* **Price.** The hold carries the version of the prices and the currency; its paper is written from these for good.
* **Best.** If others were faster another choice is tried, ``TRIES`` in all; then the buyer hears which were taken.
* **A store that lost its map** is given it back once (``rebuild``), and asked again.

Time: the store's counts for a hold, this worker's for the sale's window. Papers tell the store's time, as far as an
answer has shown by how much the two differ. Not here: HTTP (``holds.web``), what was paid for (``sales.service``).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from checkout.catalogue.event import HOLD_S, Known, allocation_for
from checkout.catalogue.reading import CatalogueReader
from checkout.catalogue.selling import Sale, Standing, sale
from checkout.halls.seats import Status, fingerprint, hold_id_of
from checkout.halls.sections import Kind, Layout
from checkout.holds.answers import (
    UNKNOWN_TEXT,
    Ask,
    Closed,
    Differs,
    Extended,
    Few,
    Gone,
    Held,
    HeldAgain,
    HoldRecord,
    HoldState,
    Limit,
    Missing,
    NotYours,
    Released,
    Taken,
    Wanted,
)
from checkout.holds.answers import HoldOutcome as Answer
from checkout.holds.best import Together
from checkout.holds.papers import HoldPaper, hold_paper, lines
from checkout.holds.places import Place, Places
from checkout.holds.seeking import Look, Seeking
from checkout.holds.wishes import (
    Ended,
    HoldOutcome,
    InFlight,
    Mine,
    Named,
    NoAllocation,
    NoBlock,
    NoCurrency,
    NoSeats,
    Stand,
    Told,
    Wish,
)
from checkout.metrics import Metrics
from kernel.clock import Clock
from kernel.errors import Unavailable

TRIES = 8

Rebuild = Callable[[str], Awaitable[object]]
"""Puts an event's map back into a store that lost it."""

HoldId = Callable[[str, str, str], bytes]
"""Makes the id of a hold of event, buyer and key."""


class _Scene(NamedTuple):
    """What a wish is about; ``of`` is the name of the allocation, or ''."""

    known: Known
    layout: Layout
    place: Place
    of: str
    ask: Ask


class Holding:
    """Use cases of holds, for one worker."""

    def __init__(
        self,
        catalogue: CatalogueReader,
        places: Places,
        rebuild: Rebuild,
        hold_id: HoldId,
        clock: Clock,
        metrics: Metrics,
        look: Look | None = None,
    ) -> None:
        """`look` gives a map to choose the best seats from; without it one is read when somebody asks."""
        self._catalogue = catalogue
        self._places = places
        self._rebuild = rebuild
        self._hold_id = hold_id
        self._clock = clock
        self._metrics = metrics
        self._seeking = Seeking(catalogue, places, clock, metrics, look)
        self._under_way: set[bytes] = set()
        self._ahead_ms: dict[str, int] = {}
        """By how much a place's store is ahead of this worker's clock."""

    # ------------------------------------------------------------------------------- use cases

    async def hold(self, event: str, buyer: str, key: str, wish: Wish, body: bytes) -> HoldOutcome:
        """Put seats aside for a buyer, all of them or none; `body` tells one request under a key from another.

        Raises ``Refused("event-unknown")``, ``Unavailable``.
        """
        id_ = self._hold_id(event, buyer, key)
        outcome: HoldOutcome = InFlight()
        if id_ not in self._under_way:
            self._under_way.add(id_)
            try:
                outcome = await self._hold(event, buyer, id_, wish, fingerprint(body))
            finally:
                self._under_way.discard(id_)
        self._metrics.holds.count(_word(outcome))
        return outcome

    async def extend(self, event: str, buyer: str, hold: str) -> Told | Ended | Sale:
        """Move a hold's end, once; a repeat tells the same end. Holds of a cancelled event are not extended."""
        known = await self._catalogue.known(event)
        standing = sale(known.event.window, self._clock.now_ms())
        if standing.standing is Standing.CANCELLED:
            return standing
        id_, place = hold_id_of(hold), self._places.of(event)
        if id_ is None:
            return NotYours()
        outcome = await place.holds.extend(event, id_, buyer, _ttl_ms(known))
        if outcome == Gone(HoldState.UNKNOWN) and await self._had_lost(place, event):
            outcome = await place.holds.extend(event, id_, buyer, _ttl_ms(known))
        self._metrics.hold_acts.count(_word(outcome))
        if not isinstance(outcome, Extended):
            return outcome
        record = await place.holds.record(event, id_)
        if record is None:
            return Gone(HoldState.UNKNOWN)
        return Told(await self._paper(known, place, id_, record), is_new=not outcome.again)

    async def release(self, event: str, buyer: str, hold: str) -> Released | Ended:
        """Give the seats of a hold back; what was given back before is."""
        await self._catalogue.known(event)
        id_, place = hold_id_of(hold), self._places.of(event)
        if id_ is None:
            return NotYours()
        outcome = await place.holds.release(event, id_, buyer)
        if outcome == Gone(HoldState.UNKNOWN) and await self._had_lost(place, event):
            outcome = await place.holds.release(event, id_, buyer)
        self._metrics.hold_acts.count(_word(outcome))
        return Released() if outcome == Gone(HoldState.RELEASED) else outcome

    async def mine(self, event: str, buyer: str) -> Mine:
        """Find a buyer's holds, the first to end first."""
        known = await self._catalogue.known(event)
        place = self._places.of(event)
        now_ms, has, records = await place.holds.mine(event, buyer)
        if not has and await self._had_lost(place, event):
            now_ms, has, records = await place.holds.mine(event, buyer)
        self._ahead_ms[place.name] = now_ms - self._clock.now_ms()
        papers = [await self._paper(known, place, id_, record) for id_, record in records.items()]
        return Mine(sorted(papers, key=lambda paper: paper["until_ms"]), now_ms)

    # ----------------------------------------------------------------------------------- a wish

    async def _hold(self, event: str, buyer: str, id_: bytes, wish: Wish, body: str) -> HoldOutcome:
        known = await self._catalogue.known(event)
        place = self._places.of(event)
        currency = wish.currency or known.event.currency
        allocation = allocation_for(known, wish.code) if wish.code else None
        ask = Ask(
            id=id_,
            buyer=buyer,
            wanted=Wanted(),
            ttl_ms=_ttl_ms(known),
            max_per_buyer=known.event.max_per_buyer,
            price_version=known.prices.version,
            body=body,
            back=Status.BLOCKED if allocation else Status.FREE,
            currency=currency,
        )
        standing = sale(known.event.window, self._clock.now_ms())
        if standing.standing is not Standing.ON_SALE:
            # Nothing was held before the beginning, so a crowd that comes too early costs the store nothing.
            had = None if standing.standing is Standing.NOT_YET else await self._had(place, event, ask)
            return standing if had is None else await self._told(known, place, ask, had)
        if not any(currency in own for own in known.prices.amounts.values()):
            return NoCurrency(known.prices.currencies)
        if wish.code and allocation is None:
            return NoAllocation()
        layout = await self._catalogue.layout(known.event.layout_id)
        scene = _Scene(known, layout, place, allocation.name if allocation else "", ask)
        answer: Answer | NoSeats | NoBlock
        match wish.what:
            case Named(seats):
                answer = await self._named(scene, seats)
            case Stand(section, count):
                answer = await self._standing(scene, section, count)
            case Together():
                answer = await self._chosen(scene, wish.what, stands=False)
        return await self._told(known, place, ask, answer)

    async def _named(self, scene: _Scene, seats: tuple[int, ...]) -> Answer | NoSeats:
        event, hall = scene.known.event, scene.layout.seats
        floors = await self._seeking.floors(event)
        wrong = [seat for seat in seats if seat >= hall or any(first <= seat < end for first, end in floors)]
        if scene.of and not wrong:
            mask = await self._seeking.mask(event, scene.of)
            wrong = [seat for seat in seats if not mask[seat]]
        return NoSeats(tuple(wrong)) if wrong else await self._ask(scene, Wanted(seats))

    async def _standing(self, scene: _Scene, section: int, count: int) -> Answer | NoSeats | NoBlock:
        sections = scene.layout.sections
        if section >= len(sections) or sections[section].kind is not Kind.STANDING:
            return NoSeats()
        if scene.of:
            # The store cannot tell one allocation's places from another's, so they are named.
            return await self._chosen(scene, Together(count, None, section), stands=True)
        first, last = sections[section].first, sections[section].first + sections[section].count - 1
        return await self._ask(scene, Wanted(ranges=((first, last, count),)))

    async def _chosen(self, scene: _Scene, wish: Together, *, stands: bool) -> Answer | NoBlock:
        """Choose, ask, and choose again where somebody was faster."""
        event, ask = scene.known.event, scene.ask
        answer: Answer | NoBlock = NoBlock()
        if wish.count > ask.max_per_buyer:
            _, has, _ = await scene.place.holds.mine(event.id, ask.buyer)
            return await self._had(scene.place, event.id, ask) or Limit(has, ask.max_per_buyer)
        for attempt in range(TRIES):
            chosen = await self._seeking.choose(event, scene.of, wish, ask.id, attempt, stands=stands)
            if isinstance(chosen, Missing):
                await self._rebuild(event.id)
                chosen = await self._seeking.choose(event, scene.of, wish, ask.id, attempt, stands=stands)
            match chosen:
                case Missing():
                    raise _no_map()
                case None:
                    return await self._had(scene.place, event.id, ask) or NoBlock()
                case Few():
                    return await self._had(scene.place, event.id, ask) or chosen
            heard: Answer | None = None
            try:
                answer = heard = await self._ask(scene, chosen.wanted)
            finally:
                may_do_better = chosen.answered(heard)
            if not may_do_better:
                break
        return answer

    async def _ask(self, scene: _Scene, wanted: Wanted) -> Answer:
        """Ask the store; one that has no map is given it back once."""
        event, one = scene.known.event.id, scene.ask
        ask = Ask(
            one.id, one.buyer, wanted, one.ttl_ms, one.max_per_buyer, one.price_version, one.body, one.back,
            one.currency,
        )  # fmt: skip
        answer = await scene.place.holds.hold(event, ask)
        if isinstance(answer, Missing):
            await self._rebuild(event)
            answer = await scene.place.holds.hold(event, ask)
            if isinstance(answer, Missing):
                raise _no_map()
        return answer

    async def _had(self, place: Place, event: str, ask: Ask) -> HeldAgain | Differs | None:
        """Find what the same request got before; None if there was none."""
        record = await place.holds.record(event, ask.id)
        if record is None:
            return None
        if record.buyer != ask.buyer or record.body not in {ask.body, UNKNOWN_TEXT}:
            return Differs()
        is_over = record.is_live and record.until_ms <= self._now_ms(place)
        return HeldAgain(
            HoldState.EXPIRED if is_over else record.state,
            record.fence,
            record.until_ms,
            record.epoch,
            record.seats,
            record.price_version,
            record.currency,
            record.extended,
        )

    async def _had_lost(self, place: Place, event: str) -> bool:
        """Give the store its map back if it has none; tells whether it had none."""
        if await place.holds.counts(event) is not None:
            return False
        await self._rebuild(event)
        return True

    # ----------------------------------------------------------------------------------- papers

    async def _told(
        self, known: Known, place: Place, ask: Ask, answer: Answer | NoSeats | NoBlock
    ) -> HoldOutcome:
        """Write the paper of what is held; any other answer is told as it is."""
        match answer:
            case Held(fence, until_ms, epoch, seats):
                self._metrics.seats_held.count += len(seats)
                self._ahead_ms[place.name] = until_ms - ask.ttl_ms - self._clock.now_ms()
                state, version, currency, extended = HoldState.HELD, ask.price_version, ask.currency, False
            case HeldAgain(state, fence, until_ms, epoch, seats, version, currency, extended):
                pass
            case Missing():
                raise _no_map()
            case _:
                return answer
        record = HoldRecord(
            state,
            fence,
            epoch,
            until_ms,
            0,
            extended,
            ask.back,
            version,
            currency,
            ask.buyer,
            ask.body,
            seats,
        )
        return Told(await self._paper(known, place, ask.id, record), is_new=isinstance(answer, Held))

    async def _paper(self, known: Known, place: Place, id_: bytes, record: HoldRecord) -> HoldPaper:
        event = known.event
        currency = event.currency if record.currency == UNKNOWN_TEXT else record.currency
        layout = await self._catalogue.layout(event.layout_id)
        prices = await self._catalogue.prices(event.id, record.price_version)
        return hold_paper(
            id_,
            event.id,
            lines(layout, record.seats, prices, currency),
            currency,
            until_ms=record.until_ms,
            extended=record.extended,
            fence=record.fence,
            state=record.state,
            now_ms=self._now_ms(place),
        )

    def _now_ms(self, place: Place) -> int:
        return self._clock.now_ms() + self._ahead_ms.get(place.name, 0)


def _word(outcome: HoldOutcome | Extended | Released | Ended) -> str:
    """Name what came of it, for the counts."""
    match outcome:
        case Told(is_new=True):
            return "held"
        case Told() | Extended(again=True) | Gone(HoldState.RELEASED):
            return "again"
        case _:
            return _WORDS[type(outcome)]


_WORDS: Mapping[type, str] = {
    Sale: "not-on-sale",
    Taken: "taken",
    Limit: "limit",
    Few: "few",
    Closed: "closed",
    Differs: "key-reused",
    InFlight: "in-flight",
    NoBlock: "no-block",
    NoSeats: "no-seats",
    NoAllocation: "no-allocation",
    NoCurrency: "no-currency",
    Extended: "extended",
    Released: "released",
    Gone: "gone",
    NotYours: "not-yours",
}


def _ttl_ms(known: Known) -> int:
    least, most = HOLD_S
    return 1000 * min(max(known.event.hold_s, least), most)


def _no_map() -> Unavailable:
    return Unavailable("map-rebuilding", "The seats of this event are being put back. Please try again.")
