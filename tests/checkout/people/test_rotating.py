"""Rotation: every value gets a new key while others read and write; an old key goes when nothing uses it."""

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.people import rotating
from checkout.people.columns import SEALED_CONTACTS, SEALED_TABLES
from checkout.people.keys import PeopleKeys
from checkout.people.rotating import SETTLE_MS, Progress, Rotation, strangers, uses
from checkout.tables import CONTACTS, META
from kernel.sealing import CannotOpen
from tests.checkout.people.sealed import EVENT, NOW_MS, envelopes, keys_in, opened, put_contact

LATER_MS = NOW_MS + 10
SETTLED_MS = LATER_MS + SETTLE_MS


def still() -> tuple[str, bool]:
    """Say that no event moves."""
    return "", False


def rotation(keys: PeopleKeys, *databases: ShopDatabase) -> Rotation:
    """Make a rotation of these databases."""
    return Rotation(keys, {str(number): one for number, one in enumerate(databases)}, still)


def filled(database: ShopDatabase, folder: Path, count: int = 12) -> PeopleKeys:
    """Put contacts in, half of them with a name."""
    keys = keys_in(folder)
    for number in range(count):
        put_contact(database, keys, f"O{number:02}", f"fan{number}@example.org", "Ann" if number % 2 else "")
    return keys


EXPECTED = {f"O{number:02}": f"fan{number}@example.org" for number in range(12)}


def test_every_value_gets_the_new_key_and_the_old_one_goes(
    shop_database: ShopDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches, each told; the old key is dropped a minute later, when a last look finds nothing of it."""
    monkeypatch.setattr(rotating, "BATCH", 5)
    told: list[Progress] = []
    keys = filled(shop_database, tmp_path)
    first = keys.document.active.name
    own = Rotation(keys, {"main": shop_database}, still, told.append)

    rotated = own.begin(LATER_MS)
    own.seal(rotated)
    own.drop(rotated, SETTLED_MS - 1)
    early = dict(rotated.kept)
    own.drop(rotated, SETTLED_MS)

    assert (rotated.is_new, rotated.sealed, rotated.stuck) == (True, 12, 0)
    assert [(one.done, one.all) for one in told] == [(5, 12), (10, 12), (12, 12)]
    assert early == {first: "it was retired less than a minute ago"}
    assert (rotated.dropped, rotated.is_done) == ([first], True)
    assert opened(shop_database, keys_in(tmp_path)) == EXPECTED
    assert uses(shop_database, [first, rotated.active]) == {first: 0, rotated.active: 18}


def test_one_that_was_broken_off_goes_on(
    shop_database: ShopDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No third key is made, and what is done is not done again."""
    monkeypatch.setattr(rotating, "BATCH", 5)
    keys = filled(shop_database, tmp_path)

    class Killed(BaseException):
        pass

    def dies(progress: Progress) -> None:
        if progress.done == 5:
            raise Killed

    broken = Rotation(keys, {"main": shop_database}, still, dies)
    begun = broken.begin(LATER_MS)
    with pytest.raises(Killed):
        broken.seal(begun)
    assert opened(shop_database, keys) == EXPECTED

    later = keys_in(tmp_path)
    own = rotation(later, shop_database)
    rotated = own.begin(SETTLED_MS)
    own.seal(rotated)
    own.drop(rotated, SETTLED_MS)

    assert (rotated.is_new, rotated.active, rotated.sealed) == (False, begun.active, 7)
    assert rotated.is_done
    assert opened(shop_database, later) == EXPECTED


def test_what_a_buyer_changes_meanwhile_stands(
    shop_database: ShopDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is another one by then, sealed by whoever changed it; and without the look it would be undone."""
    keys = filled(shop_database, tmp_path, 1)
    own = rotation(keys, shop_database)
    rotated = own.begin(LATER_MS)
    really = rotating._batches

    def slowly(*args: object) -> object:
        for rows in really(*args):  # type: ignore[arg-type]
            own_row = {"event_id": EVENT, "order_id": "O00"}
            sealed = keys.seal("new@example.org", SEALED_CONTACTS.where(own_row, "email"))
            with shop_database.writing() as connection:
                connection.execute(sa.update(CONTACTS).values(email=sealed))
            yield rows

    monkeypatch.setattr(rotating, "_batches", slowly)
    own.seal(rotated)

    assert opened(shop_database, keys) == {"O00": "new@example.org"}
    assert rotated.sealed == 0


def test_who_reads_and_writes_meanwhile_sees_no_difference(
    shop_database: ShopDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process, which has the file open, reads all values again and again, and writes some."""
    monkeypatch.setattr(rotating, "BATCH", 3)
    keys = filled(shop_database, tmp_path)
    other = keys_in(tmp_path)
    wrong: list[object] = []
    done = threading.Event()

    def reads() -> None:
        number = 0
        while not done.is_set() or number < 3:
            try:
                found = opened(shop_database, other)
                put_contact(shop_database, other, f"P{number:04}", "late@example.org")
            except CannotOpen as error:
                wrong.append(error)
                return
            if {order: email for order, email in found.items() if order[0] == "O"} != EXPECTED:
                wrong.append(found)
            number += 1

    reader = threading.Thread(target=reads)
    reader.start()
    own = rotation(keys, shop_database)
    for at_ms in (LATER_MS, SETTLED_MS, SETTLED_MS + SETTLE_MS):
        rotated = own.begin(at_ms)
        own.seal(rotated)
        own.drop(rotated, at_ms)
    done.set()
    reader.join()

    assert wrong == []
    assert strangers(shop_database, [key.name for key in keys.document.keys]) == 0


def test_a_key_in_use_is_not_dropped_however_late(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """A value that does not open keeps its key; a value of a key that is gone is found as a stranger's."""
    keys = filled(shop_database, tmp_path, 2)
    first = keys.document.active.name
    with shop_database.writing() as connection:
        torn = CONTACTS.c.email + "AAAA"
        connection.execute(sa.update(CONTACTS).where(CONTACTS.c.order_id == "O00").values(email=torn))
    own = rotation(keys, shop_database)
    rotated = own.begin(LATER_MS)
    own.seal(rotated)
    own.drop(rotated, SETTLED_MS)

    assert (rotated.sealed, rotated.stuck) == (1, 1)
    assert rotated.kept == {first: "1 values use it"}
    keys.drop([first])
    assert strangers(shop_database, [rotated.active]) == 1


def test_without_the_last_look_values_would_be_lost(
    shop_database: ShopDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: nobody counts, the key goes, and a value that came late opens nowhere."""
    keys = filled(shop_database, tmp_path, 2)
    own = rotation(keys, shop_database)
    rotated = own.begin(LATER_MS)
    monkeypatch.setattr(rotating, "uses", lambda *_: rotating.Counter())
    own.drop(rotated, SETTLED_MS)

    with pytest.raises(CannotOpen):
        opened(shop_database, keys)


@pytest.mark.parametrize("moves", [[("a", True)] * 2, [("a", False), ("b", False)]])
def test_nothing_is_dropped_while_an_event_moves(
    moves: list[tuple[str, bool]], shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """Its rows may be in neither database when they are looked for."""
    keys = filled(shop_database, tmp_path, 2)
    told = iter(moves)
    own = Rotation(keys, {"main": shop_database}, lambda: next(told))
    rotated = own.begin(LATER_MS)
    own.seal(rotated)
    own.drop(rotated, SETTLED_MS)

    assert list(rotated.kept.values()) == ["an event is on its way to another shard"]


def test_every_database_of_a_shop_is_sealed_anew(shop_urls: tuple[str, ...], tmp_path: Path) -> None:
    """The main one, and every shard's."""
    databases = [ShopDatabase(url) for url in shop_urls]
    keys = keys_in(tmp_path)
    for number, database in enumerate(databases):
        put_contact(database, keys, f"O{number}", f"fan{number}@example.org")
    own = rotation(keys, *databases)
    rotated = own.begin(LATER_MS)
    own.seal(rotated)
    own.drop(rotated, SETTLED_MS)

    assert (rotated.sealed, rotated.is_done) == (3, True)
    assert [opened(one, keys) for one in databases] == [{f"O{n}": f"fan{n}@example.org"} for n in range(3)]
    for database in databases:
        database.close()


def test_the_list_of_sealed_columns_is_what_the_tables_have() -> None:
    """Each names columns of its table, and every table with an address is among them."""
    for own in SEALED_TABLES:
        assert set(own.columns) <= set(own.table.columns.keys())
    with_address = {table.name for table in META.tables.values() if "email" in table.columns}
    assert with_address == {own.table.name for own in SEALED_TABLES if "email" in own.columns}


def test_a_dump_of_the_database_tells_no_address_and_no_name(tmp_path: Path, templates: object) -> None:
    """Seed row 27: not in a table, not in an index, not in what was deleted and still lies in the file."""
    file = tmp_path / "shop.db"
    templates.fill(f"sqlite:///{file}")  # type: ignore[attr-defined]
    database = ShopDatabase(f"sqlite:///{file}")
    put_contact(database, keys_in(tmp_path), "O1", "annabel@example.org", "Annabel Quaverton")
    assert len(envelopes(database)) == 1
    database.close()

    with sqlite3.connect(file) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    octets = b"".join(path.read_bytes() for path in tmp_path.glob("shop.db*"))
    for word in ("annabel", "example.org", "Quaverton"):
        assert word not in dump
        assert word.encode() not in octets
