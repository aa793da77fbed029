"""Telling: the product's own processes with a mail server and a push service behind them, and two rooms before a site.

`fast` calls one a second; in `slow` nobody is ever called, so that a page there can be looked at in peace.
"""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import redis
from aiosmtpd.controller import Controller

from tests.kernel.push_service import PushService, serving_push

START_S = 90.0
PUSH_HERE = "127.0.0.1"
OPERATOR_TOKEN = "a-secret-of-the-operator"

ROOMS = """
[rooms.fast]
origin = "http://127.0.0.1:9"
path = "/fast"
reminder_minutes = 1
new_users_per_minute = 60
total_active_users = 500
join_burst = 1000
join_rate_per_minute = 100000

[rooms.slow]
origin = "http://127.0.0.1:9"
path = "/slow"
description = "Aurora Hall"
reminder_minutes = 10
paused = true
"""


@dataclass
class Mails:
    """A mail server that takes everything."""

    taken: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Take a mail."""
        self.taken.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 OK"


@dataclass
class Told:
    """Where everything is."""

    address: str
    operator_url: str
    mails: Mails
    push: PushService
    store_url: str

    def store(self) -> list[bytes]:
        """Read every key and every value of the store."""
        found: list[bytes] = []
        with redis.Redis.from_url(self.store_url) as client:
            for key in client.scan_iter("*"):
                found += [key, *_values(client, key)]
        return found


def _values(client: Any, key: bytes) -> list[bytes]:
    match client.type(key):
        case b"hash":
            return [part for pair in client.hgetall(key).items() for part in pair]
        case b"string":
            return [client.get(key) or b""]
        case b"set":
            return list(client.smembers(key))
        case b"zset":
            return list(client.zrange(key, 0, -1))
        case b"list":
            return list(client.lrange(key, 0, -1))
        case b"stream":
            return [repr(entry).encode() for entry in client.xrange(key)]
        case _:
            return []


@contextmanager
def telling(store_url: str, folder: Path) -> Iterator[Told]:
    """Run it all for a while."""
    mails = Mails()
    controller = Controller(mails, hostname="127.0.0.1", port=_free())
    controller.start()
    rooms = folder / "rooms.toml"
    rooms.write_text(ROOMS)
    port, operator_port = _free(), _free()
    address = f"http://127.0.0.1:{port}"
    own = {
        "STORE_URL": store_url, "PUBLIC_URL": address, "OPERATOR_TOKEN": OPERATOR_TOKEN,
        "REMINDER_MAIL_HOST": "127.0.0.1", "REMINDER_MAIL_PORT": str(controller.port), "REMINDER_MAIL_TLS": "none",
        "REMINDER_MAIL_FROM": "Aurora Hall <line@aurora.example>",
        "REMINDER_PUSH_CONTACT": "mailto:line@aurora.example", "REMINDER_PUSH_HOSTS": PUSH_HERE,
        "DRAIN_S": "0", "STOP_S": "3",
    }  # fmt: skip
    with _pushing() as push, (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "gateway", "serve", "--data", str(folder / "data"), "--rooms", str(rooms),
                "--port", str(port), "--operator-port", str(operator_port), "--workers", "2",
            ],
            env=os.environ | {f"WAITROOM_{name}": text for name, text in own.items()},
            stdout=log,
            stderr=log,
        )  # fmt: skip
        try:
            until(lambda: _is_open(address), f"{(folder / 'serve.log')} tells why it did not start")
            yield Told(address, f"http://127.0.0.1:{operator_port}", mails, push, store_url)
        finally:
            process.terminate()
            process.wait(START_S)
            controller.stop()


def until(question: Any, otherwise: str, patience_s: float = START_S) -> None:
    """Ask until the answer is yes."""
    deadline = time.monotonic() + patience_s
    while not question():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


def _is_open(address: str) -> bool:
    try:
        answers = [httpx.get(f"{address}/.waitroom/r/{room}/status").json() for room in ("fast", "slow")]
    except (httpx.HTTPError, ValueError):
        return False
    return all(answer.get("phase") == "serving" for answer in answers)


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as at:
        port: int = at.getsockname()[1]
        return port


@contextmanager
def _pushing() -> Iterator[PushService]:
    """Run a push service in a thread of its own."""
    found: list[PushService] = []
    started, stop = threading.Event(), threading.Event()

    async def run() -> None:
        async with serving_push(int(time.time())) as service:
            found.append(service)
            started.set()
            while not stop.is_set():  # noqa: ASYNC110 - told by another thread
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    try:
        assert started.wait(START_S)
        yield found[0]
    finally:
        stop.set()
        thread.join(START_S)
