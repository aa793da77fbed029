"""The sale: a crowd buys seats in an arena of 60,000, and every seat is sold once.

All want the same evening and nobody else buys, so a refusal that no fan explains counts against the shop too. The crowd
judges what it was told; afterwards the shop's own checker reads SQL, the store and the crowd's records together. In the
full form fans wait for the ends of their holds, so it lasts some minutes after the last of them came.

**wreck** is the same sale on a bad day: the shop's workers are killed, the store is killed, and then the store is wiped
and everything is killed at once. A hold may be lost with the store (never more), a reservation may not, and nothing may
be given twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace

import sqlalchemy as sa

from bench.demo import ROOM, Demo, demo, plan_for
from bench.drills import results
from bench.figure import Figure
from bench.figures.crowd import tell
from bench.harness import Bench, wait_for
from checkout.audit.checking import check_sale
from checkout.catalogue.programme import IN_THE_ARENA
from checkout.database import ShopDatabase
from checkout.tables import RESERVATIONS
from gateway.crowd.books import admissions_of
from gateway.crowd.crowd import Hooks, Result, run_crowd
from gateway.crowd.plan import DEFAULT_ERRANDS, Drill, Script
from gateway.crowd.seats.checks import SEAT_CHECKS
from gateway.crowd.seats.figures import SeatFigures, seat_figures
from gateway.crowd.seats.retold import records
from gateway.crowd.traces import Shape
from gateway.crowd.verdict import State

MIX = {Script.STEADY: 0.92, Script.TWO_TABS: 0.03, Script.RETRY: 0.03, Script.BAD: 0.02}
"""Those who would not come to the shop are left at home."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it; fans wait for the ends of holds that last at most ``ends_wait_s``."""

    fans: int
    arrive_s: float
    shape: Shape
    """Who comes when others have bought knows that there are seats, and tries them without an admission."""
    per_minute: int
    follow_s: float
    """Under pressure the shop tells how much is free instead of each seat; who watches has time until that is over."""
    ends_wait_s: float
    breaks_s: tuple[float, float, float]
    """When the shop's workers are killed, then the store, then everything."""
    least: tuple[int, int, int]
    """And not before there are so many reservations, which must outlive it."""


FULL = Size(
    fans=3000, arrive_s=120, shape=Shape.ONSALE, per_minute=1200, follow_s=20, ends_wait_s=250,
    breaks_s=(30, 60, 90), least=(0, 0, 0),
)  # fmt: skip
SHORT = Size(
    fans=140, arrive_s=12, shape=Shape.CONSTANT, per_minute=600, follow_s=8, ends_wait_s=0,
    breaks_s=(2, 5, 8), least=(3, 3, 15),
)  # fmt: skip
MAP_FOLLOWS = "map-follows"
GRACE_S = 20.0
SOLD_S = 120.0


def play(bench: Bench, name: str, *, short: bool) -> Iterator[Figure]:
    """Sell seats to the crowd and look at the books."""
    size = SHORT if short else FULL
    # Who waits for the end of a hold keeps a place of the shop meanwhile.
    room = {"total_active_users": size.fans, **(results.SHORT_ROOM if short else {})}
    with demo(bench, per_minute=size.per_minute, workers=results.WORKERS, room=room) as installation:
        plan = replace(
            plan_for(installation, size.fans, size.arrive_s, shape=size.shape, patient=short),
            errands=DEFAULT_ERRANDS, event=IN_THE_ARENA, alone=True, mix=MIX,
            ends_wait_s=size.ends_wait_s, follow_s=size.follow_s,
        )  # fmt: skip
        drills = _breaks(installation, size) if name == "wreck" else []
        hooks = Hooks(drills=drills, journal=admissions_of(installation.journal_url, ROOM), pulse=tell)
        result = asyncio.run(run_crowd(plan, hooks))
        books = _books(bench, name, installation, result)
    yield results.crowd(bench, name, result)
    yield results.places(bench, name, result.places_lost, size.fans)
    yield _checks(bench, name, result)
    shown = seat_figures(result.observed)
    if shown is not None:
        yield from _seats(bench, name, size, shown)
    yield books


def _breaks(installation: Demo, size: Size) -> list[Drill]:
    shop_s, store_s, all_s = size.breaks_s
    turn = asyncio.Lock()

    def once(least: int) -> Callable[[], Awaitable[None]]:
        """Wait until what was done before is mended, and there are so many reservations."""

        async def ready() -> None:
            await turn.acquire()
            await asyncio.to_thread(
                wait_for, "seats are sold", lambda: _reserved(installation) >= least, SOLD_S
            )

        return ready

    def harm(act: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def harmed() -> None:
            await act()
            turn.release()

        return harmed

    return [
        Drill(
            at_s=shop_s,
            name="the shop's workers killed",
            act=harm(installation.kill_shop),
            harms_origin=True,
            ready=once(size.least[0]),
        ),
        Drill(
            at_s=store_s,
            name="the store killed",
            act=harm(installation.kill_store),
            ready=once(size.least[1]),
        ),
        Drill(
            at_s=all_s,
            name="store wiped; store, gate and shop killed",
            act=harm(installation.lose_everything_and_shop),
            loses_store=True,
            harms_origin=True,
            grace_s=GRACE_S,
            ready=once(size.least[2]),
        ),
    ]


def _reserved(installation: Demo) -> int:
    """Count the reservations that the shop has made."""
    database = ShopDatabase(installation.shop_database_url)
    try:
        with database.listing() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(RESERVATIONS)) or 0
    finally:
        database.close()


def _books(bench: Bench, name: str, installation: Demo, result: Result) -> Figure:
    """What the shop's own checker finds in SQL, the store and the crowd's records."""
    conditions = results.conditions(bench, len(result.observed.fans))
    if IN_THE_ARENA not in result.observed.shop.halls:
        why = result.observed.shop.why_not or "the origin sells no seats"
        return Figure(f"{name}-violations", 0, "violations", met=False, conditions=conditions, error=why)
    verdict = check_sale(
        installation.shop_database_url,
        installation.store_url,
        IN_THE_ARENA,
        records(result.observed, IN_THE_ARENA),
        settled=False,
    )
    lines = list(verdict.lines())
    return Figure(
        f"{name}-violations",
        len(verdict.violations),
        "violations",
        "invariants over SQL, the store and the crowd's records",
        target="= 0",
        met=verdict.is_right,
        conditions=conditions,
        details={"looked_at": dict(verdict.looked_at)},
        error=None if verdict.is_right else "; ".join(lines[1:4]),
    )


def _checks(bench: Bench, name: str, result: Result) -> Figure:
    """How many of the checks of seats are green; all must have had something to judge.

    But for one: under pressure the shop tells how much is free instead of each seat, and no copy can be compared.
    """
    names = {check.__name__.replace("_", "-") for check in SEAT_CHECKS}
    states = {verdict.name: verdict.state for verdict in result.verdicts if verdict.name in names}
    green = sum(state is State.GREEN for state in states.values())
    excused = states.get(MAP_FOLLOWS) is State.NOT_JUDGED
    return Figure(
        f"{name}-checks",
        green,
        "checks",
        "of seats",
        target=f"= {len(SEAT_CHECKS)}; {MAP_FOLLOWS} only where maps were told",
        met=green + excused == len(SEAT_CHECKS),
        conditions=results.conditions(bench, len(result.observed.fans)),
        details={verdict.name: verdict.detail for verdict in result.verdicts if verdict.name in names},
    )


def _seats(bench: Bench, name: str, size: Size, shown: SeatFigures) -> Iterator[Figure]:
    conditions = results.conditions(bench, size.fans)
    yield Figure(
        f"{name}-holds",
        shown.won,
        "holds",
        f"{shown.wishes:,} wishes",
        target="some of each kind: reserved, released and refused",
        met=min(shown.reserved, shown.released, sum(shown.refused.values())) > 0,
        conditions=conditions,
        details={
            "seats": shown.seats_won,
            "reserved": shown.reserved,
            "released": shown.released,
            "expired": shown.expired,
            "refused": shown.refused,
            "conflict_rate": round(shown.conflict_rate, 4),
            "most_in_a_second": max(shown.won_per_s, default=0),
            "time_to_hold_p50_s": round(shown.time_to_hold_s.p50, 2),
            "time_to_hold_p99_s": round(shown.time_to_hold_s.p99, 2),
        },
    )
