"""Loop lag: what is due waits as long as the probe says. The loop's own time stands still here."""

import asyncio
from collections.abc import Iterator

import pytest

from checkout.live.loop_lag import BEAT_S, BEATS_KEPT, LoopLag


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time is the test's."""

    now_s = 100.0

    def time(self) -> float:
        """Tell the test's time."""
        return self.now_s

    def turn(self) -> None:
        """Do whatever is due, and return."""
        self.call_soon(self.stop)
        self.run_forever()


@pytest.fixture
def loop() -> Iterator[Loop]:
    """Give such a loop."""
    own = Loop()
    yield own
    own.close()


def started(loop: Loop) -> LoopLag:
    """Start a probe in a loop."""
    probe = LoopLag()
    loop.call_soon(probe.start)
    loop.turn()
    return probe


def late_by(loop: Loop, seconds: float) -> None:
    """Have the next beat come so much too late."""
    loop.now_s += BEAT_S + seconds
    loop.turn()


def test_a_loop_in_time_has_no_lag(loop: Loop) -> None:
    """And one that has not begun has none either."""
    probe = started(loop)
    assert probe() == 0
    late_by(loop, 0)
    assert probe() == pytest.approx(0)


def test_the_lag_is_the_mean_of_a_second(loop: Loop) -> None:
    """One beat of twenty that is 200 ms late makes 10; when the second is over it is forgotten."""
    probe = started(loop)
    for late_s in (0.2, *[0.0] * (BEATS_KEPT - 1)):
        late_by(loop, late_s)
    assert probe() == pytest.approx(10)

    late_by(loop, 0)
    assert probe() == pytest.approx(0)


def test_a_stopped_probe_measures_no_more(loop: Loop) -> None:
    """Stopping twice is stopping once."""
    probe = started(loop)
    late_by(loop, 0.1)
    probe.stop()
    probe.stop()
    late_by(loop, 5)
    assert probe() == pytest.approx(100)
