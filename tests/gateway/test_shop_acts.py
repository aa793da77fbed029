"""``waitroom shop import`` and ``waitroom shop move``: what they do, and what they say to people."""

import asyncio
import json
from pathlib import Path

import pytest
import redis

from checkout.catalogue.store import CatalogueStore
from checkout.database import ShopDatabase
from checkout.halls.layout import read
from checkout.halls.seat_rows import SeatRows
from checkout.holds.inventory import Inventory
from checkout.shards.hashing import Override
from checkout.shards.shards import OverrideRows
from gateway.cli import main
from gateway.options import NO, WRONG
from kernel.clock import ManualClock
from tests.checkout.catalogues import (
    DAY_MS,
    NOW_MS,
    VENUE,
    catalogue_of,
    event_fields,
    small_layout,
    with_event,
)
from tests.checkout.conftest import second_store_url
from tests.checkout.halls.test_plans import GOOD
from tests.checkout.halls.test_plans_pretix import pretix_plan

__all__ = ["second_store_url"]

FAR_MS = 4_000_000_000_000
"""Long after any test runs."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give the folder of an installation whose shop has one venue."""

    async def fill(database: ShopDatabase) -> None:
        await with_event(catalogue_of(database, ManualClock(NOW_MS)))

    database = ShopDatabase(f"sqlite:///{tmp_path}/shop.db")
    database.open()
    asyncio.run(fill(database))
    database.close()
    return tmp_path


def _import(data: Path, name: str, content: bytes, *words: str) -> int:
    file = data / name
    file.write_bytes(content)
    return main(["shop", "import", str(file), "--venue", VENUE.id, "--data", str(data), *words])


# ----------------------------------------------------------------------------------------- import


@pytest.mark.parametrize(
    ("name", "content", "words", "title"),
    [
        ("hall.csv", GOOD.encode(), (), VENUE.name),
        ("hall.csv", GOOD.encode(), ("--name", "Big hall"), "Big hall"),
        ("hall.txt", GOOD.encode(), ("--kind", "csv"), VENUE.name),
        ("hall.json", json.dumps(pretix_plan()).encode(), (), str(pretix_plan()["name"])),
    ],
)
def test_a_plan_becomes_a_layout_whose_id_is_told(
    data: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes,
    words: tuple[str, ...],
    title: str,
) -> None:
    """The id alone on standard output, for scripts; the rest beside it, for people."""
    assert _import(data, name, content, *words) == 0

    told = capsys.readouterr()
    layout_id = told.out.strip()
    database = ShopDatabase(f"sqlite:///{data}/shop.db")
    kept = CatalogueStore(database).layout(layout_id)
    database.close()
    assert kept is not None
    assert (kept.name, kept.venue_id, kept.seats) == (title, VENUE.id, read(kept.document).seats)
    assert told.err.startswith(f"{title}: {kept.seats} places in ")
    assert "tier 0" in told.err


@pytest.mark.parametrize(
    ("name", "content", "words", "status", "lines"),
    [
        (
            "hall.csv",
            b"section,row,number,x,y,tier\nS,A,1,0,0,\nS,A,1,x,0,G\n",
            (),
            WRONG,
            [
                "line 2: tier is empty",
                "line 3: x 'x' is no whole number from 0 to 1000000",
                "line 3: seat S/A/1 is there already, in line 2",
            ],
        ),
        ("hall.json", b"[]", (), WRONG, ["the file must be a JSON object"]),
        ("hall.pdf", GOOD.encode(), (), WRONG, ["say with --kind whether it is csv or pretix."]),
    ],
)
def test_each_fault_is_told_in_a_line_of_its_own(
    data: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes,
    words: tuple[str, ...],
    status: int,
    lines: list[str],
) -> None:
    """With the file and its line; nothing was kept."""
    assert _import(data, name, content, *words) == status

    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [f"waitroom: {data / name}: {line}" for line in lines]


def test_what_is_not_there_is_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file, a venue, a shop."""
    file = data / "hall.csv"
    file.write_bytes(GOOD.encode())
    empty = tmp_path / "empty"
    empty.mkdir()

    ends = [
        main(["shop", "import", str(data / "none.csv"), "--venue", VENUE.id, "--data", str(data)]),
        main(["shop", "import", str(file), "--venue", "nowhere", "--data", str(data)]),
        main(["shop", "import", str(file), "--venue", VENUE.id, "--data", str(empty)]),
    ]

    told = capsys.readouterr().err.splitlines()
    assert ends == [WRONG, NO, WRONG]
    assert told[0].endswith("none.csv cannot be read: No such file or directory.")
    assert told[1] == "waitroom: There is no such venue."
    assert told[2].startswith("waitroom: There is no shop's database ")
    assert list(empty.iterdir()) == []


# ------------------------------------------------------------------------------------------- move


@pytest.fixture
def shards(request: pytest.FixtureRequest, tmp_path: Path, store_url: str) -> Path:
    """Give the folder of an installation of two shards; the event is on a and not on sale for long."""
    second_url: str = request.getfixturevalue("second_store_url")
    for url in (store_url, second_url):
        with redis.Redis.from_url(url, socket_timeout=15) as client:
            client.flushall()
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("shop", "a", "b")]
    (tmp_path / "shards.toml").write_text(
        f'[shards.a]\ndatabase_url = "{urls[1]}"\nstore_url = "{store_url}"\n'
        f'[shards.b]\ndatabase_url = "{urls[2]}"\nstore_url = "{second_url}"\n'
    )
    (tmp_path / "settings.toml").write_text(
        f'data = "{tmp_path}"\nshop_shards = "{tmp_path}/shards.toml"\nshop_store_url = "{store_url}"\n'
    )
    databases = [ShopDatabase(url) for url in urls]
    for database in databases:
        database.open()
    main_database, a, _ = databases

    async def fill() -> None:
        catalogue = catalogue_of(a, ManualClock(NOW_MS))
        catalogue._store = CatalogueStore(main_database)
        await with_event(catalogue, id="other", state="draft")
        layout = await catalogue.add_layout(VENUE.id, small_layout())
        await catalogue.create_event(
            event_fields(
                layout, sale_from_ms=FAR_MS, sale_until_ms=FAR_MS + DAY_MS, starts_ms=FAR_MS + 2 * DAY_MS
            )
        )

    asyncio.run(fill())
    OverrideRows(main_database).change("summer", None, Override("a"))
    for database in databases:
        database.close()
    return tmp_path


def _seats(folder: Path, name: str) -> int:
    database = ShopDatabase(f"sqlite:///{folder}/{name}.db")
    try:
        return sum(SeatRows(database).count("summer").values())
    finally:
        database.close()


def _move(folder: Path, event: str, to: str) -> int:
    return main(["shop", "move", event, "--to", to, "--settings", str(folder / "settings.toml")])


def test_an_event_is_moved_and_each_step_is_told(
    shards: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed row 63 at the command line; a second time it says where the event is."""
    monkeypatch.setattr("checkout.shards.moving.SETTLE_MS", 1)
    monkeypatch.setattr("checkout.shards.moving._REST_MS", 1)

    assert _move(shards, "summer", "b") == 0

    told = capsys.readouterr()
    assert told.out == "summer is on b now: 45 seats\n"
    words = [line.split()[0] for line in told.err.splitlines() if not line.startswith("the map")]
    steps = ["look", "mark", "wait", "fence", "clear", "copy", "compare", "load", "switch", "drop", "done"]
    assert [word for word in dict.fromkeys(words) if word in steps] == steps
    assert (_seats(shards, "a"), _seats(shards, "b")) == (0, 45)
    assert _move(shards, "summer", "b") == 0
    assert capsys.readouterr().out == "summer is on b, and nowhere else\n"


@pytest.mark.parametrize(
    ("event", "to", "status", "sentence"),
    [
        ("none", "b", NO, "There is no such event."),
        ("summer", "c", NO, "There is no such shard; there are a, b."),
    ],
)
def test_what_cannot_be_moved_is_told_and_stays(
    shards: Path, capsys: pytest.CaptureFixture[str], event: str, to: str, status: int, sentence: str
) -> None:
    """One sentence; nothing has begun, so there is nothing to go on with."""
    assert _move(shards, event, to) == status

    told = capsys.readouterr()
    assert told.err.splitlines() == ["look", f"waitroom: {sentence}"]
    assert _seats(shards, "a") == 45


def test_a_move_that_is_broken_off_says_how_to_go_on(
    shards: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle: the event is nobody's until the same command has run again."""
    monkeypatch.setattr("checkout.shards.moving.SETTLE_MS", 1)
    monkeypatch.setattr("checkout.shards.moving._REST_MS", 1)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Inventory, "put", interrupted)
        assert _move(shards, "summer", "b") == 130

    assert "The same command again goes on" in capsys.readouterr().err
    assert _move(shards, "summer", "b") == 0
    assert _seats(shards, "b") == 45


def test_the_event_is_found_by_whoever_starts_next(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row in the main database says it."""
    monkeypatch.setattr("checkout.shards.moving.SETTLE_MS", 1)
    monkeypatch.setattr("checkout.shards.moving._REST_MS", 1)
    assert _move(shards, "summer", "b") == 0

    database = ShopDatabase(f"sqlite:///{shards}/shop.db")
    assert OverrideRows(database).read() == {"summer": Override("b")}
    database.close()
