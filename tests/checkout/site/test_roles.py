"""Roles: which part of the shop an address belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.site.roles import ADDRESSES, EVERY, Role, answers, read_roles, role_of
from kernel.errors import Misconfigured


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/", Role.CATALOGUE),
        ("/events/summer", Role.CATALOGUE),
        ("/events/summer/seats", Role.CATALOGUE),
        ("/events/summer/hold", Role.HOLDS),
        ("/events/summer/hold/AAAA/reserve", Role.HOLDS),
        ("/events/summer/reservation/RAAAA", Role.HOLDS),
        ("/events/summer/waitlist", Role.HOLDS),
        ("/events/summer/waitlist/leave", Role.HOLDS),
        ("/scan/summer", Role.HOLDS),
        ("/scan/summer/scans", Role.HOLDS),
        ("/static/map.js", Role.CATALOGUE),
        ("/layouts/0123456789abcdef.json", Role.CATALOGUE),
        ("/api/events", Role.CATALOGUE),
        ("/api/events/summer", Role.CATALOGUE),
        ("/api/events/summer/map", Role.MAP),
        ("/api/events/summer/deltas", Role.MAP),
        ("/api/events/summer/holds", Role.HOLDS),
        ("/api/events/summer/holds/mine", Role.HOLDS),
        ("/api/events/summer/holds/AAAAAAAAAAA/reserve", Role.HOLDS),
        ("/api/events/summer/reservations/AAAA", Role.HOLDS),
        ("/api/events/summer/waitlist", Role.HOLDS),
        ("/organiser/api/events/summer/prices", Role.ORGANISER),
        ("/organiser", Role.ORGANISER),
        ("//organiser/api/events", Role.ORGANISER),
        ("/api/events/holds/map", Role.MAP),
        ("/health", None),
        ("/api/events/summer/map/more", None),
        ("/api", None),
        ("/api/stock", None),
        ("/organisers", Role.CATALOGUE),
        ("/anything/else", Role.CATALOGUE),
    ],
)
def test_an_address_belongs_to_one_role_or_to_everybody(path: str, role: Role | None) -> None:
    """The first pattern that fits counts; an event may be called like a part of an address."""
    assert role_of(path) is role


@given(st.text(max_size=60), st.sets(st.sampled_from(Role)))
def test_whatever_is_asked_an_address_is_answered_by_its_role_only(path: str, roles: set[Role]) -> None:
    """Any text is an address."""
    role = role_of(path)

    assert answers(roles, path) == (role is None or role in roles)
    assert answers(EVERY, path)


def test_every_role_but_the_background_has_an_address() -> None:
    """What runs behind has none."""
    assert {role for _, role in ADDRESSES} == EVERY - {Role.BACKGROUND} | {None}


@pytest.mark.parametrize(
    ("words", "roles"),
    [
        (["all"], EVERY),
        (["holds", "all"], EVERY),
        (["holds"], {Role.HOLDS}),
        (["map", "holds", "map"], {Role.MAP, Role.HOLDS}),
    ],
)
def test_roles_are_read_by_name(words: list[str], roles: set[Role]) -> None:
    """``all`` is every one."""
    assert read_roles(words) == roles


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        ([], ["The shop's roles: name at least one, or all."]),
        (
            ["Holds", "map", ""],
            [
                f"The shop's roles: {word!r} is none; there are background, catalogue, holds, map, organiser, and all."
                for word in ("Holds", "")
            ],
        ),
    ],
)
def test_a_role_that_is_none_is_told_with_all_others(words: list[str], faults: list[str]) -> None:
    """Every word that is wrong has its sentence."""
    with pytest.raises(Misconfigured) as caught:
        read_roles(words)

    assert list(caught.value.faults) == faults
