"""``waitroom shop check``: looks at SQL and the store, tells every event in lines, and its status is the answer."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import redis

from gateway.cli import main
from tests.gateway.shopfront import API, EVENT, Front, front

KEY = {"idempotency-key": "a-key"}


async def nothing(_shop: Front) -> None:
    """Sell nothing."""


async def reserve(shop: Front) -> None:
    """Hold and reserve two seats."""
    held = (await shop.client.post(f"{API}/holds", json={"seats": [3, 4]}, headers=KEY)).json()
    (await shop.client.post(f"{API}/holds/{held['hold']}/reserve")).raise_for_status()


@pytest.fixture
def sale(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Front], Awaitable[None]]], None]:
    """Run a sale, close the shop, and leave its database and store behind."""
    monkeypatch.setenv("WAITROOM_STORE_URL", store_url)
    monkeypatch.setenv("WAITROOM_DATA", str(tmp_path))
    with redis.Redis.from_url(store_url) as client:
        client.flushall()

    def run(act: Callable[[Front], Awaitable[None]]) -> None:
        async def lived() -> None:
            async with front(store_url, tmp_path) as shop:
                await act(shop)

        asyncio.run(lived())

    return run


def test_a_right_sale_is_told_in_lines_and_the_status_is_nought(
    sale: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was looked at, and that every invariant holds; of all events, or of those that are named."""
    sale(reserve)
    told = []
    for words in ([], [EVENT]):
        assert main(["shop", "check", "--live", *words]) == 0
        told.append(capsys.readouterr().out)

    assert told[0] == told[1]
    assert told[0].startswith(f"{EVENT}: 45 seats, 1 reservations, 1 holds in the store")
    assert told[0].endswith("every invariant holds\n")


def test_a_seat_that_is_sold_in_the_store_only_is_found_and_the_status_is_one(
    sale: Callable[..., None], store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sale that was spoiled behind the shop's back; the exit status is what a script looks at."""
    sale(reserve)
    with redis.Redis.from_url(store_url) as client:
        client.setrange(f"co:{{{EVENT}}}:map", 10, b"\x03")

    assert main(["shop", "check", "--live"]) == 1
    assert "violations" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["shop", "check", "nothing"], "waitroom: The shop has no event nothing.\n"),
        (
            ["shop", "check", "a", "b"],
            "waitroom: The shop has no event a.\nwaitroom: The shop has no event b.\n",
        ),
    ],
)
def test_an_event_that_is_not_there_is_a_sentence_each(
    sale: Callable[..., None], capsys: pytest.CaptureFixture[str], words: list[str], fault: str
) -> None:
    """Status 2: what was asked is wrong."""
    sale(nothing)

    assert main(words) == 2
    assert capsys.readouterr().err == fault


def test_without_a_shop_nothing_is_made(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong folder is told, and no empty database stands there afterwards."""
    monkeypatch.setenv("WAITROOM_STORE_URL", store_url)

    assert main(["shop", "check", "--data", str(tmp_path)]) == 2
    assert "There is no shop's database" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_a_store_that_runs_it_says_which_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The embedded store of a running installation is found by itself; there is none."""
    (tmp_path / "shop.db").write_bytes(b"")

    assert main(["shop", "check", "--data", str(tmp_path)]) == 2
    assert "WAITROOM_SHOP_STORE_URL" in capsys.readouterr().err
