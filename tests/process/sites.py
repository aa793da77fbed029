"""Sites: real TLS hosts on this machine, each with a name of its own, in front of the product itself.

A throw-away certificate, a gate with its store, an origin that greets, and a page of another site that shows the room
in a frame. Chromium is told where the names lead. Not here: what must hold (``test_page_frame``).
"""

import asyncio
import datetime as dt
import gc
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry

from gateway import wiring
from gateway.http import http
from gateway.settings import Settings

TICKETS = "tickets.example.test"
FANS = "www.fanclub.test"
"""Two registrable sites: to a browser the one in the frame is a stranger."""

RULES = "--host-resolver-rules=MAP *.test 127.0.0.1"
START_S = 60.0


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key and a certificate for both names, good for a day; return their files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, TICKETS)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(TICKETS), x509.DNSName(FANS)]), False)
        .sign(key, SHA256())
    )
    key_file, made_file = folder / "key.pem", folder / "certificate.pem"
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    made_file.write_bytes(made.public_bytes(Encoding.PEM))
    return key_file, made_file


class _Server(uvicorn.Server):
    def capture_signals(self) -> Any:
        """Leave signals to the tests."""
        return nullcontext()


def _server(app: Any, **more: Any) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            **more,
        )
    )


def greeting(title: str, body: str) -> Any:
    """Make an application that says one thing at every address."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        page = f"<!doctype html><title>{title}</title>{body}".encode()
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": page})

    return app


@contextmanager
def sites(
    store_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, settings: str = ""
) -> Iterator[tuple[str, str]]:
    """Serve the gate on one site and, on another, a page with the room in a frame; give both addresses.

    `settings` are further lines of the room.
    """
    # In one Python process the names of two houses' metrics would clash.
    line, door, checks = wiring.LineMetrics, wiring.DoorMetrics, wiring.ChallengeMetrics
    monkeypatch.setattr(wiring, "LineMetrics", lambda: line(CollectorRegistry()))
    monkeypatch.setattr(wiring, "DoorMetrics", lambda: door(CollectorRegistry()))
    guard = wiring.GuardMetrics
    monkeypatch.setattr(wiring, "GuardMetrics", lambda: guard(CollectorRegistry()))
    monkeypatch.setattr(wiring, "ChallengeMetrics", lambda: checks(CollectorRegistry()))
    key, made = certificate(folder)
    tls = {"ssl_keyfile": str(key), "ssl_certfile": str(made)}
    with (
        socket.create_server(("127.0.0.1", 0)) as gate_at,
        socket.create_server(("127.0.0.1", 0)) as origin_at,
        socket.create_server(("127.0.0.1", 0)) as fans_at,
    ):
        tickets = f"https://{TICKETS}:{gate_at.getsockname()[1]}"
        fans = f"https://{FANS}:{fans_at.getsockname()[1]}"
        rooms = folder / "rooms.toml"
        rooms.write_text(
            f'[rooms.main]\norigin = "http://127.0.0.1:{origin_at.getsockname()[1]}"\n'
            f'frame_ancestors = ["{fans}"]\n{settings}\n'
        )
        frame = f'<iframe src="{tickets}/.waitroom/r/main?target=/shop" width="420" height="700"></iframe>'
        started, stop = threading.Event(), threading.Event()

        async def run() -> None:
            gate = wiring.GateProcess(
                Settings(data=folder, store_url=store_url, rooms=rooms, public_url=tickets, port=0)
            )
            await gate.start()
            servers = [
                (_server(gate.app, http=http(32_768, 15.0, gate.broadcast), **tls), gate_at),
                (_server(greeting("Shop", "<h1>Welcome to the shop</h1>")), origin_at),
                (_server(greeting("Fan club", frame), **tls), fans_at),
            ]
            tasks = [asyncio.ensure_future(server.serve(sockets=[at])) for server, at in servers]
            while not all(server.started for server, _ in servers):  # noqa: ASYNC110 - uvicorn tells it no other way
                await asyncio.sleep(0.01)
            started.set()
            while not stop.is_set():  # noqa: ASYNC110 - told by another thread
                await asyncio.sleep(0.05)
            for server, _ in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)
            # A browser keeps its connections open.
            for server, _ in servers:
                for connection in list(server.server_state.connections):
                    connection.transport.abort()
            await asyncio.sleep(0.3)
            await gate.stop()
            await asyncio.sleep(0.1)

        thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
        thread.start()
        try:
            assert started.wait(START_S), "the sites did not start"
            yield tickets, fans
        finally:
            stop.set()
            thread.join(START_S)
            # What was just being connected when everything stopped is dropped here, and is no later test's fault.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
