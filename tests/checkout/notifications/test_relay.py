"""The outbox: what is committed is sent, whoever dies, whatever is away, and however late it was committed."""

import asyncio
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.grouping import Grouping
from checkout.notifications import relay as relay_module
from checkout.notifications import store
from checkout.notifications.message import Kind, Outcome, Result, Send, message_id
from checkout.notifications.relay import KEEP_MS, LEASE_MS, MOST, Home, Relay
from checkout.notifications.store import AFRESH_MS, afresh, again, mark_sent, put
from checkout.tables import OUTBOX
from kernel.backoff import LONGEST_MS, again_ms
from tests.checkout.notifications.posting import (
    DROP,
    DROP_AFTER,
    EVENT,
    HANG,
    Noting,
    OneHome,
    Scene,
    post_office,
)

POINTS = re.findall(r'crashpoint\("([^"]+)"\)', Path(relay_module.__file__).read_text())


class Dead(BaseException):
    """The process is no more."""


@pytest.fixture
def scene(shop_database: ShopDatabase) -> Scene:
    """Give an empty outbox."""
    return Scene(shop_database)


def dying_at(name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the first who passes a crash point die there; returns where somebody has."""
    died: list[str] = []

    def crashpoint(passed: str) -> None:
        if passed == name and not died:
            died.append(passed)
            raise Dead

    monkeypatch.setattr(relay_module, "crashpoint", crashpoint)
    return died


# -------------------------------------------------------------------------------- put


async def test_what_is_put_twice_is_told_once(scene: Scene) -> None:
    """Row 77: the name is the key."""
    scene.put("O1")
    with scene.database.writing() as connection:
        assert not put(connection, scene.message("O1"))
    channel = Noting()

    await scene.passed(scene.relay(channel), channel, 3)

    assert channel.noted == ["order-paid.O1"]


async def test_what_is_put_by_several_at_once_is_told_once(scene: Scene) -> None:
    """The same under a race: all begin together, one row is there, nobody fails."""
    start, new = threading.Barrier(8), []

    def putting() -> None:
        start.wait()
        with scene.database.writing() as connection:
            new.append(put(connection, scene.message("O1")))

    threads = [threading.Thread(target=putting) for _ in range(8)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))

    assert sorted(new) == [False] * 7 + [True]


async def test_what_is_rolled_back_is_told_to_nobody(scene: Scene) -> None:
    """The message stands and falls with what it tells of."""
    with suppress(RuntimeError), scene.database.writing() as connection:
        put(connection, scene.message("O1"))
        raise RuntimeError
    channel = Noting()

    await scene.passed(scene.relay(channel), channel)

    assert channel.noted == []


def test_a_name_says_what_it_tells_of_and_nothing_that_came_from_outside() -> None:
    """A refund's key is anybody's text: it stands there as its hash, and two keys are two names."""
    kind = Kind.ORDER_REFUNDED
    names = {message_id(kind, "O1", key) for key in ("r1", "a b", "ann@example.com", "a\r\nBcc: x", "é")}

    assert len(names) == 5
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzO0123456789.-") for name in names)


# ------------------------------------------------------------------- N1: between send and mark


@pytest.mark.parametrize("point", POINTS)
async def test_who_dies_on_the_way_is_followed_by_one_who_sends_the_same(
    point: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N1, row 76: sent again under the same Message-ID, so that a mailbox that knows names has it once."""
    scene.put("O1")
    async with post_office() as office:
        mailing = scene.mailing(office.port)
        died = dying_at(point, monkeypatch)
        with suppress(Dead):
            await scene.passed(scene.relay(mailing), mailing)
        await scene.passed(scene.relay(mailing), mailing)
        under_lease = len(office.inbox.taken)
        scene.clock.advance(LEASE_MS)
        await scene.passed(scene.relay(mailing), mailing, 3)
        ids = office.inbox.ids
        await mailing.close()

    assert died == [point]
    assert under_lease == (1 if point == "outbox.sent" else 0)
    assert ids == ["<order-paid.O1@aurora.example>"] * (2 if point == "outbox.sent" else 1)
    assert scene.states() == {"sent": 1}


async def test_a_message_marked_before_it_is_sent_is_lost_by_a_death(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant of N1: mark, then send. Whoever dies between the two has told nobody."""
    scene.put("O1")
    channel = Noting()
    plain = Relay._send

    async def marking_first(self: Relay, to: Any, send: Send) -> Result:
        with scene.database.writing() as connection:
            mark_sent(connection, [send], scene.clock.now_ms())
        raise Dead
        return await plain(self, to, send)

    monkeypatch.setattr(Relay, "_send", marking_first)
    with suppress(Dead):
        await scene.passed(scene.relay(channel), channel)
    monkeypatch.undo()
    scene.clock.advance(LEASE_MS)
    await scene.passed(scene.relay(channel), channel, 3)

    assert channel.noted == []


# --------------------------------------------------------------------- N2: what a server says


@pytest.mark.parametrize(
    ("recipients", "contents", "first", "why", "seen"),
    [
        (["450 4.2.0 greylisted"], [], "waiting", "450 4.2.0", 1),
        (["550 5.1.1 <o1@fans.example> unknown"], [], "dead", "550 5.1.1", 0),
        ([], ["451 later"], "waiting", "451", 2),
        ([], ["554 5.7.1 no"], "dead", "554 5.7.1", 1),
        ([], ["421 4.3.2 going down"], "waiting", "421 4.3.2", 2),
        ([], [DROP], "waiting", "SMTPServerDisconnected", 2),
        ([], [DROP_AFTER], "waiting", "SMTPServerDisconnected", 2),
        ([], [HANG], "waiting", "no answer in time", 2),
    ],
    ids=["4xx", "5xx", "4xx-data", "5xx-data", "421", "drop", "drop-after", "hang"],
)
async def test_what_a_mail_server_says_decides_what_follows(
    recipients: list[str], contents: list[str], first: str, why: str, seen: int, scene: Scene
) -> None:
    """N2: 5xx is for good, everything else is tried again; no reason repeats an address."""
    scene.put("O1")
    async with post_office() as office:
        office.inbox.recipients, office.inbox.contents = list(recipients), list(contents)
        mailing = scene.mailing(office.port, patience_s=0.5)
        relay = scene.relay(mailing)
        await scene.passed(relay, mailing)
        ((_, row),) = scene.sends().items()
        office.inbox.released.set()
        scene.clock.advance(LONGEST_MS)
        await scene.passed(relay, mailing)
        ids = office.inbox.ids
        await mailing.close()

    assert (row["state"], row["why"], row["tries"]) == (first, why, 1)
    assert office.inbox.seen == seen
    assert scene.states() == {"sent" if first == "waiting" else "dead": 1}
    assert len(set(ids)) == (first == "waiting")


async def test_a_server_that_is_not_there_is_asked_once_for_all(scene: Scene) -> None:
    """N2, refused connections: the others are given back without counting as a try."""
    scene.put(*(f"O{number:02}" for number in range(40)))
    async with post_office() as office:
        port = office.port
    mailing = scene.mailing(port)

    await scene.passed(scene.relay(mailing), mailing)

    tries = [row["tries"] for row in scene.sends().values()]
    assert sum(tries) <= mailing.at_once
    assert scene.states() == {"waiting": 40}
    assert {row["due_ms"] > scene.clock.now_ms() for row in scene.sends().values()} == {True}


async def test_after_so_many_tries_it_is_a_dead_letter_until_an_organiser_sends_it_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """N2: dead with its reason, counted, told in the log; sent again from the beginning."""
    scene.put("O1")
    answers = [Result(Outcome.LATER, "450")] * 3 + [Result(Outcome.SENT)]
    channel = Noting(answer=lambda _: answers.pop(0))
    relay = scene.relay(channel, tries=3)

    await scene.passed(relay, channel, 10, LONGEST_MS)

    ((_, row),) = scene.sends().items()
    assert (row["state"], row["why"], row["tries"]) == ("dead", "450", 3)
    assert (scene.counted("later"), scene.counted("dead")) == (2, 1)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    with scene.database.writing() as connection:
        assert not again(connection, "winter", "order-paid.O1", "mail", scene.clock.now_ms())
        assert again(connection, EVENT, "order-paid.O1", "mail", scene.clock.now_ms())
        assert not again(connection, EVENT, "order-paid.O1", "mail", scene.clock.now_ms())
    await scene.passed(relay, channel)
    assert scene.states() == {"sent": 1}


async def test_who_asks_again_and_again_is_sent_the_same_once_a_minute(scene: Scene) -> None:
    """However often an address is typed anew: nobody's mailbox is filled, and what waits already keeps its time."""
    scene.put("O1")
    channel = Noting(answer=lambda _: Result(Outcome.SENT))
    relay = scene.relay(channel)
    await scene.passed(relay, channel)

    def asked() -> bool:
        with scene.database.writing() as connection:
            return afresh(connection, EVENT, "order-paid.O1", "mail", scene.clock.now_ms())

    first, twice = asked(), asked()
    sent_ms = next(iter(scene.sends().values()))["sent_ms"]
    due_ms = next(iter(scene.sends().values()))["due_ms"]
    before = list(channel.noted)
    await scene.passed(relay, channel, 3, AFRESH_MS)
    later = asked()
    with scene.database.writing() as connection:
        foreign = afresh(connection, "winter", "order-paid.O1", "mail", scene.clock.now_ms())

    assert (first, twice, later, foreign) == (True, True, True, False)
    assert (len(before), len(channel.noted)) == (1, 2)
    assert due_ms == sent_ms + AFRESH_MS
    assert next(iter(scene.sends().values()))["state"] == "waiting"


async def test_without_an_end_it_is_tried_for_ever(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant of N2: nobody gives up, so no organiser ever hears of it."""
    monkeypatch.setattr(relay_module, "is_last", lambda *_: False)
    scene.put("O1")
    channel = Noting(answer=lambda _: Result(Outcome.LATER, "450"))

    await scene.passed(scene.relay(channel, tries=3), channel, 10, LONGEST_MS)

    assert scene.states() == {"waiting": 1}


def test_waits_double_to_an_hour_and_chance_shortens_them() -> None:
    """10 s, 20 s, 40 s … 3,600 s; by a half at most."""
    waits = [again_ms(tries, 0.0, 0) for tries in range(1, 12)]

    assert waits == [10_000 * 2**n for n in range(9)] + [3_600_000] * 2
    assert again_ms(1, 0.5, 0) == 7_500
    assert again_ms(10**6, 0.0, 0) == 3_600_000


async def test_one_message_that_cannot_be_written_keeps_no_other(scene: Scene) -> None:
    """A fault of ours ends as a dead letter of its own."""
    scene.put("O1", "O2", "O3")

    def answer(send: Send) -> Result:
        if send.message.subject == "O2":
            raise KeyError("title")
        return Result(Outcome.SENT)

    channel = Noting(answer=answer)

    await scene.passed(scene.relay(channel, tries=2), channel, 3, LONGEST_MS)

    assert scene.states() == {"dead": 1, "sent": 2}
    assert scene.sends()["order-paid.O2", "mail"]["why"] == "fault: KeyError"


# ------------------------------------------------------------- N3: committed in another order


async def out_of_order(scene: Scene, look: Any) -> None:
    """Have a slow transaction commit after a later one, with a look between the two (PostgreSQL lets it)."""
    with scene.database.writing() as slow:
        put(slow, scene.message("O1"))
        if scene.database.dialect == "postgresql":
            scene.clock.advance(1)
            scene.put("O2")
            await look()
    if scene.database.dialect == "sqlite":
        # Writers take turns there; a clock that was set back makes the same of it.
        with scene.database.writing() as connection:
            later = scene.message("O2")
            connection.execute(
                sa.update(OUTBOX).where(OUTBOX.c.message_id == "order-paid.O1").values(is_new=False)
            )
            put(connection, later)
        await look()
        with scene.database.writing() as connection:
            connection.execute(
                sa.update(OUTBOX).where(OUTBOX.c.message_id == "order-paid.O1").values(is_new=True)
            )
    scene.clock.advance(1_000)
    await look()


async def test_what_is_committed_late_is_sent_all_the_same(scene: Scene) -> None:
    """N3: by the flag of what is not sent."""
    channel = Noting()
    relay = scene.relay(channel)

    await out_of_order(scene, lambda: scene.passed(relay, channel))

    assert sorted(channel.noted) == ["order-paid.O1", "order-paid.O2"]


async def test_a_relay_that_remembers_the_last_one_loses_what_is_committed_late(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant of N3: "newer than the last that I saw"."""
    plain, last = store._NEW, [-1]

    def spread_newer(
        connection: Any, channels: Any, now_ms: int, most: int, is_here: Any, without: Any = ()
    ) -> Any:
        newest = connection.scalar(sa.select(sa.func.max(OUTBOX.c.created_ms)).where(OUTBOX.c.is_new))
        monkeypatch.setattr(store, "_NEW", plain.where(OUTBOX.c.created_ms > last[0]))
        last[0] = max(last[0], newest or -1)
        return store.spread(connection, channels, now_ms, most, is_here, without)

    monkeypatch.setattr(relay_module, "spread", spread_newer)
    channel = Noting()
    relay = scene.relay(channel)

    await out_of_order(scene, lambda: scene.passed(relay, channel))

    assert channel.noted == ["order-paid.O2"]


# ------------------------------------------------------------------------ several, and apart


async def two_at_once(scene: Scene) -> list[str]:
    """Have two workers send the same sixty messages side by side; returns what they sent."""
    scene.put(*(f"O{number:02}" for number in range(60)))
    first, second = Noting(), Noting()
    other = OneHome(Home("main", Grouping(scene.database)))
    relays = (
        scene.relay(first),
        Relay(other, (second,), scene.clock, scene.metrics, lambda: 0.0),
    )
    await asyncio.gather(relays[0].pass_by(scene.home, first), relays[1].pass_by(other.home, second))
    return first.noted + second.noted


async def one_after_the_other_has_taken(scene: Scene) -> list[str]:
    """Have a worker send sixty messages while another one, who took some of them before, is slow; returns all sent."""
    scene.put(*(f"O{number:02}" for number in range(60)))
    first, second = Noting(), Noting()
    other = OneHome(Home("main", Grouping(scene.database)))
    has_taken, may_send, plain = asyncio.Event(), asyncio.Event(), first.send

    async def late(send: Send) -> Result:
        has_taken.set()
        await may_send.wait()
        return await plain(send)

    first.send = late  # type: ignore[method-assign]
    slow = asyncio.create_task(scene.relay(first).pass_by(scene.home, first))
    await has_taken.wait()
    await Relay(other, (second,), scene.clock, scene.metrics, lambda: 0.0).pass_by(other.home, second)
    may_send.set()
    await slow
    return first.noted + second.noted


async def test_what_a_slow_relay_has_taken_is_its_own(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other leaves it alone."""
    monkeypatch.setattr(relay_module, "MOST", 7)

    assert len(await one_after_the_other_has_taken(scene)) == 60


async def test_two_relays_send_each_message_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes what the other has not."""
    monkeypatch.setattr(relay_module, "MOST", 7)

    sent = await two_at_once(scene)

    assert sorted(sent) == sorted(set(sent))
    assert len(sent) == 60
    assert scene.states() == {"sent": 60}


async def test_two_relays_without_leases_send_messages_twice(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: what is taken is not marked as taken."""
    monkeypatch.setattr(relay_module, "MOST", 7)
    monkeypatch.setattr(relay_module, "LEAST_MS", -LEASE_MS)
    plain = relay_module.take

    def taking(connection: Any, **given: Any) -> Any:
        return plain(connection, **{**given, "until_ms": given["now_ms"]})

    monkeypatch.setattr(relay_module, "take", taking)
    sent = await one_after_the_other_has_taken(scene)

    assert len(sent) > 60


async def test_nobody_begins_to_send_when_the_lease_is_nearly_over(scene: Scene) -> None:
    """A worker that was held up leaves its messages to whoever comes next."""
    scene.put("O1", "O2")

    def slow(send: Send) -> Result:
        scene.clock.advance(LEASE_MS - 1_000)
        return Result(Outcome.SENT)

    channel = Noting(answer=slow)
    channel.at_once = 1

    await scene.relay(channel).pass_by(scene.home, channel)
    assert channel.noted == ["order-paid.O1"]
    scene.clock.advance(2_000)
    await scene.relay(channel).pass_by(scene.home, channel)

    assert channel.noted == ["order-paid.O1", "order-paid.O2"]


async def test_a_channel_that_fails_keeps_no_other(scene: Scene) -> None:
    """Row 74: mail fails, the webhook delivers; each state is there by itself."""
    scene.put("O1")
    mail, hook = Noting("mail", lambda _: Result(Outcome.NEVER, "550")), Noting("webhook.1")
    relay = scene.relay(mail, hook)

    for channel in (mail, hook):
        await scene.passed(relay, channel)

    states = {channel: row["state"] for (_, channel), row in scene.sends().items()}
    assert states == {"mail": "dead", "webhook.1": "sent"}


async def test_messages_delivered_three_times_in_any_order_end_the_same(scene: Scene) -> None:
    """Row 77: what is put and sent again changes nothing, whatever comes first."""
    orders = [f"O{number}" for number in range(6)]
    ends = set()
    for seed in range(4):
        channel = Noting()
        relay = scene.relay(channel)
        for order in (orders[seed:] + orders[:seed]) * 3:
            with scene.database.writing() as connection:
                put(connection, scene.message(order))
            await scene.passed(relay, channel)
        ends.add(tuple(sorted((key, row["state"]) for key, row in scene.sends().items())))

    assert len(ends) == 1
    assert scene.states() == {"sent": 6}


async def test_after_ten_minutes_without_a_mail_server_everything_arrives_in_order(scene: Scene) -> None:
    """Row 33: nothing is lost and nothing is a dead letter, however often it was tried meanwhile."""
    async with post_office() as office:
        mailing = scene.mailing(office.port, connections=1)
        relay = scene.relay(mailing)
        await office.shut()
        for minute in range(20):
            scene.put(*(f"O{minute:02}-{number}" for number in range(3)))
            await scene.passed(relay, mailing, 1, 30_000)
        assert scene.states() == {"waiting": 60}
        await office.open()
        office.inbox.released.clear()
        due = sorted((row["due_ms"], message) for (message, _), row in scene.sends().items())
        scene.clock.advance(LONGEST_MS)
        await scene.passed(relay, mailing)
        ids = office.inbox.ids
        await mailing.close()

    assert scene.states() == {"sent": 60}
    assert ids == [f"<{message}@aurora.example>" for _, message in _by_due(scene, due)]


def _by_due(scene: Scene, due: list[tuple[int, str]]) -> list[tuple[int, str]]:
    with scene.database.reading() as connection:
        rows = connection.execute(sa.select(OUTBOX.c.message_id, OUTBOX.c.created_ms)).all()
    made = {id_: at_ms for id_, at_ms in rows}  # noqa: C416 (a row is no pair)
    return sorted(due, key=lambda one: (one[0], made[one[1]], one[1]))


# -------------------------------------------------------------------------------- looking after


async def test_what_was_sent_is_forgotten_after_a_while_and_what_waits_is_not(scene: Scene) -> None:
    """Thirty days, or as it is set; a message that still waits in one channel stays."""
    scene.put("O1", "O2")
    sent = Noting("mail")
    held = Noting(
        "webhook.1",
        lambda send: Result(Outcome.LATER if send.message.subject == "O2" else Outcome.SENT),
    )
    relay = scene.relay(sent, held)
    for channel in (sent, held):
        await scene.passed(relay, channel)

    assert await relay.tidy(scene.home) == 0
    scene.clock.advance(KEEP_MS + 1)
    assert await relay.tidy(scene.home) == 1
    assert {message for message, _ in scene.sends()} == {"order-paid.O2"}


async def test_how_much_waits_and_how_long_is_told(scene: Scene) -> None:
    """By place and channel; what is sent counts down to nought."""
    scene.put("O1", "O2")
    channel = Noting()
    relay = scene.relay(channel)

    def told(name: str, of: str) -> float | None:
        labels = {"place": "main", "channel": of}
        return scene.registry.get_sample_value(f"waitroom_shop_outbox_{name}", labels)

    scene.clock.advance(5_000)
    await relay.tidy(scene.home)
    assert told("waiting_messages", "new") == 2
    assert told("oldest_seconds", "new") == 5
    await scene.passed(relay, channel)
    await relay.tidy(scene.home)
    assert told("waiting_messages", "mail") == 0
    assert told("oldest_seconds", "mail") == 0
    assert scene.counted("sent") == 2


async def test_an_event_that_is_being_moved_is_left_alone(scene: Scene) -> None:
    """Its rows stay as they are, so that the copy is what they are; others are sent meanwhile."""
    scene.put("O1")
    channel = Noting()
    relay = scene.relay(channel)
    scene.homes.elsewhere.add(EVENT)
    before = scene.sends()
    await scene.passed(relay, channel)
    assert (channel.noted, scene.sends()) == ([], before)
    scene.homes.elsewhere.clear()
    await relay._spread(scene.home)
    before = scene.sends()
    scene.homes.elsewhere.add(EVENT)
    await scene.passed(relay, channel)
    assert (channel.noted, scene.sends()) == ([], before)

    scene.homes.elsewhere.clear()
    await scene.passed(relay, channel)

    assert channel.noted == ["order-paid.O1"]


async def test_more_than_one_lease_takes_is_sent_in_one_look(scene: Scene) -> None:
    """A backlog is worked off without waiting for the next look."""
    with scene.database.writing() as connection:
        for number in range(MOST + 10):
            put(connection, scene.message(f"O{number}"))
    channel = Noting()

    await scene.passed(scene.relay(channel), channel)

    assert len(set(channel.noted)) == MOST + 10
