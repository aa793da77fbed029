"""Track: half an hour of numbers, unknown ones as unknown."""

from hypothesis import given
from hypothesis import strategies as st

from dashboards.track import NAMES, Track

START_MS = 1_800_000_000_000


def filled(seconds: int) -> Track:
    """Keep as many seconds; the waiting count up."""
    track = Track()
    for second in range(seconds):
        track.add(START_MS + second * 1000, {"waiting": second, "cap": 500})
    return track


def test_half_an_hour_is_kept_and_no_more() -> None:
    """An hour goes in; what comes out is the last half, the newest included; the arrays do not grow."""
    track = filled(3600)

    series = track.series()
    assert (series["waiting"][0], series["waiting"][-1]) == (1799, 3599)
    assert len(series["t"]) == 1801
    assert len(track) <= 1801 + 64


def test_what_is_unknown_is_none_and_never_zero() -> None:
    """Words, truth and nothing are no numbers."""
    track = Track()
    track.add(START_MS, {"waiting": None, "called": "many", "rate": True, "cap": 0, "wait_low_s": 1.5})

    assert track.newest() == dict.fromkeys(NAMES) | {"t": START_MS / 1000, "cap": 0, "wait_low_s": 1.5}
    assert track.series()["waiting"] == [None]


def test_the_same_moment_replaces_and_an_earlier_one_begins_anew() -> None:
    """A clock that was set back leaves no plot that runs backwards."""
    track = filled(10)
    track.add(START_MS + 9000, {"waiting": 77})
    assert (len(track), track.newest()["waiting"]) == (10, 77)

    track.add(START_MS, {"waiting": 1})
    assert track.series()["waiting"] == [1]


def test_nothing_kept_is_nothing_told() -> None:
    """Before the first look."""
    assert Track().newest() == {}
    assert Track().series()["t"] == []


@given(
    gaps=st.lists(st.integers(1, 90_000), min_size=1, max_size=80),
    step_ms=st.sampled_from([1, 1000, 4000, 30_000, 180_000, 1 << 40]),
)
def test_thinned_out_each_step_has_its_last_moment(gaps: list[int], step_ms: int) -> None:
    """The reference: of the moments kept, the last of each whole step."""
    track, at_ms, times = Track(), START_MS, []
    for gap in gaps:
        at_ms += gap
        times.append(at_ms)
        track.add(at_ms, {"waiting": at_ms})

    kept = [time for time in times if time >= at_ms - 1_800_000]
    wanted = sorted({time // step_ms: time for time in kept}.values())
    assert track.series(step_ms)["t"] == [time / 1000 for time in wanted]
    assert track.series(step_ms, names=("waiting",)).keys() == {"t", "waiting"}
