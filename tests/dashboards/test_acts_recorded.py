"""Every act of the API leaves one record with who, when and why; the table is held against the API's own."""

from typing import Any

import pytest
from redis.asyncio import Redis

from dashboards.api_table import OPERATIONS
from kernel.clock import ManualClock
from tests.dashboards.desk import MAIN, app_of, program
from tests.dashboards.wired import SALE

ONE = "/api/rooms/{room}"
SPRING = f"{ONE}/sales/{{sale}}"
WHO = {"waitroom-who": "mia", "waitroom-why": "because"}
NOW = WHO | {"if-match": "*"}
TIMES = {name: text for name, text in SALE.items() if name != "name"}

PLAYED: dict[tuple[str, str], tuple[Any, str]] = {
    ("POST", "/api/rooms"): (MAIN | {"name": "side", "path": "/side"}, "configured"),
    ("PUT", ONE): (MAIN | {"sales": [SALE], "total_active_users": 7}, "configured"),
    ("PATCH", ONE): ({"total_active_users": 8}, "configured"),
    ("DELETE", ONE): (None, "removed"),
    ("POST", f"{ONE}/sales"): (
        SALE | {"name": "autumn", "event_start_time": "2097-06-01T10:00:00Z",
                "event_end_time": "2097-06-01T12:00:00Z"},
        "configured",
    ),
    ("PUT", SPRING): (TIMES | {"description": "Anew"}, "configured"),
    ("PATCH", SPRING): ({"description": "Anew"}, "configured"),
    ("DELETE", SPRING): (None, "configured"),
    ("POST", f"{ONE}/acts/{{lever}}"): ({}, "configured"),
    ("POST", f"{ONE}/stock"): ({"left": 5}, "configured"),
}  # fmt: skip
"""Body, and the kind of the record that the store makes in the same step."""

HAVE_THEIR_OWN = {
    f"{ONE}/release": "written with the act: tests/gateway/test_guest_records.py",
    f"{ONE}/sessions/{{sid}}/{{act}}": "a shop's act without a person: tests/admission, kinds ended and renewed",
    f"{ONE}/guests/revoke-all": "admission writes it: tests/admission/test_guests.py",
    f"{ONE}/guests/{{arrived}}/{{act}}": "admission writes it: tests/admission/test_guests.py",
    f"{ONE}/bypass": "admission writes it: tests/admission/test_bypass.py",
    f"{ONE}/bypass/{{token}}/revoke": "admission writes it: tests/admission/test_bypass.py",
    f"{ONE}/codes": "written with the codes: tests/gateway/test_priority_codes.py",
    f"{ONE}/codes/{{batch}}/revoke": "written with the act: tests/gateway/test_priority_codes.py",
    "/api/targets": "TargetDesk writes it: tests/dashboards/test_targets.py",
    "/api/targets/{target}": "TargetDesk writes it: tests/dashboards/test_targets.py",
    "/api/targets/{target}/{step}": "TargetDesk writes it: tests/dashboards/test_targets.py",
}
"""Acts that no settings are: who writes their record, and which test sees it."""


def test_no_act_of_the_api_is_left_out() -> None:
    """A new one needs a line above."""
    acts = {(one.method, one.path) for one in OPERATIONS if one.method != "GET"}

    assert set(PLAYED) == {act for act in acts if act[1] not in HAVE_THEIR_OWN}
    assert set(HAVE_THEIR_OWN) == {path for _, path in acts} - {path for _, path in PLAYED}


@pytest.mark.parametrize(("act", "body", "kind"), [(act, *told) for act, told in PLAYED.items()])
async def test_an_act_leaves_one_record_with_who_when_and_why(
    store: Redis, clock: ManualClock, act: tuple[str, str], body: Any, kind: str
) -> None:
    """In the room's stream, from which it goes into the journal as it is."""
    method, path = act
    address = path.format(room="main", sale="spring", lever="pause")
    room = "side" if path == "/api/rooms" else "main"
    stream = f"wr:{{{room}}}:journal"
    headers = WHO if method == "POST" and "acts" not in path else NOW
    async with program(app_of(store, clock)) as api:
        made = await api.post("/api/rooms", json=MAIN | {"sales": [SALE]})
        before = await store.xlen(stream)
        answer = await api.request(method, address, json=body, headers=headers)
        records = (await store.xrange(stream))[before:]

    assert made.status_code == 201
    assert answer.is_success, answer.text
    (record,) = [{name.decode(): text.decode() for name, text in fields.items()} for _, fields in records]
    assert (record["kind"], record["who"], record["why"]) == (kind, "mia", "because")
    assert int(record["at_ms"]) > 0
