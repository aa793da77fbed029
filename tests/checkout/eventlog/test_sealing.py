"""Sealing: every entry comes into exactly one block, whatever the order in which transactions end."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from checkout.database import ShopDatabase
from checkout.eventlog import sealing
from checkout.eventlog.entries import Block, block_hash
from checkout.eventlog.sealing import ALL_EVERY_MS, Sealer, Sealing
from checkout.eventlog.store import append, at_one_moment
from checkout.eventlog.verifying import PATIENCE_MS, verify
from checkout.metrics import Metrics
from checkout.tables import EVENT_LOG, LOG_BLOCKS, LOG_MEMBERS
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from tests.checkout.eventlog.test_log_store import AT_MS, a_draft, add
from tests.checkout.reservations import at_once

LATER_MS = AT_MS + 10 * PATIENCE_MS


def blocks(database: ShopDatabase) -> list[Block]:
    """Read the blocks."""
    with database.reading() as connection:
        return [
            Block(*row) for row in connection.execute(sa.select(LOG_BLOCKS).order_by(LOG_BLOCKS.c.number))
        ]


def members(database: ShopDatabase) -> dict[int, list[str]]:
    """Name the streams of each block's entries, in the order of their ids."""
    rows = sa.select(LOG_MEMBERS.c.block, EVENT_LOG.c.stream).join_from(
        LOG_MEMBERS, EVENT_LOG, EVENT_LOG.c.id == LOG_MEMBERS.c.entry
    )
    found: dict[int, list[str]] = {}
    with database.reading() as connection:
        for block, stream in connection.execute(rows.order_by(LOG_MEMBERS.c.entry)):
            found.setdefault(block, []).append(stream)
    return found


def faults(database: ShopDatabase) -> list[str]:
    """Verify, long after everything should have been sealed."""
    with database.reading() as connection:
        return [f"{where}: {what}" for where, what in verify(at_one_moment(connection), LATER_MS).faults]


def test_entries_come_into_blocks_in_batches(
    shop_database: ShopDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbered from 1, each with the hash of the one before; a quiet log gets no block."""
    monkeypatch.setattr(sealing, "BATCH", 3)
    sealer = Sealer(shop_database)
    assert sealer.seal(AT_MS) == 0
    ends = add(shop_database, *(a_draft(f"R{number}") for number in range(7)))

    assert sealer.seal(AT_MS + 5) == 7
    assert sealer.seal(AT_MS + 6) == 0

    found = blocks(shop_database)
    assert [(one.number, one.at_ms, one.entries) for one in found] == [
        (1, AT_MS + 5, 3), (2, AT_MS + 5, 3), (3, AT_MS + 5, 1),
    ]  # fmt: skip
    assert [one.prev for one in found] == ["", found[0].hash, found[1].hash]
    assert members(shop_database) == {1: ["R0", "R1", "R2"], 2: ["R3", "R4", "R5"], 3: ["R6"]}
    assert found[2].hash == block_hash(3, AT_MS + 5, found[1].hash, [ends["R6"].hash])
    assert faults(shop_database) == []


def test_a_block_is_never_older_than_the_one_before(shop_database: ShopDatabase) -> None:
    """A clock that was set back."""
    add(shop_database, a_draft("R1"))
    Sealer(shop_database).seal(AT_MS + 5)
    add(shop_database, a_draft("R2"))
    Sealer(shop_database).seal(AT_MS)

    assert [one.at_ms for one in blocks(shop_database)] == [AT_MS + 5, AT_MS + 5]
    assert faults(shop_database) == []


def test_several_sealers_at_once_make_one_chain(
    shop_database: ShopDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process of the background has one."""
    monkeypatch.setattr(sealing, "BATCH", 4)
    add(shop_database, *(a_draft(f"R{number:02}") for number in range(30)))

    sealed = at_once([lambda: Sealer(shop_database).seal(AT_MS)] * 4)

    assert sum(sealed) == 30
    assert sum(one.entries for one in blocks(shop_database)) == 30
    assert faults(shop_database) == []


@pytest.mark.parametrize("is_whole", [True, False], ids=["all are looked at", "mutant: the newest only"])
@pytest.mark.postgres
def test_an_entry_that_is_committed_late_is_sealed_too(
    postgres_shop: ShopDatabase, monkeypatch: pytest.MonkeyPatch, is_whole: bool
) -> None:
    """Its id is lower than that of many which were sealed before; who only asks for higher ones loses it for ever."""
    monkeypatch.setattr(sealing, "BACK", 2)
    sealer = Sealer(postgres_shop)
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with postgres_shop.writing() as connection:
            append(connection, [a_draft("R-slow")])
            begun.set()
            assert go_on.wait(30)

    thread = threading.Thread(target=slow)
    thread.start()
    assert begun.wait(30)
    add(postgres_shop, *(a_draft(f"R{number}") for number in range(9)))
    assert sealer.seal(AT_MS) == 9
    go_on.set()
    thread.join()

    assert sealer.seal(AT_MS + 1) == 0, "two ids back it is not to be seen"
    later = AT_MS + ALL_EVERY_MS - (0 if is_whole else 1)
    assert sealer.seal(later) == (1 if is_whole else 0)
    assert [told for told in faults(postgres_shop) if "in no block" not in told] == []
    assert len(faults(postgres_shop)) == (0 if is_whole else 1)


def test_shortly_late_entries_are_sealed_within_a_second(shop_database: ShopDatabase) -> None:
    """The look at the newest goes a good way back."""
    sealer = Sealer(shop_database)
    sealer.seal(AT_MS)
    with shop_database.writing() as connection:
        for id_ in (50, 51):
            row = {"id": id_, "event_id": "e", "stream": f"R{id_}", "seq": 1, "at_ms": AT_MS, "kind": "k",
                   "body": "{}", "prev": "", "hash": str(id_)}  # fmt: skip
            connection.execute(sa.insert(EVENT_LOG), row)
    assert sealer.seal(AT_MS + 1) == 2
    with shop_database.writing() as connection:
        row = {"id": 49, "event_id": "e", "stream": "R49", "seq": 1, "at_ms": AT_MS, "kind": "k", "body": "{}",
               "prev": "", "hash": "49"}  # fmt: skip
        connection.execute(sa.insert(EVENT_LOG), row)

    assert sealer.seal(AT_MS + 2) == 1
    assert members(shop_database) == {1: ["R50", "R51"], 2: ["R49"]}


# --------------------------------------------------------------------------------- background


@dataclass
class At:
    """A place."""

    name: str
    database: ShopDatabase


def sealed_s(metrics: Metrics, place: str) -> float | None:
    """Return when a place was last found sealed, as the metrics tell."""
    for one in metrics.log_sealed.collect()[0].samples:
        if one.labels["place"] == place:
            return one.value
    return None


class Away(ShopDatabase):
    """A database that is away."""

    def reading(self) -> object:  # type: ignore[override]
        """Refuse."""
        raise Unavailable("shop-away", "The shop cannot reach its database.")


async def test_in_the_background_every_place_is_sealed_whatever_another_does(
    shop_database: ShopDatabase, clock: ManualClock, tmp_path: object
) -> None:
    """One database is away: that is counted, and the other's log is sealed; the work ends when it is told to."""
    metrics = Metrics(CollectorRegistry())
    places: Sequence[At] = (At("a", Away(f"sqlite:///{tmp_path}/away.db")), At("b", shop_database))
    add(shop_database, a_draft())
    work = asyncio.create_task(Sealing(lambda: places, clock, metrics).run(0.01))

    while not sealed_s(metrics, "b"):  # noqa: ASYNC110 (a figure is polled)
        await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    assert sealed_s(metrics, "b") == clock.now_ms() / 1000
    assert sealed_s(metrics, "a") is None
    assert metrics.background_failures._tallies["seal"].count >= 1
    assert blocks(shop_database)[0].at_ms == clock.now_ms()
