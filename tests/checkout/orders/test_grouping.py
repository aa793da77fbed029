"""Writes that share a commit: each succeeds or fails alone."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from checkout.database import ShopDatabase
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
