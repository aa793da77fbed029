"""Arrivals: drawn up front, seeded, of the wanted shape, whatever the room does."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from gateway.crowd.traces import BUILT_IN, START_RATIO, Shape, arrivals, read_trace, start_s


@pytest.mark.parametrize("shape", list(Shape))
def test_every_fan_comes_within_the_duration_and_in_order(shape: Shape) -> None:
    """Times are sorted and lie in [0, duration)."""
    times = arrivals(shape, 3000, 60.0, Random(1))

    assert len(times) == 3000
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < 60.0


@pytest.mark.parametrize("shape", list(Shape))
def test_the_same_seed_brings_the_same_crowd(shape: Shape) -> None:
    """Arrivals are a function of the seed and of nothing else."""
    assert arrivals(shape, 50, 60.0, Random(4)) == arrivals(shape, 50, 60.0, Random(4))
    assert arrivals(shape, 50, 60.0, Random(4)) != arrivals(shape, 50, 60.0, Random(5))


def test_an_onsale_ramps_up_steps_at_the_start_and_has_a_long_tail() -> None:
    """The fullest second is that of the start; half the duration after it people still come."""
    times = arrivals(Shape.ONSALE, 20_000, 100.0, Random(2))
    by_second = Counter(int(time_s) for time_s in times)
    start_s = int(START_RATIO * 100)

    assert max(by_second, key=lambda second: by_second[second]) == start_s
    assert by_second[start_s] > 20 * by_second[start_s - 15] > 0
    ramp = [by_second[second] for second in range(start_s - 10, start_s)]
    assert sum(ramp[5:]) > 1.5 * sum(ramp[:5])
    assert by_second[start_s + 5] > by_second[start_s + 30] > 0
    assert by_second[99] > 0


def test_the_flash_of_1998_keeps_its_shape_when_it_is_scaled() -> None:
    """The share of fans in each hundredth of the time is that of the recorded requests, within chance."""
    counts = read_trace(BUILT_IN[Shape.FLASH])
    times = arrivals(Shape.FLASH, 50_000, 240.0, Random(3))
    per_row = Counter(int(time_s * len(counts) / 240.0) for time_s in times)

    for row in range(0, len(counts), 7):
        expected = 50_000 * counts[row] / sum(counts)
        assert abs(per_row[row] - expected) < 5 * expected**0.5 + 3
    assert max(counts) > 40 * min(count for count in counts[:60] if count)


def test_a_step_is_tenfold_within_a_second_and_held() -> None:
    """Ten seconds calm, then at once ten times as many, every second until the end."""
    times = arrivals(Shape.STEP, 61_000, 70.0, Random(3))
    by_second = Counter(int(time_s) for time_s in times)

    assert start_s(Shape.STEP, 70.0) == 10
    assert all(60 < by_second[second] < 140 for second in range(10))
    assert all(850 < by_second[second] < 1150 for second in range(10, 70))


def test_a_table_of_ones_own_is_a_shape(tmp_path: Path) -> None:
    """``trace:FILE`` stretches its rows over the duration; an empty row brings nobody."""
    table = tmp_path / "own.csv"
    table.write_text("minute_utc,requests\na,1\nb,0\nc,3\n")

    times = arrivals(f"trace:{table}", 4000, 30.0, Random(6))

    parts = Counter(int(time_s // 10) for time_s in times)
    assert parts[1] == 0
    assert 2.5 < parts[2] / parts[0] < 3.6


@pytest.mark.parametrize(
    "text", ["", "minute_utc,visits\na,1\n", "minute_utc,requests\na,many\n", "minute_utc,requests\na,0\n",
             "minute_utc,requests\na,-1\nb,2\n", "minute_utc,requests\na,nan\n"]
)  # fmt: skip
def test_a_table_that_is_no_trace_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    """Every fault names the file."""
    table = tmp_path / "bad.csv"
    table.write_text(text)

    with pytest.raises(ValueError, match=r"bad\.csv"):
        arrivals(f"trace:{table}", 10, 30.0, Random(6))


def test_an_unknown_shape_is_refused_with_those_that_there_are() -> None:
    """The sentence lists the known shapes."""
    with pytest.raises(ValueError, match="onsale, constant, flash, match, step"):
        arrivals("wave", 10, 30.0, Random(6))
