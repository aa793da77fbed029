"""Tokens and sessions: as whom they act, what ends them, and what the list of logins keeps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from dashboards import session_book, token_book
from dashboards.access_books import AccessBooks
from dashboards.account_book import Told
from dashboards.account_tables import ACCOUNTS, given_rooms
from dashboards.rights import Person, Role
from dashboards.session_book import DAY_MS, IN, WRONG
from dashboards.token_book import USED_EVERY_MS
from kernel.clock import ManualClock
from tests.dashboards.people import BY, books_of, someone

MAIN, BOTH = frozenset({"main"}), frozenset({"main", "late"})


@pytest.fixture
def books(tmp_path: Path, clock: ManualClock) -> Iterator[AccessBooks]:
    """Give the books of a fresh installation."""
    with books_of(tmp_path, clock) as made:
        yield made


def test_a_token_acts_by_its_name_until_its_end(books: AccessBooks, clock: ManualClock) -> None:
    """With its role and rooms; the last millisecond is the one before its end."""
    _, token = books.tokens.add("deploy", Role.OPERATOR, MAIN, 1, by=BY)

    assert books.tokens.who(token) == Person("deploy", Role.OPERATOR, MAIN)
    for wrong in ("", "wrt_", token[:-1], f"{token}x", token.upper(), "\udcff"):
        assert books.tokens.who(wrong) is None
    clock.advance(DAY_MS - 1)
    assert books.tokens.who(token) is not None
    clock.advance(1)
    assert books.tokens.who(token) is None


def test_a_token_that_is_removed_counts_no_more(books: AccessBooks) -> None:
    """A second time there is none."""
    _, token = books.tokens.add("deploy", Role.OPERATOR, None, 1, by=BY)

    assert (books.tokens.remove("DEPLOY", by=BY), books.tokens.remove("deploy", by=BY)) == (True, False)
    assert books.tokens.who(token) is None


@pytest.mark.parametrize(
    ("role", "rooms", "acts"),
    [
        (Role.OWNER, None, Person("deploy", Role.OPERATOR, BOTH)),
        (Role.VIEWER, None, Person("deploy", Role.VIEWER, BOTH)),
        (Role.OWNER, MAIN, Person("deploy", Role.OPERATOR, MAIN)),
        (Role.OWNER, frozenset({"other"}), Person("deploy", Role.OPERATOR, frozenset())),
    ],
)
def test_a_token_never_may_more_than_its_maker(
    books: AccessBooks, clock: ManualClock, role: Role, rooms: frozenset[str] | None, acts: Person
) -> None:
    """Who is given a lower role, or fewer rooms, takes their tokens along."""
    ann = someone(books, clock)
    _, token = books.tokens.add("deploy", Role.OPERATOR, BOTH, 1, BY, ann.name)
    books.accounts.change(ann.name, role, rooms, keep_owner=False, by=BY)

    assert books.tokens.who(token) == acts


def test_the_tokens_of_a_removed_person_are_gone(books: AccessBooks, clock: ManualClock) -> None:
    """Also for somebody who gets the same name later."""
    ann = someone(books, clock)
    _, token = books.tokens.add("deploy", Role.OPERATOR, None, 1, BY, ann.name)
    books.accounts.remove(ann.name, keep_owner=False, by=BY)
    assert books.tokens.who(token) is None

    someone(books, clock)
    assert books.tokens.who(token) is None
    assert books.tokens.all() == []


def test_a_token_without_its_maker_counts_for_nobody(books: AccessBooks, clock: ManualClock) -> None:
    """The second lock: had the token stayed, its maker's account would be missing."""
    ann = someone(books, clock)
    _, token = books.tokens.add("deploy", Role.OPERATOR, None, 1, BY, ann.name)
    with books.tokens._database.writing() as connection:
        connection.execute(sa.delete(ACCOUNTS))

    assert [one.name for one in books.tokens.all()] == ["deploy"]
    assert books.tokens.who(token) is None


def test_a_token_of_a_removed_person_that_counts_is_noticed(
    books: AccessBooks, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: nobody writes down who made it."""
    ann = someone(books, clock)
    monkeypatch.setattr(token_book, "key_of", lambda name: "" if name == ann.name else name)
    _, token = books.tokens.add("deploy", Role.OPERATOR, None, 1, BY, ann.name)
    books.accounts.remove(ann.name, keep_owner=False, by=BY)

    assert books.tokens.who(token) is not None


def test_when_a_token_was_used_is_written_down_once_a_minute(books: AccessBooks, clock: ManualClock) -> None:
    """A look at a token must not cost a write each time."""
    _, token = books.tokens.add("deploy", Role.OPERATOR, None, 1, by=BY)

    def used_ms() -> int | None:
        books.tokens.who(token)
        return books.tokens.all()[0].used_ms

    first = clock.now_ms()
    assert books.tokens.all()[0].used_ms is None
    assert used_ms() == first
    clock.advance(USED_EVERY_MS - 1)
    assert used_ms() == first
    clock.advance(1)
    assert used_ms() == first + USED_EVERY_MS


@pytest.mark.parametrize("name", ["", "api", "Ann\n", "x" * 41, "Ann Lee", "ann lee", "Other"])
def test_a_token_needs_a_name_of_its_own(books: AccessBooks, clock: ManualClock, name: str) -> None:
    """Neither a person's nor another token's: the journal must tell them apart."""
    someone(books, clock)
    books.tokens.add("other", Role.VIEWER, None, 1, by=BY)

    told, token = books.tokens.add(name, Role.VIEWER, None, 1, by=BY)
    assert (told in {Told.NAME_WRONG, Told.NAME_TAKEN}, token) == (True, "")


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_a_token_has_an_end(books: AccessBooks, days: int) -> None:
    """From a day to ten years."""
    with pytest.raises(ValueError, match="1 to 3650 days"):
        books.tokens.add("deploy", Role.VIEWER, None, days, by=BY)


@pytest.mark.parametrize(
    ("text", "rooms"),
    [
        ("all", None),
        (" all ", None),
        ("main", MAIN),
        ("main,late", BOTH),
        (" late , main main ", BOTH),
        ("all, main", frozenset({"all", "main"})),
    ],
)
def test_rooms_are_read_as_people_write_them(text: str, rooms: frozenset[str] | None) -> None:
    """Names between commas or spaces; all of them by the word alone."""
    assert given_rooms(text) == rooms


@pytest.mark.parametrize("text", ["", " , ", "Main", "main;late", "../etc", "*", "ä"])
def test_what_names_no_room_is_refused(text: str) -> None:
    """No room at all is never what somebody meant."""
    with pytest.raises(ValueError, match="name rooms, or all"):
        given_rooms(text)


# --------------------------------------------------------------------------- sessions and logins


def test_a_session_knows_its_person_as_they_are_now(books: AccessBooks, clock: ManualClock) -> None:
    """Another role counts with the next request; somebody who is out has no session; its end is half-open."""
    ann = someone(books, clock)
    books.sessions.begin(ann.name, "sid", clock.now_ms() + 1000, "192.0.2.0/24", "password")

    assert books.sessions.who("sid") == Person("Ann Lee", Role.OWNER)
    assert books.sessions.who("other") is None
    books.accounts.change(ann.name, Role.VIEWER, MAIN, keep_owner=False, by=BY)
    assert books.sessions.who("sid") == Person("Ann Lee", Role.VIEWER, MAIN)
    clock.advance(999)
    assert len(books.sessions.of(ann.name)) == 1
    clock.advance(1)
    assert books.sessions.who("sid") is None
    assert books.sessions.of(ann.name) == []


def test_ending_sessions_leaves_the_one_that_asks(books: AccessBooks, clock: ManualClock) -> None:
    """And nobody else's."""
    ann, bob = someone(books, clock), someone(books, clock, "Bob")
    for name, sid in ((ann.name, "a"), (ann.name, "b"), (ann.name, "c"), (bob.name, "d")):
        books.sessions.begin(name, sid, clock.now_ms() + 1000, "", "password")

    assert books.sessions.end_all(ann.name, BY, "a") == 2
    assert [books.sessions.who(sid) is None for sid in "abcd"] == [False, True, True, False]
    assert books.sessions.end_all(ann.name, BY) == 1
    books.accounts.remove(bob.name, keep_owner=False, by=BY)
    assert books.sessions.who("d") is None


def test_the_list_of_logins_goes_back_so_many_days(tmp_path: Path, clock: ManualClock) -> None:
    """Newest first; of a name that nobody has nothing is kept, for it may be a password."""
    with books_of(tmp_path, clock, logins_days=3) as books:
        ann = someone(books, clock)
        books.sessions.record("ANN LEE", "192.0.2.0/24", "password", IN)
        clock.advance(3 * DAY_MS - 1)
        books.sessions.record("my secret words", "", "password", WRONG)

        assert [(one.name, one.outcome) for one in books.sessions.logins()] == [("", WRONG), ("Ann Lee", IN)]
        assert [one.outcome for one in books.sessions.logins(ann.name)] == [IN]
        assert [one.outcome for one in books.sessions.logins(most=1)] == [WRONG]
        clock.advance(1)
        assert [one.outcome for one in books.sessions.logins()] == [WRONG]
        assert books.sessions.logins(ann.name) == []


def test_the_list_of_logins_is_bounded(
    books: AccessBooks, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knocks: the oldest go first; who really came in, and who was guessed at, stays."""
    monkeypatch.setattr(session_book, "LOGINS_MOST", 3)
    ann = someone(books, clock)
    books.sessions.record(ann.name, "192.0.2.0/24", "password", IN)
    books.sessions.record(ann.name, "198.51.100.0/24", "password", WRONG)
    books.sessions.record("", "203.0.113.0/24", "operator token", IN)
    for index in range(8):
        books.sessions.record("", f"10.0.{index}.0/24", "password", WRONG)

    assert [one.network for one in books.sessions.logins()] == [
        "10.0.7.0/24", "10.0.6.0/24", "10.0.5.0/24", "203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24",
    ]  # fmt: skip
    assert books.sessions.is_known(ann.name, "192.0.2.0/24")


def test_a_network_is_known_where_somebody_signed_in(books: AccessBooks, clock: ManualClock) -> None:
    """A failure makes none known, another person's neither, and whoever gets a removed name begins anew."""
    ann, bob = someone(books, clock), someone(books, clock, "Bob")
    books.sessions.record(ann.name, "192.0.2.0/24", "password", IN)
    books.sessions.record(ann.name, "198.51.100.0/24", "password", WRONG)
    books.sessions.record("", "203.0.113.0/24", "password", IN)

    assert books.sessions.is_known("ann LEE", "192.0.2.0/24")
    assert not books.sessions.is_known(ann.name, "198.51.100.0/24")
    assert not books.sessions.is_known(bob.name, "192.0.2.0/24")
    assert not books.sessions.is_known("", "203.0.113.0/24")
    books.accounts.remove(ann.name, by=BY)
    someone(books, clock)
    assert not books.sessions.is_known(ann.name, "192.0.2.0/24")
