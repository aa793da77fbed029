"""The demo's evenings lie ahead, whenever the demo is started."""

from datetime import UTC, datetime, timedelta

from checkout.catalogue.evenings import EVENTS, evening

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


def test_every_evening_is_a_saturday_at_eight_and_lies_ahead() -> None:
    """The programme follows the time, on whatever day of the week the demo is started."""
    for day in range(8):
        now_ms = NOW_MS + day * DAY_MS
        for event in EVENTS:
            at = evening(event, now_ms)
            assert (at.weekday(), at.hour) == (5, 20)
            assert at - datetime.fromtimestamp(now_ms / 1000, UTC) > timedelta(weeks=event.weeks_ahead - 1)
