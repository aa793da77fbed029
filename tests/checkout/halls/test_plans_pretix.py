"""Plans of pretix: read whole or not at all, with every fault and its path."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.halls.layout import Even, names, neighbours
from checkout.halls.plans import MOST_OCTETS, Plan
from checkout.halls.pretix import read_pretix
from kernel.errors import Refused


def pretix_plan() -> dict[str, Any]:
    """Write a small hall as pretix's editor saves it."""

    def row(name: str, y: float, guid: str) -> dict[str, Any]:
        seats = [
            {
                "seat_guid": f"{guid}-{number}",
                "seat_number": str(number),
                "position": {"x": number * 25.5, "y": 0},
                "category": "Gold" if name == "A" else "Silver",
            }
            for number in range(1, 5)
        ]
        return {
            "row_number": name,
            "row_number_position": "both",
            "position": {"x": 10, "y": y},
            "seats": seats,
        }

    stage = {"shape": "rectangle", "position": {"x": 0, "y": -100}, "rectangle": {"width": 102, "height": 51}}
    return {
        "name": "Town hall",
        "categories": [{"name": "Gold", "color": "#fc0"}, {"name": "Silver"}],
        "zones": [
            {
                "name": "Main",
                "position": {"x": 100, "y": 200},
                "rows": [row("A", 0, "a"), row("B", 30, "b")],
                "areas": [stage | {"text": {"text": "STAGE"}}, {"shape": "circle", "color": "red"}],
            },
            {"name": "Decoration", "position": {"x": 0, "y": 0}, "rows": []},
        ],
        "size": {"width": 1000, "height": 800},
    }


def _pretix(plain: object) -> Plan:
    return read_pretix(json.dumps(plain).encode())


def test_a_pretix_plan_becomes_a_hall() -> None:
    """Zones are sections, categories tiers, and positions add up and are scaled to our pitch."""
    plan = _pretix(pretix_plan())

    assert plan.layout.name == "Town hall"
    assert [section.name for section in plan.layout.sections] == ["Main"]
    assert plan.tier_names == ("Gold", "Silver")
    assert plan.tiers == bytes([0, 0, 0, 0, 1, 1, 1, 1])
    assert names(plan.layout, 5) == ("Main", "B", "2")
    first = plan.layout.sections[0].rows[0].spots
    assert isinstance(first, Even)
    assert (first.dx, first.dy) == (100, 0)
    assert plan.layout.stage.label == "Stage"
    assert (plan.layout.stage.width, plan.layout.stage.height) == (400, 200)
    # The stage lies 100 of the file's units above row A: 392 of ours, at 25.5 a seat.
    assert first.y - plan.layout.stage.y == 392


def test_rows_of_the_same_number_in_one_zone_are_one_row_with_an_aisle() -> None:
    """Left and right of the aisle people read the same letter."""
    plain = pretix_plan()
    second = plain["zones"][0]["rows"][1]
    second["row_number"], second["position"] = "A", {"x": 300, "y": 0}
    for number, seat in enumerate(second["seats"], start=5):
        seat["seat_number"] = str(number)

    plan = _pretix(plain)

    assert [row.count for row in plan.layout.sections[0].rows] == [8]
    assert neighbours(plan.layout, 3) == (2, None)


def _at(plain: Any, path: str) -> tuple[Any, Any]:
    steps: list[Any] = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps[:-1]:
        plain = plain[step]
    return plain, steps[-1]


SEAT = "zones.0.rows.1.seats.2"


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("zones", None, "the file: zones must be a list of objects"),
        ("categories", {}, "the file: categories must be a list of objects"),
        ("categories.0.name", 7, "categories[0]: name must be a text of 1 to 120 characters"),
        ("categories.1.name", "Sliver", "zones[0].rows[1].seats[2]: category 'Silver' is unknown"),
        ("zones.1.name", "M" * 121, "zones[1]: name must be a text of at most 120 characters"),
        ("zones.1.name", "Main", "zones[1]: there is more than one zone 'Main'"),
        ("zones.0.position", None, "zones[0]: position must be an object with the numbers x and y"),
        ("zones.0.rows.1.seats", [], "zones[0].rows[1]: it has no seat"),
        ("zones.0.rows.1.seats", [7], "zones[0].rows[1]: seats must be a list of objects"),
        (
            "zones.0.rows.1.row_number",
            "",
            "zones[0].rows[1]: row_number must be a text of 1 to 120 characters",
        ),
        (
            f"{SEAT}.seat_guid",
            "a-1",
            "zones[0].rows[1].seats[2]: seat_guid 'a-1' is there already, in zones[0].rows[0].seats[0]",
        ),
        (f"{SEAT}.seat_number", "1", "zones[0].rows[1].seats[2]: seat '1' is in row 'B' already"),
        (
            f"{SEAT}.position",
            {"x": "3", "y": 0},
            "zones[0].rows[1].seats[2]: position must be an object with the numbers x and y",
        ),
        (
            f"{SEAT}.position",
            {"x": 1e300, "y": 0},
            "zones[0].rows[1].seats[2]: position must be an object with the numbers x and y",
        ),
        (
            f"{SEAT}.position",
            {"x": 25.5, "y": 0},
            "zones[0].rows[1].seats[2]: it is at the same place as zones[0].rows[1].seats[0]",
        ),
        (f"{SEAT}.position", {"x": 1e8, "y": 0}, "the seats lie too far apart to be one hall"),
    ],
)
def test_a_pretix_fault_is_told_with_its_path(path: str, value: object, fault: str) -> None:
    """Each rule of the format, broken once."""
    plain = pretix_plan()
    parent, key = _at(plain, path)
    parent[key] = value

    with pytest.raises(Refused) as caught:
        _pretix(plain)

    assert fault in caught.value.extra["faults"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (b"", "line 1: the file is empty"),
        (b"[1,\n2", "line 2: Expecting ',' delimiter"),
        (b"[]", "the file must be a JSON object"),
        (b"[" * 100_000, "the file is no JSON that can be read"),
        (b'{"name": "\xe9"}', "octet 0xe9 at 10 is not UTF-8"),
        (b" " * (MOST_OCTETS + 1), f"the file has {MOST_OCTETS + 1} octets, more than {MOST_OCTETS}"),
        (b'{"zones": [], "categories": []}', "the file has no seat"),
    ],
)
def test_what_is_no_pretix_plan_is_refused(octets: bytes, fault: str) -> None:
    """Rubbish is a fault and never an exception of ours."""
    with pytest.raises(Refused) as caught:
        read_pretix(octets)

    assert caught.value.extra["faults"] == [fault]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["x", "y", "name", "seats", "position", "text"]), inner, max_size=4
            )
        ),
        max_leaves=10,
    ),
    st.sampled_from(
        [
            *(
                "zones",
                "zones.0",
                "zones.0.rows",
                "zones.0.rows.1",
                SEAT,
                f"{SEAT}.position",
                "zones.0.areas.0",
            ),
            *("zones.0.areas.0.text", "zones.0.areas.0.rectangle", "categories", "name", "zones.0.name"),
        ]
    ),
)
def test_no_plan_makes_the_reader_stumble(rubbish: Any, path: str) -> None:
    """Anything at any place is either read or refused."""
    plain = pretix_plan()
    parent, key = _at(plain, path)
    parent[key] = rubbish

    try:
        plan = _pretix(plain)
    except Refused:
        return
    assert len(plan.tiers) == plan.layout.seats


def test_more_seats_than_a_hall_may_have_are_refused() -> None:
    """The limit is that of every hall."""
    plain = pretix_plan()
    row = plain["zones"][0]["rows"][0]
    row["seats"] = [
        {
            "seat_guid": str(seat),
            "seat_number": str(seat),
            "position": {"x": seat, "y": 0},
            "category": "Gold",
        }
        for seat in range(100_001)
    ]

    with pytest.raises(Refused) as caught:
        _pretix(plain)

    assert caught.value.extra["faults"] == ["the file has 100005 seats, more than 100000"]


def test_only_given_categories_are_allowed() -> None:
    """With the tiers given they keep their numbers, and another one is a fault."""
    octets = json.dumps(pretix_plan()).encode()

    assert read_pretix(octets, "Hall", ["Silver", "Gold"]).tiers == bytes([1, 1, 1, 1, 0, 0, 0, 0])
    with pytest.raises(Refused) as caught:
        read_pretix(octets, tiers=["Gold"])
    assert caught.value.extra["faults"][0] == "categories[1]: 'Silver' is unknown, or one more than 16"  # type: ignore[index]
