"""An address that is changed while its mail is on the way: the new one is written to as well, whatever became of it."""

from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.notifications import store
from checkout.notifications.message import MAIL
from checkout.notifications.ports import Contact
from checkout.notifications.store import AFRESH_MS, afresh
from tests.checkout.notifications.posting import EVENT, Scene, post_office

OLD, NEW = Contact("old@fans.example"), Contact("new@fans.example")


@pytest.fixture
def scene(shop_database: ShopDatabase) -> Scene:
    """Give an empty outbox."""
    return Scene(shop_database)


@dataclass
class Changing:
    """Contacts whose one address is changed just after somebody has read it, and the mail asked for once more."""

    scene: Scene
    now: Contact | None
    then: list[Contact] = field(default_factory=lambda: [NEW])
    asked: list[bool] = field(default_factory=list)

    async def of(self, event: str, subject: str) -> Contact | None:
        """Give what is kept now; a moment later it is another."""
        given = self.now
        if self.then:
            self.now = self.then.pop(0)
            with self.scene.database.writing() as connection:
                ask = afresh(connection, event, f"order-paid.{subject}", MAIL, self.scene.clock.now_ms())
            self.asked.append(ask)
        return given


async def raced(scene: Scene, first: Contact | None, *refusals: str) -> list[str]:
    """Send an order's mail while its contact changes; returns to whom mails came in the end."""
    came: list[str] = []
    async with post_office() as office:
        office.inbox.recipients = list(refusals)
        contacts = Changing(scene, first)
        channel = scene.mailing(office.port, contacts)
        relay = scene.relay(channel)
        scene.put("O1")
        await scene.passed(relay, channel, 4, AFRESH_MS)
        await channel.close()
        came += [str(mail["To"]) for mail in office.inbox.mails]
        assert contacts.asked == [True]
        assert len(set(office.inbox.ids)) <= 1
    return came


async def test_a_contact_that_is_changed_while_its_mail_is_leased_gets_it(scene: Scene) -> None:
    """The mail went to the old address; a minute later it goes to the new one, once, under the same name."""
    assert await raced(scene, OLD) == [OLD.email, NEW.email]
    assert scene.states() == {"sent": 1}


async def test_who_leaves_an_address_while_the_mail_is_being_skipped_gets_it(scene: Scene) -> None:
    """Nobody was to be told when the relay asked; somebody is now."""
    assert await raced(scene, None) == [NEW.email]
    assert scene.states() == {"sent": 1}


async def test_who_puts_a_refused_address_right_meanwhile_gets_it(scene: Scene) -> None:
    """The old address is refused for good: that is no end for the new one."""
    assert await raced(scene, OLD, "550 no such user") == [NEW.email]
    assert scene.states() == {"sent": 1}


async def test_many_changes_on_the_way_are_one_more_mail(scene: Scene) -> None:
    """However often an address is typed anew within those seconds."""
    async with post_office() as office:
        contacts = Changing(scene, OLD)
        channel = scene.mailing(office.port, contacts)
        relay = scene.relay(channel)
        scene.put("O1")

        def more() -> None:
            with scene.database.writing() as connection:
                for _ in range(5):
                    assert afresh(connection, EVENT, "order-paid.O1", MAIL, scene.clock.now_ms())

        await scene.passed(relay, channel)
        more()
        await scene.passed(relay, channel, 4, AFRESH_MS)
        await channel.close()

        assert [str(mail["To"]) for mail in office.inbox.mails] == [OLD.email, NEW.email]


@pytest.mark.parametrize(("first", "refusals"), [(OLD, ()), (None, ()), (OLD, ("550 no such user",))])
async def test_without_the_count_the_new_address_gets_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, first: Contact | None, refusals: tuple[str, ...]
) -> None:
    """Mutant: what is asked for on the way is not looked at when it is settled."""
    for name in ("_SENT", "_ENDED_NOT_SENT"):
        statement = getattr(store, name)
        blind = statement.values(
            state="sent" if name == "_SENT" else sa.bindparam("to_state"), tries=sa.bindparam("to_tries")
        )
        monkeypatch.setattr(store, name, blind)

    assert NEW.email not in await raced(scene, first, *refusals)
