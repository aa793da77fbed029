"""The books: admissions as the journal has them, to the millisecond and with those that nobody fetched.

Read once, after the crowd, and only from the moment the crowd began. The journal lies a second behind the store, so
the reader waits until two readings agree.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.crowd.observed import Counted

PAGE = 5000
SETTLE_S = 1.5
SETTLE_TRIES = 6


def admissions_of(url: str, room: str) -> Callable[[float], Awaitable[list[Counted]]]:
    """Make a reader of the room's admissions since a moment of the room's clock.

    Raises ValueError when there is no journal at the address; the reader may raise kernel.errors.Unavailable.
    """
    from waitroom.journal import Kind  # noqa: PLC0415
    from waitroom.journal_store import JournalStore, check  # noqa: PLC0415 - a crowd without a journal needs no SQL

    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        raise ValueError(f"There is no journal at {url}.")  # SQLite would make an empty one
    check(url)

    def read(since_ms: float) -> list[Counted]:
        store = JournalStore(url)
        try:
            found: list[Counted] = []
            after = 0
            while page := store.entries(room, after, [Kind.ADMITTED], PAGE):
                after = page[-1].seq
                found += [
                    Counted(entry.at_ms, entry.run, entry.body["sid"])
                    for entry in page
                    if entry.at_ms >= since_ms
                ]
            return found
        finally:
            store.close()

    async def admissions(since_ms: float) -> list[Counted]:
        found = await asyncio.to_thread(read, since_ms)
        for _ in range(SETTLE_TRIES):
            await asyncio.sleep(SETTLE_S)
            again = await asyncio.to_thread(read, since_ms)
            if len(again) == len(found):
                break
            found = again
        return found

    return admissions
