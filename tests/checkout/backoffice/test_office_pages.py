"""The office's pages of selling: each figure is SQL's, and each page shows what belongs on it and to whom."""

from collections import Counter
from collections.abc import Mapping
from html import unescape
from pathlib import Path

import pytest
import sqlalchemy as sa

from checkout.backoffice import page as page_module
from checkout.backoffice.chart import bars, nice
from checkout.backoffice.page import Writing, texts
from checkout.money import Money, shown
from checkout.organiser.spans import Span
from checkout.people.staff import StaffRole
from checkout.tables import MONEY, ORDERS, SEATS
from tests.checkout.catalogues import NOW_MS
from tests.checkout.offices import AT, OpenOffice, figures, opened
from tests.checkout.sale_courses import MINUTE, Doubtful, counted, run

WIDE = {"from": "2027-01-14T00:00", "until": "2027-01-17T00:00", "step": "minute"}
"""All of the course, as clocks at the hall show it."""

PARTS = ("/sales", "/orders", "/support", "/waiting", "/money")


def eur(minor: int) -> str:
    """Write euros as the page does."""
    return shown(Money(minor, "EUR"), "en")


def in_sql(own: OpenOffice) -> tuple[Mapping[str, int], Mapping[str, int], int]:
    """Count what the tables say: orders by state, money by kind, seats that are sold."""
    with own.desk.shop.scene.database.reading() as connection:
        states = connection.execute(sa.select(ORDERS.c.state, sa.func.count()).group_by(ORDERS.c.state))
        kinds = sa.select(MONEY.c.kind, sa.func.sum(MONEY.c.amount_minor)).group_by(MONEY.c.kind)
        moved = {str(kind): int(minor) for kind, minor in connection.execute(kinds)}
        sold = connection.scalar(sa.select(sa.func.count()).where(SEATS.c.status == 3))
        return {str(state): count for state, count in states}, moved, sold or 0


async def test_the_figures_are_those_of_sql(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """Sold, paid, abandoned, taken: the tables counted another way, and the log step by step."""
    async with opened(shop_url, store_url, tmp_path, judge=Doubtful()) as own:
        await run(own.desk)
        ida = await own.enter()
        page = figures((await ida.look("/sales", **WIDE)).text)
        money = figures((await ida.look("/money")).text)
        orders, moved, sold = in_sql(own)
        steps = counted(own.desk.shop.scene, Span(NOW_MS - MINUTE, NOW_MS + 180 * MINUTE))
        told: Counter[str] = sum(steps.values(), Counter())

    assert page["seats-sold"] == str(sold)
    assert page["paid"] == str(orders["paid"] + orders["refunded"])
    assert page["EUR-captured"] == money["EUR-captured"] == eur(moved["captured"])
    assert money["EUR-refunded"] == eur(-moved["refunded"])
    assert money["EUR-net"] == eur(sum(moved.values()))
    assert page["seats_sold"] == str(told["seats_sold"])
    assert page["orders-declined"] == str(told["orders declined"])
    assert page["orders-refused"] == str(orders["refused"])
    assert page["holds-time_over"] == str(told["holds time_over"])
    assert page["opened_of_holds"].startswith(f"{100 * told['holds_opened'] / told['holds']:.4g}"[:4])


async def test_figures_that_are_off_by_one_would_be_found(
    quick_url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: an amount is written with one cent too much."""
    right = Writing.money
    monkeypatch.setattr(Writing, "money", lambda own, minor, of: right(own, (minor or 0) + 1, of))

    with pytest.raises(AssertionError):
        await test_the_figures_are_those_of_sql(quick_url, store_url, tmp_path)


async def test_a_span_that_cannot_be_is_told_on_the_page(
    quick_url: str, store_url: str, tmp_path: Path
) -> None:
    """Whatever is in the address, the page stays, says what is wrong, and shows the hall."""
    asked: list[tuple[dict[str, str], int]] = [
        ({}, 200),
        ({"span": "all"}, 200),
        ({"span": "week"}, 200),
        ({"span": "x"}, 200),
        (WIDE, 200),
        ({**WIDE, "step": "x"}, 422),
        ({"from": "x", "until": "2027-01-17T00:00"}, 422),
        ({"from": "2027-01-17T00:00", "until": "2027-01-15T00:00"}, 422),
        ({"from": "", "until": "9" * 400}, 422),
        ({"from": "0001-01-01T00:00", "until": "9999-12-31T23:59"}, 422),
        ({"from": "2027-01-01T00:00", "until": "2027-12-01T00:00", "step": "minute"}, 422),
    ]
    async with opened(quick_url, store_url, tmp_path) as own:
        ida = await own.enter()
        found = [await ida.look("/sales", **query) for query, _ in asked]

    assert [answer.status_code for answer in found] == [status for _, status in asked]
    assert all('data-figure="capacity">45' in answer.text for answer in found)
    assert all(('id="steps"' in one.text) is (one.status_code == 200) for one in found)


async def test_each_role_sees_its_part(quick_url: str, store_url: str, tmp_path: Path) -> None:
    """A viewer the hall and no course, support no money; what nobody may see has no line in the navigation."""
    async with opened(quick_url, store_url, tmp_path) as own:
        await own.desk.shop.paid()
        seen = {}
        for role in StaffRole:
            somebody = await own.enter(role)
            answers = {part: await somebody.look(part) for part in PARTS}
            home = (await somebody.client.get("/staff/office")).text
            seen[role.value] = "".join(part[1] for part in PARTS if answers[part].status_code == 200)
            for part in PARTS:
                assert (
                    all(
                        (f'href="{AT}{other}"' in answers[part].text) is (answers[other].status_code == 200)
                        for other in PARTS
                    )
                    or answers[part].status_code == 403
                )
            assert ('href="/staff/office/money"' in home) is (role.value in {"organiser", "owner"})
            if role is StaffRole.VIEWER:
                assert 'id="steps"' not in answers["/sales"].text

    assert seen == {"viewer": "s", "support": "sosw", "scanner": "", "organiser": "soswm", "owner": "soswm"}


async def test_one_order_has_all_that_belongs_to_it(quick_url: str, store_url: str, tmp_path: Path) -> None:
    """Seats, tries, refunds, disputes, tickets, the story; what somebody has to look at is on its own page."""
    async with opened(quick_url, store_url, tmp_path, judge=Doubtful()) as own:
        kim = await own.desk.shop.order("kim", 30)
        await own.desk.shop.pay(kim, buyer="kim")
        waits = await (await own.enter(StaffRole.SUPPORT)).look("/waiting")
        order = (await own.desk.shop.paid("ann", 0, 1))["order"]
        await own.desk.refund(order, "r1", amount_minor=1000)
        ida = await own.enter()
        page = unescape((await ida.look(f"/orders/{order}")).text)
        listed = await ida.look("/orders", state="paid", card="4242")
        none = await ida.look("/orders", state="lapsed")

    assert kim["order"] in waits.text
    for text in (
        "Stalls · A · 1",
        "visa 4242",
        "€84.00",
        "€10.00",
        "asked for",
        "2 tickets were made.",
        "valid",
    ):
        assert text in page, text
    assert order in listed.text
    assert "Nothing was found." in none.text


async def test_an_order_is_found_and_a_mail_address_stands_in_no_address(
    quick_url: str, store_url: str, tmp_path: Path
) -> None:
    """What may stand in an address becomes one; a mail address is answered where it was sent to."""

    class Known:
        """Knows one address."""

        async def find_by_mail(self, event: str, address: str) -> list[str]:
            del event
            return [order] if address == "ann@example.org" else []

    order = ""
    async with opened(quick_url, store_url, tmp_path, mails=Known()) as own:
        order = (await own.desk.shop.paid("ann", 0))["order"]
        ida = await own.enter(StaffRole.SUPPORT)
        sent = await ida.send("/support", find="Stalls, row A, 1")
        seat = await ida.client.get(sent.headers["location"])
        mail = await ida.send("/support", find="ann@example.org")
        nobody = await ida.send("/support", find="eve@example.org")
        ways = [await ida.look("/support", find=text) for text in (order, "4242", "visa 4242", "pay-1")]
        wrong = await ida.look("/support", find="x" * 101)

    assert (sent.status_code, mail.status_code, nobody.status_code) == (303, 200, 200)
    assert all(order in one.text for one in (seat, mail, *ways))
    assert order not in nobody.text
    assert (wrong.status_code, "find: it must be" in wrong.text) == (422, True)


async def test_the_end_of_a_cancelled_event_is_told(quick_url: str, store_url: str, tmp_path: Path) -> None:
    """How far it is, until everything that was paid is back."""
    async with opened(quick_url, store_url, tmp_path) as own:
        await own.desk.shop.paid()
        ida = await own.enter()
        before = await ida.look("/money")
        await own.desk.ask("POST", "/cancel", {"confirm": "summer"})
        begun = await ida.look("/money")
        for _ in range(2):
            await own.desk.shop.worker.recovering.end_cancelled()
        done = await ida.look("/money")

    assert 'id="progress"' not in before.text
    assert 'id="progress"' in begun.text
    assert "Everything that was paid went back." in done.text


# ------------------------------------------------------------------------------------------- pure parts


def test_a_picture_says_its_numbers() -> None:
    """A bar for each step in which something is; the scale is whole; what is in a name is text."""
    drawn = str(bars([0, 3, 1], ["a", "<b>", "c"], ["09:00", "09:01", "09:02"], 'x"y'))

    assert drawn.count("<rect") == 2
    assert "&lt;b&gt;" in drawn
    assert 'aria-label="x&#34;y"' in drawn
    assert [nice(most) for most in (0, 1, 2, 3, 5, 11, 41, 400, 401)] == [1, 1, 2, 4, 10, 20, 100, 400, 1000]
    assert "<rect" not in bars([], [], [], "")


def test_both_languages_say_everything() -> None:
    """English and German, in each half; a key in two halves is refused."""
    assert set(texts()) == {"en", "de"}
    assert texts()["en"].raw.keys() == texts()["de"].raw.keys()


def test_times_are_those_at_the_hall() -> None:
    """Read as they are written, in the hall's zone; a zone that nobody knows is UTC."""
    berlin, nowhere = Writing("de", "Europe/Berlin"), Writing("en", "Mars/Olympus")

    assert berlin.read_field(berlin.field(NOW_MS)) == NOW_MS
    assert berlin.field(NOW_MS) == "2027-01-15T09:00"
    assert nowhere.field(NOW_MS) == "2027-01-15T08:00"
    assert nowhere.field("x") == "x"
    assert nowhere.field(str(3 * 10**14)) == nowhere.field(10**15) == ""
    assert [berlin.read_field(text) for text in ("", "x", "9" * 99)] == [None] * 3
    assert (berlin.moment(0), berlin.money(5, "XXQ")) == ("", "5 XXQ")


def test_every_file_of_a_page_has_its_address() -> None:
    """Those of the staff room among them; what is none has none."""
    assert {"keys.js", "office.css", "office.js", "staff.css"} <= set(page_module.assets())
    with pytest.raises(KeyError):
        page_module.address("x.js")
