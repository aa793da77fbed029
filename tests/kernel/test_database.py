"""Connections to a database: what is closed, is closed, also where a thread was still using it."""

from pathlib import Path

import sqlalchemy as sa

from kernel.database import address, close, engine


def test_what_is_in_use_at_the_close_is_closed_when_it_comes_back(tmp_path: Path) -> None:
    """A task that is ended leaves its thread behind, which gives its connection back after the engine was closed."""
    made = engine(address(f"sqlite:///{tmp_path}/a.db", "shop"), "shop")
    opened: list[object] = []
    closed: list[object] = []
    sa.event.listen(made, "connect", lambda connection, _record: opened.append(connection))
    sa.event.listen(made, "close", lambda connection, _record: closed.append(connection))

    with made.connect() as early:
        early.exec_driver_sql("SELECT 1")
        close(made)
        with made.connect() as late:
            late.exec_driver_sql("SELECT 1")

    assert len(opened) == 2
    assert sorted(map(id, closed)) == sorted(map(id, opened))
