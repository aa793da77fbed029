"""The records of a crowd in a shop: what the shop's own checker reads, and what the report shows."""

import json
from dataclasses import replace
from pathlib import Path

from checkout.audit.checking import judged
from checkout.audit.invariants import Books, Seat
from checkout.audit.records import Act, Answer, Delta, Loss, Operation, Snapshot, read
from gateway.crowd.plan import Errand
from gateway.crowd.report import as_dict, table
from gateway.crowd.report_page import page
from gateway.crowd.seats.figures import seat_figures
from gateway.crowd.seats.retold import operations, write_records
from tests.gateway.crowd.naive_hall import EVENT
from tests.gateway.crowd.naive_shop import NaiveShop
from tests.gateway.crowd.test_report import Reader
from tests.gateway.crowd.test_seat_checks import crowd_before
from tests.gateway.crowd.test_seat_stories import PLAN, only


def test_the_records_are_those_that_the_shops_checker_reads(tmp_path: Path) -> None:
    """Written as lines, read back the same, and judged: every invariant holds; one of them is spoilt and found."""
    result = crowd_before(NaiveShop, replace(PLAN, fans=80, duration_s=20.0))
    [path] = write_records(result.observed, tmp_path / "sale.jsonl")
    lines = path.read_bytes().splitlines()
    found = list(read(lines))
    seats = result.observed.shop.halls[EVENT].seats
    books = Books(6, tuple(Seat(seat, 0, None) for seat in range(seats)), ())

    assert path == tmp_path / "sale.jsonl"
    assert {type(record) for record in found} == {Operation, Snapshot, Delta}
    verdict = judged(EVENT, found, books, None, 6, settled=False)
    assert verdict.violations == ()
    grants = [record for record in found if isinstance(record, Operation) and record.answer is Answer.DONE]
    spoilt = next(one for one in grants if one.act is Act.HOLD)
    stolen = replace(spoilt, hold="thief", called_us=spoilt.called_us + 1)
    assert judged(EVENT, [*found, stolen], books, None, 6, settled=False).violations


def test_a_file_for_each_event(tmp_path: Path) -> None:
    """Where fans went to several, the event stands in the file's name."""
    result = crowd_before(NaiveShop, only(Errand.RESERVE))
    shop = result.observed.shop
    shop.halls["matinee"] = shop.halls[EVENT]
    shop.halls["nobody-came"] = shop.halls[EVENT]
    shop.tried.append(shop.tried[0]._replace(event="matinee"))

    assert write_records(result.observed, tmp_path / "a.jsonl") == [
        tmp_path / f"a-{EVENT}.jsonl",
        tmp_path / "a-matinee.jsonl",
    ]


def test_a_lost_answer_is_a_hold_that_may_have_been_made() -> None:
    """Once its key tells which hold it became, the record says so too."""
    result = crowd_before(NaiveShop, only(Errand.RETRY))
    shop = result.observed.shop
    lost = [one for one in operations(shop, EVENT) if one.answer is None]
    made = {one.paper.id for one in shop.tried if one.paper is not None}

    assert len(lost) > PLAN.fans / 2
    assert all(one.returned_us is None and one.seats for one in lost)
    assert {one.hold for one in lost if not one.hold.startswith("key ")} == made


def test_the_figures_of_the_seats_add_up() -> None:
    """Every hold has a fate, every errand an ending, and all of it can be written as JSON."""
    result = crowd_before(NaiveShop, replace(PLAN, fans=80, duration_s=20.0))
    shown = seat_figures(result.observed)

    assert shown is not None
    assert shown.won == shown.released + shown.reserved + shown.expired + shown.held
    assert sum(sum(counts.values()) for counts in shown.errands.values()) == 80
    assert sum(shown.won_per_s) == shown.time_to_hold_s.count
    assert 0 < shown.conflict_rate < 1
    assert json.dumps(shown.refused)


def test_the_report_has_a_part_on_seats_where_there_were_any() -> None:
    """Table, page and JSON say what was won, what was refused and how long it took; other origins have none of it."""
    sold = crowd_before(NaiveShop, replace(PLAN, fans=80, duration_s=20.0))
    other = crowd_before(NaiveShop, replace(PLAN, errands={}))
    told, text, plain = (
        table(sold, colour=False),
        page(sold),
        json.loads(json.dumps(as_dict(sold), allow_nan=False)),
    )
    reader = Reader()
    reader.feed(text)

    for words in ("holds won", "conflict rate", "From the first wish to a hold", "walk away", "seat-once: "):
        assert words in told
    assert reader.pictures == 8
    assert (reader.open, reader.loads) == ([], [])
    assert "<h2>Seats</h2>" in text
    assert plain["seats"]["won"] > 60
    assert plain["plan"]["errands"]["reserve"] > 0
    assert {check["name"] for check in plain["checks"]} >= {"seat-once", "map-follows", "prices-right"}
    assert "conflict rate" not in table(other, colour=False)
    assert "<h2>Seats</h2>" not in page(other)
    assert as_dict(other)["seats"] is None


def test_a_shop_that_was_not_found_is_remarked_on() -> None:
    """Who names an event wants to hear that nobody could ask for it."""
    result = crowd_before(NaiveShop, replace(PLAN, event="another-night"))

    assert "No seats were asked for: the event another-night is not on sale" in table(result, colour=False)


def test_a_refusal_because_of_a_hold_that_went_with_the_store_says_nothing() -> None:
    """A wish for "the best" got no answer, and the store was lost: nobody will ever know which seats it had."""
    result = crowd_before(NaiveShop, only(Errand.RESERVE))
    shop = result.observed.shop
    named = next(one for one in shop.tried if one.wish.seats)
    best = named._replace(key="the-best", wish=replace(named.wish, seats=()), paper=None)
    shop.tried[:] = [
        best._replace(asked_us=1000, answered_us=None),
        named._replace(
            key="other", asked_us=1500, answered_us=1600, status=409, code="seats-taken", paper=None,
            taken=((named.wish.seats[0], 1),),
        ),
        named._replace(
            key="late", asked_us=5500, answered_us=5600, status=409, code="seats-taken", paper=None,
            taken=((named.wish.seats[0], 1),),
        ),
        best._replace(asked_us=9000, answered_us=9100, status=201, paper=named.paper),
    ]  # fmt: skip
    shop.acted.clear()

    def refusals(*lost: Loss) -> list[str]:
        told = operations(shop, EVENT, lost)
        return [one.hold for one in told if one.answer is Answer.TAKEN]

    assert refusals() == ["refused other", "refused late"]
    assert refusals(Loss(2000, 3000)) == ["refused late"]
    assert refusals(Loss(10_000, 11_000)) == ["refused other", "refused late"]
