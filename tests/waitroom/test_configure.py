"""Configurations: two operators at once, sales under way, TOML beside the API, a store that forgets."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.errors import Misconfigured, Refused, Unavailable
from kernel.lua import load
from waitroom.configure import Actor, Applied, Configurations, Gone, Lever, Saved, Stale
from waitroom.configure_store import _LUA
from waitroom.field_readers import moment_text
from waitroom.rooms import Room
from waitroom.rooms_toml import parse_toml

ANN, BOB = Actor("ann", "the start"), Actor("bob")
MAIN = {"name": "main", "origin": "https://shop.example.com"}
MINUTE = 60_000


def sale_at(now_ms: int, **more: Any) -> dict[str, Any]:
    """Return a sale that gathers since a minute ago, starts in ten and ends in an hour."""
    return {
        "name": "spring",
        "prequeue_start_time": moment_text(now_ms - MINUTE),
        "event_start_time": moment_text(now_ms + 10 * MINUTE),
        "event_end_time": moment_text(now_ms + 60 * MINUTE),
        **more,
    }


def saved(result: Saved | Stale) -> Room:
    """Return the room of an accepted change."""
    assert isinstance(result, Saved)
    return result.room


async def test_a_room_is_made_read_changed_and_removed(store: Redis, clock: ManualClock) -> None:
    """Each accepted change counts the version up by one, and names who, why and what."""
    rooms = Configurations(store, clock)

    assert saved(await rooms.create(MAIN, ANN)).version == 1
    assert saved(await rooms.patch("main", {"session_duration": 7}, 1, BOB)).session_duration == 7
    assert saved(await rooms.put("main", {"origin": "https://a.b"}, 2, BOB)).session_duration == 5
    assert await rooms.get("main") == replace(Room("main", "https://a.b"), version=3)
    assert await rooms.delete("main", 3, ANN) == Gone(4)

    with pytest.raises(Refused) as error:
        await rooms.get("main")
    assert (error.value.code, error.value.status) == ("room-unknown", 404)
    assert await rooms.list() == []
    changes = await rooms.changes("main")
    assert [(change["version"], change["who"], change["why"]) for change in changes] == [
        (4, "ann", "the start"),
        (3, "bob", ""),
        (2, "bob", ""),
        (1, "ann", "the start"),
    ]
    assert changes[2]["what"] == [["session_duration", "5", "7"]]
    assert changes[1]["what"] == [
        ["origin", "https://shop.example.com", "https://a.b"],
        ["session_duration", "7", "5"],
    ]


async def both_write(store: Redis, rooms: Configurations) -> list[Saved | Stale]:
    """Let two operators who saw the same version write at the same moment."""
    await store.flushall()
    await rooms.create(MAIN, ANN)
    return list(
        await asyncio.gather(
            rooms.patch("main", {"new_users_per_minute": 10}, 1, ANN),
            rooms.patch("main", {"new_users_per_minute": 20}, 1, BOB),
        )
    )


async def test_of_two_operators_at_once_one_is_told_what_the_other_did(
    store: Redis, clock: ManualClock
) -> None:
    """The last write is refused with the current settings; nothing is overwritten unseen."""
    results = await both_write(store, Configurations(store, clock))

    won = [result.room for result in results if isinstance(result, Saved)]
    lost = [result.current for result in results if isinstance(result, Stale)]
    assert len(won) == 1
    assert lost == won


async def test_without_the_comparison_both_would_win(store: Redis, clock: ManualClock) -> None:
    """The mutant: a script that does not compare lets one operator overwrite the other."""
    blind = load(_LUA / "configure.lua").mutated("live ~= expected", "false")

    results = await both_write(store, Configurations(store, clock, blind))

    assert all(isinstance(result, Saved) for result in results)


async def test_a_change_without_a_version_is_decided_on_what_is_current(
    store: Redis, clock: ManualClock
) -> None:
    """Ten levers pulled at once are all pulled, one after another."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, ANN)

    results = await asyncio.gather(
        rooms.act("main", Lever.PAUSE, None, None, ANN),
        rooms.act("main", Lever.MESSAGE, "Soon.", None, BOB),
        rooms.act("main", Lever.RATE, 30, None, ANN),
    )

    room = await rooms.get("main")
    assert all(isinstance(result, Saved) for result in results)
    assert (room.version, room.paused, room.message, room.new_users_per_minute) == (4, True, "Soon.", 30)


async def test_a_room_made_again_goes_on_counting(store: Redis, clock: ManualClock) -> None:
    """A version seen in the earlier room can never change the later one."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, ANN)
    await rooms.delete("main", 1, ANN)

    again = saved(await rooms.create(MAIN, BOB))

    assert again.version == 3
    assert await rooms.patch("main", {"paused": True}, 1, ANN) == Stale(again)
    assert await rooms.create(MAIN, ANN) == Stale(again)


async def test_what_is_wrong_in_a_change_is_told_and_nothing_changes(
    store: Redis, clock: ManualClock
) -> None:
    """All faults at once; the name in the document must be the name in the address."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, ANN)

    with pytest.raises(Misconfigured) as error:
        await rooms.patch("main", {"session_duration": 0, "pauesd": True}, 1, ANN)
    assert len(error.value.faults) == 2
    with pytest.raises(Misconfigured, match="name cannot be changed"):
        await rooms.put("main", {**MAIN, "name": "other"}, 1, ANN)
    assert (await rooms.get("main")).version == 1


async def test_one_address_belongs_to_one_room(store: Redis, clock: ManualClock) -> None:
    """A second room before the same host and path is refused, at making and at changing."""
    rooms = Configurations(store, clock)
    await rooms.create({**MAIN, "path": "/x"}, ANN)

    with pytest.raises(Misconfigured, match="both stand before"):
        await rooms.create({**MAIN, "name": "two", "path": "/x"}, ANN)
    await rooms.create({**MAIN, "name": "two", "path": "/y"}, ANN)
    with pytest.raises(Misconfigured, match="both stand before"):
        await rooms.patch("two", {"path": "/x"}, None, ANN)


async def test_sales_are_added_changed_and_removed(store: Redis, clock: ManualClock) -> None:
    """Each is a change of its room; unknown and repeated names are refused."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, ANN)
    document = sale_at(clock.now_ms() + 60 * MINUTE)

    assert saved(await rooms.add_sale("main", document, ANN)).version == 2
    changed = saved(await rooms.patch_sale("main", "spring", {"description": "x"}, 2, ANN))
    assert changed.sales[0].description == "x"
    replaced = saved(await rooms.put_sale("main", "spring", document, 3, ANN))
    assert replaced.sales[0].description == ""
    assert (await rooms.sale("main", "spring"))[1].name == "spring"
    assert await rooms.delete_sale("main", "spring", 3, ANN) == Stale(replaced)
    with pytest.raises(Refused, match="sale-exists"):
        await rooms.add_sale("main", document, ANN)
    assert saved(await rooms.delete_sale("main", "spring", 4, ANN)).sales == ()
    with pytest.raises(Refused, match="sale-unknown"):
        await rooms.patch_sale("main", "spring", {}, None, ANN)


async def test_a_sale_under_way_cannot_vanish_but_can_end(store: Redis, clock: ManualClock) -> None:
    """People hold places in it: it is ended by its time, and then it drains."""
    rooms = Configurations(store, clock)
    await rooms.create({**MAIN, "sales": [sale_at(clock.now_ms())]}, ANN)

    for attempt in (
        rooms.delete_sale("main", "spring", 1, ANN),
        rooms.patch("main", {"sales": []}, 1, ANN),
        rooms.delete("main", 1, ANN),
    ):
        with pytest.raises(Refused) as error:
            await attempt
        assert (error.value.code, error.value.status) == ("sale-under-way", 409)

    clock.advance(20 * MINUTE)
    over = {"event_end_time": moment_text(clock.now_ms())}
    assert saved(await rooms.patch_sale("main", "spring", over, 1, ANN)).version == 2


async def test_rate_and_cap_change_what_is_in_force(store: Redis, clock: ManualClock) -> None:
    """While a sale with its own limits is on, the levers move those, and after it the room's."""
    rooms = Configurations(store, clock)
    own = sale_at(clock.now_ms(), total_active_users=50, new_users_per_minute=10)
    await rooms.create({**MAIN, "sales": [own]}, ANN)

    room = saved(await rooms.act("main", Lever.RATE, 20, None, ANN))
    assert (room.sales[0].new_users_per_minute, room.new_users_per_minute) == (20, 200)

    clock.advance(120 * MINUTE)
    room = saved(await rooms.act("main", Lever.CAP, 70, None, ANN))
    assert (room.sales[0].total_active_users, room.total_active_users) == (50, 70)
    for lever, bad in ((Lever.RATE, 0), (Lever.CAP, "many"), (Lever.MESSAGE, "x" * 281)):
        with pytest.raises(Misconfigured):
            await rooms.act("main", lever, bad, None, ANN)


async def test_every_lever_does_what_it_says(store: Redis, clock: ManualClock) -> None:
    """Pause, resume, bypass on and off, and a message taken back."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, ANN)

    async def pulled(lever: Lever, value: object = None) -> Room:
        return saved(await rooms.act("main", lever, value, None, ANN))

    assert (await pulled(Lever.PAUSE)).paused
    assert not (await pulled(Lever.RESUME)).paused
    assert (await pulled(Lever.BYPASS_ON)).bypass
    assert not (await pulled(Lever.BYPASS_OFF)).bypass
    assert (await pulled(Lever.MESSAGE, "Soon.")).message == "Soon."
    assert (await pulled(Lever.MESSAGE, "")).message == ""


TOML = '[rooms.main]\norigin = "https://shop.example.com"\nsession_duration = 3\n'


async def test_toml_makes_what_is_missing_and_leaves_the_rest(store: Redis, clock: ManualClock) -> None:
    """A restart with the same file undoes nothing that operators did, not even a removal."""
    rooms = Configurations(store, clock)

    assert await rooms.apply_toml(parse_toml(TOML)) == {"main": Applied.CREATED}
    await rooms.patch("main", {"session_duration": 9}, None, ANN)
    assert await rooms.apply_toml(parse_toml(TOML)) == {"main": Applied.KEPT}
    assert (await rooms.get("main")).session_duration == 9

    await rooms.delete("main", None, ANN)
    assert await rooms.apply_toml(parse_toml(TOML)) == {"main": Applied.KEPT}
    assert await rooms.list() == []


async def test_a_changed_toml_wins_except_over_operators_switches(store: Redis, clock: ManualClock) -> None:
    """A pause outlives a new configuration file; a room removed by API comes back with a new text."""
    rooms = Configurations(store, clock)
    await rooms.apply_toml(parse_toml(TOML))
    await rooms.act("main", Lever.PAUSE, None, None, ANN)
    await rooms.act("main", Lever.MESSAGE, "Soon.", None, ANN)
    await rooms.patch("main", {"session_duration": 9}, None, ANN)
    changed = parse_toml(TOML.replace("= 3", "= 4"))

    assert await rooms.apply_toml(changed) == {"main": Applied.CHANGED}

    room = await rooms.get("main")
    assert (room.session_duration, room.paused, room.message) == (4, True, "Soon.")
    await rooms.delete("main", None, ANN)
    assert await rooms.apply_toml(parse_toml(TOML)) == {"main": Applied.CREATED}


async def test_a_toml_that_would_cost_places_waits(store: Redis, clock: ManualClock) -> None:
    """The process starts all the same, with the settings under which people hold their places."""
    rooms = Configurations(store, clock)
    sale = sale_at(clock.now_ms())
    times = "\n".join(f'{name} = "{value}"' for name, value in sale.items())
    await rooms.apply_toml(parse_toml(f"{TOML}[[rooms.main.sales]]\n{times}\n"))

    assert await rooms.apply_toml(parse_toml(TOML)) == {"main": Applied.REFUSED}

    assert (await rooms.get("main")).sales[0].name == "spring"


async def test_many_workers_may_apply_the_same_toml_at_once(store: Redis, clock: ManualClock) -> None:
    """Each room is made once, whoever is first."""
    workers = [Configurations(store, clock) for _ in range(8)]

    results = await asyncio.gather(*(worker.apply_toml(parse_toml(TOML)) for worker in workers))

    assert sorted(str(result["main"]) for result in results) == ["created", *["kept"] * 7]
    assert (await workers[0].get("main")).version == 1


async def test_refresh_reads_what_changed_and_remembers_what_the_store_forgot(
    store: Redis, clock: ManualClock
) -> None:
    """A worker keeps its rooms through a FLUSHALL and puts them back under their old version."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, ANN)
    await rooms.create({**MAIN, "name": "two"}, ANN)
    first = await rooms.refresh({})
    await rooms.act("main", Lever.PAUSE, None, None, ANN)
    await rooms.delete("two", None, ANN)

    second = await rooms.refresh(first.rooms)

    assert list(second.rooms) == ["main"]
    assert second.rooms["main"].paused
    assert second.lost == frozenset()
    assert (await rooms.refresh(second.rooms)).rooms["main"] is second.rooms["main"]

    await store.flushall()
    third = await rooms.refresh(second.rooms)
    assert (third.rooms, third.lost) == (second.rooms, {"main"})
    assert await rooms.restore(third.rooms["main"])
    assert not await rooms.restore(third.rooms["main"])
    assert await rooms.get("main") == second.rooms["main"]
    assert (await rooms.refresh(third.rooms)).lost == frozenset()


async def test_settings_in_an_older_version_than_known_are_lost_too(store: Redis, clock: ManualClock) -> None:
    """A store that came back from an old copy does not take a worker back with it."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, ANN)
    known = await rooms.refresh({})
    newer = {"main": replace(known.rooms["main"], version=5, paused=True)}

    found = await rooms.refresh(newer)

    assert (found.rooms, found.lost) == (newer, {"main"})
    assert await rooms.restore(newer["main"])
    assert (await rooms.get("main")).version == 5


async def test_unreadable_settings_are_told_and_the_last_good_ones_stay(
    store: Redis, clock: ManualClock
) -> None:
    """A text that nobody can read never takes a room away from those who wait in it."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, ANN)
    known = (await rooms.refresh({})).rooms
    await store.set("wr:{main}:config", '{"version":9,"name":3}')

    assert (await rooms.refresh(known)).rooms == known
    assert await rooms.list() == []
    with pytest.raises(Unavailable) as error:
        await rooms.get("main")
    assert error.value.code == "settings-unreadable"


async def test_a_change_that_never_comes_through_ends(store: Redis, clock: ManualClock) -> None:
    """When somebody is always faster, the caller is asked to come back instead of waiting for ever."""
    never = load(_LUA / "configure.lua").mutated("live ~= expected", "true")
    await Configurations(store, clock).create(MAIN, ANN)
    rooms = Configurations(store, clock, never)

    with pytest.raises(Unavailable, match="settings-contended"):
        await rooms.act("main", Lever.PAUSE, None, None, ANN)
    assert isinstance(await rooms.delete("main", None, ANN), Stale)
    with pytest.raises(Unavailable, match="settings-contended"):
        await rooms.apply_toml(parse_toml(TOML))


async def test_a_room_that_is_not_there_is_not_changed(store: Redis, clock: ManualClock) -> None:
    """Neither by a change nor by a removal."""
    rooms = Configurations(store, clock)

    for attempt in (rooms.patch("main", {}, None, ANN), rooms.delete("main", None, ANN)):
        with pytest.raises(Refused, match="room-unknown"):
            await attempt
