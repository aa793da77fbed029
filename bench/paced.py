"""Paced: an open-loop load of HTTP requests: each leaves at its time, whether or not the one before has been answered.

Latency counts from the time at which a request was due, so a server that stalls cannot hide it (no coordinated
omission). One process with raw sockets; it is meant for some thousand requests a second, for seconds. Source of the
idea: Gil Tene, "How NOT to Measure Latency". Not here: the closed loop (``load``).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATIENCE_S = 20.0


@dataclass(slots=True)
class Paced:
    """What came back: seconds from due to answered, in the order of answers, and how many of each status."""

    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)
    unanswered: int = 0
    seconds: float = 0.0

    def percentile_ms(self, share: float) -> float:
        """Return the latency that this share of requests stayed below; 0 without any."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


def request(method: str, path: str, host: str, headers: Sequence[str] = (), body: bytes = b"") -> bytes:
    """Write a request as bytes."""
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body or method == "POST":
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One connection that carries one request at a time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._buffer = b""
        self._due_s: float | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - loop.create_connection gives no other
        self._transport = transport

    def ask(self, octets: bytes, due_s: float) -> None:
        """Send a request."""
        self._due_s = due_s
        if self._transport is not None:
            self._transport.write(octets)

    def data_received(self, data: bytes) -> None:
        """Take an answer when it is whole."""
        self._buffer += data
        head, gap, rest = self._buffer.partition(b"\r\n\r\n")
        if not gap:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return
        status, due_s = int(head[9:12]), self._due_s
        self._buffer, self._due_s = rest[length:], None
        if due_s is not None:
            self._load.answered(self, status, rest[:length], due_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count what will not be answered."""
        del exc
        if self._due_s is not None:
            self._load.lost()

    def close(self) -> None:
        """Hang up."""
        self._due_s = None
        if self._transport is not None:
            self._transport.close()


class Load:
    """A run: connections, what waits for one, and what came back."""

    def __init__(self, *, keep_bodies: bool = False) -> None:
        self.seen = Paced()
        self.connections: list[Connection] = []
        self._keep_bodies = keep_bodies
        self._idle: deque[Connection] = deque()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._left = 0
        self._done = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def connect(self, url: str, count: int) -> None:
        """Open so many connections."""
        host, _, port = urlsplit(url).netloc.partition(":")
        for _ in range(count):
            _, one = await self._loop.create_connection(lambda: Connection(self), host, int(port))
            self.connections.append(one)
        self._idle.extend(self.connections)

    async def run(self, requests: Sequence[bytes], per_s: float) -> Paced:
        """Send all, so many a second; `per_s` 0: all at once."""
        self._left = len(requests)
        began_s = self._loop.time()
        for number, octets in enumerate(requests):
            due_s = began_s + (number / per_s if per_s else 0.0)
            wait_s = due_s - self._loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._send(octets, due_s if per_s else began_s)
        try:
            await asyncio.wait_for(self._done.wait(), PATIENCE_S)
        except TimeoutError:
            self.seen.unanswered += self._left
        self.seen.seconds = self._loop.time() - began_s
        for one in self.connections:
            one.close()
        return self.seen

    def answered(self, connection: Connection, status: int, body: bytes, due_s: float) -> None:
        """Note an answer, and give the connection to who waits longest."""
        self.seen.latencies_s.append(self._loop.time() - due_s)
        self.seen.statuses[status] += 1
        if self._keep_bodies:
            self.seen.bodies.append(body)
        self._finish()
        self._idle.append(connection)
        if self._waiting:
            self._send(*self._waiting.popleft())

    def lost(self) -> None:
        """Note a request whose connection was cut."""
        self.seen.unanswered += 1
        self._finish()

    def _send(self, octets: bytes, due_s: float) -> None:
        if self._idle:
            self._idle.popleft().ask(octets, due_s)
        else:
            self._waiting.append((octets, due_s))

    def _finish(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._done.set()


async def paced(
    url: str, requests: Sequence[bytes], per_s: float, *, connections: int = 64, keep_bodies: bool = False
) -> Paced:
    """Send requests at a pace over so many connections."""
    load = Load(keep_bodies=keep_bodies)
    await load.connect(url, connections)
    return await load.run(requests, per_s)
