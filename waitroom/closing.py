"""Closing: what somebody is told who cannot join a room now. Pure. Not here: who may join (``line``)."""

from kernel.errors import Refused
from waitroom.line import JOINABLE
from waitroom.reading import Reading
from waitroom.room_fields import StockState
from waitroom.schedule import Phase


def closed(reading: Reading, now_ms: int) -> Refused:
    """Say why nobody joins a room now, and when it opens if that is known."""
    phase = reading.line.phase if reading.line else Phase.IDLE
    opens_ms = reading.wanted.opens_ms
    if phase in {Phase.DRAINING, Phase.ENDED} and not (opens_ms and opens_ms > now_ms):
        if phase is Phase.DRAINING:
            return Refused(
                "room-draining",
                "Nobody joins this line any more. Whoever was called may still come in.",
                status=409,
                retry_after_s=60,
            )
        return Refused("room-over", "This sale is over. Nobody joins the line any more.", status=410)
    if phase in JOINABLE and reading.room.stock_state is StockState.SOLD_OUT:
        return Refused(
            "room-sold-out",
            "Everything is sold, so nobody joins this line any more. Who waits already keeps their place.",
            status=409,
        )
    wait_s = max(1, min(3600, -(-(opens_ms - now_ms) // 1000))) if opens_ms and opens_ms > now_ms else 5
    return Refused(
        "room-not-open",
        "The waiting room is not open yet. This page joins by itself when it opens.",
        status=409,
        retry_after_s=wait_s,
        opens_ms=opens_ms,
    )


def full() -> Refused:
    """Say that as many wait as the room takes."""
    return Refused(
        "room-full",
        "This waiting room is full. Nobody who waits loses their place; please try again a little later.",
        status=429,
        retry_after_s=30,
    )
