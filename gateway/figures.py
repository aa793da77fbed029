"""Figures: a room's present numbers, for the console and the API, in one trip to the store.

What the numbers are made of belongs to the line, the door and the gate. A look reads all of it with the line's own
snapshot, in one transaction; so the numbers are of one moment, and whoever looks keeps the room's reading up to date on
the way (ADR 0042). Nothing is decided here.
"""

from collections import deque
from collections.abc import Collection, Mapping

from admission.store import AdmissionStore, Headcount
from dashboards.ports import Look
from dashboards.recording import Recorder
from dashboards.sampling import Listener
from gateway.metrics import CLOCK_APART, HISTORY_PUT_OFF
from gateway.origins import COUNTED, counts_key, counts_of, health_of, origin_key
from kernel.clock import Clock
from waitroom.lanes import Lane
from waitroom.line import Line, covered
from waitroom.reading import Reading
from waitroom.service import Waitroom

MINUTE_MS = 60_000
SAMPLE_MS = 500
LEAST_SPAN_MS = 10_000


class RoomFigures:
    """``dashboards.ports.Figures`` and ``Looks``."""

    def __init__(self, waitroom: Waitroom, doors: AdmissionStore, clock: Clock) -> None:
        """Read what `waitroom` and `doors` keep in the store."""
        self._waitroom = waitroom
        self._doors = doors
        self._clock = clock
        self._admitted: dict[str, deque[tuple[int, int]]] = {}

    async def names(self) -> Collection[str]:
        """Name the rooms that may be there: those that were removed still have their names, and a wiped store has none.

        What this process remembers is looked at, too, until the gates have put it back.
        """
        return {*await self._waitroom.store.rooms(), *self._waitroom.readings}

    async def look(self, name: str) -> Look | None:
        """Look at a room."""
        now_ms = self._clock.now_ms()
        beside = [
            *self._doors.counting(name, now_ms),
            ("HLEN", self._waitroom.store.keys(name).slowed),
            ("HGETALL", origin_key(name)),
            ("HMGET", counts_key(name), *COUNTED),
            ("TIME",),
        ]
        reading = await self._waitroom.refresh_room(name, beside)
        return None if reading is None else Look(reading.base, self._told(reading, now_ms))

    async def figures(self, room: str) -> Mapping[str, object]:
        """Return the numbers by the names that ``dashboards.ports`` lists."""
        seen = await self.look(room)
        return {} if seen is None or seen.figures is None else seen.figures

    def _told(self, reading: Reading, now_ms: int) -> dict[str, object]:
        line = reading.line
        if line is None or not reading.beside:
            return {}
        *replies, slowed, origin, counts, (seconds, microseconds) = reading.beside
        count = self._doors.counted(replies, now_ms)
        return {
            **_of_line(line),
            **_of_wait(reading, line, now_ms),
            **_of_door(count),
            **health_of(origin, now_ms),
            **counts_of(counts),
            "slowed": slowed,
            "admitted_per_minute": self._per_minute(reading.base.name, now_ms, count.admitted),
            "store_ms": seconds * 1000 + microseconds // 1000,
            "store_age_ms": max(0, now_ms - reading.read_ms),
        }

    def _per_minute(self, room: str, now_ms: int, admitted: int) -> int | None:
        """Compare with a minute ago; None until this process has looked for ten seconds."""
        seen = self._admitted.setdefault(room, deque(maxlen=600))
        if seen and admitted < seen[-1][1]:
            seen.clear()
        if not seen or now_ms - seen[-1][0] >= SAMPLE_MS:
            seen.append((now_ms, admitted))
        while len(seen) > 1 and now_ms - seen[1][0] >= MINUTE_MS:
            seen.popleft()
        since_ms, before = seen[0]
        span_ms = now_ms - since_ms
        return round((admitted - before) * MINUTE_MS / span_ms) if span_ms >= LEAST_SPAN_MS else None


def telling_clocks(recorder: Recorder) -> Listener:
    """Show with each look whether clocks are apart, and whether the history has put off to forget."""

    def tell(name: str, at_ms: int, figures: Mapping[str, object]) -> None:
        del name, at_ms, figures
        CLOCK_APART.set(recorder.apart_ms / 1000)
        HISTORY_PUT_OFF.set(recorder.is_put_off)

    return tell


def _of_line(line: Line) -> dict[str, object]:
    """Tell of the line; numbers that nobody was given, behind a loss of the store, are nobody's."""
    given = line.issued - covered(line.void, 0, line.issued)
    return {
        "phase": str(line.phase),
        "opening": line.opening,
        "run": line.run,
        "opened_ms": line.opened_ms,
        "epoch": line.epoch,
        "waiting": line.waiting,
        "issued": given,
        "serving": line.serving.standard,
        "called_in_all": given - line.waiting,
        "plan_per_minute": line.plan_per_minute,
        "lane_verified": line.joined_verified,
        "lane_standard": max(0, given - line.joined_verified - line.joined_suspect),
        "lane_suspect": line.joined_suspect,
    }


def _of_wait(reading: Reading, line: Line, now_ms: int) -> dict[str, object]:
    """Tell what whoever joins now is told; before a draw nobody's wait is known."""
    place = reading.place(line.issued, Lane.STANDARD, now_ms)
    told, learned, plan = reading.wait(place, Lane.STANDARD), reading.learned, line.plan_per_minute
    return {
        "max_estimated_time_minutes": -(-line.waiting // plan) if plan else None,
        "wait_low_s": round(told.low_s) if told else None,
        "wait_high_s": round(told.high_s) if told else None,
        "wait_held": learned.held if learned else None,
        "wait_held_of": learned.of if learned else None,
    }


def _of_door(count: Headcount) -> dict[str, object]:
    return {
        "called": count.next + count.recall,
        "active_sessions": count.live,
        "admitted": count.admitted,
        "show_ratio": count.show_ratio,
    }
