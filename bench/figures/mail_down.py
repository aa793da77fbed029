"""The figure mail-down: what a buyer notices of a mail server that is away: nothing, or how much.

One worker of the shop that does everything, its mails too, and the sandbox beside it. Buyers come at the pace at which
a hall of 60,000 sells out in ten minutes, whether or not those before are done, and each goes the whole way: hold,
reserve, order, an address for the tickets, pay. Latency counts from when a buyer was due. The mail server takes
everything, refuses everybody, hangs, and again; the value is the p99 of the worse of the two, by the p99 while it is
up, of the same run. Then it is up for good, and the run counts only if every paid order's mail has come, each once.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.figure import Figure, say
from bench.figures.orders import METHOD, NO_LIMITS, Browser, percentile, with_sandbox
from bench.harness import Bench
from bench.mail_modes import MODES
from bench.shop import Shop, groups, on_load_core

PER_S = 25
MOST_RATIO = 1.2
MOST_P99_MS = 1_000.0
ARRIVED_S = 300.0
BROWSERS = 200
UP, *AWAY = MODES
MAILS = """
mail_host = "127.0.0.1"
mail_port = {port}
mail_tls = "none"
mail_from = "Aurora Hall <tickets@aurora.example>"
"""


@dataclass(slots=True)
class Ways:
    """What came of the buyers, by what the mail server did."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {mode: [] for mode in MODES})
    paid: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Post:
    """The mail server."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child
        self.port = int(self._read())

    def be(self, mode: str) -> dict[str, int]:
        """Have it go on in another way (or, with ``told``, in the same); returns what it has taken."""
        assert self._child.stdin is not None  # noqa: S101 - it is a pipe
        self._child.stdin.write(f"{mode}\n")
        self._child.stdin.flush()
        told: dict[str, int] = json.loads(self._read())
        return told

    def _read(self) -> str:
        assert self._child.stdout is not None  # noqa: S101 - it is a pipe
        return self._child.stdout.readline()


@contextmanager
def _post(bench: Bench) -> Iterator[Post]:
    command = [sys.executable, "-m", "bench.mail_modes", str(bench.cores.load)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield Post(child)
        finally:
            child.terminate()


def measure(bench: Bench) -> Iterator[Figure]:
    """Sell with the mail server up, refusing and hanging, in turn; then wait for the mails."""
    seconds, ways = max(5, bench.seconds), Ways()
    rounds = max(1, bench.rounds)
    settings = bench.folder / "notifications.toml"
    with _post(bench) as post:
        settings.write_text(MAILS.format(port=post.port))
        env = {"WAITROOM_NOTIFICATIONS": str(settings)}
        with with_sandbox(bench, limits=NO_LIMITS, env=env) as (shop, _sandbox, _key):
            wanted = iter(groups(shop.plan.layout))
            fans = iter(shop.admissions(PER_S * seconds * (rounds * len(MODES) + 1)))
            with on_load_core(bench):
                # What is asked for the first time is slower, whatever the mail server does.
                asyncio.run(_sell(shop, list(_some(fans, wanted, PER_S * seconds)), Ways(), UP))
                for number in range(rounds):
                    for mode in (*AWAY, UP) if number % 2 else MODES:
                        post.be(mode)
                        asyncio.run(_sell(shop, list(_some(fans, wanted, PER_S * seconds)), ways, mode))
                        p99_ms = percentile(ways.seconds[mode], 0.99) * 1000
                        say(f"round {number + 1} of {rounds}: p99 {p99_ms:.0f} ms with mails {mode}")
                began_s, first = time.monotonic(), post.be(UP)
                told = _arrived(post, PER_S * seconds + len(ways.paid))
                took_s = time.monotonic() - began_s
    p99 = {mode: percentile(ways.seconds[mode], 0.99) * 1000 for mode in MODES}
    worst = max(p99[mode] for mode in AWAY)
    ratio = worst / p99[UP] if p99[UP] else 0.0
    expected = PER_S * seconds + len(ways.paid)
    error = None
    if ways.refused:
        error = f"{len(ways.refused)} ways ended early, the first with {ways.refused[0]}"
    elif told != {"mails": expected, "names": expected}:
        error = f"{told} arrived of {expected} orders"
    yield Figure(
        "mail-down",
        0 if error else ratio,
        "p99 by p99",
        "the same worker while the mail server is up, in the same run",
        ratio=0 if error else ratio,
        beside={f"p99_{mode}_ms": value for mode, value in p99.items()},
        target=f"<= {MOST_RATIO} (p99 <= {MOST_P99_MS:.0f} ms), every mail in the end, each once",
        met=error is None and ratio <= MOST_RATIO and worst <= MOST_P99_MS,
        conditions=bench.conditions(
            rounds=rounds, load=f"{PER_S} orders/s for {seconds} s in each mode", seats_each=4
        ),
        details={
            "orders": len(ways.paid), "arrived": told["names"], "waited": expected - first["names"],
            "arrived_s": round(took_s, 1),
        },
        error=error,
    )  # fmt: skip


def _some(
    fans: Iterator[str], wanted: Iterator[tuple[int, ...]], count: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    for _ in range(count):
        yield next(fans), next(wanted)


async def _sell(shop: Shop, buyers: Sequence[tuple[str, tuple[int, ...]]], ways: Ways, mode: str) -> None:
    """Have a buyer come at each time that is due."""
    idle: asyncio.Queue[Browser] = asyncio.Queue()
    for _ in range(BROWSERS):
        browser = Browser(shop.url)
        await browser.open()
        idle.put_nowait(browser)
    loop = asyncio.get_running_loop()
    began_s = loop.time() + 0.1

    async def one(number: int, fan: str, seats: tuple[int, ...]) -> None:
        due_s = began_s + number / PER_S
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        browser = await idle.get()
        await _buy(shop, browser, fan, seats, ways)
        ways.seconds[mode].append(loop.time() - due_s)
        idle.put_nowait(browser)

    await asyncio.gather(*(one(number, *buyer) for number, buyer in enumerate(buyers)))
    while not idle.empty():
        idle.get_nowait().close()


async def _buy(shop: Shop, browser: Browser, fan: str, seats: tuple[int, ...], ways: Ways) -> None:
    event = shop.events[0]
    api, key = f"/api/events/{event}", f"Idempotency-Key: {seats[0]}"
    status, said = await browser.ask(shop.hold(event, fan, str(seats[0]), {"seats": seats}))
    if status == 201:
        status, said = await browser.ask(shop.request("POST", f"{api}/holds/{said['hold']}/reserve", fan))
    if status == 201:
        path = f"{api}/reservations/{said['reservation']}/order"
        status, said = await browser.ask(shop.request("POST", path, fan))
    if status == 201:
        order = str(said["order"])
        contact = {"email": f"{order.lower()}@fans.example", "language": "en"}
        path = f"{api}/orders/{order}"
        status, said = await browser.ask(shop.request("PUT", f"{path}/contact", fan, (), contact))
        if status == 200:
            pay = shop.request("POST", f"{path}/pay", fan, [key], {"method": METHOD})
            status, said = await browser.ask(pay)
            if status == 200 and said["state"] == "paid":
                ways.paid.append(order)
                return
    ways.refused.append(f"{status} {said.get('code', said)}")


def _arrived(post: Post, expected: int) -> dict[str, int]:
    """Wait for the mails."""
    until_s = time.monotonic() + ARRIVED_S
    while True:
        told = post.be("told")
        if told["names"] >= expected or time.monotonic() >= until_s:
            return told
        time.sleep(0.5)
