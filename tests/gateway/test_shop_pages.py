"""The shop's pages without scripts: from the programme to a reservation and back, and what each bad request is told."""

import gzip
import re
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from checkout.halls.seats import Status
from tests.gateway.shopfront import EVENT, PAGE, Front, front

HOUR_MS = 3_600_000


async def best(
    client: httpx.AsyncClient, count: str = "2", key: str = "a-key", **more: str
) -> httpx.Response:
    """Send the form for the best seats."""
    return await client.post(f"{PAGE}/hold", data={"key": key, "count": count, "tier": "", **more})


def heading(page: httpx.Response) -> str:
    """Give the words of a page's heading."""
    found = re.search(r"<h1>(.*?)</h1>", page.text, re.DOTALL)
    assert found is not None
    return found[1].strip()


async def test_the_whole_way_without_scripts(store: Redis, store_url: str, tmp_path: Path) -> None:
    """From the programme to a reservation and back: each step by a link or a form that stands on the page."""
    async with front(store_url, tmp_path) as shop:
        fan = shop.client
        programme = await fan.get("/")
        assert f'href="{PAGE}"' in programme.text
        event = await fan.get(PAGE)
        assert f'action="{PAGE}/hold"' in event.text
        key = re.search(r'name="key" value="([^"]+)"', event.text)
        assert key is not None

        sent = await best(fan, "3", key[1])
        assert sent.status_code == 303
        held = await fan.get(sent.headers["location"])
        assert heading(held) == "Your seats are held"
        assert held.text.count('class="tier-') == 3
        reserve = re.search(rf'action="({PAGE}/hold/[^/]+/reserve)"', held.text)
        assert reserve is not None

        reserved = await fan.post(reserve[1], data={"key": "x"})
        assert reserved.status_code == 303
        reservation = await fan.get(reserved.headers["location"])
        assert heading(reservation).startswith("Your seats are reserved until")
        back = re.search(rf'action="({PAGE}/reservation/[^/]+/release)"', reservation.text)
        assert back is not None

        given = await fan.post(back[1])
        assert given.status_code == 303
        assert heading(await fan.get(given.headers["location"])) == "The seats are given back"
        assert (await shop.shop.parts.shards.of(EVENT).holds.counts(EVENT) or ())[Status.FREE] == 45


async def test_a_form_that_is_sent_twice_is_sent_once(store: Redis, store_url: str, tmp_path: Path) -> None:
    """The key in it makes a reload, a double click and a lost answer the same wish; another wish is refused."""
    async with front(store_url, tmp_path) as shop:
        first, again = await best(shop.client), await best(shop.client)
        other = await best(shop.client, "1")

        assert first.headers["location"] == again.headers["location"]
        assert other.status_code == 422
        assert len((await shop.client.get(f"/api/events/{EVENT}/holds/mine")).json()["holds"]) == 1


async def test_what_is_reserved_is_found_again_from_the_page_of_holds(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Whoever lost the reservation's address is led there; with nothing at all the page says so."""
    async with front(store_url, tmp_path) as shop:
        nothing = await shop.client.get(f"{PAGE}/hold")
        hold = (await best(shop.client)).headers["location"].partition("hold=")[2]
        reserved = await shop.client.post(f"{PAGE}/hold/{hold}/reserve")
        led = await shop.client.get(f"{PAGE}/hold")

    assert heading(nothing) == "Nothing is held for you"
    assert led.headers["location"] == reserved.headers["location"]


async def test_giving_back_twice_is_giving_back_once(store: Redis, store_url: str, tmp_path: Path) -> None:
    """Both lead to the same page."""
    async with front(store_url, tmp_path) as shop:
        hold = (await best(shop.client)).headers["location"].partition("hold=")[2]
        answers = [await shop.client.post(f"{PAGE}/hold/{hold}/release") for _ in range(2)]

        assert [answer.headers["location"] for answer in answers] == [f"{PAGE}/hold"] * 2


async def test_another_buyers_papers_are_papers_that_are_not_there(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Neither seen nor changed: 404, as for what never was."""
    async with front(store_url, tmp_path) as shop, shop.buyer("bob") as bob:
        hold = (await best(shop.client)).headers["location"].partition("hold=")[2]
        looked = await bob.get(f"{PAGE}/hold?hold={hold}")
        tried = [
            await bob.post(f"{PAGE}/hold/{hold}/reserve"),
            await bob.post(f"{PAGE}/hold/{hold}/release"),
        ]
        paper = (await shop.client.post(f"{PAGE}/hold/{hold}/reserve")).headers["location"]
        tried += [await bob.get(paper), await bob.post(f"{paper}/release")]
        still = await shop.client.get(paper)

    assert heading(looked) == "Nothing is held for you"
    assert [answer.status_code for answer in tried] == [404] * 4
    assert heading(still).startswith("Your seats are reserved")


async def test_before_and_after_the_sale_the_page_says_when(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """403 with the exact moment, in the venue's time; at the moment itself it works."""
    async with front(store_url, tmp_path) as shop:
        now_ms = shop.clock.now_ms()
        opens_ms, closes_ms = now_ms + HOUR_MS, now_ms + 2 * HOUR_MS
        sale = {"sale_from_ms": opens_ms, "sale_until_ms": closes_ms}
        await shop.shop.parts.catalogue.update_event(EVENT, sale)
        too_early = await best(shop.client)
        shop.clock.set(opens_ms - 1)
        just_before = await best(shop.client)
        shop.clock.set(opens_ms)
        in_time = await best(shop.client)
        shop.clock.set(closes_ms)
        too_late = await best(shop.client, key="another")

    assert [answer.status_code for answer in (too_early, just_before, in_time, too_late)] == [
        403,
        403,
        303,
        403,
    ]
    assert f'data-until="{opens_ms}"' in too_early.text
    assert "On sale from" in too_early.text
    assert "The sale has ended" in too_late.text


TROUBLE: list[tuple[str, dict[str, str], int, str]] = [
    ("no key", {"key": ""}, 400, "That did not work"),
    ("a key with a colon", {"key": "waitlist:1"}, 400, "That did not work"),
    ("no count", {"count": ""}, 400, "That did not work"),
    ("not a number", {"count": "two"}, 400, "That did not work"),
    ("a negative number", {"count": "-1"}, 400, "That did not work"),
    ("none", {"count": "0"}, 400, "That did not work"),
    ("a number without end", {"count": "9" * 400}, 400, "That did not work"),
    ("more than one may have", {"count": "5"}, 409, "That is the limit"),
    ("no such tier", {"tier": "99"}, 400, "That did not work"),
    ("a tier that nobody has", {"tier": "9"}, 409, "No seats side by side"),
]


async def test_a_form_that_does_not_work_says_why(store: Redis, store_url: str, tmp_path: Path) -> None:
    """In words, under the problem's status, with a way on; and nothing is held."""
    async with front(store_url, tmp_path) as shop:
        for name, change, status, words in TROUBLE:
            answer = await best(shop.client, **({"count": "1", "key": "k"} | change))

            assert (answer.status_code, heading(answer)) == (status, words), name
            assert f'href="{PAGE}"' in answer.text, name
            assert answer.headers["cache-control"] == "no-store", name
        assert (await shop.client.get(f"/api/events/{EVENT}/holds/mine")).json()["holds"] == []


REQUESTS: list[tuple[str, str, str, dict[str, str], bytes, int]] = [
    ("GET", "/nowhere", "", {}, b"", 404),
    ("GET", "/events/none", "", {}, b"", 404),
    ("GET", "/events/None%00", "", {}, b"", 404),
    ("GET", "/events/none/seats", "", {}, b"", 404),
    ("GET", f"{PAGE}/", "", {}, b"", 404),
    ("GET", f"{PAGE}/reservation/Rnothing", "", {}, b"", 404),
    ("GET", f"{PAGE}/hold/abc", "", {}, b"", 404),
    ("POST", "/", "", {}, b"", 405),
    ("POST", PAGE, "", {}, b"", 405),
    ("DELETE", f"{PAGE}/hold", "", {}, b"", 405),
    ("PUT", "/finish", "", {}, b"", 405),
    ("POST", "/events/none/hold", "form", {}, b"key=a&count=1", 404),
    ("POST", f"{PAGE}/hold", "json", {}, b'{"count":1}', 415),
    ("POST", f"{PAGE}/hold", "form", {}, b"key=a&count=1" + b"&x=1" * 2000, 413),
    ("POST", f"{PAGE}/hold", "form", {}, b"&".join([b"x=1"] * 40), 400),
    ("POST", f"{PAGE}/hold", "form", {}, b"key=a&count=\xff", 400),
    ("POST", f"{PAGE}/hold", "form", {}, b"key=a&count=%FF", 400),
    ("POST", f"{PAGE}/hold", "form", {}, b"key=a&key=b&count=1", 400),
    ("POST", f"{PAGE}/hold", "form", {}, b"key=a&count=1&count=2", 400),
    ("POST", f"{PAGE}/hold", "form", {"sec-fetch-site": "cross-site"}, b"key=a&count=1", 403),
    ("POST", f"{PAGE}/hold", "form", {"sec-fetch-site": "same-site"}, b"key=a&count=1", 403),
    ("POST", f"{PAGE}/hold/AAAAAAAAAAA/reserve", "form", {"sec-fetch-site": "cross-site"}, b"", 403),
    ("POST", f"{PAGE}/hold/AAAAAAAAAAA/release", "form", {"sec-fetch-site": "cross-site"}, b"", 403),
    ("POST", f"{PAGE}/reservation/RA/release", "form", {"sec-fetch-site": "cross-site"}, b"", 403),
    ("POST", "/finish", "form", {"sec-fetch-site": "cross-site"}, b"", 403),
    ("POST", f"{PAGE}/hold/nonsense/reserve", "form", {}, b"", 404),
    ("POST", f"{PAGE}/hold/AAAAAAAAAAA/reserve", "form", {}, b"", 410),
    ("POST", f"{PAGE}/hold/AAAAAAAAAAA/release", "form", {}, b"", 410),
    ("POST", f"{PAGE}/reservation/Rnothing/release", "form", {}, b"", 404),
    ("POST", f"{PAGE}/hold", "form", {"x-buyer": ""}, b"key=a&count=1", 401),
    ("GET", f"{PAGE}/hold", "", {"x-buyer": ""}, b"", 401),
]
KINDS = {"form": "application/x-www-form-urlencoded", "json": "application/json"}


async def test_each_bad_request_has_its_status_and_a_page(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """A person sent it, so a page answers: nothing internal, nothing kept, a link that leads on."""
    async with front(store_url, tmp_path) as shop:
        for method, path, kind, headers, body, status in REQUESTS:
            name = f"{method} {path} {headers} {body[:40]!r}"
            sent = {"content-type": KINDS[kind], **headers} if kind else headers
            answer = await shop.client.request(method, path, headers=sent, content=body)

            assert answer.status_code == status, name
            assert answer.headers["content-type"] == "text/html; charset=utf-8", name
            assert "script-src 'self'" in answer.headers["content-security-policy"], name
            assert answer.headers["cache-control"] == "no-store", name
            assert "Traceback" not in answer.text, name
            assert 'href="/' in answer.text, name
            assert ("allow" in answer.headers) == (status == 405), name


async def test_a_page_of_another_site_can_hold_and_end_nothing(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """Mutant beside it: without the check the same requests go through."""
    async with (
        front(store_url, tmp_path) as shop,
        shop.buyer("ann", **{"sec-fetch-site": "cross-site"}) as foreign,
    ):
        refused = await best(foreign)
        hold = (await best(shop.client)).headers["location"].partition("hold=")[2]
        ended = await foreign.post(f"{PAGE}/hold/{hold}/release")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("checkout.site.pages_web.same_site", lambda _scope: None)
            through = await foreign.post(f"{PAGE}/hold/{hold}/release")

    assert (refused.status_code, ended.status_code, through.status_code) == (403, 403, 303)


async def test_goodbye_gives_the_place_back_and_stands_alone(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """The next one comes in; the page asks for nothing more, since nothing would be answered."""
    async with front(store_url, tmp_path) as shop:
        for answer in (await shop.client.get("/finish"), await shop.client.post("/finish")):
            assert answer.headers["cf-waiting-room-command"] == "revoke"
            assert "src=" not in answer.text
            assert "stylesheet" not in answer.text
            assert "'sha256-" in answer.headers["content-security-policy"]
        others = [await shop.client.get(path) for path in ("/", PAGE, f"{PAGE}/seats")]

    assert all("cf-waiting-room-command" not in other.headers for other in others)


async def test_search_town_and_page_after_page(store: Redis, store_url: str, tmp_path: Path) -> None:
    """Found without accents; a stray parameter and a forged cursor show the list and no fault."""
    async with front(store_url, tmp_path) as shop:
        catalogue = shop.shop.parts.catalogue
        await more_events(shop, 30)
        first = await shop.client.get("/")
        more = re.search(r'href="(/\?[^"]*after=[^"]+)"', first.text)
        assert more is not None
        second = await shop.client.get(more[1].replace("&amp;", "&"))
        found = await shop.client.get("/?q=SUMMER+zurich&city=Z%C3%BCrich&utm_source=mail")
        nothing = await shop.client.get("/?q=opera")
        forged = await shop.client.get("/?after=AAAA")
        assert await catalogue.cities(shop.clock.now_ms()) == ("Zürich",)

    shown = [re.findall(r'href="/events/([^"]+)"', page.text) for page in (first, second)]
    assert (len(shown[0]), len(shown[1])) == (24, 7)
    assert not set(shown[0]) & set(shown[1])
    assert "Summer Night" in found.text
    assert "Nothing found" in nothing.text
    assert re.findall(r'href="/events/([^"]+)"', forged.text) == shown[0]


async def more_events(shop: Front, count: int) -> None:
    """Make further events in the same house."""
    known = await shop.shop.parts.catalogue.known(EVENT)
    for at in range(count):
        fields = {
            "id": f"night-{at}",
            "organiser_id": known.organiser.id,
            "venue_id": known.venue.id,
            "layout_id": shop.layout,
            "title": f"Night {at}",
            "starts_ms": known.event.starts_ms + at,
            "sale_from_ms": known.event.sale_from_ms,
            "sale_until_ms": known.event.sale_until_ms,
            "state": "published",
            "currency": "EUR",
            "tiers": [{"tier": 0, "name": "All", "prices": {"EUR": 100}}],
        }
        await shop.shop.parts.catalogue.create_event(fields)


async def test_what_is_left_is_counted_and_when_nobody_knows_it_is_not_said(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """The store's count, a second old at most; without a store the pages stand all the same."""
    async with front(store_url, tmp_path) as shop:
        full = await shop.client.get(PAGE)
        await best(shop.client, "4")
        soon = await shop.client.get(PAGE)
        shop.clock.advance(1_000)
        later = await shop.client.get(PAGE)
        await store.flushall()
        shop.clock.advance(1_000)
        unknown = await shop.client.get(PAGE)

    assert [
        text in page.text for page, text in ((full, "45 of 45"), (soon, "45 of 45"), (later, "41 of 45"))
    ] == [True] * 3
    assert " of 45" not in unknown.text
    assert unknown.status_code == 200


async def test_a_language_is_spoken_and_a_page_packed_for_whoever_takes_it(
    store: Redis, store_url: str, tmp_path: Path
) -> None:
    """By the browser's wish, or by name; packed only where it is taken."""
    async with front(store_url, tmp_path) as shop:
        german = await shop.client.get(PAGE, headers={"accept-language": "de-AT,en;q=0.5"})
        named = await shop.client.get(f"{PAGE}?lang=de", headers={"accept-language": "en"})
        plain = await shop.client.get(PAGE, headers={"accept-encoding": "identity"})
        async with shop.client.stream("GET", PAGE, headers={"accept-encoding": "gzip"}) as packed:
            octets = b"".join([chunk async for chunk in packed.aiter_raw()])
        head = await shop.client.head(PAGE)

    assert '<html lang="de"' in german.text
    assert '<html lang="de"' in named.text
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert len(gzip.decompress(octets)) > len(octets)
    assert head.status_code == 200


async def test_a_store_that_is_away_is_told_in_words(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, when to try again, and nothing lost."""
    from kernel.store import connect

    async with front(store_url, tmp_path) as shop:
        holds = shop.shop.parts.shards.of(EVENT).holds
        away = connect("unix:///nowhere.sock")
        with monkeypatch.context() as patch:
            patch.setattr(holds, "client", away)
            patch.setattr(holds._holds, "_client", away)
            answers = [await best(shop.client), await shop.client.get(f"{PAGE}/hold")]
            event = await shop.client.get(PAGE)

    assert [answer.status_code for answer in answers] == [503, 503]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert all(heading(answer) == "The shop is catching its breath" for answer in answers)
    assert event.status_code == 200


async def test_what_nobody_foresaw_is_a_page_too_and_tells_nothing(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500, logged with a reference, no inside shown."""

    async def broken(*_args: object, **_more: object) -> None:
        raise KeyError("the inside")

    async with front(store_url, tmp_path) as shop:
        monkeypatch.setattr(shop.shop.holding, "mine", broken)
        answer = await shop.client.get(f"{PAGE}/hold")

    assert answer.status_code == 500
    assert heading(answer) == "That did not work"
    assert "the inside" not in answer.text
