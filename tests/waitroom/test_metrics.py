"""What the line counts: a refusal is an answer, a failure is not, and each stands by what was asked."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.waitroom.house import ROOM, house
from waitroom.lanes import Lane
from waitroom.metrics import PROMISED, EventMetrics, Metrics


def failed(metrics: Metrics, act: str) -> float:
    """Tell how often an act has failed."""
    return float(metrics.failed.labels(act)._value.get())


async def asked(metrics: Metrics, act: str, error: Exception | None) -> None:
    """Ask once, of a handler that ends so."""

    async def handler(*_words: Any) -> None:
        if error is not None:
            raise error

    watched = metrics.watched({("POST", act): handler})[("POST", act)]
    if error is None:
        await watched({}, None, None, "main")  # type: ignore[arg-type]
        return
    with pytest.raises(type(error)) as told:
        await watched({}, None, None, "main")  # type: ignore[arg-type]
    assert told.value is error


@pytest.mark.parametrize(
    ("act", "error", "counts"),
    [
        ("join", None, (0, 0)),
        ("join", Refused("room-full", "Full."), (0, 1)),
        ("join", Unavailable("store-away", "Away."), (1, 0)),
        ("join", KeyError("a fault of ours"), (1, 0)),
        ("", Unavailable("room-restoring", "Back soon."), (1, 0)),
    ],
)
async def test_a_failure_is_counted_by_what_was_asked(
    act: str, error: Exception | None, counts: tuple[int, int]
) -> None:
    """Whatever ends a request without an answer of its own; the page itself has no word in its address."""
    metrics = Metrics(CollectorRegistry())
    await asked(metrics, act, error)
    refused = metrics.refusals(error.code) if isinstance(error, Refused) else 0

    assert (failed(metrics, act or "page"), refused) == counts


def test_a_form_that_is_answered_by_a_page_counts_the_same() -> None:
    """Without a script a failure is shown as a page, and no exception comes as far as the watch."""
    metrics = Metrics(CollectorRegistry())
    metrics.refuse(Unavailable("store-away", "Away."), "join")
    metrics.refuse(Refused("too-many-joins", "Later."), "join")

    assert (failed(metrics, "join"), metrics.refusals("too-many-joins")) == (1, 1)


def test_what_objectives_stand_on_is_there_from_the_beginning() -> None:
    """Prometheus sees no increase in a series that begins with one."""
    registry = CollectorRegistry()
    Metrics(registry)

    for act in PROMISED:
        assert registry.get_sample_value("waitroom_line_failed_total", {"act": act}) == 0


def test_a_target_that_is_not_told_has_nothing_before_it() -> None:
    """Paused, dead or gone, nobody waits for it: an alert that says it falls behind would never end."""
    registry = CollectorRegistry()
    metrics = EventMetrics(registry)

    def shown(name: str) -> tuple[float | None, float | None]:
        return (
            registry.get_sample_value("waitroom_events_behind_entries", {"target": name}),
            registry.get_sample_value("waitroom_events_failed_tries", {"target": name}),
        )

    metrics.show([("a", 9000, 3, "active"), ("b", 9000, 3, "paused"), ("c", 9000, 16, "dead")])
    told = [shown(name) for name in "abc"]
    metrics.show([("b", 9000, 3, "active")])

    assert told == [(9000, 3), (0, 0), (0, 0)]
    assert [shown(name) for name in "abc"] == [(0, 0), (9000, 3), (0, 0)]
    assert registry.get_sample_value("waitroom_events_targets", {"state": "dead"}) == 0


async def test_a_room_that_was_removed_alarms_nobody(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Its last figures would say for ever that people wait and nobody is called, or that the store is away."""
    async with house(store, clock, tmp_path) as here:
        await here.set_up()
        await here.join()
        await here.waitroom.refresh_room(ROOM)
        clock.advance(20_000)
        metrics = here.waitroom.metrics
        gauges = (metrics.age, metrics.waiting, metrics.calling)
        shown = []
        for _ in range(2):
            here.waitroom.observe()
            shown.append([gauge.labels(ROOM)._value.get() for gauge in gauges])
            here.waitroom.readings.clear()

        assert metrics.beat.labels("gate")._value.get() == clock.now_ms() / 1000
        assert shown[0][:2] == [20.0, 1.0]
        assert shown[1] == [0.0, 0.0, 0.0]
    await store.aclose()


async def test_joins_without_a_number_are_counted_by_room() -> None:
    """Refused for what they are, or shed because of us; not the step on the way, no other act, no made-up room."""
    metrics = Metrics(CollectorRegistry())
    metrics.rooms = {"main"}
    faults: list[Exception] = [
        Refused("room-full", "Full.", 403), Refused("run-over", "Over.", 410), Refused("too-many-joins", "Later.", 429),
        Unavailable("store-away", "Away."), RuntimeError("a fault of ours"), Refused("identity-needed", "Who?", 403),
    ]  # fmt: skip

    async def fails(*_: Any) -> None:
        raise fault

    for act in ("join", "status", ""):
        handler = metrics.watched({("POST", act): fails})["POST", act]
        for fault in faults:
            for room in ("main", "made-up"):
                with pytest.raises(type(fault)):
                    await handler({}, None, None, room)  # type: ignore[arg-type]
    metrics.refuse(Refused("room-full", "Full.", 403), "join", "main")

    metrics.settle("main", "slowed", Lane.VERIFIED)
    assert metrics.counts() == {"main": {"refused": 3, "shed": 3, "slowed": 1, "slowed_verified": 1}}
    assert metrics.counts() == {}
