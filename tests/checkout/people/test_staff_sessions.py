"""Staff who log in: only who was invited, a session that ends with its row, a list of logins, and a lock."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.people import staff_sessions as module
from checkout.people.factors import Factors, Shown
from checkout.people.staff import StaffRole
from checkout.people.staff_people import DAY_MS, INVITED_DAYS, Invited, StaffPeople
from checkout.people.staff_sessions import (
    BEGUN_MOST,
    FAILURES_MOST,
    LOCK_MS,
    TOUCH_MS,
    StaffBounds,
    StaffSessions,
    network_of,
)
from checkout.tables import STAFF_ENTRIES, STAFF_LOGINS, STAFF_PEOPLE, STAFF_SESSIONS
from kernel.clock import ManualClock
from kernel.oidc import Person
from tests.checkout.people.sealed import keys_in

NOW_MS = 1_800_000_000_000
ISSUER = "https://id.example"
IDA = Person(ISSUER, "subject-of-ida", "Ida@Example.org", "Ida")
EVE = Person(ISSUER, "subject-of-eve", "eve@example.org", "Eve")
BOUNDS = StaffBounds(30 * 60_000, 10 * 3_600_000, 90 * DAY_MS)
HOME = "10.1.2.0/24"


@dataclass
class Desk:
    """Everything of one worker."""

    database: ShopDatabase
    clock: ManualClock
    people: StaffPeople
    sessions: StaffSessions
    factors: Factors

    def invite(self, name: str = "ida", email: str = "ida@example.org", days: int = 365) -> Invited:
        """Invite somebody as support."""
        return self.people.invite(name, StaffRole.SUPPORT, days, email=email)

    async def entered(self, person: Person = IDA) -> str:
        """Let somebody in who may come in."""
        came = await self.sessions.enter(person, HOME)
        assert came.secret, came
        return came.secret

    def count(self, table: sa.Table) -> int:
        """Count rows."""
        with self.database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0

    def dump(self, *tables: sa.Table) -> str:
        """Read rows as text."""
        with self.database.reading() as connection:
            return str([connection.execute(sa.select(table)).all() for table in tables])


def desk_of(database: ShopDatabase, folder: Path, roles: Mapping[str, StaffRole] | None = None) -> Desk:
    """Open a desk."""
    keys, clock = keys_in(folder), ManualClock(NOW_MS)
    people = StaffPeople(database, keys, clock)
    sessions = StaffSessions(database, people, clock, BOUNDS, roles or {})
    return Desk(database, clock, people, sessions, Factors(database, keys, clock))


async def test_who_was_invited_is_let_in_and_bound(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """By the address, in any letters; later by who they are, whatever their address has become."""
    desk = desk_of(shop_database, tmp_path)
    made = desk.invite()
    first = await desk.sessions.enter(IDA, HOME)
    moved = Person(ISSUER, IDA.subject, "", "")
    second = await desk.sessions.enter(moved, HOME, first.secret)
    who = await desk.sessions.who(second.secret)
    before = await desk.sessions.who(first.secret)
    heir = await desk.sessions.enter(Person(ISSUER, "another", "ida@example.org", ""), HOME)

    assert made is Invited.MADE
    assert (first.outcome, second.outcome) == ("invited", "entered")
    assert who is not None
    assert (who.name, who.role) == ("ida", StaffRole.SUPPORT)
    assert before is None
    assert (heir.secret, heir.outcome) == ("", "stranger")


async def test_nobody_else_is_let_in_whoever_knows_them(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """A stranger; an address of which the provider has not made sure; another issuer's person; too late."""
    desk = desk_of(shop_database, tmp_path)
    desk.invite()
    desk.people.invite("bob", StaffRole.OWNER, 365, issuer=ISSUER, subject="subject-of-bob")
    unsure = Person(ISSUER, IDA.subject, "", "Ida")
    elsewhere = Person("https://other.example", "subject-of-bob", "", "")
    found = [await desk.sessions.enter(one, HOME) for one in (EVE, unsure, elsewhere)]
    bob = await desk.sessions.enter(Person(ISSUER, "subject-of-bob", "", ""), HOME)
    desk.clock.advance(INVITED_DAYS * DAY_MS)
    late = await desk.sessions.enter(IDA, HOME)
    again = desk.invite("ida")

    assert [(one.secret, one.outcome) for one in found] == [("", "stranger")] * 3
    assert bob.outcome == "entered"
    assert (late.secret, late.outcome) == ("", "stranger")
    assert again is Invited.MADE
    assert desk.count(STAFF_SESSIONS) == 1


async def test_a_provider_that_moves_keeps_its_people(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """Whoever it named before is found at its new address, and there only; who is bound elsewhere stays there."""
    desk, new = desk_of(shop_database, tmp_path), "https://new.example"
    desk.people.invite("bob", StaffRole.OWNER, 365, issuer=ISSUER, subject="bob")
    desk.people.invite("eve", StaffRole.OWNER, 365, issuer="https://other.example", subject="eve")
    desk.invite()
    moved = [desk.people.move(subject, ISSUER, new) for subject in ("bob", "bob", "eve", "nobody")]
    found = [
        (await desk.sessions.enter(Person(issuer, subject, email, ""), HOME)).outcome
        for issuer, subject, email in (
            (new, "bob", ""), (ISSUER, "bob", ""), ("https://other.example", "eve", ""), (new, "eve", ""),
            (new, "ida", "ida@example.org"),
        )
    ]  # fmt: skip

    assert moved == [True, False, False, False]
    assert found == ["entered", "stranger", "entered", "stranger", "invited"]


async def test_without_the_list_everybody_at_the_provider_would_come_in(
    shop_database: ShopDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a stranger is taken for the first of the list."""
    desk = desk_of(shop_database, tmp_path)
    desk.invite()

    def anybody(_self: object, connection: sa.Connection, *_: object) -> object:
        return connection.execute(sa.select(STAFF_PEOPLE)).mappings().first()

    monkeypatch.setattr(StaffPeople, "recognise", anybody)

    assert (await desk.sessions.enter(EVE, HOME)).secret


async def test_two_first_logins_take_one_invitation(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """The address of one person is not another's afterwards, and an invitation is taken once."""
    desk = desk_of(shop_database, tmp_path)
    desk.invite()
    found = [await desk.sessions.enter(Person(ISSUER, who, IDA.email, ""), HOME) for who in ("a", "b", "a")]

    assert [one.outcome for one in found] == ["invited", "stranger", "entered"]


async def test_a_name_and_an_address_are_somebodys_once(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """And what is no name or no address invites nobody."""
    desk = desk_of(shop_database, tmp_path)
    found = [
        desk.invite(), desk.invite(email="b@example.org"), desk.invite("bob", "IDA@example.org"), desk.invite("Bob!"),
        desk.invite("organiser", "o@example.org"), desk.invite("cy", "no address"),
        desk.people.invite("dan", StaffRole.OWNER, 1, subject="x"),
    ]  # fmt: skip

    assert found == [
        Invited.MADE, Invited.NAME_TAKEN, Invited.ADDRESS_TAKEN, Invited.NAME_WRONG, Invited.NAME_WRONG,
        Invited.ADDRESS_WRONG, Invited.ADDRESS_WRONG,
    ]  # fmt: skip
    assert [one.name for one in desk.people.all()] == ["ida"]


@pytest.mark.parametrize("act", ["role", "everywhere", "removed", "over"])
async def test_a_session_ends_at_once_when_its_row_changes(
    act: str, shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """Another role, logged out everywhere, removed, or the end of their time."""
    desk = desk_of(shop_database, tmp_path)
    desk.invite(days=1)
    secret = await desk.entered()
    there = await desk.sessions.who(secret)
    match act:
        case "role":
            assert desk.people.change("ida", StaffRole.OWNER)
        case "everywhere":
            desk.people.end_sessions("ida")
        case "removed":
            assert desk.people.remove("ida")
        case _:
            with shop_database.writing() as connection:
                connection.execute(sa.update(STAFF_PEOPLE).values(until_ms=NOW_MS))

    assert there is not None
    assert await desk.sessions.who(secret) is None


async def test_without_the_version_a_changed_role_would_leave_sessions_alive(
    shop_database: ShopDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a change does not count the version up."""
    desk = desk_of(shop_database, tmp_path)
    desk.invite()
    secret = await desk.entered()
    with shop_database.writing() as connection:
        connection.execute(sa.update(STAFF_PEOPLE).values(role="owner"))

    with pytest.raises(AssertionError):
        assert await desk.sessions.who(secret) is None


async def test_who_is_invited_again_has_nothing_of_before(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """Neither session nor factor, although the version is the same."""
    desk = desk_of(shop_database, tmp_path)
    desk.invite()
    secret = await desk.entered()
    code = desk.factors.enrol("ida").recovery[0]
    desk.people.remove("ida")
    desk.invite()
    came = await desk.sessions.enter(IDA, HOME)

    assert came.outcome == "invited"
    assert await desk.sessions.who(secret) is None
    assert await desk.factors.show("ida", code) is Shown.NOT_NEEDED


async def test_a_session_ends_when_idle_and_at_last(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """To the millisecond; each use begins the idle time anew, and none makes the whole longer."""
    desk = desk_of(shop_database, tmp_path)
    desk.invite()
    idle, used = await desk.entered(), await desk.entered()
    desk.clock.advance(BOUNDS.idle_ms - 1)
    almost = await desk.sessions.who(used)
    desk.clock.advance(1)
    over = await desk.sessions.who(idle)
    steps = (BOUNDS.most_ms - BOUNDS.idle_ms) // TOUCH_MS
    for _ in range(steps - 1):
        desk.clock.advance(TOUCH_MS)
        assert await desk.sessions.who(used) is not None
    desk.clock.set(NOW_MS + BOUNDS.most_ms - 1)
    last = await desk.sessions.who(used)
    desk.clock.advance(1)

    assert (almost is None, over, last is None) == (False, None, False)
    assert await desk.sessions.who(used) is None


async def test_the_claim_decides_where_the_operator_says_so(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """One role of its words, at each login; none or two, and nobody is let in. A new role ends older sessions."""
    words = {"desk": StaffRole.SUPPORT, "help": StaffRole.SUPPORT, "box": StaffRole.ORGANISER}
    desk = desk_of(shop_database, tmp_path, words)
    desk.invite()

    def saying(*said: str) -> Person:
        return Person(ISSUER, IDA.subject, IDA.email, "", said)

    first = await desk.entered(saying("desk", "help", "everybody"))
    found = [await desk.sessions.enter(saying(*said), HOME) for said in ((), ("x",), ("desk", "box"))]
    still = await desk.sessions.who(first)
    second = await desk.entered(saying("box"))
    now = await desk.sessions.who(second)
    stranger = await desk.sessions.enter(Person(ISSUER, "x", "", "", ("box",)), HOME)

    assert [one.outcome for one in found] == ["role"] * 3
    assert still is not None
    assert still.role is StaffRole.SUPPORT
    assert await desk.sessions.who(first) is None
    assert now is not None
    assert now.role is StaffRole.ORGANISER
    assert stranger.outcome == "stranger"


async def test_failures_lock_a_network_and_the_lock_ends(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """Ten in a quarter of an hour, from there and not from elsewhere; logins that count are no failures."""
    desk = desk_of(shop_database, tmp_path)
    desk.invite()
    for _ in range(FAILURES_MOST - 1):
        await desk.sessions.failed("signature", HOME)
        await desk.entered()
    free = await desk.sessions.is_locked(HOME)
    await desk.sessions.enter(EVE, HOME)
    locked = [await desk.sessions.is_locked(HOME), await desk.sessions.begin("/staff", HOME) is None]
    elsewhere = await desk.sessions.begin("/staff", "10.9.9.0/24")
    desk.clock.advance(LOCK_MS - 1)
    still = await desk.sessions.is_locked(HOME)
    desk.clock.advance(1)

    assert (free, locked, still) == (False, [True, True], True)
    assert elsewhere is not None
    assert not await desk.sessions.is_locked(HOME)


async def test_without_the_lock_failures_would_go_on(
    shop_database: ShopDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: failures lock for no time."""
    monkeypatch.setattr(module, "LOCK_MS", 0)
    desk = desk_of(shop_database, tmp_path)
    for _ in range(2 * FAILURES_MOST):
        await desk.sessions.failed("signature", HOME)

    assert not await desk.sessions.is_locked(HOME)


async def test_logins_under_way_are_bounded_for_each_network(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """One that knocks keeps nobody else out, and its rows are swept."""
    desk = desk_of(shop_database, tmp_path)
    found = [await desk.sessions.begin("/staff", HOME) for _ in range(BEGUN_MOST + 1)]
    other = await desk.sessions.begin("/staff", "10.9.9.0/24")
    desk.clock.advance(module.LOGIN_MS)
    swept = await desk.sessions.sweep()

    assert [one is None for one in found] == [False] * BEGUN_MOST + [True]
    assert other is not None
    assert (swept, desk.count(STAFF_LOGINS)) == (BEGUN_MOST + 1, 0)


async def test_the_list_tells_who_when_how_and_from_which_network(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """Each sees their own, the newest first; after some days it is forgotten, with sessions that are over."""
    desk = desk_of(shop_database, tmp_path)
    desk.invite()
    await desk.entered()
    desk.clock.advance(1)
    await desk.sessions.enter(EVE, HOME)
    desk.clock.advance(1)
    await desk.entered()
    mine = await desk.sessions.entries("ida")
    every = await desk.sessions.entries()
    desk.clock.set(NOW_MS + BOUNDS.entries_ms - 1)
    kept = await desk.sessions.sweep()
    desk.clock.advance(1)
    await desk.sessions.sweep()

    assert [(one.at_ms - NOW_MS, one.outcome, one.prefix) for one in mine] == [
        (2, "entered", HOME), (0, "invited", HOME),
    ]  # fmt: skip
    assert [(one.name, one.outcome) for one in every] == [
        ("ida", "entered"),
        ("", "stranger"),
        ("ida", "invited"),
    ]
    assert kept == 2
    assert (desk.count(STAFF_SESSIONS), desk.count(STAFF_ENTRIES)) == (0, 2)


async def test_the_database_names_nobody_and_has_no_session(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """Addresses and subjects are hashes of our own keys, sessions are hashes, and a network is not an address."""
    desk = desk_of(shop_database, tmp_path)
    desk.invite()
    invited = desk.dump(STAFF_PEOPLE)
    secret = await desk.entered()
    dump = invited + desk.dump(STAFF_PEOPLE, STAFF_SESSIONS, STAFF_ENTRIES)

    assert not any(text in dump for text in ("example.org", IDA.subject, secret))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2:3::9", "2001:db8:1::/48"), ("local", "local"),
        ("x" * 90, "x" * 40),
        # IPv4 in IPv6's clothes: otherwise everybody would be in one network, and one lock would lock all of them.
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
    ],
)  # fmt: skip
def test_a_network_is_told_and_no_address(address: str, network: str) -> None:
    """A street, not a house."""
    assert network_of(address) == network
