"""The drills of the shop in their short form: a sale, the same while everything is killed, and one that is paid for.

Apart from ``test_drills``, which is long enough.
"""

import pytest

from tests.process.test_drills import play

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.crowd]


def test_a_seat_is_sold_once_while_everything_is_killed() -> None:
    """Shop, store and gate are killed and the store is wiped under holds: SQL, store and records still agree."""
    told = play("wreck")

    assert told["wreck-violations"]["value"] == 0
    assert told["wreck-places-lost"]["value"] == 0
    assert told["wreck-holds"]["details"]["reserved"] > 15


def test_every_seat_of_an_arena_is_sold_once() -> None:
    """140 fans in a hall of 60,000: holds, conflicts, reservations; SQL, store and records agree."""
    told = play("sale")

    assert told["sale-crowd"]["value"] == 140
    assert told["sale-checks"]["value"] >= 8
    assert told["sale-holds"]["value"] > 80
    assert told["sale-violations"]["details"]["looked_at"]["seats"] == 60_000


def test_nobody_is_charged_twice_while_the_bank_is_ill_and_the_shop_is_killed() -> None:
    """Lost and late answers, errors, notices that come twice or never, kill -9: what was told is what was charged."""
    told = play("paying")

    assert told["paying-crowd"]["value"] == 80
    assert told["paying-checks"]["value"] == 4
    assert told["paying-orders"]["value"] > 45
    assert told["paying-faults"]["value"] >= 36
