"""Each role of the shop runs alone: it answers its own addresses, and every other as one that is not there."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics
from checkout.site.roles import EVERY, Role, answers, role_of
from checkout.site.web import Shop
from gateway.cli import build_parser
from gateway.settings import Settings
from gateway.shop import ShopProcess
from tests.gateway.shopfront import EVENT, Front, front

LAYOUT = "0123456789abcdef"
TOKEN = "an organiser's secret"
INSIDE = ("postgresql", "redis", "sqlite", "checkout", "Traceback", "role", "/work", "gateway")
"""What an answer must not tell."""

FIXED = ("/health", "/static/version/shop.css", "/nothing", "/api/nothing")


def _named(path: str) -> str:
    """Put names into an address."""
    names = {"{event}": EVENT, "{hold}": "AAAAAAAAAAA", "{reservation}": "RAAAAAAAAAAA", "*": "AAAAAAAAAAA"}
    for name, value in names.items():
        path = path.replace(name, value)
    return path


def addresses(shop: Shop) -> set[tuple[str, str]]:
    """List every address that the shop's own tables have: methods and paths."""
    found = {(method, f"/api/events/{EVENT}/{_named(act)}") for method, act in shop._routes}
    found |= {
        ("GET", path) for path in ("/api/events", f"/api/events/{EVENT}", f"/layouts/{LAYOUT}.json", *FIXED)
    }
    for route in shop._waitlist.routes:
        found |= {(method, _named(route.path)) for method in route.methods}  # type: ignore[attr-defined]
    pages: Any = shop._pages
    for route in pages._app.app.routes:
        found |= {(method, _named(route.path)) for method in route.methods}
    return {(method, path) for method, path in found if method != "HEAD"}


def _is_foreign(answer: httpx.Response) -> bool:
    return answer.status_code == 404 and answer.json().get("code") == "address-unknown"


async def _asked(own: Front, method: str, path: str) -> httpx.Response:
    """Ask, but open no stream."""
    if path.endswith("/deltas"):
        path += "?after=nonsense"
    return await own.client.request(method, path)


@pytest.mark.parametrize("role", sorted(EVERY))
async def test_every_address_is_answered_by_its_role_alone(
    store_url: str, tmp_path: Path, role: Role
) -> None:
    """Seed row 20: the whole table, asked of a process that has one role."""
    async with front(store_url, tmp_path, roles={role}) as own:
        for method, path in sorted(addresses(own.shop.app)):
            answer = await _asked(own, method, path)

            if answers({role}, path):
                assert path in FIXED or "address-unknown" not in answer.text, (method, path)
            else:
                assert _is_foreign(answer), (method, path)
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json() == {
                    "type": "https://waitroom.dev/problems/address-unknown",
                    "title": "Address unknown",
                    "status": 404,
                    "detail": "There is nothing at this address.",
                    "code": "address-unknown",
                }
            assert not any(word in answer.text.split() for word in INSIDE)


async def test_each_address_has_one_role_and_all_roles_answer_all(store_url: str, tmp_path: Path) -> None:
    """No address is forgotten: between them, the roles have the whole table."""
    async with front(store_url, tmp_path) as own:
        table = addresses(own.shop.app)
        by_role = {role: {path for _, path in table if role_of(path) is role} for role in (*Role, None)}

        assert len(table) > 25
        assert all(by_role[role] for role in (Role.CATALOGUE, Role.MAP, Role.HOLDS))
        assert by_role[None] == {"/health", "/api/nothing"}
        for method, path in sorted(table):
            answer = await _asked(own, method, path)
            assert (
                path in FIXED
                or path.startswith("/layouts/")
                or not (answer.status_code == 404 and "address-unknown" in answer.text)
            ), (method, path)


async def test_a_table_that_forgot_a_role_would_be_found(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: an application that does not ask for roles answers what is another's."""
    monkeypatch.setattr("checkout.site.web.answers", lambda _roles, _path: True)
    async with front(store_url, tmp_path, roles={Role.HOLDS}) as own:
        answer = await own.client.get("/api/events")

        assert role_of("/api/events") is Role.CATALOGUE
        assert not _is_foreign(answer)


# ------------------------------------------------------------------------------------- the process


def _process(store_url: str, folder: Path, *roles: str, token: str | None = TOKEN) -> ShopProcess:
    settings = Settings(data=folder, store_url=store_url, shop_roles=roles, organiser_token=token)
    return ShopProcess(settings, Metrics(CollectorRegistry()))


@pytest.mark.parametrize(
    ("roles", "token", "status", "code"),
    [
        (("all",), TOKEN, 401, "token-missing"),
        (("organiser",), TOKEN, 401, "token-missing"),
        (("holds", "map"), TOKEN, 404, "address-unknown"),
        (("all",), None, 404, "address-unknown"),
    ],
)
async def test_the_organisers_door_is_there_for_its_role_only(
    store_url: str, tmp_path: Path, roles: tuple[str, ...], token: str | None, status: int, code: str
) -> None:
    """And without a token there is no such door; nobody is sent to the waiting room for it."""
    process = _process(store_url, tmp_path, *roles, token=token)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(process.app), base_url="http://shop"
    ) as client:  # type: ignore[arg-type]
        answer = await client.get("/organiser/api/events")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    await process._parts.close()


@pytest.mark.parametrize(
    ("roles", "works"),
    [
        (("background",), {"sweeping", "reaping", "sealing", "reconciling", "waitlist", "outbox"}),
        (("holds",), set()),
        (("catalogue", "map", "organiser"), set()),
        (("all",), {"sweeping", "reaping", "sealing", "reconciling", "waitlist", "outbox"}),
    ],
)
async def test_only_the_background_works_behind(
    store_url: str, tmp_path: Path, roles: tuple[str, ...], works: set[str]
) -> None:
    """Sweeper, reaper, sealer, reconciler, waitlist, outbox: where they belong, and nowhere else."""
    process = _process(store_url, tmp_path, *roles)

    assert set(process.shop._background()) == works
    await process._parts.close()


@pytest.mark.parametrize(
    ("words", "roles"),
    [
        (["worker", "shop", "--role", "holds", "--fd", "3"], "holds"),
        (["shop", "serve", "--role", "map,holds"], "map,holds"),
        (["worker", "shop", "--fd", "3"], None),
    ],
)
def test_a_role_is_named_at_the_command_line(words: list[str], roles: str | None) -> None:
    """``waitroom worker shop --role holds`` runs only that; without it the setting counts."""
    assert build_parser(crowd=False).parse_args(words).shop_roles == roles
