"""Minutes as columns and sums: what was played comes out, and what nobody saw is unknown."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from dashboards import history
from dashboards.history import (
    FIELDS,
    STEPS,
    Columns,
    Totals,
    Window,
    columns,
    side_by_side,
    start_of,
    step_for,
    totals,
    window,
)
from tests.dashboards.played import CAP, GATHER, RATE, sale
from waitroom.minutes import Minute

START = 30_000_000
PLAYED = sale("main", "autumn", START, 180, 6000)
FIRST, LAST = PLAYED[0].minute, PLAYED[-1].minute
HOLE = range(START + 50, START + 58)


def without(minutes: Sequence[Minute], hole: range = HOLE) -> list[Minute]:
    """Take minutes away, as if nobody had looked."""
    return [each for each in minutes if each.minute not in hole]


def laid(minutes: Sequence[Minute], step: int = 1) -> tuple[Window, Columns]:
    """Lay a whole sale out."""
    over = window(FIRST * 60_000, (LAST + 1) * 60_000, step)
    return over, columns(minutes, over)


def test_sums_are_what_was_played() -> None:
    """Six thousand gather, six thousand join within an hour; nine of ten that are called come."""
    assert totals(PLAYED, FIRST, LAST + 1) == Totals(
        joined=12_000, calls=12_000, admitted=10_800, no_shows=1_200, waiting_most=6_000, wait_most_s=3_737,
        emptied_s=99 * 60, sold=10_800, known=190, minutes=190, refused=189 * 3, shed=189,
    )  # fmt: skip


@pytest.mark.parametrize("step", STEPS.values())
def test_what_happened_in_each_step_adds_up_to_the_sums(step: int) -> None:
    """Whatever the width; the first step has nothing before it and is unknown."""
    over, found = laid(PLAYED, step)

    known = PLAYED[-1].admitted or 0
    before = next(each for each in reversed(PLAYED) if each.minute < over.since + step)
    assert sum(value for value in found["admitted"][1:] if isinstance(value, int)) == known - (
        before.admitted or 0
    )
    assert found["admitted"][0] is None
    assert len(over) == len(found["admitted"]) == len(over.starts_ms())
    assert {len(values) for values in found.values()} == {len(over)}


def test_a_minute_says_what_was_seen_last_in_it() -> None:
    """All fields of one minute of the sale."""
    over, found = laid(PLAYED)
    index = START + 20 - over.since

    assert set(found) == set(FIELDS)
    row = PLAYED[index]
    assert {name: found[name][index] for name in ("waiting", "cap", "rate", "version", "phase", "sale", "looks")} == {
        "waiting": row.waiting, "cap": CAP, "rate": RATE, "version": 3, "phase": "serving", "sale": "autumn",
        "looks": 60,
    }  # fmt: skip
    assert [found[name][index] for name in ("joined", "calls", "admitted", "sold")] == [100, 120, 108, 108]
    assert found["admitted_in_all"][index] == row.admitted
    assert found["no_shows_ratio"][index] == 0.1


def holes(minutes: Sequence[Minute]) -> tuple[set[object], list[object]]:
    """Return what the columns say of the hole, and of the first minute behind it."""
    over, found = laid(minutes)
    inside = {found[name][minute - over.since] for name in found for minute in HOLE}
    after = HOLE.stop - over.since
    return inside, [found["admitted"][after], found["joined"][after], found["waiting"][after]]


def test_a_hole_stays_a_hole() -> None:
    """Unknown in all columns; what happened in the first minute after it is unknown, too, and the sums are whole."""
    assert holes(without(PLAYED)) == ({None}, [None, None, PLAYED[HOLE.stop - FIRST].waiting])

    found = totals(without(PLAYED), FIRST, LAST + 1)
    assert found == replace(totals(PLAYED, FIRST, LAST + 1), known=190 - len(HOLE))


def test_a_hole_that_is_written_as_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: a step without a look has zeros."""
    real = history._value
    monkeypatch.setattr(history, "_value", lambda name, before, here: real(name, before, here) if here else 0)

    assert holes(without(PLAYED))[0] != {None}


def test_what_happened_in_a_hole_is_not_put_into_the_minute_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant: the difference to the last row, however long ago it was."""

    def across(name: str, before: Sequence[Minute], here: Sequence[Minute], *, down: bool = False) -> int:
        return int(getattr(here[-1], name) - getattr(PLAYED[HOLE.start - 1 - FIRST], name))

    monkeypatch.setattr(history, "_difference", across)

    assert holes(without(PLAYED))[1][0] == 108 * (len(HOLE) + 1)


def test_a_wider_step_has_the_last_of_each_and_the_most_that_waited() -> None:
    """Five minutes; a hole within a step costs nothing, one that is a whole step is unknown."""
    over, found = laid(without(PLAYED), 5)
    index = (START + 5 - over.since) // 5

    assert found["waiting"][index] == PLAYED[GATHER + 9].waiting
    assert found["waiting_most"][index] == PLAYED[GATHER + 5].waiting
    assert found["admitted"][index] == 5 * 108
    assert found["looks"][index] == 300
    hole = (HOLE.start - over.since) // 5
    assert [found["waiting"][hole], found["looks"][hole]] == [None, None]
    assert [found["waiting"][hole + 1], found["looks"][hole + 1]] == [PLAYED[GATHER + 59].waiting, 120]


def test_a_new_run_counts_from_nothing() -> None:
    """A line that begins anew has its own numbers; admissions go on."""
    one = Minute("main", START, 0, run="a", issued=500, called_in_all=400, admitted=300)
    other = Minute("main", START + 1, 0, run="b", issued=20, called_in_all=5, admitted=304)
    found = columns([one, other], Window(START + 1, START + 2))

    assert [found[name] for name in ("joined", "calls", "admitted")] == [[20], [5], [4]]
    assert (
        totals([one, other], START, START + 2).joined,
        totals([one, other], START, START + 2).admitted,
    ) == (20, 4)


def test_what_joined_before_the_first_look_is_counted() -> None:
    """A run that began in these minutes is known from its beginning; the door's counters in a room's first run only."""
    opened = START * 60_000 - 90_000
    first = Minute("main", START, 0, run="a", issued=500, called_in_all=400, admitted=300, refused=7, epoch=1)
    rows = [
        replace(first, opened_ms=opened),
        replace(first, minute=START + 1, opened_ms=opened, issued=520, admitted=310, refused=9),
    ]
    whole = totals(rows, START - 5, START + 2)
    assert (whole.joined, whole.calls, whole.admitted, whole.no_shows) == (520, 400, 310, 90)
    assert (whole.refused, whole.shed) == (9, None)
    later = totals([replace(each, epoch=2) for each in rows], START - 5, START + 2)
    assert (later.joined, later.calls, later.admitted, later.refused) == (520, 400, 10, 2)

    names = ["joined", "calls", "admitted"]
    wide = columns(rows, Window(START - 5, START + 5, 10), names)
    assert wide == {"joined": [520], "calls": [400], "admitted": [310]}
    assert columns(rows, Window(START - 5, START + 5, 5), ["joined"]) == {"joined": [None, None]}
    begun = [replace(each, opened_ms=START * 60_000) for each in rows]
    assert columns(begun, Window(START, START + 2), names) == {
        "joined": [500, 20], "calls": [400, 0], "admitted": [300, 10],
    }  # fmt: skip


def within_a_run(minutes: Sequence[Minute]) -> tuple[int | None, object]:
    """Sum up, and lay out, the last minutes of a run whose first rows are not asked for."""
    found = columns(minutes, Window(START + 1, START + 2), ["joined"])
    return totals(minutes, START + 1, START + 2).joined, found["joined"][0]


RUNNING = Minute("main", START + 1, 0, run="a", issued=520, opened_ms=START * 60_000, epoch=1)


def test_a_stretch_within_a_run_has_nothing_from_before_it() -> None:
    """Whether its row before is known or not; and what is told of the run by that row is not told again."""
    before = replace(RUNNING, minute=START, issued=500)

    assert within_a_run([RUNNING]) == (0, None)
    assert within_a_run([before, RUNNING]) == (20, 20)
    assert totals([before, RUNNING], START, START + 2).joined == 520
    other = replace(RUNNING, minute=START - 9, run="z", issued=900, opened_ms=0)
    assert totals([other, before, RUNNING], START - 9, START + 2).joined == 520


def test_a_run_that_is_counted_whole_wherever_one_looks_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: every first row is taken for that of a new run."""
    monkeypatch.setattr(history, "_is_whole", lambda *_: True)

    assert within_a_run([RUNNING])[0] != 0


def test_a_counter_that_fell_is_unknown_and_not_less_than_nothing() -> None:
    """A store that was wiped, or a shop that found more to sell."""
    one = Minute("main", START, 0, run="a", issued=500, admitted=300, stock_left=10)
    other = Minute("main", START + 1, 0, run="a", issued=20, admitted=7, stock_left=30)
    found = columns([one, other], Window(START + 1, START + 2))

    assert [found[name] for name in ("joined", "admitted", "sold")] == [[None], [None], [None]]
    assert totals([one, other], START, START + 2).admitted == 0


def test_nothing_seen_is_nothing_known() -> None:
    """No sum is zero only because nobody looked."""
    found = totals([], START, START + 5)

    assert found == Totals(None, None, None, None, None, None, None, None, 0, 5)
    assert columns([], Window(START, START + 3), ["waiting", "admitted"]) == {
        "waiting": [None] * 3, "admitted": [None] * 3,
    }  # fmt: skip
    bare = totals([Minute("main", START, 0)], START, START + 1)
    assert (bare.joined, bare.admitted, bare.emptied_s) == (None, None, None)


def test_a_line_in_which_nobody_waited_was_never_emptied() -> None:
    """Nor was one that is still full."""
    idle = [Minute("main", START + index, 0, waiting=0, waiting_most=0) for index in range(3)]
    full = [replace(each, waiting=5) for each in idle]

    assert totals(idle, START, START + 3).emptied_s is None
    assert totals(full, START, START + 3).emptied_s is None


def test_two_sales_are_aligned_at_their_starts() -> None:
    """The shorter one is unknown where it was not on; another room and another day do not matter."""
    other = sale("other", "spring", START - 5_000, 60, 600)
    mine, theirs = side_by_side(PLAYED, other, 1, ["waiting", "admitted"])

    assert mine["t"] == theirs["t"] == list(range(-GATHER, 180))
    assert mine["waiting"] == [each.waiting for each in PLAYED]
    assert theirs["waiting"] == [each.waiting for each in other] + [None] * 120
    assert mine["admitted"][GATHER] == 108
    assert start_of(other) == START - 5_000
    assert start_of([replace(each, phase="gathering") for each in other]) == START - 5_010


def test_wide_steps_of_two_sales_begin_at_the_start() -> None:
    """Also where what was before it is no whole step."""
    other = sale("other", "spring", START - 5_003, 60, 600)
    mine, theirs = side_by_side(without(PLAYED, range(FIRST, START - 3)), other, 5, ["phase"])

    assert mine["t"][:3] == [-10, -5, 0]
    assert (mine["phase"][1:3], theirs["phase"][1:3]) == (["gathering", "serving"], ["gathering", "serving"])
    assert mine["phase"][0] is None


@pytest.mark.parametrize(
    ("hours", "most", "step"),
    [(3, 400, "1m"), (7, 400, "5m"), (24, 400, "5m"), (168, 400, "1h"), (2160, 400, "1h"), (72, 5000, "1m")],
)
def test_the_finest_step_that_fits_is_chosen(hours: int, most: int, step: str) -> None:
    """And the coarsest where none does."""
    assert step_for(0, hours * 3_600_000, most) == step


def test_a_window_is_whole_steps() -> None:
    """Both ends are inside; a moment is one step."""
    assert window(59_999, 60_001, 1) == Window(0, 2, 1)
    assert window(61_000, 61_000, 5) == Window(0, 5, 5)
    assert Window(10, 20, 5).asked == 5
