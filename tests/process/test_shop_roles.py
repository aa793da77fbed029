"""Roles in processes of their own: each answers its own addresses, and together they are one shop."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bench import harness
from bench.servers import running
from bench.shop import ISSUER, Shop, our_shop
from checkout.halls.houses import theatre_2000
from checkout.halls.seats import Status
from tests.process.streaming import wait_until

pytestmark = pytest.mark.process


@contextmanager
def beside(shop: Shop, folder: Path, role: str) -> Iterator[str]:
    """Run another process of the same shop, of one role; gives its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [
            str(Path(sys.executable).parent / "waitroom"), "worker", "shop", "--fd", str(listener.fileno()),
            "--role", role,
        ]  # fmt: skip
        settings = {
            "WAITROOM_DATA": str(folder / "shop" / "data"),
            "WAITROOM_SHOP_PORT": shop.audience.rpartition(":")[2],
            "WAITROOM_STORE_URL": shop.store_url,
            "WAITROOM_SHOP_DATABASE_URL": shop.database_url,
            "WAITROOM_PUBLIC_URL": ISSUER,
            "WAITROOM_LOG_LEVEL": "warning",
            "WAITROOM_DRAIN_S": "0",
        }
        log = folder / f"{role}.log"
        with running(
            command, ready=f"{url}/health/ready", log=log, env=settings, pass_fds=(listener.fileno(),)
        ):
            yield url


def test_each_role_runs_alone_and_together_they_sell(tmp_path: Path) -> None:
    """One process lists, one holds, one shows the map; what is another's is not there (404), whoever asks."""
    with (
        our_shop(
            harness.prepare(tmp_path),
            plan=theatre_2000(),
            env={"WAITROOM_SHOP_ROLES": "catalogue,background"},
        ) as shop,
        beside(shop, tmp_path, "holds") as holds,
        beside(shop, tmp_path, "map") as maps,
    ):
        [fan] = shop.admissions(1)
        below = f"/api/events/{shop.events[0]}"
        known = {"authorization": f"Bearer {fan}", "sec-fetch-site": "same-origin"}
        with httpx.Client(headers=known, timeout=20) as client:
            answers = {
                path: tuple(client.get(url + path).status_code for url in (shop.url, holds, maps))
                for path in ("/api/events", below, f"{below}/holds/mine", f"{below}/map", f"{below}/waitlist")
            }
            held = client.post(
                f"{holds}{below}/holds", json={"best": {"count": 2}}, headers={"idempotency-key": "one"}
            )
            seats = [line["seat"] for line in held.json()["seats"]]
            wait_until(
                lambda: (
                    {client.get(f"{maps}{below}/map").content[seat] % 16 for seat in seats} == {Status.HELD}
                )
            )
            without = [httpx.get(url + below).status_code for url in (shop.url, holds, maps)]

    assert answers == {
        "/api/events": (200, 404, 404),
        below: (200, 404, 404),
        f"{below}/holds/mine": (404, 200, 404),
        f"{below}/map": (404, 404, 200),
        f"{below}/waitlist": (404, 404, 404),
    }
    assert held.status_code == 201
    assert without == [401, 401, 401]
