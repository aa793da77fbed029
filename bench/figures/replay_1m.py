"""The figure replay-1m: a log of a million events of sales is read from its file, verified and folded; how long.

All that ``waitroom shop log verify`` and ``rebuild --check`` do with the log itself: each hash is made anew, each chain
and each block is followed, and each sale is folded into its reservation. What comes out must be what was put in.
The reference is reading the same rows in the same order and doing nothing with them. The log is written by the shop's
own code, in transactions of many thousands; that is not timed.
"""

import time
from collections import Counter
from collections.abc import Iterator

from bench.figure import Figure, failed, median_ratio, say
from bench.harness import Bench
from checkout.database import ShopDatabase
from checkout.eventlog.entries import Draft
from checkout.eventlog.projecting import Kinds
from checkout.eventlog.sealing import Sealer
from checkout.eventlog.store import append, at_one_moment, read
from checkout.eventlog.verifying import Checked, chained, verify_blocks
from checkout.halls.seats import hold_id_text
from checkout.sales.projection import NAME, SALES, reserved, turned
from checkout.sales.reservation import Line, Reservation, SaleState, reservation_id

EVENTS = 1_000_000
MOST_S = 60
MOST_ROUNDS = 3
AT_ONCE = 20_000
"""Sales that one transaction writes."""

NOW_MS = 1_800_000_000_000
SEATS = 4
LIVES = (
    (SaleState.SOLD,),
    (SaleState.LAPSED,),
    (SaleState.SOLD, SaleState.RETURNED),
    (SaleState.SOLD,),
    (SaleState.RELEASED,),
)
"""What becomes of sales, one after the other and again: 11 events in five sales."""


def measure(bench: Bench) -> Iterator[Figure]:
    """Write the log once, and replay it round after round."""
    url = f"sqlite:///{bench.folder / 'shop.db'}"
    database = ShopDatabase(url)
    database.open()
    began = time.monotonic()
    expected = _write(database)
    say(f"{EVENTS:,} events written and sealed in {time.monotonic() - began:.0f} s")
    rounds = min(bench.rounds, MOST_ROUNDS)
    seconds, least, error, checked = [], [], None, Checked()
    for number in range(rounds):
        least.append(_only_read(database))
        began = time.monotonic()
        checked, states = _replay(database)
        seconds.append(time.monotonic() - began)
        say(f"round {number + 1} of {rounds}: {seconds[-1]:.1f} s, reading alone {least[-1]:.1f} s")
        if checked.faults or checked.entries != EVENTS or states != expected:
            error = (
                f"{checked.entries} events, {checked.faults[:1]}, {dict(states)} instead of {dict(expected)}"
            )
            break
    database.close()
    figure = Figure(
        "replay-1m",
        sorted(seconds)[len(seconds) // 2],
        "s",
        "reading the same rows and doing nothing with them",
        ratio=median_ratio(seconds, least),
        target=f"<= {MOST_S} s",
        met=max(seconds) <= MOST_S,
        conditions=bench.conditions(load="none", rounds=rounds, database="SQLite, one file"),
        details={
            "events": checked.entries,
            "sales": checked.streams,
            "blocks": checked.blocks,
            "reference_s": round(sorted(least)[len(least) // 2], 2),
            "file_bytes": (bench.folder / "shop.db").stat().st_size,
        },
    )
    yield figure if error is None else failed(figure, error)


def _write(database: ShopDatabase) -> Counter[str]:
    """Write and seal the log; returns how many sales end how."""
    ends: Counter[str] = Counter()
    left, number = EVENTS, 0
    while left:
        drafts: list[Draft] = []
        for _ in range(AT_ONCE):
            life = LIVES[number % len(LIVES)][: max(0, left - 1)]
            sale = _sale(number)
            drafts.append(reserved(sale))
            drafts += [
                turned(sale.event, sale.id, state, NOW_MS + at) for at, state in enumerate(life, number + 1)
            ]
            ends[(life[-1] if life else SaleState.ACTIVE).value] += 1
            left -= 1 + len(life)
            number += 1
            if not left:
                break
        with database.writing() as connection:
            append(connection, drafts)
    Sealer(database).seal(NOW_MS + EVENTS)
    return ends


def _sale(number: int) -> Reservation:
    hold = hold_id_text(number.to_bytes(8, "big"))
    lines = tuple(Line(SEATS * number + at, at % 2, 4200) for at in range(SEATS))
    return Reservation(
        id=reservation_id(hold),
        event=f"night-{number % 7}",
        buyer=f"fan{number:019d}",
        hold=hold,
        state=SaleState.ACTIVE,
        epoch=1,
        fence=number + 1,
        price_version=1,
        currency="EUR",
        total_minor=SEATS * 4200,
        created_ms=NOW_MS + number,
        until_ms=NOW_MS + number + 600_000,
        version=1,
        lines=lines,
    )


def _replay(database: ShopDatabase) -> tuple[Checked, Counter[str]]:
    checked, states, kinds = Checked(), Counter[str](), Kinds(SALES)
    with database.reading() as connection:
        for stood in kinds.fold_all(chained(read(at_one_moment(connection)), checked)):
            states[stood.fault or stood.states[NAME].state.value] += 1
        verify_blocks(connection, checked, NOW_MS + 10 * EVENTS)
    return checked, states


def _only_read(database: ShopDatabase) -> float:
    began = time.monotonic()
    with database.reading() as connection:
        count = sum(1 for _ in read(connection))
    if count != EVENTS:
        raise ValueError(f"there are {count} events, not {EVENTS}")
    return time.monotonic() - began
