"""Demo: starts, watches and stops all processes of one installation; ``serve`` and ``shop serve`` do the same.

In order: ports, data folder, secrets, store, operator's process (it brings the journal's tables up to
date), gate workers and shop workers, and for the demo a crowd. Whatever cannot be had is told in one
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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from threading import Thread
from typing import TypeVar

from prometheus_client.multiprocess import mark_process_dead

from checkout.backoffice.navigation import OFFICE
from checkout.catalogue.evenings import EVENTS
from checkout.tickets.links import OPEN
from gateway.child import Child, pause_s
from gateway.demo_link import DemoLink
from gateway.demo_staff import has_logins, is_on_this_machine, with_logins
from gateway.open_paths import warn
from gateway.rooms_file import rooms_at_start
from gateway.settings import Settings, loopback, to_environ
from kernel.clock import SystemClock
from kernel.embedded import EmbeddedStore
from kernel.errors import Misconfigured
from kernel.metrics import MULTIPROC
from kernel.settings import env
from waitroom.rooms import Room

log = logging.getLogger(__name__)

Result = TypeVar("Result")

ROOMS = Path(__file__).with_name("demo.toml")
REPORT = "crowd.html"
CROWD_ERRANDS = (
    "reserve=76,extend=6,double_click=4,retry=3,give_back=4,walk_away=2,two_tabs=2,rival=2,watch=1"
)
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


class Kind(StrEnum):
    """What an installation runs."""

    DEMO = "demo"
    """Everything, the shop as the site behind."""
    SERVE = "serve"
    """Waiting room and gate, before a site that runs elsewhere."""
    SHOP = "shop"
    """The shop alone."""


def operator_token(settings: Settings, *, make: bool) -> str:
    """Give the operator's secret: the setting, or the file in the data folder, or (demo) a new one there."""
    return _secret("operator_token", settings.operator_token, settings.operator_token_path, make=make)


def organiser_token(settings: Settings, *, make: bool) -> str:
    """Give the secret of the shop's organiser, found in the same ways."""
    return _secret("organiser_token", settings.organiser_token, settings.organiser_token_path, make=make)


def _secret(name: str, given: str | None, path: Path, *, make: bool) -> str:
    if given is not None:
        return given
    if path.exists():
        text = path.read_text(encoding="utf-8").strip()
        if len(text) < 16:
            raise Misconfigured([f"{path}: a secret of fewer than 16 characters can be guessed."])
        return text
    if not make:
        raise Misconfigured(
            [f"{env(name)}: must be set, or {env(name)}_FILE, or write one: openssl rand -hex 32 > {path}"]
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


def room_before(origin: str, rooms: Iterable[Room]) -> str | None:
    """Name the room that stands before an origin: the first of several."""
    return next((room.name for room in rooms if room.origin == origin), None)


def _gather(faults: list[str], step: Callable[[], Result]) -> Result | None:
    """Do a step; note its faults instead of stopping at the first that fails."""
    try:
        return step()
    except Misconfigured as error:
        faults += error.faults
        return None


class Installation:
    """All processes of one installation."""

    def __init__(self, settings: Settings, kind: Kind, *, crowd: int = 0) -> None:
        self._settings = settings
        self._kind = kind
        self._crowd = crowd
        self._store: EmbeddedStore | None = None
        self._children: list[Child] = []
        self._listeners: dict[str, socket.socket] = {}
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
            self._look_at_origins()
            if self._crowd:
                await self._send_crowd(environ)
            await self._told.wait()
            return 0
        finally:
            await self._stop()
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    def _look_at_origins(self) -> None:
        """Tell once what a shop behind the gate needs open and the gate keeps shut; nobody waits for that."""
        origins = [room.origin for room in rooms_at_start(self._settings.rooms)]
        origins += [self._settings.default_origin] if self._settings.default_origin else []
        Thread(target=warn, args=(origins, self._settings.open_paths), daemon=True).start()

    def _tell(self) -> None:
        self._signals += 1
        self._told.set()
        if self._signals > 1:
            for child in self._children:
                child.kill()

    def _prepare(self) -> dict[str, str]:
        """Get all that can be missing, and give the children's environment; tells every fault it finds."""
        settings, is_demo = self._settings, self._kind is Kind.DEMO
        prepare_folder(settings.data)
        faults: list[str] = []
        found: dict[str, object] = {}
        if self._kind is not Kind.SHOP:
            found["operator_token"] = _gather(faults, lambda: operator_token(settings, make=is_demo))
        if is_demo:
            found["organiser_token"] = _gather(faults, lambda: organiser_token(settings, make=True))
            # Between processes that end together: nobody else needs to know it.
            found["backend_token"] = settings.backend_token or secrets.token_urlsafe(24)
        rooms = _gather(faults, lambda: rooms_at_start(settings.rooms)) or []
        found |= _gather(faults, self._listen) or {}
        if faults:
            raise Misconfigured(faults)
        settings = replace(settings, **found)  # type: ignore[arg-type]
        if is_demo and settings.rooms is None:
            path = settings.data / "demo.toml"
            path.write_text(
                with_shop(ROOMS.read_text(encoding="utf-8"), settings.shop_port), encoding="utf-8"
            )
            settings = replace(settings, rooms=path)
            rooms = rooms_at_start(path)
        if is_demo:
            settings = replace(
                settings.to_try_out(),
                shop_room=settings.shop_room or room_before(settings.shop_address, rooms),
                open_paths=settings.open_paths or OPEN,
            )
            settings = with_logins(settings)
        self._settings = self._with_store(settings)
        # Only now: the store's lock has shown that no other installation uses the folder.
        metrics = self._folder / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir()
        kept = {name: text for name, text in os.environ.items() if not name.startswith("WAITROOM_")}
        environ = to_environ(self._settings)
        return kept | environ | {MULTIPROC: str(metrics.absolute()), "PYTHONUNBUFFERED": "1"}

    def _listen(self) -> dict[str, object]:
        """Open the ports, and give their numbers by setting."""
        settings = self._settings
        ports: dict[str, tuple[str, int]] = {}
        if self._kind is not Kind.SHOP:
            ports["gate"] = settings.host, settings.port
            ports["operator"] = settings.operator_host, settings.operator_port
        if self._kind is not Kind.SERVE:
            ports["shop"] = settings.shop_host, settings.shop_port
            if settings.has_sandbox:
                ports["sandbox"] = settings.host, settings.sandbox_port
        names = {
            "gate": "port", "operator": "operator_port", "shop": "shop_port", "sandbox": "sandbox_port",
        }  # fmt: skip
        opened = listen([(names[role], host, port) for role, (host, port) in ports.items()])
        self._listeners = dict(zip(ports, opened, strict=True))
        return {names[role]: listener.getsockname()[1] for role, listener in self._listeners.items()}

    @property
    def _folder(self) -> Path:
        """The folder of the store and of what the processes count; the shop's own if it runs beside a line."""
        return self._settings.data / "shop" if self._kind is Kind.SHOP else self._settings.data

    def _with_store(self, settings: Settings) -> Settings:
        """Start a store where none is named."""
        wanted = settings.store_url or (settings.shop_store_url if self._kind is Kind.SHOP else None)
        if self._kind is Kind.SHOP:
            prepare_folder(self._folder)
        if wanted is not None:
            return settings
        self._store = EmbeddedStore(self._folder)
        return replace(settings, store_url=self._store.start())

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

        workers = {
            "operator": 1, "gate": self._settings.workers, "shop": self._settings.shop_workers, "sandbox": 1,
        }  # fmt: skip
        groups: dict[bool, list[Child]] = {True: [], False: []}
        for role, listener in self._listeners.items():
            for number in range(workers[role]):
                groups[role == "operator"].append(child(f"{role} {number}", role, listener))
        for group in filter(None, groups.values()):
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
        if settings.shop_demo and "sandbox" in self._listeners and settings.payments == "sandbox":
            # All want the same evening and most mean to buy, so that its hall sells out.
            sandbox = self._address(settings.host, settings.sandbox_port)
            words += ["--event", EVENTS[0].slug, "--errands", CROWD_ERRANDS]
            words += ["--books", str(settings.data), "--sandbox-url", sandbox]
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
        for first in ("crowd", "gate", "shop", ""):
            group = [child for child in left if child.name.startswith(first)]
            await asyncio.gather(*(child.stop(patience) for child in group))
            left = [child for child in left if child not in group]
        for listener in self._listeners.values():
            listener.close()
        if self._store is not None:
            self._store.stop()

    def _address(self, host: str, port: int) -> str:
        return f"http://{loopback(host)}:{port}"

    def _welcome(self) -> str:
        settings = self._settings
        shop = self._address(settings.shop_host, settings.shop_port)
        rows: list[tuple[str, str]] = []
        if self._kind is Kind.SHOP:
            rows += [("the shop, for the admitted", shop + "/")]
        else:
            site = settings.public_url or self._address(settings.host, settings.port) + "/"
            control = self._address(settings.operator_host, settings.operator_port) + "/"
            shown = ("console", control)
            if self._kind is Kind.DEMO and is_on_this_machine(settings):
                code = DemoLink(settings.data, SystemClock()).offer()
                shown = ("console; this link signs you in, once", f"{control}login?link={code}")
            rows += [
                ("the shop, behind the waiting room" if self._kind is Kind.DEMO else "the gate", site),
                shown,
                (
                    "its password, the operator's token",
                    _told_where(settings.operator_token_path, "operator_token"),
                ),
            ]
        if settings.organiser_token is not None:
            where = _told_where(settings.organiser_token_path, "organiser_token")
            rows += [
                ("the organiser's API", shop + "/organiser/"),
                ("its secret, the organiser's token", where),
            ]
        if has_logins(settings):
            rows += [("the back office; choose who you are", f"{settings.staff_site(settings.site)}{OFFICE}")]
        if "sandbox" in self._listeners:
            rows += [
                (
                    "sandbox: its bank, that moves no money",
                    self._address(settings.host, settings.sandbox_port),
                )
            ]
            if settings.shop_demo and settings.notifications is None:
                rows += [("mails to fans, as files", str(settings.mail_folder))]
        rows += [("data, kept for the next start", str(settings.data))]
        width = max(len(label) for label, _ in rows)
        lines = "\n".join(f"    {label.ljust(width)}   {text}" for label, text in rows)
        ending = "Ctrl-C stops everything and leaves no process behind; every place is kept."
        report = settings.data / REPORT
        crowd = (
            f"\n  {self._crowd} simulated fans are on their way; report: {report}\n" if self._crowd else ""
        )
        return f"\n  Waitroom is running.\n\n{lines}\n{crowd}\n  {ending}\n"


def _told_where(path: Path, name: str) -> str:
    return str(path) if path.exists() else f"as set in {env(name)}"


def run(settings: Settings, kind: Kind, *, crowd: int = 0) -> int:
    """Run one installation until it is told to stop; raises Misconfigured when it cannot start."""

    async def live() -> int:
        return await Installation(settings, kind, crowd=crowd).run()

    return asyncio.run(live())
