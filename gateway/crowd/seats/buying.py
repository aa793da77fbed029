"""Buying: one fan's single acts in the shop, each noted with its moments and with what was answered.

Where a page would ask again (no answer, 5xx, 429, a key in flight) the fan does, under the same key, and every try
is a fact of its own. An answer of the room instead of the shop means that the session is over: ``Cut``, if its time
was.
Not here: what the fan wants (``stories``).
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

from checkout.audit.records import Act
from checkout.halls.deltas import version
from gateway.crowd.browser import RETRY_GROWTH, RETRY_LEAST_S, RETRY_MOST_S, Ended, members
from gateway.crowd.fan import Fan
from gateway.crowd.observed import Outcome, Route
from gateway.crowd.seats.hall import Hall, Seen, Wish
from gateway.crowd.seats.noted import Acted, Line, Mine, Paper, Tried
from gateway.crowd.wire import Answer

PACKED = b"accept-encoding: gzip\r\n"
_GZIP = 16 + zlib.MAX_WBITS
_LOOKED_THROUGH_BYTES = 100_000
"""What is longer is no page of the room."""

Heard = Callable[[int, int | None, int, Mapping[str, Any]], None]
"""Hears of each try: asked and answered (None: no answer), the status, the members of the answer."""


class Cut(Exception):
    """The session is over in the middle of an errand, as sessions may be."""


class Buyer:
    """A fan in a hall."""

    __slots__ = ("_acts", "base", "fan", "hall", "shop")

    def __init__(self, fan: Fan, hall: Hall) -> None:
        """Come in."""
        self.fan = fan
        self.hall = hall
        self.shop = fan.notes.shop
        self.base = b"/api/events/" + hall.id.encode()
        self._acts = {
            Act.EXTEND: (Route.EXTEND, b"POST", b"/holds/%s/extend"),
            Act.RELEASE: (Route.RELEASE, b"DELETE", b"/holds/%s"),
            Act.RESERVE: (Route.RESERVE, b"POST", b"/holds/%s/reserve"),
            Act.CANCEL: (Route.CANCEL, b"DELETE", b"/reservations/%s"),
        }

    # ------------------------------------------------------------------------------------ the map
    async def look(self) -> Seen | None:
        """Read the map, as far as it is news; None where the shop only tells how much is free (overload)."""
        known = self.hall.map
        extra = PACKED + (b"if-none-match: %s\r\n" % known.etag if known and known.etag else b"")
        answer, _ = await ask(self.fan, Route.MAP, self.base + b"/map", extra=extra)
        if answer.status == 304 and known is not None:
            return known
        if answer.status != 200:
            raise Ended(Outcome.FAILED, f"the map was answered {answer.status}")
        if answer.headers.get(b"map-detail", b"seats") != b"seats":
            return None
        told = version(answer.headers.get(b"map-version", b"").decode("latin-1"))
        if known is not None and known.version == told and known.raw == answer.body:
            return known
        seen = Seen(told, unpacked(answer), answer.headers.get(b"etag", b""), answer.body)
        if fault := self.hall.see(seen):
            self.shop.unlike.append(fault)
        return seen

    # ------------------------------------------------------------------------------------ holds
    async def hold(self, wish: Wish, key: str = "", *, copy: bool = False) -> Tried:
        """Ask for a hold until the answer stands."""
        fan, key = self.fan, key or new_key(self.fan)
        last: list[Tried] = []

        def heard(asked_us: int, answered_us: int | None, status: int, said: Mapping[str, Any]) -> None:
            tried = Tried(
                fan=fan.file.index,
                buyer=fan.sid,
                event=self.hall.id,
                key=key,
                wish=wish,
                asked_us=asked_us,
                answered_us=answered_us,
                status=status,
                code=str(said.get("code", "")),
                paper=paper_of(said, "hold") if status in {200, 201} else None,
                taken=taken_of(said),
                has=said.get("has"),
                most=said.get("max"),
                copy=copy,
            )
            self.shop.tried.append(tried)
            if tried.paper is not None:
                self.shop.held[tried.paper.id] = (self.hall.id, tried.paper)
            last[:] = [tried]

        await ask(
            fan,
            Route.HOLD,
            self.base + b"/holds",
            body=wish.body(self.hall.currency),
            extra=b"idempotency-key: %s\r\n" % key.encode(),
            heard=heard,
        )
        return last[0]

    async def hold_and_hang_up(self, wish: Wish, key: str) -> None:
        """Ask for a hold and never hear the answer."""
        fan, body = self.fan, wish.body(self.hall.currency)
        extra = b"idempotency-key: %s\r\n" % key.encode()
        at_s = fan.venue.seconds()
        fan.notes.requests[Route.HOLD][int(at_s)] += 1
        asked_us = fan.venue.wall.asked_us(at_s)
        self.shop.tried.append(
            Tried(fan.file.index, fan.sid, self.hall.id, key, wish, asked_us, answered_us=None)
        )
        head = fan.head(b"application/json", body, extra, cookies=True)
        await fan.wire.ask_and_hang_up(b"POST", self.base + b"/holds", head, body)

    async def act(self, act: Act, hold: str, reservation: str = "") -> Acted:
        """Do something about a hold; a reservation is given back by its own id."""
        fan = self.fan
        route, method, below = self._acts[act]
        if act in {Act.RELEASE, Act.CANCEL}:
            self.shop.held.pop(hold, None)
        last: list[Acted] = []

        def heard(asked_us: int, answered_us: int | None, status: int, said: Mapping[str, Any]) -> None:
            paper = None
            if status in {200, 201}:
                paper = paper_of(said, "reservation" if act is Act.RESERVE else "hold")
            acted = Acted(
                fan=fan.file.index,
                buyer=fan.sid,
                event=self.hall.id,
                act=act,
                hold=hold,
                asked_us=asked_us,
                answered_us=answered_us,
                status=status,
                code=str(said.get("code", "")),
                state=str(said.get("state", "")) if status >= 400 else "",
                paper=paper,
            )
            self.shop.acted.append(acted)
            last[:] = [acted]

        await ask(
            fan,
            route,
            self.base + below % (reservation or hold).encode(),
            body=b"{}" if method == b"POST" else b"",
            method=method,
            extra=b"idempotency-key: %s\r\n" % new_key(fan).encode() if method == b"POST" else b"",
            heard=heard,
        )
        return last[0]

    async def mine(self) -> Mine:
        """Ask which holds there are."""
        fan = self.fan
        answer, said = await ask(fan, Route.HOLDS, self.base + b"/holds/mine")
        if answer.status != 200:
            raise Ended(Outcome.FAILED, f"the own holds were answered {answer.status}")
        wall = fan.venue.wall
        mine = Mine(
            fan.file.index,
            fan.sid,
            self.hall.id,
            wall.asked_us(answer.asked_at),
            wall.answered_us(answer.answered_at),
            tuple(paper_of(one, "hold") for one in said["holds"]),
        )
        self.shop.mines.append(mine)
        return mine

    # ------------------------------------------------------------------------------------ the waitlist
    async def queue(self, body: bytes | None, method: bytes) -> tuple[int, Mapping[str, Any]]:
        """Join, ask or leave the waitlist; give status and members."""
        answer, said = await ask(self.fan, Route.WAITLIST, self.base + b"/waitlist", body=body, method=method)
        return answer.status, said


async def ask(
    fan: Fan,
    route: Route,
    path: bytes,
    *,
    body: bytes | None = None,
    method: bytes | None = None,
    extra: bytes = b"",
    heard: Heard | None = None,
) -> tuple[Answer, Mapping[str, Any]]:
    """Ask the shop until the answer stands; ``heard`` hears of every try. Raises Cut."""
    pause_s, wall = RETRY_LEAST_S, fan.venue.wall
    while True:
        since_s = fan.venue.seconds()
        expires_s = fan.expires_s  # of the token that goes along: another answer may renew it meanwhile
        answer = await fan.ask(route, path, body, extra=extra, method=method)
        said: Mapping[str, Any] = {}
        if answer is not None:
            if answer.cookies:
                fan.renewed()
            if (
                b"json" in answer.headers.get(b"content-type", b"")
                and len(answer.body) < _LOOKED_THROUGH_BYTES
            ):
                said = members(answer)
            if is_from_room(fan, answer):
                raise _over(route, answer, str(said.get("reason", "")), expires_s)
        if heard is not None:
            asked_us = wall.asked_us(answer.asked_at if answer else since_s)
            answered_us = wall.answered_us(answer.answered_at) if answer else None
            heard(asked_us, answered_us, answer.status if answer else 0, said)
        if answer is not None and not _is_later(answer, said):
            return answer, said
        wait_s = (answer.retry_after_s if answer else None) or pause_s
        pause_s = min(pause_s * RETRY_GROWTH, RETRY_MOST_S)
        await fan.venue.sleep(wait_s * fan.random.uniform(1.0, 1.3))


def is_from_room(fan: Fan, answer: Answer) -> bool:
    """Tell the room's answer, or the guard's, from the shop's."""
    return answer.status == 401 or 300 <= answer.status < 304 or shows_room(fan, answer)


def shows_room(fan: Fan, answer: Answer) -> bool:
    """Tell whether an answer sends people to the room."""
    body = answer.body
    return len(body) < _LOOKED_THROUGH_BYTES and (b'"waiting":true' in body or fan.venue.room_path in body)


def unpacked(answer: Answer) -> bytes:
    """Give the body as it was before it was packed. Raises ValueError."""
    if answer.headers.get(b"content-encoding") != b"gzip":
        return answer.body
    try:
        return zlib.decompress(answer.body, _GZIP)
    except zlib.error as error:
        raise ValueError(f"a body that is not gzip: {error}") from error


def new_key(fan: Fan) -> str:
    """Make an idempotency key."""
    return f"{fan.random.getrandbits(128):032x}"


def paper_of(said: Mapping[str, Any], of: str) -> Paper:
    """Read a paper of a hold or of a reservation. Raises KeyError, TypeError or ValueError."""
    return Paper(
        id=str(said[of]),
        lines=tuple(
            Line(
                int(line["seat"]),
                line["section"],
                line["row"],
                str(line["number"]),
                int(line["tier"]),
                int(line["price_minor"]),
            )
            for line in said["seats"]
        ),
        currency=str(said["currency"]),
        total_minor=int(said["total_minor"]),
        until_ms=int(said["until_ms"]),
        state=str(said["state"]),
        now_ms=int(said["now_ms"]),
        extendable=bool(said.get("extendable", False)),
    )


def taken_of(said: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    """Read the seats that a refusal lists, with their status; what cannot be read is not listed."""
    listed = said.get("taken")
    return tuple(
        (one["seat"], one["status"])
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict) and type(one.get("seat")) is int and type(one.get("status")) is int
    )


def _is_later(answer: Answer, said: Mapping[str, Any]) -> bool:
    return answer.status >= 500 or answer.status == 429 or said.get("code") == "key-in-flight"


def _over(route: Route, answer: Answer, reason: str, expires_s: float) -> Exception:
    if answer.answered_at >= expires_s:
        return Cut()
    text = f"the room answered {answer.status} {reason} at {route}, although the session goes on"
    return Ended(Outcome.FAILED, " ".join(text.split()))
