"""Second factors: a code counts once over all processes, failures lock, and the database gives no device away."""

import asyncio
from pathlib import Path

import pyotp
import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.people import factors as module
from checkout.people.factors import FAILURES_MOST, LOCKED_MS, RECOVERY_CODES, Enrolled, Factors, Shown
from checkout.tables import STAFF_FACTORS
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.totp import STEP_MS
from tests.checkout.people.sealed import keys_in

NOW_MS = 1_800_000_000_000


def open_factors(database: ShopDatabase, folder: Path, clock: ManualClock) -> Factors:
    """Open second factors as one process has them."""
    return Factors(database, keys_in(folder), clock)


def device(enrolled: Enrolled, clock: ManualClock) -> str:
    """Read the code that a person's device shows now."""
    own = pyotp.parse_uri(enrolled.address)
    assert isinstance(own, pyotp.TOTP)
    return own.at(clock.now_ms() // 1000)


def wrong(code: str) -> str:
    """Give a code that is not this one, nor one beside it by chance."""
    return code[:5]


async def test_a_code_counts_once(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """Then the next; whoever has no device needs none; without a code a person is asked for it."""
    clock = ManualClock(NOW_MS)
    factors = open_factors(shop_database, tmp_path, clock)
    enrolled = factors.enrol("ida")
    code = device(enrolled, clock)
    found = [await factors.show("ida", one) for one in ("", code, code)]
    clock.advance(STEP_MS)
    found.append(await factors.show("ida", device(enrolled, clock)))
    found += [await factors.show("a-program", one) for one in ("", code)]

    assert found == [
        Shown.MISSING, Shown.RIGHT, Shown.WRONG, Shown.RIGHT, Shown.NOT_NEEDED, Shown.NOT_NEEDED,
    ]  # fmt: skip


async def test_of_many_who_show_one_code_at_once_one_is_right(
    shop_database: ShopDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two processes; the lock of failures is out of the way here."""
    monkeypatch.setattr(module, "FAILURES_MOST", 100)
    clock = ManualClock(NOW_MS)
    one, two = (open_factors(shop_database, tmp_path, clock) for _ in range(2))
    code = device(one.enrol("ida"), clock)
    found = await asyncio.gather(*(own.show("ida", code) for own in (one, two) * 6))

    assert sorted(found) == [Shown.RIGHT] + [Shown.WRONG] * 11


async def test_failures_lock_and_the_lock_ends(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """Five in a row; then a right one does not count, until the very end of the quarter of an hour."""
    clock = ManualClock(NOW_MS)
    factors = open_factors(shop_database, tmp_path, clock)
    enrolled = factors.enrol("ida")
    almost = [await factors.show("ida", wrong(device(enrolled, clock))) for _ in range(FAILURES_MOST - 1)]
    right = await factors.show("ida", device(enrolled, clock))
    tried = [await factors.show("ida", wrong(device(enrolled, clock))) for _ in range(FAILURES_MOST)]
    clock.advance(LOCKED_MS - 1)
    locked = [
        await factors.show("ida", code) for code in (device(enrolled, clock), enrolled.recovery[0], "x")
    ]
    clock.advance(1)
    free = await factors.show("ida", device(enrolled, clock))

    assert almost == [Shown.WRONG] * (FAILURES_MOST - 1)
    assert right is Shown.RIGHT
    assert tried == [Shown.WRONG] * FAILURES_MOST
    assert locked == [Shown.LOCKED] * 3
    assert free is Shown.RIGHT


async def test_without_the_lock_everything_could_be_tried(
    shop_database: ShopDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: failures lock for no time."""
    monkeypatch.setattr(module, "LOCKED_MS", 0)
    clock = ManualClock(NOW_MS)
    factors = open_factors(shop_database, tmp_path, clock)
    enrolled = factors.enrol("ida")
    found = {await factors.show("ida", "x") for _ in range(3 * FAILURES_MOST)}

    assert found == {Shown.WRONG}
    assert await factors.show("ida", device(enrolled, clock)) is Shown.RIGHT


async def test_each_recovery_code_counts_once(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """As it is read from paper, in any letters; the others stay."""
    clock = ManualClock(NOW_MS)
    factors = open_factors(shop_database, tmp_path, clock)
    first, second, *others = factors.enrol("ida").recovery
    typed = f"{first[:4]} {first[4:].lower()}"
    found = [await factors.show("ida", one) for one in (typed, first, second)]

    assert found == [Shown.RIGHT, Shown.WRONG, Shown.RIGHT]
    assert len(others) == RECOVERY_CODES - 2
    assert all(len(code) == 16 for code in others)


async def test_a_new_device_ends_the_old_one_and_one_that_is_removed_is_gone(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """With its recovery codes."""
    clock = ManualClock(NOW_MS)
    factors = open_factors(shop_database, tmp_path, clock)
    old = factors.enrol("ida")
    new = factors.enrol("ida")
    found = [await factors.show("ida", one) for one in (old.recovery[0], device(new, clock))]
    removed = [factors.remove("ida") for _ in range(2)]

    assert found == [Shown.WRONG, Shown.RIGHT]
    assert removed == [True, False]
    assert await factors.show("ida", "") is Shown.NOT_NEEDED


async def test_the_database_gives_no_device_away(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """Its secret is sealed, recovery codes are hashes; a row that was moved to another name opens nothing."""
    clock = ManualClock(NOW_MS)
    factors = open_factors(shop_database, tmp_path, clock)
    enrolled = factors.enrol("ida")
    own = pyotp.parse_uri(enrolled.address)
    with shop_database.writing() as connection:
        dump = str(connection.execute(sa.select(STAFF_FACTORS)).one())
        connection.execute(sa.update(STAFF_FACTORS).values(name="eve"))

    assert own.secret not in dump
    assert not any(code in dump for code in enrolled.recovery)
    with pytest.raises(Unavailable) as caught:
        await factors.show("eve", device(enrolled, clock))
    assert caught.value.code == "factor-unreadable"
