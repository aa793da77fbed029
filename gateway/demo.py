"""Demo: starts, watches and stops all processes of one installation; ``waitroom serve`` does the same.

In order: ports, data folder, secrets, store, operator's process (it brings the journal's tables up to
date), gate workers, and for the demo the shop and a crowd. Whatever cannot be had is told in one
sentence before anything runs. Ctrl-C and SIGTERM stop all of it in the opposite order, the store last,
and a second one at once. If the supervisor itself is killed, the kernel ends its children.

The supervisor opens the listening sockets and the workers inherit them: a taken port is told at
once, and a connection waiting to be accepted outlives the worker that might have taken it.
"""

import asyncio
import errno
import logging
import os
import re
import secrets
import shutil
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from prometheus_client.multiprocess import mark_process_dead

from gateway.child import Child, pause_s
from gateway.settings import Settings, env, to_environ
from kernel.embedded import EmbeddedStore
from kernel.errors import Misconfigured
from kernel.metrics import MULTIPROC
from waitroom.rooms_toml import parse_toml

log = logging.getLogger(__name__)

Result = TypeVar("Result")

ROOMS = Path(__file__).with_name("demo.toml")
REPORT = "crowd.html"
BACKLOG = 4096
STORE_LOOK_S = 0.5
PATIENCE_S = 10.0


def prepare_folder(folder: Path) -> None:
    """Make the data folder, for this user only; raises Misconfigured when that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise Misconfigured([f"The data folder {folder} cannot be written: {error.strerror}."]) from error


def operator_token(settings: Settings, *, make: bool) -> str:
    """Give the operator's secret: the setting, or the file in the data folder, or (demo) a new one there."""
    if settings.operator_token is not None:
        return settings.operator_token
    path = settings.operator_token_path
    if path.exists():
        text = path.read_text(encoding="utf-8").strip()
        if len(text) < 16:
            raise Misconfigured([f"{path}: a secret of fewer than 16 characters can be guessed."])
        return text
    if not make:
        raise Misconfigured(
            [
                f"{env('operator_token')}: must be set, or {env('operator_token')}_FILE, or write one: "
                f"openssl rand -hex 32 > {path}"
            ]
        )
    text = secrets.token_urlsafe(24)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    return text


def listen(places: Sequence[tuple[str, str, int]]) -> list[socket.socket]:
    """Open the listening sockets of ``(setting, host, port)``; raises Misconfigured for all that are taken."""
    opened: list[socket.socket] = []
    faults: list[str] = []
    for name, host, port in places:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.append(listener)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            faults.append(_no_port(name, host, port, error))
    if faults:
        for listener in opened:
            listener.close()
        raise Misconfigured(faults)
    return opened


def _no_port(name: str, host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is taken by another program: stop that, or choose another port "
            f"with {env(name)} or --{name.replace('_', '-')}."
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"Port {port} may not be used by this user: choose one from 1024 up with {env(name)}."
    return f"{host}:{port} ({env(name)}) cannot be used: {error.strerror or error}."


def with_shop(rooms: str, port: int) -> str:
    """Put the shop's real port into the demo's rooms."""
    return re.sub(r'(?m)^origin = ".*"$', f'origin = "http://127.0.0.1:{port}"', rooms)


def check_rooms(path: Path | None) -> None:
    """Read the rooms file before anything runs on it; raises Misconfigured with all its faults."""
    if path is None:
        return
    try:
        parse_toml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Misconfigured([f"The rooms file {path} cannot be read: {why}."]) from error
    except Misconfigured as error:
        raise Misconfigured([f"{path}: {fault}" for fault in error.faults]) from None


def _gather(faults: list[str], step: Callable[[], Result]) -> Result | None:
    """Do a step; note its faults instead of stopping at the first that fails."""
    try:
        return step()
    except Misconfigured as error:
        faults += error.faults
        return None


class Installation:
    """All processes of one installation."""

    def __init__(self, settings: Settings, *, demo: bool, crowd: int = 0) -> None:
        self._settings = settings
        self._demo = demo
        self._crowd = crowd
        self._store: EmbeddedStore | None = None
        self._children: list[Child] = []
        self._listeners: list[socket.socket] = []
        self._signals = 0
        self._told = asyncio.Event()

    async def run(self) -> int:
        """Start everything, watch it until told to stop, stop it; give the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._tell)
        watching: list[asyncio.Task[None]] = []
        try:
            environ = self._prepare()
            if not await self._start(environ):
                return 0 if self._told.is_set() else max(child.status for child in self._children) or 1
            print(self._welcome(), flush=True)
            watching = [asyncio.ensure_future(child.keep()) for child in self._children]
            watching.append(asyncio.ensure_future(self._watch_store()))
            if self._crowd:
                await self._send_crowd(environ)
            await self._told.wait()
            return 0
        finally:
            await self._stop()
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    def _tell(self) -> None:
        self._signals += 1
        self._told.set()
        if self._signals > 1:
            for child in self._children:
                child.kill()

    def _prepare(self) -> dict[str, str]:
        """Get all that can be missing, and give the children's environment; tells every fault it finds."""
        settings = self._settings
        prepare_folder(settings.data)
        places = [
            ("port", settings.host, settings.port),
            ("operator_port", settings.operator_host, settings.operator_port),
        ]
        if self._demo:
            places.append(("shop_port", "127.0.0.1", settings.shop_port))
        faults: list[str] = []
        token = _gather(faults, lambda: operator_token(settings, make=self._demo))
        _gather(faults, lambda: check_rooms(settings.rooms))
        self._listeners = _gather(faults, lambda: listen(places)) or []
        if faults:
            raise Misconfigured(faults)
        numbers = [listener.getsockname()[1] for listener in self._listeners]
        ports = {name: number for (name, _, _), number in zip(places, numbers, strict=True)}
        settings = replace(settings, operator_token=token, **ports)
        if self._demo and settings.rooms is None:
            rooms = settings.data / "demo.toml"
            text = with_shop(ROOMS.read_text(encoding="utf-8"), settings.shop_port)
            rooms.write_text(text, encoding="utf-8")
            settings = replace(settings, rooms=rooms)
        if settings.store_url is None:
            self._store = EmbeddedStore(settings.data)
            settings = replace(settings, store_url=self._store.start())
        # Only now: the store's lock has shown that no other installation uses the folder.
        metrics = settings.data / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir()
        self._settings = settings
        kept = {name: text for name, text in os.environ.items() if not name.startswith("WAITROOM_")}
        return kept | to_environ(settings) | {MULTIPROC: str(metrics.absolute()), "PYTHONUNBUFFERED": "1"}

    async def _start(self, environ: dict[str, str]) -> bool:
        """Start the children in order; False when one failed or we are told to stop."""
        metrics = environ[MULTIPROC]

        def child(name: str, role: str, listener: socket.socket) -> Child:
            # Only the gate has somebody in front who must notice that it goes.
            drain = {} if role == "gate" else {env("drain_s"): "0"}
            made = Child(
                name,
                ["worker", role],
                environ | drain,
                listener=listener.fileno(),
                on_end=lambda pid: mark_process_dead(pid, metrics),  # type: ignore[no-untyped-call]
            )
            self._children.append(made)
            return made

        gate, operator, *shop = self._listeners
        groups = [[child("operator", "operator", operator)]]
        groups.append([child(f"gate {number}", "gate", gate) for number in range(self._settings.workers)])
        if shop:
            groups[-1].append(child("shop", "shop", shop[0]))
        for group in groups:
            starts = asyncio.ensure_future(
                asyncio.wait([asyncio.ensure_future(one.start()) for one in group])
            )
            told = asyncio.ensure_future(self._told.wait())
            await asyncio.wait([starts, told], return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            if self._told.is_set():
                return False
            done, _ = starts.result()
            if not all(task.result() for task in done):
                log.error("a process failed to start; its reason stands above")
                return False
        return True

    async def _send_crowd(self, environ: dict[str, str]) -> None:
        settings = self._settings
        words = ["crowd", self._address(settings.host, settings.port), "--fans", str(self._crowd)]
        words += ["--operator-url", self._address(settings.operator_host, settings.operator_port)]
        words += ["--report", str(settings.data / REPORT)]
        if settings.operator_token_path.exists():
            words += ["--operator-token-file", str(settings.operator_token_path)]
        crowd = Child("crowd", words, environ)
        self._children.append(crowd)
        await crowd.start()

    async def _watch_store(self) -> None:
        """Start the embedded store again when it has died; its file has everything up to a second ago."""
        failures = 0
        while self._store is not None:
            await asyncio.sleep(STORE_LOOK_S if not failures else pause_s(failures))
            if self._store.alive or self._told.is_set():
                continue
            log.error("the store ended and is started again")
            try:
                self._store.restart()
                failures = 0
            except Misconfigured as error:
                failures += 1
                log.critical("the store cannot be started", extra={"fault": error.faults[0]})

    async def _stop(self) -> None:
        """Stop the crowd, the gate, what stands behind the gate, and the store at last."""
        patience = self._settings.drain_s + self._settings.stop_s + PATIENCE_S
        left = list(self._children)
        for first in ("crowd", "gate", ""):
            group = [child for child in left if child.name.startswith(first)]
            await asyncio.gather(*(child.stop(patience) for child in group))
            left = [child for child in left if child not in group]
        for listener in self._listeners:
            listener.close()
        if self._store is not None:
            self._store.stop()

    def _address(self, host: str, port: int) -> str:
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
        return f"http://{shown}:{port}"

    def _welcome(self) -> str:
        settings = self._settings
        site = settings.public_url or self._address(settings.host, settings.port) + "/"
        control = self._address(settings.operator_host, settings.operator_port) + "/"
        rows = [
            ("the shop, behind the waiting room" if self._demo else "the gate", site),
            ("control page", control),
            ("its password, the operator's token", str(settings.operator_token_path)),
            ("data, kept for the next start", str(settings.data)),
        ]
        if not settings.operator_token_path.exists():
            rows[2] = (rows[2][0], f"as set in {env('operator_token')}")
        width = max(len(label) for label, _ in rows)
        lines = "\n".join(f"    {label.ljust(width)}   {text}" for label, text in rows)
        ending = "Ctrl-C stops everything and leaves no process behind; every place is kept."
        report = settings.data / REPORT
        crowd = (
            f"\n  {self._crowd} simulated fans are on their way; report: {report}\n" if self._crowd else ""
        )
        return f"\n  Waitroom is running.\n\n{lines}\n{crowd}\n  {ending}\n"


def run(settings: Settings, *, demo: bool, crowd: int = 0) -> int:
    """Run one installation until it is told to stop; raises Misconfigured when it cannot start."""

    async def live() -> int:
        return await Installation(settings, demo=demo, crowd=crowd).run()

    return asyncio.run(live())
