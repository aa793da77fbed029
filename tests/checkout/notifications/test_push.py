"""The channel `push`: every browser of an order hears it, once on its screen, while other channels fail or not."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from checkout.database import ShopDatabase
from checkout.notifications.message import Kind, Message, Outcome, Result, Send, SendState
from checkout.notifications.ports import Note
from checkout.notifications.push import DAYS_S, PADDED, REST_MS, Pushing, judged, plain_of
from checkout.people.devices import Device
from kernel.vapid import VapidKeys
from kernel.webpush import Answer, Pusher, PushHosts, read_subscription
from kernel.webpush import Outcome as Came
from tests.checkout.notifications.posting import EVENT, NOW_MS, Noting, Scene
from tests.kernel.push_service import HANGS, Browser, PushService, serving_push

CONTACT = "mailto:tickets@aurora.example"
LOOPBACK = PushHosts(loopback=True)


@dataclass
class Known:
    """Browsers by order, as ``checkout.people.devices`` keeps them."""

    of_order: dict[str, list[Device]] = field(default_factory=dict)

    async def of(self, event: str, subject: str) -> Sequence[Device]:
        """Return those of an order."""
        assert event == EVENT
        return list(self.of_order.get(subject, ()))

    async def gone(self, event: str, subject: str, name: str) -> None:
        """Forget one."""
        assert event == EVENT
        kept = [device for device in self.of_order[subject] if device.name != name]
        self.of_order[subject] = kept


class Words:
    """A writer of few words."""

    async def note(self, message: Message, language: str) -> Note:
        """Write the kind, and nothing of the order."""
        return Note(f"{message.kind}", "Grüße", language, "ltr", f"/events/{message.event}")


@dataclass
class Way:
    """A push service, the channel, and whom it tells."""

    scene: Scene
    service: PushService
    keys: VapidKeys
    known: Known
    channel: Pushing
    browsers: dict[str, Browser] = field(default_factory=dict)

    def subscribe(self, order: str, name: str, language: str = "en") -> None:
        """Have a browser told of an order."""
        browser = self.browsers.setdefault(name, Browser())
        plain = browser.subscription(self.service.endpoint(name))
        subscription = read_subscription(plain, self.keys.newest.public, LOOPBACK)
        self.known.of_order.setdefault(order, []).append(Device(name, subscription, language))

    async def passed(self, *others: Any, **options: Any) -> None:
        """Let all channels look once."""
        relay = self.scene.relay(self.channel, *others, **options)
        for channel in (self.channel, *others):
            await relay.pass_by(self.scene.home, channel)

    def shown(self, name: str) -> list[dict[str, Any]]:
        """Read what a browser was sent."""
        heard = [body for to, _, body in self.service.heard if to == name]
        return [orjson.loads(self.browsers[name].read(body)) for body in heard]

    def state(self, order: str = "O1", kind: Kind = Kind.ORDER_PAID) -> tuple[str, str]:
        """Tell how a message stands in this channel, and why."""
        row = self.scene.sends()[f"{kind}.{order}", "push"]
        return row["state"], row["why"]


@asynccontextmanager
async def way(database: ShopDatabase, folder: Path, **options: Any) -> AsyncIterator[Way]:
    """Open all of it for a while."""
    scene, known = Scene(database), Known()
    keys = VapidKeys.open_keys(folder / "push-keys.json", NOW_MS)
    pusher = Pusher(keys, CONTACT, LOOPBACK, scene.clock, **options)
    channel = Pushing(pusher, known, Words(), scene.clock)
    async with serving_push(NOW_MS // 1000) as service:
        try:
            yield Way(scene, service, keys, known, channel)
        finally:
            await channel.close()


async def test_every_browser_of_an_order_is_told_in_its_language(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """And no other; what they show has a tag by which a repeat takes the place of the first."""
    async with way(shop_database, tmp_path) as own:
        own.subscribe("O1", "phone", "de")
        own.subscribe("O1", "desk", "en")
        own.subscribe("O2", "other")
        own.scene.put("O1")
        await own.passed()

        assert own.state() == (SendState.SENT, "")
        assert own.service.wrong == []
        (phone,), (desk,) = own.shown("phone"), own.shown("desk")
        assert own.shown("other") == []
        assert (phone["lang"], desk["lang"], phone["path"]) == ("de", "en", f"/events/{EVENT}")
        assert phone["tag"] == desk["tag"] != ""
        assert own.scene.counted("sent", "push") == 1


async def test_a_repeat_has_the_same_topic_and_tag(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """At least once, and once on the screen: one browser is busy, so both are told again."""
    async with way(shop_database, tmp_path) as own:
        own.subscribe("O1", "one")
        own.scene.put("O1")
        own.service.answers = [500, 201]
        await own.passed()
        waiting = own.state()
        own.scene.clock.advance(60_000)
        await own.passed()

        first, second = own.shown("one")
        topics = {headers["topic"] for _, headers, _ in own.service.heard}
        assert waiting == (SendState.WAITING, "500")
        assert own.state() == (SendState.SENT, "")
        assert first["tag"] == second["tag"]
        assert len(topics) == 1


async def test_while_mail_is_down_browsers_are_told_and_each_channel_says_how_it_stands(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """Seed row 74: one channel fails, the other delivers, and both states can be seen."""
    mail = Noting("mail", lambda _: Result(Outcome.AWAY, "no connection"))
    async with way(shop_database, tmp_path) as own:
        own.subscribe("O1", "one")
        own.scene.put("O1", "O2")
        await own.passed(mail)
        await own.scene.relay(own.channel, mail).tidy(own.scene.home)

        rows = {key: (row["state"], row["why"]) for key, row in own.scene.sends().items()}
        assert rows == {
            ("order-paid.O1", "push"): ("sent", ""),
            ("order-paid.O1", "mail"): ("waiting", "no connection"),
            ("order-paid.O2", "push"): ("skipped", "no-device"),
            ("order-paid.O2", "mail"): ("waiting", "no connection"),
        }
        waits = {
            channel: own.scene.registry.get_sample_value(
                "waitroom_shop_outbox_waiting_messages", {"place": "main", "channel": channel}
            )
            for channel in ("mail", "push")
        }
        assert waits == {"mail": 2, "push": 0}


async def test_a_browser_that_is_gone_is_forgotten(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """The others are told; once nobody is left the message is skipped, and no dead letter."""
    async with way(shop_database, tmp_path) as own:
        own.subscribe("O1", "old")
        own.scene.put("O1")
        own.service.answers = [410]
        await own.passed()

        assert own.state() == (SendState.SKIPPED, "gone")
        assert own.known.of_order["O1"] == []
        own.subscribe("O2", "old")
        own.scene.put("O2")
        own.service.answers = [404]
        own.subscribe("O2", "new")
        own.known.of_order["O2"].sort(key=lambda device: device.name != "old")
        await own.passed()
        assert len(own.known.of_order["O2"]) == 1
        assert own.state("O2") == (SendState.SENT, "")


async def test_a_service_that_is_busy_says_when_to_come_back(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """Retry-After counts where it is longer than our own wait; the mutant that does not look comes too soon."""
    async with way(shop_database, tmp_path) as own:
        own.subscribe("O1", "one")
        own.scene.put("O1")
        own.service.answers, own.service.retry_after = [429], "600"
        await own.passed()
        own.scene.clock.advance(599_999)
        await own.passed()
        before = len(own.service.heard)
        own.scene.clock.advance(1)
        await own.passed()

        assert before == 1
        assert len(own.service.heard) == 2


async def test_what_a_service_refuses_is_a_dead_letter_with_its_code_alone(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """No address stands in it."""
    async with way(shop_database, tmp_path) as own:
        for order, status in (("O1", 413), ("O2", 400)):
            own.subscribe(order, order)
            own.scene.put(order)
            own.service.answers = [status]
            await own.passed()

        assert own.state("O1") == (SendState.DEAD, "413")
        assert own.state("O2") == (SendState.DEAD, "400")


async def test_what_is_never_taken_is_given_up_and_can_be_seen(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """As many tries as any channel has."""
    async with way(shop_database, tmp_path) as own:
        own.subscribe("O1", "one")
        own.scene.put("O1")
        own.service.answers = [503, 503, 503]
        for _ in range(3):
            await own.passed(tries=3)
            own.scene.clock.advance(3_600_000)

        assert own.state() == (SendState.DEAD, "503")


async def test_a_service_that_hangs_rests_and_others_do_not_wait_for_it(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """It is asked once in ten seconds; messages to another host go out meanwhile."""
    async with way(shop_database, tmp_path, patience_s=0.2) as own:
        for order in ("O1", "O2"):
            own.subscribe(order, HANGS)
        own.subscribe("O3", "well")
        there = own.known.of_order["O3"][0]
        at_name = there.subscription.endpoint.replace("127.0.0.1", "localhost")
        own.known.of_order["O3"] = [
            replace(there, subscription=replace(there.subscription, endpoint=at_name))
        ]
        send = [Send(own.scene.message(order), "push", 0, 0) for order in ("O1", "O2", "O3")]
        hung, resting = await own.channel.send(send[0]), await own.channel.send(send[1])
        own.channel._pusher._patience_s = 10.0
        well = await own.channel.send(send[2])
        own.scene.clock.advance(REST_MS)
        own.channel._pusher._patience_s = 0.2
        again = await own.channel.send(send[0])

        assert hung == Result(Outcome.LATER, "no answer in time")
        assert resting == Result(Outcome.LATER, "the service rests", REST_MS // 1000)
        assert well == Result(Outcome.SENT)
        assert again == hung


async def test_an_offer_is_kept_for_as_long_as_its_seats(shop_database: ShopDatabase, tmp_path: Path) -> None:
    """It wakes a device; one that is over is told to nobody. Everything else is kept for days."""
    async with way(shop_database, tmp_path) as own:
        own.subscribe("O1", "one")
        paid = own.scene.message("O1")
        offer = replace(paid, kind=Kind.WAITLIST_OFFER, facts={"until_ms": NOW_MS + 90_000})
        over = replace(offer, facts={"until_ms": NOW_MS})
        results = [await own.channel.send(Send(one, "push", 0, 0)) for one in (paid, offer, over)]

        told = [(headers["ttl"], headers["urgency"]) for _, headers, _ in own.service.heard]
        assert told == [(str(DAYS_S), "normal"), ("90", "high")]
        assert results == [
            Result(Outcome.SENT), Result(Outcome.SENT), Result(Outcome.SKIPPED, "over"),
        ]  # fmt: skip


def test_the_size_of_a_message_tells_nothing() -> None:
    """Short and long are padded to one length, and still JSON."""
    short = plain_of(Note("a", "b", "en", "ltr", "/"), "t")
    long = plain_of(Note("a" * 100, "ü" * 100, "ar", "rtl", "/tickets/summer/O1/mac"), "t")

    assert len(short) == len(long) == PADDED
    assert orjson.loads(long)["body"] == "ü" * 100


@pytest.mark.parametrize(
    ("came", "result"),
    [
        ([Came.TAKEN, Came.GONE, Came.REFUSED], Result(Outcome.SENT)),
        ([Came.TAKEN, Came.AWAY], Result(Outcome.LATER, "away")),
        ([Came.AGAIN, Came.REFUSED], Result(Outcome.LATER, "again")),
        ([Came.GONE, Came.TOO_LARGE], Result(Outcome.NEVER, "too-large")),
        ([Came.GONE, Came.GONE], Result(Outcome.SKIPPED, "gone")),
    ],
)
def test_what_came_of_several_browsers_is_one_result(came: list[Came], result: Result) -> None:
    """Whoever may still take it keeps the message alive; what nobody can take is told."""
    assert judged([Answer(one, one.value) for one in came]) == result
