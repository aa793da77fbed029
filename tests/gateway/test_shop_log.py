"""``waitroom shop log``: verify, show and rebuild at the command line; what is told, and the exit status."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.eventlog.sealing import Sealer
from checkout.tables import EVENT_LOG, RESERVATIONS
from gateway.cli import main
from tests.checkout.logs import tampering
from tests.gateway.shopfront import API, EVENT, front

KEY = {"idempotency-key": "a-key"}

Told = Callable[..., tuple[int, str]]


@pytest.fixture
def shop(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Sell two seats, give back one of two reservations, close the shop; gives the reservations."""
    monkeypatch.setenv("WAITROOM_STORE_URL", store_url)
    monkeypatch.setenv("WAITROOM_DATA", str(tmp_path))
    with redis.Redis.from_url(store_url) as client:
        client.flushall()

    async def lived() -> tuple[str, str]:
        made = []
        async with front(store_url, tmp_path) as own:
            for seat in (3, 4):
                headers = {"idempotency-key": f"k{seat}"}
                held = (await own.client.post(f"{API}/holds", json={"seats": [seat]}, headers=headers)).json()
                answer = await own.client.post(f"{API}/holds/{held['hold']}/reserve")
                made.append(answer.json()["reservation"])
            await own.client.delete(f"{API}/reservations/{made[1]}")
            await own.shop.sealing.seal(own.shop.parts.shards.all()[0])
        return made[0], made[1]

    return asyncio.run(lived())


@pytest.fixture
def database(shop: tuple[str, str], tmp_path: Path) -> ShopDatabase:
    """Open the shop's database beside the shop."""
    return ShopDatabase(f"sqlite:///{tmp_path}/shop.db")


@pytest.fixture
def told(shop: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> Told:
    """Run ``waitroom shop log``; gives the status and what was printed."""

    def run(*words: str) -> tuple[int, str]:
        status = main(["shop", "log", *words])
        out = capsys.readouterr()
        return status, out.out + out.err

    return run


def test_a_right_log_is_told_with_its_newest_block(told: Told, database: ShopDatabase) -> None:
    """Which can be asked for again, and is missed when it is not there."""
    status, text = told("verify")

    assert status == 0
    assert "main: 3 entries in 2 streams, 1 blocks\n" in text
    block = text.split("newest block ")[1].split()[0]
    assert told("verify", "--anchor", block) == (0, text)
    status, text = told("verify", "--anchor", f"9{block}")
    assert (status, "it is not there with the hash that was noted" in text) == (1, True)
    status, text = told("verify", "--anchor", "nine")
    assert (status, "NUMBER" in text or "number of a block" in text) == (2, True)


def test_a_log_that_was_changed_is_told_and_nothing_is_rebuilt_from_it(
    told: Told, database: ShopDatabase, shop: tuple[str, str]
) -> None:
    """Status 1; where it is, and what."""
    with closing(database), tampering(database) as connection:
        connection.execute(sa.update(EVENT_LOG).where(EVENT_LOG.c.kind == "released").values(kind="lapsed"))

    status, text = told("verify")
    assert (status, f"main: stream {shop[1]} entry 2: its hash is not" in text) == (1, True)
    status, text = told("rebuild")
    assert (status, f"{EVENT}: stream {shop[1]} entry 2: its hash is not" in text) == (1, True)
    assert "put back" not in text


def test_a_sale_is_shown(told: Told, shop: tuple[str, str]) -> None:
    """Its entries in order, with time, kind, hash and body; one that is not there is a sentence and status 1."""
    status, text = told("show", shop[1])

    rows = text.splitlines()
    assert (status, rows[0], len(rows)) == (0, f"main: {EVENT}", 3)
    assert " reserved " in rows[1]
    assert '"lines":[[4,' in rows[1]
    assert " released " in rows[2]
    assert told("show", "Rnothing") == (1, "the log says nothing of Rnothing\n")


def test_tables_are_compared_and_put_back(told: Told, database: ShopDatabase, shop: tuple[str, str]) -> None:
    """``--check`` only tells; without it they are right afterwards."""
    right = (0, f"{EVENT}: 3 entries; the event is what the log comes to\n")
    assert told("rebuild", "--check") == told("rebuild", EVENT) == right
    with closing(database), database.writing() as connection:
        connection.execute(sa.update(RESERVATIONS).where(RESERVATIONS.c.id == shop[1]).values(state="sold"))

    for _ in range(2):
        status, text = told("rebuild", "--check", EVENT)
        assert status == 1
        assert f"{EVENT}: reservations {shop[1]}: state is 'sold', by the log 'released'" in text
        assert text.endswith("the event differs\n")
    status, text = told("rebuild", EVENT)
    assert (status, text.startswith(f"{EVENT}: 1 put back")) == (0, True)
    assert told("rebuild", "--check") == right
    assert told("rebuild", "nothing") == (2, "waitroom: The shop has no event nothing.\n")


def test_a_check_of_a_sale_looks_at_its_log_too(
    told: Told, database: ShopDatabase, shop: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """``waitroom shop check``: I6, beside the others."""
    assert main(["shop", "check", "--live"]) == 0
    assert "3 entries of the log" in capsys.readouterr().out
    with closing(database), database.writing() as connection:
        connection.execute(sa.update(RESERVATIONS).where(RESERVATIONS.c.id == shop[0]).values(fence=99))

    assert main(["shop", "check", "--live"]) == 1
    assert f"I6: reservations {shop[0]}: fence is 99, by the log" in capsys.readouterr().out


def test_what_is_not_sealed_in_time_is_told(told: Told, database: ShopDatabase) -> None:
    """Where no process of the background runs."""
    from checkout.eventlog.entries import Draft
    from checkout.eventlog.store import append

    with closing(database):
        with database.writing() as connection:
            append(connection, [Draft(EVENT, "Rlate", "reserved", {}, 1)])
        status, text = told("verify")
        assert (status, "stream Rlate entry 1: it is in no block" in text) == (1, True)
        Sealer(database).seal(2)
    assert told("verify")[0] == 0
