"""The clock: whole milliseconds, and a clock for tests that moves only when told to."""

import time

from kernel.clock import Clock, ManualClock, SystemClock


def test_the_system_clock_tells_whole_milliseconds_since_1970() -> None:
    """Unit and epoch are those of every `_ms` name."""
    before = time.time_ns() // 1_000_000
    now_ms = SystemClock().now_ms()

    assert isinstance(now_ms, int)
    assert before <= now_ms <= time.time_ns() // 1_000_000


def test_a_manual_clock_stands_still_until_it_is_moved(clock: ManualClock) -> None:
    """Only `advance` and `set` move it, backwards too."""
    clock_as_port: Clock = clock
    start_ms = clock_as_port.now_ms()

    assert clock.now_ms() == start_ms
    assert clock.advance(250) == start_ms + 250
    clock.advance(-1_250)
    assert clock.now_ms() == start_ms - 1_000
    clock.set(7)
    assert clock.now_ms() == 7
