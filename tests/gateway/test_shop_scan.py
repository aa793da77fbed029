"""The doors of the shop's whole process: a ticket that was really paid is scanned, without any admission."""

import stat
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics
from checkout.tables import TICKETS
from checkout.tickets.keys import TicketKeys
from checkout.tickets.rows import read_ticket
from gateway.settings import Settings
from gateway.shop import ShopProcess
from tests.gateway.sandbox_shop import sandbox_shop
from tests.gateway.shopfront import EVENT


async def test_a_paid_ticket_is_let_in_once_through_the_shop_s_own_door(
    store_url: str, tmp_path: Path
) -> None:
    """Made by the organiser's door, opened by its link, scanned twice; the figures say so, and the metric."""
    async with sandbox_shop(store_url, tmp_path, "") as own:
        browser = own.browser()
        order = await own.order(browser, "ann", 0)
        assert (await own.pay(browser, "ann", order, "pm_card_visa")).json()["state"] == "paid"
        with own.process._parts.database.reading() as connection:
            (ticket,) = [read_ticket(row) for row in connection.execute(sa.select(TICKETS))]
        file = own.settings.ticket_keys_path
        code = TicketKeys.open(file, 0).code(ticket)
        until_ms = own.process._parts.clock.now_ms() + 3_600_000
        made = (await own.desk("POST", "/scanners", {"name": "Gate A", "until_ms": until_ms})).json()
        page = await browser.get(f"/scan/{EVENT}")
        strange = await browser.get(f"/scan/{EVENT}/list")
        entered = await browser.post("/scan/enter", json={"event": EVENT, "token": made["token"]})
        scans = [{"id": f"{'0' * 15}{at}-1", "at_ms": 1, "told": "", "code": code} for at in (1, 2)]
        answers = (await browser.post(f"/scan/{EVENT}/scans", json={"scans": scans})).json()["scans"]
        entry = (await own.desk("GET", "/entry")).json()
        counted = own.metrics.scans._tallies["admitted"].count

    assert page.status_code == 200
    assert strange.status_code == 401
    assert entered.status_code == 204
    assert [one["outcome"] for one in answers] == ["admitted", "used"]
    assert (entry["sold"], entry["entered"], entry["refused"]) == (1, 1, {"used": 1})
    assert counted == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("payments", "roles", "status"),
    [("sandbox", "all", 200), ("sandbox", "holds", 200), ("sandbox", "organiser", 404), ("none", "all", 404)],
)
async def test_the_door_is_there_where_tickets_are_sold_and_seats_are_held(
    store_url: str, tmp_path: Path, payments: str, roles: str, status: int
) -> None:
    """Elsewhere it is an address that is not there, and nobody is sent to the waiting room for it."""
    settings = Settings(
        data=tmp_path,
        store_url=store_url,
        payments=payments,
        shop_roles=(roles,),
    )
    process = ShopProcess(settings, Metrics(CollectorRegistry()))
    transport = httpx.ASGITransport(process.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        answer = await client.get(f"/scan/{EVENT}")
    if process.shop.tills is not None:
        await process.shop.tills.close()
    await process._parts.close()

    assert answer.status_code == status
    assert status == 200 or answer.json()["code"] == "address-unknown"
