"""The figure map-rebuild: the store is emptied under a hall with a fifth held; when does the shop tell the map again.

A fan asks for the map all the time. The value is the time from FLUSHALL until the answer is the whole map, with every
held seat held: it was put together from SQL and the journal of holds. The reference is the least that this must do:
reading the rows of the seats.
"""

import asyncio
import time
from collections.abc import Iterator

import redis

from bench import harness
from bench.figure import Figure, say
from bench.harness import Bench
from bench.paced import paced
from bench.shop import Shop, our_shop
from checkout.database import ShopDatabase
from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status, counts

HELD_RATIO = 0.2
MOST_S = 2.0
PATIENCE_S = 30.0
JOURNAL_S = 30.0
LOOK_S = 0.01


def measure(bench: Bench) -> Iterator[Figure]:
    """Empty the store and wait for the map, round after round."""
    seconds, least = [], []
    with our_shop(bench) as shop, redis.Redis.from_url(shop.store_url) as client:
        event = shop.events[0]
        held = shop.hold_directly(event, HELD_RATIO)
        (fan,) = shop.admissions(1)
        for number in range(bench.rounds):
            harness.wait_for(
                "the journal is in SQL", lambda: client.xlen(f"co:{{{event}}}:journal") == 0, JOURNAL_S
            )
            least.append(_read_rows(shop, event))
            began = time.monotonic()
            client.flushall()
            error = _until_told(shop, event, fan, held, began)
            seconds.append(time.monotonic() - began)
            say(f"round {number + 1} of {bench.rounds}: {seconds[-1]:.2f} s")
            if error:
                break
    seconds_median, least_median = sorted(seconds)[len(seconds) // 2], sorted(least)[len(least) // 2]
    yield Figure(
        "map-rebuild",
        seconds_median,
        "s",
        "reading the rows of the seats",
        ratio=seconds_median / least_median,
        target=f"<= {MOST_S:.0f} s",
        met=error is None and max(seconds) <= MOST_S,
        conditions=bench.conditions(load="one fan who asks for the map all the time", held_ratio=HELD_RATIO),
        details={"held": held, "longest_s": round(max(seconds), 3), "reference_s": round(least_median, 3)},
        error=error,
    )


def _read_rows(shop: Shop, event: str) -> float:
    database = ShopDatabase(shop.database_url)
    began = time.monotonic()
    SeatRows(database).octets(event)
    took_s = time.monotonic() - began
    database.close()
    return took_s


def _until_told(shop: Shop, event: str, fan: str, held: int, began: float) -> str | None:
    """Ask until the map has all held seats; return what was wrong when that did not come."""
    asked = [shop.request("GET", f"/api/events/{event}/map", fan)]
    told = "nothing"
    while time.monotonic() < began + PATIENCE_S:
        seen = asyncio.run(paced(shop.url, asked, 0, connections=1, keep_bodies=True))
        if seen.statuses[200]:
            now = counts(seen.bodies[0])[Status.HELD]
            if now == held:
                return None
            told = f"{now} held seats"
        else:
            told = f"{dict(seen.statuses)}"
        time.sleep(LOOK_S)
    return f"{held} seats were held; within {PATIENCE_S:.0f} s the map told {told}"
