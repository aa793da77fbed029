"""A whole installation for a crowd: `waitroom demo`, as a newcomer starts it, in a folder of its own.

Not pinned to a core: what is looked at is whether people got what they were promised, not how fast. The store and
the workers of this installation can be killed; they are found as the children of the process that was started
here, so nothing else can be hit.
"""

import asyncio
import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import redis

from bench.harness import OPERATOR_TOKEN, Bench, wait_for
from bench.servers import ServerFailed, free_port, running
from gateway.crowd.plan import Plan
from kernel.store import connect

ROOM = "main"
SALE = "sale"
ACTIVE_USERS = 1500
CLAIM_WINDOW_S = 20
ANSWER_S = 30.0
AGAIN_S = 120.0
"""So long a machine may take at most until what was ended is up again."""

FAR_S = 40.0
"""A start that is put off: so near that everybody looks every two seconds."""

STARTED = "Waitroom is running."
PATIENT_S = 60.0
LOOK_S = 0.2
TRIES = 20


@dataclass(frozen=True, slots=True)
class Sale:
    """A dated sale of the room: when people may come, when it starts, and whether it begins with a draw."""

    opens_s: float
    starts_s: float
    ends_s: float
    draw: bool

    def toml(self) -> str:
        """Write it as the room's file has it."""
        return (
            f'[[rooms.{ROOM}.sales]]\nname = "sale"\nprequeue_start_time = "{_moment(self.opens_s)}"\n'
            f'event_start_time = "{_moment(self.starts_s)}"\nevent_end_time = "{_moment(self.ends_s)}"\n'
            f"shuffle_at_event_start = {json.dumps(self.draw)}\n"
        )


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Demo:
    """A running installation."""

    url: str
    operator_url: str
    shop_url: str
    folder: Path
    pid: int
    per_minute: int

    @property
    def store_url(self) -> str:
        """The address of the embedded store."""
        return f"unix://{self.folder / 'store.sock'}"

    @property
    def journal_url(self) -> str:
        """The address of the journal's database."""
        return f"sqlite:///{self.folder / 'journal.db'}"

    @property
    def shop_database_url(self) -> str:
        """The address of the shop's database."""
        return f"sqlite:///{self.folder / 'shop.db'}"

    def workers(self) -> list[int]:
        """Return the process ids of the gate's workers."""
        return self._of_role("gate")

    def shop_workers(self) -> list[int]:
        """Return the process ids of the shop's workers."""
        return self._of_role("shop")

    def bank_pid(self) -> int:
        """Return the process id of the sandbox, the provider that moves no money."""
        found = self._of_role("sandbox")
        if len(found) != 1:
            raise ServerFailed(f"this installation has {len(found)} sandboxes")
        return found[0]

    def _of_role(self, role: str) -> list[int]:
        return [pid for pid in _children(self.pid) if f"worker {role}" in _command(pid)]

    def store_pid(self) -> int:
        """Return the store's process id, which must be a child of this installation."""
        pid = int((self.folder / "store.pid").read_text())
        if pid not in _children(self.pid):
            raise ServerFailed(f"process {pid} is not the store of this installation")
        return pid

    def memory_bytes(self) -> dict[str, int]:
        """Return the resident memory of the gate's workers and of the store."""
        gates = {f"worker-{place}": _resident_bytes(pid) for place, pid in enumerate(sorted(self.workers()))}
        return {**gates, "store": _resident_bytes(self.store_pid())}

    def sockets(self) -> int:
        """Return how many sockets the gate's workers hold."""
        return sum(_sockets(pid) for pid in self.workers())

    def epoch(self) -> int:
        """Return how often the line was begun or put back, as its status document says."""
        return int(self._status()["epoch"])

    def _status(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/.waitroom/r/{ROOM}/status", timeout=ANSWER_S) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    # ------------------------------------------------------------------------------------ the sale

    def put_sale(self, *, draw: bool) -> None:
        """Have a sale that people may come to at once and that does not start yet; wait until the room gathers."""
        now_s = time.time()
        sale = {
            "name": SALE, "queueing_method": "fifo", "shuffle_at_event_start": draw,
            "prequeue_start_time": _moment(now_s - 60), "event_start_time": _moment(now_s + FAR_S),
            "event_end_time": _moment(now_s + 3600),
        }  # fmt: skip
        self._change("POST", "/sales", sale)
        wait_for("the room gathers", lambda: self._status()["phase"] == "gathering", AGAIN_S)

    def start_when(self, is_so: Callable[[], bool], seconds: float) -> float:
        """Put the sale's start off until something is so, and some seconds more; returns it as seconds since 1970."""
        until_s, starts_s = time.monotonic() + AGAIN_S, 0.0
        while not is_so() and time.monotonic() < until_s:
            if starts_s - time.time() < FAR_S / 2:
                starts_s = self._start_in(FAR_S)
            time.sleep(LOOK_S)
        return self._start_in(seconds)

    def _start_in(self, seconds: float) -> float:
        starts_s = round(time.time() + seconds, 3)
        self._change("PATCH", f"/sales/{SALE}", {"event_start_time": _moment(starts_s)})
        return starts_s

    def _change(self, method: str, path: str, plain: Mapping[str, object]) -> None:
        """Change the room as it stands; once more where somebody was faster, as the shop is that tells what is left."""
        room = f"{self.operator_url}/api/rooms/{ROOM}"
        with httpx.Client(
            headers={"authorization": f"Bearer {OPERATOR_TOKEN}"}, timeout=ANSWER_S
        ) as operator:
            for _ in range(TRIES):
                version = operator.get(room).raise_for_status().headers["etag"]
                answer = operator.request(method, room + path, json=plain, headers={"if-match": version})
                if answer.status_code != httpx.codes.PRECONDITION_FAILED:
                    break
        if answer.is_error:
            raise ServerFailed(f"the room's sale was not changed: {answer.text}")

    # --------------------------------------------------------------------------------- what is hurt

    def issued(self) -> int:
        """Return how many numbers the room has given, as its status document says."""
        return int(self._status()["issued"])

    def is_up(self) -> bool:
        """Tell whether the store has the line again, and the room and the shop answer."""
        try:
            with redis.Redis.from_url(self.store_url, socket_timeout=ANSWER_S) as store:
                if not store.exists(f"wr:{{{ROOM}}}:line"):
                    return False
            self._status()
            urllib.request.urlopen(f"{self.shop_url}/health/ready", timeout=ANSWER_S).close()
        except (OSError, redis.RedisError):
            return False
        return True

    async def lose_everything(self, *, shop: bool = False) -> None:
        """Wipe the store, kill it without a word, and end the workers, so that no memory is left either."""
        if shop:
            _end(self.shop_workers())
        client = connect(self.store_url)
        try:
            await client.flushall()
        finally:
            await client.aclose()
        os.kill(self.store_pid(), signal.SIGKILL)
        _end(self.workers())
        await self._up()

    async def kill_shop(self) -> None:
        """End all workers of the shop without a word; the supervisor starts others."""
        _end(self.shop_workers())
        await self._up()

    async def kill_store(self) -> None:
        """End the store without a word; it comes back with its file, in which everything is that it has answered."""
        os.kill(self.store_pid(), signal.SIGKILL)
        await self._up()

    async def lose_everything_and_shop(self) -> None:
        """Lose the store and the gate's workers, and the shop's in the same moment."""
        await self.lose_everything(shop=True)

    async def _up(self) -> None:
        """Wait until all that was ended is there again, however long the machine takes for it."""
        await asyncio.to_thread(wait_for, "all that was ended is up again", self.is_up, AGAIN_S)


def _end(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _sockets(pid: int) -> int:
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            found += str(entry.readlink()).startswith("socket:")
    return found


def _toml(value: object) -> str:
    """Write a value as TOML has it: JSON's words, but for tables."""
    if not isinstance(value, Mapping):
        return json.dumps(value)
    return "{" + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + "}"


@contextmanager
def demo(
    bench: Bench,
    *,
    per_minute: int,
    workers: int = 2,
    sale: Sale | None = None,
    room: Mapping[str, object] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Demo]:
    """Run an installation with one room in front of the demo's shop as long as the block lasts.

    `room` sets more of the room's fields, `env` more of the installation's settings.
    """
    if bench.cores.allowed:
        os.sched_setaffinity(0, bench.cores.allowed)
    folder = bench.folder / "demo"
    port, operator_port, shop_port = free_port(), free_port(), free_port()
    rooms = bench.folder / "rooms.toml"
    fields: dict[str, object] = {
        "origin": f"http://127.0.0.1:{shop_port}",
        "new_users_per_minute": per_minute,
        "total_active_users": ACTIVE_USERS,
        "session_duration": 1,
        "claim_window_s": CLAIM_WINDOW_S,
        "join_rate_per_minute": 6000,
        "join_burst": 6000,
        **(room or {}),
    }
    rows = [f"{name} = {_toml(value)}" for name, value in fields.items()]
    rooms.write_text(f"[rooms.{ROOM}]\n" + "\n".join(rows) + "\n" + (sale.toml() if sale else ""))
    # With its parent's number it ends when we do, whatever kills us.
    command = [
        str(Path(sys.executable).parent / "waitroom"), "--parent", str(os.getpid()), "demo",
        "--data", str(folder), "--rooms", str(rooms), "--port", str(port), "--operator-port", str(operator_port),
        "--shop-port", str(shop_port), "--workers", str(workers),
    ]  # fmt: skip
    settings = {"WAITROOM_OPERATOR_TOKEN": OPERATOR_TOKEN, "WAITROOM_LOG_LEVEL": "warning", **(env or {})}
    url = f"http://127.0.0.1:{port}"
    ready, log = f"{url}/.waitroom/health/ready", bench.folder / "demo.log"
    with running(command, ready=ready, log=log, env=settings) as supervisor:
        # A process that ends before all of them serve is a start that failed.
        wait_for("all processes serve", lambda: STARTED in log.read_text(errors="replace"), AGAIN_S)
        operator_url, shop_url = (f"http://127.0.0.1:{number}" for number in (operator_port, shop_port))
        yield Demo(url, operator_url, shop_url, folder, supervisor.pid, per_minute)


def plan_for(
    running_demo: Demo,
    fans: int,
    arrive_s: float,
    *,
    shape: str = "onsale",
    linger_s: float | None = None,
    patient: bool = False,
) -> Plan:
    """Return the crowd for an installation: everybody has time enough to be served, unless told otherwise.

    What most look at is the line, so the fans only look at the shop's pages; who wants more gives them errands. Who
    is `patient` waits long for an answer: a short form says nothing of how fast a machine is.
    """
    enough_s = fans * 60 / running_demo.per_minute * 2 + 120
    return Plan(
        url=running_demo.url,
        room=ROOM,
        fans=fans,
        duration_s=arrive_s,
        linger_s=enough_s if linger_s is None else linger_s,
        timeout_s=PATIENT_S if patient else Plan().timeout_s,
        shape=shape,
        operator_url=running_demo.operator_url,
        operator_token=OPERATOR_TOKEN,
        errands={},
    )
