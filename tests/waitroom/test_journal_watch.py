"""The watch over the chain: it gets to the end by portions, goes on, and finds what was changed behind it."""

import sqlalchemy as sa

from kernel.clock import ManualClock
from kernel.database import address, engine
from tests.dashboards.outgoing import entry, parts
from waitroom import journal_watch
from waitroom.journal import Fault, Kind
from waitroom.journal_watch import AGAIN_MS, Verified


def spoil(url: str) -> None:
    """Change an old entry, as the owner of the database can."""
    made = engine(address(url, "journal"), "journal")
    with made.connect() as connection, connection.begin():
        connection.exec_driver_sql("DROP TRIGGER journal_entries_no_update")
        connection.execute(sa.text('UPDATE journal_entries SET body = \'{"who":"Eve"}\' WHERE seq = 2'))
    made.dispose()


def test_the_chain_is_checked_by_portions_and_again(
    tmp_path: object, clock: ManualClock, monkeypatch: object
) -> None:
    """What was changed behind it shows within the hour, and stays until the whole holds again."""
    url = f"sqlite:///{tmp_path}/journal.db"
    monkeypatch.setattr(journal_watch, "PORTION", 2)  # type: ignore[attr-defined]
    with parts(url, clock) as made:
        made.journal.append([entry(Kind.OPENED, n) for n in range(5)])
        watch = made.watch
        assert watch.known == Verified()
        assert [watch.step(), watch.step(), watch.step()] == [True, True, False]
        assert watch.known == Verified(5, clock.now_ms())
        made.journal.append([entry(Kind.OPENED, 9)])
        assert not watch.step()
        assert watch.known.seq == 6

        spoil(url)
        assert not watch.step()
        assert watch.known.fault is None
        clock.advance(AGAIN_MS)
        assert not watch.step()
        assert watch.known == Verified(1, clock.now_ms(), Fault(2, "the entry is not what its hash says"))
