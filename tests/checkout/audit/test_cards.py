"""What looks like a card number, and what of ours does not; and that one is found wherever it may have been put."""

import random
import secrets
import sqlite3
import time
import zlib
from hashlib import sha256
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa

from checkout.audit.cards import card_numbers, has_luhn, issuer_of
from checkout.audit.scanning import OVERLAP_BYTES, PIECE_BYTES, in_file, in_files, in_sql, in_store, in_text
from checkout.database import ShopDatabase
from checkout.tables import META, NOTICES, ORGANISERS
from kernel.embedded import EmbeddedStore

DIGITS = "4242" * 4
"""Put together here, so that this file has none."""

TESTED = {
    "visa": ("4242" * 4, "4000056655665556", "4222222222222"),
    "mastercard": ("55" * 2 + "5" * 8 + "4444", "2223003122003222", "5105105105105100"),
    "amex": ("378282246310005", "371449635398431"),
    "discover": ("6011111111111117", "6011000990139424"),
    "diners": ("3056930009020004", "36227206271667"),
    "jcb": ("3566002020360505",),
    "unionpay": ("6200000000000005", "6205500000000000004"),
    "maestro": ("6759649826438453", "5018" + "0000" * 2 + "0009"),
}
"""Numbers that providers and schemes publish for tests."""


def found(text: str | bytes) -> list[str]:
    """Name whose numbers are found."""
    return [one.issuer for one in card_numbers(text.encode() if isinstance(text, str) else text)]


@pytest.mark.parametrize(("issuer", "number"), [(one, text) for one, all_ in TESTED.items() for text in all_])
def test_each_issuers_numbers_are_found(issuer: str, number: str) -> None:
    """Alone, in a sentence, between letters, in JSON, and as the store writes it down."""
    assert has_luhn(number)
    assert issuer_of(number) == issuer
    for text in (number, f"card {number}.", f"EUR{number}x", f'{{"n":"{number}"}}', f"$16\r\n{number}\r\n"):
        assert found(text) == [issuer], text


@pytest.mark.parametrize(
    "text",
    [
        "4242 4242 4242 4242", "4242-4242-4242-4242", "3782 822463 10005", "3782-822463-10005",
        "3622 720627 1667", "6205 5000 0000 0000 004", "seat 3, 4242 4242 4242 4242",
    ],
)  # fmt: skip
def test_groups_as_on_a_card_are_one_number(text: str) -> None:
    """With one space or one dash between them."""
    assert len(found(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"{DIGITS[:-1]}3",
        f"1{DIGITS}", f"{DIGITS}1", f"{DIGITS}{DIGITS}",
        f"0.{DIGITS}", "7 4242 4242 4242 4242", "4242 4242 4242 4242 7", "4242  4242  4242  4242",
        "4242 4242-4242 4242", "4,242,424,242,424,242", "4242:4242:4242:4242",
        "0000000000000000", "1111111111111117", "9999999999999995",
        "4242424242", "12 13 14 15 16 17 18 19 20 21",
        f"sha256:{DIGITS}deadbeefdeadbeef", f"abcdef0123{DIGITS}",
    ],
)  # fmt: skip
def test_what_is_no_card_number_is_left_alone(text: str) -> None:
    """A wrong last digit, longer numbers, fractions, lists of seats, other groups, one digit throughout, hashes."""
    assert found(text) == []


def test_our_own_times_and_ids_are_left_alone() -> None:
    """Times in milli-, micro- and nanoseconds of ten years, hashes, ids, keys: no false alarm in a million and more."""
    dice = random.Random(5)
    year_ms = 365 * 86_400_000
    times = [1_700_000_000_000 + dice.randrange(9 * year_ms) for _ in range(100_000)]
    lines = [f"{at} {at}000 {at * 1000 + 7} {at}123456 {at}-0" for at in times]
    lines += [sha256(str(number).encode()).hexdigest() for number in range(100_000)]
    lines += [f"pi_{secrets.token_hex(12)} O{secrets.token_urlsafe(8)}" for _ in range(100_000)]
    lines += [f"fan{number:019d}"[:16] for number in range(10_000)]

    assert found("\n".join(lines)) == []


def test_a_check_without_the_last_digit_would_cry_wolf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: without Luhn numbers that are nobody's are taken for cards; without issuers as well."""
    wrong = f"{DIGITS[:-1]}3"
    monkeypatch.setattr("checkout.audit.cards.has_luhn", lambda _: True)
    assert found(wrong) == ["visa"]
    monkeypatch.setattr("checkout.audit.cards.has_luhn", has_luhn)
    monkeypatch.setattr("checkout.audit.cards.issuer_of", lambda _: "anybody")
    assert found(
        next(text for text in map(str, range(1_800_000_000_000, 1_800_000_000_010)) if has_luhn(text))
    )


def test_a_finding_does_not_tell_the_number() -> None:
    """Six digits and four; the scan must not be what spreads it."""
    (one,) = in_text("here", DIGITS.encode())

    assert DIGITS not in one.line()
    assert one.line() == "here: what looks like a card number (visa, 424242…4242)"


# --------------------------------------------------------------------------------- planted


def planted(where: str) -> str:
    """Make the number part of something, as it would come along."""
    return f'{{"{where}": "{DIGITS}"}}'


def test_one_in_a_database_is_found_in_its_rows(shop_url: str) -> None:
    """In a text of any table, on either kind of database; and nothing is found before."""
    database = ShopDatabase(shop_url)
    database.open()
    assert list(in_sql(shop_url)) == []
    with database.writing() as connection:
        connection.execute(sa.insert(ORGANISERS), {"id": "o", "name": planted("name")})
    (one,) = in_sql(shop_url)
    database.close()

    assert one.where == "table organisers, row 0, name"
    assert {table.name for table in META.sorted_tables} >= {NOTICES.name}


def test_one_in_a_column_of_octets_is_found(tmp_path: Path) -> None:
    """SQL's blobs, and whole numbers."""
    database = ShopDatabase(f"sqlite:///{tmp_path}/shop.db")
    database.open()
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE a (b BLOB, c INTEGER)")
        connection.exec_driver_sql("INSERT INTO a VALUES (?, ?)", (DIGITS.encode(), int(DIGITS)))
    where = sorted(one.where for one in in_sql(f"sqlite:///{tmp_path}/shop.db"))
    database.close()

    assert where == ["table a, row 0, b", "table a, row 0, c"]


def test_one_in_a_write_ahead_log_and_in_a_deleted_row_is_found(tmp_path: Path) -> None:
    """SQLite's files are looked at octet by octet: what no statement shows any more is still there."""
    connection = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE a (b TEXT)")
    connection.execute("INSERT INTO a VALUES (?)", (planted("b"),))
    in_wal = {Path(one.where.split(" at ")[0]).name for one in in_files([tmp_path])}
    connection.execute("DELETE FROM a")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    deleted = {Path(one.where.split(" at ")[0]).name for one in in_files([tmp_path])}
    connection.close()

    assert in_wal == {"shop.db-wal"}
    assert deleted <= {"shop.db"}


def test_one_in_the_store_is_found_in_every_kind_of_key_and_in_its_files(tmp_path: Path) -> None:
    """Strings, hashes, lists, sets, sorted sets, streams, names of keys; then AOF and RDB on the disk."""
    store = EmbeddedStore(tmp_path / "store")
    url = store.start()
    with redis.Redis.from_url(url) as client:
        assert in_store(url) == []
        client.set("a", planted("string"))
        client.hset("b", "field", DIGITS)
        client.hset("c", DIGITS, "value")
        client.rpush("d", DIGITS)
        client.sadd("e", planted("set"))
        client.zadd("f", {planted("zset"): 1.0})
        client.xadd("g", {"field": planted("stream")})
        client.set(f"h:{DIGITS}", "1")
        where = sorted(one.where for one in in_store(url))
        client.config_set("rdbcompression", "no")
        client.save()
        time.sleep(1.1)
    files = {Path(one.where.split(" at ")[0]).suffix for one in in_files([tmp_path / "store"])}
    store.stop()

    assert where == [*(f"key {name}" for name in "abcdefg"), f"the name of key h:{DIGITS}"]
    assert {".rdb", ".aof"} <= files


@pytest.mark.parametrize(
    "name", ["shop.log", "metrics/counter_7.db", "core.4711", "sandbox.jsonl", "dump.sql"]
)
def test_one_in_any_file_is_found(name: str, tmp_path: Path) -> None:
    """Logs, counted metrics, dumps of processes, of the provider and of a database."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(secrets.token_bytes(5_000) + b"\0" + planted("x").encode() + b"\0" * 500)

    (one,) = [found for found in in_files([tmp_path]) if found.number.shown.endswith("4242")]
    assert one.where.startswith(str(path))


@pytest.mark.parametrize("before", [-20, -16, -8, -1, 0, 5, -OVERLAP_BYTES])
def test_one_that_lies_across_two_pieces_is_found_once(before: int, tmp_path: Path) -> None:
    """A large file is read piece by piece."""
    path = tmp_path / "large"
    path.write_bytes(b"." * (PIECE_BYTES + before) + DIGITS.encode() + b"." * 100)

    assert [one.where for one in in_file(path)] == [f"{path} at {PIECE_BYTES + before}"]


def test_what_is_compressed_is_not_seen(tmp_path: Path) -> None:
    """The limit of looking at files: therefore SQL and the store are asked as well."""
    (tmp_path / "packed").write_bytes(zlib.compress(planted("x").encode() * 50))

    assert list(in_files([tmp_path])) == []
