"""A wish is read as it is meant, or refused with everything that is wrong with it."""

from typing import Any

import pytest

from checkout.holds.best import Together
from checkout.holds.wishes import Named, Stand, Wish, read_wish
from kernel.errors import Refused


@pytest.mark.parametrize(
    ("plain", "wish"),
    [
        ({"seats": [4, 3]}, Wish(Named((4, 3)))),
        ({"seats": [0], "currency": "JPY"}, Wish(Named((0,)), "JPY")),
        ({"seats": [0], "currency": None, "code": None}, Wish(Named((0,)))),
        ({"seats": list(range(100)), "code": "MIDNIGHT"}, Wish(Named(tuple(range(100))), "", "MIDNIGHT")),
        ({"best": {"count": 4}}, Wish(Together(4))),
        ({"best": {"count": 4, "tier": None, "section": None}}, Wish(Together(4))),
        ({"best": {"count": 1, "tier": 0, "section": 0}}, Wish(Together(1, 0, 0))),
        ({"standing": {"section": 0, "count": 100}}, Wish(Stand(0, 100))),
    ],
)
def test_a_wish_is_read(plain: dict[str, Any], wish: Wish) -> None:
    """One of three kinds, with what may go with it."""
    assert read_wish(plain) == wish


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, ["there must be one of"]),
    "two kinds": ({"seats": [1], "best": {"count": 1}}, ["there must be one of"]),
    "an unknown member": ({"seats": [1], "seat": 2}, ["seat: it is unknown"]),
    "no list": ({"seats": 1}, ["seats: it must be a list of 1 to 100"]),
    "null": ({"seats": None}, ["seats: it must be a list"]),
    "no seat": ({"seats": []}, ["seats: it must be a list"]),
    "too many": ({"seats": list(range(101))}, ["seats: it must be a list"]),
    "a seat twice": ({"seats": [1, 2, 1]}, ["seats: a seat is there twice"]),
    "a seat below nought": ({"seats": [-1]}, ["seats[0]: it must be a whole number"]),
    "a seat beyond all halls": ({"seats": [100_000]}, ["seats[0]: it must be a whole number"]),
    "a truth": ({"seats": [True]}, ["seats[0]: it must be a whole number"]),
    "a broken seat": ({"seats": [1.0]}, ["seats[0]: it must be a whole number"]),
    "a text": ({"seats": ["1"]}, ["seats[0]: it must be a whole number"]),
    "a great number": ({"seats": [10**40]}, ["seats[0]: it must be a whole number"]),
    "best of nothing": ({"best": {}}, ["best.count: it must be a whole number from 1 to 100"]),
    "best is no object": ({"best": 4}, ["best: it must be an object", "best.count:"]),
    "best of none": ({"best": {"count": 0}}, ["best.count:"]),
    "best of a tier that cannot be": ({"best": {"count": 1, "tier": 16}}, ["best.tier:"]),
    "best of a section that cannot be": ({"best": {"count": 1, "section": -1}}, ["best.section:"]),
    "best with more": ({"best": {"count": 1, "row": 3}}, ["best.row: it is unknown"]),
    "standing nowhere": ({"standing": {"count": 1}}, ["standing.section:"]),
    "standing for nobody": ({"standing": {"section": 1, "count": False}}, ["standing.count:"]),
    "a currency that is a number": ({"seats": [1], "currency": 3}, ["currency: it must be"]),
    "a currency that is long": ({"seats": [1], "currency": "EURO"}, ["currency: it must be"]),
    "a code that is long": ({"seats": [1], "code": "x" * 65}, ["code: it must be"]),
    "everything": (
        {"seats": [1, -1, "2"], "best": {"count": 0, "tier": 99, "x": 1}, "code": 7, "y": 0},
        ["y: it is", "seats[1]:", "seats[2]:", "best.x:", "best.count:", "best.tier:", "there must be one", "code:"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_everything_that_is_wrong_is_told(name: str) -> None:
    """Each fault begins with its place."""
    plain, expected = BAD[name]
    with pytest.raises(Refused) as refused:
        read_wish(plain)
    told: Any = refused.value.extra["faults"]

    assert (refused.value.code, refused.value.status) == ("hold-malformed", 400)
    assert len(told) == len(expected)
    for fault, begin in zip(told, expected, strict=True):
        assert fault.startswith(begin)
