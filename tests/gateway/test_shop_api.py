"""The shop's addresses: who answers which, what caches may keep, how often SQL is asked, what each role answers."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from redis.asyncio import Redis

from checkout.site.assets import address, assets
from checkout.site.roles import Role
from checkout.tables import HOLD_JOURNAL
from tests.checkout.catalogues import statements
from tests.checkout.conftest import postgres_url, schemas, shop_url, templates
from tests.gateway.shopfront import API, EVENT, PAGE, Front, front

__all__ = ["postgres_url", "schemas", "shop_url", "templates"]

HOUR_MS = 3_600_000
KEY = {"idempotency-key": "a-key"}
BEST = {"best": {"count": 2, "tier": None, "section": None}}


async def test_a_buyer_holds_reserves_and_gives_back(store: Redis, store_url: str, tmp_path: Path) -> None:
    """The wire as the pages' scripts speak it, all parts joined."""
    async with front(store_url, tmp_path) as shop:
        fan = shop.client
        held = await fan.post(f"{API}/holds", json={"seats": [0, 1]}, headers=KEY)
        hold = held.json()
        mine = (await fan.get(f"{API}/holds/mine")).json()
        longer = await fan.post(f"{API}/holds/{hold['hold']}/extend")
        reserved = await fan.post(f"{API}/holds/{hold['hold']}/reserve")
        again = await fan.post(f"{API}/holds/{hold['hold']}/reserve")
        paper = reserved.json()
        found = await fan.get(f"{API}/reservations/{paper['reservation']}")
        back = [await fan.delete(f"{API}/reservations/{paper['reservation']}") for _ in range(2)]

    assert (held.status_code, hold["total_minor"], hold["state"]) == (201, 8400, "held")
    assert [one["hold"] for one in mine["holds"]] == [hold["hold"]]
    assert (longer.status_code, longer.json()["extendable"]) == (200, False)
    assert (reserved.status_code, again.status_code) == (201, 201)
    assert again.json()["reservation"] == paper["reservation"] == found.json()["reservation"]
    assert [answer.status_code for answer in back] == [204, 204]


async def test_all_of_it_works_on_either_kind_of_database(
    store: Redis, store_url: str, shop_url: str, tmp_path: Path
) -> None:
    """SQLite and PostgreSQL: catalogue, holds, reservations, and the background that carries notes into SQL."""
    async with front(store_url, tmp_path, database_url=shop_url) as shop:
        await shop.shop.start()
        held = (await shop.client.post(f"{API}/holds", json={"seats": [0, 1]}, headers=KEY)).json()
        reserved = await shop.client.post(f"{API}/holds/{held['hold']}/reserve")
        back = await shop.client.delete(f"{API}/reservations/{reserved.json()['reservation']}")
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(journal_of, shop):  # noqa: ASYNC110 - a sweeper tells nobody
                await asyncio.sleep(0.05)

    assert (reserved.status_code, back.status_code) == (201, 204)


def journal_of(shop: Front) -> list[str]:
    """Read how the holds stand in SQL."""
    with shop.shop.parts.database.reading() as connection:
        return list(connection.scalars(sa.select(HOLD_JOURNAL.c.state)))


async def test_what_others_take_is_in_the_map_and_in_the_stream(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """One octet for each seat; the next version names the map after the hold."""
    async with front(store_url, tmp_path) as shop:
        before = await shop.client.get(f"{API}/map")
        await shop.client.post(f"{API}/holds", json={"seats": [3, 4]}, headers=KEY)
        shop.clock.advance(1_000)
        after = await shop.client.get(f"{API}/map")
        unchanged = await shop.client.get(f"{API}/map", headers={"if-none-match": after.headers["etag"]})

    assert len(before.content) == 45
    assert [at for at in range(45) if before.content[at] != after.content[at]] == [3, 4]
    assert before.headers["map-version"] != after.headers["map-version"]
    assert unchanged.status_code == 304


async def test_before_and_after_the_sale_the_exact_time_is_told(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """403 with the moment in milliseconds; at the moment it opens, it is open."""
    async with front(store_url, tmp_path) as shop:
        now_ms = shop.clock.now_ms()
        opens_ms, closes_ms = now_ms + HOUR_MS, now_ms + 2 * HOUR_MS
        sale = {"sale_from_ms": opens_ms, "sale_until_ms": closes_ms}
        await shop.shop.parts.catalogue.update_event(EVENT, sale)
        answers = []
        for at_ms, key in ((opens_ms - 1, "a"), (opens_ms, "b"), (closes_ms, "c")):
            shop.clock.set(at_ms)
            headers = {"idempotency-key": key}
            answers.append(await shop.client.post(f"{API}/holds", json=BEST, headers=headers))

    early, good, late = answers
    assert (early.status_code, early.json()["code"], early.json()["opens_ms"]) == (
        403,
        "sale-not-open",
        opens_ms,
    )
    assert good.status_code == 201
    assert (late.status_code, late.json()["code"], late.json()["closed_ms"]) == (403, "sale-over", closes_ms)


# -------------------------------------------------------------------------------------- catalogue


async def test_the_catalogue_is_told_and_not_told_twice(store: Redis, store_url: str, tmp_path: Path) -> None:
    """A list, one event, each with its tag; who has it hears 304 until something changes."""
    async with front(store_url, tmp_path) as shop:
        for path in ("/api/events?q=summer", f"/api/events/{EVENT}"):
            first = await shop.client.get(path)
            known = {"if-none-match": f'"other", W/{first.headers["etag"]}'}
            again = await shop.client.get(path, headers=known)
            await shop.shop.parts.catalogue.set_prices(
                EVENT, {0: {"EUR": shop.clock.advance(1_000) % 1000 + 1}}
            )
            changed = await shop.client.get(path, headers=known)

            assert (first.status_code, again.status_code, changed.status_code) == (200, 304, 200)
            assert again.content == b""
            assert again.headers["etag"] == first.headers["etag"] != changed.headers["etag"]
            assert first.headers["cache-control"] == "private, no-cache"
        listed = (await shop.client.get("/api/events")).json()

    assert [one["id"] for one in listed["events"]] == [EVENT]


async def test_a_layout_never_changes_and_comes_packed(store: Redis, store_url: str, tmp_path: Path) -> None:
    """For a year, by its hash; two forms, two tags, and 304 for each."""
    async with front(store_url, tmp_path) as shop:
        path = f"/layouts/{shop.layout}.json"
        plain = await shop.client.get(path, headers={"accept-encoding": "identity"})
        async with shop.client.stream("GET", path, headers={"accept-encoding": "gzip"}) as packed:
            octets = b"".join([chunk async for chunk in packed.aiter_raw()])
        known = [
            await shop.client.get(
                path, headers={"accept-encoding": coding, "if-none-match": one.headers["etag"]}
            )
            for coding, one in (("identity", plain), ("gzip", packed), ("gzip", plain))
        ]

    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["vary"] == "accept-encoding"
    assert json.loads(gzip.decompress(octets)) == plain.json()
    assert plain.headers["etag"] != packed.headers["etag"]
    assert [answer.status_code for answer in known] == [304, 304, 200]


async def test_a_static_file_is_kept_for_ever_under_its_version(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """An address of an older version is not there: a page never mixes two."""
    async with front(store_url, tmp_path) as shop:
        path = address("shop.css")
        file = await shop.client.get(path)
        known = await shop.client.get(path, headers={"if-none-match": file.headers["etag"]})
        old = await shop.client.get("/static/000000000000/shop.css")

    assert file.content == assets()["shop.css"].body
    assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert file.headers["content-type"] == "text/css; charset=utf-8"
    assert (known.status_code, old.status_code) == (304, 404)


async def test_a_thousand_readers_a_second_cost_the_statements_of_a_few(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Lists, events, layouts, pages: SQL is asked twice a second at most, however many ask us."""
    async with front(store_url, tmp_path) as shop:
        paths = [
            "/",
            "/api/events",
            f"/api/events/{EVENT}",
            PAGE,
            f"{PAGE}/seats",
            f"/layouts/{shop.layout}.json",
        ]
        counts = [await statements_of(shop, paths, readers) for readers in (20, 1_000)]

    # One second: at its beginning, and half of it later.
    assert counts == [2, 2]


async def statements_of(shop: Front, paths: list[str], readers: int) -> int:
    """Count the statements that readers cost in a second, spread over it in ten waves."""
    database = shop.shop.parts.database
    shop.clock.advance(10_000)
    with statements(database._engine, database._reader) as seen:
        for _ in range(10):
            asked = [shop.client.get(paths[at % len(paths)]) for at in range(readers // 10)]
            for answer in await asyncio.gather(*asked):
                assert answer.status_code == 200
            shop.clock.advance(100)
    return len(seen)


async def test_without_the_cache_readers_cost_statements(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: a catalogue that is checked for every reader."""
    async with front(store_url, tmp_path) as shop:
        monkeypatch.setattr(shop.shop.parts.catalogue, "_check_ms", 0)

        assert await statements_of(shop, ["/api/events"], 100) > 2


async def test_a_price_is_seen_before_the_change_is_answered(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Written through: the next reader of this worker has it, and an open hold keeps the old one."""
    async with front(store_url, tmp_path) as shop:
        held = (await shop.client.post(f"{API}/holds", json={"seats": [0]}, headers=KEY)).json()
        await shop.shop.parts.catalogue.set_prices(EVENT, {0: {"EUR": 9_900}})
        told = (await shop.client.get(f"/api/events/{EVENT}")).json()
        page = await shop.client.get(PAGE)
        mine = (await shop.client.get(f"{API}/holds/mine")).json()["holds"]
        new = (
            await shop.client.post(f"{API}/holds", json={"seats": [1]}, headers={"idempotency-key": "b"})
        ).json()

    assert told["tiers"][0]["prices"]["EUR"] == 9_900
    assert "99.00" in page.text
    assert held["total_minor"] == mine[0]["total_minor"] == 4_200
    assert new["total_minor"] == 9_900


# ------------------------------------------------------------------------------------- who answers


REQUESTS: list[tuple[str, str, int, str]] = [
    ("GET", "/api", 404, "address-unknown"),
    ("GET", "/api/", 404, "address-unknown"),
    ("GET", "/api/eventsx", 404, "address-unknown"),
    ("GET", "/api/events/", 404, "address-unknown"),
    ("GET", "/api/events?from_ms=x", 400, "query-invalid"),
    ("GET", "/api/events?limit=0", 400, "query-invalid"),
    ("GET", "/api/events?limit=1000", 400, "query-invalid"),
    ("GET", "/api/events?colour=red", 400, "query-invalid"),
    ("GET", "/api/events?after=%2F%2F", 400, "query-invalid"),
    ("GET", "/api/events?q=a&q=b", 400, "query-invalid"),
    ("GET", "/api/events?q=%FF", 400, "query-invalid"),
    ("GET", "/api/events?" + "&".join(["q=a"] * 40), 400, "query-invalid"),
    ("POST", "/api/events", 405, "method-not-allowed"),
    ("GET", "/api/events/none", 404, "event-unknown"),
    ("GET", "/api/events/..%2f", 404, "address-unknown"),
    ("PUT", f"/api/events/{EVENT}", 405, "method-not-allowed"),
    ("GET", f"{API}/nothing", 404, "address-unknown"),
    ("GET", f"{API}/", 404, "address-unknown"),
    ("GET", f"{API}/holds", 405, "method-not-allowed"),
    ("GET", f"{API}/holds/mine/more", 404, "address-unknown"),
    ("POST", f"{API}/holds/mine", 405, "method-not-allowed"),
    ("GET", f"{API}/holds/AAAAAAAAAAA", 405, "method-not-allowed"),
    ("GET", f"{API}/holds/AAAAAAAAAAA/extend", 405, "method-not-allowed"),
    ("DELETE", f"{API}/holds/", 404, "address-unknown"),
    ("DELETE", f"{API}/holds/AAAAAAAAAAA", 410, "hold-over"),
    ("DELETE", f"{API}/holds/nonsense", 404, "hold-unknown"),
    ("PATCH", f"{API}/reservations/R1", 405, "method-not-allowed"),
    ("GET", f"{API}/reservations/R1", 404, "reservation-unknown"),
    ("GET", f"{API}/reservations/", 404, "address-unknown"),
    ("POST", f"{API}/map", 405, "method-not-allowed"),
    ("HEAD", f"{API}/deltas", 405, ""),
    ("GET", f"{API}/deltas?after=nonsense", 400, "version-malformed"),
    ("GET", "/api/events/none/map", 404, "event-unknown"),
    ("GET", "/api/events/none/deltas", 404, "event-unknown"),
    ("PUT", f"{API}/waitlist", 405, "method-not-allowed"),
    ("GET", f"{API}/waitlist", 404, "not-waiting"),
    ("GET", "/api/events/none/waitlist", 404, "not-waiting"),
    ("GET", "/layouts/none.json", 404, "layout-unknown"),
    ("GET", f"/layouts/{EVENT}", 404, "layout-unknown"),
    ("GET", "/layouts/", 404, "address-unknown"),
    ("GET", "/layouts/a/b.json", 404, "address-unknown"),
    ("POST", "/layouts/none.json", 405, "method-not-allowed"),
    ("GET", "/static/x", 404, "address-unknown"),
    ("GET", "/static/000000000000/shop.css/more", 404, "address-unknown"),
    ("GET", "/static/000000000000/..%2Fweb.py", 404, "address-unknown"),
    ("POST", "/static/000000000000/shop.css", 405, "method-not-allowed"),
    ("DELETE", "/health", 405, "method-not-allowed"),
]


async def test_each_bad_address_method_and_query_has_its_problem(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """RFC 9457, never cached, with Allow where the method is at fault."""
    async with front(store_url, tmp_path) as shop:
        for method, path, status, code in REQUESTS:
            answer = await shop.client.request(method, path)
            name = f"{method} {path}"

            assert answer.status_code == status, name
            assert answer.headers["content-type"] == "application/problem+json", name
            assert answer.headers["cache-control"] == "no-store", name
            assert answer.headers["x-content-type-options"] == "nosniff" or code == "", name
            assert ("allow" in answer.headers) == (status == 405), name
            if method != "HEAD":
                assert answer.json()["code"] == code, name


async def test_a_head_is_answered_like_a_get(store: Redis, store_url: str, tmp_path: Path) -> None:
    """For everything that has an end."""
    async with front(store_url, tmp_path) as shop:
        paths = [
            "/",
            PAGE,
            "/api/events",
            f"/api/events/{EVENT}",
            f"{API}/map",
            f"/layouts/{shop.layout}.json",
        ]
        for path in [*paths, address("shop.css"), "/health", "/finish"]:
            assert (await shop.client.head(path)).status_code == 200, path


async def test_whoever_has_no_admission_changes_nothing_and_a_foreign_page_neither(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """401 and 403 at every address that acts for a buyer."""
    acts = [
        ("POST", f"{API}/holds"),
        ("POST", f"{API}/holds/AAAAAAAAAAA/extend"),
        ("DELETE", f"{API}/holds/AAAAAAAAAAA"),
        ("POST", f"{API}/holds/AAAAAAAAAAA/reserve"),
        ("DELETE", f"{API}/reservations/R1"),
        ("POST", f"{API}/waitlist"),
        ("DELETE", f"{API}/waitlist"),
    ]
    body = {"count": 1, **BEST}
    async with front(store_url, tmp_path) as shop:
        for method, path in acts:
            nobody = await shop.client.request(method, path, headers={**KEY, "x-buyer": ""}, json=body)
            foreign = await shop.client.request(
                method, path, headers={**KEY, "sec-fetch-site": "cross-site"}, json=body
            )
            assert (nobody.status_code, foreign.status_code) in {(401, 403), (422, 403)}, path
        mine = await shop.client.get(f"{API}/holds/mine", headers={"x-buyer": ""})

    assert mine.status_code == 401


async def test_each_role_answers_its_own_addresses_only(store: Redis, store_url: str, tmp_path: Path) -> None:
    """The others' are as if they were not there; health is everybody's."""
    asked = {
        Role.CATALOGUE: ["/", PAGE, "/api/events", f"/api/events/{EVENT}", address("shop.css"), "/finish"],
        Role.MAP: [f"{API}/map"],
        Role.HOLDS: [f"{API}/holds/mine"],
    }
    for role in asked:
        (tmp_path / role).mkdir()
        async with front(store_url, tmp_path / role, roles={role}) as shop:
            answered = {
                other: {(await shop.client.get(path)).status_code for path in paths}
                for other, paths in asked.items()
            }
            healthy = await shop.client.get("/health")
        assert answered == {other: {200 if other is role else 404} for other in asked}
        assert healthy.text == "ok\n"


async def test_what_fails_unforeseen_tells_a_reference_and_nothing_else(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 as a problem; the log has the rest."""

    async def broken(*_args: object, **_more: object) -> None:
        raise KeyError("the inside")

    async with front(store_url, tmp_path) as shop:
        monkeypatch.setattr(shop.shop.holding, "mine", broken)
        answer = await shop.client.get(f"{API}/holds/mine")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "the inside" not in answer.text


async def test_there_is_no_websocket(store: Redis, store_url: str, tmp_path: Path) -> None:
    """A handshake is refused in order."""
    async with front(store_url, tmp_path) as shop:
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        await shop.shop.app({"type": "websocket", "path": "/", "headers": []}, receive, send)  # type: ignore[arg-type]

    assert [message["type"] for message in sent] == ["websocket.close"]
