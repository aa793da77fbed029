"""The organiser's API: who comes in, what each address does, and what it says to each bad input."""

import hmac
import json
import logging
from pathlib import Path

import httpx
import pytest

from checkout.halls.plans import read_csv
from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status, tier
from checkout.organiser.papers import tier_runs
from checkout.organiser.talking import PREFIX
from checkout.site.roles import Role, role_of
from kernel.clock import ManualClock
from tests.checkout.catalogues import VENUE, event_fields, statements
from tests.checkout.halls.test_plans import GOOD
from tests.checkout.halls.test_plans_pretix import pretix_plan
from tests.checkout.organisers import EVENT, TOKEN, TOKENS, desk, told

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv; charset=utf-8"}


@pytest.fixture
def lite(tmp_path: Path) -> str:
    """Name an empty SQLite database, for what does not depend on the database."""
    return f"sqlite:///{tmp_path}/shop.db"


def _problem(answer: httpx.Response) -> tuple[int, str, list[str]]:
    plain = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert plain["status"] == answer.status_code
    return answer.status_code, plain["code"], plain.get("faults", [])


# --------------------------------------------------------------------------------- who comes in


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "token-missing"),
        ("", "token-missing"),
        ("Bearer", "token-invalid"),
        ("Bearer ", "token-invalid"),
        ("Bearer wrong", "token-invalid"),
        (f"Basic {TOKEN}", "token-invalid"),
        (TOKEN, "token-invalid"),
        (f"Bearer {TOKEN}x", "token-invalid"),
        (f"Bearer {TOKEN[:-1]}", "token-invalid"),
        ("Bearer \u00e9\u00ff", "token-invalid"),
        ("Bearer ida", "token-invalid"),
    ],
)
async def test_without_a_token_every_address_says_the_same(
    lite: str, store_url: str, clock: ManualClock, authorization: str | None, code: str
) -> None:
    """401 on all of them, and on what is no address: nobody learns what there is."""
    async with desk(lite, store_url, clock) as own:
        del own.client.headers["authorization"]
        headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
        paths = [PREFIX + "/nothing", *(route.path for route in own.web.routes)]
        for path in paths:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                answer = await own.client.request(method, path, headers=headers)
                assert _problem(answer) == (401, code, [])
                assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_every_token_is_compared_each_time(
    lite: str, store_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In constant time, by its hash; the right one lets in whichever it is."""
    async with desk(lite, store_url, clock) as own:
        compared: list[tuple[bytes, bytes]] = []
        same = hmac.compare_digest

        def watched(left: bytes, right: bytes) -> bool:
            compared.append((left, right))
            return bool(same(left, right))

        monkeypatch.setattr("checkout.organiser.web.hmac.compare_digest", watched)
        for secret in TOKENS.values():
            answer = await own.ask("GET", "/venues", headers={"authorization": f"bearer {secret}"})
            assert answer.status_code == 200

        assert len(compared) == 2 * len(TOKENS)
        assert all(len(left) == len(right) == 32 for left, right in compared)


async def test_without_tokens_nobody_comes_in(lite: str, store_url: str, clock: ManualClock) -> None:
    """An installation that has set none has no organiser."""
    async with desk(lite, store_url, clock) as own:
        own.web._tokens = {}

        assert (await own.ask("GET", "/venues")).status_code == 401
        assert (await own.ask("GET", "/venues", headers={"authorization": "Bearer "})).status_code == 401


async def test_every_address_is_the_organisers(lite: str, store_url: str, clock: ManualClock) -> None:
    """By the table of roles."""
    async with desk(lite, store_url, clock) as own:
        assert {role_of(route.path) for route in own.web.routes} == {Role.ORGANISER}


async def test_each_act_is_told_with_who_and_without_secrets(
    lite: str, store_url: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The token's name, the act, what it was about; neither token nor code."""
    caplog.set_level(logging.INFO)
    async with desk(lite, store_url, clock) as own:
        await own.ask("PUT", "/organisers/anna", json={"name": "Anna"})
        await own.ask(
            "PUT",
            "/venues/barn",
            json={"name": "Barn", "city": "Lund", "country": "SE", "time_zone": "Europe/Stockholm"},
        )
        await own.ask("POST", "/venues/barn/layouts", content=GOOD.encode(), headers=CSV)
        await own.ask("POST", "/events", json=event_fields(own.layout, id="winter"))
        await own.post("/prices", {"prices": [{"tier": 0, "prices": {"EUR": 1}}]})
        await own.post("/tiers", {"tier": 1, "seats": [0]})
        await own.post("/block", {"seats": [0, 1], "allocation": "fans"})
        await own.post("/unblock", {"seats": [0]})
        await own.ask(
            "PUT",
            f"/events/{EVENT}/allocations/press",
            json={"channel": "press", "code": "SCOOP-42"},
            headers={"authorization": f"Bearer {TOKENS['box-office']}"},
        )
        await own.post("/cancel", {"confirm": EVENT})

    acts = told(caplog.records)
    assert [act["act"] for act in acts] == [
        "organiser-kept", "venue-kept", "layout-imported", "event-made", "prices-set", "seats-put-into-tier",
        "seats-blocked", "seats-unblocked", "allocation-kept", "event-changed",
    ]  # fmt: skip
    assert [act["who"] for act in acts] == [*["ida"] * 8, "box-office", "ida"]
    assert all(act.get("event", EVENT) in {EVENT, "winter"} for act in acts)
    text = repr([vars(record) for record in caplog.records if record.name.startswith("checkout")])
    assert not any(secret in text for secret in (*TOKENS.values(), "SCOOP-42", "MIDNIGHT"))


# ------------------------------------------------------------------------------------ what it does


async def test_from_an_empty_shop_to_an_event_on_sale(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """Organiser, venue, plan, event with the plan's own tiers, publish: fans see it, each seat in its tier."""
    async with desk(shop_url, store_url, clock) as own:
        assert (await own.ask("PUT", "/organisers/anna", json={"name": "Anna"})).json() == {
            "id": "anna",
            "name": "Anna",
        }
        barn = {"name": "Barn", "city": "Lund", "country": "SE", "time_zone": "Europe/Stockholm"}
        assert (await own.ask("PUT", "/venues/barn", json=barn)).json() == {"id": "barn", **barn}

        imported = await own.ask(
            "POST", "/venues/barn/layouts?name=Big+hall", content=GOOD.encode(), headers=CSV
        )

        assert imported.status_code == 201
        paper = imported.json()
        assert imported.headers["location"] == f"/layouts/{paper['layout']}.json"
        assert (paper["name"], paper["seats"]) == ("Big hall", 45)
        assert paper["tiers"] == [
            {"tier": t, "name": name} for t, name in enumerate(("Gold", "Silver", "Floor"))
        ]
        assert paper["seat_tiers"] == [[0, 2, 0], [2, 3, 1], [5, 40, 2]]
        assert [section["first"] for section in paper["sections"]] == [0, 5]
        fields = event_fields(
            paper["layout"], id="fair", organiser_id="anna", venue_id="barn", state="draft", section_tiers={},
            tiers=[{**one, "prices": {"EUR": 100}} for one in paper["tiers"]], seat_tiers=paper["seat_tiers"],
        )  # fmt: skip
        made = await own.ask("POST", "/events", json=fields)
        assert made.status_code == 201
        assert made.headers["location"] == f"{PREFIX}/events/fair"
        assert made.json()["state"] == "draft"
        published = await own.ask("POST", "/events/fair/publish")

        assert published.status_code == 200
        assert published.json()["state"] == "published"
        assert int(published.headers["etag"].strip('"')) > int(made.headers["etag"].strip('"'))
        assert (await own.catalogue.known("fair")).event.title == "Summer Night"
        assert [tier(octet) for octet in SeatRows(own.database).octets("fair")] == [0, 0, 1, 1, 1] + [2] * 40
        lists = [(await own.ask("GET", path)).json() for path in ("/organisers", "/venues", "/events")]
        assert [[one["id"] for one in next(iter(found.values()))] for found in lists] == [
            ["anna", "ida"], ["barn", "old-mill"], ["fair", EVENT],
        ]  # fmt: skip


async def test_the_same_plan_is_the_same_layout_and_pretix_is_read_too(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """A repeat after a lost answer does no harm."""
    async with desk(shop_url, store_url, clock) as own:
        sent = [
            await own.ask("POST", f"/venues/{VENUE.id}/layouts", content=content, headers=headers)
            for content, headers in (
                (GOOD.encode(), CSV),
                (GOOD.encode(), CSV),
                (json.dumps(pretix_plan()).encode(), JSON),
            )
        ]

        assert [answer.status_code for answer in sent] == [201, 201, 201]
        first, again, other = (answer.json() for answer in sent)
        assert first == again
        assert other["layout"] != first["layout"]
        assert (first["name"], other["name"]) == (VENUE.name, pretix_plan()["name"])


async def test_an_event_is_told_whole_and_by_its_tag(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """All that may be changed; of a code only that there is one; 304 for who has it."""
    async with desk(shop_url, store_url, clock) as own:
        answer = await own.ask("GET", f"/events/{EVENT}")

        paper = answer.json()
        assert answer.headers["etag"] == f'"{paper["changed_ms"]}"'
        assert paper["allocations"] == [{"name": "fans", "channel": "fan-club", "has_code": True}]
        assert paper["tiers"][0] == {"tier": 0, "name": "Front", "prices": {"EUR": 4200, "JPY": 7000}}
        assert paper["section_tiers"] == {"0": 0, "1": 1, "2": 1}
        assert "MIDNIGHT" not in answer.text
        again = await own.ask("GET", f"/events/{EVENT}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_of_two_organisers_the_second_reads_again(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """If-Match names the version that is changed: 428 without, 412 with an old one and the event as it is now."""
    async with desk(shop_url, store_url, clock) as own:
        tag = (await own.ask("GET", f"/events/{EVENT}")).headers["etag"]
        path = f"/events/{EVENT}"

        first = await own.ask("PATCH", path, json={"title": "One"}, headers={"if-match": tag})
        second = await own.ask("PATCH", path, json={"title": "Two"}, headers={"if-match": tag})
        without = await own.ask("PATCH", path, json={"title": "Three"})
        whatever = await own.ask("PATCH", path, json={"subtitle": "Four"}, headers={"if-match": "*"})

        assert (first.status_code, first.json()["title"]) == (200, "One")
        assert _problem(second) == (412, "event-changed", [])
        assert second.json()["current"]["title"] == "One"
        assert _problem(without) == (428, "if-match-missing", [])
        assert (whatever.status_code, whatever.json()["title"]) == (200, "One")


async def test_a_cancelled_event_takes_no_hold_and_a_published_one_does_again(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """The hall in the store is closed with it."""
    async with desk(shop_url, store_url, clock) as own:
        assert type(await own.hold("a", 0)).__name__ == "Held"
        stale = await own.post("/cancel", {"confirm": EVENT}, **{"if-match": '"1"'})
        assert _problem(stale) == (412, "event-changed", [])

        assert (await own.post("/cancel", {"confirm": EVENT})).json()["state"] == "cancelled"
        assert type(await own.hold("b", 1)).__name__ == "Closed"
        assert (await own.post("/publish")).json()["state"] == "published"
        assert type(await own.hold("b", 1)).__name__ == "Held"


async def test_seats_are_blocked_freed_and_put_into_tiers_in_both_stores(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """By number, by stretch, by section; SQL and the map say the same afterwards."""
    async with desk(shop_url, store_url, clock) as own:
        blocked = await own.post("/block", {"seats": [0, [2, 3], 2], "allocation": "fans"})
        freed = await own.post("/unblock", {"seats": [[2, 2]]})
        moved = await own.post("/tiers", {"tier": 1, "seats": [0, 19], "sections": [1]})

        assert [(answer.status_code, answer.json()) for answer in (blocked, freed, moved)] == [
            (200, {"event": EVENT, "seats": seats, "on": "marked"}) for seats in (4, 2, 7)
        ]
        octets = SeatRows(own.database).octets(EVENT)
        assert [seat for seat, status in enumerate(own.kept()) if status == Status.BLOCKED] == [0, 4]
        assert (await own.holds.look(EVENT)).map == octets  # type: ignore[union-attr]
        assert [tier(octets[seat]) for seat in (0, 1, 19, 20)] == [1, 0, 1, 1]
        assert (await own.ask("GET", f"/events/{EVENT}")).json()["section_tiers"]["1"] == 1


async def test_an_allocation_is_kept_and_opened_by_its_code(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """A new code replaces the old one; nobody is told which it was."""
    async with desk(shop_url, store_url, clock) as own:
        path = f"/events/{EVENT}/allocations/press"
        made = await own.ask("PUT", path, json={"channel": "press", "code": "SCOOP"})
        changed = await own.ask("PUT", path, json={"channel": "press"})

        assert made.json() == {"event": EVENT, "name": "press", "channel": "press", "has_code": True}
        assert changed.json()["has_code"] is False
        names = [one["name"] for one in (await own.ask("GET", f"/events/{EVENT}")).json()["allocations"]]
        assert names == ["fans", "press"]


async def test_sixty_thousand_lines_are_imported_in_one_request(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """Seed row 28: whole; with a fault in line 50,001 nothing at all, and that line is named."""
    lines = ["section,row,number,x,y,tier"]
    lines += [
        f"S{block},R{row},{seat + 1},{seat * 100 + block * 6000},{row * 120},A"
        for block in range(30)
        for row in range(40)
        for seat in range(50)
    ]
    async with desk(shop_url, store_url, clock) as own:
        path = f"/venues/{VENUE.id}/layouts"
        whole = await own.ask("POST", path, content="\n".join(lines).encode(), headers=CSV)
        assert (whole.status_code, whole.json()["seats"]) == (201, 60_000)
        lines[50_000] = lines[50_000].replace(",A", ",")

        with statements(own.database._engine) as seen:
            broken = await own.ask("POST", path, content="\n".join(lines).encode(), headers=CSV)

        assert _problem(broken) == (422, "plan-invalid", ["line 50001: tier is empty"])
        assert not any("INSERT" in statement for statement in seen)


def test_tiers_are_told_in_runs() -> None:
    """And cover the hall."""
    plan = read_csv(GOOD.encode(), "Hall")

    assert tier_runs(plan.tiers) == [(0, 2, 0), (2, 3, 1), (5, 40, 2)]
    assert tier_runs(b"") == []
