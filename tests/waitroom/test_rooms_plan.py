"""Plan: what a file would change, in which order, and what is left alone."""

from typing import Any

import pytest

from kernel.errors import Misconfigured
from waitroom.rooms import merge_patch, parse, to_dict
from waitroom.rooms_plan import SWITCHES, Act, Step, planned, settled
from waitroom.rooms_toml import named_in, parse_toml

SALE = {
    "name": "spring",
    "event_start_time": "2027-03-01T10:00:00Z",
    "event_end_time": "2027-03-01T16:00:00Z",
}


def there(name: str = "main", version: int = 3, **more: Any) -> dict[str, Any]:
    """Return a room as the API shows it."""
    return {"version": version} | to_dict(parse({"name": name, "origin": "http://site", **more}))


def steps_of(text: str, *documents: dict[str, Any], prune: bool = False) -> list[Step]:
    """Plan a file's text."""
    return planned(parse_toml(text), named_in(text), documents, prune=prune)


def room(name: str = "main", *lines: str) -> str:
    """Write a room of a file."""
    return "\n".join([f"[rooms.{name}]", 'origin = "http://site"', *lines, ""])


def test_made_changed_kept_and_left_are_told_apart() -> None:
    """Each with the version that it was planned on; of a change only what differs."""
    text = room("new", "drain_s = 5") + room("main", "drain_s = 7") + room("same")

    new, main, same, left = steps_of(text, there(), there("same", 9), there("else", 4))

    assert (new.act, new.version, new.body) == (
        Act.MAKE,
        0,
        {"name": "new", "origin": "http://site", "drain_s": 5},
    )
    assert new.what == (("origin", None, "http://site"), ("drain_s", None, 5))
    assert (main.act, main.version, main.body) == (Act.CHANGE, 3, {"drain_s": 7})
    assert main.what == (("drain_s", 600, 7),)
    assert (same.act, same.version) == (Act.KEEP, 9)
    assert (left.room, left.act, left.version) == ("else", Act.LEAVE, 4)


def test_what_only_the_server_has_is_removed_where_that_is_asked_for() -> None:
    """And not otherwise: the mutant that prunes by itself fails here."""
    assert [step.act for step in steps_of(room(), there(), there("else"))] == [Act.KEEP, Act.LEAVE]
    assert [(step.room, step.act) for step in steps_of(room(), there(), there("else"), prune=True)] == [
        ("else", Act.REMOVE),
        ("main", Act.KEEP),
    ]


def test_switches_that_the_file_does_not_name_are_left_alone() -> None:
    """Paused, bypass, draining, message, stock and moved_to belong to whoever steers the sale."""
    steered = {
        "paused": True, "bypass": True, "draining": True, "message": "Soon", "stock_state": "last", "stock_left": 4,
        "moved_to": "/x",
    }  # fmt: skip
    assert steered.keys() == set(SWITCHES)

    assert [step.act for step in steps_of(room(), there(**steered))] == [Act.KEEP]
    named = room("main", "paused = false", 'message = ""', 'stock_state = "selling"')
    (step,) = steps_of(named, there(**steered))
    assert step.body == {"paused": False, "message": "", "stock_state": "selling"}


def test_a_change_makes_what_the_file_says() -> None:
    """The patch, applied as the API does, gives the file's document: also what falls back to its default."""
    before = there(
        theme={"colours": {"glow": "#ff8f52"}, "logo": "https://a.example/l.png"}, max_waiting=7,
        lane_shares={"verified": 0.5, "standard": 0.45, "suspect": 0.05}, sales=[SALE], frame_ancestors=["'self'"],
    )  # fmt: skip
    text = room("main", "recall_share = 0.2", "[rooms.main.theme.colours]", 'leaf = "#ff8f52"')

    (step,) = steps_of(text, before)

    assert step.body is not None
    assert step.body["theme"] == {"logo": None, "colours": {"glow": None, "leaf": "#ff8f52"}}
    version = before.pop("version")
    after = parse(merge_patch(before, step.body))
    assert (to_dict(after), version) == (to_dict(parse_toml(text)[0]), step.version)
    assert ("sales.spring", before["sales"][0], None) in step.what


def test_settings_of_a_newer_installation_are_left_alone() -> None:
    """What this version does not know is neither shown nor sent."""
    (step,) = steps_of(room("main", "drain_s = 1"), there() | {"turbo": True})

    assert step.body == {"drain_s": 1}
    assert [field for field, _, _ in step.what] == ["drain_s"]


def test_who_frees_an_address_comes_first() -> None:
    """Makings, changes, removals; but an address is free before somebody takes it."""
    old = there("old", path="/a")
    text = room("new", 'path = "/a"') + room("old", 'path = "/b"') + room("more", 'path = "/c"')
    assert [step.room for step in steps_of(text, old)] == ["more", "old", "new"]

    renamed = steps_of(room("new", 'path = "/a"'), old, prune=True)
    assert [(step.room, step.act) for step in renamed] == [("old", Act.REMOVE), ("new", Act.MAKE)]
    routes = [{"host": "a.example.com", "path": "/x"}]
    assert [step.act for step in steps_of(room("a"), there("b", additional_routes=routes))] == [
        Act.MAKE,
        Act.LEAVE,
    ]


def test_two_rooms_before_one_address_are_a_fault_of_the_plan() -> None:
    """Of a room in the file and one that stays; the end counts, not the way there."""
    with pytest.raises(Misconfigured, match=r"rooms\.old and rooms\.new both stand before \*/a"):
        steps_of(room("new", 'path = "/a"'), there("old", path="/a"))


def test_addresses_that_are_exchanged_are_a_fault_of_the_plan() -> None:
    """No order does it: one of them goes elsewhere first."""
    text = room("a", 'path = "/b"') + room("b", 'path = "/a"')
    with pytest.raises(Misconfigured, match="The rooms a, b exchange addresses"):
        steps_of(text, there("a", path="/a"), there("b", path="/b"))


@pytest.mark.parametrize(
    ("step", "now", "done"),
    [
        (Step("main", Act.REMOVE, 3), None, True),
        (Step("main", Act.REMOVE, 3), there(), False),
        (Step("main", Act.REMOVE, 3), there(version=4), None),
        (Step("main", Act.MAKE, body={"name": "main"}), None, False),
        (Step("main", Act.MAKE, body={"name": "main", "sales": [SALE]}), there(sales=[SALE]), True),
        (Step("main", Act.MAKE, body={"name": "main", "sales": [SALE]}), there(), None),
        (Step("main", Act.MAKE, body={"name": "main", "drain_s": 5}), there(), None),
        (Step("main", Act.CHANGE, 3, {"drain_s": 5}), None, None),
        (Step("main", Act.CHANGE, 3, {"drain_s": 5}), there(), False),
        (Step("main", Act.CHANGE, 3, {"drain_s": 5}), there(version=4), None),
        (Step("main", Act.CHANGE, 3, {"drain_s": 5, "theme": {"logo": None}}), there(version=4, drain_s=5), True),
    ],
)  # fmt: skip
def test_a_lost_answer_is_settled_by_what_is_there(
    step: Step, now: dict[str, Any] | None, done: bool | None
) -> None:
    """Done, not done, or nobody knows, because somebody else has been there."""
    assert settled(step, now) is done
