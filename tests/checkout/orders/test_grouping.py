"""Writes that share a commit: each succeeds or fails alone."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from checkout.database import ShopDatabase
from checkout.eventlog.entries import Draft
from checkout.eventlog.store import append, heads, stream
from checkout.grouping import Grouping
from checkout.tables import ORGANISERS
from kernel.errors import Unavailable


def adding(name: str) -> object:
    """Make work that adds an organiser."""

    def work(connection: Connection) -> str:
        connection.execute(sa.insert(ORGANISERS), {"id": name, "name": name})
        return name

    return work


async def test_works_that_come_together_share_a_commit(shop_database: ShopDatabase) -> None:
    """A hundred at once: all are there, on SQLite in far fewer transactions; PostgreSQL shares commits by itself."""
    commits = []
    sa.event.listen(shop_database._engine, "commit", lambda _: commits.append(1))
    group = Grouping(shop_database)

    done = await asyncio.gather(*(group.write(adding(f"o{at}")) for at in range(100)))  # type: ignore[arg-type]

    names = await group.read(lambda connection: set(connection.scalars(sa.select(ORGANISERS.c.id))))
    assert names == set(done) == {f"o{at}" for at in range(100)}
    assert len(commits) < 10 or shop_database.dialect == "postgresql"


async def test_one_that_fails_takes_nothing_from_the_others(shop_database: ShopDatabase) -> None:
    """A row that is there twice, a fault of the work itself, a statement that is none."""

    def faulty(connection: Connection) -> None:
        connection.execute(sa.insert(ORGANISERS), {"id": "half", "name": "half"})
        raise LookupError

    def nonsense(connection: Connection) -> None:
        connection.execute(sa.text("SELECT * FROM nowhere"))

    group = Grouping(shop_database)
    works = [adding("a"), adding("a"), faulty, adding("b"), nonsense, adding("c")]
    outcomes = await asyncio.gather(*(group.write(one) for one in works), return_exceptions=True)  # type: ignore[arg-type]

    names = await group.read(lambda connection: set(connection.scalars(sa.select(ORGANISERS.c.id))))
    assert names == {"a", "b", "c"}
    # Which of the two is first is PostgreSQL's to say: there they are on their way at the same time.
    assert sorted(type(one).__name__ for one in outcomes[:2]) == [IntegrityError.__name__, "str"]
    assert outcomes[0] == "a" or shop_database.dialect == "postgresql"
    assert [type(one) for one in (outcomes[2], outcomes[4])] == [LookupError, Unavailable]


async def test_who_goes_away_takes_nothing_along(tmp_path: Path) -> None:
    """A request that is cancelled while it waits; its work may be done, the others' is."""
    database = ShopDatabase(f"sqlite:///{tmp_path}/shop.db")
    database.open()
    group = Grouping(database)
    waiting = [asyncio.create_task(group.write(adding(f"o{at}"))) for at in range(8)]  # type: ignore[arg-type]
    await asyncio.sleep(0)
    waiting[3].cancel()

    done = await asyncio.gather(*waiting, return_exceptions=True)

    database.close()
    assert [one for one in done if not isinstance(one, str)] == [done[3]]
    with pytest.raises(asyncio.CancelledError):
        await waiting[3]


def telling(name: str, who: str) -> Callable[[Connection], object]:
    """Make a work that adds to a stream of the log where that ends, after a look at it and a moment."""

    def tell(connection: Connection) -> object:
        ends = heads(connection, [name])
        time.sleep(0.05)
        return append(connection, [Draft("e", name, "told", {"who": who}, 1)], ends)

    return tell


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "mutant"])
async def test_who_is_overtaken_in_the_log_is_done_again(
    is_guarded: bool, shop_database: ShopDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four at one stream at the same moment; one try alone would take it for a row of its own that is there."""
    if not is_guarded:
        monkeypatch.setattr("checkout.grouping.STREAM_LAW", "no such law")
    group = Grouping(shop_database)
    done = await asyncio.gather(
        *(group.write(telling("R1", str(number))) for number in range(4)), return_exceptions=True
    )
    refused = [one for one in done if isinstance(one, IntegrityError)]
    with shop_database.reading() as connection:
        entries = stream(connection, "R1")

    # SQLite lets one write at a time, so nobody is overtaken there.
    assert bool(refused) is (not is_guarded and shop_database.dialect == "postgresql")
    assert len(entries) == 4 - len(refused)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
