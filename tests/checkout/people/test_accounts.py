"""Accounts: a login counts once, a session ends, what is kept is sealed, and an order is one account's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from checkout.holds.places import OnePlace
from checkout.people import logins as module
from checkout.people.accounts import TOUCH_MS, AccountPart, Accounts, bounds_of
from checkout.people.contacts import Contact, Contacts
from checkout.people.logins import LOGIN_MS
from checkout.people.personal import Personal
from checkout.tables import ACCOUNT_LOGINS, ACCOUNT_SESSIONS, ACCOUNTS, META
from kernel.oidc import Begun, Person
from tests.checkout.people.sealed import keys_in
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, faults, shop

ANN = Person("https://id.example", "subject-of-ann", "annabel@example.org", "Annabel Quaverton")
BOB = Person("https://id.example", "subject-of-bob", "", "")
HOUR_MS = 3_600_000
BOUNDS = bounds_of(24, 30)


@asynccontextmanager
async def known(url: str, store_url: str, folder: Path) -> AsyncIterator[tuple[Shop, Accounts]]:
    """Open a shop with accounts."""
    async with shop(url, store_url) as own:
        scene = own.scene
        yield own, Accounts(scene.database, OnePlace(scene.place), keys_in(folder), scene.clock, BOUNDS)


async def test_a_login_counts_once_in_its_own_browser(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """Another browser, another state, too late, and again: none of them gets it; a wrong state spends it."""
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        begun = [one for one in [await accounts.begin("/account") for _ in range(4)] if one is not None]
        right, other, wrong, late = begun
        stranger = await accounts.take("somebody's", right.state)
        taken = await accounts.take(right.browser, right.state)
        again = await accounts.take(right.browser, right.state)
        crossed = await accounts.take(other.browser, right.state)
        after_crossed = await accounts.take(other.browser, other.state)
        own.scene.clock.advance(LOGIN_MS - 1)
        just = await accounts.take(wrong.browser, wrong.state)
        own.scene.clock.advance(1)
        over = await accounts.take(late.browser, late.state)

    assert taken == right
    assert [stranger, again, crossed, after_crossed, over] == [None] * 5
    assert just == wrong
    assert len({value for one in begun for value in (one.browser, one.state, one.nonce, one.verifier)}) == 16


async def test_of_two_callbacks_at_once_one_counts(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """The row is taken away by one of them."""
    async with known(shop_url, store_url, tmp_path) as (_, accounts):
        begun = await accounts.begin("/account")
        assert begun is not None
        found = await asyncio.gather(*(accounts.take(begun.browser, begun.state) for _ in range(8)))

    assert [one for one in found if one is not None] == [begun]


async def test_logins_under_way_are_bounded(
    shop_url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knocks; those that nobody finished make room."""
    monkeypatch.setattr(module, "LOGINS_MOST", 3)
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        found = [await accounts.begin("/account") for _ in range(4)]
        own.scene.clock.advance(LOGIN_MS)
        later = await accounts.begin("/account")

    assert [isinstance(one, Begun) for one in [*found, later]] == [True, True, True, False, True]


async def test_a_session_ends_when_idle_and_at_last(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """Half-open at both ends; used again and again it lasts its days, and no longer."""
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        clock = own.scene.clock
        idle = await accounts.enter(ANN, "en")
        used = await accounts.enter(ANN, "en")
        clock.advance(BOUNDS.idle_ms - 1)
        at_edge = await accounts.who(used)
        clock.advance(1)
        assert await accounts.who(idle) is None
        rounds = 0
        while await accounts.who(used) is not None:
            clock.advance(BOUNDS.idle_ms - HOUR_MS)
            rounds += 1
        with own.scene.database.reading() as connection:
            left = connection.scalar(sa.select(sa.func.count()).select_from(ACCOUNT_SESSIONS))

    assert at_edge is not None
    assert 30 <= rounds <= 32
    assert left == 0


async def test_a_session_is_written_down_as_used_seldom(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """Not with each page."""
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        session = await accounts.enter(ANN, "en")
        seen = []
        for wait_ms in (TOUCH_MS - 1, 1):
            own.scene.clock.advance(wait_ms)
            assert await accounts.who(session) is not None
            with own.scene.database.reading() as connection:
                seen.append(connection.scalar(sa.select(ACCOUNT_SESSIONS.c.used_ms)))

    assert seen[1] - seen[0] == TOUCH_MS


async def test_each_login_makes_a_new_session_and_ends_the_one_before(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """A session that was planted in a browser never becomes anybody's; other browsers stay logged in."""
    async with known(shop_url, store_url, tmp_path) as (_, accounts):
        elsewhere = await accounts.enter(ANN, "en")
        bobs = await accounts.enter(BOB, "en")
        new = await accounts.enter(ANN, "en", bobs)
        planted = await accounts.enter(ANN, "en", "planted by somebody")
        found = [
            await accounts.who(one) for one in (elsewhere, bobs, new, "planted by somebody", planted, "")
        ]

    assert [one.email if one else None for one in found] == [
        "annabel@example.org", None, "annabel@example.org", None, "annabel@example.org", None,
    ]  # fmt: skip


async def test_whoever_logs_in_again_is_the_same(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """Also where two come at the same moment; what the provider says is kept anew, what they chose stays."""
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        sessions = await asyncio.gather(*(accounts.enter(ANN, "de") for _ in range(6)))
        ids = {account.id for one in sessions if (account := await accounts.who(one)) is not None}
        await accounts.change(next(iter(ids)), "pl", frozenset({"order", "reminder"}))
        moved = Person(ANN.issuer, ANN.subject, "ann@example.com", "x" * 999)
        later = await accounts.who(await accounts.enter(moved, "en"))
        other = await accounts.who(
            await accounts.enter(Person("https://other.example", ANN.subject, "", ""), "en")
        )
        with own.scene.database.reading() as connection:
            count = connection.scalar(sa.select(sa.func.count()).select_from(ACCOUNTS))

    assert len(ids) == 1
    assert later is not None
    assert other is not None
    assert (later.id, later.email, later.name) == (next(iter(ids)), "ann@example.com", "")
    assert (later.language, later.wants) == ("pl", {"order", "reminder"})
    assert other.id != later.id
    assert count == 2


async def test_a_dump_tells_nobody_and_lets_nobody_in(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """No address, no name, no subject; no session, and no login's cookie."""
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        session = await accounts.enter(ANN, "en")
        begun = await accounts.begin("/account")
        assert begun is not None
        with own.scene.database.reading() as connection:
            dump = "\n".join(
                str(tuple(row))
                for table in META.sorted_tables
                for row in connection.execute(sa.select(table))
            ).lower()

    assert begun.state.lower() in dump
    for word in ("annabel", "example.org", "quaverton", ANN.subject, session.lower(), begun.browser.lower()):
        assert word not in dump


async def test_an_order_is_one_accounts_and_stands_in_its_list(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """Whoever comes second does not get it; it is told as its event's database has it now, the newest first."""
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        ann, bob = [await accounts.who(await accounts.enter(one, "en")) for one in (ANN, BOB)]
        assert ann is not None
        assert bob is not None
        first = await own.paid("ann", 0)
        own.scene.clock.advance(1_000)
        second = await own.order("ann", 2)
        ties = [
            await accounts.tie(account.id, EVENT, order["order"])
            for account, order in ((ann, first), (ann, first), (bob, first), (ann, second))
        ]
        bought = await accounts.bought(ann.id)
        nothing = await accounts.bought(bob.id)

    assert ties == [True, True, False, True]
    assert [(one.order, one.state) for one in bought] == [(second["order"], "open"), (first["order"], "paid")]
    assert nothing == []


async def test_mail_goes_to_the_account_where_an_order_has_no_contact(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """A contact of the order itself counts more; an account without an address is none."""
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        scene = own.scene
        contacts = Contacts(
            OnePlace(scene.place), keys_in(tmp_path), scene.clock, scene.metrics, accounts.contact
        )
        ann, bob = [await accounts.who(await accounts.enter(one, "de")) for one in (ANN, BOB)]
        assert ann is not None
        assert bob is not None
        orders = [(await own.order("ann", seat))["order"] for seat in (0, 2)]
        await accounts.tie(ann.id, EVENT, orders[0])
        await accounts.tie(bob.id, EVENT, orders[1])
        by_account = await contacts.of(EVENT, orders[0])
        kept = await contacts.kept(EVENT, orders[0])
        nobody = await contacts.of(EVENT, orders[1])
        await contacts.put(EVENT, "ann", orders[0], Contact("other@example.org", "en"))
        by_order = await contacts.of(EVENT, orders[0])

    assert by_account == Contact("annabel@example.org", "de", frozenset({"order"}), "Annabel Quaverton")
    assert (kept, nobody) == (None, None)
    assert by_order == Contact("other@example.org", "en")


async def test_an_account_that_is_erased_leaves_its_orders(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """Sessions end, the list is gone, the books stand; who logs in again begins anew."""
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        session = await accounts.enter(ANN, "en")
        ann = await accounts.who(session)
        assert ann is not None
        order = (await own.paid())["order"]
        await accounts.tie(ann.id, EVENT, order)
        await accounts.erase(ann.id)
        gone = await accounts.who(session)
        again = await accounts.who(await accounts.enter(ANN, "en"))
        assert again is not None
        bought = await accounts.bought(again.id)
        wrong = await faults(own)

    assert gone is None
    assert again.id != ann.id
    assert bought == []
    assert wrong == []


async def test_what_is_personal_of_an_order_has_its_account(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    """Told with the order, and forgotten with it; the account itself stays."""
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        scene = own.scene
        places = OnePlace(scene.place)
        contacts = Contacts(places, keys_in(tmp_path), scene.clock, scene.metrics, accounts.contact)
        personal = Personal(places, contacts, [AccountPart(accounts)])
        ann = await accounts.who(await accounts.enter(ANN, "en"))
        assert ann is not None
        order = (await own.order())["order"]
        await accounts.tie(ann.id, EVENT, order)
        told = await personal.told(EVENT, order)
        gone = await personal.erase(EVENT, order, "ida")
        after = await personal.told(EVENT, order)

    assert (told["account"], after["account"]) == (ann.id, None)
    assert gone == {"contact": 0, "account": 1}


async def test_what_is_over_is_swept(shop_url: str, store_url: str, tmp_path: Path) -> None:
    """Sessions and logins; what is not stays."""
    async with known(shop_url, store_url, tmp_path) as (own, accounts):
        await accounts.enter(ANN, "en")
        await accounts.begin("/account")
        early = await accounts.sweep()
        own.scene.clock.advance(LOGIN_MS)
        logins = await accounts.sweep()
        own.scene.clock.advance(BOUNDS.idle_ms)
        sessions = await accounts.sweep()
        with own.scene.database.reading() as connection:
            left = [
                connection.scalar(sa.select(sa.func.count()).select_from(table))
                for table in (ACCOUNT_LOGINS, ACCOUNT_SESSIONS)
            ]

    assert (early, logins, sessions) == (0, 1, 1)
    assert left == [0, 0]
