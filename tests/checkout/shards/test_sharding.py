"""Sharding: an event's shard by its name, the text of an exception, the operator's file with all its faults."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.shards.hashing import Override, ShardAddress, home, read_shards, weight
from kernel.errors import Misconfigured

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "shards.json").read_text())
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)

GOOD = """
[shards.b]
database_url = "postgresql://shop:secret@db-b/shop"
store_url = "redis://store-b:6379/0"
reading_url = "postgresql://shop@replica-b/shop"

[shards.a]
database_url = "sqlite:////var/shop/a.db"
store_url = "unix:///run/a.sock"
"""


# ------------------------------------------------------------------------------ rendezvous


@pytest.mark.parametrize("row", VECTORS["weights"], ids=lambda row: f"{row['shard']}-{row['event'][:12]}")
def test_a_weight_is_what_another_implementation_says(row: dict[str, str]) -> None:
    """Sixteen hexadecimal digits of a hash."""
    assert f"{weight(row['shard'], row['event']):016x}" == row["weight"]


@pytest.mark.parametrize("row", VECTORS["homes"], ids=lambda row: "-".join(row["shards"]))
def test_a_home_is_what_another_implementation_says(row: dict[str, object]) -> None:
    """Forty events among up to six shards."""
    shards, homes = tuple(row["shards"]), row["homes"]  # type: ignore[arg-type]

    assert {event: home(shards, event) for event in homes} == homes  # type: ignore[attr-defined]


@given(st.lists(NAMES, min_size=1, max_size=6, unique=True), NAMES, st.randoms())
def test_the_order_of_the_shards_does_not_matter(shards: list[str], event: str, chance: object) -> None:
    """Whoever names the same shards gets the same answer."""
    mixed = list(shards)
    chance.shuffle(mixed)  # type: ignore[attr-defined]

    assert home(tuple(mixed), event) == home(tuple(shards), event)


@given(st.lists(NAMES, min_size=2, max_size=6, unique=True), st.lists(NAMES, min_size=1, max_size=20))
def test_one_more_shard_takes_only_what_it_gets_itself(shards: list[str], events: list[str]) -> None:
    """No event changes between the shards that were there before."""
    new, *old = shards

    for event in events:
        assert home((new, *old), event) in {new, home(tuple(old), event)}


def test_events_are_spread_evenly() -> None:
    """Of 3,000 events each of three shards has about a thousand (five standard deviations are 130)."""
    homes = [home(("a", "b", "c"), f"event-{number}") for number in range(3_000)]

    assert all(abs(homes.count(shard) - 1_000) < 130 for shard in "abc")


# -------------------------------------------------------------------------------- override


@pytest.mark.parametrize("override", [Override("hot"), Override("a", "hot-1", 7)])
def test_an_override_is_written_as_it_is_read(override: Override) -> None:
    """`hot`, or `a>hot-1@7` while it moves."""
    assert Override.of(override.text()) == override


@pytest.mark.parametrize(
    "text", ["", "a>", "a>b", "a>b@", "a>b@x", ">b@1", "A", "a>b@1>c@2", "a@1", "a\n", "a" * 64]
)
def test_anything_else_is_no_override(text: str) -> None:
    """A row that nobody has written so is a fault, not a guess."""
    with pytest.raises(ValueError, match="names no shard"):
        Override.of(text)


# ------------------------------------------------------------------------------------ file


def test_shards_are_read_in_the_order_of_their_names() -> None:
    """The reading database may be left out."""
    assert read_shards(GOOD) == (
        ShardAddress("a", "sqlite:////var/shop/a.db", "unix:///run/a.sock"),
        ShardAddress(
            "b",
            "postgresql://shop:secret@db-b/shop",
            "redis://store-b:6379/0",
            "postgresql://shop@replica-b/shop",
        ),
    )


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["The shards' file must have tables such as [shards.a]."]),
        ("shards = 1", ["The shards' file must have tables such as [shards.a]."]),
        (
            "[shard.a]\nx = 1",
            [
                "The shards' file: shard is unknown; there is [shards.NAME].",
                "The shards' file must have tables such as [shards.a].",
            ],
        ),
        (
            '[shards.A_1]\ndatabase_url = "mysql://db/shop"\nstore_url = "http://store"\ncolour = "red"',
            [
                "shards.A_1: a shard's name must be lower-case letters, digits and hyphens, at most 63.",
                "shards.A_1.colour is unknown.",
                "shards.A_1.database_url: The shard's address must begin with sqlite:/// or postgresql://, not mysql:.",
                "shards.A_1.store_url must begin with redis://, rediss:// or unix://.",
            ],
        ),
        (
            "[shards]\na = 3\n[shards.b]\ndatabase_url = 7\n[shards.c]\nstore_url = ''",
            [
                "shards.a must be a table with database_url and store_url.",
                "shards.b.store_url is missing.",
                "shards.b.database_url must be a text.",
                "shards.c.database_url is missing.",
                "shards.c.store_url must be a text.",
            ],
        ),
        (
            GOOD.replace("db-b", "other").replace("unix:///run/a.sock", "redis://store-b:6379/0"),
            ["shards.b.store_url is that of shards.a already."],
        ),
        (
            GOOD.replace("postgresql://shop:secret@db-b/shop", "sqlite:////var/shop/a.db"),
            ["shards.b.database_url is that of shards.a already."],
        ),
    ],
)
def test_every_fault_of_the_file_is_told_at_once(text: str, faults: list[str]) -> None:
    """With the place where it stands."""
    with pytest.raises(Misconfigured) as caught:
        read_shards(text)

    assert list(caught.value.faults) == faults


@pytest.mark.parametrize("text", ["[shards", "a = " + "[" * 5000])
def test_what_is_no_toml_is_told_as_that(text: str) -> None:
    """With the parser's own words."""
    with pytest.raises(Misconfigured, match="not TOML"):
        read_shards(text)


def test_no_fault_shows_a_password() -> None:
    """The addresses hold secrets."""
    text = GOOD.replace("postgresql://shop:secret", "oracle://shop:secret").replace(
        "redis://", "ftp://x:secret@"
    )

    with pytest.raises(Misconfigured) as caught:
        read_shards(text)

    assert "secret" not in str(caught.value)
