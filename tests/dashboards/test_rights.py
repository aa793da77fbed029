"""Rights: each role has all of the one before, and a person who is limited to rooms reaches nothing else."""

import pytest

from dashboards.rights import Person, Role, demand
from kernel.errors import Refused

ROLES = list(Role)


@pytest.mark.parametrize("has", ROLES)
@pytest.mark.parametrize("takes", ROLES)
def test_a_role_has_all_of_the_one_before(has: Role, takes: Role) -> None:
    """Viewer, operator, owner."""
    may = ROLES.index(has) >= ROLES.index(takes)
    assert Person("Ann", has).may(takes) is may
    assert Person("Ann", has).may(takes, "main") is may
    assert Person("Ann", has, frozenset({"main"})).may(takes, "main") is may


@pytest.mark.parametrize("has", ROLES)
def test_who_is_limited_to_rooms_reaches_nothing_else(has: Role) -> None:
    """Neither another room nor what belongs to no room."""
    person = Person("Ann", has, frozenset({"main"}))
    assert person.sees("main")
    assert not person.sees("other")
    assert not person.may(Role.VIEWER)
    assert not Person("Ann", has, frozenset()).sees("main")


def test_a_refusal_says_what_it_takes() -> None:
    """And nothing is refused to who may."""
    demand(Person("Ann", Role.OPERATOR), Role.OPERATOR, "main")
    with pytest.raises(Refused, match="takes the role operator in the room main") as refused:
        demand(Person("Ann", Role.VIEWER), Role.OPERATOR, "main")
    assert (refused.value.code, refused.value.status) == ("not-allowed", 403)
