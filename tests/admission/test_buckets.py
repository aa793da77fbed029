"""Buckets: one address gets its rate and its burst, no more, and memory stays bounded."""

import pytest

from admission.buckets import Buckets, network

NOW_MS = 1_800_000_000_000


def test_an_address_gets_its_burst_and_then_its_rate() -> None:
    """Three at once, then one each second at 60 per minute."""
    buckets = Buckets()

    taken = [buckets.take("main", "192.0.2.1", 60, 3, NOW_MS) for _ in range(4)]
    assert taken == [0, 0, 0, 1000]
    assert buckets.take("main", "192.0.2.1", 60, 3, NOW_MS + 999) == 1
    assert buckets.take("main", "192.0.2.1", 60, 3, NOW_MS + 1000) == 0


def test_addresses_and_rooms_do_not_share_a_bucket() -> None:
    """What one spends, another has."""
    buckets = Buckets()
    buckets.take("main", "192.0.2.1", 60, 1, NOW_MS)

    assert buckets.take("main", "192.0.2.2", 60, 1, NOW_MS) == 0
    assert buckets.take("other", "192.0.2.1", 60, 1, NOW_MS) == 0
    assert buckets.take("main", "192.0.2.1", 60, 1, NOW_MS) > 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("not:an:address", "not:an:address", True),
    ],
)
def test_an_ipv6_household_is_one_address(one: str, other: str, same: bool) -> None:
    """IPv6 counts by its /64."""
    assert (network(one) == network(other)) is same


def test_memory_is_bounded_and_the_busiest_are_remembered() -> None:
    """A flood of addresses cannot fill the memory, nor empty the bucket of who floods."""
    buckets = Buckets(most=30)
    for _ in range(5):
        buckets.take("main", "192.0.2.99", 60, 5, NOW_MS)
    for index in range(100):
        buckets.take("main", f"198.51.100.{index}", 60, 5, NOW_MS)

    assert len(buckets) <= 30
    assert buckets.take("main", "192.0.2.99", 60, 5, NOW_MS) > 0


def test_without_the_memory_of_the_busiest_a_flood_resets_the_limit() -> None:
    """The mutant: forgetting everything lets the flooder begin anew; the check above would notice."""

    class Forgetful(Buckets):
        def _forget(self, now_us: int) -> None:
            del now_us
            self._tats = {}

    buckets = Forgetful(most=30)
    for _ in range(5):
        buckets.take("main", "192.0.2.99", 60, 5, NOW_MS)
    for index in range(100):
        buckets.take("main", f"198.51.100.{index}", 60, 5, NOW_MS)

    assert buckets.take("main", "192.0.2.99", 60, 5, NOW_MS) == 0
