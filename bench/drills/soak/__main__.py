"""The command: ``python -m bench.drills.soak --minutes 10 --seed 7 --database sqlite`` plays one soak.

The seed goes to stderr before anything begins, progress each ten seconds, the verdict as one JSON line to stdout. Exit
status 1 where anything is not true; the line says how to play the same day again.
"""

import argparse
import asyncio
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench import harness
from bench.drills.soak.buyers import Buyers, Diary
from bench.drills.soak.judging import Found, come_to_rest, judge
from bench.drills.soak.stage import WORKERS, Stage, stage
from bench.drills.soak.wrecking import Misfortune, Wrecker, crash_at, plan
from bench.figure import Figure, emit, say
from bench.harness import Bench
from bench.servers import ServerFailed
from gateway.orphan import die_with
from kernel.crashing import STATUS
from kernel.errors import Misconfigured
from kernel.tasks import is_ending

BUYERS = 12
CALM_S = 120.0
"""Shorter than this it is the short form: holds last less, and misfortunes come closer together."""

LEAST = 10
"""It sells until so many were told that they have paid, too: on a machine that is slow, and where everything was killed
just now, seconds alone may show nothing."""

PATIENCE_S = 240.0
"""So much longer it sells at most."""

TELL_S = 10.0
LOOK_S = 0.5


def main(args: list[str]) -> int:
    """Play one soak; 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m bench.drills.soak", description="Play a soak.")
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="how long it sells under misfortunes (10)"
    )
    parser.add_argument("--seed", type=int, default=None, help="of the day (a new one)")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--buyers", type=int, default=BUYERS, help=f"at once ({BUYERS})")
    parser.add_argument("--parent", type=int, default=None, help=argparse.SUPPRESS)
    asked = parser.parse_args(args)
    seed = secrets.randbelow(1 << 31) if asked.seed is None else asked.seed
    again = f"make soak MINUTES={asked.minutes:g} SEED={seed} DATABASE={asked.database}"
    say(f"seed {seed}; the same day again: {again}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if asked.parent is not None:
        die_with(asked.parent)
    try:
        with tempfile.TemporaryDirectory(prefix="waitroom-soak-") as folder:
            # A PostgreSQL that root starts has a user of its own, who must come through.
            Path(folder).chmod(0o711)
            figure = play(
                harness.prepare(Path(folder)), asked.minutes * 60, seed, asked.database, asked.buyers, again
            )
    except (ServerFailed, Misconfigured) as error:
        figure = Figure("soak", 0, "violations", target="= 0", met=False, error=str(error))
    except KeyboardInterrupt:
        say("stopped")
        return 130
    emit(figure)
    if not figure.met:
        say(f"not everything is true; the same day again: {again}")
    return 0 if figure.met else 1


def play(bench: Bench, seconds: float, seed: int, database: str, at_once: int, again: str) -> Figure:
    """Sell under misfortunes, come to rest, and judge."""
    is_short = seconds < CALM_S
    reserved_s = 16 if is_short else 36
    if bench.cores.allowed:
        os.sched_setaffinity(0, bench.cores.allowed)
    diary = Diary()
    with stage(bench.folder, database, reserved_s=reserved_s, crash_at=(point := crash_at(seed))) as own:
        day = plan(
            seed, seconds, reserved_s, is_postgres=own.postgres is not None, every_s=2.5 if is_short else 7.0
        )
        say(f"{len(day)} misfortunes in {seconds:.0f} s on {database}; workers die at {point}")
        wrecker = Wrecker(own, diary.records)
        rest_s, left = asyncio.run(_sell(own, wrecker, diary, seed, seconds, at_once, day))
        say("looking at the books")
        found = judge(own, diary, rest_s, left)
        died = own.log.read_text(errors="replace").count(f'"status": {STATUS}')
        if found.faults:
            kept = shutil.copy(own.log, Path(tempfile.gettempdir()) / f"waitroom-soak-{seed}.log")
            say(f"what the shop has said is kept: {kept}")
    if died:
        wrecker.done[f"a worker died at {point.partition(':')[0]}"] = died
    for fault in found.faults[:20]:
        say(fault)
    return _figure(bench, found, diary, wrecker, again, seed, seconds, database, at_once)


async def _sell(
    own: Stage, wrecker: Wrecker, diary: Diary, seed: int, seconds: float, at_once: int, day: list[Misfortune]
) -> tuple[float, dict[str, int]]:
    """Sell until the time is over, heal everything, and come to rest; returns how that went."""
    buyers = Buyers(own, seed, diary)
    selling = asyncio.create_task(buyers.run(at_once))
    wrecking = asyncio.create_task(wrecker.run(day))
    telling = asyncio.create_task(_tell(diary, wrecker))
    began_s = time.monotonic()
    try:
        await asyncio.wait([selling], timeout=seconds)
        await wrecking
        await wrecker.heal()
        while (
            len(diary.paid) < LEAST
            and not selling.done()
            and time.monotonic() - began_s < seconds + PATIENCE_S
        ):
            await asyncio.wait([selling], timeout=LOOK_S)
        buyers.is_over = True
        await selling
        say(f"sold for {time.monotonic() - began_s:.0f} s; all parts are up again")
        return await come_to_rest(own)
    finally:
        tasks = (selling, wrecking, telling)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tell(diary: Diary, wrecker: Wrecker) -> None:
    """Tell how it goes."""
    began_s = time.monotonic()
    while not is_ending():
        await asyncio.sleep(TELL_S)
        done = ", ".join(f"{count}× {what}" for what, count in sorted(wrecker.done.items()))
        say(
            f"{time.monotonic() - began_s:4.0f} s: {sum(diary.errands.values())} errands, "
            f"{len(diary.orders)} orders, {len(diary.paid)} told paid; {done or 'all is well'}"
        )


def _figure(
    bench: Bench, found: Found, diary: Diary, wrecker: Wrecker, again: str, seed: int, seconds: float,
    database: str, at_once: int,
) -> Figure:  # fmt: skip
    happened, sold = sum(wrecker.done.values()), len(diary.paid)
    error = "; ".join(found.faults[:3]) or None
    if error is None and not (happened and sold):
        error = f"{happened} misfortunes and {sold} paid orders show nothing"
    return Figure(
        "soak",
        len(found.faults),
        "violations",
        "invariants over SQL, store, log, the provider's ledger, buyers' records; card numbers",
        target="= 0",
        met=error is None,
        beside={"orders": len(diary.orders), "paid": sold, "misfortunes": happened, "rest_s": found.rest_s},
        conditions=bench.conditions(
            rounds=1, seed=seed, seconds=round(seconds), database=database, again=again,
            load=f"{at_once} buyers at once", workers=WORKERS,
        ),
        details={
            "errands": dict(sorted(diary.errands.items())),
            "answers": dict(sorted(diary.answers.items())),
            "orders": found.states,
            "provider": found.money,
            "misfortunes": dict(sorted(wrecker.done.items())),
            "faults_of_the_provider": dict(sorted(wrecker.faults.items())),
            "looked_at": found.looked_at,
            "violations": found.faults[:50],
        },
        error=error,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
