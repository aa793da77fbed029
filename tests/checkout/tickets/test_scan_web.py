"""The scanner's addresses: who comes in, what is answered, what is refused and with which headers."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from typing import Any

import httpx
import pytest

from checkout.site.scan_page import PERMISSIONS, ScanPages, address, scan_files, version, worker
from checkout.tickets.scan_web import MOST_SCANS, ScanWeb, read_scans
from kernel.errors import Refused
from tests.checkout.doors import HOUR_MS, Doors, doors
from tests.checkout.reservations import EVENT

SITE = {"sec-fetch-site": "same-origin"}
ID = "0123456789abcdef-1"
DECODER = {
    "decode.js": "00e209820dcb11d624e9a03d6383e580766792b57d1651318f0a29e4e1ff0fe8",
    "index.js": "a0de370051f94bd74f218f74401fdf197585e3f9ef0143164f87ea941a3fdd6f",
}
GOOD = {"id": ID, "at_ms": 1, "told": "", "code": "x"}


class Desk:
    """The doors' addresses, and a scanner's token."""

    def __init__(self, own: Doors, token: str, *, secure: bool = False) -> None:
        """Make the application."""
        scene = own.shop.scene
        self.own, self.token = own, token
        self.app = ScanWeb(
            own.scanning, scene.catalogue, ScanPages(), own.clock, scene.metrics, secure=secure
        )
        self.client = self.browser()

    def browser(self) -> httpx.AsyncClient:
        """Give a browser that keeps its cookies."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="https://shop.test", headers=SITE
        )

    async def enter(self, event: object = EVENT, token: object = None) -> httpx.Response:
        """Come in."""
        plain = {"event": event, "token": self.token if token is None else token}
        return await self.client.post("/scan/enter", json=plain)

    async def scan(self, *scans: Any, **headers: str) -> httpx.Response:
        """Send scans."""
        return await self.client.post(f"/scan/{EVENT}/scans", json={"scans": list(scans)}, headers=headers)


Opened = Callable[[], AbstractAsyncContextManager[Desk]]


@pytest.fixture
def opened(tmp_path: Any, store_url: str) -> Opened:
    """Open the doors."""

    @asynccontextmanager
    async def one() -> AsyncIterator[Desk]:
        async with doors(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
            made = await own.scanning.make(EVENT, "Gate A", own.clock.now_ms() + HOUR_MS)
            assert made is not None
            yield Desk(own, made.token)

    return one


async def test_a_scanner_comes_in_and_scans(opened: Opened) -> None:
    """Token, cookie, event, list, scans with words on each."""
    async with opened() as desk:
        (ticket,) = await desk.own.tickets("ann", 0)
        entered = await desk.enter()
        event = (await desk.client.get(f"/scan/{EVENT}/event")).json()
        found = await desk.client.get(f"/scan/{EVENT}/list")
        changes = await desk.client.get(f"/scan/{EVENT}/list?since={found.json()['at']}")
        hall = await desk.client.get(f"/scan/{EVENT}/hall")
        code = desk.own.keys.code(ticket)
        answer = await desk.scan(
            {"id": ID, "at_ms": 5, "code": code}, {"id": ID[:-1] + "2", "at_ms": 9, "number": "x"}
        )
        plain = answer.json()["scans"]

        assert (entered.status_code, entered.content) == (204, b"")
        cookie = entered.headers["set-cookie"]
        assert cookie.startswith("shop-scanner=")
        assert f"; Path=/scan/{EVENT}; SameSite=Strict; Max-Age=3600; HttpOnly" in cookie
        assert (event["gate"], event["event"]) == ("Gate A", EVENT)
        assert found.headers["content-encoding"] == "gzip"
        assert found.headers["cache-control"] == "no-store"
        assert changes.json()["since"] > 0
        assert hall.json()["sections"]
        assert plain[0] == {
            "id": ID,
            "outcome": "admitted",
            "ticket": ticket.id[:16],
            "number": ticket.number,
            "seat": ["Stalls", "A", "1"],
            "why": "",
            "used_ms": 5,
        }
        assert plain[1] == {"id": ID[:-1] + "2", "outcome": "unknown"}


async def test_with_tls_the_cookie_is_for_tls_only(opened: Opened) -> None:
    """Its name says so, and browsers hold it to that."""
    async with opened() as desk:
        secure = Desk(desk.own, desk.token, secure=True)
        cookie = (await secure.enter()).headers["set-cookie"]
        again = await secure.client.get(f"/scan/{EVENT}/event")

        assert cookie.startswith("__Secure-shop-scanner=")
        assert cookie.endswith("; Secure")
        assert again.status_code == 200


async def test_another_site_can_not_scan_through_a_scanner_s_browser(opened: Opened) -> None:
    """Neither by a form nor by a script; the cookie would not come along, and counts for nothing if it does."""
    async with opened() as desk:
        await desk.enter()
        code = await desk.own.code()
        scan = {"id": ID, "at_ms": 1, "code": code}
        foreign = await desk.scan(scan, **{"sec-fetch-site": "cross-site"})
        form = await desk.client.post(
            f"/scan/{EVENT}/scans",
            content=json.dumps({"scans": [scan]}),
            headers={"content-type": "text/plain"},
        )
        entering = await desk.client.post(
            "/scan/enter",
            json={"event": EVENT, "token": desk.token},
            headers={"sec-fetch-site": "cross-site"},
        )

        assert [one.status_code for one in (foreign, form, entering)] == [403, 415, 403]
        assert desk.own.outcomes() == []


BAD: list[tuple[str, dict[str, Any]]] = [
    ("nothing", {}),
    ("no list", {"scans": "x"}),
    ("an empty list", {"scans": []}),
    ("too many", {"scans": [{**GOOD, "id": f"{ID[:-1]}{at}"} for at in range(MOST_SCANS + 1)]}),
    ("something beside", {"scans": [GOOD], "more": 1}),
    ("no object", {"scans": [7]}),
    ("an unknown field", {"scans": [{**GOOD, "x": 1}]}),
    ("no id", {"scans": [{"at_ms": 1, "code": "x"}]}),
    ("another form of id", {"scans": [{**GOOD, "id": "1"}]}),
    ("an id of a line more", {"scans": [{**GOOD, "id": ID + "\n"}]}),
    ("an id in capitals", {"scans": [{**GOOD, "id": ID.upper()}]}),
    ("no moment", {"scans": [{**GOOD, "at_ms": "1"}]}),
    ("yes for a moment", {"scans": [{**GOOD, "at_ms": True}]}),
    ("a moment before all", {"scans": [{**GOOD, "at_ms": -1}]}),
    ("a moment after all", {"scans": [{**GOOD, "at_ms": 2**53}]}),
    ("half a moment", {"scans": [{**GOOD, "at_ms": 1.5}]}),
    ("a word that is none", {"scans": [{**GOOD, "told": "welcome"}]}),
    ("a list for a word", {"scans": [{**GOOD, "told": []}]}),
    ("neither code nor number", {"scans": [{"id": ID, "at_ms": 1}]}),
    ("both", {"scans": [{**GOOD, "number": "x"}]}),
    ("a code that is a number", {"scans": [{**GOOD, "code": 5}]}),
    ("a code that is too long", {"scans": [{**GOOD, "code": "x" * 513}]}),
    ("a number that is too long", {"scans": [{"id": ID, "at_ms": 1, "number": "x" * 41}]}),
    ("the same twice", {"scans": [GOOD, GOOD]}),
]


async def test_the_page_may_use_the_camera_and_nothing_of_others(opened: Opened) -> None:
    """Its policy; and it is the same page whoever asks, for any event."""
    async with opened() as desk:
        page = await desk.client.get(f"/scan/{EVENT}", headers={"accept-language": "de"})
        other = await desk.client.get("/scan/no-such-event", headers={"accept-language": "de"})
        policy = page.headers["content-security-policy"]

        assert page.headers["permissions-policy"] == PERMISSIONS
        assert "camera=(self)" in PERMISSIONS
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert 'lang="de"' in page.text
        assert page.text.replace(f"/scan/{EVENT}/", "/scan/no-such-event/") == other.text
        assert "set-cookie" not in page.headers
        assert "https://" not in page.text


async def test_every_file_is_there_and_kept_by_the_worker(opened: Opened) -> None:
    """The decoder untouched beside its licence; each file under the version's address, and in the worker's list."""
    async with opened() as desk:
        told = (await desk.client.get("/scan/sw.js")).text
        for name in scan_files():
            answer = await desk.client.get(address(name))
            assert answer.status_code == 200, name
            assert answer.text == scan_files()[name]
            assert "immutable" in answer.headers["cache-control"]
            assert address(name) in told
        gone = [
            (await desk.client.get(path)).status_code
            for path in (
                f"/scan/static/{version()}/../scan.js", f"/scan/static/{version()}/sw.js",
                f"/scan/static/{version()}/none", f"/scan/static/{version()}/qr/LICENSE",
                "/scan/static/0/scan.js", "/scan/", "/scan/A", f"/scan/{EVENT}/x/y",
            )
        ]  # fmt: skip
        manifest = (await desk.client.get(f"/scan/{EVENT}/app.webmanifest")).json()

        assert {"scan.js", "words.js", "qr/decode.js", "qr/index.js"} <= scan_files().keys()
        assert told == worker()
        assert gone == [404] * 8
        assert (manifest["start_url"], manifest["scope"]) == (f"/scan/{EVENT}", "/scan/")


@pytest.mark.parametrize(("what", "plain"), BAD, ids=[row[0] for row in BAD])
def test_scans_that_are_none_are_refused_as_a_whole(what: str, plain: dict[str, Any]) -> None:
    """One bad scan among good ones is a fault of all; each is told."""
    if isinstance(plain.get("scans"), list) and what != "an empty list":
        plain = {**plain, "scans": [{**GOOD, "id": "f" * 16 + "-1"}, *plain["scans"]]}

    with pytest.raises(Refused, match="scans-invalid") as refused:
        read_scans(plain)
    assert refused.value.extra["faults"]


async def test_what_is_no_question_is_refused_and_keeps_nothing(opened: Opened) -> None:
    """Bodies that are none, cursors that are none, faults among good scans; each method has its address."""
    bodies = [(b"[]", 400), (b"{", 400), (b"\xff", 400), (b"", 400), (b" " * 70_000, 413)]
    cursors = ["since=", "since=-1", "since=x", "after=1", "since=1&x=2", "since=" + "9" * 16]
    methods = [
        ("GET", f"/scan/{EVENT}/scans", "POST"),
        ("POST", f"/scan/{EVENT}/list", "GET, HEAD"),
        ("DELETE", f"/scan/{EVENT}/event", "GET, HEAD"),
        ("PUT", "/scan/enter", "POST"),
        ("POST", f"/scan/{EVENT}", "GET"),
        ("POST", "/scan/sw.js", "GET"),
    ]
    async with opened() as desk:
        await desk.enter()
        kind = {"content-type": "application/json"}
        for octets, status in bodies:
            answer = await desk.client.post(f"/scan/{EVENT}/scans", content=octets, headers=kind)
            assert answer.status_code == status, octets[:9]
        for query in cursors:
            answer = await desk.client.get(f"/scan/{EVENT}/list?{query}")
            assert (answer.status_code, answer.json()["code"]) == (422, "query-invalid"), query
        for method, path, allow in methods:
            answer = await desk.client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allow), path
        mixed = await desk.scan(GOOD, {**GOOD, "told": "welcome"})

        assert (mixed.status_code, mixed.json()["code"]) == (422, "scans-invalid")
        assert desk.own.outcomes() == []


async def test_nobody_comes_in_without_a_token_of_this_event(opened: Opened) -> None:
    """A token of another event, none, or something else altogether: one answer, and no cookie."""
    pairs: list[tuple[object, object]] = [
        ("winter", None), ("Summer!", None), (7, None), (EVENT, "A" * 25), (EVENT, ""), (EVENT, 5), (EVENT, "x" * 5000),
    ]  # fmt: skip
    async with opened() as desk:
        for event, token in pairs:
            answer = await desk.enter(event, token)

            assert (answer.status_code, answer.json()["code"]) == (401, "scanner-unknown"), event
            assert "set-cookie" not in answer.headers


async def test_what_is_known_is_told_to_scanners_only(opened: Opened) -> None:
    """Without a cookie, with a wrong one, of an event that there is not; and no longer than the scanner works."""
    wrong = {"cookie": "shop-scanner=" + "A" * 25}
    async with opened() as desk:

        async def asked(event: str = EVENT, **headers: str) -> list[int]:
            paths = [f"/scan/{event}/{path}" for path in ("event", "hall", "list")]
            return [(await desk.client.get(path, headers=headers)).status_code for path in paths]

        none, strange = await asked(), await asked(**wrong)
        await desk.enter()
        known, other = await asked(), await asked("winter", cookie=f"shop-scanner={desk.token}")
        desk.own.clock.advance(HOUR_MS)
        over = await asked()

    assert [none, strange, known, other, over] == [[401] * 3, [401] * 3, [200] * 3, [401] * 3, [401] * 3]


def test_the_decoder_is_somebody_elses_unchanged() -> None:
    """The bytes of the package qr 0.7.0, and its licences beside them."""
    folder = files("checkout.site").joinpath("static", "scan", "qr")
    sums = {name: hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() for name in DECODER}

    assert sums == DECODER
    assert "0.7.0" in folder.joinpath("README.md").read_text("utf-8")
    assert "Paul Miller" in folder.joinpath("LICENSE-MIT").read_text("utf-8")
    assert folder.joinpath("LICENSE").is_file()
