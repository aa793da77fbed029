"""Windows in plain Python: their edges, retries, and what is kept of them."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.fraud.signals import Kind
from checkout.fraud.windows import (
    COUNTERS,
    DEFAULTS,
    Act,
    Answer,
    Limit,
    count,
    passed,
    read_limits,
    windows_of,
)
from kernel.clock import SET_BACK_MS
from kernel.errors import Misconfigured

NOW_MS = 1_800_000_000_000
WINDOW_MS = 60_000
EVERYBODY = {Kind.ACCOUNT: "a", Kind.DEVICE: "d", Kind.ADDRESS: "n", Kind.CARD: "c"}


def test_a_member_is_alive_until_its_window_is_over_and_not_at_that_instant() -> None:
    """Half-open, as every time here."""
    _, seen = count({}, 3, WINDOW_MS, "one", NOW_MS)

    assert count(seen, 3, WINDOW_MS, "", NOW_MS + WINDOW_MS - 1)[0] == 1
    assert count(seen, 3, WINDOW_MS, "", NOW_MS + WINDOW_MS)[0] == 0


def test_a_retry_counts_once() -> None:
    """However often it comes."""
    seen: dict[str, int] = {}
    for late_ms in range(5):
        number, seen = count(seen, 3, WINDOW_MS, "one", NOW_MS + late_ms)
        assert number == 1


def test_a_limit_is_passed_by_one_more_and_the_count_stops_there() -> None:
    """``most`` is what may be."""
    limits = {"card-attempts": Limit(3, WINDOW_MS, Answer.BLOCK)}
    seen: dict[str, int] = {}
    told = []
    for name in "abcdef":
        number, seen = count(seen, 3, WINDOW_MS, name, NOW_MS)
        told.append((number, bool(passed(limits, {"card-attempts": number}))))

    assert told == [(1, False), (2, False), (3, False), (4, True), (4, True), (4, True)]
    assert len(seen) == 4


def test_a_clock_that_was_an_hour_ahead_keeps_nobody_out_for_an_hour() -> None:
    """A little ahead is believed, much is forgotten."""
    _, seen = count({}, 3, WINDOW_MS, "one", NOW_MS)

    assert count(seen, 3, WINDOW_MS, "", NOW_MS - SET_BACK_MS)[0] == 1
    assert count(seen, 3, WINDOW_MS, "", NOW_MS - SET_BACK_MS - 1)[0] == 0


@dataclass
class Everything:
    """The plainest window there is: it keeps everything that is not over, and what was over stays over."""

    seen: dict[str, int] = field(default_factory=dict)

    def count(self, window_ms: int, member: str, now_ms: int) -> int:
        """Count who was seen in the last ``window_ms``."""
        self.seen = {one: at_ms for one, at_ms in self.seen.items() if now_ms < at_ms + window_ms}
        self.seen[member] = max(now_ms, self.seen.get(member, now_ms))
        return len(self.seen)


WAITS_MS = st.sampled_from((0, 1, WINDOW_MS // 2, WINDOW_MS - 1, WINDOW_MS, WINDOW_MS + 1, -SET_BACK_MS // 2))


@given(st.integers(1, 4), st.lists(st.tuples(WAITS_MS, st.integers(0, 7)), max_size=40))
def test_what_is_kept_is_enough(most: int, acts: list[tuple[int, int]]) -> None:
    """With ``most + 1`` members one knows as well as with all whether there are more than ``most``."""
    everything, seen, now_ms, latest_ms = Everything(), dict[str, int](), NOW_MS, NOW_MS
    for wait_ms, number in acts:
        # The clock goes back by less than SET_BACK_MS in all: what it says of the future is believed.
        now_ms = max(now_ms + wait_ms, latest_ms - SET_BACK_MS)
        latest_ms = max(latest_ms, now_ms)
        kept, seen = count(seen, most, WINDOW_MS, str(number), now_ms)

        assert kept == min(most + 1, everything.count(WINDOW_MS, str(number), now_ms))
        assert len(seen) <= most + 1


def test_an_attempt_looks_into_all_windows_and_writes_its_own() -> None:
    """An empty member only looks."""
    found = {window.name: window for window in windows_of(DEFAULTS, Act.PAY, EVERYBODY, "m")}

    assert found.keys() == COUNTERS.keys()
    assert {name for name, window in found.items() if window.member} == {
        name for name, counter in COUNTERS.items() if Act.PAY in counter.acts
    }
    assert found["device-accounts"].member == "a"
    assert found["account-cards"].member == "c"
    assert found["card-attempts"].member == "m"


@pytest.mark.parametrize(
    ("act", "names"),
    [
        (Act.PICK, {"device-accounts", "device-picks"}),
        (Act.DROP, {"account-drops", "device-drops"}),
        (Act.DECLINE, {"account-declines", "address-declines"}),
    ],
)
def test_any_other_act_touches_only_its_own_windows(act: Act, names: set[str]) -> None:
    """A hold is made thousands of times a second."""
    assert {window.name for window in windows_of(DEFAULTS, act, EVERYBODY, "m")} == names


def test_who_is_not_known_has_no_window_and_is_nobodys_member() -> None:
    """Before there is a card, only looks at what other cards the account had."""
    found = {w.name: w.member for w in windows_of(DEFAULTS, Act.PAY, {Kind.ACCOUNT: "a"}, "m")}

    assert found == {
        "account-attempts": "m",
        "account-cards": "",
        "account-drops": "",
        "account-declines": "",
    }
    assert windows_of(DEFAULTS, Act.PAY, {}, "m") == ()
    assert windows_of({}, Act.PAY, EVERYBODY, "m") == ()


def test_every_counter_has_a_default() -> None:
    """And none is passed by somebody who does a thing once."""
    assert DEFAULTS.keys() == COUNTERS.keys()
    assert all(limit.most > 1 and limit.then is not Answer.ALLOW for limit in DEFAULTS.values())


def test_an_operator_changes_single_limits() -> None:
    """The rest stays."""
    made = read_limits(["card-attempts=2/60/review", " device-picks = off "])

    assert made["card-attempts"] == Limit(2, 60_000, Answer.REVIEW)
    assert "device-picks" not in made
    assert made["account-attempts"] == DEFAULTS["account-attempts"]


@pytest.mark.parametrize(
    "rule",
    ["", "5", "5/600", "0/600/block", "5/0/block", "5/600/allow", "5/600/ban", "-1/600/block", "10001/600/block",
     "5/2592001/block", "5.5/600/block", "5/600/block/", "٣/600/block", "9999999999/1/block"],
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_named(rule: str) -> None:
    """With what it must look like."""
    with pytest.raises(Misconfigured) as caught:
        read_limits([f"card-attempts={rule}"])
    assert caught.value.faults[0].startswith("The limit card-attempts must be most/seconds/review")


def test_all_faults_of_limits_are_told_at_once() -> None:
    """Unknown ones, repeats, nonsense."""
    with pytest.raises(Misconfigured) as caught:
        read_limits(["cards=5/600/block", "device-picks=off", "device-picks=off", "card-attempts=many"])
    assert [fault.split()[2].rstrip(":;") for fault in caught.value.faults] == [
        "'cards'", "device-picks", "card-attempts",
    ]  # fmt: skip
