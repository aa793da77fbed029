"""Following: every viewer sees the hall, whatever it missed, whenever it came, and however slowly it reads."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from checkout.halls import deltas
from checkout.halls.deltas import Copy, Step, Version, coalesce
from checkout.halls.seats import counts
from checkout.holds.answers import Seen
from checkout.live import following
from checkout.live.following import KEEP_ALIVE, Bookmark, Follower, free_by_section
from tests.checkout.viewing import Truth, Watch, heard

SEATS = 16
BASE = Version(1, 1_800_000_000_000, 0)
CHANGES = st.dictionaries(
    st.integers(0, SEATS - 1), st.sampled_from([0x00, 0x01, 0x13]), min_size=1, max_size=4
)


def seen(truth: Truth) -> Seen:
    """Look at a hall."""
    octets = bytes(truth.octets)
    return Seen(truth.version.epoch, truth.version.delta, octets, counts(octets))


def a_follower(seats: int = SEATS) -> tuple[Follower, Truth]:
    """Give a hall and a worker's copy of it."""
    follower, truth = Follower(), Truth(seats, BASE)
    follower.begin(seen(truth))
    return follower, truth


def arrives(follower: Follower, truth: Truth, *changes: dict[int, int]) -> None:
    """Have changes happen and reach the worker."""
    assert follower.take([truth.change(one) for one in changes])


# ------------------------------------------------------------------------------------ what always holds
class Viewing(RuleBasedStateMachine):
    """A hall, a worker that follows it, and viewers that come from anywhere and read when they like."""

    viewers = Bundle("viewers")

    @initialize()
    def open(self) -> None:
        """Begin with a free hall."""
        self.follower, self.truth = a_follower()
        self.on_the_way: list[tuple[str, str]] = []

    @rule(changes=st.lists(CHANGES, min_size=1, max_size=3), later_ms=st.integers(0, 2))
    def change(self, changes: list[dict[int, int]], later_ms: int) -> None:
        """Change seats in the store."""
        self.on_the_way += [self.truth.change(one, later_ms) for one in changes]

    @rule(some=st.integers(1, 4))
    def read(self, some: int) -> None:
        """Read some of it in the worker."""
        now, self.on_the_way = self.on_the_way[:some], self.on_the_way[some:]
        assert self.follower.take(now)

    @rule(check_after=st.sampled_from([None, -1, 0, 3]))
    def tell(self, check_after: int | None) -> None:
        """Read everything, and make a telling of it."""
        self.read(len(self.on_the_way))
        if not self.follower.counts:
            self.follower.tell(check_after=check_after)

    @rule(what=st.sampled_from(["silence", "look", "loss", "sections", "seats"]))
    def turn(self, what: str) -> None:
        """Say nothing; replace the copy; lose the hall and rebuild it; tell sections, or seats again."""
        match what:
            case "silence" if not self.follower.counts:
                self.follower.keep_alive()
            case "look":
                self.on_the_way = []
                self.follower.begin(seen(self.truth))
            case "loss":
                self.on_the_way = []
                self.follower.lose()
                self.truth.rebuild()
                self.follower.begin(seen(self.truth))
            case "sections":
                self.follower.count([(1, SEATS)])
            case "seats":
                self.follower.tell_seats()

    @rule(target=viewers, back=st.integers(0, 6))
    def come(self, back: int) -> tuple[Watch, Bookmark]:
        """Come with a snapshot of any worker: older than this one's, the same, or newer."""
        known = list(self.truth.was)
        at = known[max(0, len(known) - 1 - back)]
        watch, bookmark = Watch(), Bookmark()
        watch.fetched(self.truth.was[at], at)
        if not self.follower.place(bookmark, at):
            assert bookmark.run == -1
        return watch, bookmark

    @rule(viewer=viewers)
    def hear(self, viewer: tuple[Watch, Bookmark]) -> None:
        """Read what there is for one viewer."""
        watch, bookmark = viewer
        octets = self.follower.pull(bookmark)
        assert Step.LOST not in watch.hear(octets)
        if not watch.is_lost:
            assert watch.copy is not None
            assert watch.copy.octets == self.truth.was[watch.copy.version]

    @rule(viewer=viewers)
    def fetch(self, viewer: tuple[Watch, Bookmark]) -> None:
        """Have one that is lost fetch the map of this worker, while its stream stays open."""
        watch, _ = viewer
        if watch.is_lost:
            own = self.follower.seen
            watch.fetched(own.map, deltas.version(own.version))

    @rule(viewer=viewers)
    def settle(self, viewer: tuple[Watch, Bookmark]) -> None:
        """When everything has been read and told, a viewer has what the store has."""
        watch, bookmark = viewer
        assert self.follower.take(self.on_the_way)
        self.on_the_way = []
        self.follower.tell_seats()
        self.follower.tell(check_after=-1)
        self.follower.resets_left = 1
        self.hear(viewer)
        self.fetch(viewer)
        self.hear(viewer)
        assert watch.copy is not None
        assert (watch.copy.octets, watch.copy.version) == (self.truth.octets, self.truth.version)
        assert watch.copy.check(self.truth.version, self.truth.mark) is Step.KNOWN
        assert bookmark.at == self.follower.number

    @invariant()
    def the_worker_has_a_state_of_the_hall(self) -> None:
        """The copy is what the hall was at its version."""
        own = self.follower.seen
        assert own.map == self.truth.was[deltas.version(own.version)]
        assert own.counts == counts(own.map)


def run_viewing() -> None:
    """Run the machine; a mutant need not be shown at its smallest."""
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    own = settings(max_examples=100, stateful_step_count=30, phases=phases, report_multiple_bugs=False)
    run_state_machine_as_test(Viewing, settings=own)


def test_whatever_happens_a_viewer_sees_a_state_of_the_hall_and_in_the_end_the_last() -> None:
    """Row 72: snapshot and deltas are the server's state; nobody but those told so is ever lost."""
    run_viewing()


class Unordered(Copy):
    """Mutant: a worker's copy that takes anything, in any order."""

    def take(self, version: Version, text: str) -> Step:
        """Skip the check of the order, and of what is known."""
        deltas.put(self.octets, text)
        self.version = version
        return Step.NEXT


def test_a_worker_whose_copy_skips_the_order_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: what came twice and late is put over what is newer."""
    follower, truth = a_follower()
    first = truth.change({0: 1})
    second = truth.change({0: 0})
    assert follower.take([first, second, first])
    assert follower.seen.map == truth.was[truth.version]

    monkeypatch.setattr(following, "Copy", Unordered)
    mutant, _ = a_follower()
    mutant.take([first, second, first])
    assert mutant.seen.map != truth.was[truth.version]


def test_the_machine_notices_messages_that_are_joined_in_the_wrong_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: of several changes of a seat the first counts, not the last."""

    def backwards(texts: Iterable[str], seats: int) -> str:
        return coalesce(reversed(list(texts)), seats)

    monkeypatch.setattr(deltas, "coalesce", backwards)
    with pytest.raises(AssertionError):
        run_viewing()


def test_the_machine_notices_a_row_that_is_entered_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: whoever comes with an older version begins with what is new, and misses what is between."""
    place = Follower.place
    monkeypatch.setattr(Follower, "place", lambda self, bookmark, _at: place(self, bookmark, None))
    with pytest.raises(AssertionError):
        run_viewing()


# ----------------------------------------------------------------------------------------- single rules
def test_one_telling_is_one_message_in_the_order_of_seats() -> None:
    """Three holds, one of them given back: what is, not what was."""
    follower, truth = a_follower()
    arrives(follower, truth, {9: 1, 10: 1}, {2: 0x11}, {9: 0, 10: 0})
    told = follower.tell()

    assert told is not None
    assert told.octets == f"id: {truth.version}\ndata: 2=11,9+2=00\n\n".encode()
    assert follower.tell() is None


def test_a_hold_costs_a_viewer_less_than_a_hundred_bytes() -> None:
    """Row 72: four seats at the far end of a hall of 60,000, alone in their message."""
    follower, truth = a_follower(60_000)
    arrives(follower, truth, dict.fromkeys(range(59_990, 59_994), 0x41))
    told = follower.tell()

    assert told is not None
    assert len(told.octets) <= 100


def test_who_falls_behind_gets_all_of_it_in_one_message() -> None:
    """No queue for each: the row is the queue of all, and is joined anew."""
    follower, truth = a_follower()
    slow, as_slow = Bookmark(), Bookmark()
    follower.place(slow, BASE)
    follower.place(as_slow, BASE)
    for seat in range(5):
        arrives(follower, truth, {seat: 1})
        follower.tell()
    octets = follower.pull(slow)

    assert octets == f"id: {truth.version}\ndata: 0+5=01\n\n".encode()
    assert follower.pull(as_slow) is octets
    assert follower.pull(slow) == b""


def test_whoever_is_further_behind_than_the_row_reaches_is_told_to_fetch_the_map() -> None:
    """The row is bounded by its length and by its bytes; and a message that is longer than a map is not sent."""
    follower, truth = a_follower()
    slow = Bookmark()
    follower.place(slow, BASE)
    for number in range(following.TELLINGS_KEPT + 1):
        arrives(follower, truth, {0: number % 2})
        follower.tell()
    follower.resets_left = 1
    assert [one.event for one in heard(follower.pull(slow))] == ["reset"]

    wide, truth = a_follower(60_000)
    slow = Bookmark()
    wide.place(slow, BASE)
    for byte in (1, 2, 3, 4):
        arrives(wide, truth, dict.fromkeys(range(0, 7_000, 2), byte))
        assert wide.tell() is not None
    wide.resets_left = 1
    assert [one.event for one in heard(wide.pull(slow))] == ["reset"]
    arrives(wide, truth, dict.fromkeys(range(0, 12_000, 2), 5))
    assert wide.tell() is None
    assert wide.is_lost(slow)


def test_resets_are_paid_out() -> None:
    """A thousand viewers of a replaced copy do not fetch the map in the same instant; the others hear nothing."""
    follower, truth = a_follower()
    bookmarks = [Bookmark() for _ in range(5)]
    for bookmark in bookmarks:
        follower.place(bookmark, BASE)
    truth.rebuild()
    follower.lose()
    follower.resets_left = 2
    assert [follower.pull(bookmark) for bookmark in bookmarks] == [b""] * 5

    follower.begin(seen(truth))
    told = [follower.pull(bookmark) for bookmark in bookmarks]
    assert told == [following.reset(truth.version)] * 2 + [b""] * 3
    assert [follower.is_lost(bookmark) for bookmark in bookmarks] == [False] * 2 + [True] * 3


def test_a_viewer_that_is_ahead_hears_nothing_until_the_copy_has_passed_it() -> None:
    """Another worker was faster; older messages would make its copy lost."""
    follower, truth = a_follower()
    entries = [truth.change({seat: 1}) for seat in range(4)]
    ahead = Bookmark()
    assert follower.place(ahead, list(truth.was)[2])
    told = []
    for entry in entries:
        follower.take([entry])
        follower.tell()
        told.append(bool(follower.pull(ahead)))

    assert told == [False, False, True, True]


def test_a_version_of_another_epoch_or_before_the_row_has_no_place() -> None:
    """The store, or a reset, has to help."""
    follower, truth = a_follower()
    arrives(follower, truth, {1: 1})
    follower.tell()
    old = Version(1, BASE.ms - 1, 0)

    assert not follower.place(Bookmark(), old)
    assert not follower.place(Bookmark(), Version(2, BASE.ms + 1, 0))
    assert follower.place(Bookmark(), BASE)
    assert follower.place(Bookmark(), None)


def test_the_mark_is_told_after_so_many_deltas() -> None:
    """It is that of the version in the same telling."""
    follower, truth = a_follower()
    arrives(follower, truth, {1: 1}, {2: 1})
    told = follower.tell(check_after=2)
    assert told is not None
    assert [one.event for one in heard(told.octets)] == ["message"]

    arrives(follower, truth, {3: 1})
    told = follower.tell(check_after=2)
    assert told is not None
    assert [one.event for one in heard(told.octets)] == ["message", "check"]
    assert heard(told.octets)[1] == ("check", str(truth.version), truth.mark)
    assert follower.tell(check_after=0) is None
    assert follower.tell(check_after=-1) is not None


def test_keeping_alive_says_nothing() -> None:
    """A comment, and no version is passed over by it."""
    follower, truth = a_follower()
    bookmark = Bookmark()
    follower.place(bookmark, BASE)
    arrives(follower, truth, {1: 1})
    follower.keep_alive()
    assert follower.pull(bookmark) == KEEP_ALIVE

    follower.tell()
    assert [one.data for one in heard(follower.pull(bookmark))] == ["1=01"]


def test_sections_are_told_to_everybody_and_nothing_else() -> None:
    """While it lasts; afterwards everybody fetches the map. Whoever comes in between is told the same."""
    follower, truth = a_follower()
    before, between = Bookmark(), Bookmark()
    follower.place(before, BASE)
    follower.count([(15, 16)])
    follower.place(between, BASE)
    arrives(follower, truth, {1: 1})
    for bookmark in (before, between):
        (one,) = heard(follower.pull(bookmark))
        assert (one.event, one.id, json.loads(one.data)) == ("counts", "", {"sections": [[15, 16]]})
        assert follower.pull(bookmark) == b""

    follower.tell_seats()
    follower.resets_left = 2
    for bookmark in (before, between):
        assert [one.event for one in heard(follower.pull(bookmark))] == ["reset"]
    assert follower.told == truth.version


def test_what_nobody_is_told_takes_no_room() -> None:
    """Deltas that wait for a telling are joined when they are many."""
    follower, truth = a_follower()
    arrives(follower, truth, *({0: number % 2} for number in range(following.PENDING_MOST + 1)))
    told = follower.tell()

    assert told is not None
    assert told.text == "0=00"


def test_free_seats_are_counted_by_section() -> None:
    """Free is free in any tier; held, sold, blocked and kept are not."""
    octets = bytes((0x00, 0x10, 0x11, 0x02, 0x33, 0x04, 0x05, 0x20))
    assert free_by_section(octets, [(0, 3), (3, 4), (7, 1)]) == [(2, 3), (0, 4), (1, 1)]


def test_without_a_copy_there_is_nothing_to_tell() -> None:
    """Asking for it is a fault of ours."""
    follower = Follower()
    assert not follower.take([("1-0", "0=01")])
    assert follower.place(Bookmark(), BASE)
    with pytest.raises(RuntimeError, match="no copy"):
        follower.tell()
