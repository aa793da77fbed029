"""What the drills work out from what was seen: orders compared, memory judged, limits of open files told."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.drills.lottery import correlation
from bench.drills.sockets import CROWDS, crowds_for
from bench.drills.step import FULL, MB, SHORT, WORKER_MOST, memory_lines
from bench.harness import Bench
from bench.machine import Cores, Foreign
from gateway.crowd.sockets import TooFewSockets
from gateway.crowd.traces import STEP_TIMES


def bench(folder: Path) -> Bench:
    """Make a bench that pins nothing."""
    return Bench(folder, Cores(None, None), 1, 1, Foreign())


def test_the_correlation_is_spearmans() -> None:
    """1 for the same order, -1 for the opposite, by places and not by values; the textbook's example between."""
    assert correlation([1, 2, 3, 4], [10, 200, 3000, 40000]) == 1
    assert correlation([1, 2, 3, 4], [9, 8, 7, 6]) == -1
    iq, hours = [106, 86, 100, 101, 99, 103, 97, 113, 112, 110], [7, 0, 27, 50, 28, 29, 20, 12, 6, 17]
    assert correlation([float(x) for x in iq], [float(y) for y in hours]) == pytest.approx(-29 / 165)
    assert correlation([1.0], [1.0]) == 0


def test_the_step_is_ten_times_what_is_admitted() -> None:
    """Before it as many come as the room admits; full and short form differ in length and size only."""
    for size in (FULL, SHORT):
        per_s = size.per_minute / 60
        assert size.fans == round(per_s * size.calm_s + STEP_TIMES * per_s * size.held_s)
    assert FULL.held_s == 60


def _memory(worker_grows: int) -> list[tuple[float, dict[str, int]]]:
    until_s = SHORT.calm_s + SHORT.held_s
    return [
        (at_s, {"store": 9 * MB, "worker-0": round(100 * MB + worker_grows * at_s / until_s)})
        for at_s in range(round(until_s))
    ]


def test_flat_memory_meets_its_bound(tmp_path: Path) -> None:
    """A store and a worker that keep their size."""
    lines = list(memory_lines(bench(tmp_path), "step", _memory(0), SHORT))

    assert [(line.name, line.met) for line in lines] == [
        ("step-growth-store", True),
        ("step-growth-worker-0", True),
    ]


def test_memory_that_grows_with_the_waiting_is_noticed(tmp_path: Path) -> None:
    """Mutant: a worker that grows by three times the bound over the day."""
    lines = list(memory_lines(bench(tmp_path), "step", _memory(3 * WORKER_MOST), SHORT))

    assert [line.met for line in lines] == [True, False]


def test_two_looks_are_enough_on_a_slow_machine(tmp_path: Path) -> None:
    """A machine that is busy looks now and then only; what has grown between two looks is noticed all the same."""
    for grows, met in ((0, True), (3 * WORKER_MOST, False)):
        looks = [_memory(grows)[round(SHORT.calm_s + part * SHORT.held_s)] for part in (0.3, 0.9)]
        lines = list(memory_lines(bench(tmp_path), "step", looks, SHORT))

        assert [line.met for line in lines] == [True, met]


def test_memory_that_nobody_looked_at_is_missed(tmp_path: Path) -> None:
    """No samples are no proof."""
    lines = list(memory_lines(bench(tmp_path), "step", [], replace(SHORT)))

    assert [line.met for line in lines] == [False]


def test_too_few_files_are_told_in_one_sentence() -> None:
    """The drill says how many open files it needs and how many there are, before anything runs."""
    assert crowds_for(20_000, 19_872) == crowds_for(20_000, 1_000_000) == CROWDS

    with pytest.raises(TooFewSockets, match=r"1,152 are allowed.*ulimit -Hn 14128"):
        crowds_for(20_000, 1024)
