"""Targets in a file: every fault at once, what would change, and the file that makes what is there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Misconfigured
from waitroom.journal import Kind
from waitroom.rooms_plan import Act, Step
from waitroom.rooms_toml import parse_toml
from waitroom.targets import TARGETS_MOST, Target, Way, shown_address
from waitroom.targets_plan import target_settled, targets_in, targets_planned, targets_to_toml, variable_of

SHOP = '[[targets]]\nname = "shop"\nway = "webhook"\naddress = "https://hooks.example/one"\n'
KNOWN = {
    ("address_env", "HOOK"): "https://hooks.example/one",
    ("address_file", "hook"): "https://hooks.example/one",
}


def source(by: str, name: str) -> str:
    """Give what is known."""
    if (by, name) not in KNOWN:
        raise Misconfigured([f"there is no {name}"])
    return KNOWN[by, name]


def read(text: str) -> list[Target]:
    """Read targets that are there."""
    found = targets_in(text, source)
    assert found is not None
    return found


def document(target: Target) -> dict[str, Any]:
    """Show a target as the API does."""
    return {
        "name": target.name, "tag": target.tag, "way": target.way.value, "address": shown_address(target),
        "rooms": list(target.rooms), "kinds": list(target.kinds), "state": "paused", "cursor": 7,
    }  # fmt: skip


def faults_of(text: str) -> tuple[str, ...]:
    """Return what is said against a text."""
    with pytest.raises(Misconfigured) as error:
        targets_in(text, source)
    return error.value.faults


def test_an_address_stands_in_the_file_or_is_named_there() -> None:
    """Three ways, one target; a file without the word says nothing, an empty list that there are none."""
    (shop,) = read(SHOP)
    for by, name in KNOWN:
        (other,) = read(f'[[targets]]\nname = "shop"\nway = "webhook"\n{by} = "{name}"\n')
        assert (other, other.tag) == (shop, shop.tag)
    assert (targets_in("", source), targets_in("targets = []", source)) == (None, [])
    assert parse_toml(SHOP, beside=("targets",)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targets = 3", "targets must be tables such as [[targets]]"),
        ("targets = [3]", "targets must be tables such as [[targets]]"),
        ('[targets.shop]\nway = "chat"', "targets must be tables such as [[targets]]"),
        ("[[targets]]", "targets[0].name: must be"),
        ("[[targets]]", "targets[0].address: one of address, address_file, address_env is needed"),
        ("[[targets]]", "targets[0].way: must be webhook, chat or mail"),
        (SHOP + "turbo = 1", "targets.shop.turbo is not known"),
        (SHOP + "after = 1", "targets.shop.after is not known"),
        (SHOP + "kind = []", "targets.shop.kind is not known; did you mean kinds?"),
        (SHOP + 'address_env = "HOOK"', "targets.shop.address: one of address"),
        (SHOP + 'rooms = "main"', "targets.shop.rooms: must be a list"),
        (SHOP + 'kinds = ["odd"]', "targets.shop.kinds: must be a list"),
        (SHOP + SHOP, "targets.shop: there are two of this name"),
        ('[[targets]]\nname = "a"\nway = "chat"\naddress_env = "NONE"', "targets.a.address_env: there is no NONE"),
        ('[[targets]]\nname = "a"\nway = "chat"\naddress_file = 3', "targets.a.address_file: there is no 3"),
        ("".join(SHOP.replace("shop", f"s{n}") for n in range(TARGETS_MOST + 1)), "targets: there can be 50 at most"),
    ],
)  # fmt: skip
def test_faults_name_the_target_and_the_field(text: str, said: str) -> None:
    """All of them at once."""
    assert any(fault.startswith(said) for fault in faults_of(text)), faults_of(text)


def test_made_changed_kept_left_and_removed_are_told_apart() -> None:
    """What a target is doing and how far it has heard is no business of a file."""
    text = SHOP + SHOP.replace("shop", "new") + SHOP.replace("shop", "same")
    (shop, new, same) = read(text)
    there = [
        document(read(SHOP + 'rooms = ["main"]')[0]),
        document(same),
        document(read(SHOP.replace("shop", "old"))[0]),
    ]

    make, change, keep, leave = targets_planned([shop, new, same], there)

    body = {"way": "webhook", "address": "https://hooks.example/one", "rooms": [], "kinds": []}
    assert (make.label, make.act, make.path, make.body) == ("target new", Act.MAKE, "/api/targets/new", body)
    assert (change.label, change.act, change.tag) == ("target shop", Act.CHANGE, there[0]["tag"])
    assert (change.what, change.body) == ((("rooms", ["main"], []),), body)
    assert [(one.room, one.act) for one in (keep, leave)] == [("same", Act.KEEP), ("old", Act.LEAVE)]
    pruned = targets_planned([same], there, prune=True)
    assert [(one.room, one.act) for one in pruned] == [
        ("shop", Act.REMOVE),
        ("old", Act.REMOVE),
        ("same", Act.KEEP),
    ]


def test_a_path_that_is_not_shown_is_compared_and_not_told() -> None:
    """The API shows the host alone; the plan says that the path is another, and never which."""
    (shop,) = read(SHOP)
    (other,) = read(SHOP.replace("/one", "/two"))

    (step,) = targets_planned([other], [document(shop)])

    assert step.act is Act.CHANGE
    assert step.what == (("address", "https://hooks.example/…", "https://hooks.example/… (another path)"),)
    (made,) = targets_planned([shop], [])
    assert "/one" not in str(made.what)


def test_the_order_of_rooms_and_kinds_is_no_change() -> None:
    """They are sets that are written down."""
    (one,) = read(SHOP + 'rooms = ["a", "b"]\nkinds = ["opened", "phase"]')
    (other,) = read(SHOP + 'rooms = ["b", "a"]\nkinds = ["phase", "opened"]')
    assert [step.act for step in targets_planned([other], [document(one)])] == [Act.KEEP]


@pytest.mark.parametrize(
    ("act", "now", "done"),
    [
        (Act.MAKE, None, False), (Act.MAKE, "wanted", True), (Act.MAKE, "third", None),
        (Act.CHANGE, None, None), (Act.CHANGE, "wanted", True), (Act.CHANGE, "before", False),
        (Act.CHANGE, "third", None), (Act.REMOVE, None, True), (Act.REMOVE, "before", False),
        (Act.REMOVE, "third", None),
    ],
)  # fmt: skip
def test_a_lost_answer_is_judged_by_what_is_there(act: Act, now: str | None, done: bool | None) -> None:
    """Done, not done, or nobody can tell."""
    states = {
        "wanted": read(SHOP)[0], "before": read(SHOP + 'rooms = ["a"]')[0], "third": read(SHOP + 'rooms = ["b"]')[0],
    }  # fmt: skip
    (made,) = targets_planned([states["wanted"]], [])
    tag = "" if act is Act.MAKE else states["before"].tag
    step = Step("shop", act, body=None if act is Act.REMOVE else made.body, of="targets", tag=tag)

    assert target_settled(step, None if now is None else document(states[now])) is done


NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
ADDRESSES = {
    Way.WEBHOOK: st.sampled_from(["https://hooks.example/a?b=c", "https://hooks.example/", "https://[2606:2800::1]:8/x"]),
    Way.CHAT: st.sampled_from(["https://chat.example/secret", "https://chat.example/"]),
    Way.MAIL: st.sampled_from(["ops@hall.example", "o'p\u00e4s@hall.example"]),
}  # fmt: skip


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """Draw a target that may be."""
    way = draw(st.sampled_from(list(Way)))
    rooms = draw(st.lists(NAMES, max_size=3))
    kinds = draw(st.lists(st.sampled_from([kind.value for kind in Kind]), max_size=3))
    return Target(draw(NAMES), way, draw(ADDRESSES[way]), tuple(rooms), tuple(kinds))


@given(found=st.lists(targets(), max_size=3, unique_by=lambda one: one.name))
def test_what_is_exported_makes_the_same_targets_and_has_no_secret(found: list[Target]) -> None:
    """Where the variables that it names have the addresses."""
    text = targets_to_toml(map(document, found))
    known = {variable_of(one.name): one.address for one in found}

    read_again = targets_in(text, lambda _, name: known[name]) or []

    assert {one.name: one.tag for one in read_again} == {one.name: one.tag for one in found}
    assert "secret" not in text
    assert "b=c" not in text
