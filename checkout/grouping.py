"""Grouping: writes of one worker that share a commit, where that helps.

On SQLite a commit waits for the disk and only one can write; whatever comes meanwhile shares the next commit. Each
piece of work stands in a savepoint of its own: one that fails takes nothing from the others. Where the database itself
refuses the group, each is tried alone, so that one bad statement costs nobody else the answer. PostgreSQL shares
commits by itself; there a group would hold all its locks at once, and two groups could wait for each other.

Two that add to one stream of the log at the same moment collide there (PostgreSQL): the slower one is done once more,
and sees what the faster one has added. To its caller that is no collision of its own rows.

A work function gets a connection, writes, and returns; it may be run twice, so it must depend on nothing but the
database. What it raises is raised to whoever waits. ``Unavailable`` means, as everywhere, that nobody knows whether it
was done. Not here: what is written.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from checkout.database import AWAY, ShopDatabase
from kernel.errors import Unavailable

log = logging.getLogger(__name__)

MOST = 64
"""Works that one commit carries."""

TRIES = 6
"""So often a work is done that others overtake in the log."""

STREAM_LAW = "event_log_stream"

Result = TypeVar("Result")
Work = Callable[[Connection], Result]


class Grouping:
    """One worker's writes to one database."""

    def __init__(self, database: ShopDatabase, most: int = MOST) -> None:
        self._database = database
        self._most = most
        self._is_grouped = database.dialect == "sqlite"
        self._waiting: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, work: Work[Result]) -> Result:
        """Do a piece of work in a transaction, and wait for its commit. Raises what it raises, or ``Unavailable``."""
        if not self._is_grouped:
            is_good, outcome = await asyncio.to_thread(self._alone, work)
            if not is_good:
                raise outcome
            result: Result = outcome
            return result
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((work, answer))
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._write())
        return await answer

    async def read(self, work: Work[Result]) -> Result:
        """Read what is committed."""

        def reading() -> Result:
            with self._database.reading() as connection:
                return work(connection)

        return await asyncio.to_thread(reading)

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                outcomes = await asyncio.to_thread(self._together, [work for work, _ in group])
            except BaseException as error:  # noqa: BLE001 (each who waits gets it)
                outcomes = [(False, error)] * len(group)
            for (_, answer), (is_good, outcome) in zip(group, outcomes, strict=True):
                if answer.done():
                    continue
                if is_good:
                    answer.set_result(outcome)
                else:
                    answer.set_exception(outcome)

    def _together(self, works: list[Work[Any]]) -> list[tuple[bool, Any]]:
        if len(works) == 1:
            return [self._alone(works[0])]
        try:
            with self._database.writing() as connection:
                return [_within(connection, work) for work in works]
        except _Broken:
            return [self._alone(work) for work in works]
        except Exception as error:  # noqa: BLE001 (the commit failed: nobody knows)
            return [(False, error)] * len(works)

    def _alone(self, work: Work[Any]) -> tuple[bool, Any]:
        for _ in range(TRIES):
            try:
                with self._database.writing() as connection:
                    return True, work(connection)
            except IntegrityError as error:
                if STREAM_LAW not in str(error.orig):
                    return False, error
                overtaken = error
            except Exception as error:  # noqa: BLE001 (who waits gets it)
                return False, error
        log.warning("others were faster each time", extra={"tries": TRIES})
        failure = Unavailable("shop-away", AWAY)
        failure.__cause__ = overtaken
        return False, failure


class _Broken(Exception):
    """The transaction cannot go on."""


def _within(connection: Connection, work: Work[Any]) -> tuple[bool, Any]:
    try:
        with connection.begin_nested():
            return True, work(connection)
    except IntegrityError as error:
        return False, error
    except SQLAlchemyError as error:
        raise _Broken from error
    except Exception as error:  # noqa: BLE001 (who waits gets it)
        return False, error
