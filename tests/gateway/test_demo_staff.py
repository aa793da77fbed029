"""The demo's logins: only in a demo of which nothing is reached from elsewhere, and only for those whom it invites."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from checkout.database import ShopDatabase
from checkout.people.staff import StaffRole
from checkout.people.staff_people import StaffPeople
from checkout.people.staff_sessions import StaffBounds, StaffSessions
from gateway import demo_staff
from gateway.demo_staff import FILE, PEOPLE, has_logins, invite, issuer_of, with_logins
from gateway.sandbox import SandboxProcess
from gateway.settings import DEMO, Settings, load
from kernel.clock import ManualClock
from kernel.oidc import Person
from tests.checkout.conftest import templates
from tests.checkout.people.sealed import keys_in
from tests.checkout.templates import Templates

__all__ = ["templates"]

WELL_KNOWN = "/login/.well-known/openid-configuration"
PORTS = {"port": 8080, "operator_port": 8081, "shop_port": 8082, "sandbox_port": 8084}
BOUNDS = StaffBounds(86_400_000, 86_400_000, 86_400_000)
HOME = "127.0.0.0/24"


def demo(folder: Path, **changes: Any) -> Settings:
    """Give a demo's settings as they are once its ports are known."""
    return replace(load({"WAITROOM_DATA": str(folder)}, under=DEMO), **PORTS, **changes)


async def asked(settings: Settings) -> httpx.Response:
    """Ask the sandbox's process for the logins."""
    app = SandboxProcess(settings).app
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8084"
    ) as client:
        return await client.get(WELL_KNOWN)


@pytest.mark.parametrize("payments", ["sandbox", "adyen-sandbox"])
async def test_a_demo_has_a_sandbox_of_logins(payments: str, tmp_path: Path) -> None:
    """Beside either bank, at its address, with a secret of this start; staff come to a name: keys are bound to it."""
    plain = demo(tmp_path, payments=payments)
    own, other = with_logins(plain), with_logins(plain)
    told = await asked(own)

    assert told.status_code == 200
    assert told.json()["issuer"] == own.staff_oidc_issuer == "http://127.0.0.1:8084/login"
    assert own.staff_callback(own.site) == "http://localhost:8082/staff/callback"
    assert has_logins(own)
    assert own.staff_oidc_client_secret != other.staff_oidc_client_secret
    assert len(own.staff_oidc_client_secret or "") >= 32
    assert (await asked(plain)).status_code == 401


async def test_the_bank_is_where_it_was(tmp_path: Path) -> None:
    """What does not begin with the logins' address is the bank's."""
    app = SandboxProcess(with_logins(demo(tmp_path))).app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        found = [(await client.get(path)).status_code for path in ("/v3/", "/loginx", "/login")]

    assert found == [200, 401, 421]


ELSEWHERE: tuple[Mapping[str, Any], ...] = (
    {"host": "0.0.0.0"},
    {"host": "192.0.2.7"},
    {"host": "::"},
    {"operator_host": "0.0.0.0"},
    {"shop_host": "0.0.0.0"},
    {"public_url": "https://tickets.example"},
    {"public_url": "http://192.0.2.7:8080"},
    {"public_url": "https://localhost:8443"},
    {"shop_url": "http://shop.example:8082"},
    {"staff_url": "https://desk.example"},
)
NONE: tuple[Mapping[str, Any], ...] = (
    {"payments": "none"},
    {"payments": "stripe", "stripe_secret_key": "sk_test_x", "stripe_publishable_key": "pk_test_x",
     "stripe_webhook_secret": "whsec_x"},
    {"shop_demo": False},
)  # fmt: skip
OWN: tuple[Mapping[str, Any], ...] = (
    {
        "staff_oidc_issuer": "http://127.0.0.1:9000",
        "staff_oidc_client_id": "x",
        "staff_oidc_client_secret": "y",
    },
    {"staff_role_claim": "groups", "staff_roles": ("a=owner",)},
)


@pytest.mark.parametrize("changes", [*ELSEWHERE, *NONE, *OWN])
def test_a_demo_that_is_reached_from_elsewhere_has_none(changes: Mapping[str, Any], tmp_path: Path) -> None:
    """Any address that is not this machine's; no sandbox; no demo; a provider or a claim of one's own."""
    plain = demo(tmp_path, **changes)

    assert with_logins(plain) == plain
    assert not has_logins(plain)


def set_by_hand(folder: Path, **changes: Any) -> Settings:
    """Give settings that name the sandbox of logins as a demo does, whatever else they say."""
    named = {
        "staff_oidc_issuer": "http://127.0.0.1:8084/login", "staff_oidc_client_id": demo_staff.CLIENT,
        "staff_oidc_client_secret": "a secret", "staff_url": "http://localhost:8082",
    }  # fmt: skip
    if "0.0.0.0" in changes.values() or str(changes.get("public_url", "")).startswith("https"):
        named["staff_url"] = str(changes.get("public_url", named["staff_url"]))
    return demo(folder, **{**named, **changes})


@pytest.mark.parametrize("changes", [*ELSEWHERE, *NONE[:1], *NONE[2:]])
async def test_the_sandbox_looks_again_whatever_its_settings_name(
    changes: Mapping[str, Any], tmp_path: Path
) -> None:
    """Settings that were copied from a demo into an installation for others open nothing there."""
    if changes.get("staff_url"):
        changes = {**changes, "secure_cookies": "yes"}
    settings = set_by_hand(tmp_path, **changes)

    assert not has_logins(settings)
    assert (await asked(settings)).status_code == 401


async def test_a_look_that_is_left_out_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: every machine is this one."""
    monkeypatch.setattr(demo_staff, "is_on_this_machine", lambda _settings: True)
    with pytest.raises(AssertionError):
        test_a_demo_that_is_reached_from_elsewhere_has_none({"shop_host": "192.0.2.7"}, tmp_path)
    with pytest.raises(AssertionError):
        await test_the_sandbox_looks_again_whatever_its_settings_name({"shop_host": "192.0.2.7"}, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"staff_oidc_client_id": "another"},
        {"staff_oidc_issuer": "http://127.0.0.1:8085/login"},
        {"staff_oidc_issuer": "http://localhost:8084/login"},
    ],
)
def test_a_provider_of_ones_own_on_this_machine_is_none_of_it(
    changes: Mapping[str, Any], tmp_path: Path
) -> None:
    """Another client, port or name: somebody's own provider."""
    assert has_logins(set_by_hand(tmp_path))
    assert not has_logins(set_by_hand(tmp_path, **changes))


# --------------------------------------------------------------------------------------- who may come


@pytest.fixture
def shop_database(templates: Templates, tmp_path: Path) -> Iterator[ShopDatabase]:
    """Give the database of a demo."""
    url = f"sqlite:///{tmp_path}/shop.db"
    templates.fill(url)
    database = ShopDatabase(url)
    database.open()
    yield database
    database.close()


def people_of(database: ShopDatabase, folder: Path) -> tuple[StaffPeople, StaffSessions]:
    """Open the list of staff."""
    clock = ManualClock(1_800_000_000_000)
    people = StaffPeople(database, keys_in(folder), clock)
    return people, StaffSessions(database, people, clock, BOUNDS, {})


def came(name: str, settings: Settings) -> Person:
    """Give whom the sandbox names."""
    return Person(issuer_of(settings), name, f"{name}@aurora.example", name)


async def test_the_demos_people_come_in_at_this_start_and_at_the_next(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """Each in their role; the sandbox's port may be another one then, and who changed on the list stays changed."""
    people, sessions = people_of(shop_database, tmp_path)
    first = with_logins(demo(tmp_path))
    second = with_logins(replace(demo(tmp_path), sandbox_port=8090))
    invite(people, first, lambda _name: False)
    before = [(await sessions.enter(came(one.name, first), HOME)).outcome for one in PEOPLE[:3]]
    people.change("sam", StaffRole.VIEWER)
    for _ in range(2):
        invite(people, second, lambda _name: False)
    after = [(await sessions.enter(came(one.name, second), HOME)).outcome for one in PEOPLE]
    old = (await sessions.enter(came("ida", first), HOME)).outcome

    assert before == ["invited"] * 3
    assert after == ["entered", "entered", "entered", "invited", "invited"]
    assert old == "stranger"
    assert {one.name: one.role.value for one in people.all()} == {
        "ida": "owner", "otto": "organiser", "sam": "viewer", "dora": "scanner", "vera": "viewer",
    }  # fmt: skip
    assert (tmp_path / FILE).read_text() == "http://127.0.0.1:8090/login\n"


async def test_whoever_bears_a_demos_name_already_stays_who_they_are(
    shop_database: ShopDatabase, tmp_path: Path
) -> None:
    """A person whom another provider knows, a token: neither is bound to the sandbox."""
    people, sessions = people_of(shop_database, tmp_path)
    own = with_logins(demo(tmp_path))
    people.invite("ida", StaffRole.SUPPORT, 30, issuer="https://id.example", subject="ida")
    invite(people, own, lambda name: name == "sam")
    outcomes = [(await sessions.enter(came(name, own), HOME)).outcome for name in ("ida", "sam", "vera")]
    real = await sessions.enter(Person("https://id.example", "ida", "", ""), HOME)

    assert outcomes == ["stranger", "stranger", "invited"]
    assert real.outcome == "entered"


def test_nobody_can_have_the_demos_addresses() -> None:
    """They are of a domain that is kept for examples (RFC 2606), so no real provider has made sure of one."""
    assert all(one.email.endswith("@aurora.example") for one in PEOPLE)
