"""Keys and batches on both databases: made once by many, destroyed for good, and never by a store that fell back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from kernel.errors import Unavailable
from waitroom import identity_book
from waitroom.identity_book import IdentityBook
from waitroom.journal_store import JournalStore
from waitroom.lanes import Lane

BY = {"who": "Ann", "why": "promised"}


@pytest.fixture
def book(journal_url: str) -> Iterator[IdentityBook]:
    """Give an empty book."""
    with closing(JournalStore(journal_url)) as journal:
        journal.open()
    with closing(IdentityBook(journal_url)) as made:
        yield made


def test_many_workers_make_one_key(book: IdentityBook) -> None:
    """Whoever is first makes it; all others get the same one."""
    with ThreadPoolExecutor(4) as pool:
        halves = set(pool.map(lambda _: book.half("main", "r", 1, 5), range(12)))

    assert len(halves) == 1
    assert len(halves.pop()) == 32


def test_a_key_that_was_destroyed_is_never_made_again(book: IdentityBook) -> None:
    """An earlier run's, and that of a line that is over; others stay."""
    book.half("main", "a", 1, 5)
    kept, other = book.half("main", "b", 2, 5), book.half("other", "x", 1, 5)

    assert book.destroy("main", "b", 2, over=False) == 1
    assert book.half("main", "a", 1, 6) == b""
    assert book.half("main", "b", 2, 6) == kept
    assert book.destroy("main", "b", 2, over=True) == 1
    assert book.destroy("main", "b", 2, over=True) == 0
    assert book.half("main", "b", 2, 7) == b""
    assert book.half("other", "x", 1, 7) == other


def test_rooms_that_are_gone_lose_their_keys(book: IdentityBook) -> None:
    """Those that are named stay, and so do young ones."""
    kept, young = book.half("main", "a", 1, 5), book.half("new", "a", 1, 50)
    book.half("gone", "a", 1, 5)

    assert book.destroy_strangers(["main"], 50) == 1
    assert (book.half("main", "a", 1, 60), book.half("new", "a", 1, 60)) == (kept, young)
    assert book.destroy_strangers([], 51) == 2


def test_batches_are_read_as_they_were_made(book: IdentityBook) -> None:
    """With what was revoked of each; a batch that is not there cannot be revoked."""
    first = book.make("main", Lane.VERIFIED, "club", 10, 99, BY, 5)
    second = book.make("other", None, "", 1, None, BY, 6)

    assert book.batches() == [first, second]
    assert book.batches("main") == [first]
    none = second._replace(batch=7)
    done = [
        book.revoke(*what, BY, 9)
        for what in ((first, 3), (first, 3), (second, None), (second, None), (none, None))
    ]
    assert done == [True, False, True, False, False]
    assert [batch.revoked for batch in book.batches()] == [frozenset({3}), frozenset()]
    assert [batch.revoked_ms for batch in book.batches()] == [None, 9]
    assert first.salt != second.salt


@pytest.mark.parametrize("size", [0, -1, 1_048_577])
def test_a_batch_has_codes_and_not_too_many(book: IdentityBook, size: int) -> None:
    """A number of a code has twenty bits."""
    with pytest.raises(ValueError, match="1 to"):
        book.make("main", None, "", size, None, BY, 5)


def test_what_is_done_to_codes_is_recorded_once(book: IdentityBook, journal_url: str) -> None:
    """With who, why and which, and without a code; what changes nothing leaves nothing."""
    made = book.make("main", Lane.VERIFIED, "club", 10, 99, BY, 5)
    for number in (3, 3, None, None):
        book.revoke(made, number, BY, 6)
    with closing(JournalStore(journal_url)) as journal:
        acts, fault = [entry.body for entry in journal.entries("main")], journal.verify()

    told = {"batch": "0", "size": "10", "lane": "verified", "label": "club", **BY}
    assert fault is None
    assert acts == [
        {"act": "codes-made", **told, "until_ms": "99"},
        {"act": "codes-revoked", **told, "which": "3"},
        {"act": "codes-revoked", **told, "which": "all"},
    ]


def _dies(*_: object) -> None:
    raise OperationalError("", {}, Exception("the process is gone"))


def _dies_between(connection: Connection, *_: object) -> None:
    """Do the act in a step of its own, and die before the record: the mutant."""
    connection.commit()
    _dies()


def _nothing_is_done_without_its_record(book: IdentityBook) -> None:
    before = book.batches()
    for act in (
        lambda: book.make("main", None, "lost", 1, None, BY, 6),
        lambda: book.revoke(before[0], None, BY, 6),
        lambda: book.revoke(before[0], 1, BY, 6),
    ):
        with pytest.raises(Unavailable):
            act()
        assert book.batches() == before


def test_who_dies_at_the_record_has_done_nothing(book: IdentityBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither made nor revoked; in two steps it would be done and nobody would know by whom."""
    book.make("main", None, "kept", 2, None, BY, 5)
    monkeypatch.setattr(identity_book, "put", _dies)
    _nothing_is_done_without_its_record(book)

    monkeypatch.setattr(identity_book, "put", _dies_between)
    with pytest.raises(AssertionError):
        _nothing_is_done_without_its_record(book)
