"""The operator's process keeps the history of its rooms, and shows it."""

from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from gateway import wiring
from gateway.settings import Settings
from kernel.clock import ManualClock
from tests.dashboards.desk import TOKEN, program
from tests.waitroom.house import house
from waitroom.history_book import HistoryBook


async def test_what_the_process_saw_is_kept_when_it_ends(
    store: Redis, store_url: str, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a minute that is not over; before that it is served by the same process."""
    for name in ("LineMetrics", "DoorMetrics"):
        real = getattr(wiring, name)
        monkeypatch.setattr(wiring, name, lambda real=real: real(CollectorRegistry()))
    folder = tmp_path / "operator"
    folder.mkdir()
    settings = Settings(data=folder, store_url=store_url, operator_token=TOKEN)
    async with house(store, clock, tmp_path) as here:
        await here.set_up()
        process = wiring.OperatorProcess(settings)
        await process.start()
        try:
            await process.sampler.look()
            async with program(process.app) as api:
                answer = await api.get("/api/rooms/main/history")
        finally:
            await process.stop()

    assert answer.status_code == 200
    with closing(HistoryBook(settings.journal_address)) as book:
        rows = book.minutes("main", 0, 2**40)
    assert rows
    assert {(row.room, row.phase, row.waiting, row.version) for row in rows} == {("main", "serving", 0, 1)}
