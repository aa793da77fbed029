"""The bot guard at the gate: what becomes of whoever joins, in a room that is off, watches, or is on."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from ssl import create_default_context

import httpx
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from admission.buckets import Buckets
from botguard.behaviour import Behaviour
from botguard.metrics import Metrics
from botguard.service import Guard, Mode
from botguard.velocity.store import VelocityStore
from botguard.verdict import Stage, Thresholds, decide
from gateway import bot_guard as module
from gateway.bot_guard import Newcomers, guard_of
from gateway.front import Front
from gateway.settings import Settings
from kernel.clock import ManualClock
from kernel.errors import Misconfigured, Unavailable
from kernel.metrics import flush
from kernel.signing import Signer
from tests.botguard.request.browsers import (
    PEOPLE,
    PHONE_AGENT,
    Headers,
    NoNames,
    chromium,
    replaced,
    without,
)
from tests.waitroom.house import House, house
from waitroom.shells import Pages
from waitroom.web import LineWeb, WebSettings

BASE = "/.waitroom/r/main"
TLS = create_default_context()
"""Made once; a client makes one each time it is not given any."""

SECRET = b"a secret of the bot guard"
DEVICES = Signer([("k1", b"d" * 32)], "device")
CURL = [(b"host", b"room.test"), (b"user-agent", b"curl/8.9.1"), (b"accept", b"*/*")]
BROWSER = without(chromium(), b"content-length", b"origin", b"host")
ROOMY = {"join_burst": 10_000, "join_rate_per_minute": 10_000}


class Receipts:
    """Writes a receipt's claims as plain JSON."""

    def receipt(self, claims: dict[str, object]) -> str:
        """Show what would be signed."""
        return json.dumps(claims)


@dataclass
class Site:
    """A room behind the guard, and browsers in front of it."""

    house: House
    guard: Guard
    metrics: Metrics
    registry: CollectorRegistry
    app: Front

    async def join(
        self, headers: Headers = BROWSER, address: str = "203.0.113.7", cookie: str = "", **more: str
    ) -> httpx.Response:
        """Join as a browser that keeps no cookies, unless it is given one."""
        transport = httpx.ASGITransport(app=self.app, client=(address, 5000))
        names: list[tuple[bytes, bytes]] = [*headers, *((b"cookie", cookie.encode()),) * bool(cookie)]
        names += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test", verify=TLS) as client:
            client.headers.clear()
            answer = await client.post(f"{BASE}/join", headers=names)
        await self.guard._velocity.drained()
        await asyncio.sleep(0)  # who watches hears of a count a turn of the loop later
        return answer

    async def receipt(self, ticket: str) -> dict[str, object]:
        """Ask for the receipt of a ticket."""
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test", verify=TLS) as client:
            answer = await client.get(f"{BASE}/receipt", headers={"waitroom-ticket": ticket})
        found: dict[str, object] = json.loads(answer.text)
        return found

    def counted(self, name: str, **labels: str) -> float:
        """Read a metric."""
        flush()
        return self.registry.get_sample_value(f"waitroom_bots_{name}", labels) or 0


@asynccontextmanager
async def site(
    store: Redis, clock: ManualClock, folder: Path, settings: Settings | None = None, **room: object
) -> AsyncIterator[Site]:
    """Open a room with these settings."""
    settings = settings or Settings()
    async with house(store, clock, folder) as here:
        await here.set_up(**{**ROOMY, **room})
        registry = CollectorRegistry()
        metrics = Metrics(registry)
        guard = guard_of(settings, store, SECRET, clock, metrics, NoNames())
        newcomers = Newcomers(guard, DEVICES, settings)
        reached = WebSettings(trusted_proxies=settings.networks)
        web = LineWeb(here.waitroom, Pages("/.waitroom"), Buckets(), Receipts(), reached, newcomers)
        yield Site(here, guard, metrics, registry, Front("/.waitroom", web.routes, {}))
        await guard.close()
    await store.aclose()


async def test_a_room_that_is_off_looks_at_nothing(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """No cookie, no count, no record."""
    async with site(store, clock, tmp_path, bot_guard="off") as here:
        answer = await here.join(CURL)

        assert answer.json()["lane"] == "standard"
        assert [name for name in answer.headers.get_list("set-cookie") if "device" in name] == []
        assert await store.keys("bg:*") == []
        assert here.counted("joined_total", room="main", lane="standard") == 0


@pytest.mark.parametrize(("mode", "judged"), [("watch", 3), ("on", 5)])
async def test_a_rush_is_watched_in_part_and_judged_whole(
    store: Redis,
    clock: ManualClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    judged: int,
) -> None:
    """Watching leaves a crowd's first seconds to the line, and says so; what follows from a look needs every look."""
    monkeypatch.setattr(module, "WATCHED_PER_S", 3)
    async with site(store, clock, tmp_path, bot_guard=mode) as here:
        rush = [await here.join() for _ in range(5)]

        assert [one.status_code for one in rush] == [200] * 5
        assert here.counted("judged_total", room="main", mode=mode, verdict="allow") == judged
        assert here.counted("without_total", missing="busy") == 5 - judged

        clock.advance(1_000)
        await here.join()

        assert here.counted("judged_total", room="main", mode=mode, verdict="allow") == judged + 1


async def test_a_room_that_watches_counts_and_changes_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """As it comes: even a declared tool with a forged cookie begins where everybody does."""
    async with site(store, clock, tmp_path) as here:
        forged = DEVICES.sign(b"somebody")[:-4] + "AAAA"
        answers = [await here.join(CURL), await here.join(BROWSER, cookie=f"waitroom-device={forged}")]

        assert [one.json()["lane"] for one in answers] == ["standard", "standard"]
        receipt = await here.receipt(answers[0].json()["ticket"])
        assert (receipt["lane"], receipt["reasons"]) == ("standard", [])
        assert here.counted("judged_total", room="main", mode="watch", verdict="slow") == 1
        assert here.counted("judged_total", room="main", mode="watch", verdict="deny") == 1
        assert here.counted("reasons_total", reason="declared-tool") == 1
        assert here.counted("joined_total", room="main", lane="standard") == 2


async def test_a_room_that_is_on_puts_declared_programs_behind_and_says_why(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """In the ticket and in the receipt; with a number like everybody's."""
    async with site(store, clock, tmp_path, bot_guard="on") as here:
        tool, browser = (await here.join(CURL)).json(), (await here.join(BROWSER)).json()

        assert [(one["lane"], one["number"]) for one in (tool, browser)] == [("suspect", 0), ("standard", 1)]
        receipts = [await here.receipt(one["ticket"]) for one in (tool, browser)]
        assert [(one["lane"], one["reasons"]) for one in receipts] == [
            ("suspect", ["declared-tool"]), ("standard", []),
        ]  # fmt: skip
        reading = await here.house.beat()
        assert reading.line is not None
        assert reading.line.joined_suspect == 1
        assert here.counted("joined_total", room="main", lane="suspect") == 1


async def test_a_key_repeats_the_place_in_its_lane_only(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """A program's place does not become a person's by another agent and the same key."""
    async with site(store, clock, tmp_path, bot_guard="on") as here:
        key = "k" * 22
        places = [(await here.join(headers, idempotency_key=key)).json() for headers in (CURL, CURL, BROWSER)]

        assert [(one["number"], one["lane"]) for one in places] == [
            (0, "suspect"), (0, "suspect"), (1, "standard"),
        ]  # fmt: skip
        assert places[0]["ticket"].split(".")[0:1] == places[1]["ticket"].split(".")[0:1]


async def test_a_browser_that_takes_place_after_place_hears_so(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """In words, with a time; after that time it may again, and nobody else on its network notices."""
    async with site(store, clock, tmp_path, bot_guard="on") as here:
        first = await here.join()
        device = next(
            one for one in first.headers.get_list("set-cookie") if one.startswith("waitroom-device=")
        )
        cookie = device.partition(";")[0]
        answers = [await here.join(cookie=cookie) for _ in range(21)]

        assert [one.status_code for one in answers] == [200] * 20 + [429]
        assert [one for one in answers[0].headers.get_list("set-cookie") if "device" in one] == []
        problem = answers[-1].json()
        assert (problem["code"], problem["reasons"]) == ("too-many-places", ["device-limit"])
        assert "browser" in problem["detail"]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
        assert (await here.join()).status_code == 200
        form = await here.join(
            replaced(BROWSER, b"content-type", b"application/x-www-form-urlencoded"), cookie=cookie
        )
        assert (form.status_code, "text/html" in form.headers["content-type"]) == (429, True)


async def test_a_forged_cookie_is_refused_and_a_foreign_one_is_none(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Changed under a key that we have: a proof. Of a key that we no longer have, or nonsense: nobody's fault."""
    async with site(store, clock, tmp_path, bot_guard="on") as here:
        good = DEVICES.sign(b"somebody")
        foreign = Signer([("k9", b"x" * 32)], "device").sign(b"somebody")
        texts = (good, good[:-4] + "AAAA", foreign, "nonsense", good[:10])
        answers = [await here.join(cookie=f"waitroom-device={text}") for text in texts]

        assert [one.status_code for one in answers] == [200, 403, 200, 200, 200]
        assert (answers[1].json()["code"], answers[1].json()["reasons"]) == ("forged", ["forged-device"])


async def test_a_forgery_that_is_not_looked_at_would_be_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: without the proof the forged cookie passes."""
    monkeypatch.setattr(Newcomers, "device", lambda *_: ("", frozenset()))
    async with site(store, clock, tmp_path, bot_guard="on") as here:
        text = DEVICES.sign(b"somebody")[:-4] + "AAAA"

        assert (await here.join(cookie=f"waitroom-device={text}")).status_code == 200


@pytest.mark.parametrize("mode", ["watch", "on"])
async def test_a_guard_that_is_away_stops_nobody(
    mode: str, store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records cannot be reached: everybody joins, and it is counted."""

    async def away(*_: object) -> None:
        raise Unavailable("store-away", "away")

    monkeypatch.setattr(VelocityStore, "count", away)
    async with site(store, clock, tmp_path, bot_guard=mode) as here:
        places = [await here.join() for _ in range(3)]

        assert [one.json()["lane"] for one in places] == ["standard"] * 3
        assert here.counted("without_total", missing="store") == 3


PLACES = {
    "Private Relay": "104.28.28.5",
    "Private Relay by IPv6": "2a02:26f7:b00a:4000::1",
    "a cloud": "3.5.140.1",
    "a mobile network": "203.0.113.7",
    "Tor, as the operator lists it": "198.51.100.9",
}


@pytest.mark.parametrize("place", PLACES)
async def test_nobody_is_refused_or_put_behind_for_where_they_are(
    place: str, store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Many behind one address, each with a browser of their own: all of them begin where everybody does."""
    own = tmp_path / "own"
    own.write_text("tor 198.51.100.0/24\n")
    people: Sequence[Headers] = [
        without(one, b"content-length", b"origin", b"host") for one in PEOPLE.values()
    ]
    async with site(store, clock, tmp_path, Settings(bot_list=own), bot_guard="on") as here:
        lanes = [
            (await here.join(people[turn % len(people)], PLACES[place])).json()["lane"] for turn in range(60)
        ]

        assert lanes == ["standard"] * 60
        assert here.counted("judged_total", room="main", mode="on", verdict="allow") == 60


async def test_a_likelihood_that_counts_at_the_join_would_be_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: who is weighed at the join already, and by nothing, is put behind."""
    none = Thresholds(0.0, 0.0, 0.0)
    monkeypatch.setattr("botguard.service.decide", lambda evidence, *_: decide(evidence, none, Stage.SETTLE))
    async with site(store, clock, tmp_path, bot_guard="on") as here:
        assert (await here.join()).json()["lane"] == "suspect"


async def test_only_a_trusted_proxy_says_what_nobody_else_may(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """TLS and JA4 from anybody else are not heard."""
    settings = Settings(trusted_proxies=("10.0.0.0/8",), ja4_header="X-JA4")
    odd = [*BROWSER, (b"x-forwarded-proto", b"https"), (b"x-ja4", b"t12i0000_bad")]
    async with site(store, clock, tmp_path, settings) as here:
        newcomers = Newcomers(here.guard, DEVICES, settings)
        scope = {"headers": odd, "path": "/", "method": "POST", "scheme": "http"}
        proxied = newcomers.asking({**scope, "client": ("10.1.2.3", 1)})
        direct = newcomers.asking({**scope, "client": ("203.0.113.7", 1)})

        assert (proxied.is_tls, proxied.is_direct, proxied.ja4) == (True, False, "t12i0000_bad")
        assert (direct.is_tls, direct.is_direct, direct.ja4) == (False, True, "")


async def test_the_cookie_is_bound_to_the_host_where_there_is_tls(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """As the room's other cookies are; HttpOnly, for a day."""
    settings = Settings(public_url="https://room.test")
    async with site(store, clock, tmp_path, settings) as here:
        answer = await here.join()

        cookie = next(one for one in answer.headers.get_list("set-cookie") if "device" in one)
        assert cookie.startswith("__Host-waitroom-device=k1.")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Max-Age=86400"} <= set(cookie.split("; "))


async def test_files_are_read_again_and_their_faults_told_at_once(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The operator's list changes while the room is open."""
    own = tmp_path / "own"
    own.write_text("tor 198.51.100.0/24\n")
    async with site(store, clock, tmp_path, Settings(bot_list=own), bot_guard="on") as here:
        app = replaced(CURL, b"user-agent", b"TicketApp/2 okhttp/4.12.0")
        before = (await here.join(app)).json()["lane"]
        fresh = tmp_path / "fresh"
        fresh.write_text("people agent:TicketApp/\n")
        fresh.replace(own)
        await here.guard.refresh()

        assert (before, (await here.join(app)).json()["lane"]) == ("suspect", "standard")
    missing = tmp_path / "missing"
    spoilt = Settings(bot_list=missing, bot_agent_keys=missing, bot_asn=missing)
    with pytest.raises(Misconfigured) as caught:
        guard_of(spoilt, store, SECRET, clock, Metrics(CollectorRegistry()))
    assert len(caught.value.faults) == 3


async def test_what_is_decided_later_counts_no_further_act(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """``settle`` looks only; there the rhythm's word counts, and the thresholds of the room."""
    async with site(store, clock, tmp_path, bot_guard="on") as here:
        await here.join()
        asking = replace(Newcomers(here.guard, DEVICES, Settings()).asking(
            {"headers": [], "path": "/", "client": ("203.0.113.7", 1)}
        ), is_tls=True)  # fmt: skip
        phone = replaced(BROWSER, b"user-agent", PHONE_AGENT.encode())
        thresholds = Thresholds()
        found = [
            await here.guard.settle(
                "main",
                headers,
                asking,
                clock.now_ms(),
                mode=Mode.ON,
                thresholds=thresholds,
                behaviour=Behaviour(told, ("rhythm-grid",)),
            )
            for headers, told in ((BROWSER, None), (BROWSER, 50.0), (phone, 50.0))
        ]
        again = await here.guard.settle(
            "main", BROWSER, asking, clock.now_ms(), mode=Mode.ON, thresholds=thresholds, device="d"
        )

        assert [one.verdict.value for one in found] == ["allow", "prove", "prove"]
        assert [one.reasons for one in found][:2] == [(), ("behaviour", "rhythm-grid")]
        assert again.verdict.value == "allow"
        (record,) = await store.keys("bg:*prefix*")
        assert sum(int(acts) for slot, acts in (await store.hgetall(record)).items() if slot != b"t") == 1
