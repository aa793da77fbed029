"""Account book: invitations, passwords and codes count as they should, each of them once, and mutants are noticed."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards import account_book as module
from dashboards.access_books import AccessBooks
from dashboards.account_book import EMAIL_MS, INVITED_MS, Told
from dashboards.passwords import kept_of
from dashboards.rights import Role
from kernel import totp
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from kernel.oidc import Person
from kernel.totp import STEP_MS
from tests.dashboards.people import BY, CHEAP, PASSWORD, Someone, books_of, someone

SOMEBODY = Someone("Ann Lee", b"a secret of 20 bytes", [])


@pytest.fixture
def books(tmp_path: Path, clock: ManualClock) -> Iterator[AccessBooks]:
    """Give the books of a fresh installation."""
    with books_of(tmp_path, clock) as made:
        yield made


def invite(books: AccessBooks, name: str = "Ann Lee", role: Role = Role.OWNER, **more: Any) -> str:
    """Invite somebody; returns the code."""
    told, code = books.accounts.invite(name, role, more.pop("rooms", None), BY, **more)
    assert told is Told.DONE
    return code


def accept(books: AccessBooks, code: str, clock: ManualClock) -> Told:
    """Use an invitation."""
    return books.accounts.accept(code, PASSWORD, SOMEBODY.secret, SOMEBODY.digits(clock))[0]


# ------------------------------------------------------------------------------ invitations


def test_an_invitation_counts_once(books: AccessBooks, clock: ManualClock) -> None:
    """It is found until it is used, and never again."""
    code = invite(books)
    found = books.accounts.invited(code)

    assert found is not None
    assert (found.name, found.role, found.is_open) == ("Ann Lee", Role.OWNER, False)
    assert accept(books, code, clock) is Told.DONE
    assert books.accounts.invited(code) is None
    assert accept(books, code, clock) is Told.GONE
    assert accept(books, "", clock) is Told.GONE


def test_an_invitation_that_stays_is_noticed(
    books: AccessBooks, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: whoever accepts does not use the invitation up."""
    real = module._set

    def keep(connection: Any, name: str, **values: Any) -> None:
        values.pop("invite", None)
        values.pop("invite_until_ms", None)
        real(connection, name, **values)

    monkeypatch.setattr(module, "_set", keep)
    code = invite(books)

    assert accept(books, code, clock) is Told.DONE
    assert accept(books, code, clock) is Told.DONE


@pytest.mark.parametrize(("after_ms", "told"), [(INVITED_MS - 1, Told.DONE), (INVITED_MS, Told.GONE)])
def test_an_invitation_counts_for_a_day(
    books: AccessBooks, clock: ManualClock, after_ms: int, told: Told
) -> None:
    """To the millisecond."""
    code = invite(books)
    clock.advance(after_ms)

    assert accept(books, code, clock) is told


def test_an_invitation_needs_the_device_to_show_its_code(books: AccessBooks, clock: ManualClock) -> None:
    """Else somebody would keep a device that they cannot read; the invitation stays."""
    code = invite(books)
    for wrong in ("", "000000", "1234567", SOMEBODY.digits(clock, 3), "٣٣٣٣٣٣"):
        told, codes = books.accounts.accept(code, PASSWORD, SOMEBODY.secret, wrong)
        assert (told, codes) == (Told.CODE_WRONG, ())

    assert accept(books, code, clock) is Told.DONE


@pytest.mark.parametrize(
    ("name", "email", "told"),
    [
        ("", "", Told.NAME_WRONG),
        (" Ann", "", Told.NAME_WRONG),
        ("Ann\nLee", "", Told.NAME_WRONG),
        ("x" * 41, "", Told.NAME_WRONG),
        ("API", "", Told.NAME_WRONG),
        ("Command Line", "", Told.NAME_WRONG),
        ("BOB", "", Told.NAME_TAKEN),
        ("Ｂob", "", Told.NAME_TAKEN),
        ("deploy", "", Told.NAME_TAKEN),
        ("Ann", "ann", Told.EMAIL_WRONG),
        ("Ann", "ann@host", Told.EMAIL_WRONG),
        ("Ann", "@example.org", Told.EMAIL_WRONG),
        ("Ann", "a b@example.org", Told.EMAIL_WRONG),
        ("Ann", " BOB@example.org ", Told.EMAIL_TAKEN),
    ],
)
def test_what_cannot_be_invited(books: AccessBooks, name: str, email: str, told: Told) -> None:
    """A name that is none, or somebody's or something's already, and an address that is none or somebody's."""
    invite(books, "Bob", email="bob@example.org")
    books.tokens.add("Deploy", Role.VIEWER, None, 1, by=BY)

    assert books.accounts.invite(name, Role.VIEWER, None, BY, email) == (told, "")
    assert [one.name for one in books.accounts.all()] == ["Bob"]


# ------------------------------------------------------------------------- password and code


def test_password_and_code_count_together_only(books: AccessBooks, clock: ManualClock) -> None:
    """Names in any capitals; what is wrong is never said."""
    ann = someone(books, clock)
    code = ann.digits(clock)
    wrong = [
        (ann.name, "another password", code),
        (ann.name, PASSWORD, ""),
        (ann.name, PASSWORD, "000000"),
        (ann.name, PASSWORD, f"{code}0"),
        (ann.name, PASSWORD, "\udcff"),
        (ann.name, "", code),
        ("Bob", PASSWORD, code),
        ("", PASSWORD, code),
    ]

    assert {books.accounts.check(*one) for one in wrong} == {Told.PASSWORD_WRONG}
    assert books.accounts.check("ANN lee", PASSWORD, f" {code[:3]} {code[3:]} ") is Told.DONE


def test_a_code_of_the_device_counts_once(books: AccessBooks, clock: ManualClock) -> None:
    """The same half minute twice is refused, the next one counts; the enrolment's own code was the first."""
    ann = someone(books, clock)
    assert books.accounts.check(ann.name, PASSWORD, ann.digits(clock, -1)) is Told.PASSWORD_WRONG
    code = ann.digits(clock)

    assert books.accounts.check(ann.name, PASSWORD, code) is Told.DONE
    assert books.accounts.check(ann.name, PASSWORD, code) is Told.PASSWORD_WRONG
    clock.advance(STEP_MS)
    assert books.accounts.check(ann.name, PASSWORD, ann.digits(clock)) is Told.DONE


def test_a_code_that_counts_again_is_noticed(
    books: AccessBooks, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: it is not asked which code was the last."""
    ann, real = someone(books, clock), totp.matching
    monkeypatch.setattr(
        totp, "matching", lambda secret, code, after, now_ms: real(secret, code, 0 * after, now_ms)
    )
    code = ann.digits(clock)

    assert [books.accounts.check(ann.name, PASSWORD, code) for _ in range(2)] == [Told.DONE, Told.DONE]


def test_each_recovery_code_counts_once(books: AccessBooks, clock: ManualClock) -> None:
    """In small letters and with spaces, too; the others stay."""
    ann = someone(books, clock)
    first, second, *_ = ann.recovery

    assert books.accounts.check(ann.name, "another password", first) is Told.PASSWORD_WRONG
    assert books.accounts.check(ann.name, PASSWORD, f" {first[:4]} {first[4:]}".lower()) is Told.DONE
    assert books.accounts.check(ann.name, PASSWORD, first) is Told.PASSWORD_WRONG
    assert books.accounts.check(ann.name, PASSWORD, second) is Told.DONE
    found = books.accounts.find(ann.name)
    assert found is not None
    assert found.recovery == 8


def test_a_recovery_code_that_counts_again_is_noticed(
    books: AccessBooks, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a code is found, and stays."""
    ann, real = someone(books, clock), module._set

    def keep(connection: Any, name: str, **values: Any) -> None:
        if set(values) != {"recovery"}:
            real(connection, name, **values)

    monkeypatch.setattr(module, "_set", keep)

    tries = [books.accounts.check(ann.name, PASSWORD, ann.recovery[0]) for _ in range(2)]
    assert tries == [Told.DONE, Told.DONE]


def test_new_recovery_codes_take_the_place_of_all_old_ones(books: AccessBooks, clock: ManualClock) -> None:
    """Ten of them, all different."""
    ann = someone(books, clock)
    fresh = books.accounts.renew_recovery(ann.name)

    assert len(set(fresh) | set(ann.recovery)) == 20
    assert books.accounts.check(ann.name, PASSWORD, ann.recovery[0]) is Told.PASSWORD_WRONG
    assert books.accounts.check(ann.name, PASSWORD, fresh[0]) is Told.DONE


def test_nothing_that_is_shown_stands_in_the_database(
    books: AccessBooks, clock: ManualClock, tmp_path: Path
) -> None:
    """Neither password nor recovery code, invitation, token, session or address; a device is sealed to its row."""
    code = invite(books, "Bob", email="bob@example.org")
    ann = someone(books, clock)
    _, token = books.tokens.add("deploy", Role.VIEWER, None, 1, BY, ann.name)
    books.sessions.begin(ann.name, "the-session-id", clock.now_ms() + 1, "", "password")
    with sqlite3.connect(tmp_path / "journal.db") as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.execute(
            "UPDATE operator_accounts SET device = (SELECT device FROM operator_accounts WHERE key = 'ann lee')"
        )
        raw.execute("UPDATE operator_accounts SET password = ?", [kept_of(PASSWORD, CHEAP)])
    raw.close()
    octets = (tmp_path / "journal.db").read_bytes()

    for secret in (PASSWORD, *ann.recovery, code, token, "the-session-id", "bob@example.org", "JBSWY3DP"):
        assert secret.encode() not in octets
    with pytest.raises(Unavailable, match="device-unreadable"):
        books.accounts.check("Bob", PASSWORD, ann.digits(clock))


# ---------------------------------------------------------------------- what others may change


def test_a_reset_takes_everything_away_and_invites_anew(books: AccessBooks, clock: ManualClock) -> None:
    """Password, device, recovery codes and sessions; an invitation that was open counts no more."""
    ann = someone(books, clock)
    books.sessions.begin(ann.name, "sid", clock.now_ms() + 1000, "", "password")
    first = books.accounts.reset(ann.name, by=BY)
    second = books.accounts.reset(ann.name, by=BY)

    assert books.accounts.check(ann.name, PASSWORD, ann.digits(clock)) is Told.PASSWORD_WRONG
    assert books.accounts.check(ann.name, PASSWORD, ann.recovery[0]) is Told.PASSWORD_WRONG
    assert books.sessions.who("sid") is None
    assert accept(books, first, clock) is Told.GONE
    assert accept(books, second, clock) is Told.DONE
    assert books.accounts.reset("Nobody", by=BY) == ""


def test_the_last_owner_stays_unless_the_command_line_says_so(books: AccessBooks, clock: ManualClock) -> None:
    """Who cannot sign in yet, or has some rooms only, is no other owner."""
    ann = someone(books, clock)
    invite(books, "Bob")
    someone(books, clock, "Cleo", Role.OWNER, frozenset({"main"}))

    assert books.accounts.remove(ann.name, by=BY) is Told.LAST_OWNER
    assert books.accounts.change(ann.name, Role.VIEWER, None, by=BY) is Told.LAST_OWNER
    assert books.accounts.change(ann.name, Role.OWNER, frozenset({"main"}), by=BY) is Told.LAST_OWNER
    assert books.accounts.change(ann.name, Role.OWNER, None, by=BY) is Told.DONE
    assert books.accounts.remove("Cleo", by=BY) is Told.DONE
    assert books.accounts.remove("Bob", by=BY) is Told.DONE
    someone(books, clock, "Dan")
    assert books.accounts.remove(ann.name, by=BY) is Told.DONE
    assert books.accounts.has_owner()
    assert books.accounts.remove("Dan", keep_owner=False, by=BY) is Told.DONE
    assert not books.accounts.has_owner()
    assert books.accounts.remove("Dan", by=BY) is Told.UNKNOWN
    assert books.accounts.change("Dan", Role.VIEWER, None, by=BY) is Told.UNKNOWN


def test_another_password_or_device_ends_the_other_sessions(books: AccessBooks, clock: ManualClock) -> None:
    """The one in which it was changed stays; other people's do."""
    ann, bob = someone(books, clock), someone(books, clock, "Bob")
    until_ms = clock.now_ms() + 1_000_000

    def begin() -> None:
        for name, sid in ((ann.name, "this"), (ann.name, "that"), (bob.name, "his")):
            books.sessions.end(sid)
            books.sessions.begin(name, sid, until_ms, "", "password")

    def alive() -> list[bool]:
        return [books.sessions.who(sid) is not None for sid in ("this", "that", "his")]

    begin()
    books.accounts.set_password(ann.name, "some other plain words", "this")
    assert alive() == [True, False, True]
    begin()
    assert not books.accounts.set_device(ann.name, bob.secret, "000000", "this")
    assert alive() == [True, True, True]
    assert books.accounts.set_device(ann.name, bob.secret, bob.digits(clock), "this")
    assert alive() == [True, False, True]


def test_a_session_that_survives_another_password_is_noticed(
    books: AccessBooks, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: nobody ends the sessions."""
    monkeypatch.setattr(module, "end_sessions", lambda *_: 0)
    ann = someone(books, clock)
    books.sessions.begin(ann.name, "that", clock.now_ms() + 1000, "", "password")
    books.accounts.set_password(ann.name, "some other plain words", "this")

    assert books.sessions.who("that") is not None


# ---------------------------------------------------------------------------- by the provider


def person(subject: str = "s1", email: str = "ann@example.org", issuer: str = "https://id.example") -> Person:
    """Make whom a provider names."""
    return Person(issuer, subject, email, "Ann")


def test_who_was_invited_by_address_is_bound_to_the_providers_name(
    books: AccessBooks, clock: ManualClock
) -> None:
    """From the first login on the name counts, and the address no more: an address may be given to others."""
    invite(books, email="Ann@Example.org")

    assert books.accounts.by_provider(person(email="")) is None
    assert books.accounts.by_provider(person(email="bob@example.org")) is None
    found = books.accounts.by_provider(person())
    assert found is not None
    assert (found.name, found.has_provider, found.is_open) == ("Ann Lee", True, True)
    clock.advance(EMAIL_MS)
    assert books.accounts.by_provider(person(email="new@example.org")) is not None
    assert books.accounts.by_provider(person("s2")) is None
    assert books.accounts.by_provider(person(issuer="https://other.example", email="")) is None
    assert books.accounts.has_owner()


def test_an_address_that_only_folds_alike_is_another_one(books: AccessBooks) -> None:
    """A Kelvin sign is no k: whoever has such an address at the provider is not who was invited."""
    invite(books, email="kim@example.org")

    assert books.accounts.by_provider(person(email="\u212aim@example.org")) is None
    assert books.accounts.by_provider(person(email="KIM@example.org")) is not None


@pytest.mark.parametrize(("after_ms", "counts"), [(EMAIL_MS - 1, True), (EMAIL_MS, False)])
def test_an_address_waits_a_week(books: AccessBooks, clock: ManualClock, after_ms: int, counts: bool) -> None:
    """Then it must be invited again."""
    invite(books, email="ann@example.org")
    clock.advance(after_ms)

    assert (books.accounts.by_provider(person()) is not None) is counts


def test_who_was_reset_meanwhile_changes_nothing_of_their_own(books: AccessBooks, clock: ManualClock) -> None:
    """A form that was on its way with the old password would give a reset account a password again."""
    ann = someone(books, clock)
    someone(books, clock, "Bob", Role.OPERATOR)
    books.accounts.reset(ann.name, BY)
    books.accounts.remove("Bob", BY)
    for name in (ann.name, "Bob"):
        for change in (
            lambda: books.accounts.set_password(name, "some other plain words", ""),  # noqa: B023 - called at once
            lambda: books.accounts.set_device(name, ann.secret, ann.digits(clock), ""),  # noqa: B023 - the same
            lambda: books.accounts.renew_recovery(name),  # noqa: B023 - the same
        ):
            with pytest.raises(Refused, match="meanwhile"):
                change()
    assert not books.accounts.has_owner()
