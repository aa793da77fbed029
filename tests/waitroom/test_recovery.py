"""What the line is after a loss: each rule of the plan, and what the journal's entries say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.journal import GENESIS, Entry, Kind, NewEntry, chain
from waitroom.lanes import Serving
from waitroom.line import Line, covered, is_void, joined_ranges
from waitroom.recovery import (
    CLAIM_CHUNK,
    GAP_LEAST,
    GAP_MOST,
    Memory,
    RecoveryState,
    Session,
    announcement,
    claimed_chunks,
    fell_back,
    fold,
    gap,
    plan,
    raise_to,
)
from waitroom.schedule import Phase

RUN = "0011223344556677"
NOW_MS = 1_800_000_000_000

STATE = RecoveryState(
    room="main",
    run=RUN,
    epoch=3,
    phase=Phase.SERVING,
    phase_ms=100,
    opening="always",
    opened_ms=50,
    commitment="",
    issued=400,
    extent=500,
    serving=Serving(30, 20, 10),
)
LINE = Line(
    run=RUN,
    epoch=3,
    version=9,
    issued=620,
    serving=Serving(25, 25, 5),
    opened_ms=50,
    phase_ms=100,
    last_ms=NOW_MS,
)


def _entry(kind: Kind, at_ms: int = 1000, run: str = RUN, **body: str) -> NewEntry:
    return NewEntry(at_ms, "main", run, kind, body)


def _chained(*entries: NewEntry) -> list[Entry]:
    return chain(entries, 0, GENESIS)


OPENED = _entry(Kind.OPENED, 50, epoch="3", opening="sale", phase="gathering", commitment="c0")


def _folded(*entries: NewEntry) -> RecoveryState:
    state = fold(_chained(OPENED, *entries))
    assert state is not None
    return state


# The plan -----------------------------------------------------------------------------------------


def test_a_room_that_was_never_opened_is_not_restored() -> None:
    """Nobody holds a place in it."""
    assert plan(None, [], NOW_MS) is None


def test_numbers_go_on_above_every_witness_and_the_gap() -> None:
    """The highest of leaves, entries, memories and tickets counts; then the gap."""
    restoration = plan(STATE, [Memory(LINE)], NOW_MS, numbers=[700])

    assert restoration is not None
    assert restoration.line.issued == 701 + GAP_LEAST
    assert restoration.gap == GAP_LEAST


@pytest.mark.parametrize("joins_per_s", [0, 68, 69, 1000, 10**9])
def test_the_gap_grows_with_the_rate_of_joins(joins_per_s: int) -> None:
    """15 seconds of joins, 1,024 at least, and never without bound."""
    assert gap(joins_per_s) == min(max(1024, 15 * joins_per_s), 1 << 20)


def test_the_fastest_witness_sets_the_gap() -> None:
    """The journal's own measure counts as well as a worker's."""
    by_journal = plan(replace(STATE, joins_per_s=1000), [Memory(LINE, 200)], NOW_MS)
    by_worker = plan(STATE, [Memory(LINE, 2000)], NOW_MS)

    assert by_journal is not None
    assert by_worker is not None
    assert by_journal.gap == 15_000
    assert by_worker.gap == 30_000


def test_what_lost_its_leaf_is_void_and_nothing_else() -> None:
    """From the journal's last leaf to the new count; older void ranges stay."""
    restoration = plan(
        replace(STATE, void=((5, 9),)), [Memory(replace(LINE, void=((5, 9), (200, 210))))], NOW_MS
    )

    assert restoration is not None
    assert restoration.line.void == ((5, 9), (200, 210), (500, 620 + GAP_LEAST))
    assert restoration.extent == 500


def test_thresholds_are_the_highest_that_anybody_saw() -> None:
    """Each lane for itself: a place that was called stays called."""
    restoration = plan(STATE, [Memory(LINE)], NOW_MS)

    assert restoration is not None
    assert restoration.line.serving == Serving(30, 25, 10)


def test_an_epoch_is_used_once() -> None:
    """One more than any witness has seen."""
    restoration = plan(STATE, [Memory(replace(LINE, epoch=7)), Memory(LINE)], NOW_MS)

    assert restoration is not None
    assert restoration.line.epoch == 8


def test_a_run_that_the_journal_does_not_know_yet_is_restored_from_memory() -> None:
    """It was opened in the last second; its epoch is higher. Sessions of the run before live on."""
    older = replace(STATE, sessions={"s": Session(3, NOW_MS + 1, "standard")}, claimed=frozenset({3}))
    newer = replace(LINE, run="ffffffffffffffff", epoch=4, issued=40, serving=Serving())
    restoration = plan(older, [Memory(newer)], NOW_MS)

    assert restoration is not None
    assert (restoration.line.run, restoration.line.epoch) == ("ffffffffffffffff", 5)
    assert restoration.line.void == ((0, 40 + GAP_LEAST),)
    assert restoration.claimed == frozenset()
    assert list(restoration.sessions) == ["s"]


def test_memory_of_an_earlier_run_counts_for_nothing_but_its_epoch() -> None:
    """A worker that slept through an opening must not bring the old run back."""
    restoration = plan(STATE, [Memory(replace(LINE, run="ffffffffffffffff", epoch=2, issued=9999))], NOW_MS)

    assert restoration is not None
    assert restoration.line.run == RUN
    assert restoration.line.issued == 500 + GAP_LEAST


def test_the_latest_phase_is_kept() -> None:
    """Phases may go back (a sale is prolonged), so the later one counts and not the further one."""
    paused = replace(STATE, phase=Phase.DRAINING, phase_ms=100)
    prolonged = replace(LINE, phase=Phase.SERVING, phase_ms=101)
    restoration = plan(paused, [Memory(prolonged)], NOW_MS)

    assert restoration is not None
    assert restoration.line.phase is Phase.SERVING


def test_a_draw_stays_as_it_was() -> None:
    """Frozen count, root, seed and commitment come back, from whichever witness has them."""
    drawn = replace(STATE, frozen=300, root="aa", commitment="cc")
    restoration = plan(drawn, [Memory(replace(LINE, frozen=300, root="aa", seed="bb"))], NOW_MS)

    assert restoration is not None
    line = restoration.line
    assert (line.frozen, line.root, line.seed, line.commitment) == (300, "aa", "bb", "cc")


def test_nobody_who_was_in_the_draw_is_outside_of_it_after_the_loss() -> None:
    """Numbers go on above the frozen count even if its leaves were lost."""
    restoration = plan(replace(STATE, issued=0, extent=10, frozen=2000), [], NOW_MS)

    assert restoration is not None
    assert restoration.line.issued == 2000 + GAP_LEAST


def test_only_what_is_still_alive_goes_back_to_the_door() -> None:
    """Half-open: a session is alive while now < until. Numbers stay used for good."""
    state = replace(
        STATE,
        claimed=frozenset({1, 2}),
        left=frozenset({3}),
        sessions={"a": Session(1, NOW_MS, "standard"), "b": Session(2, NOW_MS + 1, "standard")},
        ended={"c": NOW_MS, "d": NOW_MS + 1},
    )
    restoration = plan(state, [], NOW_MS)

    assert restoration is not None
    assert list(restoration.sessions) == ["b"]
    assert restoration.ended == {"d": NOW_MS + 1}
    assert restoration.claimed == frozenset({1, 2, 3})
    assert restoration.left == frozenset({3})


# A witness beyond the plan ----------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "lifted"), [(99, None), (100, 101 + GAP_LEAST), (5000, 5001 + GAP_LEAST)])
def test_a_ticket_beyond_the_count_raises_it(number: int, lifted: int | None) -> None:
    """And leaves the gap once more: where one number was given unseen, others were."""
    assert raise_to(100, number, 0) == lifted


@pytest.mark.parametrize(
    ("line", "fallen"),
    [
        (None, True),
        (LINE, False),
        (replace(LINE, issued=619), True),
        (replace(LINE, epoch=2), True),
        (replace(LINE, epoch=4, issued=0), False),
        (replace(LINE, run="ffffffffffffffff", epoch=4, issued=0), False),
    ],
)
def test_a_store_that_knows_less_than_a_witness_has_fallen_back(line: Line | None, fallen: bool) -> None:
    """Wiped, of an older epoch, or behind in numbers; a new epoch or run may begin below."""
    assert (
        fell_back(line, None, [Memory(replace(LINE, issued=620 if line is None or line.epoch < 4 else 0))])
        is fallen
    )


def test_the_journal_is_a_witness_against_the_store() -> None:
    """After all workers have been restarted only the journal remembers: numbers, thresholds, a freeze."""
    line = replace(LINE, issued=500, serving=STATE.serving)

    assert not fell_back(line, STATE, [])
    assert fell_back(replace(line, issued=499), STATE, [])
    assert fell_back(None, STATE, [])
    assert fell_back(line, replace(STATE, serving=Serving(line.serving.verified + 1, *line.serving[1:])), [])
    assert fell_back(line, replace(STATE, frozen=10), [])
    assert not fell_back(replace(line, frozen=10), replace(STATE, frozen=10), [])
    assert not fell_back(None, None, [])


def test_used_numbers_are_written_as_the_store_writes_bits() -> None:
    """The most significant bit of a byte comes first, as with SETBIT."""
    chunks = claimed_chunks([0, 9, CLAIM_CHUNK - 1, CLAIM_CHUNK * 2 + 7])

    assert sorted(chunks) == [0, 2]
    assert {len(octets) for octets in chunks.values()} == {CLAIM_CHUNK // 8}
    assert chunks[0][:2] == b"\x80\x40"
    assert chunks[0][-1] == 1
    assert chunks[2][:1] == b"\x01"


# The journal's entries -------------------------------------------------------------------------------


def test_an_opening_begins_the_state() -> None:
    """Nothing is known of a room without one."""
    assert fold([]) is None
    state = _folded()
    assert (state.run, state.epoch, state.phase, state.opening) == (RUN, 3, Phase.GATHERING, "sale")
    assert (state.commitment, state.opened_ms, state.phase_ms) == ("c0", 50, 50)


def test_a_removed_room_has_no_state() -> None:
    """Its people were sent away on purpose."""
    assert fold(_chained(OPENED, _entry(Kind.REMOVED, run=""))) is None


def test_the_line_is_read_from_its_transitions() -> None:
    """Each entry names only what changed; thresholds and counts only grow."""
    state = _folded(
        _entry(Kind.PHASE, 60, before="gathering", phase="serving", epoch="3"),
        _entry(Kind.CALLED, verified="9", standard="8", suspect="2", issued="40", epoch="3"),
        _entry(Kind.CALLED, verified="9", standard="7", suspect="3", issued="30", epoch="3"),
        _entry(Kind.FROZEN, frozen="25", void="[[3,5]]", epoch="3"),
        _entry(Kind.FROZEN, frozen="25", root="aa", epoch="3"),
        _entry(Kind.DRAWN, frozen="25", root="aa", seed="bb", proof="{}", epoch="3"),
        _entry(Kind.VOIDED, issued="90", void="[[3,5],[40,90]]", epoch="4"),
    )

    assert (state.phase, state.phase_ms) == (Phase.SERVING, 60)
    assert state.serving == Serving(9, 8, 3)
    assert (state.frozen, state.root, state.seed) == (25, "aa", "bb")
    assert state.void == ((3, 5), (40, 90))
    assert (state.issued, state.epoch) == (90, 4)


def test_the_end_of_a_void_range_is_a_number_that_was_passed() -> None:
    """Even where the entry does not say how many were issued."""
    assert _folded(_entry(Kind.FROZEN, frozen="2", void="[[3,50]]")).issued == 50


def test_admissions_renewals_and_endings_are_read() -> None:
    """A renewal prolongs, an end is final, leaving uses the number up."""
    state = _folded(
        _entry(Kind.ADMITTED, number="1", sid="a", until_ms="2000", lane="standard"),
        _entry(Kind.ADMITTED, number="2", sid="b", until_ms="2000", lane="verified"),
        _entry(Kind.RENEWED, sid="a", until_ms="3000"),
        _entry(Kind.RENEWED, sid="a", until_ms="2500"),
        _entry(Kind.ENDED, sid="b", until_ms="2000", why="operator"),
        _entry(Kind.RENEWED, sid="b", until_ms="9000"),
        _entry(Kind.LEFT, number="7", sid="z", until_ms="1000"),
        _entry(Kind.RENEWED, sid="only-a-renewal", until_ms="5000"),
    )

    assert state.claimed == frozenset({1, 2})
    assert state.left == frozenset({7})
    assert state.sessions == {"a": Session(1, 3000, "standard"), "only-a-renewal": Session(None, 5000, "")}
    assert state.ended == {"b": 2000, "z": 1000}
    assert state.issued == 8


def test_evictions_are_read_and_die_with_the_run() -> None:
    """A visit that ended with one is refused; given back, it lives as long as it would have."""
    acts = [
        _entry(Kind.ADMITTED, number="1", sid="a", until_ms="2000", lane="standard"),
        _entry(Kind.EVICTED, number="1", sid="a", until_ms="2000", who="Ann", why="x"),
        _entry(Kind.EVICTED, number="2", sid="", until_ms="0", who="Ann", why="x"),
        _entry(Kind.EVICTED, number="3", sid="", until_ms="0", who="Ann", why="x"),
        _entry(Kind.REINSTATED, number="3", sid="", until_ms="0", who="Ann", why="x"),
    ]
    out = _folded(*acts)
    back = _folded(*acts, _entry(Kind.REINSTATED, number="1", sid="a", until_ms="2000", who="Ann", why="x"))
    anew = _folded(
        *acts, _entry(Kind.OPENED, run="ffffffffffffffff", epoch="4", opening="b", phase="serving")
    )

    assert (out.evicted, out.sessions, out.ended) == ({1: "2000 a", 2: "0", 3: ""}, {}, {"a": 2000})
    assert (back.evicted[1], back.sessions, back.ended) == ("", {"a": Session(1, 2000, "")}, {})
    assert (anew.evicted, anew.ended) == ({}, {"a": 2000})
    for final in (Kind.ENDED, Kind.LEFT):
        for_good = _folded(*acts, _entry(final, number="1", sid="a", until_ms="2000", why="revoked"))
        assert (for_good.evicted, for_good.ended) == ({1: "0", 2: "0", 3: ""}, {"a": 2000})
    restoration = plan(replace(STATE, evicted={2: "0"}), [], NOW_MS)
    assert restoration is not None
    assert restoration.evicted == {2: "0"}


def test_sessions_outlive_the_run_and_numbers_do_not() -> None:
    """A new opening begins at number 0; who was inside stays inside."""
    state = _folded(
        _entry(Kind.ADMITTED, number="1", sid="a", until_ms="2000", lane="standard"),
        _entry(Kind.OPENED, run="ffffffffffffffff", epoch="4", opening="b", phase="serving"),
        _entry(Kind.ADMITTED, number="2", sid="b", until_ms="2000", lane="standard"),
        _entry(Kind.CALLED, verified="9", standard="9", suspect="9"),
        _entry(Kind.LEFT, number="3", sid="c", until_ms="2000"),
    )

    assert state.run == "ffffffffffffffff"
    assert state.claimed == state.left == frozenset()
    assert state.serving == Serving()
    assert sorted(state.sessions) == ["a", "b"]


def test_epochs_count_on_over_runs() -> None:
    """Whatever a store without memory began with."""
    state = _folded(_entry(Kind.OPENED, run="ffffffffffffffff", epoch="1", opening="b", phase="serving"))

    assert (state.run, state.epoch) == ("ffffffffffffffff", 3)


def test_the_rate_is_that_of_the_busiest_second_of_the_last_minute() -> None:
    """Drains of one second add up; what is older than a minute does not count."""
    state = _folded(
        _entry(Kind.LEAVES, 1_000, start="0", count="5000"),
        _entry(Kind.LEAVES, 61_000, start="5000", count="100"),
        _entry(Kind.LEAVES, 62_000, start="5100", count="30"),
        _entry(Kind.LEAVES, 62_999, start="5130", count="80"),
    )

    assert state.joins_per_s == 110


def test_the_slots_of_a_gap_are_no_joins() -> None:
    """Otherwise each loss would make the next gap larger."""
    state = _folded(
        _entry(Kind.RESTORED, 1000, epoch="4", issued="1100", void="[[60,1100]]"),
        _entry(Kind.LEAVES, 2000, start="50", count="1100"),
    )

    assert state.joins_per_s == 60


def test_acts_of_people_say_nothing_of_the_line() -> None:
    """Whatever words they carry."""
    assert (
        _folded(_entry(Kind.OPERATOR, phase="ended", issued="9"), _entry(Kind.OTHER, verified="9"))
        == _folded()
    )


def test_an_entry_that_cannot_be_read_is_passed_over_and_named() -> None:
    """One bad entry never stands between a room and its recovery."""
    state = _folded(
        _entry(Kind.ADMITTED, number="one", sid="a", until_ms="1"),
        _entry(Kind.PHASE, phase="melted"),
        _entry(Kind.VOIDED, void="[[1]]"),
        _entry(Kind.ENDED),
        _entry(Kind.CALLED, verified="4", standard="4", suspect="4"),
    )

    assert state.unreadable == (2, 3, 4, 5)
    assert state.serving == Serving(4, 4, 4)


def test_what_is_announced_is_read_back() -> None:
    """A restoration that only reached the journal is a full witness for the next one."""
    drawn = replace(STATE, frozen=300, root="aa", seed="bb", commitment="cc", void=((5, 9),))
    restoration = plan(drawn, [Memory(LINE)], NOW_MS)
    assert restoration is not None
    note = announcement("main", restoration, "a test", NOW_MS)
    state = fold(_chained(note))

    assert state is not None
    assert note.source == f"main:{RUN}:restored:4"
    for name in (
        "run",
        "epoch",
        "phase",
        "opening",
        "opened_ms",
        "issued",
        "void",
        "serving",
        "frozen",
        "root",
    ):
        assert getattr(state, name) == getattr(restoration.line, name), name
    assert (state.seed, state.commitment, state.phase_ms) == ("bb", "cc", NOW_MS)


def test_two_losses_in_a_row_never_share_numbers() -> None:
    """The second plan begins above the first, though nothing of the first was ever drained."""
    first = plan(STATE, [], NOW_MS)
    assert first is not None
    state = fold(_chained(OPENED, announcement("main", first, "", NOW_MS)))
    second = plan(state, [], NOW_MS)

    assert second is not None
    assert second.line.issued == first.line.issued + GAP_LEAST
    assert second.line.epoch == first.line.epoch + 1


# What holds for every plan -------------------------------------------------------------------------------

COUNTS = st.integers(0, 3000)
SERVINGS = st.lists(COUNTS, min_size=3, max_size=3).map(lambda values: Serving(*sorted(values, reverse=True)))
RANGES = st.lists(st.tuples(COUNTS, COUNTS), max_size=3).map(joined_ranges)
STATES = st.builds(
    lambda epoch, issued, extent, void, serving, frozen: replace(
        STATE, epoch=epoch, issued=issued, extent=extent, void=void, serving=serving, frozen=frozen
    ),
    st.integers(1, 9), COUNTS, COUNTS, RANGES, SERVINGS, st.none() | COUNTS,
)  # fmt: skip
MEMORIES = st.builds(
    lambda epoch, issued, void, serving, rate: Memory(
        replace(LINE, epoch=epoch, issued=issued, void=void, serving=serving), rate
    ),
    st.integers(1, 9), COUNTS, RANGES, SERVINGS, st.integers(0, 500),
)  # fmt: skip


@given(
    state=st.none() | STATES, memories=st.lists(MEMORIES, max_size=4), numbers=st.lists(COUNTS, max_size=3)
)
def test_every_plan_is_safe(state: RecoveryState | None, memories: list[Memory], numbers: list[int]) -> None:
    """New numbers, kept leaves, thresholds and epochs, whatever the witnesses say."""
    restoration = plan(state, memories, NOW_MS, numbers=numbers)
    if restoration is None:
        assert state is None
        assert not memories
        return
    line = restoration.line
    sources: list[RecoveryState | Line] = [memory.line for memory in memories]
    sources += [state] if state else []
    known_void = joined_ranges([pair for source in sources for pair in source.void])

    assert all(line.issued >= source.issued + GAP_LEAST for source in sources)
    assert all(line.issued > number + GAP_LEAST for number in numbers)
    assert (
        line.issued
        <= max([s.issued for s in sources] + [restoration.extent, line.frozen or 0, 3001]) + GAP_MOST
    )
    assert all(line.epoch > source.epoch for source in sources)
    # A number whose leaf the journal has is not made void, and all others are.
    assert covered(line.void, 0, restoration.extent) == covered(known_void, 0, restoration.extent)
    assert covered(line.void, restoration.extent, line.issued) == line.issued - restoration.extent
    for source in sources:
        assert all(
            new >= min(old, line.issued) for new, old in zip(line.serving, source.serving, strict=True)
        )
    assert line.serving.verified >= line.serving.standard >= line.serving.suspect
    assert line.serving.verified <= line.issued
    assert all(is_void(line.void, since) for since, _ in known_void)
