"""Tables to save: each row once and as it is, in pieces, whole or seen not to be; what is asked for wrongly."""

import csv
import io
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.halls.houses import arena_60000
from checkout.halls.seat_rows import SeatRows
from checkout.holds.places import OnePlace
from checkout.organiser import exporting, sheets
from checkout.organiser.exporting import ORDER_COLUMNS, REFUND_COLUMNS, SEAT_COLUMNS, Exporting
from checkout.organiser.pages import Wish
from checkout.organiser.talking import long_table
from checkout.tables import ORDERS, RESERVATIONS
from kernel.errors import Unavailable
from tests.checkout.catalogues import NOW_MS, ORGANISER, VENUE, event_fields
from tests.checkout.order_desks import OrderDesk, order_desk
from tests.checkout.organiser.test_orders_desk_inputs import problem
from tests.checkout.reservations import EVENT
from tests.checkout.sale_courses import Doubtful, run
from tests.checkout.tills import tickets_of
from tests.house.tree import ROOT


async def rows_of(desk: OrderDesk, path: str) -> list[dict[str, str]]:
    """Read a table."""
    answer = await desk.ask("GET", path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))


async def test_seats_are_told_with_whose_they_are(shop_url: str, store_url: str) -> None:
    """In the hall's own names: free, blocked, reserved, sold with price and ticket; a disputed one is blocked."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid("ann", 0, 1))["order"]
        waits = await desk.shop.order("bob", 25)
        SeatRows(desk.shop.scene.database).block(EVENT, [24], "fans")
        rows = await rows_of(desk, "/seats.csv")
        tickets = {one.seat: one for one in tickets_of(desk.shop.scene).tickets}
        desk.shop.bank.set("pay-1", disputed_minor=8400)
        await desk.shop.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
        disputed = await rows_of(desk, "/seats.csv")

    assert tuple(rows[0]) == SEAT_COLUMNS
    assert len(rows) == 45
    assert [row["seat"] for row in rows] == [str(seat) for seat in range(45)]
    sold, blocked, reserved, free = rows[0], rows[24], rows[25], rows[2]
    assert [sold[name] for name in ("section", "row", "number", "tier", "tier_name", "status")] == [
        "Stalls", "A", "1", "0", "Front", "sold",
    ]  # fmt: skip
    assert [sold[name] for name in ("order", "order_state", "currency", "price_minor", "price", "ticket_state")] == [
        order, "paid", "EUR", "4200", "42.00", "valid",
    ]  # fmt: skip
    assert sold["ticket"] == tickets[0].id
    assert [one["ticket_state"] for one in disputed[:3]] == ["blocked", "blocked", ""]
    assert (blocked["status"], blocked["allocation"], blocked["order"]) == ("blocked", "fans", "")
    assert (reserved["row"], reserved["number"], reserved["status"], reserved["order"], reserved["ticket"]) == (
        "", "", "reserved", waits["order"], "",
    )  # fmt: skip
    assert set(free.values()) == {"2", "Stalls", "A", "3", "0", "Front", "free", ""}


async def test_orders_are_told_with_all_their_money(shop_url: str, store_url: str) -> None:
    """The oldest first; what the list says of each, and the sums of all tries; the same wishes as the list has."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        made = await run(desk)
        rows = await rows_of(desk, "/orders.csv")
        listed = {one["order"]: one for one in (await desk.ask("GET", "/orders?limit=200")).json()["orders"]}
        paid = await rows_of(desk, "/orders.csv?state=paid")
        card = await rows_of(desk, "/orders.csv?card=4242&buyer=hal")
        none = await rows_of(desk, "/orders.csv?until_ms=5")

    assert tuple(rows[0]) == ORDER_COLUMNS
    assert {row["order"] for row in rows} == set(made.values()) == set(listed)
    assert [(int(row["created_ms"]), row["order"]) for row in rows] == sorted(
        (one["created_ms"], order) for order, one in listed.items()
    )
    for row in rows:
        one = listed[row["order"]]
        for name in ("total_minor", "captured_minor", "refunded_minor", "disputed_minor"):
            assert int(row[name]) == one[name]
            assert row[name.removesuffix("_minor")] == f"{one[name] / 100:.2f}"
        assert (row["state"], row["buyer"], row["card"]) == (one["state"], one["buyer"], one["card"] or "")
    by = {row["order"]: row for row in rows}
    assert by[made["ann"]]["seats"] == "2"
    assert by[made["ann"]]["created"] == "2027-01-15T08:00:00.000Z"
    assert by[made["ann"]]["provider"] == "bank"
    assert [row["order"] for row in paid] == [made["ann"], made["ian"]]
    assert [row["order"] for row in card] == [made["hal"]]
    assert none == []


async def test_refunds_are_told_and_what_people_write_is_no_formula(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reason that a spreadsheet would run; the mutant writes it as it is."""
    evil = '=HYPERLINK("http://evil.example","x")'
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        await desk.refund(order, "r1", amount_minor=1001, reason=evil)
        await desk.refund(order, "r2", amount_minor=5)
        rows = await rows_of(desk, "/refunds.csv")
        done = await rows_of(desk, "/refunds.csv?state=done")
        failed = await rows_of(desk, "/refunds.csv?state=failed")
        monkeypatch.setattr(sheets, "guarded", lambda text: text)
        mutant = await rows_of(desk, "/refunds.csv")

    assert tuple(rows[0]) == REFUND_COLUMNS
    by = {row["refund"]: row for row in rows}
    assert [by["r1"][name] for name in ("order", "state", "currency", "amount_minor", "amount", "by", "provider")] == [
        order, "done", "EUR", "1001", "10.01", "ida", "bank",
    ]  # fmt: skip
    assert by["r1"]["reason"] == f"'{evil}"
    assert {row["refund"]: row["reason"] for row in mutant}["r1"] == evil
    assert (len(done), failed) == (2, [])


async def test_a_table_of_many_pieces_has_each_row_once(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the pieces are cut, also where rows are of the same moment."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        await run(desk)
        whole = {
            path: (await desk.ask("GET", path)).text for path in ("/seats.csv", "/orders.csv", "/refunds.csv")
        }
        for at_once in (1, 2, 3, 45):
            monkeypatch.setattr(exporting, "AT_ONCE", at_once)
            for path, text in whole.items():
                assert (await desk.ask("GET", path)).text == text, (path, at_once)


async def test_a_table_that_cannot_be_read_on_is_seen_not_to_be_whole(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away: before the first piece it is a problem, later the answer is cut off."""
    real = exporting._piece
    done: list[int] = []

    def going_away(*arguments: Any) -> Any:
        if len(done) == most:
            raise Unavailable("shop-away", "The shop cannot reach its database.")
        done.append(1)
        return real(*arguments)

    monkeypatch.setattr(exporting, "AT_ONCE", 5)
    monkeypatch.setattr(exporting, "_piece", going_away)
    async with order_desk(shop_url, store_url) as desk:
        most = 0
        answer = await desk.ask("GET", "/seats.csv")
        most = 3
        with pytest.raises(Unavailable):
            await desk.ask("GET", "/seats.csv")

    assert problem(answer) == (503, "shop-away", [])
    assert len(done) == 3


def test_the_columns_are_those_that_are_promised() -> None:
    """docs/organiser.md names them, in their order."""
    text = (ROOT / "docs" / "organiser.md").read_text(encoding="utf-8")

    for name, columns in (("seats", SEAT_COLUMNS), ("orders", ORDER_COLUMNS), ("refunds", REFUND_COLUMNS)):
        assert f"| `{name}.csv` | `{' '.join(columns)}` |" in text


# -------------------------------------------------------------------------------- sixty thousand


async def test_sixty_thousand_seats_are_told_piece_by_piece(shop_url: str, store_url: str) -> None:
    """Each piece is read and written when the one before was taken, and has 2,000 rows; so do orders."""
    async with order_desk(shop_url, store_url) as desk:
        scene = desk.shop.scene
        plan = arena_60000()
        layout = await scene.catalogue.add_layout(VENUE.id, plan.layout)
        tiers = [
            {"tier": tier, "name": name, "prices": {"EUR": 1}} for tier, name in enumerate(plan.tier_names)
        ]
        fields = event_fields(
            layout, id="arena", organiser_id=ORGANISER.id, tiers=tiers, section_tiers={}, allocations=[]
        )
        await scene.catalogue.create_event(fields, plan.tiers)
        _many_orders(desk, 10_000)
        known = await scene.catalogue.known("arena")
        export = Exporting(OnePlace(scene.place))
        tables = (
            (export.seats(known, await scene.catalogue.layout(layout)), 60_000),
            (export.orders("arena", Wish({})), 10_000),
        )
        for pieces, wanted in tables:
            lines = [piece.count(b"\r\n") async for piece in pieces]
            # The header, and a last piece without a row: nobody knows before that there is none.
            assert lines == [2001, *[2000] * (wanted // 2000 - 1), 0]


def _many_orders(desk: OrderDesk, count: int) -> None:
    """Write orders as a long sale leaves them; a thousand of each moment."""
    reservations = [
        {
            "id": f"R{number:011}", "event_id": "arena", "buyer": f"b{number}", "hold_id": f"h{number}",
            "state": "sold", "epoch": 1, "fence": number, "price_version": 1, "currency": "EUR",
            "total_minor": 4200, "created_ms": NOW_MS, "until_ms": NOW_MS, "version": 2,
        }
        for number in range(count)
    ]  # fmt: skip
    orders = [
        {
            "id": f"O{number:011}", "event_id": "arena", "buyer": f"b{number}", "reservation_id": f"R{number:011}",
            "state": "paid", "currency": "EUR", "amount_minor": 4200, "created_ms": NOW_MS + number // 1000,
            "until_ms": NOW_MS, "attempt": 0, "paid_by": 0, "disputed": False, "version": 1,
        }
        for number in range(count)
    ]  # fmt: skip
    with desk.shop.scene.database.writing() as connection:
        connection.execute(sa.insert(RESERVATIONS), reservations)
        connection.execute(sa.insert(ORDERS), orders)


# -------------------------------------------------------------------------------------- inputs

INPUTS: list[tuple[str, list[str]]] = [
    ("/seats.csv?x=1", []),
    ("/seats.csv?limit=5", []),
    *(
        (f"/{name}.csv?{query}", [])
        for name in ("orders", "refunds")
        for query in ("limit=5", "after=x", "limit=")
    ),
    ("/orders.csv?state=odd&colour=red", ["state: it cannot be this", "colour: it is unknown"]),
    ("/orders.csv?card=42", ["card: it cannot be this"]),
    ("/orders.csv?buyer=%00", ["buyer: it cannot be this"]),
    ("/orders.csv?buyer=a&buyer=b", ["buyer: it is there twice"]),
    ("/orders.csv?from_ms=-1&until_ms=x", ["from_ms: it cannot be this", "until_ms: it cannot be this"]),
    ("/refunds.csv?state=paid", ["state: it cannot be this"]),
    ("/refunds.csv?buyer=ann", ["buyer: it is unknown"]),
]


async def test_what_is_asked_for_wrongly_is_told(shop_url: str, store_url: str) -> None:
    """Parameters, events that are not there, methods, and who has no token."""
    async with order_desk(shop_url, store_url) as desk, desk.stranger() as stranger:
        for path, faults in INPUTS:
            assert problem(await desk.ask("GET", path)) == (422, "query-invalid", faults), path
        for name in ("seats", "orders", "refunds"):
            for event in ("none", "%00", "x" * 300):
                answer = await desk.everywhere("GET", f"/events/{event}/{name}.csv")
                assert problem(answer) == (404, "event-unknown", [])
            assert problem(await desk.ask("POST", f"/{name}.csv", {})) == (405, "method-not-allowed", [])
            answer = await stranger.get(f"/organiser/api/events/{EVENT}/{name}.csv")
            assert problem(answer)[:2] == (401, "token-missing")


async def test_a_table_without_a_piece_is_an_empty_file() -> None:
    """Nobody writes one, and nothing breaks."""

    async def nothing() -> Any:
        return
        yield b""

    answer = await long_table(nothing(), "x.csv")

    assert answer.headers["content-disposition"] == 'attachment; filename="x.csv"'
