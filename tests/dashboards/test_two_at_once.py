"""Two operators at once: whatever the second one does, they are told what the first did, and nothing is lost."""

import html
import re

import pytest
from redis.asyncio import Redis

from dashboards import acts
from dashboards.api_table import OPERATIONS
from kernel.clock import ManualClock
from tests.dashboards.desk import MAIN, app_of, csrf_in, program, signed_in
from tests.dashboards.test_acts import PULLS, a_room
from tests.dashboards.test_acts_recorded import PLAYED
from tests.dashboards.wired import SALE
from waitroom.configure import Lever
from waitroom.rooms import to_dict

LAST = {Lever(lever): (form, started) for lever, form, started, _ in PULLS}
"""A form of each lever; that none is left out is seen where the table stands."""

ON = {Lever.RESUME: {"paused": True}, Lever.BYPASS_OFF: {"bypass": True}, Lever.REOPEN: {"draining": True}}

FIRST: dict[Lever, object] = {
    Lever.MESSAGE: "Be patient.",
    Lever.RATE: 90,
    Lever.CAP: 44,
    Lever.LANES: {"verified": 0.6, "standard": 0.3, "suspect": 0.1},
    Lever.DELAY: 15,
    Lever.PROLONG: 15,
}
"""What the first one wanted with the same lever; beside a switch they change the rate."""

EVEN_SO = frozenset({Lever.PAUSE})
"""An emergency does not wait for a reload."""


@pytest.mark.parametrize("lever", list(Lever))
async def test_the_second_of_two_is_refused_with_both_and_goes_on_top(
    store: Redis, clock: ManualClock, lever: Lever
) -> None:
    """Both loaded the page. What the first did stands until the second, who has seen it, puts theirs on top."""
    form, started = LAST[lever]
    rooms = await a_room(store, clock, started=started, **ON.get(lever, {}))
    app = app_of(store, clock)
    async with signed_in(app) as ann, signed_in(app, "Bob") as bob:
        paper = {"csrf": csrf_in(await bob.get("/")), "version": "1"}
        first, value = (lever, FIRST[lever]) if lever in FIRST else (Lever.RATE, FIRST[Lever.RATE])
        fields = {"value": str(value)} if isinstance(value, int | str) else {}
        if lever is Lever.LANES:
            fields = {"verified": "60", "standard": "30", "suspect": "10"}
        mine = {"csrf": csrf_in(await ann.get("/")), "version": "1", "why": "the site is slow"}
        assert (await ann.post(f"/rooms/main/{first}", data=mine | fields)).status_code == 303
        before = to_dict(await rooms.get("main"))

        answer = await bob.post(f"/rooms/main/{lever}", data=paper | {"why": "it recovers"} | form)
        if lever in EVEN_SO:
            assert answer.status_code == 303
            assert to_dict(await rooms.get("main")) == before | {"paused": True}
            return
        theirs, found, yours = answer.text.partition('id="yours"')
        assert (answer.status_code, bool(found)) == (409, True)
        assert "Ann Lee" in theirs
        assert "“the site is slow”" in theirs
        assert "changes-what" in yours
        assert "Apply mine on top" in yours
        assert to_dict(await rooms.get("main")) == before, "a refusal changes nothing"

        again = {
            name: html.unescape(text) for name, text in re.findall(r'name="(\w+)" value="([^"]*)"', yours)
        }
        done = await bob.post(f"/rooms/main/{lever}", data=again)
    assert (done.status_code, again["version"]) == (303, "2")
    changes = await rooms.changes("main", 2)
    assert [(one["who"], one["why"]) for one in changes] == [
        ("Bob", "it recovers"),
        ("Ann Lee", "the site is slow"),
    ]
    if lever not in FIRST:
        assert (await rooms.get("main")).new_users_per_minute == FIRST[Lever.RATE]


@pytest.mark.parametrize("lever", [Lever.CAP, Lever.DRAIN])
async def test_a_version_that_nobody_compares_is_noticed(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, lever: Lever
) -> None:
    """The mutant: the second one wins, and nobody is told."""
    monkeypatch.setattr(acts, "seen_version", lambda *_: None)

    with pytest.raises(AssertionError):
        await test_the_second_of_two_is_refused_with_both_and_goes_on_top(store, clock, lever)


CHANGES = sorted(
    (one.method, one.path)
    for one in OPERATIONS
    if (one.method, one.path) in PLAYED and (one.match or one.headers)
)
"""What the API changes of settings that are there: that no act is left out of ``PLAYED`` is seen where it stands."""


@pytest.mark.parametrize("act", CHANGES)
async def test_the_second_of_two_programs_is_refused_with_what_the_first_did(
    store: Redis, clock: ManualClock, act: tuple[str, str]
) -> None:
    """By the tag of what they saw: 412, the settings as they are, and who changed what since."""
    method, path = act
    body, _ = PLAYED[act]
    async with program(app_of(store, clock)) as api:
        made = await api.post("/api/rooms", json=MAIN | {"sales": [SALE]})
        seen = {"if-match": made.headers["etag"], "waitroom-who": "Ann", "waitroom-why": "slow"}
        await api.patch("/api/rooms/main", json={"new_users_per_minute": 90}, headers=seen)
        before = (await api.get("/api/rooms/main")).json()
        address = path.format(room="main", sale="spring", lever="drain")
        answer = await api.request(method, address, json=body, headers=seen)
        after = (await api.get("/api/rooms/main")).json()

    told = answer.json()
    assert (answer.status_code, told["current"]["version"]) == (412, 2)
    assert [(one["who"], one["why"], one["what"]) for one in told["changes"]] == [
        ("Ann", "slow", [["new_users_per_minute", "200", "90"]])
    ]  # fmt: skip
    assert after == before


def test_the_acts_that_may_meet_are_known() -> None:
    """A new one is tried as soon as it is described; these are not lost from the table."""
    assert len(CHANGES) == 7
