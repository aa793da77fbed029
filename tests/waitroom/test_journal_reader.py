"""The journal by portions: nobody misses or doubles anything, whatever they look for, and nobody asks for too much."""

from collections.abc import Iterator
from typing import Any

import pytest

from kernel.clock import ManualClock
from tests.dashboards.outgoing import Parts, configured, entry, parts, settings
from waitroom import journal_reader
from waitroom.journal import Kind
from waitroom.journal_reader import JournalReader, Portion, Sought


@pytest.fixture
def made(journal_url: str, clock: ManualClock) -> Iterator[Parts]:
    """Give everything on an empty journal, on both databases."""
    with parts(journal_url, clock) as found:
        yield found


def seqs(portion: Portion) -> list[int]:
    """Name what was found."""
    return [told.entry.seq for told in portion.told]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("scan", [1, 3, 50])
@pytest.mark.parametrize(
    "sought", [Sought(), Sought({"side"}), Sought(kinds={Kind.OPENED}), Sought(who="Ann")], ids=str
)
def test_reading_along_finds_each_once_in_order(
    made: Parts, monkeypatch: pytest.MonkeyPatch, limit: int, scan: int, sought: Sought
) -> None:
    """By portions of any size, while more is written between them; and looking back finds the same."""
    monkeypatch.setattr(journal_reader, "SCAN", scan)
    kinds = (Kind.OPENED, Kind.PHASE, Kind.ADMITTED)
    fresh = [
        entry(kinds[n % 3], n, ("main", "side")[n % 2], who=("Ann", "Bob")[n % 4 == 0], n=str(n))
        for n in range(20)
    ]
    found: list[int] = []
    at = 0
    for start in range(0, 20, 5):
        made.journal.append(fresh[start : start + 5])
        more = True
        while more:
            portion = made.reader.after(at, sought, limit)
            assert portion.at > at or not portion.more
            found += seqs(portion)
            at, more = portion.at, portion.more
    every = [
        seq
        for seq, one in enumerate(fresh, 1)
        if (sought.rooms is None or one.room in sought.rooms)
        and (not sought.kinds or one.kind in sought.kinds)
        and (not sought.who or one.body["who"] == sought.who)
    ]
    assert found == every

    back: list[int] = []
    before: int | None = None
    while True:
        portion = made.reader.before(before, sought, limit)
        back += seqs(portion)
        if not portion.more:
            break
        before = portion.at
    assert back == every[::-1]


def test_who_looks_for_the_end_last_misses_what_is_written_in_between(
    made: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the end read after the entries is beyond them."""
    made.journal.append([entry(Kind.OPENED, 1)])
    assert made.reader.after(0, Sought({"side"})) == Portion((), 1, more=False)

    real = journal_reader._found
    is_first = [True]

    def found(*given: Any) -> Any:
        answer = real(*given)
        if is_first.pop() if is_first else False:
            made.journal.append([entry(Kind.OPENED, 2, "side")])
        return answer

    def late(self: JournalReader, seq: int, sought: Sought, limit: int = 100) -> Portion:
        with self._engine.connect() as connection:
            entries = found(connection, journal_reader._query(seq, 1 << 50, sought), limit)
        return Portion(journal_reader._told(None, entries), self.head(), more=False)  # type: ignore[arg-type]

    monkeypatch.setattr(journal_reader, "_found", found)
    right = made.reader.after(0, Sought({"side"}))
    assert seqs(made.reader.after(right.at, Sought({"side"}))) == [2]
    is_first.append(True)
    monkeypatch.setattr(journal_reader, "_found", real)
    wrong = late(made.reader, 2, Sought({"side"}))
    assert seqs(made.reader.after(wrong.at, Sought({"side"}))) == []
    assert made.reader.head() == 3


def test_what_is_typed_is_looked_for_as_it_stands(made: Parts) -> None:
    """No sign has a meaning; letters of any alphabet are found; a reason does not look like a name."""
    whys = ["100%", "a_b", "back\\slash", 'say "yes"', "Zürich", "'; --", 'x","who":"Ann']
    made.journal.append([entry(Kind.OPENED, n, who="Bob", why=why) for n, why in enumerate(whys)])
    for seq, why in enumerate(whys, 1):
        assert seqs(made.reader.before(None, Sought(text=why))) == [seq]
    assert seqs(made.reader.before(None, Sought(text="%"))) == [1]
    assert seqs(made.reader.before(None, Sought(text="BACK"))) == [3]
    assert seqs(made.reader.before(None, Sought(who="Ann"))) == []
    assert len(seqs(made.reader.before(None, Sought(who="Bob")))) == len(whys)


def test_times_are_half_open(made: Parts) -> None:
    """From is in, to is not."""
    made.journal.append([entry(Kind.OPENED, at) for at in (10, 20, 30)])
    assert seqs(made.reader.after(0, Sought(since_ms=20))) == [2, 3]
    assert seqs(made.reader.after(0, Sought(until_ms=20))) == [1]
    assert seqs(made.reader.after(0, Sought(since_ms=20, until_ms=30))) == [2]


def test_nothing_is_seen_by_who_may_see_no_room(made: Parts) -> None:
    """Neither what belongs to no room; the cursor goes on all the same."""
    made.journal.append([entry(Kind.OPENED, 1), entry(Kind.OPERATOR, 2, "")])
    assert made.reader.after(0, Sought(frozenset())) == Portion((), 2, more=False)
    assert seqs(made.reader.after(0, Sought({""}))) == [2]


def test_of_a_change_the_settings_before_it_are_told(made: Parts) -> None:
    """Those of the same room; none where it was new, or made again after it was removed."""
    made.journal.append(
        [
            configured(1, 1, "Ann"),
            configured(2, 2, "Ann", paused=True),
            entry(Kind.REMOVED, 3, version="3", config='{"version":3,"_removed":true}'),
            configured(4, 4, "Ann"),
        ]
    )
    told = made.reader.after(0, Sought()).told
    assert [one.before for one in told] == ["", settings(1), "", ""]
