"""Render: the shop's pages as text, from plain dicts and a language. Pure of HTTP, of the store and of the clock.

``Pages`` has one method for each page; what a template needs stands in the comment at its head and comes as plain
dicts, mostly an *event* as `Event` lists it. What follows from an event and the time (which season of its sale it
is) is derived here, so that a page and its sentence never disagree.

Not here: cookies, headers, which event is meant (``web``); the texts (``words``).
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, TypedDict
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from checkout.currencies import DIGITS
from checkout.site.assets import SEAT_MODULES, address, assets
from checkout.site.fields import CardFields
from checkout.site.words import Catalogue, languages
from checkout.tickets.face import Face

USUAL_DECIMALS = 2
"""Decimals of a currency of which the browser is told nothing else."""

PAYABLE = frozenset(("to-pay", "declined", "action"))
"""Phases of an order in which another try may be made."""

FEW_RATIO = 0.2
"""Below this share of free seats a card says so in its other colour."""


class Tier(TypedDict):
    """A price category; `price_minor` in the currency that is shown, None while it has none."""

    tier: int
    name: str
    price_minor: int | None


class Event(TypedDict):
    """What pages show of an event. `free` is None where nobody has counted; `layout_url` is what the map draws.

    `currency` is that of the prices that are shown and would be charged, one of `currencies`; `own_currency` is the one
    that stands where nobody has chosen. `unmet_currency` was chosen and has no price list here; empty for none.

    `sale_from_ms` and `sale_until_ms` are 0 for "no bound". `zone` is the venue's IANA time zone.
    """

    id: str
    title: str
    subtitle: str
    about: str
    motif: str
    venue: str
    city: str
    zone: str
    starts_ms: int
    sale_from_ms: int
    sale_until_ms: int
    state: str
    currency: str
    own_currency: str
    currencies: Sequence[str]
    unmet_currency: str
    max_per_buyer: int
    tiers: Sequence[Tier]
    seats: int
    free: int | None
    layout_url: str


class Season(StrEnum):
    """Which time of its sale an event is in."""

    BEFORE = "before"
    OPEN = "open"
    SOLDOUT = "soldout"
    OVER = "over"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Visit:
    """Who looks, and when: the language, the server's time, and what the gate told of a session (or empty).

    `offer` is the currency of where they seem to be, while they have chosen none; `link` gives the address of the same
    page with another choice (``choices.link``).
    """

    language: str
    now_ms: int
    session: str = ""
    lane: str = ""
    offer: str = ""
    link: Callable[[str, str], str] = lambda name, value: f"?{name}={value}"


@dataclass(frozen=True, slots=True)
class ShownContact:
    """Where an order's tickets go, as its page shows it.

    `shown` is the address with its letters hidden, '' for none; `days`: so long after the event it is kept.
    """

    shown: str
    days: int
    is_wrong: bool = False
    is_away: bool = False


@dataclass(frozen=True, slots=True)
class ShownWaiter:
    """Where who waits is written to, as the waitlist's page shows it.

    `shown` is the address with its letters hidden, '' for none; `account` that of who is logged in, likewise.
    """

    shown: str
    account: str = ""
    wrong: str = ""
    """Why what was sent could not be taken: wrong, busy."""
    is_away: bool = False


@dataclass(frozen=True, slots=True)
class ShownPush:
    """What a page's script needs to have its browser told of an order.

    `key`: what it subscribes under; `keys`: those that count, with blanks between; `path`: where it sends what it gets.
    """

    key: str
    keys: str
    path: str
    order: str
    worker: str
    scope: str


class ShownAccount(StrEnum):
    """How an order stands to whoever is logged in, or is not."""

    OUT = "out"
    IN = "in"
    KEPT = "kept"
    AWAY = "away"
    """It is another's, or nobody can tell: nothing is said."""


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """An order in the list of an account."""

    event: str
    title: str
    order: str
    state: str
    currency: str
    amount_minor: int
    tickets: str = ""
    """The address of its tickets, which needs no admission; '' while it has none."""


def season(event: Event, now_ms: int) -> Season:
    """Tell the season of an event's sale; the bounds are half-open."""
    if event["state"] == "cancelled":
        return Season.CANCELLED
    if event["sale_from_ms"] and now_ms < event["sale_from_ms"]:
        return Season.BEFORE
    if event["sale_until_ms"] and now_ms >= event["sale_until_ms"]:
        return Season.OVER
    return Season.SOLDOUT if event["free"] == 0 else Season.OPEN


def content_security_policy(*, standalone: bool = False, fields: CardFields | None = None) -> str:
    """Return the policy of our pages; a page that stands alone carries its style in itself, by its hash.

    `fields` open it for their provider's hosts: on the page where they stand, and on no other.
    """
    scripts, frames, connects = (fields.scripts, fields.frames, fields.connects) if fields else ((), (), ())
    style = "'self'"
    if standalone:
        digest = base64.b64encode(sha256(assets()["shop.css"].body).digest()).decode()
        style = f"'sha256-{digest}'"
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *scripts)),
            f"style-src {style}",
            "img-src 'self' data:",
            " ".join(("connect-src 'self'", *connects)),
            *([" ".join(("frame-src", *frames))] if frames else []),
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


class Pages:
    """The shop's pages."""

    def __init__(self, *, is_demo: bool = True, keeps_addresses: bool = False) -> None:
        """`is_demo`: nobody is charged, and the pages say so; `keeps_addresses` of who waits."""
        self._is_demo = is_demo
        self._environment = Environment(
            loader=PackageLoader("checkout.site", "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {
            "asset": address,
            "mark": Markup(assets()["aurora.svg"].body.decode()),  # noqa: S704 - our own file
            "style": Markup(assets()["shop.css"].body.decode()),  # noqa: S704 - the same
            "seat_modules": [f"{name}.js" for name in SEAT_MODULES],
            "few": FEW_RATIO,
            "keeps_addresses": keeps_addresses,
        }

    def programme(
        self,
        visit: Visit,
        events: Sequence[Event],
        *,
        query: str = "",
        city: str = "",
        cities: Sequence[str] = (),
        after: str = "",
    ) -> str:
        """List events, found or all; `after` is where the next page of them begins, empty for none."""
        more = urlencode(
            {key: value for key, value in (("q", query), ("city", city)) if value} | {"after": after}
        )
        return self._page(
            "evenings.html",
            visit,
            events=events,
            query=query,
            city=city,
            cities=cities,
            more=f"/?{more}" if after else "",
        )

    def event(self, visit: Visit, event: Event, form_key: str) -> str:
        """Show one event; `form_key` is a fresh idempotency key for the form without JavaScript."""
        return self._page(
            "evening.html", visit, event=event, season=season(event, visit.now_ms), form_key=form_key
        )

    def seats(self, visit: Visit, event: Event, form_key: str) -> str:
        """Show the seat page: a frame that its script fills; without it, the plain form."""
        words = languages()[visit.language]
        return self._page(
            "seats.html",
            visit,
            event=event,
            season=season(event, visit.now_ms),
            form_key=form_key,
            facts=json.dumps(facts(words, event, visit.now_ms), ensure_ascii=False, separators=(",", ":")),
        )

    def hold(self, visit: Visit, event: Event, hold: Mapping[str, Any] | None, form_key: str) -> str:
        """Show a hold without JavaScript, as `POST …/holds` answers it; None where nothing is held."""
        return self._page("hold.html", visit, event=event, hold=hold, form_key=form_key)

    def waiting(
        self,
        visit: Visit,
        event: Event,
        before: int | None,
        *,
        still: bool = False,
        waiter: ShownWaiter | None = None,
    ) -> str:
        """Show who is on the waitlist without JavaScript how it stands; `before` is None for who is not on it."""
        return self._page("waiting.html", visit, event=event, before=before, still=still, waiter=waiter)

    def reservation(
        self, visit: Visit, event: Event, reservation: Mapping[str, Any], *, payable: bool = True
    ) -> str:
        """Show a reservation, as `GET …/reservations/{id}` answers it, with its `state`."""
        return self._page("reserved.html", visit, event=event, reservation=reservation, payable=payable)

    def order(
        self,
        visit: Visit,
        event: Event,
        order: Mapping[str, Any],
        seats: Sequence[Mapping[str, Any]],
        ways: Sequence[tuple[str, str]],
        form_key: str,
        fields: CardFields | None = None,
        tickets: str = "",
        contact: ShownContact | None = None,
        account: ShownAccount | None = None,
        push: ShownPush | None = None,
    ) -> str:
        """Show an order, as `GET …/orders/{id}` answers it; `ways` to pay are tokens and the keys of their words.

        `tickets` is the address of its tickets, once it is paid. With `fields` a card is entered into them instead,
        while the order can be paid (`can_be_paid`). Without a `contact` nothing is said of where tickets go.
        """
        return self._page(
            "order.html",
            visit,
            event=event,
            order=order,
            seats=seats,
            ways=ways,
            form_key=form_key,
            fields=fields,
            payable=can_be_paid(order, visit.now_ms),
            tickets=tickets,
            contact=contact,
            account=account,
            push=push,
        )

    def tickets(
        self,
        visit: Visit,
        event: Event,
        cards: Sequence[Mapping[str, Any]],
        paper: str,
        push: ShownPush | None = None,
    ) -> str:
        """Show tickets; `paper` is the address of all of them as a PDF, '' for none."""
        return self._page("tickets.html", visit, event=event, cards=cards, paper=paper, push=push)

    def gift(self, visit: Visit, event: Event, face: Face, path: str, *, is_open: bool) -> str:
        """Show a ticket that somebody gives, or that it is not to be had any more."""
        return self._page("gift.html", visit, event=event, face=face, path=path, is_open=is_open)

    def trouble(self, visit: Visit, event: Event | None, code: str, **values: float) -> str:
        """Tell why a form without JavaScript did not work, in the words that the seat page has for the code."""
        return self._page(
            "trouble.html", visit, event=event, code=code, values={"n": 1, "seats": "", **values}
        )

    def account(self, visit: Visit, account: Any, orders: Sequence[ShownOrder]) -> str:
        """Show an account and its orders; None where nobody is logged in."""
        return self._page("account.html", visit, account=account, orders=orders, failed=False)

    def account_failed(self, visit: Visit) -> str:
        """Say that a login did not count."""
        return self._page("account.html", visit, account=None, orders=[], failed=True)

    def finish(self, visit: Visit) -> str:
        """Say goodbye. The page stands alone: what it asked for afterwards would be asked for without a session."""
        return self._page("goodbye.html", visit, standalone=True)

    def missing(self, visit: Visit) -> str:
        """Say that there is no such page."""
        return self._page("nowhere.html", visit)

    def _page(self, name: str, visit: Visit, **values: Any) -> str:
        words = languages()[visit.language]
        inside = {"session": visit.session[:8], "lane": visit.lane} if visit.session else None
        return self._environment.get_template(name).render(
            {
                "words": words,
                "t": words.text,
                "now_ms": visit.now_ms,
                "inside": inside,
                "standalone": False,
                "tongues": [(tag, other.name) for tag, other in languages().items()],
                "link": visit.link,
                "offer": visit.offer,
                "is_demo": self._is_demo,
            }
            | values
        )


def can_be_paid(order: Mapping[str, Any], now_ms: int) -> bool:
    """Tell whether an order's page has a form to pay."""
    is_open = order["state"] == "open" and order["until_ms"] > now_ms
    return is_open and order["phase"] in PAYABLE and order["attempts_left"] > 0


def facts(words: Catalogue, event: Event, now_ms: int) -> dict[str, Any]:
    """Gather what the seat page's script must know of an event."""
    zone = event["zone"]
    return {
        "event": event["id"],
        "api": f"/api/events/{event['id']}",
        "reservation": f"/events/{event['id']}/reservation/",
        "layout": event["layout_url"],
        "state": event["state"],
        "currency": event["currency"],
        "money": {code: words.money_form(code) for code in event["currencies"]},
        "decimals": {code: digits for code, digits in DIGITS.items() if digits != USUAL_DECIMALS},
        "max": event["max_per_buyer"],
        "tiers": [
            {"tier": one["tier"], "name": one["name"], "price": one["price_minor"]} for one in event["tiers"]
        ],
        "sale_from_ms": event["sale_from_ms"],
        "sale_until_ms": event["sale_until_ms"],
        "sale_from_text": words.moment(event["sale_from_ms"], zone) if event["sale_from_ms"] else "",
        "sale_until_text": words.moment(event["sale_until_ms"], zone) if event["sale_until_ms"] else "",
        "now_ms": now_ms,
    }
