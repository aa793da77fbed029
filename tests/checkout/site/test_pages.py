"""The shop's pages and words: every season of a sale, every language, nothing inline, nothing from elsewhere."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from playwright._impl._driver import compute_driver_executable

from checkout.orders.papers import Phase
from checkout.payments.port import Decline
from checkout.people.accounts import Account
from checkout.site.assets import SEAT_MODULES, address, assets, version
from checkout.site.order_pages import SANDBOX_WAYS
from checkout.site.render import (
    Event,
    Pages,
    Season,
    ShownAccount,
    ShownContact,
    ShownOrder,
    ShownWaiter,
    Visit,
    content_security_policy,
    facts,
    season,
)
from checkout.site.words import SOURCE, faults, languages, negotiate

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
EVENT: Event = {
    "id": "northern-lights",
    "title": "Northern <Lights>",
    "subtitle": "Ida Sund & the Long Night",
    "about": "Nine musicians.",
    "motif": "aurora",
    "venue": "Aurora Hall",
    "city": "Hamburg",
    "zone": "Europe/Berlin",
    "starts_ms": NOW_MS + 500 * HOUR_MS,
    "sale_from_ms": NOW_MS - HOUR_MS,
    "sale_until_ms": NOW_MS + HOUR_MS,
    "state": "published",
    "currency": "EUR",
    "own_currency": "EUR",
    "currencies": ["EUR"],
    "unmet_currency": "",
    "max_per_buyer": 4,
    "tiers": [{"tier": 0, "name": "A", "price_minor": 4200}, {"tier": 1, "name": "B", "price_minor": None}],
    "seats": 200,
    "free": 40,
    "layout_url": "/layouts/0123456789abcdef.json",
}
VISIT = Visit("en", NOW_MS)
SEAT = {"seat": 7, "section": "Stalls", "row": "F", "number": "12", "tier": 0, "price_minor": 4200}
PAPER = {"seats": [SEAT], "currency": "EUR", "total_minor": 4200, "until_ms": NOW_MS + 180_000}
HOLD = PAPER | {"hold": "AAAAAAAAAAA", "extendable": True}
ORDER = {
    "order": "O1", "event": "northern-lights", "reservation": "R1", "state": "open", "phase": "to-pay",
    "currency": "EUR", "total_minor": 4200, "refunded_minor": 100, "until_ms": NOW_MS + 180_000, "attempt": 1,
    "attempts_left": 3, "decline": None, "action_url": "/bank", "card": "visa 4242",
}  # fmt: skip
WAYS = [(way.token, way.words) for way in SANDBOX_WAYS]
CONTACTS = {
    "asked": ShownContact("", 30),
    "kept": ShownContact("a•••@example.org", 30),
    "wrong": ShownContact("", 30, is_wrong=True),
    "kept wrong": ShownContact("a•••@example.org", 1, is_wrong=True),
    "away": ShownContact("", 30, is_away=True),
}
PHASES = [phase.value for phase in Phase]
STATES = {"review": "review", "paid": "paid", "refunded": "refunded", "over": "lapsed"}
RESERVATION = PAPER | {"reservation": "R1", "state": "active"}


def event(**values: Any) -> Event:
    """Give the event with some of it changed."""
    return cast("Event", {**EVENT, **values})


def every_page(visit: Visit) -> dict[str, str]:
    """Make every page in every season."""
    pages = Pages()
    seasons = {
        "open": event(),
        "before": event(sale_from_ms=NOW_MS + HOUR_MS),
        "over": event(sale_until_ms=NOW_MS),
        "soldout": event(free=0),
        "cancelled": event(state="cancelled"),
        "uncounted": event(free=None, sale_from_ms=0, sale_until_ms=0),
    }
    made = {
        "programme": pages.programme(visit, list(seasons.values()), after="x y"),
        "search": pages.programme(visit, [], query='"><b>', city="Bremen", cities=("Bremen",)),
        "hold": pages.hold(visit, EVENT, HOLD, "key"),
        "no hold": pages.hold(visit, EVENT, None, "key"),
        "waiting": pages.waiting(visit, EVENT, 2),
        "waiting still": pages.waiting(visit, EVENT, 0, still=True),
        "waiting, told": pages.waiting(visit, EVENT, 2, waiter=ShownWaiter("a•••@b.example")),
        "waiting, asked": pages.waiting(
            visit, EVENT, 2, still=True, waiter=ShownWaiter("", "a•••@b.example", "busy")
        ),
        "waiting, kept": pages.waiting(visit, EVENT, 2, still=True, waiter=ShownWaiter("a•••@b.example")),
        "waiting, away": pages.waiting(visit, EVENT, 2, still=True, waiter=ShownWaiter("", is_away=True)),
        "soldout, asks": Pages(keeps_addresses=True).event(visit, event(free=0), "key"),
        "seats, asks": Pages(keeps_addresses=True).seats(visit, event(free=0), "key"),
        "not waiting": pages.waiting(visit, EVENT, None),
        "finish": pages.finish(visit),
        "missing": pages.missing(visit),
        "trouble": pages.trouble(visit, EVENT, "limit-reached", n=4),
        "unknown trouble": pages.trouble(visit, EVENT, "no-such-code"),
    }
    for name, one in seasons.items():
        made |= {
            f"event {name}": pages.event(visit, one, "key"),
            f"seats {name}": pages.seats(visit, one, "key"),
        }
    for phase in PHASES:
        order = ORDER | {"phase": phase, "state": STATES.get(phase, "open")}
        order |= {"decline": "insufficient-funds" if phase == "declined" else None}
        made[f"order {phase}"] = pages.order(visit, EVENT, order, [SEAT], WAYS, "key")
    for standing in ShownAccount:
        made[f"order account {standing}"] = pages.order(
            visit, EVENT, ORDER, [SEAT], WAYS, "key", account=standing
        )
    someone = Account("A1", "ann@example.org", "Ann", "en", frozenset({"order", "reminder"}))
    bought = [ShownOrder("northern-lights", EVENT["title"], "O1", "paid", "EUR", 4200)]
    made |= {
        "account out": pages.account(visit, None, []),
        "account": pages.account(visit, someone, bought),
        "account empty": pages.account(visit, someone, []),
        "account failed": pages.account_failed(visit),
    }
    for name, contact in CONTACTS.items():
        made[f"order contact {name}"] = pages.order(visit, EVENT, ORDER, [SEAT], WAYS, "key", contact=contact)
    for decline in Decline:
        if decline is not Decline.FRAUD:
            order = ORDER | {"phase": "declined", "decline": decline.value}
            made[f"declined {decline}"] = pages.order(visit, EVENT, order, [SEAT], WAYS, "key")
    for state in ("active", "released", "lapsed", "sold"):
        made[f"reservation {state}"] = pages.reservation(visit, EVENT, RESERVATION | {"state": state})
    return made


@pytest.mark.parametrize("tag", sorted(languages()))
def test_every_page_speaks_every_language_and_leaves_no_parameter_open(tag: str) -> None:
    """Nothing is missing in a template, no `{n}` is shown, and the language is told."""
    for name, page in every_page(Visit(tag, NOW_MS, "k3Jx91QzVb0", "standard")).items():
        text = re.sub(r'data-(facts|days)="[^"]*"', "", page)
        assert f'<html lang="{tag}" dir="{languages()[tag].direction}"' in page, name
        assert not re.search(r"\{\w+\}", text), name


def test_no_page_carries_a_script_a_style_or_a_handler_of_its_own_or_asks_elsewhere() -> None:
    """The policy forbids it; the goodbye page alone has its style in itself, by its hash."""
    for name, page in every_page(VISIT).items():
        assert not re.search(r"<script(?![^>]*\ssrc=)", page), name
        assert not re.search(r"\s(style|on[a-z]+)=", page), name
        assert ("<style>" in page) is (name == "finish"), name
        assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg|http-equiv", "", page), name
    assert "unsafe" not in content_security_policy() + content_security_policy(standalone=True)
    assert "'sha256-" in content_security_policy(standalone=True)


def test_the_goodbye_page_asks_for_nothing_more() -> None:
    """Its session has ended with it."""
    page = Pages().finish(VISIT)

    assert "src=" not in page
    assert 'rel="stylesheet"' not in page
    assert assets()["shop.css"].body.decode() in page


def test_what_comes_from_outside_is_text() -> None:
    """Titles and searches cannot become markup."""
    made = every_page(VISIT)

    assert "Northern &lt;Lights&gt;" in made["event open"]
    assert "<Lights>" not in "".join(made.values()).replace("&lt;Lights&gt;", "")
    assert '"><b>' not in made["search"]


@pytest.mark.parametrize(
    ("values", "now_ms", "wanted"),
    [
        ({}, NOW_MS, Season.OPEN),
        ({"sale_from_ms": NOW_MS + 1}, NOW_MS, Season.BEFORE),
        ({"sale_from_ms": NOW_MS}, NOW_MS, Season.OPEN),
        ({"sale_until_ms": NOW_MS + 1}, NOW_MS, Season.OPEN),
        ({"sale_until_ms": NOW_MS}, NOW_MS, Season.OVER),
        ({"sale_from_ms": 0, "sale_until_ms": 0}, NOW_MS, Season.OPEN),
        ({"free": 0}, NOW_MS, Season.SOLDOUT),
        ({"free": None}, NOW_MS, Season.OPEN),
        ({"free": 0, "sale_until_ms": NOW_MS}, NOW_MS, Season.OVER),
        ({"state": "cancelled", "free": 0}, NOW_MS, Season.CANCELLED),
    ],
)
def test_the_season_of_a_sale_is_half_open(values: dict[str, Any], now_ms: int, wanted: Season) -> None:
    """On sale while from <= now < until; cancelled before all, over before sold out."""
    assert season(event(**values), now_ms) is wanted


def test_each_season_offers_what_can_be_done_in_it() -> None:
    """A form while it is open, a clock before, the waitlist when sold out, nothing after."""
    made = every_page(VISIT)

    assert 'action="/events/northern-lights/hold"' in made["event open"]
    assert f'data-until="{NOW_MS + HOUR_MS}"' in made["event before"]
    assert "To the waitlist" in made["event soldout"]
    assert 'action="/events/northern-lights/waitlist"' in made["event soldout"]
    for name in ("before", "over", "cancelled"):
        assert "<form" not in made[f"event {name}"]
    assert "09:00" in made["event over"]
    assert "CET" in made["event over"]


def test_an_order_can_be_paid_while_its_time_runs_and_says_how_it_stands() -> None:
    """A form only where another try is allowed; the bank's page is a link; what is over has no form to pay."""
    made = every_page(VISIT)

    payable = {phase for phase in PHASES if "/pay" in made[f"order {phase}"]}
    assert payable == {"to-pay", "declined", "action"}
    assert 'href="/bank"' in made["order action"]
    assert "You have been charged once" in made["order paid"]
    late = Pages().order(replace(VISIT, now_ms=PAPER["until_ms"]), EVENT, ORDER, [SEAT], WAYS, "key")  # type: ignore[arg-type]
    assert "/pay" not in late
    assert "This order has ended" in late


def test_a_shop_that_takes_no_money_says_so() -> None:
    """The reservation's page leads nowhere, and says that nobody will be charged."""
    page = Pages().reservation(VISIT, EVENT, RESERVATION, payable=False)

    assert "/order" not in page
    assert "takes no money" in page


def test_a_reservation_whose_time_is_over_does_not_say_that_it_holds() -> None:
    """Also before anybody has swept it."""
    page = Pages().reservation(replace(VISIT, now_ms=PAPER["until_ms"]), EVENT, RESERVATION)  # type: ignore[arg-type]

    assert "This reservation has ended" in page
    assert "data-until" not in page


def test_the_seat_page_gets_its_facts_and_its_modules() -> None:
    """As JSON that survives quoting; every module is named, so that none is found out late."""
    page = Pages().seats(VISIT, EVENT, "key")
    told = facts(languages()["en"], EVENT, NOW_MS)

    assert told["money"] == {"EUR": {"form": "{n}\xa0€", "digits": 2, "least": 2}}
    assert (told["decimals"]["JPY"], told["decimals"]["KWD"]) == (0, 3)
    assert told["tiers"][0] == {"tier": 0, "name": "A", "price": 4200}
    assert json.loads(json.dumps(told)) == told
    imported = {
        name
        for asset in (*(assets()[f"{module}.js"] for module in SEAT_MODULES), assets()["seats.js"])
        for name in re.findall(r'from "\./([a-z]+)\.js"', asset.body.decode())
    }
    assert imported == set(SEAT_MODULES)
    assert all(address(f"{module}.js") in page for module in SEAT_MODULES)


def test_assets_stand_under_one_version_and_carry_no_comments() -> None:
    """Modules name each other by file, so they must share their folder."""
    assert address("seats.js") == f"/static/{version()}/seats.js"
    assert not any(b"/**" in asset.body for name, asset in assets().items() if name.endswith(".js"))
    assert b"export default {" in assets()["words.de.js"].body


# ---------------------------------------------------------------------------------------------- words
def test_every_language_says_what_english_says() -> None:
    """Keys, parameters and plurals; adding a language is adding a file."""
    source = languages()[SOURCE].raw

    assert {"en", "de"} <= languages().keys()
    for tag, catalogue in languages().items():
        assert faults(tag, catalogue.raw, source) == []


def test_a_language_with_holes_is_told_all_of_them() -> None:
    """Mutant files: a missing key, an unknown one, a lost parameter, a lost plural, an empty text."""
    source = {"a": "x {n}", "b": {"one": "one", "other": "{n}"}, "c": "x", "d": "y"}
    found = faults("de", {"a": "x", "b": {"other": "{n}"}, "c": " ", "e": "z"}, source)

    assert [line.split(": ", 1)[1] for line in found] == [
        "d is missing",
        "a has the parameters none, not n",
        "b has the plurals other, not one, other",
        "c is empty",
        "e is unknown",
    ]


def test_money_and_moments_are_the_languages_and_the_venues() -> None:
    """Whole minor units; the clock on the hall's wall, with the name of its zone."""
    english, german = languages()["en"], languages()["de"]

    assert (english.money(4200, "EUR"), german.money(123456, "EUR")) == ("42.00\xa0€", "1.234,56\xa0€")
    assert english.money(4200, "JPY").endswith("JP¥")
    assert english.money_form("JPY") == {"form": "{n}\xa0JP¥", "digits": 0, "least": 0}
    assert english.money_form("HUF") == {"form": "{n}\xa0HUF", "digits": 2, "least": 0}
    assert [english.due(8400, code) for code in ("EUR", "JPY", "KWD")] == [
        "84.00\xa0€ (EUR)", "8,400\xa0JP¥ (JPY)", "8.400\xa0KWD",
    ]  # fmt: skip
    assert english.day(NOW_MS, "Europe/Berlin") == "Friday, 15 January, 09:00"
    assert german.day(NOW_MS, "America/New_York") == "Freitag, 15. Januar, 03:00"
    assert english.moment(NOW_MS, "Europe/Berlin") == "Fri, 15 Jan 2027, 09:00 CET"


@pytest.mark.parametrize(
    ("header", "wanted", "tag"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "", "de"),
        ("sv,de;q=0.5", "", "de"),
        ("sv", "", "en"),
        ("", "de", "de"),
        ("de", "en", "en"),
        ("de;q=0", "", "en"),
        (";;;,=", "xx", "en"),
        ("*", "", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_or_liked_best(header: str, wanted: str, tag: str) -> None:
    """By name, then by the browser's list, else English; nothing in a header is an error."""
    assert negotiate(header, wanted) == tag


# ------------------------------------------------------------------------------------- the page's rules
def test_the_seat_pages_rules_are_those_of_the_server() -> None:
    """`node --test` over the same vectors; playwright brings a node where the machine has none."""
    node = shutil.which("node") or str(compute_driver_executable()[0])
    files = sorted(str(file) for file in (Path(__file__).parent / "js").glob("*.test.mjs"))

    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
