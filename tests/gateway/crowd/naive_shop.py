"""A naive shop: seats in memory behind the naive room, on the shop's wire; and ways to break its promises.

Right by default in the simplest way that can be right. Each ``ShopFault`` makes it break one promise, which the crowd
must notice. Holds end lazily: whatever is asked, what is over is freed first.
"""

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import Any
from zlib import crc32

from checkout.halls import layout
from checkout.halls.deltas import coalesce, write
from checkout.halls.seats import Status
from checkout.halls.sections import Layout
from gateway.crowd.browser import Listening
from gateway.crowd.wire import Broken, NoAnswer
from tests.gateway.crowd.naive_hall import EVENT, GRACE_S, MOST, PRICES, Books, Held, ShopFault, hall
from tests.gateway.crowd.naive_room import Fault, NaiveRoom

Said = tuple[int, list[tuple[str, str]], bytes]


class NaiveShop(NaiveRoom):
    """A room with a shop behind it."""

    def __init__(
        self,
        now_s: Callable[[], float],
        *,
        shop_fault: ShopFault | None = None,
        plan: Layout | None = None,
        hold_s: int = 20,
        on_sale: bool = True,
        fault: Fault | None = None,
        per_minute: int = 1200,
        shop_clock_ms: int = 0,
    ) -> None:
        super().__init__(now_s, per_minute=per_minute, session_s=400, fault=fault)
        self.layout = plan or hall()
        self.document = layout.document(self.layout)
        self.hold_s, self.on_sale = hold_s, on_sale
        self.prices = dict(PRICES)
        self.price_version = 1
        self.refuse_waiting = False
        self.sections_only = False
        self._shop_fault, self._clock_ms = shop_fault, shop_clock_ms
        self._dice = Random(11)
        seats = self.layout.seats
        chosen = self.layout.sections[0].count
        tiers = [0 if seat < chosen // 3 else 1 if seat < chosen else 2 for seat in range(seats)]
        self.books = Books(bytearray(tier << 4 for tier in tiers))

    # ----------------------------------------------------------------------------------- the origin
    def admitted(self, cookies: dict[bytes, bytes]) -> str | None:
        """Let everybody in, where that is the fault."""
        sid = super().admitted(cookies)
        return (
            ""
            if sid is None and self._is(ShopFault.UNGUARDED) and b"waitroom-ticket-main" not in cookies
            else sid
        )

    def origin(self, sid: str, method: str, path: str, headers: dict[bytes, bytes], body: bytes) -> Said:
        """Answer behind the door."""
        self._free_what_is_over()
        if path.startswith("/layouts/"):
            return 200, _JSON, self.document.encode()
        address = path.partition("?")[0]
        if not address.startswith("/api/events"):
            return super().origin(sid, method, path, headers, body)
        if address == "/api/events":
            return _said(200, {"events": [self._detail()], "next": None})
        return self._event(sid, method, address.removeprefix(f"/api/events/{EVENT}"), headers, body)

    def _event(self, sid: str, method: str, below: str, headers: dict[bytes, bytes], body: bytes) -> Said:
        match method, below.strip("/").split("/"):
            case "GET", [""]:
                return _said(200, self._detail())
            case "GET", ["map"]:
                return self._map(headers)
            case "POST", ["holds"]:
                return self._hold(sid, headers[b"idempotency-key"].decode(), body)
            case "GET", ["holds", "mine"]:
                own = [self._paper(held) for held in self.books.holds.values() if self._is_listed(held, sid)]
                return _said(200, {"holds": own, "now_ms": self._now_ms()})
            case "POST", ["holds", hold, "extend"]:
                return self._extend(sid, hold)
            case "POST", ["holds", hold, "reserve"]:
                return self._reserve(sid, hold)
            case "DELETE", ["holds", hold]:
                return self._release(sid, hold)
            case "DELETE", ["reservations", reservation]:
                return self._cancel(reservation)
            case _, ["waitlist"]:
                return self._waitlist(sid, method, body)
            case _:
                return _said(404, {"code": "address-unknown"})

    async def stream(self, path: bytes, headers: bytes = b"") -> Listening:
        """Tell what changes."""
        cookies = dict(
            pair.split(b"=", 1)
            for line in headers.split(b"\r\n")
            if line.startswith(b"cookie: ")
            for pair in line.removeprefix(b"cookie: ").split(b"; ")
        )
        if self._now_s() < self.down_until_s or not self.admitted(cookies):
            raise NoAnswer(Broken.CLOSED, self._seconds())
        await asyncio.sleep(0.002)
        return Changes(self, int(path.rpartition(b"-")[2]))

    # ----------------------------------------------------------------------------------- what is told
    def _detail(self) -> dict[str, Any]:
        now_ms = self._now_ms()
        return {
            "id": EVENT,
            "room": "",
            "sale": {"standing": "on-sale" if self.on_sale else "over", "from_ms": 0, "until_ms": now_ms},
            "currency": "EUR",
            "layout": {"id": "x", "url": "/layouts/x.json", "seats": self.layout.seats},
            "tiers": [
                {"tier": tier, "name": str(tier), "prices": {"EUR": price}}
                for tier, price in self.prices.items()
            ],
            "price_version": self.price_version,
            "limits": {"max_per_buyer": MOST, "hold_s": self.hold_s, "grace_s": GRACE_S},
        }

    def _map(self, headers: dict[bytes, bytes]) -> Said:
        version = f"1:1000-{len(self.books.told)}"
        if self.sections_only:
            counts = [[self.books.map.count(b"\0"), len(self.books.map)]]
            text = json.dumps({"detail": "sections", "version": version, "sections": counts}).encode()
            return 200, [("content-type", "application/json"), ("map-detail", "sections")], text
        octets = bytes(self.books.map)
        etag = f'"{version}"'
        if headers.get(b"if-none-match") == etag.encode() and not self._is(ShopFault.TWO_MAPS):
            return 304, [("etag", etag)], b""
        if self._is(ShopFault.TWO_MAPS) and self._dice.random() < 0.3:
            octets = bytes([octets[0] ^ 1]) + octets[1:]
        told = [("etag", etag), ("map-version", version), ("map-detail", "seats")]
        return 200, [*told, ("content-type", "application/octet-stream")], octets

    def _paper(self, held: Held) -> dict[str, Any]:
        lines = []
        for seat in held.seats:
            section, row, number = layout.names(self.layout, seat)
            if self._is(ShopFault.WRONG_NAME) and number:
                number = str(int(number) + 1)
            tier = self.books.map[seat] >> 4
            price = self.prices[tier] + (100 if self._is(ShopFault.DEAR) else 0)
            if self._is(ShopFault.DEARER_LATER) and held.reservation:
                price += 100
            lines.append(
                {
                    "seat": seat,
                    "section": section,
                    "row": row,
                    "number": number,
                    "tier": tier,
                    "price_minor": price,
                }
            )
        return {
            "hold": held.id,
            "event": EVENT,
            "seats": lines,
            "currency": "EUR",
            "total_minor": sum(line["price_minor"] for line in lines) + self._is(ShopFault.WRONG_SUM),
            "until_ms": held.until_ms - (5000 if self._is(ShopFault.SHORT) else 0),
            "extendable": held.state == "held" and not held.extended,
            "fence": 1,
            "state": held.state,
            "now_ms": self._now_ms(),
        }

    def _is_listed(self, held: Held, sid: str) -> bool:
        if self._is(ShopFault.FORGETS_HOLD):
            return False
        states = {"held", "expired"} if self._is(ShopFault.KEEPS_LISTING) else {"held"}
        if held.state == "expired" and held.state in states and held.buyer == sid:
            held.state = "held"
        return held.buyer == sid and held.state in states

    # ----------------------------------------------------------------------------------- holds
    def _hold(self, sid: str, key: str, body: bytes) -> Said:
        known = self.books.by_key.get((sid, key))
        if known is not None and not self._is(ShopFault.FORGETS_KEY):
            # A hold that came back after a loss no longer knows which wish it was.
            if known[1] not in {body, b"-"} and not self._is(ShopFault.ANY_BODY):
                return _said(422, {"code": "key-reused"})
            return _said(201, self._paper(self.books.holds[known[0]]))
        if not self.on_sale:
            return _said(403, {"code": "sale-over", "ended_ms": 0})
        wish = json.loads(body)
        seats, refusal = self._wanted(wish)
        if refusal:
            return _said(409, refusal)
        has = sum(
            len(held.seats)
            for held in self.books.holds.values()
            if held.buyer == sid and held.state in {"held", "pinned"}
        )
        if self._is(ShopFault.MEAN) and self._dice.random() < 0.1:
            return _said(409, {"code": "limit-reached", "has": has, "max": MOST})
        if has + len(seats) > MOST and not self._is(ShopFault.NO_LIMIT):
            return _said(409, {"code": "limit-reached", "has": has, "max": MOST})
        free = [seat for seat in seats if not self._is_taken(seat)]
        if taken := [seat for seat in seats if seat not in free]:
            if self._is(ShopFault.PARTIAL) and free:
                seats = free
            else:
                if self._is(ShopFault.LEAVES_BEHIND) and free:
                    self._make(sid, f"{key} left behind", free, body)
                return _said(409, {"code": "seats-taken", "taken": self._taken(taken, seats)})
        elif self._is(ShopFault.GHOST) and "seats" in wish and self._dice.random() < 0.2:
            return _said(409, {"code": "seats-taken", "taken": [{"seat": seats[0], "status": 1}]})
        return _said(201, self._paper(self._make(sid, key, seats, body)))

    def _make(self, sid: str, key: str, seats: list[int], body: bytes) -> Held:
        until_ms = self._now_ms() + self.hold_s * 1000
        held = Held(f"hold{len(self.books.holds):07d}", sid, seats, until_ms)
        self.books.holds[held.id] = held
        self.books.by_key[sid, key] = (held.id, body)
        self._put(seats, Status.HELD)
        return held

    def _is_taken(self, seat: int) -> bool:
        status = self.books.map[seat] & 15
        if self._is(ShopFault.NO_LOCK) and self._dice.random() < 0.7:
            return False
        if self._is(ShopFault.FORGETS_PAID) and status == Status.RESERVED:
            return False
        return status != Status.FREE

    def _taken(self, taken: list[int], seats: list[int]) -> list[dict[str, int]]:
        if self._is(ShopFault.SILENT):
            return []
        if self._is(ShopFault.NAMES_OTHERS):
            taken = [max(seats) + 1]
        if self._is(ShopFault.NAMES_ONE):
            taken = taken[:1]
        return [{"seat": seat, "status": self.books.map[seat] & 15 or 1} for seat in taken]

    def _wanted(self, wish: dict[str, Any]) -> tuple[list[int], dict[str, Any]]:
        if "seats" in wish:
            return list(wish["seats"]), {}
        floor = self.layout.sections[1]
        if "standing" in wish:
            places = range(floor.first, floor.first + floor.count)
            free = [seat for seat in places if not self.books.map[seat] & 15]
            count = wish["standing"]["count"]
            return free[:count], {} if len(free) >= count else {"code": "too-few-left", "left": len(free)}
        count, plain = wish["best"]["count"], bytes(byte & 15 for byte in self.books.map)
        for row in self.layout.sections[0].rows:
            at = plain.find(bytes(count), row.first, row.first + row.count)
            if at >= 0:
                return list(range(at, at + count)), {}
        return [], {"code": "no-such-block"}

    def _extend(self, sid: str, hold: str) -> Said:
        held = self.books.holds.get(hold)
        if held is None or held.buyer != sid:
            return _said(404, {"code": "hold-unknown"})
        if held.state != "held":
            return _said(410, {"code": "hold-over", "state": held.state})
        if not held.extended or self._is(ShopFault.EXTENDS_AGAIN):
            held.extended += 1
            held.until_ms += self.hold_s * 1000
        return _said(200, self._paper(held))

    def _release(self, sid: str, hold: str) -> Said:
        held = self.books.holds.get(hold)
        if held is None or held.buyer != sid:
            return _said(404, {"code": "hold-unknown"})
        if held.state == "released":
            return 204, [], b""
        if held.state != "held":
            return _said(410, {"code": "hold-over", "state": held.state})
        held.state = "released"
        self._put(held.seats, Status.FREE)
        return 204, [], b""

    def _reserve(self, sid: str, hold: str) -> Said:
        held = self.books.holds.get(hold)
        if held is None or held.buyer != sid:
            return _said(404, {"code": "hold-unknown"})
        if held.state not in {"held", "pinned"} and not self._is(ShopFault.NEVER_ENDS):
            return _said(410, {"code": "hold-over", "state": held.state})
        if held.state != "pinned":
            held.state, held.reservation = "pinned", f"R{held.id}"
            held.until_ms = self._now_ms() + GRACE_S * 1000
            self._put(held.seats, Status.RESERVED)
        return _said(201, self._paper(held) | {"reservation": held.reservation, "state": "active"})

    def _cancel(self, reservation: str) -> Said:
        held = self.books.holds[reservation.removeprefix("R")]
        if held.state == "pinned":
            held.state = "released"
            self._put(held.seats, Status.FREE)
        return 204, [], b""

    def _waitlist(self, sid: str, method: str, body: bytes) -> Said:
        waiting = self.books.waiting
        if self.refuse_waiting:
            return _said(409, {"code": "not-sold-out", "free": 1})
        if method == "POST":
            waiting[sid] = {**json.loads(body), "state": "waiting", "offer": None}
            return _said(201, waiting[sid])
        if sid not in waiting:
            return _said(404, {"code": "not-waiting"})
        if method == "DELETE":
            del waiting[sid]
            return 204, [], b""
        wish = waiting[sid]
        free = [seat for seat, byte in enumerate(self.books.map) if not byte & 15]
        if wish["offer"] is None and len(free) >= wish["count"]:
            held = self._make(sid, f"offer {sid}", free[: wish["count"]], b"")
            wish |= {"state": "offered", "offer": {"hold": held.id, "until_ms": held.until_ms}}
        return _said(200, wish)

    # ----------------------------------------------------------------------------------- small
    def sell(self, seats: list[int]) -> None:
        """Have others buy seats."""
        self._put(seats, Status.SOLD)

    def change_prices(self) -> None:
        """Make everything dearer, and say so."""
        self.prices = {tier: price + 500 for tier, price in self.prices.items()}
        self.price_version += 1

    def _free_what_is_over(self) -> None:
        for held in self.books.holds.values():
            ends_ms = held.until_ms - (self.hold_s * 500 if self._is(ShopFault.ENDS_EARLY) else 0)
            if held.state in {"held", "pinned"} and self._now_ms() >= ends_ms:
                held.state = "expired"
                self._put(held.seats, Status.FREE)

    def _put(self, seats: list[int], status: Status) -> None:
        changes = {seat: self.books.map[seat] & 0xF0 | status for seat in seats}
        for seat, byte in changes.items():
            self.books.map[seat] = byte
        text = write(changes)
        if self._is(ShopFault.WRONG_CHANGE) and self._dice.random() < 0.3:
            text = write({(seat + 1) % len(self.books.map): byte for seat, byte in changes.items()})
        if self._is(ShopFault.LOSES_CHANGE) and self._dice.random() < 0.3:
            text = ""
        self.books.told.append(text)

    def mark(self) -> str:
        """Give the mark of the map."""
        return f"{crc32(self.books.map):08x}"

    def _now_ms(self) -> int:
        return int(self._now_s() * 1000) + self._clock_ms

    def _is(self, fault: ShopFault) -> bool:
        return self._shop_fault is fault


class Changes:
    """The stream of what changes, as an answer that goes on."""

    status = 200

    def __init__(self, shop: NaiveShop, after: int) -> None:
        self.headers = {b"content-type": b"text/event-stream; charset=utf-8"}
        self._shop = shop
        self._after = after
        self._is_closed = False

    async def read(self) -> bytes:
        """Give what has changed since, in one message, and sometimes the mark of the map."""
        told = self._shop.books.told
        while self._after >= len(told):
            await asyncio.sleep(0.2)
            if self._is_closed:
                return b""
        texts = [text for text in told[self._after :] if text]
        self._after = len(told)
        version = f"1:1000-{self._after}"
        parts = [f"id: {version}\ndata: {coalesce(texts, self._shop.layout.seats)}\n\n"] if texts else []
        if self._after % 7 == 0:
            parts.append(f"event: check\nid: {version}\ndata: {self._shop.mark()}\n\n")
        return "".join(parts).encode() or b": here\n\n"

    def close(self) -> None:
        """Listen no longer."""
        self._is_closed = True


_JSON = [("content-type", "application/json")]


def _said(status: int, members: dict[str, Any]) -> Said:
    return status, [*_JSON], json.dumps(members).encode()
