"""The organiser's addresses of doors: scanners are made, told once, revoked; figures are what SQL says."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from checkout.organiser.doors_web import LIFE_MOST_MS, DoorsDesk, read_scanner
from checkout.organiser.importing import Importing
from checkout.organiser.reporting import Reporting
from checkout.organiser.service import Organising
from checkout.organiser.talking import PREFIX
from checkout.organiser.web import OrganiserWeb
from checkout.tickets import scanning
from kernel.errors import Refused
from tests.checkout.doors import HOUR_MS, Doors, doors
from tests.checkout.reservations import EVENT

TOKEN = "an organiser's secret"


class Desk:
    """The organiser's door, with a client that has the token."""

    def __init__(self, own: Doors) -> None:
        """Join everything."""
        scene, places = own.shop.scene, own.scanning._places
        self.own = own
        more = DoorsDesk(scene.catalogue, own.scanning, own.clock).routes
        web = OrganiserWeb(
            scene.catalogue, Importing(scene.catalogue), Organising(scene.catalogue, places),
            Reporting(scene.catalogue, places, own.clock), {"ida": TOKEN}, more,
        )  # fmt: skip
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(web), base_url="http://shop.test",
            headers={"authorization": f"Bearer {TOKEN}"},
        )  # fmt: skip

    async def ask(self, method: str, path: str, event: str = EVENT, **options: Any) -> httpx.Response:
        """Ask below an event's address."""
        return await self.client.request(method, f"{PREFIX}/events/{event}{path}", **options)

    def until(self) -> int:
        """Give a moment to come."""
        return int(self.own.clock.now_ms()) + HOUR_MS


Opened = Callable[[], AbstractAsyncContextManager[Desk]]


@pytest.fixture
def opened(tmp_path: Path, store_url: str) -> Opened:
    """Open the desk."""

    @asynccontextmanager
    async def one() -> AsyncIterator[Desk]:
        async with doors(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
            yield Desk(own)

    return one


async def test_a_scanner_is_made_listed_and_revoked(opened: Opened) -> None:
    """Its token is in the first answer only, and its link opens the page."""
    async with opened() as desk:
        made = await desk.ask("POST", "/scanners", json={"name": " Gate A ", "until_ms": desk.until()})
        paper = made.json()
        known = await desk.own.scanning.known_by(EVENT, paper["token"])
        listed = (await desk.ask("GET", "/scanners")).json()["scanners"]
        revoke = f"/scanners/{paper['scanner']}/revoke"
        revoked = [(await desk.ask("POST", revoke)).status_code for _ in range(2)]
        gone = await desk.own.scanning.known_by(EVENT, paper["token"])
        after = (await desk.ask("GET", "/scanners")).json()["scanners"]

        assert made.status_code == 201
        assert (paper["name"], paper["works"]) == ("Gate A", True)
        assert paper["link"] == f"/scan/{EVENT}#{paper['token']}"
        assert known is not None
        assert [one.keys() & {"token", "link", "token_hash"} for one in listed] == [set()]
        assert (revoked, gone) == ([204, 404], None)
        assert (after[0]["works"], after[0]["revoked"]) == (False, True)


BAD: list[dict[str, Any]] = [
    {}, {"name": "A"}, {"until_ms": 1}, {"name": "", "until_ms": 0}, {"name": "  "}, {"name": 7}, {"name": "x" * 61},
    {"name": "a\0b"}, {"name": "A", "until_ms": "soon"}, {"name": "A", "until_ms": True}, {"name": "A", "until_ms": 1},
    {"name": "A", "until_ms": 2**62}, {"name": "A", "until_ms": 1.5}, {"name": "A", "until_ms": 9, "more": 1},
]  # fmt: skip


async def test_an_event_has_so_many_scanners_and_not_more(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the organiser's token fills no table."""
    async with opened() as desk:
        monkeypatch.setattr(scanning, "MOST_SCANNERS", 2)
        wish = {"name": "A", "until_ms": desk.until()}
        answers = [await desk.ask("POST", "/scanners", json=wish) for _ in range(3)]

        assert [one.status_code for one in answers] == [201, 201, 409]
        assert answers[2].json()["code"] == "scanners-full"


async def test_figures_and_conflicts_are_told(opened: Opened) -> None:
    """How many were sold and came in, through which gate; who came in twice, with both gates; a piece at a time."""
    async with opened() as desk:
        own = desk.own
        a, b = await own.gate("Gate A"), await own.gate("Gate B")
        codes = [own.keys.code(one) for one in await own.tickets("ann", 0, 1, 2)]
        for code in codes[:2]:
            await a.ask(code)
            b.offline(code, own.keys)
        await b.sync()
        await a.ask("HELLO")
        entry = (await desk.ask("GET", "/entry")).json()
        first = (await desk.ask("GET", "/entry/conflicts?limit=1")).json()
        second = (await desk.ask("GET", f"/entry/conflicts?limit=1&after={first['next']}")).json()
        wrong = [
            await desk.ask("GET", path)
            for path in ("/entry?x=1", "/entry/conflicts?x=1", "/entry/conflicts?after=x")
        ]
        both = [*first["conflicts"], *second["conflicts"]]

        assert (entry["sold"], entry["entered"], entry["refused"]) == (3, 2, {"used": 2, "unknown": 1})
        assert {one["gate"]: one["entered"] for one in entry["gates"]} == {"Gate A": 2, "Gate B": 0}
        assert [one["entered"] for one in entry["minutes"]] == [2]
        assert second["next"] is None
        assert len({one["number"] for one in both}) == 2
        assert {(one["gate"], one["first"]["gate"], one["outcome"]) for one in both} == {
            ("Gate B", "Gate A", "used")
        }
        assert [one.status_code for one in wrong] == [422] * 3


@pytest.mark.parametrize("plain", BAD, ids=str)
def test_a_scanner_with_faults_is_not_made(plain: dict[str, Any]) -> None:
    """No name, none that can be read, no moment, none to come."""
    with pytest.raises(Refused, match="scanner-invalid") as refused:
        read_scanner(plain, 1_000)
    assert refused.value.extra["faults"]


def test_a_scanner_works_for_a_while_only() -> None:
    """From the next millisecond to 400 days."""
    most = 1_000 + LIFE_MOST_MS
    assert [read_scanner({"name": " A ", "until_ms": ms}, 1_000) for ms in (1_001, most)] == [
        ("A", 1_001),
        ("A", most),
    ]
    for until_ms in (1_000, most + 1):
        with pytest.raises(Refused):
            read_scanner({"name": "A", "until_ms": until_ms}, 1_000)


async def test_nobody_comes_in_without_the_organiser_s_token(opened: Opened) -> None:
    """And an event must be there; a scanner with faults is refused over HTTP too."""
    addresses = [
        ("GET", "/scanners"), ("POST", "/scanners"), ("POST", "/scanners/x/revoke"), ("GET", "/entry"),
        ("GET", "/entry/conflicts"),
    ]  # fmt: skip
    async with opened() as desk:
        for method, path in addresses:
            alone = await desk.ask(method, path, headers={"authorization": ""})
            wish = {"name": "A", "until_ms": desk.until()}
            nowhere = await desk.ask(method, path, "winter", json=wish)

            assert alone.status_code == 401, path
            assert (nowhere.status_code, nowhere.json()["code"]) == (404, "event-unknown"), path
        bad = await desk.ask("POST", "/scanners", json={"name": ""})

        assert (bad.status_code, bad.json()["code"]) == (422, "scanner-invalid")
        assert (await desk.ask("GET", "/scanners")).json() == {"scanners": []}
