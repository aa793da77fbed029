"""Selling: on sale from the first millisecond to the last, and never outside."""

import pytest

from checkout.catalogue.selling import Sale, Standing, State, Window, next_change_ms, sale

FROM_MS, UNTIL_MS = 1_000, 2_000


@pytest.mark.parametrize(
    ("state", "now_ms", "expected", "changes_ms"),
    [
        (State.PUBLISHED, 0, Sale(Standing.NOT_YET, FROM_MS), FROM_MS),
        (State.PUBLISHED, FROM_MS - 1, Sale(Standing.NOT_YET, FROM_MS), FROM_MS),
        (State.PUBLISHED, FROM_MS, Sale(Standing.ON_SALE), UNTIL_MS),
        (State.PUBLISHED, UNTIL_MS - 1, Sale(Standing.ON_SALE), UNTIL_MS),
        (State.PUBLISHED, UNTIL_MS, Sale(Standing.OVER, UNTIL_MS), None),
        (State.PUBLISHED, UNTIL_MS + 1, Sale(Standing.OVER, UNTIL_MS), None),
        (State.DRAFT, FROM_MS, Sale(Standing.DRAFT), None),
        (State.CANCELLED, FROM_MS, Sale(Standing.CANCELLED), None),
        (State.CANCELLED, UNTIL_MS, Sale(Standing.CANCELLED), None),
    ],
)
def test_the_sale_stands_as_its_window_and_state_say(
    state: State, now_ms: int, expected: Sale, changes_ms: int | None
) -> None:
    """The table of all cases, at the edges of the window; the exact time is told."""
    window = Window(state, FROM_MS, UNTIL_MS)

    assert sale(window, now_ms) == expected
    assert next_change_ms(window, now_ms) == changes_ms
