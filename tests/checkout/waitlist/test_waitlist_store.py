"""The waitlist's rows: what the database itself holds, whoever writes."""

import asyncio

import pytest
import sqlalchemy as sa

from checkout.halls.seats import hold_id_text
from checkout.tables import WAITLIST
from checkout.waitlist.store import EntryState
from tests.checkout.waitlists import EVENT, NOW_MS, sold_out


async def test_the_index_stands_behind_the_lock(shop_url: str, store_url: str) -> None:
    """Two live entries of one buyer are refused by the database itself."""
    async with sold_out(shop_url, store_url) as scene:
        await scene.join("ann")
        row = {
            "event_id": EVENT, "number": 9, "buyer": "ann", "wanted": 1, "state": "offered", "created_ms": 0,
        }  # fmt: skip
        with pytest.raises(sa.exc.IntegrityError), scene.database.writing() as connection:
            connection.execute(sa.insert(WAITLIST).values(row))


async def test_of_two_who_change_an_entry_one_wins(shop_url: str, store_url: str) -> None:
    """Each change names the state that it leaves."""
    async with sold_out(shop_url, store_url) as scene:
        await scene.join("ann")
        (entry,) = scene.rows.entries(EVENT)

        won = await asyncio.gather(
            *(
                asyncio.to_thread(scene.rows.offer, entry, hold_id_text(b"12345678"), NOW_MS, NOW_MS)
                for _ in range(8)
            ),
            *(asyncio.to_thread(scene.rows.end, entry, EntryState.LEFT) for _ in range(8)),
        )

        assert sum(won) == 1
