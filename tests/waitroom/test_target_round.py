"""Targets are told at least once, in order, each for itself; by real HTTP, to somebody who fails in every way."""

import base64
import email
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from kernel import webhook_signing
from kernel.backoff import again_ms
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.mail import Ready, Server
from kernel.sending import Outcome, Result
from tests.dashboards.outgoing import Parts, configured, entry, parts
from tests.waitroom.receivers import Receiver, is_right, receiving
from waitroom.configure import Actor
from waitroom.journal import Kind
from waitroom.journal_reader import Sought
from waitroom.target_desk import BOTH_MS, Act
from waitroom.target_round import LEASE_MS, TargetRound
from waitroom.target_store import DELIVERIES_KEPT, TargetStore
from waitroom.target_ways import BURST_MS
from waitroom.targets import Delivery, State, Target

ANN = Actor("Ann", "try")
DIED = "died"


@pytest.fixture
def made(journal_url: str, clock: ManualClock) -> Iterator[Parts]:
    """Give everything on an empty journal, on both databases."""
    with parts(journal_url, clock) as found:
        yield found


@pytest.fixture
def lite(tmp_path: Any) -> str:
    """Give the address of an empty SQLite journal: for what does not depend on the database."""
    return f"sqlite:///{tmp_path}/journal.db"


@asynccontextmanager
async def hooked(made: Parts, name: str = "shop", **more: Any) -> AsyncIterator[Receiver]:
    """Have a receiver told from the beginning."""
    async with receiving() as receiver:
        given = {"name": name, "way": "webhook", "address": f"{receiver.url}/hook", "after": 0}
        await made.desk.make(given | more, ANN)
        yield receiver
        await made.ways.close()


async def told(made: Parts, rounds: TargetRound | None = None) -> None:
    """Look once, and wait until nothing is being told."""
    which = rounds or made.round
    await which.look()
    await which.told()


def happen(made: Parts, count: int, **more: Any) -> None:
    """Have phases change."""
    made.journal.append(
        [
            entry(Kind.PHASE, made.clock.now_ms(), phase="serving", who="", n=str(n), **more)
            for n in range(count)
        ]
    )


async def test_everything_is_told_once_in_order_and_signed(made: Parts) -> None:
    """Each event with its own name; a receiver who knows the secret alone can tell that it is ours."""
    happen(made, 3)
    async with hooked(made) as receiver:
        secret = made.keys.of(await made.desk.get("shop"))
        await told(made)
        await told(made)

        # The fourth is the record of who made the target.
        assert receiver.ids == ["shop.1", "shop.2", "shop.3", "shop.4"]
        bodies = [json.loads(body) for _, body in receiver.heard]
        now_s = made.clock.now_ms() // 1000
        assert all(is_right(head, body, secret, now_s) for head, body in receiver.heard)
        assert not any(is_right(head, body + b" ", secret, now_s) for head, body in receiver.heard)
        assert not any(is_right(head, body, b"x" * 32, now_s) for head, body in receiver.heard)
    assert [one["type"] for one in bodies] == ["waitroom.phase"] * 3 + ["waitroom.target"]
    assert [one["data"]["seq"] for one in bodies] == [1, 2, 3, 4]
    assert {one["data"]["schema"] for one in bodies} == {"waitroom.event.v1"}
    assert (bodies[3]["data"]["who"], bodies[3]["data"]["why"]) == ("Ann", "try")
    target = await made.desk.get("shop")
    assert (target.cursor, target.tries, target.told_ms) == (4, 0, made.clock.now_ms())


@pytest.mark.parametrize("part", ["id", "time", "body"])
async def test_a_signature_that_leaves_something_out_is_refused(
    lite: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """The mutants: name, time or body stand outside of what is signed."""
    right = webhook_signing.signature
    wrong = {
        "id": lambda secret, _id, now_s, body: right(secret, "", now_s, body),
        "time": lambda secret, id_, _now_s, body: right(secret, id_, 0, body),
        "body": lambda secret, id_, now_s, _body: right(secret, id_, now_s, b""),
    }
    monkeypatch.setattr(webhook_signing, "signature", wrong[part])
    with parts(lite, clock) as made:
        happen(made, 1)
        async with hooked(made) as receiver:
            secret = made.keys.of(await made.desk.get("shop"))
            await told(made)
    assert not any(is_right(head, body, secret, clock.now_ms() // 1000) for head, body in receiver.heard)


@pytest.mark.parametrize("status", [500, 503, 429, 404, 301, 302, 307])
async def test_what_is_not_taken_comes_again_and_what_is_behind_it_waits(
    lite: str, clock: ManualClock, status: int
) -> None:
    """A redirection is followed no more than a fault; the waits double, and order is kept."""
    with parts(lite, clock) as made:
        happen(made, 2)
        async with hooked(made) as receiver:
            receiver.statuses = [status, status]
            for tries in (1, 2):
                await told(made)
                target = await made.desk.get("shop")
                assert (target.cursor, target.tries, target.why) == (0, tries, str(status))
                assert target.next_ms == again_ms(tries, 0.0, clock.now_ms())
                clock.set(target.next_ms - 1)
                await told(made)
                assert len(receiver.heard) == tries
                clock.advance(1)
            await told(made)
        assert receiver.ids == ["shop.1", "shop.1", "shop.1", "shop.2", "shop.3"]
        outcomes = [one.outcome for one in await made.desk.deliveries("shop")]
        assert outcomes == ["sent", "sent", "sent", "later", "later"]


async def test_one_that_does_not_answer_holds_up_nobody_else(lite: str, clock: ManualClock) -> None:
    """The slow one is still being told when the other has heard everything."""
    with parts(lite, clock, patience_s=30) as made:
        happen(made, 2)
        async with hooked(made, "slow") as slow, hooked(made, "quick") as quick:
            slow.statuses = [0]
            await made.round.look()
            await slow.asked.wait()
            await made.round._telling["quick"]
            assert (len(slow.heard), len(quick.heard)) == (1, 4)
            slow.over.set()
            await made.round.told()
        assert slow.ids == [f"slow.{seq}" for seq in range(1, 5)]


async def test_patience_ends(lite: str, clock: ManualClock) -> None:
    """No answer in time is a failure like others."""
    with parts(lite, clock, patience_s=0.05) as made:
        happen(made, 1)
        async with hooked(made) as receiver:
            receiver.statuses = [0]
            await told(made)
            target = await made.desk.get("shop")
        assert (target.cursor, target.tries, target.why) == (0, 1, "no answer in time")


async def test_who_is_not_there_is_tried_until_dead_and_goes_on_when_resumed(
    lite: str, clock: ManualClock
) -> None:
    """Dead is shown and not tried; nothing is lost meanwhile."""
    with parts(lite, clock, tries=3) as made:
        happen(made, 2)
        async with hooked(made) as receiver:
            receiver.statuses = [500, 500, 500]
            for _ in range(5):
                await told(made)
                clock.advance(10_000_000)
            target = await made.desk.get("shop")
            assert (target.state, target.cursor, len(receiver.heard)) == (State.DEAD, 0, 3)
            assert made.metrics.state.labels("dead")._value.get() == 1

            await made.desk.act("shop", Act.RESUME, {}, ANN)
            await told(made)
        assert receiver.ids[3:] == [f"shop.{seq}" for seq in range(1, 5)]


async def test_a_receiver_that_is_gone_for_good_is_dead_at_once(lite: str, clock: ManualClock) -> None:
    """410."""
    with parts(lite, clock) as made:
        happen(made, 1)
        async with hooked(made) as receiver:
            receiver.statuses = [410]
            await told(made)
            assert (await made.desk.get("shop")).state is State.DEAD


# ------------------------------------------------------------------------------------- crashes


class Dying(TargetStore):
    """Dies once where the cursor is written: the process is gone, and whatever was to come with it."""

    alive = False

    def move(self, target: Target, holder: str, until_ms: int, delivery: Delivery | None) -> bool:
        """Die, unless somebody else has taken over."""
        if not self.alive:
            raise Unavailable("journal-away", DIED)
        return super().move(target, holder, until_ms, delivery)

    def release(self, name: str, holder: str) -> None:
        """Leave the lease as it is: who is dead gives nothing back."""
        if self.alive:
            super().release(name, holder)


class CursorFirst(TargetRound):
    """The mutant: the cursor moves before the target has taken the event."""

    async def _step(self, target: Target) -> Target | None:
        portion = self._reader.after(target.cursor, Sought(), 1)
        if not portion.told:
            return None
        moved = replace(target, cursor=portion.at)
        super(Dying, self._store).move(moved, self._me, self._clock.now_ms() + LEASE_MS, None)  # type: ignore[misc]
        if not self._store.alive:  # type: ignore[attr-defined]
            raise Unavailable("journal-away", DIED)
        await self._ways.tell(moved, portion.told)
        return moved


async def crashed(url: str, clock: ManualClock, rounds: type[TargetRound]) -> list[str]:
    """Have a process die between telling and writing, and another take over; return what was heard."""
    with parts(url, clock, store=Dying, rounds=rounds) as made:
        happen(made, 2)
        async with hooked(made) as receiver:
            await told(made)
            made.store.alive = True  # type: ignore[attr-defined]
            other = rounds(made.store, made.reader, made.ways, clock, made.metrics, chance=lambda: 0.0)
            await told(made, other)
            assert len(receiver.heard) <= 1  # the dead one's lease still holds
            clock.advance(LEASE_MS)
            await told(made, other)
    return receiver.ids


async def test_a_crash_between_telling_and_writing_repeats_and_loses_nothing(
    lite: str, clock: ManualClock
) -> None:
    """The same event comes again, under the same name."""
    assert await crashed(lite, clock, TargetRound) == ["shop.1", "shop.1", "shop.2", "shop.3"]


async def test_a_cursor_that_moves_first_loses_an_event(lite: str, clock: ManualClock) -> None:
    """The mutant is caught: the first event is heard by nobody."""
    assert "shop.1" not in await crashed(lite, clock, CursorFirst)


async def test_two_processes_do_not_tell_one_target_at_once(made: Parts) -> None:
    """While one holds the lease the other tells nothing; a lease that was lost changes nothing any more."""
    happen(made, 1)
    async with hooked(made) as receiver:
        now_ms = made.clock.now_ms()
        target = made.store.lease("shop", "other", now_ms + LEASE_MS, now_ms)
        assert target is not None
        await told(made)
        assert receiver.heard == []

        made.clock.advance(LEASE_MS)
        await told(made)
        assert receiver.ids == ["shop.1", "shop.2"]
        assert not made.store.move(replace(target, cursor=0), "other", now_ms, None)
        assert made.store.get("shop").cursor == 2


# ------------------------------------------------------------------------------ what is wanted


async def test_a_target_hears_of_its_rooms_and_kinds_only(made: Parts) -> None:
    """Also where what concerns it lies far apart; single fans only where they are named."""
    fan = entry(Kind.ADMITTED, number="7", lane="standard", sid="s")
    made.journal.append(
        [entry(Kind.OPENED), fan, entry(Kind.OPENED, room="side"), entry(Kind.PHASE, phase="serving")]
    )
    async with (
        hooked(made, "all") as all_,
        hooked(made, "side", rooms=["side"]) as side,
        hooked(made, "fans", kinds=["admitted"]) as fans,
    ):
        await told(made)
    assert all_.ids == ["all.1", "all.3", "all.4", "all.5", "all.6", "all.7"]
    assert side.ids == ["side.3"]
    assert fans.ids == ["fans.2"]


async def test_a_sale_that_writes_all_the_time_moves_no_cursor_that_it_does_not_concern(
    lite: str, clock: ManualClock
) -> None:
    """What is passed over is kept in mind, and shown as heard; a replay begins where it says all the same."""
    with parts(lite, clock) as made:
        async with hooked(made, rooms=["main"], kinds=["opened"]) as receiver:
            made.journal.append([entry(Kind.ADMITTED, number=str(n)) for n in range(20)])
            await told(made)
            assert made.store.get("shop").cursor == 0
            assert made.metrics.behind.labels("shop")._value.get() == 0
            made.journal.append([entry(Kind.OPENED)])
            await told(made)
            assert receiver.ids == ["shop.22"]
            await made.desk.act("shop", Act.REPLAY, {"from": 3}, ANN)
            await told(made)
        assert receiver.ids == ["shop.22", "shop.22"]


async def test_a_target_that_is_made_again_hears_what_the_one_before_had_no_ear_for(
    lite: str, clock: ManualClock
) -> None:
    """What was passed over in mind was passed over for another filter."""
    with parts(lite, clock) as made:
        made.journal.append([entry(Kind.ADMITTED, number="1")])
        async with hooked(made, kinds=["opened"]) as receiver:
            await told(made)
            await made.desk.remove("shop", ANN)
            given = {"name": "shop", "way": "webhook", "address": f"{receiver.url}/hook", "after": 0}
            await made.desk.make(given | {"kinds": ["admitted"]}, ANN)
            await told(made)
        assert receiver.ids == ["shop.1"]


async def test_a_new_secret_and_the_one_before_sign_side_by_side_for_a_day(
    lite: str, clock: ManualClock
) -> None:
    """A receiver changes over whenever it likes."""
    with parts(lite, clock) as made:
        async with hooked(made) as receiver:
            target = await made.desk.get("shop")
            old = made.keys.of(target)
            await made.desk.act("shop", Act.ROTATE, {}, ANN)
            new = made.keys.of(await made.desk.get("shop"))
            assert new != old
            await told(made)
            now_s = clock.now_ms() // 1000
            both = [[is_right(head, body, one, now_s) for one in (old, new)] for head, body in receiver.heard]
            assert both == [[True, True]] * 2

            clock.advance(BOTH_MS)
            happen(made, 1)
            await told(made)
            head, body = receiver.heard[-1]
            assert [is_right(head, body, one, clock.now_ms() // 1000) for one in (old, new)] == [False, True]


async def test_the_last_hundred_tries_are_kept(lite: str, clock: ManualClock) -> None:
    """And a target that is removed leaves none."""
    with parts(lite, clock) as made:
        async with hooked(made):
            for n in range(DELIVERIES_KEPT + 5):
                made.store.log("shop", Delivery(n, n, n, "sent", "", 1))
            found = await made.desk.deliveries("shop")
            assert [one.at_ms for one in found] == list(range(DELIVERIES_KEPT + 4, 4, -1))
            await made.desk.remove("shop", ANN)
            assert made.store.deliveries("shop") == []


async def test_a_fault_of_ours_with_one_event_does_not_end_the_round(
    lite: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as a try, with its waits."""
    with parts(lite, clock) as made:
        happen(made, 1)
        async with hooked(made) as receiver:

            async def broken(*_: Any) -> Result:
                raise KeyError("field")

            with monkeypatch.context() as patch:
                patch.setattr(made.ways, "tell", broken)
                await told(made)
            target = await made.desk.get("shop")
            assert (target.why, target.tries) == ("KeyError", 1)
            clock.set(target.next_ms)
            await told(made)
            assert receiver.ids == ["shop.1", "shop.2"]


# --------------------------------------------------------------------------------- for people


async def test_a_chat_gets_sentences_of_what_is_important(lite: str, clock: ManualClock) -> None:
    """Several in one post, in the form that chats take; nothing where there is nothing to say."""
    with parts(lite, clock) as made:
        made.journal.append(
            [
                configured(1, 1, "Ann"),
                configured(2, 2, "Ann", "site is slow", paused=True),
                configured(3, 3, "Bob", description="x", paused=True),
                configured(4, 4, "Bob", new_users_per_minute=900),
                entry(Kind.PHASE, 5, phase="ended"),
            ]
        )
        async with hooked(made, way="chat") as receiver:
            await told(made)
        ((head, body),) = receiver.heard
    assert "webhook-signature" not in head
    assert json.loads(body) == {
        "text": "main: Ann paused the room: nobody is called, everybody keeps their place. Why: site is slow\n"
        "main: Bob changed how many are let in per minute: 200 became 900. Bob resumed the room.\n"
        "main: The sale is over."
    }


class Box:
    """Takes mails."""

    def __init__(self) -> None:
        """Nothing is in it."""
        self.mails: list[Ready] = []

    async def hand_over(self, ready: Ready) -> Result:
        """Take one."""
        self.mails.append(ready)
        return Result(Outcome.SENT)

    async def close(self) -> None:
        """Hold nothing."""


async def test_what_comes_within_a_minute_is_one_mail(lite: str, clock: ManualClock) -> None:
    """It waits for its minute, then tells everything up to then; plain text."""
    box = Box()
    with parts(lite, clock, mail=(Server("mail", 25, "Hall <line@hall.example>"), box)) as made:
        await made.desk.make({"name": "team", "way": "mail", "address": "ops@hall.example"}, ANN)
        made.journal.append([entry(Kind.OPENED, clock.now_ms(), opening="spring")])
        await told(made)
        clock.advance(BURST_MS - 1)
        made.journal.append([entry(Kind.PHASE, clock.now_ms(), phase="ended")])
        await told(made)
        assert box.mails == []
        clock.advance(1)
        await told(made)
        await told(made)
        await made.ways.close()
    (mail,) = box.mails

    read = email.message_from_bytes(mail.octets)
    assert (mail.recipient, read.get_content_type()) == ("ops@hall.example", "text/plain")
    assert read["Subject"].startswith("Waitroom: main: The room has opened: spring.")
    text = base64.b64decode(read.get_payload()).decode()
    assert "main: The room has opened: spring.\n" in text
    assert "main: The sale is over.\n" in text
