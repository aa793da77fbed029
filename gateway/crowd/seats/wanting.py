"""Wanting: how a fan gets seats: chosen on the map, or the best there are, or places to stand.

Somebody else may be quicker. Then the fan chooses again from what the refusal told (at most ``PICKS`` times), takes the
best available, then fewer and fewer, and at last stands on the waitlist for a while. Every wish has a key of its own.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.crowd.browser import Ended, both
from gateway.crowd.observed import Outcome
from gateway.crowd.seats.buying import Buyer, new_key
from gateway.crowd.seats.hall import Wish
from gateway.crowd.seats.noted import Ending, Paper, Tried, Won
from gateway.crowd.seats.opening import refresh

PICK_RATIO, BEST_RATIO = 0.6, 0.3
"""How people choose; the others stand, where one can."""

PICKS = 4
LOOKS = 3
"""Who stands on the waitlist looks so often, and then has other plans."""

LISTED_AFTER_S = 1.0
"""A changed price is listed everywhere by then."""

NOT_ON_SALE = frozenset({"sale-not-open", "sale-over", "sale-cancelled"})
FEWER = frozenset({"no-such-block", "too-few-left"})


class Wanting:
    """One fan's search for seats."""

    def __init__(self, buyer: Buyer, *, copies: int = 1, loses: bool = False) -> None:
        """`copies`: press the button so often at once; `loses`: the first answer gets lost on the way."""
        self.buyer = buyer
        self.fan = buyer.fan
        self.key = ""
        self.wish = Wish()
        self.is_offered = False  # what was got came by the waitlist
        self._copies, self._loses = copies, loses
        self._count = buyer.hall.group(self.fan.random)
        self._picks = 0
        self._stands = False
        self._plain: bytes | bytearray = b""

    async def get(self) -> Paper | Ending:
        """Ask until there is a hold, or say why there is none."""
        began_s, refused = self.fan.venue.seconds(), 0
        seen = await self.buyer.look()
        chance = self.fan.random.random()
        if seen is not None:
            self._plain = seen.plain
            self._picks = PICKS if chance < PICK_RATIO else 0
            self._stands = chance >= PICK_RATIO + BEST_RATIO
        if self._picks:  # choosing takes a while, and the hall does not wait
            await self.fan.venue.sleep(self.fan.random.expovariate(1 / max(self.fan.plan.think_s, 1e-3)))
        while (wish := self._next()) is not None:
            tried = await self._hold(wish)
            if tried.paper is not None:
                await self._won(tried.paper, began_s, refused)
                return tried.paper
            refused += 1
            if (ending := self._learn(tried)) is not None:
                return ending
        return await self._queue(began_s, refused)

    def _next(self) -> Wish | None:
        """Choose what to ask for; None when nothing is left to ask for."""
        hall, random = self.buyer.hall, self.fan.random
        if self._count < 1:
            return None
        if self._stands:
            self._stands = False
            if wish := hall.stand(self._plain, self._count, random):
                return wish
        if self._picks > 0:
            self._picks -= 1
            if seats := hall.pick(self._plain, self._count, random):
                return Wish(seats)
            self._picks = 0
        return Wish(count=self._count)

    def _learn(self, tried: Tried) -> Ending | None:
        """Draw the conclusion from a refusal; an ending where it is the last word. Raises Ended."""
        if tried.code == "seats-taken":
            told = self._plain = bytearray(self._plain)
            for seat, status in tried.taken:
                if 0 <= seat < len(told):
                    told[seat] = status
        elif tried.code in FEWER:
            self._count -= 1
        elif tried.code in NOT_ON_SALE:
            return Ending.NOT_ON_SALE
        elif tried.code == "limit-reached":
            return Ending.NOTHING
        else:
            raise Ended(Outcome.FAILED, f"a hold was answered {tried.status} {tried.code}".rstrip())
        return None

    async def _hold(self, wish: Wish) -> Tried:
        buyer = self.buyer
        self.wish, self.key = wish, new_key(self.fan)
        if self._loses:
            await buyer.hold_and_hang_up(wish, self.key)
            await self.fan.venue.sleep(self.fan.random.uniform(0.1, 0.6))
        asked = [buyer.hold(wish, self.key) for _ in range(self._copies)]
        answers: list[Tried] = await both(asked)
        return next((tried for tried in answers if tried.paper is not None), answers[0])

    async def _won(self, paper: Paper, began_s: float, refused: int) -> None:
        """Take note of what was won; where a price is news, the list is read again."""
        now_s = self.fan.venue.seconds()
        self.buyer.shop.won.append(Won(self.fan.file.index, now_s, now_s - began_s, refused))
        hall = self.buyer.hall
        if any(line.price_minor not in hall.costs(line.tier) for line in paper.lines):
            await self.fan.venue.sleep(LISTED_AFTER_S)
            await refresh(self.fan, hall)

    async def _queue(self, began_s: float, refused: int) -> Paper | Ending:
        """Stand on the waitlist for a while; an offer is a hold like any other."""
        buyer, fan = self.buyer, self.fan
        asked_us = fan.venue.wall.asked_us(fan.venue.seconds())
        count = max(1, self._count)
        status, said = await buyer.queue(orjson.dumps({"count": count, "tier": None}), b"POST")
        if status not in {200, 201}:
            return Ending.NOT_ON_SALE if said.get("code") in NOT_ON_SALE else Ending.NOTHING
        buyer.shop.queued.add(fan.sid)
        for _ in range(LOOKS):
            await fan.venue.sleep(fan.random.uniform(2, 4))
            status, said = await buyer.queue(None, b"GET")
            if status == 200 and (paper := await self._offered(said, asked_us)) is not None:
                await self._won(paper, began_s, refused)
                return paper
        await buyer.queue(b"", b"DELETE")
        return Ending.WAITED

    async def _offered(self, said: Mapping[str, Any], asked_us: int) -> Paper | None:
        offer = said.get("offer")
        if not isinstance(offer, dict):
            return None
        mine = await self.buyer.mine()
        for paper in mine.papers:
            if paper.id == offer["hold"]:
                found = Tried(
                    fan=self.fan.file.index,
                    buyer=self.fan.sid,
                    event=self.buyer.hall.id,
                    key="",
                    wish=Wish(paper.seats),
                    asked_us=asked_us,
                    answered_us=mine.answered_us,
                    status=201,
                    paper=paper,
                )
                self.buyer.shop.tried.append(found)
                self.is_offered = True
                return paper
        return None
