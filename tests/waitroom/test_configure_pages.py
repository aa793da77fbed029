"""An operator's own page: refused with its faults when it is configured, so that no fan ever meets a broken one."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.errors import Misconfigured
from waitroom import configure, own_page
from waitroom.configure import Actor, Configurations, Lever, Saved, Stale
from waitroom.configure_store import ConfigureStore
from waitroom.field_readers import moment_text
from waitroom.revision import Act
from waitroom.rooms import parse
from waitroom.rooms_toml import parse_toml

ANN = Actor("ann")
GOOD = (
    "<html {{{waitroom.attributes}}}><head>{{{waitroom.head}}}</head>"
    "<body>{{{waitroom.main}}}{{{waitroom.footer}}}</body></html>"
)
BAD = "<html><body>{{{waitroom.main}}}</body></html>"
MAIN = {"name": "main", "origin": "https://shop.example.com"}

Change = Callable[[Configurations], Awaitable[Saved | Stale]]


def spring(clock: ManualClock, **more: Any) -> dict[str, Any]:
    """Return a sale of tomorrow."""
    start_ms = clock.now_ms() + 86_400_000
    return {
        "name": "spring",
        "event_start_time": moment_text(start_ms),
        "event_end_time": moment_text(start_ms + 3_600_000),
        **more,
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda rooms: rooms.create(MAIN | {"name": "next", "custom_page_html": BAD}, ANN), "custom"),
        (lambda rooms: rooms.put("main", MAIN | {"custom_page_html": BAD}, None, ANN), "custom"),
        (lambda rooms: rooms.patch("main", {"custom_page_html": BAD}, None, ANN), "custom"),
        (
            lambda rooms: rooms.patch_sale("main", "spring", {"custom_page_html": BAD}, None, ANN),
            "sales.spring.custom",
        ),
    ],
    ids=["create", "put", "patch", "sale"],
)
async def test_a_page_that_cannot_work_is_refused_and_changes_nothing(
    store: Redis, clock: ManualClock, change: Change, field: str
) -> None:
    """Whoever brings it in is told all that is missing, by field; the room stays as it was."""
    rooms = Configurations(store, clock)
    made = await rooms.create(MAIN | {"custom_page_html": GOOD, "sales": [spring(clock)]}, ANN)
    assert isinstance(made, Saved)

    with pytest.raises(Misconfigured) as told:
        await change(rooms)

    assert [fault.partition(":")[0] for fault in told.value.faults] == [f"{field}_page_html"] * 3
    assert "{{{waitroom.attributes}}}" in told.value.faults[0]
    assert await rooms.list() == [made.room]


async def test_the_pages_of_a_file_are_judged_before_anything_of_it_is_applied(
    store: Redis, clock: ManualClock
) -> None:
    """The faults of all rooms are told at once, each with its room; the good room is not made either."""
    rooms = Configurations(store, clock)
    text = "".join(
        f"[rooms.{name}]\norigin = 'http://{name}'\nhost = '{name}'\n{page}\n"
        for name, page in (
            ("a", ""),
            ("b", "custom_page_html = '{{/open}}'"),
            ("c", "custom_page_html = '{{ nothing }}'"),
        )
    )

    with pytest.raises(Misconfigured) as told:
        await rooms.apply_toml(parse_toml(text))

    assert [fault.partition(":")[0] for fault in told.value.faults] == [
        "rooms.b.custom_page_html",
        *["rooms.c.custom_page_html"] * 4,
    ]
    assert await rooms.list() == []


async def test_a_page_that_is_there_already_does_not_refuse_a_pause(store: Redis, clock: ManualClock) -> None:
    """A page that an older version let in is nobody's reason to lose the levers of a running sale."""
    rooms = Configurations(store, clock)
    old = parse(MAIN | {"custom_page_html": BAD})
    await ConfigureStore(store).configure("main", Act.PUT, 0, configure._body(old), "", "", "{}")

    assert isinstance(await rooms.act("main", Lever.PAUSE, None, None, ANN), Saved)
    assert isinstance(await rooms.act("main", Lever.MESSAGE, "Back soon.", None, ANN), Saved)
    assert await rooms.get("main") == replace(old, paused=True, message="Back soon.", version=3)


async def test_without_the_check_a_fan_would_meet_the_broken_page(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: with a judge that finds nothing, a page gets in that cannot be rendered."""
    monkeypatch.setattr(configure, "custom_page_faults", lambda _: [])
    rooms = Configurations(store, clock)

    made = await rooms.create(MAIN | {"custom_page_html": "{{/open}}"}, ANN)

    assert isinstance(made, Saved)
    with pytest.raises(Exception, match="open"):
        own_page.rendered(made.room.custom_page_html or "", dict.fromkeys(own_page.PARTS, ""), {})
