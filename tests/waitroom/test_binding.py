"""Places bound to a browser's key: the join that names it, the claim that proves it, carrying, and letting go."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from admission.buckets import Buckets
from admission.keyring import KeyRing
from admission.metrics import Metrics
from admission.service import Admission
from admission.store import AdmissionStore
from admission.web import DoorWeb
from gateway.adapters import LinePlaces, PacedLine, PlaceProofs, RoomLimits
from gateway.front import Front
from gateway.settings import Settings
from kernel.clock import ManualClock
from kernel.errors import Refused
from kernel.signing import Signer, b64url
from kernel.store import connect
from tests.admission.proofs import BrowserKey
from tests.waitroom.house import ROOM, House, house
from tests.waitroom.test_carry_web import phone
from tests.waitroom.test_web import BASE, KEY, Receipts
from waitroom import ticket as tickets
from waitroom import view
from waitroom.assets import assets, modules
from waitroom.binding import Binding
from waitroom.binding_store import BindingStore
from waitroom.carry_web import CarryWeb
from waitroom.lanes import Lane, Serving
from waitroom.newcomer import ANYBODY, bound
from waitroom.room_fields import Bind
from waitroom.rooms import Room
from waitroom.shells import Pages
from waitroom.ticket import Desk, Ticket
from waitroom.view import Look
from waitroom.web import LineWeb, WebSettings
from waitroom.words import languages

LAPTOP, PHONE, THIEF = BrowserKey(7), BrowserKey(8), BrowserKey(9)
MORE_BYTES = 2_600
JOIN, CLAIM, LEAVE, CARRY, TAKE = (
    f"{BASE}/{act}" for act in ("join", "claim", "leave", "carry", "carry/take")
)


@dataclass
class Scene:
    """A house with an open room, a browser before it, and who lets go of keys."""

    here: House
    browser: httpx.AsyncClient
    binding: Binding

    async def call(self) -> None:
        """Call everybody who has a place."""
        line = (await self.here.beat()).line
        assert line is not None
        serving = Serving(line.issued, line.issued, line.issued)
        await self.here.waitroom.store.call(ROOM, line.run, 9, serving, 60)
        await self.here.beat()

    def held(self, text: str) -> Ticket:
        """Read a ticket."""
        return tickets.read(self.here.waitroom.signer, text, ROOM)


@asynccontextmanager
async def scene(store: Redis, clock: ManualClock, folder: Path, **settings: object) -> AsyncIterator[Scene]:
    """Set up a room that binds places, with the real door behind it."""
    async with house(store, clock, folder) as here:
        await here.set_up(**{"bind": "browser", **settings})
        binding = Binding(here.waitroom, BindingStore(store))
        admission = Admission(
            AdmissionStore(store),
            LinePlaces(here.waitroom, binding),
            RoomLimits(here.waitroom, Settings(data=folder)),
            PacedLine(here.waitroom),
            KeyRing.fresh(clock.now_ms()),
            clock,
            Metrics(CollectorRegistry()),
        )
        buckets, reached = Buckets(), WebSettings()
        line = LineWeb(here.waitroom, Pages("/.waitroom"), buckets, Receipts(), reached)
        carry = CarryWeb(line, here.waitroom, buckets, reached, (binding, PlaceProofs(admission)))
        routes = {**line.routes, **carry.routes, **DoorWeb(admission).routes}
        transport = httpx.ASGITransport(app=Front("/.waitroom", routes, {}))
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test") as browser:
            yield Scene(here, browser, binding)
    await store.aclose()


def shows(key: BrowserKey) -> dict[str, str]:
    """Name a key, as the page does when it asks for a place."""
    return {"waitroom-key": key.thumbprint}


async def acts(
    browser: httpx.AsyncClient, path: str, key: BrowserKey | None, body: dict[str, Any] | None = None
) -> httpx.Response:
    """Act as the page does: ask, and answer the question with the key that the browser has."""
    answer = await browser.post(path, json=body or {})
    asked = answer.json()
    if "nonce" not in asked or key is None:
        return answer
    proof = key.answer(ROOM, asked, jti=secrets.token_hex(16))
    return await browser.post(path, json=body or {}, headers={"waitroom-proof": proof})


# ------------------------------------------------------------------------------------------- the join
async def test_the_key_stands_in_the_leaf_from_the_first_moment(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """There is no ticket of this place without it, so there is nothing to strip and nobody to be quicker."""
    async with scene(store, clock, tmp_path) as at:
        mine = (await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))).json()
        held = at.held(mine["ticket"])
        stripped = replace(held, holder_key="")
        place = await LinePlaces(at.here.waitroom, at.binding).place_of(ROOM, mine["ticket"], clock.now_ms())
        leaf = await store.getrange(f"wr:{{{ROOM}}}:leaves:0", 0, 15)

    assert (held.key, held.holder_key, place.key) == (LAPTOP.thumbprint,) * 3
    assert held.leaf == leaf != stripped.leaf


async def test_a_repeat_with_the_same_key_is_the_same_place_and_with_another_is_another(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A lost answer loses nothing; a ticket never names a key that its leaf does not hold."""
    async with scene(store, clock, tmp_path) as at:
        found = []
        for key in (LAPTOP, LAPTOP, PHONE):
            async with phone(at.browser) as one:
                answer = await one.post(JOIN, json={}, headers=shows(key) | {"idempotency-key": KEY})
                found.append(answer.json())

    assert [one["number"] for one in found] == [0, 0, 1]
    assert found[0]["ticket"] == found[1]["ticket"]


async def test_only_a_room_that_binds_looks_at_keys(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Elsewhere the header is nothing, however it looks; and the page comes without the script."""
    async with scene(store, clock, tmp_path, bind="none") as at:
        mine = (await at.browser.post(JOIN, json={}, headers={"waitroom-key": "rubbish"})).json()
        page = (await at.browser.get(BASE)).text
        how = (await at.browser.get(f"{BASE}/how")).text

    assert at.held(mine["ticket"]).key == ""
    assert "bind.js" not in page
    assert "bound to this browser" not in how


async def test_a_room_that_binds_says_so_and_brings_its_script_and_words(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The script comes before the page's own; its few texts stand in the page, in the fan's language."""
    async with scene(store, clock, tmp_path) as at:
        pages = {tag: (await at.browser.get(f"{BASE}?lang={tag}")).text for tag in ("en", "de", "ar")}
        how = (await at.browser.get(f"{BASE}/how")).text
        preview = (await at.browser.get(f"{BASE}/preview/waiting")).text

    for page in pages.values():
        assert -1 < page.find("/static/bind.js?v=") < page.find("/static/waitroom.js?v=")
        assert "bound.needed" in page
    assert "Dieser Platz ist an einen anderen Browser gebunden" in pages["de"]
    assert "Your place is bound to this browser" in how
    assert "bind.js" not in preview


def test_a_room_that_binds_costs_its_fans_little_and_others_nothing() -> None:
    """Its script and texts come on top of the page's budget, in any language; elsewhere it is what it was."""
    for tag, words in languages().items():
        plain, binds = (
            len(view.shell("main", "/.waitroom/", Look("Concert", words, binds=one)).gzip("/shop"))
            for one in (False, True)
        )

        assert "bind.js" not in modules()
        assert not [key for key in words.browser if key.startswith("bound.")]
        assert binds - plain + len(assets()["bind.js"].gzip) <= MORE_BYTES, tag


@pytest.mark.parametrize(
    "key",
    ["x", "A" * 42, "A" * 44, "A" * 42 + "B", "A" * 42 + "=", "+" * 43, "é" * 43, LAPTOP.thumbprint + "\x0b"],
)
async def test_a_name_that_no_key_has_is_refused(
    store: Redis, clock: ManualClock, tmp_path: Path, key: str
) -> None:
    """At the join and when a place is taken over; nobody gets a place by it."""
    async with scene(store, clock, tmp_path) as at:
        raw = [(b"waitroom-key", key.encode("latin-1"))]
        answers = [
            await at.browser.post(JOIN, json={}, headers=raw),
            await at.browser.post(TAKE, json={"code": "A" * 22}, headers=raw),
        ]
        line = (await at.here.beat()).line

    assert [(one.status_code, one.json()["code"]) for one in answers] == [(400, "key-malformed")] * 2
    assert line is not None
    assert line.issued == 0


# ------------------------------------------------------------------------------------------- the claim
async def test_a_copied_ticket_is_worth_nothing_without_the_key(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Neither to claim, nor to leave, nor to carry; the owner still comes in."""
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as thief:
        mine = (await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))).json()
        thief.headers["waitroom-ticket"] = mine["ticket"]
        await at.call()
        stolen = [await acts(thief, path, key) for path in (CLAIM, LEAVE, CARRY) for key in (None, THIEF)]
        joined = (await thief.post(JOIN, json={}, headers=shows(THIEF))).json()
        owner = await acts(at.browser, CLAIM, LAPTOP)

    assert [one.json()["code"] for one in stolen] == ["proof-needed", "proof-wrong"] * 3
    assert not [one for one in stolen if "set-cookie" in one.headers]
    assert joined["ticket"] == mine["ticket"]
    assert owner.json()["outcome"] == "admitted"


async def test_a_ticket_without_the_key_owns_no_number(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Were there ever a signed text of the place that lacks its key: the leaf tells, and nothing had to be kept."""
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as thief:
        mine = (await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))).json()
        await at.call()
        for other in ("", THIEF.thumbprint):
            text = tickets.write(at.here.waitroom.signer, replace(at.held(mine["ticket"]), holder_key=other))
            thief.headers["waitroom-ticket"] = text
            answer = await acts(thief, CLAIM, THIEF)

            assert (answer.status_code, answer.json()["code"]) == (403, "leaf-mismatch")


async def test_the_mutant_without_the_check_lets_the_copy_in(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above must see."""

    async def nothing(*_: object) -> str:
        return ""

    monkeypatch.setattr(Binding, "key_of", nothing)
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as thief:
        mine = (await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))).json()
        thief.headers["waitroom-ticket"] = mine["ticket"]
        await at.call()
        stolen = await acts(thief, CLAIM, None)

    assert stolen.json()["outcome"] == "admitted"


async def test_who_has_no_key_claims_as_before_and_nobody_binds_their_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Without scripts, or in a private window: a bearer paper. Whoever copies it can put no key to it."""
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as thief:
        answer = await at.browser.post(JOIN, data={"target": "/"})
        plain = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        thief.headers["waitroom-ticket"] = plain
        joined = (await thief.post(JOIN, json={}, headers=shows(THIEF))).json()
        code = (await thief.post(CARRY, json={})).json()["code"]
        taken = (await thief.post(TAKE, json={"code": code}, headers=shows(THIEF))).json()
        await at.call()
        owner = await at.browser.post(CLAIM, data={"target": "/shop"})

    assert answer.status_code == 303
    assert joined["ticket"] == taken["ticket"] == plain
    assert (owner.status_code, owner.headers["location"]) == (303, "/shop")


async def test_without_scripts_a_bound_place_says_what_it_lacks(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Its page asks for JavaScript; that of a place which is bound to nothing does not."""
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as other:
        await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))
        await other.post(JOIN, json={})
        html = {"accept": "text/html"}
        pages = [(await one.get(f"{BASE}/ticket", headers=html)).text for one in (at.browser, other)]
        refused = await at.browser.post(CLAIM, data={"target": "/"})

    assert ["please allow JavaScript" in page for page in pages] == [True, False]
    assert refused.json()["code"] == "proof-needed"


async def test_a_room_that_stops_binding_asks_for_no_proof(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The operator's way out if something is wrong: the tickets stay what they are."""
    async with scene(store, clock, tmp_path) as at:
        mine = (await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))).json()
        reading = at.here.waitroom.reading(ROOM)
        held = at.held(mine["ticket"])
        before = await at.binding.key_of(reading, held)
        reading.room = replace(reading.room, bind=Bind.NONE)
        after = await at.binding.key_of(reading, held)

    assert (before, after) == (LAPTOP.thumbprint, "")


# ------------------------------------------------------------------------------------------- carrying
async def test_a_place_is_carried_with_the_old_key_and_bound_to_the_new(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The old browser's paper and key are worth nothing from then on; it may come back the same way."""
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as new:
        mine = (await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))).json()
        code = (await acts(at.browser, CARRY, LAPTOP)).json()["code"]
        taken = (await new.post(TAKE, json={"code": code}, headers=shows(PHONE))).json()
        await at.call()
        old = [await acts(at.browser, path, LAPTOP) for path in (CLAIM, LEAVE, CARRY)]
        with_old_key = await acts(new, CLAIM, LAPTOP)
        back = (await acts(new, CARRY, PHONE)).json()["code"]
        again = (await at.browser.post(TAKE, json={"code": back}, headers=shows(LAPTOP))).json()
        there = await acts(new, CLAIM, PHONE)
        here = await acts(at.browser, CLAIM, LAPTOP)

    assert taken["number"] == mine["number"]
    assert at.held(taken["ticket"]).key == PHONE.thumbprint
    assert at.held(taken["ticket"]).leaf == at.held(mine["ticket"]).leaf
    assert [one.json()["code"] for one in old] == ["place-carried"] * 3
    assert "safe" in old[0].json()["detail"]
    assert with_old_key.json()["reason"] == "other-key"
    assert again["ticket"] == mine["ticket"]
    assert there.json()["code"] == "place-carried"
    assert here.json()["outcome"] == "admitted"


async def test_the_mutant_that_forgets_who_moved_lets_the_old_browser_in(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above must see."""

    async def nowhere(*_: object) -> None:
        return None

    monkeypatch.setattr(BindingStore, "moved", nowhere)
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as new:
        await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))
        code = (await acts(at.browser, CARRY, LAPTOP)).json()["code"]
        await new.post(TAKE, json={"code": code}, headers=shows(PHONE))
        await at.call()
        old = await acts(at.browser, CLAIM, LAPTOP)

    assert old.json()["outcome"] == "admitted"


async def test_a_browser_that_keeps_no_key_takes_no_bound_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """It hears why, and the link is still good for one that does."""
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as new:
        await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))
        code = (await acts(at.browser, CARRY, LAPTOP)).json()["code"]
        without = await new.post(TAKE, json={"code": code})
        taken = await new.post(TAKE, json={"code": code}, headers=shows(PHONE))

    assert (without.status_code, without.json()["code"]) == (409, "carry-key-needed")
    assert "set-cookie" not in without.headers
    assert at.held(taken.json()["ticket"]).key == PHONE.thumbprint


async def test_a_taker_whose_answer_was_lost_gets_the_bound_place_again(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The same code, taker and key: the same ticket."""
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as new:
        await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))
        code = (await acts(at.browser, CARRY, LAPTOP)).json()["code"]
        sent = shows(PHONE) | {"idempotency-key": KEY}
        found = [(await new.post(TAKE, json={"code": code}, headers=sent)).json() for _ in range(2)]

    assert found[0] == found[1]


async def test_a_wiped_store_keeps_the_place_of_whoever_has_ticket_and_key(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The carried ticket names its key itself; that the first one was replaced is forgotten (ADR-0031)."""
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as new:
        mine = (await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))).json()
        code = (await acts(at.browser, CARRY, LAPTOP)).json()["code"]
        taken = (await new.post(TAKE, json={"code": code}, headers=shows(PHONE))).json()
        reading = at.here.waitroom.reading(ROOM)
        names = await store.keys("wr:*:keys:*")
        lasting = [await store.pttl(name) for name in names]
        await store.delete(*names)
        keys = [await at.binding.key_of(reading, at.held(one["ticket"])) for one in (taken, mine)]

    assert len(lasting) == 1
    assert lasting[0] > 0
    assert keys == [PHONE.thumbprint, LAPTOP.thumbprint]


# ------------------------------------------------------------------------------------------- letting go
async def test_an_operator_lets_go_of_a_lost_key(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Then the ticket alone has the place again, and whoever takes it over may bind it anew."""
    async with scene(store, clock, tmp_path) as at, phone(at.browser) as new:
        mine = (await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))).json()
        other = (await new.post(JOIN, json={}, headers=shows(PHONE))).json()
        await at.call()
        lost = await acts(at.browser, CLAIM, None)
        run = await at.binding.let_go(ROOM, mine["number"], "Ann", "lost phone")
        found = await acts(at.browser, CLAIM, None)
        still = await acts(new, CLAIM, None)

    assert (lost.status_code, run) == (401, mine["run"])
    assert found.json()["outcome"] == "admitted"
    assert still.json()["code"] == "proof-needed"
    assert other["number"] == 1


async def test_there_is_nothing_to_let_go_of_where_there_is_no_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Beyond the counter, and in a room that is none."""
    async with scene(store, clock, tmp_path) as at:
        with pytest.raises(Refused, match="place-unknown"):
            await at.binding.let_go(ROOM, 0, "Ann", "x")
        with pytest.raises(Refused, match="room-unknown"):
            await at.binding.let_go("nowhere", 0, "Ann", "x")


async def test_with_the_store_gone_nobody_is_taken_for_somebody_else(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """503 for bound places; no claim goes on unproven."""
    async with scene(store, clock, tmp_path) as at:
        await at.browser.post(JOIN, json={}, headers=shows(LAPTOP))
        await at.call()
        at.binding._store._client = connect("unix:///nowhere.sock")
        answers = [await acts(at.browser, path, LAPTOP) for path in (CLAIM, LEAVE, CARRY)]

    assert [one.json()["code"] for one in answers] == ["store-away"] * 3


# ------------------------------------------------------------------------------------------- the paper
SIGNER = Signer([("k1", b"t" * 32)], "ticket")


@pytest.mark.parametrize("extensions", [0, 7])
@pytest.mark.parametrize("reasons", [(), ("declared-tool",)])
def test_a_carried_key_stands_behind_all_else(reasons: tuple[str, ...], extensions: int) -> None:
    """With extensions and reasons and without; the leaf goes by the first key."""
    first = Ticket(
        "main", "00ff", 3, 41, b64url(b"i" * 16), Lane.STANDARD, 17, holder_key=LAPTOP.thumbprint,
        extensions=extensions, reasons=reasons,
    )  # fmt: skip
    carried = replace(first, carried_key=PHONE.thumbprint)
    text = tickets.write(SIGNER, carried)

    assert tickets.read(SIGNER, text, "main") == carried
    assert (first.key, carried.key, carried.leaf) == (LAPTOP.thumbprint, PHONE.thumbprint, first.leaf)
    assert len(text) < tickets.MAX_CHARS


@pytest.mark.parametrize(
    "tail", ["|0||", "|0||x", f"|0||{'A' * 44}", f"|0||{'A' * 43}|x", f"|01||{'A' * 43}"]
)
def test_a_carried_key_that_we_do_not_write_is_refused(tail: str) -> None:
    """Though it is signed: a ticket has one spelling."""
    with pytest.raises(Refused, match="ticket-invalid"):
        tickets.read(
            SIGNER, SIGNER.sign(f"1|main|00ff|3|41|{b64url(b'i' * 16)}|suspect|17||{tail}".encode()), "main"
        )


def test_the_quick_desk_writes_bound_tickets_too() -> None:
    """Same text, same leaf."""
    desk = Desk(SIGNER, "main", "00ff", 3, Lane.STANDARD)
    plain = Ticket("main", "00ff", 3, 4, b64url(b"i" * 16), Lane.STANDARD, 17, holder_key=LAPTOP.thumbprint)

    assert desk.write(4, b"i" * 16, 17, (), LAPTOP.thumbprint) == tickets.write(SIGNER, plain)
    assert desk.leaf(b"i" * 16, LAPTOP.thumbprint) == plain.leaf


def test_a_newcomer_is_bound_only_where_the_room_binds() -> None:
    """The rule by itself."""
    room = Room("main", "https://shop.example")
    binds = replace(room, bind=Bind.BROWSER)

    assert bound(ANYBODY, room, LAPTOP.thumbprint.encode()) is ANYBODY
    assert bound(ANYBODY, binds, b"") is ANYBODY
    assert bound(ANYBODY, binds, LAPTOP.thumbprint.encode()).holder_key == LAPTOP.thumbprint
