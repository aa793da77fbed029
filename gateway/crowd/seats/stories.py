"""The stories: eleven errands in a shop that sells seats, each told as a short story.

Every story ends with an ``Ending``; which ones an errand allows stands in ``noted.ENDINGS``. Getting seats is the same
for most (``wanting``): what looks free on the map as this fan saw it, or the best there is, or a place to stand.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from checkout.audit.records import Act
from checkout.halls.seats import Status
from gateway.crowd.browser import Ended, both
from gateway.crowd.fan import Fan
from gateway.crowd.observed import Outcome
from gateway.crowd.plan import Errand
from gateway.crowd.seats.buying import Buyer, Cut
from gateway.crowd.seats.cashier import pay_for
from gateway.crowd.seats.following import Viewer
from gateway.crowd.seats.hall import Wish
from gateway.crowd.seats.noted import ENDINGS, Acted, Ending, Paper, Tried
from gateway.crowd.seats.opening import open_shop, refresh
from gateway.crowd.seats.wanting import Wanting

MINE_RATIO = 0.2
"""So many of those who hold something look whether the shop knows of it."""

READ_AGAIN_RATIO = 0.05
"""So many read the prices again."""

AFTER_THE_END_S = 0.5
AWAKE_S = 15.0
"""Who waits for the end of a hold looks at it so often, which keeps the session alive."""


async def run_errand(fan: Fan) -> bool:
    """Do what the fan came for; False where the origin sells no seats, so that there was nothing to do."""
    file = fan.file
    if file.errand is None:
        return False
    try:
        if not await open_shop(fan):
            return False
        hall = fan.random.choice(fan.venue.programme.halls)
        buyer = Buyer(fan, hall)
        if fan.random.random() < READ_AGAIN_RATIO:
            await refresh(fan, hall)
        file.ending = await STORIES[file.errand](buyer)
    except Cut:
        file.ending = Ending.CUT
    except Ended as end:
        file.ending = Ending.FAILED if end.outcome is Outcome.FAILED else Ending.CUT
        raise
    except (KeyError, TypeError, ValueError):
        file.ending = Ending.FAILED
        raise
    if file.ending not in ENDINGS[file.errand]:
        file.faults.append(f"the errand {file.errand} ended {file.ending}")
    return True


async def reserve(buyer: Buyer) -> Ending:
    """Get seats and pay for them; where the shop takes no money, they are reserved."""
    got = await Wanting(buyer).get()
    if not isinstance(got, Paper):
        return got
    await think(buyer)
    await _look_at_own(buyer)
    return await _reserved(buyer, got)


async def give_back(buyer: Buyer) -> Ending:
    """Get seats and let them go."""
    got = await Wanting(buyer).get()
    if not isinstance(got, Paper):
        return got
    await think(buyer)
    ending = await _given_back(buyer, got)
    await _look_at_own(buyer)
    return ending


async def walk_away(buyer: Buyer) -> Ending:
    """Get seats and forget them; who has the patience sees that they are given up for them."""
    got = await Wanting(buyer).get()
    if not isinstance(got, Paper):
        return got
    await _look_at_own(buyer)
    if not await _sit_out(buyer, got):
        return Ending.LEFT_HELD
    await buyer.mine()
    return Ending.ENDED


async def extend(buyer: Buyer) -> Ending:
    """Ask for more time, and a second time; then pay or let go."""
    got = await Wanting(buyer).get()
    if not isinstance(got, Paper):
        return got
    for _ in range(2):
        await think(buyer)
        acted = await buyer.act(Act.EXTEND, got.id)
        if not acted.is_done:
            return _over(buyer, acted)
    await _look_at_own(buyer)
    return await (_reserved if buyer.fan.random.random() < 0.5 else _given_back)(buyer, got)


async def cancel(buyer: Buyer) -> Ending:
    """Reserve, think better of it, and press the button once more."""
    got = await Wanting(buyer).get()
    if not isinstance(got, Paper):
        return got
    acted = await buyer.act(Act.RESERVE, got.id)
    if not acted.is_done or acted.paper is None:
        return _over(buyer, acted)
    for _ in range(2):
        await think(buyer)
        given = await buyer.act(Act.CANCEL, got.id, acted.paper.id)
        if not given.is_done:
            return _over(buyer, given)
    return Ending.CANCELLED


async def double_click(buyer: Buyer) -> Ending:
    """Hold twice at once under one key, and again later: one hold. The key with another wish is refused."""
    wanting = Wanting(buyer, copies=2)
    got = await wanting.get()
    if not isinstance(got, Paper):
        return got
    if wanting.is_offered:
        return await _reserved_or_back(buyer, got)
    for wish in (wanting.wish, Wish(count=1, tier=got.lines[0].tier)):
        again = await buyer.hold(wish, wanting.key)
        # Whether it was the same hold is for the checks to say.
        if again.status not in {200, 201, 422} and not _was_lost(buyer):
            raise Ended(Outcome.FAILED, f"a key sent again was answered {again.status} {again.code}")
    return await _reserved_or_back(buyer, got)


async def retry(buyer: Buyer) -> Ending:
    """Lose the answer to the hold and ask again: the same hold, and no second one."""
    got = await Wanting(buyer, loses=True).get()
    if not isinstance(got, Paper):
        return got
    await buyer.mine()
    return await _reserved_or_back(buyer, got)


async def two_tabs(buyer: Buyer) -> Ending:
    """Hold in two pages at once, together more than one person may have: at most one of them wins."""
    hall, random = buyer.hall, buyer.fan.random
    count = hall.most // 2 + 1
    wishes = [Wish(count=count), Wish(count=count)]
    if seen := await buyer.look():
        plain = bytearray(seen.plain)
        for place in range(2):
            if seats := hall.pick(plain, count, random):
                wishes[place] = Wish(seats)
                plain[seats[0] : seats[-1] + 1] = bytes([Status.HELD]) * count
    tabs: list[Tried] = await both([buyer.hold(wish) for wish in wishes])
    papers = [tab.paper for tab in tabs if tab.paper is not None]
    await buyer.mine()
    for paper in papers:
        ending = await _given_back(buyer, paper)
        if ending is not Ending.GAVE_BACK:
            return ending
    if papers:
        return Ending.GAVE_BACK
    return Ending.NOT_ON_SALE if all(tab.status == 403 for tab in tabs) else Ending.REFUSED


async def rival(buyer: Buyer) -> Ending:
    """Ask for a seat that somebody has, and the one beside it: a clear refusal, and neither is held."""
    hall, random = buyer.hall, buyer.fan.random
    wanted = await _somebodys(buyer)
    if wanted is None:
        return Ending.NOTHING
    other = hall.beside(wanted, random) if hall.most > 1 else None
    tried = await buyer.hold(Wish((wanted,) if other is None else tuple(sorted((wanted, other)))))
    await buyer.mine()
    if tried.paper is not None:  # given up by its holder meanwhile
        return await _given_back(buyer, tried.paper)
    if tried.status == 403:
        return Ending.NOT_ON_SALE
    if tried.status != 409:
        raise Ended(Outcome.FAILED, f"a seat of somebody's was answered {tried.status} {tried.code}")
    return Ending.REFUSED


async def _somebodys(buyer: Buyer) -> int | None:
    """Find a seat that somebody has: one of the crowd's, or one that the map shows as taken."""
    hall, random = buyer.hall, buyer.fan.random
    held = [paper for event, paper in buyer.shop.held.values() if event == hall.id]
    if held and hall.is_chosen(seat := random.choice(random.choice(held).seats)):
        return seat
    seen = await buyer.look()
    if seen is None:
        return None
    begin = int(len(seen.plain) * random.random())
    statuses = (Status.HELD, Status.RESERVED, Status.SOLD)
    found = [seen.plain.find(bytes([status]), begin) for status in statuses]
    return next((seat for seat in found if seat >= 0 and hall.is_chosen(seat)), None)


async def late(buyer: Buyer) -> Ending:
    """Want to pay for a hold that is over: by its time, or (where that is too long to wait) given back."""
    got = await Wanting(buyer).get()
    if not isinstance(got, Paper):
        return got
    ending, since_s = Ending.ENDED, buyer.fan.venue.seconds()
    if not await _sit_out(buyer, got):
        ending = await _given_back(buyer, got)
        if ending is not Ending.GAVE_BACK:
            return ending
    acted = await buyer.act(Act.RESERVE, got.id)
    # A store that was lost meanwhile may have the hold again.
    if acted.status != 410 and not _was_lost(buyer, since_s):
        fault = f"a hold that was over could still be paid for: {acted.status} {acted.code}".rstrip()
        buyer.fan.file.faults.append(fault)
    return ending


async def watch(buyer: Buyer) -> Ending:
    """Follow what changes in the hall for a while, and hold the copy against a fresh map."""
    return await Viewer(buyer).follow()


# ---------------------------------------------------------------------------------------- parts


async def think(buyer: Buyer) -> None:
    """Look at the page for a while."""
    fan = buyer.fan
    await fan.venue.sleep(fan.random.expovariate(1 / max(fan.plan.think_s, 1e-3)))


async def _look_at_own(buyer: Buyer) -> None:
    if buyer.fan.random.random() < MINE_RATIO:
        await buyer.mine()


async def _reserved_or_back(buyer: Buyer, got: Paper) -> Ending:
    await think(buyer)
    return await (_reserved if buyer.fan.random.random() < 0.5 else _given_back)(buyer, got)


async def _reserved(buyer: Buyer, got: Paper) -> Ending:
    acted = await buyer.act(Act.RESERVE, got.id)
    if not acted.is_done or acted.paper is None:
        return _over(buyer, acted)
    return await pay_for(buyer, got.id, acted.paper)


async def _given_back(buyer: Buyer, got: Paper) -> Ending:
    acted = await buyer.act(Act.RELEASE, got.id)
    if acted.status == 410 and acted.state == "released":  # the first answer was lost
        return Ending.GAVE_BACK
    return Ending.GAVE_BACK if acted.is_done else _over(buyer, acted)


async def _sit_out(buyer: Buyer, got: Paper) -> bool:
    """Wait for the end of a hold, looking at it from time to time; False where that takes too long."""
    fan = buyer.fan
    if max(buyer.hall.hold_s) > fan.plan.ends_wait_s:
        return False
    while True:
        left_s = got.until_ms / 1000 - fan.venue.wall.us(fan.venue.seconds()) / 1_000_000
        if left_s <= 0:
            break
        await fan.venue.sleep(min(left_s + AFTER_THE_END_S, AWAKE_S))
        await buyer.mine()
    return True


def _over(buyer: Buyer, acted: Acted) -> Ending:
    """Say what a refused act means. Raises Ended for what the story gave no reason for."""
    if acted.status in {404, 410} and _was_lost(buyer):
        return Ending.LOST
    if acted.status == 410 and acted.state == "expired":
        return Ending.ENDED  # whether its time was over is for the checks to say
    raise Ended(
        Outcome.FAILED, f"to {acted.act} was answered {acted.status} {acted.code} {acted.state}".rstrip()
    )


def _was_lost(buyer: Buyer, since_s: float = 0.0) -> bool:
    """True when the store was lost on purpose before, or was getting up from that since some moment."""
    now_s = buyer.fan.venue.seconds()
    return any(
        outage.loses_store and outage.since_s <= now_s and since_s < outage.until_s
        for outage in buyer.fan.notes.outages
    )


STORIES: Mapping[Errand, Callable[[Buyer], Awaitable[Ending]]] = MappingProxyType(
    {
        Errand.RESERVE: reserve,
        Errand.GIVE_BACK: give_back,
        Errand.WALK_AWAY: walk_away,
        Errand.EXTEND: extend,
        Errand.CANCEL: cancel,
        Errand.DOUBLE_CLICK: double_click,
        Errand.RETRY: retry,
        Errand.TWO_TABS: two_tabs,
        Errand.RIVAL: rival,
        Errand.LATE: late,
        Errand.WATCH: watch,
    }
)
