"""A room that asks who comes: one identity is one place, on any device, after any loss; and nothing of it is kept."""

import asyncio
from collections.abc import Mapping
from email import message_from_bytes, policy
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from redis.asyncio import Redis

from kernel.asgi import Scope
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.sending import Outcome
from kernel.signing import Signer
from tests.waitroom.house import ROOM
from tests.waitroom.house import worker as house_worker
from tests.waitroom.identities import Taken, ended, number_mail, scene, worker
from tests.waitroom.reminders import _values
from tests.waitroom.test_web import BASE
from waitroom import codes, identity_mail, ticket
from waitroom.identity import mailbox, room_key, tag
from waitroom.identity_book import KEYS, IdentityBook
from waitroom.lanes import Lane
from waitroom.newcomer import ANYBODY, Newcomer
from waitroom.restoring import Restorer
from waitroom.rooms import Room
from waitroom.store import LineStore
from waitroom.view import Look
from waitroom.words import languages

ADA = "Ada.Lovelace+tickets@fans.example"


async def everything(client: Redis) -> bytes:
    """Read every key and value of the store."""
    found: list[bytes] = []
    async for key in client.scan_iter("*"):
        found += [key, *(await _values(client, key))]
    return b"\n".join(found)


def files(folder: Path) -> bytes:
    """Read every octet of the journal's files."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("journal.db*")))


def unavailable(*_: object, **__: object) -> int:
    """Be away."""
    raise Unavailable("journal-away", "away")


async def test_one_code_is_one_place_on_every_device(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The second device gets the very same ticket; another code gets another place."""
    async with scene(store, clock, tmp_path) as here:
        _, (code, other) = here.codes(2)
        async with here.browser() as phone, here.browser() as laptop:
            first = await phone.post(BASE + "/join", json={"code": code})
            clock.advance(5000)
            again = await laptop.post(BASE + "/join", json={"code": code.lower().replace("-", " ")})
            more = await phone.post(BASE + "/join", json={"again": True})
            place = await laptop.get(BASE + "/ticket")
            second = await laptop.post(BASE + "/join", json={"code": other})

    assert first.json()["ticket"] == again.json()["ticket"] == more.json()["ticket"]
    assert place.json()["number"] == 0
    assert second.json()["number"] == 1


async def test_the_place_is_found_again_after_the_store_was_lost(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The journal knows which place a tag has; a new worker on an empty store gives the same ticket."""
    async with scene(store, clock, tmp_path) as here:
        _, (code, other) = here.codes(2)
        async with here.browser() as phone:
            first = await phone.post(BASE + "/join", json={"code": code})
        await here.here.beat()
        await here.here.drained()
        await store.flushall()
        later = house_worker(store, here.here.journal, clock)
        _, front = worker(later, here.book, here.heard, store)
        for _ in range(3):
            await later.restorer.settings({ROOM: here.here.waitroom.reading(ROOM).base})
            await later.beat()
        line = later.waitroom.reading(ROOM).line
        transport = httpx.ASGITransport(app=front)
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test") as laptop:
            again = await laptop.post(BASE + "/join", json={"code": code})
            held = await laptop.get(BASE + "/ticket")
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test") as laptop:
            second = await laptop.post(BASE + "/join", json={"code": other})

    assert line is not None
    assert line.epoch > 1
    assert again.json()["ticket"] == first.json()["ticket"]
    assert held.json()["number"] == 0
    assert second.json()["number"] >= line.issued


async def test_a_ticket_brings_back_what_the_journal_had_not_heard(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The last second of tags is lost with the store; whoever shows their ticket puts their tag back."""
    async with scene(store, clock, tmp_path) as here:
        _, (early, code) = here.codes(2)
        async with here.browser() as phone:
            await phone.post(BASE + "/join", json={"code": early})
        await here.here.beat()
        await here.here.drained()
        async with here.browser() as phone, here.browser() as laptop:
            first = await phone.post(BASE + "/join", json={"code": code})
            await store.flushall()
            for _ in range(3):
                await here.here.restorer.settings({ROOM: here.here.waitroom.reading(ROOM).base})
                await here.here.beat()
            shown = await phone.get(BASE + "/ticket")
            again = await laptop.post(BASE + "/join", json={"code": code})

    assert shown.status_code == 200
    assert again.json()["ticket"] == first.json()["ticket"]


async def test_all_devices_of_an_identity_at_once_get_one_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Two workers, twenty devices, one code."""
    async with scene(store, clock, tmp_path) as here:
        _, (code,) = here.codes()
        other = house_worker(store, here.here.journal, clock)
        await other.waitroom.refresh()
        _, front = worker(other, here.book, here.heard, store)
        answers = []
        for app in (here.front, front):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://room.test") as client:
                sent = (client.post(BASE + "/join", json={"code": code}) for _ in range(10))
                answers += await asyncio.gather(*sent)

    assert len({answer.json()["ticket"] for answer in answers}) == 1


async def test_a_priority_code_brings_its_lane(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Also where everybody else begins in the lane suspect."""
    rule = {"way": "work", "asks": "everybody"}
    async with scene(store, clock, tmp_path, challenge=rule) as here:
        _, (fast,) = here.codes(1, Lane.VERIFIED)
        _, (plain,) = here.codes(1)
        async with here.browser() as one, here.browser() as two:
            first = await one.post(BASE + "/join", json={"code": fast})
            second = await two.post(BASE + "/join", json={"code": plain})
        line = (await here.beat()).line

    assert first.json()["lane"] == "verified"
    assert second.json()["lane"] == "suspect"
    assert line is not None
    assert (line.joined_verified, line.joined_suspect) == (1, 1)


async def test_the_key_dies_with_the_line(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """After the end no octet of it is left in store or journal, and nobody makes another one for this run."""
    async with scene(store, clock, tmp_path) as here:
        _, (code, late) = here.codes(2)
        async with here.browser() as phone:
            await phone.post(BASE + "/join", json={"code": code})
            line = (await here.beat()).line
            assert line is not None
            half = here.book.half(ROOM, line.run, line.epoch, clock.now_ms())
            known = files(tmp_path)
            await ended(here)
            again = await phone.post(BASE + "/join", json={"code": late})
        assert here.book.half(ROOM, line.run, line.epoch, clock.now_ms()) == b""
        tags = await store.exists(here.here.waitroom.store.keys(ROOM).tags)
        left = files(tmp_path) + await everything(store)

    assert half in known
    assert half not in left
    assert tags == 0
    assert again.status_code == 410


async def test_a_store_with_an_old_file_destroys_no_key(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Only keys of earlier epochs are of earlier runs."""
    async with scene(store, clock, tmp_path) as here:
        half = here.book.half(ROOM, "new", 5, clock.now_ms())

        assert here.book.destroy(ROOM, "old", 4, over=False) == 0
        assert here.book.destroy(ROOM, "old", 5, over=True) == 0
        assert here.book.half(ROOM, "new", 5, clock.now_ms()) == half
        assert here.book.destroy(ROOM, "newer", 6, over=False) == 1
        assert here.book.half(ROOM, "new", 5, clock.now_ms()) == b""


async def test_the_keys_of_removed_rooms_are_destroyed(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A room that the journal does not know, or no longer, has no key; a new one is left alone for a while."""
    async with scene(store, clock, tmp_path) as here:
        here.book.half("gone", "r", 1, clock.now_ms())
        await here.identifying.sweep(clock.now_ms())
        young = here.book.half("gone", "r", 1, clock.now_ms())
        clock.advance(600_001)
        await here.here.drained()
        await here.identifying.sweep(clock.now_ms())

        assert young
        assert here.book.half("gone", "r", 1, clock.now_ms()) == b""


async def test_a_journal_that_is_away_stops_no_round(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be destroyed now is destroyed later, and nobody waits for it."""
    async with scene(store, clock, tmp_path) as here:
        _, (code,) = here.codes()
        async with here.browser() as phone:
            await phone.post(BASE + "/join", json={"code": code})
        line = (await here.beat()).line
        assert line is not None
        with monkeypatch.context() as away:
            away.setattr(here.book, "destroy", unavailable)
            await ended(here)
            clock.advance(9_999)
        await here.identifying.tidy(ROOM)
        kept = here.book.half(ROOM, line.run, line.epoch, clock.now_ms())
        clock.advance(1)
        await here.identifying.tidy(ROOM)

        assert kept
        assert here.book.half(ROOM, line.run, line.epoch, clock.now_ms()) == b""


async def test_wrong_codes_are_slowed_and_right_ones_never(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Whoever guesses from a shared network is told to wait; everybody else there goes on joining."""
    async with scene(store, clock, tmp_path) as here:
        _, (code,) = here.codes()
        async with here.browser("203.0.113.7") as guesser, here.browser("203.0.113.9") as fan:
            told = [
                (await guesser.post(BASE + "/join", json={"code": "0" * 16})).json()["code"]
                for _ in range(32)
            ]
            right = await fan.post(BASE + "/join", json={"code": code})
            clock.advance(60_000)
            later = await guesser.post(BASE + "/join", json={"code": "0" * 16})

    assert told[0] == "identity-code-wrong"
    assert told[-1] == "too-many-codes"
    assert right.status_code == 200
    assert later.json()["code"] == "identity-code-wrong"


BY = {"who": "Ann", "why": "found in the street"}


async def test_codes_that_do_not_count(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Of another room, over, revoked one by one or as a batch, beyond the batch, changed by a sign."""
    async with scene(store, clock, tmp_path) as here:
        now_ms = clock.now_ms()
        foreign = here.book.make("other", None, "", 1, None, {}, now_ms)
        batch, own = here.codes(3)
        _, (over,) = here.codes(1, until_ms=now_ms)
        whole, (dead,) = here.codes(1)
        here.book.revoke(batch, 1, BY, now_ms)
        here.book.revoke(whole, None, BY, now_ms)
        secret_of = codes.batch_key
        wrong = [
            codes.write(secret_of(b"s" * 32, foreign), foreign.batch, 0),
            over,
            own[1],
            dead,
            codes.write(secret_of(b"s" * 32, batch), batch.batch, 3),
            codes.write(secret_of(b"x" * 32, batch), batch.batch, 0),
            own[0][:-1] + ("0" if own[0][-1] != "0" else "1"),
        ]
        async with here.browser() as phone:
            answers = [await phone.post(BASE + "/join", json={"code": code}) for code in wrong]
            right = await phone.post(BASE + "/join", json={"code": own[2]})

    assert [answer.json().get("code") for answer in answers] == ["identity-code-wrong"] * len(wrong)
    assert right.status_code == 200


async def test_no_code_is_kept_anywhere(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Neither made nor used ones stand in store or journal, in whatever writing."""
    async with scene(store, clock, tmp_path) as here:
        _, made = here.codes(20)
        async with here.browser() as phone:
            await phone.post(BASE + "/join", json={"code": made[0]})
        await here.here.beat()
        await here.here.drained()
        kept = files(tmp_path) + await everything(store)

    for code in made:
        assert code.encode() not in kept
        assert code.replace("-", "").encode() not in kept


async def test_a_number_by_mail_brings_a_place(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Another device, another spelling of the same mailbox: the same place."""
    async with scene(store, clock, tmp_path, identity="mail") as here:
        async with here.browser() as phone, here.browser() as laptop:
            paper, number = await here.number(phone, ADA)
            first = await phone.post(BASE + "/join", json={"paper": paper, "number": number})
            repeated = await phone.post(BASE + "/join", json={"paper": paper, "number": f" {number} "})
            paper, number = await here.number(laptop, "ada.lovelace@Fans.Example")
            again = await laptop.post(BASE + "/join", json={"paper": paper, "number": number})
            paper, number = await here.number(laptop, "bob@fans.example")
            other = await laptop.post(BASE + "/join", json={"paper": paper, "number": number})
        await here.here.beat()
        await here.here.drained()
        kept = (files(tmp_path) + await everything(store)).lower()

    assert first.json()["ticket"] == again.json()["ticket"] == repeated.json()["ticket"]
    assert other.json()["number"] == 1
    assert b"lovelace" not in kept
    assert b"fans.example" not in kept
    assert here.heard.numbers[0][0] == ADA


async def test_a_number_belongs_to_the_page_that_asked(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Wrong tries of one page cost another one nothing; five of them are the end of a number, as are ten minutes."""
    async with (
        scene(store, clock, tmp_path, identity="mail") as here,
        here.browser() as stranger,
        here.browser() as fan,
    ):
        theirs, _ = await here.number(stranger, ADA)
        paper, number = await here.number(fan, ADA)
        wrong = f"{(int(number) + 1) % 1_000_000:06}"
        tries = [
            (await stranger.post(BASE + "/join", json={"paper": theirs, "number": wrong})).json()["code"]
            for _ in range(6)
        ]
        borrowed = await stranger.post(BASE + "/join", json={"paper": theirs, "number": number})
        right = await fan.post(BASE + "/join", json={"paper": paper, "number": number})
        clock.advance(600_000)
        late = await stranger.post(BASE + "/join", json={"paper": paper, "number": number})

    assert tries[-1] == "identity-number-gone"
    assert set(tries[:5]) <= {"identity-number-wrong"}
    assert borrowed.json()["code"] == "identity-number-gone"
    assert right.status_code == 200
    assert late.json()["code"] == "identity-number-gone"


async def test_an_address_is_not_flooded(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Three mails at once, whoever asks and however it is spelt; then one in five minutes."""
    async with (
        scene(store, clock, tmp_path, identity="mail") as here,
        here.browser("203.0.113.1") as one,
        here.browser("198.51.100.1") as two,
    ):
        told = [
            (await browser.post(BASE + "/identity", json={"to": spelt})).status_code
            for browser, spelt in (
                (one, ADA),
                (two, ADA.lower()),
                (one, "ada.lovelace@fans.example"),
                (two, ADA),
            )
        ]
        clock.advance(300_000)
        later = await one.post(BASE + "/identity", json={"to": ADA})
        sent = len(here.heard.numbers)

    assert told == [200, 200, 200, 429]
    assert later.status_code == 200
    assert sent == 4


async def test_a_mail_server_that_is_away_is_told_as_such(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """503 with a time to come again; without any server as well."""
    async with scene(store, clock, tmp_path, identity="mail") as here:
        here.heard.outcomes.append(False)
        async with here.browser() as phone:
            away = await phone.post(BASE + "/identity", json={"to": ADA})
            here.identifying.mails = None
            none = await phone.post(BASE + "/identity", json={"to": ADA})

    assert (away.status_code, away.json()["code"]) == (503, "mail-away")
    assert (none.status_code, none.json()["code"]) == (503, "mail-away")
    assert int(away.headers["retry-after"]) > 0


@pytest.mark.parametrize("language", sorted(languages()))
async def test_the_mail_says_the_number_in_every_language(language: str) -> None:
    """In its subject, text and HTML; it fetches nothing, and no link is in it."""
    post = Taken()
    mail = number_mail(ManualClock(1_800_000_000_000), post)

    assert await mail.send(ADA, "n", "012345", language, "Aurora Hall")
    read = message_from_bytes(post.ready[0], policy=policy.default)
    text, html = (read.get_body([kind]).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    assert "012345" in read["subject"]
    assert "012345" in text
    assert "012345" in html
    assert "http" not in text + html
    assert read["to"] == ADA
    assert Look("Aurora Hall", languages()[language]).name in text


async def test_an_address_that_the_server_refuses_is_an_invalid_one() -> None:
    """What is refused for good says so; what may be taken another time does not."""
    post = Taken(outcome=Outcome.NEVER)
    mail = number_mail(ManualClock(1_800_000_000_000), post)

    with pytest.raises(Exception, match="identity-mail-invalid"):
        await mail.send(ADA, "n", "012345", "en", "Aurora Hall")
    post.outcome = Outcome.AWAY
    assert not await mail.send(ADA, "n", "012345", "en", "Aurora Hall")


def test_tags_of_one_identity_differ_by_room_run_kind_and_key() -> None:
    """Nobody can follow somebody from one sale to the next."""
    keys = [
        room_key(secret, half, room, run)
        for secret in (b"s", b"t") for half in (b"h", b"i") for room in ("a", "b") for run in ("1", "2")
    ]  # fmt: skip
    tags = {tag(key, kind, "ada@fans.example") for key in keys for kind in ("mail", "oidc")}

    assert len(tags) == 32


@pytest.mark.parametrize(
    ("username", "domain", "expected"),
    [
        ("Ada", "Fans.Example", "ada@fans.example"),
        ("ada+x+y", "fans.example", "ada@fans.example"),
        ("+x", "fans.example", "+x@fans.example"),
        ("a.d.a+x", "googlemail.com", "ada@gmail.com"),
        ("a.d.a", "fans.example", "a.d.a@fans.example"),
    ],
)
def test_mailboxes(username: str, domain: str, expected: str) -> None:
    """Spellings of one mailbox are one identity; different mailboxes are not."""
    assert mailbox(username, domain) == expected


def test_a_ticket_with_an_identity_reads_back(clock: ManualClock) -> None:
    """The tag is an input of the leaf: a ticket with another one is another place."""
    signer = Signer([("k1", b"t" * 32)], "ticket")
    one = ticket.Ticket(
        "main", "r", 1, 0, "A" * 22, Lane.STANDARD, clock.now_ms(), identity_tag="B" * 21 + "A"
    )
    other = ticket.Ticket(
        "main", "r", 1, 0, "A" * 22, Lane.STANDARD, clock.now_ms(), identity_tag="C" * 21 + "A"
    )

    assert ticket.read(signer, ticket.write(signer, one), "main") == one
    assert one.leaf != other.leaf


class Watching:
    """Notes under which tag somebody joins, and slows whom it is told to."""

    def __init__(self) -> None:
        """Have seen nobody."""
        self.seen: list[str] = []
        self.found = ANYBODY

    async def judge(
        self, scope: Scope, room: Room, cookies: Mapping[str, str], now_ms: int, identity: str = ""
    ) -> Newcomer:
        """Note the tag."""
        del scope, room, cookies, now_ms
        self.seen.append(identity)
        return self.found


async def test_the_bot_guard_hears_the_tag_and_its_word_counts(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """One identity is one subject, on every device; whom it slows begins in the lane suspect, whatever the code."""
    watching = Watching()
    async with scene(store, clock, tmp_path) as here:
        _, (code, other) = here.codes(2, Lane.VERIFIED)
        _, front = worker(here.here, here.book, here.heard, store, newcomers=watching)
        here.front = front
        async with here.browser() as phone, here.browser() as laptop:
            first = await phone.post(BASE + "/join", json={"code": code})
            await laptop.post(BASE + "/join", json={"code": code})
            watching.found = Newcomer(Lane.SUSPECT, ("headless",))
            slowed = await laptop.post(BASE + "/join", json={"code": other})

    held = ticket.read(here.here.waitroom.signer, slowed.json()["ticket"], ROOM)
    assert watching.seen[0] == watching.seen[1] != watching.seen[2]
    assert (
        ticket.read(here.here.waitroom.signer, first.json()["ticket"], ROOM).identity_tag == watching.seen[0]
    )
    assert (first.json()["lane"], slowed.json()["lane"]) == ("verified", "suspect")
    assert held.reasons == ("headless",)


# ------------------------------------------------------------------------------------- the mutants


async def nothing(*_: object) -> None:
    """Do nothing."""


def only_written_over(self: IdentityBook, which: sa.ColumnElement[bool]) -> int:
    """Empty the halves and leave what stood there to the file."""
    with self._writing() as connection:
        return int(connection.execute(sa.update(KEYS).where(which).values(half=b"")).rowcount)


MUTANTS = {
    "tags do not come back": (Restorer, "_put_tags", nothing, test_the_place_is_found_again_after_the_store_was_lost),
    "tickets teach nothing": (LineStore, "put_tags", nothing, test_a_ticket_brings_back_what_the_journal_had_not_heard),
    "a key outlives its line": (IdentityBook, "destroy", lambda *_, **__: 0, test_the_key_dies_with_the_line),
    "a file keeps the key": (IdentityBook, "_destroy", only_written_over, test_the_key_dies_with_the_line),
    "every code counts": (codes, "is_good", lambda *_: True, test_codes_that_do_not_count),
    "spellings are identities": (
        identity_mail, "mailbox", lambda name, host: f"{name}@{host}", test_a_number_by_mail_brings_a_place,
    ),
    "right ones are limited": (
        codes, "is_good", lambda *_: False, test_wrong_codes_are_slowed_and_right_ones_never,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
async def test_the_tests_miss_each_guard(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Taken out, each is noticed."""
    owner, what, instead, test = MUTANTS[name]
    monkeypatch.setattr(owner, what, instead)

    with pytest.raises(AssertionError):
        await test(store, clock, tmp_path)
