"""Targets are changed where they are what somebody believes, and go on where they were."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from tests.dashboards.desk import app_of, program
from tests.dashboards.outgoing import Parts, entry, parts
from tests.waitroom.receivers import is_right, receiving
from waitroom.configure import Actor
from waitroom.journal import Kind
from waitroom.target_round import TargetRound
from waitroom.targets import State, tag_of

HOOK = {"name": "shop", "way": "webhook", "address": "https://hooks.example/one"}
OTHER = {"way": "webhook", "address": "https://hooks.example/two", "rooms": ["main"], "kinds": ["opened"]}


@pytest.fixture
def made(tmp_path: Path, clock: ManualClock) -> Iterator[Parts]:
    """Give an open journal."""
    with parts(f"sqlite:///{tmp_path}/journal.db", clock) as found:
        yield found


async def test_a_target_is_changed_where_it_is_what_somebody_believes(
    made: Parts, store: Redis, clock: ManualClock
) -> None:
    """By the tag that GET gave; a second one who believes the same is refused, and so is a removal."""
    async with program(app_of(store, clock, outgoing=made.outgoing), **{"waitroom-who": "Ann"}) as api:
        await api.post("/api/targets", json=HOOK)
        found = await api.get("/api/targets/shop")
        tag = found.json()["tag"]
        assert tag == tag_of("shop", "webhook", HOOK["address"], [], [])
        assert found.headers["etag"] == f'"{tag}"'
        before = made.store.get("shop")

        answer = await api.put("/api/targets/shop", json=OTHER, headers={"if-match": f'"{tag}"'})
        assert answer.status_code == 200
        assert answer.json()["tag"] == tag_of(
            "shop", "webhook", "https://hooks.example/two", ["main"], ["opened"]
        )
        after = made.store.get("shop")
        assert (after.address, after.rooms, after.kinds) == (OTHER["address"], ("main",), ("opened",))
        assert (after.cursor, after.salt, after.generation) == (before.cursor, before.salt, before.generation)
        for method, given in (("PUT", {"json": OTHER}), ("DELETE", {})):
            late = await api.request(method, "/api/targets/shop", headers={"if-match": f'"{tag}"'}, **given)  # type: ignore[arg-type]
            assert (late.status_code, late.json()["code"]) == (412, "settings-stale")
        gone = await api.delete("/api/targets/shop", headers={"if-match": answer.headers["etag"]})
        assert gone.status_code == 204
        assert (await api.put("/api/targets/shop", json=OTHER, headers={"if-match": "*"})).status_code == 404
    acts = [one.body["act"] for one in made.journal.entries()]
    assert acts == ["made the target", "changed the target", "removed the target"]


@pytest.mark.parametrize(
    ("given", "match", "status", "code"),
    [
        (OTHER, None, 428, "if-match-missing"),
        (OTHER, "", 428, "if-match-missing"),
        (OTHER, "7", 400, "if-match-invalid"),
        (OTHER, '"7"', 400, "if-match-invalid"),
        (OTHER, 'W/"' + "0" * 32 + '"', 400, "if-match-invalid"),
        (OTHER, '"' + "0" * 32 + '"', 412, "settings-stale"),
        ({}, "*", 422, "settings-invalid"),
        (OTHER | {"name": "shop"}, "*", 422, "settings-invalid"),
        (OTHER | {"after": None}, "*", 422, "settings-invalid"),
        (OTHER | {"turbo": 1}, "*", 422, "settings-invalid"),
        (OTHER | {"address": "https://10.0.0.1/"}, "*", 422, "settings-invalid"),
        (OTHER | {"way": "pigeon"}, "*", 422, "settings-invalid"),
    ],
)
async def test_what_is_no_change_is_refused(
    made: Parts, store: Redis, clock: ManualClock, given: Any, match: str | None, status: int, code: str
) -> None:
    """And nothing is changed."""
    async with program(app_of(store, clock, outgoing=made.outgoing)) as api:
        await api.post("/api/targets", json=HOOK)
        before = made.store.get("shop")
        answer = await api.put(
            "/api/targets/shop", json=given, headers={} if match is None else {"if-match": match}
        )
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert made.store.get("shop") == before


class Careless(TargetRound):
    """The mutant: what was passed over for another filter counts as heard."""

    def _at(self, target: Any) -> int:
        return self._passed.get(target.name, (None, target.cursor))[1]


@pytest.mark.parametrize("careless", [False, True])
async def test_what_was_passed_over_for_another_filter_is_told(
    made: Parts, clock: ManualClock, careless: bool
) -> None:
    """A dead one is tried again; the same secret signs. Whoever keeps what was passed over in mind misses it."""
    rounds = made.round if not careless else Careless(made.store, made.reader, made.ways, clock, made.metrics)
    made.journal.append([entry(Kind.ADMITTED, number="1")])
    async with receiving() as receiver:
        given = {"way": "webhook", "address": f"{receiver.url}/hook"}
        ann = Actor("Ann")
        await made.desk.make(given | {"name": "shop", "after": 0, "kinds": ["opened"]}, ann)
        await rounds.look()
        await rounds.told()
        made.store.change("shop", entry(Kind.TARGET, what="shop"), state=State.DEAD.value, tries=16)
        await made.desk.put("shop", given | {"kinds": ["admitted"]}, None, ann)
        await rounds.look()
        await rounds.told()
        await made.ways.close()
        if careless:
            assert receiver.heard == []
            return
        assert receiver.ids == ["shop.1"]
        secret = made.keys.of(made.store.get("shop"))
        assert is_right(*receiver.heard[0], secret, clock.now_ms() // 1000)
