"""Being told of the turn: asked for, sent, taken back; and what is left of it afterwards, which is nothing."""

import asyncio
from pathlib import Path

import orjson
import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.sending import Outcome
from tests.checkout.notifications.posting import Inbox, PostOffice
from tests.kernel.push_service import Browser, serving_push
from tests.waitroom.house import ROOM
from tests.waitroom.reminders import ADA, mail_way, push_way, scene, stop_link
from tests.waitroom.test_web import BASE
from waitroom import reminder_round
from waitroom.lanes import Lane, Serving
from waitroom.reminder_letters import Letter
from waitroom.schedule import Phase
from waitroom.store import LineStore

NEAR, TURN = "Almost your turn: main", "It is your turn: main"


async def test_near_then_turn_then_nothing_is_left(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Two messages, each once, though two workers look; the address stands nowhere in the store, before and after."""
    async with scene(store, clock, tmp_path) as here:
        tickets = await here.joined(2000)
        answer = await here.asks(tickets[1500])
        sealed = await here.store.sealed(ROOM, 1500)
        before = await here.everything()
        await here.call(1)
        await here.beats(3)
        early = list(here.heard.subjects)
        await here.call(1450)
        await here.beats(3)
        near = list(here.heard.subjects)
        await here.call(1501)
        await asyncio.gather(here.round.beat(), here.round.beat())
        await here.round.settled()
        await here.beats(2)
        after, book = await here.everything(), await here.store.book(ROOM)

    assert (answer.status_code, answer.json()["outcome"]) == (200, "kept")
    assert ADA.encode() not in before
    assert sealed
    assert sealed.encode() in before
    assert (early, near) == ([], [NEAR])
    assert here.heard.subjects == [NEAR, TURN]
    assert [to for to, _ in here.heard.sent] == [ADA, ADA]
    assert book is not None
    assert book.reminders == {}
    assert ADA.encode() not in after
    assert sealed.encode() not in after


async def test_a_message_leads_to_the_page_and_carries_no_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Text and HTML in the fan's language, a link without a ticket, a way to stop; nothing is fetched from anywhere."""
    async with scene(store, clock, tmp_path, description="Aurora & Söhne") as here:
        (ticket,) = await here.joined()
        await here.asks(lang="de")
        await here.call(1)
        await here.beats()
        message = here.heard.sent[0][1]

    assert message.subject == "Sie sind dran: Aurora & Söhne"
    assert message.language == "de"
    assert "https://tickets.example/.waitroom/r/main?lang=de" in message.text
    assert "Aurora &amp; Söhne" in message.html
    assert "https://tickets.example/.waitroom/r/main/remind/stop?" in message.text
    for text in (message.text, message.html, message.name):
        assert ticket not in text
        assert ADA not in text
    assert "src=" not in message.html
    assert "url(" not in message.html


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ({"way": "mail", "to": ADA}, 400, "reminder-consent-missing"),
        ({"way": "mail", "to": ADA, "consent": "no"}, 400, "reminder-consent-missing"),
        ({"way": "mail", "to": ADA, "consent": []}, 400, "reminder-consent-missing"),
        ({"way": "mail", "to": ADA, "consent": 1}, 400, "reminder-consent-missing"),
        ({"way": "mail", "to": "ada", "consent": True}, 400, "reminder-address-invalid"),
        ({"way": "mail", "to": "a@b\r\nBcc: c@d", "consent": True}, 400, "reminder-address-invalid"),
        ({"way": "mail", "to": "a@b, c@d", "consent": True}, 400, "reminder-address-invalid"),
        ({"way": "mail", "to": "a" * 250 + "@b.example", "consent": True}, 400, "reminder-address-invalid"),
        ({"way": "mail", "to": {"a": 1}, "consent": True}, 400, "reminder-address-invalid"),
        ({"way": "mail", "consent": True}, 400, "reminder-address-invalid"),
        ({"way": "push", "to": {}, "consent": True}, 404, "reminder-not-offered"),
        ({"way": ["mail"], "to": ADA, "consent": True}, 404, "reminder-not-offered"),
        ([], 400, "body-malformed"),
        ("text", 400, "body-malformed"),
    ],
)
async def test_bad_wishes_get_a_clear_answer_and_are_not_kept(
    store: Redis, clock: ManualClock, tmp_path: Path, body: object, code: int, word: str
) -> None:
    """Each has its status, its word and a sentence, which does not repeat what was typed."""
    async with scene(store, clock, tmp_path) as here:
        await here.joined()
        answer = await here.browser.post(BASE + "/remind", json=body)
        kept = await here.store.book(ROOM)

    assert (answer.status_code, answer.json()["code"]) == (code, word)
    assert answer.json()["detail"].endswith(".")
    assert "Bcc" not in answer.text
    assert kept is None or kept.reminders == {}


BAD = [
    ("POST", "/remind", {"content-type": "text/plain"}, "{}", 415, "content-type-unknown"),
    ("POST", "/remind", {"content-type": "application/json"}, "{", 400, "body-malformed"),
    ("POST", "/remind", {"content-type": "application/json"}, "x" * 5000, 413, "body-too-large"),
    ("POST", "/remind", {"sec-fetch-site": "cross-site"}, "{}", 403, "cross-site"),
    ("POST", "/remind", {"origin": "https://evil.test"}, "{}", 403, "cross-site"),
    ("POST", "/remind/forget", {"sec-fetch-site": "cross-site"}, "{}", 403, "cross-site"),
    ("POST", "/remind/forget", {"waitroom-ticket": "x.y.z"}, "{}", 403, "ticket-invalid"),
    ("POST", "/remind/forget", {"cookie": ""}, "{}", 401, "ticket-missing"),
    ("POST", "/remind/other", {}, "{}", 404, "address-unknown"),
    ("GET", "/remind/other", {}, "", 404, "address-unknown"),
    ("GET", "/remind", {"cookie": ""}, "", 401, "ticket-missing"),
    ("PUT", "/remind", {}, "", 405, "method-not-allowed"),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "code", "word"), BAD)
async def test_bad_requests_get_a_clear_answer(
    store: Redis, clock: ManualClock, tmp_path: Path, method: str, path: str, headers: dict[str, str],
    body: str, code: int, word: str,
) -> None:  # fmt: skip
    """Other sites, broken bodies, addresses that are none."""
    async with scene(store, clock, tmp_path) as here:
        await here.joined()
        if headers.get("cookie") == "":
            here.browser.cookies.clear()
            headers = {}
        answer = await here.browser.request(method, BASE + path, headers=headers, content=body)

    assert (answer.status_code, answer.json()["code"]) == (code, word)


@pytest.mark.parametrize("paper", ["", "x", "a.b.c", "k1.bWFpbg.x" + "y" * 42])
async def test_a_link_that_is_cut_or_forged_stops_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path, paper: str
) -> None:
    """Looking and pressing both say so, on a page."""
    async with scene(store, clock, tmp_path) as here:
        await here.joined()
        await here.asks()
        answers = [
            await here.browser.get(BASE + "/remind/stop", params={"paper": paper}),
            await here.browser.post(BASE + "/remind/stop", params={"paper": paper}),
        ]
        book = await here.store.book(ROOM)

    assert [answer.status_code for answer in answers] == [403, 403]
    assert "This link does not work" in answers[0].text
    assert book is not None
    assert list(book.reminders) == [0]


async def test_the_link_in_a_message_stops_all_of_them_without_a_ticket(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A GET changes nothing, as scanners of mail open links; one POST, from any site, deletes and takes no more."""
    async with scene(store, clock, tmp_path) as here:
        tickets = await here.joined(900)
        await here.asks(tickets[300])
        await here.asks(tickets[899])
        await here.call(200)
        await here.beats(2)
        link = stop_link(here.heard.sent[0][1])
        here.browser.cookies.clear()
        looked = await here.browser.get(link)
        between = await here.store.book(ROOM)
        pressed = await here.browser.post(
            link, content="List-Unsubscribe=One-Click",
            headers={"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "cross-site"},
        )  # fmt: skip
        after = await here.store.book(ROOM)
        again = await here.asks(tickets[899], to="Ada+line@fans.example")
        other = await here.asks(tickets[899], to="bob@fans.example")
        told = [to for to, _ in here.heard.sent].count(ADA)
        await here.call(301)
        await here.beats(2)

    assert (looked.status_code, pressed.status_code) == (200, 200)
    assert '<form class="actions" method="post"' in looked.text
    assert "The address is deleted" in pressed.text
    assert between is not None
    assert after is not None
    assert (len(between.reminders), len(after.reminders)) == (2, 0)
    assert (again.status_code, again.json()["code"]) == (409, "reminder-address-refused")
    assert other.status_code == 200
    assert [to for to, _ in here.heard.sent].count(ADA) == told


async def test_it_is_taken_back_and_changed_by_its_place_alone(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """One wish for one place: another address replaces the first; who takes it back hears nothing."""
    async with scene(store, clock, tmp_path) as here:
        tickets = await here.joined(2)
        await here.asks(tickets[0])
        await here.asks(tickets[0], to="new@fans.example")
        state = (await here.browser.get(BASE + "/remind", headers={"waitroom-ticket": tickets[0]})).json()
        others = (await here.browser.get(BASE + "/remind", headers={"waitroom-ticket": tickets[1]})).json()
        await here.asks(tickets[1], to="bob@fans.example")
        back = await here.browser.post(
            BASE + "/remind/forget", headers={"waitroom-ticket": tickets[1]}, json={}
        )
        twice = await here.browser.post(
            BASE + "/remind/forget", headers={"waitroom-ticket": tickets[1]}, json={}
        )
        await here.call(2)
        await here.beats(2)

    assert (state["way"], others["way"], state["minutes"]) == ("mail", "", 10)
    assert (back.json()["outcome"], twice.json()["outcome"]) == ("forgotten", "nothing")
    assert [to for to, _ in here.heard.sent] == ["new@fans.example"]


async def test_nobody_is_flooded_through_us(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """An address has three wishes at once and six askings, however it is written; a client has its bucket."""
    async with scene(store, clock, tmp_path) as here:
        tickets = await here.joined(20)
        ways = ["eve@fans.example", "Eve@fans.example", "eve+1@FANS.example", "eve+2@fans.example"]
        live = [(await here.asks(tickets[at], to=to)).status_code for at, to in enumerate(ways)]
        often = [(await here.asks(tickets[0], to="eve+9@fans.example")) for _ in range(4)]
        clock.advance(60_000)
        client = [(await here.asks(tickets[9], to=f"f{at}@fans.example")).status_code for at in range(20)]

    assert live == [200, 200, 200, 409]
    assert [one.status_code for one in often] == [200, 200, 200, 429]
    assert int(often[-1].headers["retry-after"]) > 0
    assert client.count(200) == 12
    assert client[-1] == 429


async def test_a_mail_server_that_is_away_is_tried_again_and_the_line_goes_on(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Each wait is longer; what comes through later is told once; what is refused for good is deleted."""
    async with scene(store, clock, tmp_path, claim_window_s=600) as here:
        tickets = await here.joined(2)
        await here.asks(tickets[0])
        await here.asks(tickets[1], to="bad@fans.example")
        here.heard.answers = {ADA: [Outcome.AWAY, Outcome.LATER], "bad@fans.example": [Outcome.NEVER]}
        await here.call(2)
        await here.beats(3)
        silent = list(here.heard.sent)
        clock.advance(4_999)
        await here.beats()
        clock.advance(1)
        await here.beats()
        clock.advance(10_000)
        await here.beats(2)
        book = await here.store.book(ROOM)

    assert silent == []
    assert [to for to, _ in here.heard.sent] == [ADA]
    assert book is not None
    assert book.reminders == {}


@pytest.mark.parametrize(("late_ms", "told"), [(1_199_999, 1), (1_200_000, 0)])
async def test_a_turn_is_told_until_its_second_window_is_over(
    store: Redis, clock: ManualClock, tmp_path: Path, late_ms: int, told: int
) -> None:
    """In the second one the fan can still come in; after it the message would be wrong, and is deleted unsent."""
    async with scene(store, clock, tmp_path, claim_window_s=600) as here:
        await here.joined()
        await here.asks()
        await here.call(1)
        called_ms = here.here.waitroom.reading(ROOM).calls[-1].at_ms
        clock.advance(called_ms + late_ms - clock.now_ms())
        await here.beats(2)
        book = await here.store.book(ROOM)

    assert len(here.heard.sent) == told
    assert book is not None
    assert book.reminders == {}


async def test_who_was_let_in_or_has_left_is_not_told(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The door's bit says so, also for who left without a script; the wish is deleted."""
    async with scene(store, clock, tmp_path) as here:
        tickets = await here.joined(2)
        await here.asks(tickets[0])
        await here.asks(tickets[1], to="bob@fans.example")
        here.door.claimed = {0}
        await here.call(2)
        await here.beats(2)
        book = await here.store.book(ROOM)

    assert [to for to, _ in here.heard.sent] == ["bob@fans.example"]
    assert book is not None
    assert book.reminders == {}


async def nobody_is_slow(*_: object) -> None:
    """Know of nobody."""


@pytest.mark.parametrize("blind", [False, True], ids=["as it is", "the mutant that does not look"])
async def test_who_was_slowed_is_not_told_of_a_turn_that_is_another_lanes(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blind: bool
) -> None:
    """The reminder still names the lane from before; its turn is not told before the lane suspect has come so far."""
    if blind:
        monkeypatch.setattr(LineStore, "slowed", nobody_is_slow)
    async with scene(store, clock, tmp_path) as here:
        tickets = await here.joined(2)
        await here.asks(tickets[0])
        await here.asks(tickets[1], to="bob@fans.example")
        line = (await here.here.beat()).line
        assert line is not None
        await here.here.waitroom.store.slow(ROOM, line.run, "", 0, 0, Lane.STANDARD, "behaviour")
        slot, bound = clock.now_ms() // 250 + 1, Serving(2, 2, 0)
        await here.here.waitroom.store.call(ROOM, line.run, slot, bound, 60, clock.now_ms())
        await here.here.beat()
        await here.beats(2)

    told = {to for to, message in here.heard.sent if message.subject == TURN}
    assert told == {"bob@fans.example"} | ({ADA} if blind else set())


async def test_the_end_of_the_line_deletes_what_is_left_and_its_key(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Nothing that could open an old copy of the store remains, and nobody is told any more."""
    async with scene(store, clock, tmp_path) as here:
        await here.joined()
        await here.asks()
        book = await here.store.book(ROOM)
        assert book is not None
        line = (await here.here.beat()).line
        assert line is not None
        await here.here.waitroom.store.turn(ROOM, line.run, Phase.SERVING, Phase.DRAINING, "test")
        await here.here.waitroom.store.turn(ROOM, line.run, Phase.DRAINING, Phase.ENDED, "test")
        await here.here.waitroom.refresh()
        late = await here.asks()
        await here.beats(2)
        after, left = await here.store.book(ROOM), await here.everything()

    assert after is None
    assert book.half.encode() not in left
    assert book.reminders[0].sealed.encode() not in left
    assert (late.status_code, late.json()["code"]) == (409, "reminder-too-late")
    assert here.heard.sent == []


async def test_a_book_of_a_line_before_a_loss_is_never_read_again(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """What was taken back does not come back with an old copy of the store; the page asks anew in the new epoch."""
    async with scene(store, clock, tmp_path) as here:
        (ticket,) = await here.joined()
        await here.asks()
        line = (await here.here.beat()).line
        assert line is not None
        from dataclasses import replace

        await here.here.waitroom.store.restore(ROOM, line.epoch, replace(line, epoch=line.epoch + 1), "test")
        await here.here.waitroom.refresh()
        await here.call(1)
        await here.beats(2)
        state = (await here.browser.get(BASE + "/remind", headers={"waitroom-ticket": ticket})).json()

    assert here.heard.sent == []
    assert (state["way"], state["epoch"]) == ("", line.epoch + 1)


async def test_who_asks_before_the_draw_waits_until_there_are_ranks(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A wish without a rank stands aside; with the draw it gets one, and is told when that is called."""
    from tests.waitroom.test_service import PREQUEUE_MS, SALE, START_MS

    clock.advance(PREQUEUE_MS - clock.now_ms())
    async with scene(store, clock, tmp_path, sales=[SALE]) as here:
        await here.here.beat()
        tickets = await here.joined(3)
        await here.asks(tickets[1])
        waiting = await here.store.unranked(ROOM, 9)
        await here.beats(2)
        clock.advance(START_MS - clock.now_ms())
        for _ in range(8):
            await here.here.beat()
        await here.beats(2)
        ranked = await here.store.book(ROOM)
        reading = await here.here.beat()
        await here.call(3)
        await here.beats(2)

    assert waiting == [1]
    assert ranked is not None
    assert ranked.reminders[1].rank == reading.rank(1) is not None
    assert here.heard.subjects[-1] == TURN


async def test_real_mails_arrive_at_a_real_server(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """By SMTP, with one click to stop in the mail program; while the server is down nothing is lost."""
    office = PostOffice(Inbox())
    await office.open()
    async with scene(store, clock, tmp_path) as here:
        way = mail_way(clock, office.port)
        here.reminding.ways["mail"] = way  # type: ignore[index]
        await here.joined()
        await here.asks(lang="fr")
        await office.shut()
        await here.call(1)
        await here.beats(2)
        await office.open()
        clock.advance(5_000)
        await here.beats(2)
        (mail,) = office.inbox.mails
        await way.close()
    await office.shut()

    assert mail["To"] == ADA
    assert mail["Subject"] == "C’est votre tour : main"
    assert mail["Content-Language"] == "fr"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert str(mail["List-Unsubscribe"]).startswith("<https://tickets.example/.waitroom/r/main/remind/stop?")
    kinds = [part.get_content_type() for part in mail.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html"]


async def test_a_browser_is_told_by_its_push_service(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Only that browser can read it; one that is gone for good is forgotten, and a stranger's host is refused."""
    async with serving_push(clock.now_ms() // 1000) as service:
        browser = Browser()
        async with scene(store, clock, tmp_path, more={"push": push_way(clock, tmp_path)}) as here:
            tickets = await here.joined(3)
            offers = (await here.browser.get(BASE + "/remind")).json()["offers"]
            subscription = browser.subscription(service.endpoint())
            kept = await here.asks(tickets[0], way="push", to=subscription)
            stranger = await here.asks(
                tickets[1], way="push", to=browser.subscription("https://evil.test/push/x")
            )
            bound = await here.asks(tickets[2], way="push", to=browser.subscription(service.endpoint("two")))
            service.answers = [201, 410]
            await here.call(3)
            await here.beats(3)
            book, everything = await here.store.book(ROOM), await here.everything()

    assert len(offers["push"]) == 87
    assert (kept.status_code, bound.status_code) == (200, 200)
    assert (stranger.status_code, stranger.json()["code"]) == (400, "reminder-address-invalid")
    assert service.wrong == []
    plain = orjson.loads(browser.read(service.heard[0][2]))
    assert plain["title"] == TURN
    assert plain["page"] == "https://tickets.example/.waitroom/r/main?lang=en"
    assert book is not None
    assert book.reminders == {}
    assert service.endpoint().encode() not in everything


async def test_without_scripts_a_form_asks_and_takes_back(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The ticket page leads there; refusals stand above the form; the page that tells never loads itself again."""
    html = {"accept": "text/html"}
    async with scene(store, clock, tmp_path) as here:
        await here.joined(2)
        place = (await here.browser.get(BASE + "/ticket?target=/a%3Fb", headers=html)).text
        page = await here.browser.get(BASE + "/remind?target=/a%3Fb", headers=html)
        bad = await here.browser.post(BASE + "/remind", data={"way": "mail", "to": ADA, "target": "/a?b"})
        good = await here.browser.post(
            BASE + "/remind",
            data={"way": "mail", "to": ADA, "consent": "yes", "target": "/a?b", "lang": "de"},
        )
        told = (await here.browser.get(good.headers["location"], headers=html)).text
        back = await here.browser.post(BASE + "/remind/forget", data={"target": "/a?b", "lang": "de"})
        after = (await here.browser.get(back.headers["location"], headers=html)).text
        here.browser.cookies.clear()
        nobody = await here.browser.get(BASE + "/remind", headers=html)

    assert f"{BASE}/remind?target=%2Fa%3Fb" in place
    assert page.status_code == 200
    assert "http-equiv" not in page.text
    assert 'type="email"' in page.text
    assert (bad.status_code, 'role="alert"' in bad.text, ADA in bad.text) == (400, True, False)
    assert good.status_code == back.status_code == 303
    assert "Nicht mehr Bescheid geben" in told
    assert ADA not in told
    assert 'type="email"' in after
    assert (nobody.status_code, "You have no place yet" in nobody.text) == (401, True)


async def test_a_room_that_does_not_offer_it_asks_nobody(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """No button, no link, no page; what was kept before the operator switched it off is deleted."""
    html = {"accept": "text/html"}
    async with scene(store, clock, tmp_path) as here:
        await here.joined()
        offered = (await here.browser.get(BASE)).text
        await here.asks()
        from waitroom.configure import Actor

        await here.here.configurations.patch(ROOM, {"reminder_minutes": None}, None, Actor("test"))
        await here.here.beat()
        await here.beats(2)
        shell = (await here.browser.get(BASE)).text
        place = (await here.browser.get(BASE + "/ticket", headers=html)).text
        page = await here.browser.get(BASE + "/remind", headers=html)
        asked = await here.asks()
        book = await here.store.book(ROOM)

    assert 'id="remind"' in offered
    assert 'id="remind"' not in shell
    assert "/remind" not in place
    assert page.status_code == 404
    assert (asked.status_code, asked.json()["code"]) == (404, "reminder-not-offered")
    assert book is None


async def test_without_the_lease_a_message_would_be_sent_twice(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: leases that end at once let every round send the same again while the first is on its way."""
    gate = asyncio.Event()
    async with scene(store, clock, tmp_path) as here:
        await here.joined()
        await here.asks()
        await here.call(1)
        real, seen = here.heard.send, []

        async def slow(to: str, message: Letter) -> object:
            seen.append(message.name)
            await gate.wait()
            return await real(to, message)

        monkeypatch.setattr(here.heard, "send", slow)
        for lease_ms in (60_000, 0):
            due = here.store.due

            async def taken(*args: object, due: object = due, lease_ms: int = lease_ms) -> object:
                return await due(*args, lease_ms=lease_ms)  # type: ignore[operator]

            monkeypatch.setattr(here.store, "due", taken)
            for _ in range(3):
                await here.round.beat()
                await asyncio.sleep(0.05)
            if lease_ms:
                assert len(seen) == 1
                clock.advance(60_000)
        gate.set()
        await here.round.settled()

    assert len(seen) > 2
    assert len(set(seen)) == 1


async def test_without_the_door_s_word_who_is_inside_would_be_told(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutants: a usefulness that is always true, and a door that nobody asks."""
    async with scene(store, clock, tmp_path, claim_window_s=60) as here:
        tickets = await here.joined(2)
        await here.asks(tickets[0])
        await here.asks(tickets[1], to="bob@fans.example")
        here.door.claimed = {0}
        await here.call(2)
        clock.advance(86_400_000)
        monkeypatch.setattr(reminder_round.rules, "is_useful", lambda *_: True)
        here.door.claimed.clear()
        await here.beats(2)

    assert len(here.heard.sent) == 2
