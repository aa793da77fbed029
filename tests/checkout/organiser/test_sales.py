"""Sales step by step: each number is what the log of sales comes to, counted another way, and what SQL's tables say."""

import csv
import io
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.holds.places import OnePlace
from checkout.money import Money
from checkout.organiser import funnel
from checkout.organiser.funnel import COUNTS, Funnel, Series
from checkout.organiser.sales_web import series_paper, series_sheet
from checkout.organiser.spans import STEPS, Span
from checkout.payments.port import Payment, PaymentState
from checkout.tables import MONEY, ORDERS, RESERVATION_SEATS, SEATS
from tests.checkout.catalogues import NOW_MS
from tests.checkout.order_desks import OrderDesk, order_desk
from tests.checkout.reservations import EVENT
from tests.checkout.sale_courses import MINUTE, Doubtful, counted, run

DAY = 86_400_000
WHOLE = Span(NOW_MS - 5 * MINUTE, NOW_MS + 3 * 60 * MINUTE)


async def asked(desk: OrderDesk, span: Span = WHOLE, kind: str = "sales") -> Any:
    """Ask for a sale's course."""
    return await desk.ask("GET", f"/{kind}?from_ms={span.from_ms}&until_ms={span.until_ms}&step={span.step}")


def flat(step: Any) -> Counter[str]:
    """Write a told step as the other count has it."""
    made = Counter({name: step[name] for name in COUNTS[:-2]}) + Counter(step["came_of"])
    for what in ("holds", "orders"):
        made += Counter({f"{what} {why}": count for why, count in step["abandoned"][what].items()})
    for currency, moves in step["money"].items():
        for name, minor in moves.items():
            made[f"{currency} {name}"] += minor
    return Counter({name: count for name, count in made.items() if count})


async def test_each_step_is_what_the_log_comes_to(shop_url: str, store_url: str) -> None:
    """Seed rows 34 and 99: every number of every minute, hour and day; nothing is left out, nothing is told twice."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        await run(desk)
        for step in STEPS:
            span = Span(WHOLE.from_ms, WHOLE.until_ms, step)
            told = (await asked(desk, span)).json()
            wanted = counted(desk.shop.scene, span)
            assert [one["from_ms"] for one in told["steps"]] == list(span.begins())
            found = {at: made for at, one in enumerate(told["steps"]) if (made := flat(one))}
            assert found == wanted, step
            assert flat(told["total"]) == _sum(wanted), step


def _sum(steps: dict[int, Counter[str]]) -> Counter[str]:
    made: Counter[str] = Counter()
    for one in steps.values():
        made.update(one)
    return Counter({name: count for name, count in made.items() if count})


async def test_the_course_is_known(shop_url: str, store_url: str) -> None:
    """The totals by hand, so that two counts which are wrong alike would show."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        await run(desk)
        total = (await asked(desk)).json()["total"]

    assert {name: total[name] for name in ("holds", "reserved", "opened", "paid")} == {
        "holds": 10, "reserved": 8, "opened": 7, "paid": 3,
    }  # fmt: skip
    assert (total["seats_sold"], total["seats_returned"], total["refunds"]) == (7, 4, 3)
    assert total["money"] == {"EUR": {"captured_minor": 18_400, "refunded_minor": 9000, "disputed_minor": 0}}
    assert total["abandoned"] == {
        "holds": {"given_up": 2, "time_over": 1},
        "orders": {"given_up": 1, "time_over": 1, "declined": 1, "refused": 1, "failed": 0},
    }
    assert total["conversion"] == {"opened_of_holds": 0.7, "paid_of_opened": round(3 / 7, 4)}


async def test_the_totals_are_what_the_tables_say(shop_url: str, store_url: str) -> None:
    """Orders by state, movements of money, seats that are sold now: plain statements, no log."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        await run(desk)
        total = (await asked(desk)).json()["total"]
        with desk.shop.scene.database.reading() as connection:
            states = dict(
                connection.execute(sa.select(ORDERS.c.state, sa.func.count()).group_by(ORDERS.c.state)).all()
            )
            money = {
                kind: int(minor)
                for kind, minor in connection.execute(
                    sa.select(MONEY.c.kind, sa.func.sum(MONEY.c.amount_minor)).group_by(MONEY.c.kind)
                )
            }
            sold = connection.scalar(sa.select(sa.func.count()).where(SEATS.c.status == 3))

    assert total["opened"] == sum(states.values())
    assert total["paid"] == states["paid"] + states["refunded"]
    lost = total["abandoned"]["orders"]
    assert lost["declined"] + lost["time_over"] == states["lapsed"]
    assert (lost["given_up"], lost["refused"]) == (states["cancelled"], states["refused"])
    moves = total["money"]["EUR"]
    assert [moves["captured_minor"], -moves["refunded_minor"], -moves["disputed_minor"]] == [
        money["captured"], money["refunded"], money.get("disputed", 0),
    ]  # fmt: skip
    assert total["seats_sold"] - total["seats_returned"] == sold


async def test_a_step_has_its_beginning_and_not_its_end(shop_url: str, store_url: str) -> None:
    """Half-open to the millisecond, for the whole and for each step; a part of a span is that part of the whole."""
    async with order_desk(shop_url, store_url) as desk:
        desk.shop.scene.clock.advance(MINUTE)
        await desk.shop.paid()
        at_ms = desk.shop.scene.clock.now_ms()

        async def paid(from_ms: int, until_ms: int) -> list[int]:
            told = (await asked(desk, Span(from_ms, until_ms))).json()
            assert told["total"]["paid"] == sum(one["paid"] for one in told["steps"])
            assert (
                told["total"]["money"].get("EUR", {}).get("captured_minor", 0) == 8400 * told["total"]["paid"]
            )
            return [one["paid"] for one in told["steps"]]

        found = [
            await paid(*span)
            for span in (
                (at_ms, at_ms + 1), (at_ms - 1, at_ms), (at_ms + 1, at_ms + 2),
                (at_ms - MINUTE, at_ms + 1), (at_ms - MINUTE + 1, at_ms + MINUTE),
            )
        ]  # fmt: skip

    assert found == [[1], [0], [0], [0, 1], [1, 0]]


async def test_money_before_the_span_is_not_counted_in_it(shop_url: str, store_url: str) -> None:
    """What was taken yesterday is known when today's refund is told, and is yesterday's."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        await desk.refund(order, "r1", amount_minor=1000)
        desk.shop.scene.clock.advance(DAY)
        now_ms = desk.shop.scene.clock.now_ms()
        await desk.refund(order, "r2", amount_minor=500)
        today = (await asked(desk, Span(now_ms, now_ms + DAY, "day"))).json()["total"]

    assert (today["opened"], today["paid"], today["refunds"]) == (0, 0, 1)
    assert today["money"] == {"EUR": {"captured_minor": 0, "refunded_minor": 500, "disputed_minor": 0}}


async def test_a_payment_that_nobody_asked_for_is_told_in_its_own_currency(
    shop_url: str, store_url: str
) -> None:
    """A stray one, in yen: it is not added to the euros, and an order's line does not have it."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        now_ms = desk.shop.scene.clock.now_ms()
        desk.shop.bank.payments["pay-9"] = Payment(
            "pay-9",
            PaymentState.CAPTURED,
            Money(500, "JPY"),
            now_ms,
            500,
            event=EVENT,
            order=order,
            attempt=7,
        )
        desk.shop.scene.clock.advance(2 * MINUTE)
        await desk.shop.worker.recovering.look_for_strays()
        total = (await asked(desk)).json()["total"]
        wanted = _sum(counted(desk.shop.scene, WHOLE))
        line = next(csv.DictReader(io.StringIO((await desk.ask("GET", "/orders.csv")).text)))
        await desk.shop.settle(3)
        story = (await desk.ask("GET", f"/orders/{order}/timeline")).json()
        back = (await asked(desk)).json()["total"]["money"]["JPY"]

    said = " ".join(one["words"] for one in story["timeline"])
    assert (said.count("¥500 was taken."), said.count("¥500 went back to the buyer.")) == (1, 1)
    assert (back["captured_minor"], back["refunded_minor"], story["is_right"]) == (500, 500, True)
    assert total["money"]["EUR"]["captured_minor"] == 8400
    assert total["money"]["JPY"]["captured_minor"] == 500
    assert flat(total) == wanted
    assert (line["captured_minor"], line["captured"]) == ("8400", "84.00")


async def test_an_event_without_a_sale_is_all_noughts(shop_url: str, store_url: str) -> None:
    """Also of a time in which nothing can have happened; there is nothing to divide by."""
    async with order_desk(shop_url, store_url) as desk:
        told = (await asked(desk)).json()
        early = (await asked(desk, Span(0, 86_400_000, "hour"), "sales.csv")).text

    assert len(told["steps"]) == 185
    assert all(not flat(one) for one in told["steps"])
    assert told["total"]["conversion"] == {"opened_of_holds": None, "paid_of_opened": None}
    assert early.count("\r\n") == 25


async def test_the_table_says_the_same(shop_url: str, store_url: str) -> None:
    """Line by line; amounts as minor units, and in the currency's own unit."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        await run(desk)
        told = (await asked(desk)).json()
        answer = await asked(desk, kind="sales.csv")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-disposition"] == f'attachment; filename="{EVENT}-sales.csv"'
    assert len(rows) == len(told["steps"])
    for row, step in zip(rows, told["steps"], strict=True):
        assert int(row["from_ms"]) == step["from_ms"]
        assert [int(row[name]) for name in COUNTS[:-2]] == [step[name] for name in COUNTS[:-2]]
        assert int(row["EUR_captured_minor"]) == step["money"]["EUR"]["captured_minor"]
        assert row["EUR_captured"] == f"{step['money']['EUR']['captured_minor'] / 100:.2f}"
        for what in ("holds", "orders"):
            for why, count in step["abandoned"][what].items():
                assert int(row[f"abandoned_{what}_{why}"]) == count
    assert rows[0]["from"] == "2027-01-15T07:55:00.000Z"


# ------------------------------------------------------------------------------------- mutants


async def _differs(desk: OrderDesk) -> bool:
    told = (await asked(desk)).json()
    found = {at: made for at, one in enumerate(told["steps"]) if (made := flat(one))}
    return found != counted(desk.shop.scene, WHOLE)


async def test_a_count_of_what_is_told_twice_would_be_found(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: each entry's sum is taken for what moved, so a second refund brings the first along."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        await run(desk)
        right = await _differs(desk)
        monkeypatch.setattr(funnel, "difference", lambda _sums, _key, now: now)
        wrong = await _differs(desk)
        total = (await asked(desk)).json()["total"]

    assert (right, wrong) == (False, True)
    assert total["money"]["EUR"]["refunded_minor"] == 9000 + 1000


async def test_a_count_of_seats_that_are_still_sold_would_be_found(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: only active seats are counted, and what went back was never sold."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        await run(desk)
        active = sa.select(RESERVATION_SEATS).where(RESERVATION_SEATS.c.active).subquery("active")
        monkeypatch.setattr(funnel, "RESERVATION_SEATS", active)
        wrong = await _differs(desk)

    assert wrong


async def test_a_count_with_closed_ends_would_be_found(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: until_ms is in the span, so who asks for one hour after the other counts some twice."""
    async with order_desk(shop_url, store_url) as desk:
        await desk.shop.paid()
        at_ms = desk.shop.scene.clock.now_ms()
        before = Span(at_ms - MINUTE, at_ms)
        right = (await asked(desk, before)).json()["total"]["paid"]
        monkeypatch.setattr(
            funnel, "_within", lambda column, span: (column >= span.from_ms) & (column <= span.until_ms)
        )
        series = await Funnel(OnePlace(desk.shop.scene.place)).series(EVENT, before, at_ms)

    assert right == 0
    assert series.total().counts["paid"] == 1


def _places(desk: OrderDesk) -> Any:
    from checkout.holds.places import OnePlace

    return OnePlace(desk.shop.scene.place)


# -------------------------------------------------------------------------------------- inputs

FROM = "from_ms: it must be milliseconds since 1970, before the year 10,000"
STEP = "step: it must be one of minute, hour, day"
WEEK = 10_080 * MINUTE
PARAMETERS: list[tuple[str, list[str]]] = [
    ("", ["from_ms: it is missing", "until_ms: it is missing"]),
    ("from_ms=0", ["until_ms: it is missing"]),
    ("until_ms=5", ["from_ms: it is missing"]),
    *((f"from_ms={at}&until_ms=5", [FROM]) for at in ("", "-1", "1e3", "1.5", "%C2%B2", "now", "9" * 15, "9" * 16)),
    ("from_ms=0&until_ms=253402300800001&step=day", [FROM.replace("from", "until")]),
    ("from_ms=5&until_ms=5", ["until_ms: it must be after from_ms"]),
    ("from_ms=6&until_ms=5", ["until_ms: it must be after from_ms"]),
    *((f"from_ms=0&until_ms=5&step={step}", [STEP]) for step in ("", "week", "MINUTE", "60000", "minute%00")),
    ("from_ms=0&until_ms=5&from_ms=0", ["from_ms: it is there twice"]),
    ("from_ms=0&until_ms=5&limit=5", ["limit: it is unknown"]),
    ("from_ms=x&step=y&colour=red", ["colour: it is unknown", STEP, FROM, "until_ms: it is missing"]),
    (f"from_ms=0&until_ms={WEEK + 1}", [
        "step: that would be 10,081 steps, and 10,080 are told at most; take longer ones",
    ]),
]  # fmt: skip


async def test_parameters_that_cannot_be_are_told(shop_url: str, store_url: str) -> None:
    """Every fault at once; a week of minutes is the most that is told at once."""
    async with order_desk(shop_url, store_url) as desk:
        for kind in ("sales", "sales.csv"):
            for query, faults in PARAMETERS:
                answer = await desk.ask("GET", f"/{kind}?{query}")
                plain = answer.json()
                assert (answer.status_code, plain["code"], plain["faults"]) == (
                    422,
                    "query-invalid",
                    faults,
                ), query
            longest = await desk.ask("GET", f"/{kind}?from_ms=0&until_ms={WEEK}")
            assert longest.status_code == 200
            for event in ("none", "%00", "x" * 300):
                nobody = await desk.everywhere("GET", f"/events/{event}/{kind}?from_ms=0&until_ms=5")
                assert (nobody.status_code, nobody.json()["code"]) == (404, "event-unknown")
            async with desk.stranger() as stranger:
                answer = await stranger.get(f"/organiser/api/events/{EVENT}/{kind}?from_ms=0&until_ms=5")
                assert answer.status_code == 401
            assert (await desk.ask("POST", f"/{kind}", {})).status_code == 405


def test_amounts_are_exact_in_every_currency() -> None:
    """JPY has no decimals, EUR two, KWD three; each has its own columns, in the order of the codes."""
    series = Series(Span(0, MINUTE))
    for currency, minor in (("JPY", 4200), ("EUR", 4205), ("KWD", 10**15 + 1)):
        series.at(0).move(currency, "captured_minor", minor)

    row = next(csv.DictReader(io.StringIO(series_sheet(series).decode())))
    paper = series_paper(EVENT, series)

    assert (row["JPY_captured"], row["EUR_captured"], row["KWD_captured"]) == (
        "4200",
        "42.05",
        "1000000000000.001",
    )
    assert list(paper["total"]["money"]) == ["EUR", "JPY", "KWD"]  # type: ignore[index,call-overload]
    assert row["from"] == "1970-01-01T00:00:00.000Z"
