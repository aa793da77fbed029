"""The figure console-cpu: what open consoles cost the operator's process while a million wait.

`waitroom serve` with a room in which a million wait and some are called every second. One console, then fifty, two
hundred and five hundred follow ``/events`` for half a minute each, from when all of them have their first event; what
the operator's process used of a core is read from /proc. The reference is the same build without streams: fifty
consoles that ask ``/live`` every two seconds, as the page did before and still does where no stream comes through (it
then also asked the store for each; now it does not, so the reference is too good).

Calls of the store are counted on the store, with the gate's workers stopped for those seconds, so that nobody else
calls: a look is one transaction, and one read of the server from its client.
"""

import asyncio
import os
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import redis

from bench import harness
from bench.crowded import join_many
from bench.figure import Figure, failed, say
from bench.harness import OPERATOR_TOKEN, Bench, Ours
from bench.machine import cpu_s, tree
from kernel.tasks import is_ending

FANS = 1_000_000
CONSOLES = 50
MANY = (200, 500)
SPAN_S = 30.0
COUNTED_S = 10.0
POLL_S = 2.0
MOST_S = 120.0
MOST_PERCENT = 2.0
MOST_CALLS = 1.25
"""One look a second, and the names of the rooms every fifth round."""

Follow = Callable[[httpx.AsyncClient, Counter[int], int], Coroutine[Any, Any, None]]
"""Follows as the console of a number, and counts what that one hears."""


def measure(bench: Bench) -> Iterator[Figure]:
    """Fill the room, then measure each number of consoles, the polling reference and the store."""
    with harness.our_server(bench, harness.room_toml(new_users_per_minute=600)) as ours:
        join_many(ours, "bench", FANS)
        if bench.cores.load is not None:
            os.sched_setaffinity(0, {bench.cores.load})
        operator, gates = _workers(ours)
        percent: dict[str, float] = {}
        heard: dict[str, int] = {}
        for name, count, follow in (
            ("idle", 0, _stream),
            ("one", 1, _stream),
            ("fifty", CONSOLES, _stream),
            *((f"streams_{count}", count, _stream) for count in MANY),
            ("polled", CONSOLES, _poll),
        ):
            percent[name], heard[name] = asyncio.run(_measured(ours, operator, count, follow))
            say(f"{name}: {percent[name]:.2f} % of a core, {heard[name]} answers")
        calls = _store_calls(ours, gates)
    told = ["fifty", *(f"streams_{count}" for count in MANY)]
    figure = Figure(
        "console-cpu",
        percent["fifty"],
        "percent of one core",
        f"{CONSOLES} consoles that ask /live every {POLL_S:.0f} s, the same build",
        ratio=percent["fifty"] / percent["polled"] if percent["polled"] else 0.0,
        target=f"<= {MOST_PERCENT:.0f} and at most one look a second",
        met=max(percent[name] for name in told) <= MOST_PERCENT and calls["calls_per_s"] <= MOST_CALLS,
        beside={
            "one_console": percent["one"],
            "no_console": percent["idle"],
            **{f"consoles_{count}": percent[f"streams_{count}"] for count in MANY},
            "polled": percent["polled"],
            **calls,
        },
        conditions=bench.conditions(
            rounds=1,
            load=f"{CONSOLES}, {MANY[0]} and {MANY[1]} streams for {SPAN_S:.0f} s",
            seconds_per_round=SPAN_S,
        ),
        details={"waiting": FANS, "answers": heard},
    )
    expected = CONSOLES * SPAN_S * 0.8
    yield figure if heard["fifty"] >= expected else failed(figure, f"only {heard['fifty']} events were heard")


def _workers(ours: Ours) -> tuple[int, list[int]]:
    """Find the operator's process and the gate's, among those that this run started."""
    roles: dict[str, list[int]] = {"operator": [], "gate": []}
    for pid in tree(ours.pid):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        for role, pids in roles.items():
            if f"worker {role}" in words:
                pids.append(pid)
    if len(roles["operator"]) != 1 or not roles["gate"]:
        raise ValueError("the operator's process was not found")
    return roles["operator"][0], roles["gate"]


async def _measured(ours: Ours, operator: int, count: int, follow: Follow) -> tuple[float, int]:
    """Let `count` consoles follow; return what they cost in percent of a core, and how many answers they got."""
    async with _following(ours, count, follow) as heard:
        answers, before, began = heard.total(), cpu_s([operator]), time.monotonic()
        await asyncio.sleep(SPAN_S)
        took_s = time.monotonic() - began
        return 100 * (cpu_s([operator]) - before) / took_s, heard.total() - answers


@asynccontextmanager
async def _following(ours: Ours, count: int, follow: Follow) -> AsyncIterator[Counter[int]]:
    """Have `count` signed-in consoles follow the room; all have heard something when the block begins."""
    heard: Counter[int] = Counter()
    limits = httpx.Limits(max_connections=count + 5)
    async with httpx.AsyncClient(base_url=ours.operator_url, timeout=60, limits=limits) as client:
        paper = re.search(r'name="csrf" value="([^"]+)"', (await client.get("/login")).text)
        if paper is None:
            raise ValueError("there is no form to sign in with")
        form = {"csrf": paper[1], "who": "bench", "token": OPERATOR_TOKEN}
        if (await client.post("/login", data=form)).status_code != 303:
            raise ValueError("the consoles could not sign in")
        consoles = [asyncio.create_task(follow(client, heard, number)) for number in range(count)]
        try:
            async with asyncio.timeout(MOST_S):
                while len(heard) < count:  # noqa: ASYNC110 (a count tells it no other way)
                    await asyncio.sleep(0.1)
            yield heard
        finally:
            for each in consoles:
                each.cancel()
            await asyncio.gather(*consoles, return_exceptions=True)


async def _stream(client: httpx.AsyncClient, heard: Counter[int], number: int) -> None:
    """Follow the events of the room."""
    async with client.stream("GET", "/events", params={"room": "bench"}) as answer:
        answer.raise_for_status()
        async for octets in answer.aiter_bytes():
            if events := octets.count(b"event: now"):
                heard[number] += events


async def _poll(client: httpx.AsyncClient, heard: Counter[int], number: int) -> None:
    """Ask for the parts every two seconds."""
    while not is_ending():
        (await client.get("/live", params={"room": "bench"})).raise_for_status()
        heard[number] += 1
        await asyncio.sleep(POLL_S)


def _store_calls(ours: Ours, gates: list[int]) -> dict[str, float]:
    """Count what the operator's process asks of the store while consoles are open, the gate held still meanwhile."""
    with redis.Redis.from_url(ours.store_url, decode_responses=True) as client:
        for pid in gates:
            os.kill(pid, signal.SIGSTOP)
        try:
            before, began = _counts(client), time.monotonic()
            asyncio.run(_followed(ours))
            after, took_s = _counts(client), time.monotonic() - began
        finally:
            for pid in gates:
                os.kill(pid, signal.SIGCONT)
    return {
        # The second count is itself two reads and is not theirs.
        "calls_per_s": (after["reads"] - before["reads"] - 2) / took_s,
        "transactions_per_s": (after["exec"] - before["exec"]) / took_s,
    }


async def _followed(ours: Ours) -> None:
    async with _following(ours, CONSOLES, _stream):
        await asyncio.sleep(COUNTED_S)


def _counts(client: "redis.Redis") -> dict[str, int]:
    commands = client.info("commandstats")
    return {
        "exec": int(commands.get("cmdstat_exec", {}).get("calls", 0)),
        "reads": int(client.info("stats")["total_reads_processed"]),
    }
