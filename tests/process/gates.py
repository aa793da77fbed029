"""Gates: a sale with its doors behind a real server, and phones whose camera sees a picture that the test has drawn.

Not here: what must hold (``test_scanner``), the Python gate of the other tests (``tests/checkout/doors``).
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import segno
import uvicorn

from checkout.site.scan_page import ScanPages
from checkout.tickets.scan_web import ScanWeb
from kernel.asgi import header, respond
from tests.checkout.doors import HOUR_MS, Doors, doors
from tests.checkout.reservations import EVENT

START_S = 60.0
TICK_MS = 50
WIDTH, HEIGHT, SCALE = 640, 480, 7


@dataclass
class Place:
    """Where the doors are: their address, links for gates, and codes and numbers of tickets."""

    address: str
    own: Doors
    links: dict[str, str]
    tickets: list[Any]
    loop: asyncio.AbstractEventLoop
    cut: set[str]
    """Gates whose line to the server is cut, whatever their browser believes."""

    def code(self, at: int) -> str:
        """Give a ticket's code."""
        return self.own.keys.code(self.tickets[at])

    def run(self, what: Any) -> Any:
        """Do something where the doors are."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(START_S)


class _Server(uvicorn.Server):
    def capture_signals(self) -> Any:
        """Leave signals to the tests."""
        return nullcontext()


@contextmanager
def standing(folder: Path, store_url: str) -> Iterator[Place]:
    """Sell tickets, and serve the doors' addresses."""
    started, stop = threading.Event(), threading.Event()
    found: list[Place] = []

    async def run(at: socket.socket) -> None:
        async with doors(f"sqlite:///{folder}/shop.db", store_url) as own:
            scene = own.shop.scene
            tickets = [*await own.tickets("ann", 0, 1, 2, 3), *await own.tickets("bob", 4, 5, 6, 7)]
            links = {}
            for name in ("Gate A", "Gate B"):
                made = await own.scanning.make(EVENT, name, own.clock.now_ms() + 24 * HOUR_MS)
                assert made is not None
                links[name] = f"/scan/{EVENT}#{made.token}"
            web = ScanWeb(own.scanning, scene.catalogue, ScanPages(), own.clock, scene.metrics)
            cut: set[str] = set()

            async def line(scope: Any, receive: Any, send: Any) -> None:
                """Answer, but to those whose line is cut."""
                cookies = header(scope, b"cookie") or b""
                if any(links[name].partition("#")[2].encode() in cookies for name in cut):
                    await respond(send, 503, [], b"")
                else:
                    await web(scope, receive, send)

            server = _Server(
                uvicorn.Config(
                    line, interface="asgi3", ws="none", lifespan="off", log_config=None, access_log=False,
                    timeout_graceful_shutdown=1,
                )
            )  # fmt: skip
            serving = asyncio.ensure_future(server.serve(sockets=[at]))
            while not server.started:  # noqa: ASYNC110 - uvicorn tells it no other way
                await asyncio.sleep(0.01)
            address = f"http://127.0.0.1:{at.getsockname()[1]}"
            found.append(Place(address, own, links, tickets, asyncio.get_running_loop(), cut))
            started.set()
            while not stop.is_set():
                own.clock.advance(TICK_MS)
                await asyncio.sleep(TICK_MS / 1000)
            server.should_exit = True
            await serving

    with socket.create_server(("127.0.0.1", 0)) as at:
        thread = threading.Thread(target=lambda: asyncio.run(run(at)), daemon=True)
        thread.start()
        try:
            assert started.wait(START_S), "the doors did not start"
            yield found[0]
        finally:
            stop.set()
            thread.join(START_S)


def picture(code: str, file: Path) -> Path:
    """Draw a code as what a camera sees: grey, with a wall around it (YUV4MPEG2)."""
    made = [bytearray(row) for row in segno.make_qr(code, error="m", boost_error=False).matrix_iter(border=4)]
    side = len(made) * SCALE
    left, top = (WIDTH - side) // 2, (HEIGHT - side) // 2
    lines = [bytearray([90]) * WIDTH for _ in range(HEIGHT)]
    for y, row in enumerate(made):
        wide = b"".join((b"\x18" if one else b"\xe8") * SCALE for one in row)
        for line in lines[top + y * SCALE : top + (y + 1) * SCALE]:
            line[left : left + side] = wide
    plain = bytes([128]) * (WIDTH * HEIGHT // 4)
    frame = b"FRAME\n" + b"".join(lines) + plain + plain
    file.write_bytes(b"YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420mpeg2\n" % (WIDTH, HEIGHT) + frame * 3)
    return file
