"""Demo's link: it signs in whoever has started a demo, once and soon, on this machine, and nobody else."""

import json
import stat
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from dashboards.entrance import Entrance
from dashboards.session_book import IN, WRONG
from gateway import demo_link
from gateway.demo_link import FILE, LASTS_MS, DemoLink
from kernel.clock import ManualClock
from tests.dashboards.desk import app_of, client_of, csrf_in
from tests.dashboards.people import books_of, someone

HERE = "127.0.0.1"


@pytest.fixture
def link(tmp_path: Path, clock: ManualClock) -> DemoLink:
    """Give the link of a demo's folder; none is offered yet."""
    return DemoLink(tmp_path, clock)


async def come(app: Starlette, code: str, who: str = "Ann", address: str = HERE) -> httpx.Response:
    """Open the link in a browser of its own and fill in the form; the last answer."""
    async with client_of(app, address=address) as browser:
        page = await browser.get("/login", params={"link": code})
        return await browser.post("/login", data={"csrf": csrf_in(page), "who": who, "link": code})


async def twice(store: Redis, clock: ManualClock, link: DemoLink) -> list[int]:
    """Come by the same link twice; return the answers."""
    app, code = app_of(store, clock, link=link), link.offer()
    return [(await come(app, code)).status_code for _ in range(2)]


async def test_the_link_signs_in_with_a_name_and_no_token(
    store: Redis, clock: ManualClock, link: DemoLink, tmp_path: Path
) -> None:
    """To look at it uses nothing up; afterwards one is in, and the list of logins says how."""
    with books_of(tmp_path, clock) as books:
        app, code = app_of(store, clock, link=link, access=books), link.offer()
        async with client_of(app, address=HERE) as browser:
            for _ in range(2):
                page = await browser.get("/login", params={"link": code})
                assert (page.status_code, 'name="token"' in page.text) == (200, False)
            form = {"csrf": csrf_in(page), "link": code}
            nameless = await browser.post("/login", data=form | {"who": " "})
            assert (nameless.status_code, f'value="{code}"' in nameless.text) == (422, True)
            assert (await browser.post("/login", data=form | {"who": "Ann"})).headers["location"] == "/"
            assert "Ann" in (await browser.get("/")).text
            used = await browser.get("/login", params={"link": code})
            assert used.headers["location"] == "/"
        async with client_of(app, address=HERE) as late:
            again = await late.get("/login", params={"link": code})
            assert (again.status_code, 'name="token"' in again.text) == (403, True)
        assert (await come(app, code)).status_code == 403
        assert [(one.how, one.outcome) for one in books.sessions.logins()] == [("link", WRONG), ("link", IN)]


async def test_the_link_counts_once(store: Redis, clock: ManualClock, link: DemoLink) -> None:
    """Whoever finds it later in a terminal or a history comes too late."""
    assert await twice(store, clock, link) == [303, 403]


async def test_a_link_that_stays_is_noticed(
    store: Redis, clock: ManualClock, link: DemoLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: it is looked at, and not used up."""
    monkeypatch.setattr(DemoLink, "take", DemoLink.holds)
    assert await twice(store, clock, link) == [303, 303]


@pytest.mark.parametrize(("after_ms", "status"), [(LASTS_MS - 1, 303), (LASTS_MS, 403), (LASTS_MS + 1, 403)])
async def test_the_link_counts_for_a_quarter_of_an_hour(
    store: Redis, clock: ManualClock, link: DemoLink, after_ms: int, status: int
) -> None:
    """At its edges."""
    app, code = app_of(store, clock, link=link), link.offer()
    clock.advance(after_ms)
    assert (await come(app, code)).status_code == status


async def test_a_link_that_lasts_is_noticed(
    store: Redis, clock: ManualClock, link: DemoLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: it never ends."""
    monkeypatch.setattr(demo_link, "LASTS_MS", 10**12)
    app, code = app_of(store, clock, link=link), link.offer()
    clock.advance(LASTS_MS)
    assert (await come(app, code)).status_code == 303


async def test_the_link_is_for_this_machine(store: Redis, clock: ManualClock, link: DemoLink) -> None:
    """From elsewhere the right code is worth nothing, and stays; where there is no demo there is no link."""
    app, code = app_of(store, clock, link=link), link.offer()
    assert (await come(app, code, address="192.0.2.1")).status_code == 403
    assert (await come(app_of(store, clock), code)).status_code == 403
    assert (await come(app, code, address="::1")).status_code == 303


async def test_a_link_that_counts_from_elsewhere_is_noticed(
    store: Redis, clock: ManualClock, link: DemoLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: nobody asks where a browser is."""
    monkeypatch.setattr(Entrance, "_link", lambda own, _: own._deps.link)
    app, code = app_of(store, clock, link=link), link.offer()
    assert (await come(app, code, address="192.0.2.1")).status_code == 303


async def with_an_owner(store: Redis, clock: ManualClock, link: DemoLink, folder: Path) -> int:
    """Come by the link where an owner has an account."""
    with books_of(folder, clock) as books:
        someone(books, clock)
        return (await come(app_of(store, clock, link=link, access=books), link.offer())).status_code


async def test_the_link_is_worth_no_more_than_the_token(
    store: Redis, clock: ManualClock, link: DemoLink, tmp_path: Path
) -> None:
    """With an owner's account people sign in with theirs; and nobody comes by the name of somebody else."""
    assert await with_an_owner(store, clock, link, tmp_path) == 403
    with books_of(tmp_path, clock) as books:
        app = app_of(store, clock, link=link, access=books, token_login=True)
        assert (await come(app, link.offer(), "ann lee")).status_code == 422


async def test_a_link_beside_accounts_is_noticed(
    store: Redis, clock: ManualClock, link: DemoLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: it counts although there is an owner."""

    async def opens(_own: Entrance) -> bool:
        return True

    monkeypatch.setattr(Entrance, "_token_opens", opens)
    assert await with_an_owner(store, clock, link, tmp_path) == 303


@pytest.mark.parametrize(
    "code", ["", "x", "A" * 43, "é" * 43, "\udc80", "\0", "../operator-token", "1" * 9000]
)
def test_what_is_no_code_opens_nothing(link: DemoLink, code: str) -> None:
    """Nor does what stands in the file."""
    link.offer()
    kept = json.loads((link._path).read_text())
    assert not link.take(code)
    assert not link.take(kept["digest"])


@pytest.mark.parametrize(
    "kept", ["", "{}", "[]", "null", "\xff", '{"digest": "", "until_ms": "soon"}', '{"digest": 1}']
)
def test_a_file_that_cannot_be_read_opens_nothing(link: DemoLink, tmp_path: Path, kept: str) -> None:
    """Nor does one that is not there."""
    assert not link.take("x")
    (tmp_path / FILE).write_bytes(kept.encode("latin-1"))
    assert not link.take("x")


def test_a_new_link_takes_the_place_of_the_old_one(link: DemoLink, tmp_path: Path) -> None:
    """Of two only the newer counts; no code stands in the file, which is for its user alone."""
    old, new = link.offer(), link.offer()
    assert not {old, new} & set((tmp_path / FILE).read_text().split('"'))
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert (link.take(old), link.take(new), link.take(new)) == (False, True, False)
    link.withdraw()
