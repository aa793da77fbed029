"""Stored: what the doctor sees of the store and the journal, and of the rooms in both. It only reads."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import SQLAlchemyError

from checkout import migrations as shop
from gateway.doctor.finding import Finding, counted, fail, note, ok, skip, warn
from gateway.settings import Settings
from kernel.database import address, close, engine
from kernel.errors import Misconfigured, Unavailable
from kernel.migrating import stands
from kernel.settings import env
from kernel.store import Store, connect, translated
from waitroom.configure_store import ConfigureStore
from waitroom.journal_store import JournalStore
from waitroom.migrations import FOLDER, VERSION_TABLE
from waitroom.rooms import Room, page_faults, read_kept
from waitroom.store import Keys
from waitroom.view import custom_page_faults, theme_faults

SKEW_WARN_MS, SKEW_FAIL_MS = 500, 5_000
MEMORY_WARN_RATIO = 0.8
BEHIND_WARN_MS, BEHIND_FAIL_MS = 5_000, 60_000
SUPPORTED = (7, 0)
SOCKETS = ("store.sock", "shop/store.sock")
FOREIGN = "Restart what is older, or put this version back where it was."


def store_address(settings: Settings) -> str | None:
    """Give the store's address: what is set, or the embedded one that runs (of a shop alone, too); None for neither."""
    if settings.store_url is not None:
        return settings.store_url
    found = next(filter(Path.is_socket, (settings.data / name for name in SOCKETS)), None)
    return settings.shop_store_url if found is None else f"unix://{found.resolve()}"


class Stored:
    """What was read once, for all looks."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.info: Mapping[str, Any] = {}
        self.skew_ms: int | None = None
        self.rooms: dict[str, Room] = {}
        self.faults: dict[str, list[str]] = {}
        self.waiting: dict[str, tuple[int, int]] = {}
        """By room: acts that are not in the journal yet, and for how many ms the oldest has waited."""
        self.why = ""

    def read(self) -> None:
        """Ask the store."""
        url = store_address(self.settings)
        if url is None:
            self.why = "No store is set, and no embedded one runs in the data folder."
            return
        try:
            asyncio.run(self._read(url))
        except Misconfigured as error:
            self.why = error.faults[0]
        except Unavailable as error:
            self.why = _why(error.__cause__)
        except OSError as error:
            self.why = f"Its address cannot be reached ({type(error).__name__})."

    async def _read(self, url: str) -> None:
        client = connect(url, max_connections=4)
        try:
            with translated():
                before_ms = time.time() * 1000
                seconds, micros = await client.time()
                after_ms = time.time() * 1000
                self.info = await client.info("everything")
            theirs_ms = seconds * 1000 + micros / 1000
            # What lies between the two looks of ours says nothing.
            self.skew_ms = int(min(0.0, theirs_ms - before_ms) or max(0.0, theirs_ms - after_ms))
            await self._read_rooms(client)
        finally:
            await client.aclose()

    async def _read_rooms(self, client: Store) -> None:
        kept = ConfigureStore(client)
        for name in sorted(await kept.names()):
            try:
                room = read_kept(await kept.text(name))
            except Misconfigured as error:
                self.faults[name] = list(error.faults)
                continue
            if room is None:
                continue
            self.rooms[name] = room
            self.faults[name] = page_faults(room, custom_page_faults, theme_faults)
            key = Keys(name).journal
            with translated():
                count = await client.xlen(key)
                oldest: Any = await client.xrange(key, count=1)
            since_ms = int(oldest[0][0].partition(b"-")[0]) if oldest else 0
            age_ms = max(0, int(time.time() * 1000) - since_ms) if oldest else 0
            self.waiting[name] = (int(count), age_ms)


def _why(cause: BaseException | None) -> str:
    """Say in a sentence why a store did not answer; what it said itself may quote anything."""
    if any(isinstance(one, AuthenticationError | NoPermissionError) for one in _causes(cause)):
        return "It refuses our name and password, or forbids a command."
    if isinstance(cause, ResponseError):
        return f"It refuses a command ({type(cause).__name__})."
    if isinstance(cause, TimeoutError | RedisTimeoutError):
        return "It does not answer in time: it is stopped or overrun, or something on the way is."
    return f"Nobody answers at its address ({type(cause).__name__})."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Go from what was raised to what it was raised for."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def look_at_store(stored: Stored) -> Iterator[Finding]:
    """Whether it answers, keeps what it is told, and has the same time as we."""
    if not stored.info:
        yield fail(
            "store",
            stored.why,
            f"Start the store, or set {env('store_url')}; nobody can join or claim without it.",
        )
        return
    info = stored.info
    told = str(info.get("valkey_version") or info.get("redis_version", "0"))
    number = tuple(int(part) for part in told.split(".")[:2] if part.isdecimal())
    if number < SUPPORTED:
        yield fail("store.version", told, "Use Redis 7 or Valkey 8, or newer.")
    else:
        yield ok("store.version", told)
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        yield ok("store.policy", "noeviction")
    else:
        yield fail(
            "store.policy",
            str(policy),
            "CONFIG SET maxmemory-policy noeviction: else a full store forgets places.",
        )
    yield from _kept(info)
    skew = abs(stored.skew_ms or 0)
    if skew > SKEW_WARN_MS:
        word = fail if skew > SKEW_FAIL_MS else warn
        yield word(
            "store.clock",
            f"The store's clock and ours are {skew:,} ms apart.",
            "Run chrony or systemd-timesyncd on both.",
        )
    else:
        yield ok("store.clock", "The store's clock and ours agree.")


def _kept(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether the store writes down what it is told, and has room for it."""
    if info.get("aof_enabled"):
        if info.get("aof_last_write_status") != "ok":
            yield fail(
                "store.aof", "Its last write did not succeed.", "Look at the store's disk and its log."
            )
        else:
            yield ok("store.aof", "On: a restart loses a second at most.")
    else:
        yield note("store.aof", "Off: after a restart the line comes back from the journal.")
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    seen = f"{used // 1_000_000:,} MB used" + (
        f" of {most // 1_000_000:,} MB." if most else ", without a bound."
    )
    if most and used > MEMORY_WARN_RATIO * most:
        yield warn("store.memory", seen, "Give the store more memory: a full one refuses joins.")
    else:
        yield ok("store.memory", seen)


def look_at_rooms(stored: Stored) -> Iterator[Finding]:
    """What is wrong in the rooms' documents, and whether the journal keeps up with them."""
    if not stored.info:
        yield skip("rooms", "The store cannot be asked.")
        return
    if stored.why:
        yield fail("rooms", f"They could not be read. {stored.why}", "Look at the store and its log.")
        return
    for name, faults in stored.faults.items():
        for fault in faults:
            yield fail(f"rooms.{name}", fault, "waitroom check rooms FILE, or the console, says it in full.")
    good = [name for name in stored.rooms if not stored.faults.get(name)]
    if good:
        yield ok("rooms", f"{counted(len(good), 'room')} without a fault.")
    elif not stored.faults:
        yield note("rooms", "There are no rooms.", "waitroom apply FILE, or the console, makes one.")
    count = sum(number for number, _ in stored.waiting.values())
    age_ms = max((age for _, age in stored.waiting.values()), default=0)
    if not count or age_ms <= BEHIND_WARN_MS:
        yield ok(
            "journal.behind",
            f"Waiting to be written: {counted(count, 'act')}" + (", none for long." if count else "."),
        )
    else:
        word = fail if age_ms > BEHIND_FAIL_MS else warn
        yield word(
            "journal.behind", f"Waiting to be written: {counted(count, 'act')}, the oldest for {age_ms // 1000} s.",
            "Is the journal's database reachable and a gate running? What waits is lost with the store.",
        )  # fmt: skip


def look_at_journal(
    settings: Settings, is_ours: Callable[[bytes, str], bool] | None = None
) -> Iterator[Finding]:
    """Whether the journal is there, of this version, and whole."""
    journal = JournalStore(settings.journal_address)
    try:
        if not journal.is_there():
            yield warn(
                "journal",
                "There is none yet.",
                f"It is made at the first start; else set {env('journal_url')}.",
            )
            return
        yield _version("journal", _stands(settings.journal_address, "journal", FOLDER, VERSION_TABLE))
        found = journal.check((), is_ours)
        if found.fault is not None:
            yield fail(
                "journal.chain", f"Broken at entry {found.fault.seq}: {found.fault.why}.",
                "Keep the file as it is and its copies; docs/recovery.md says what follows.",
            )  # fmt: skip
        else:
            yield ok(
                "journal.chain",
                f"Whole: {counted(found.entries, 'entry', 'entries')}, {counted(found.heads, 'signed head')}.",
            )
    except Unavailable as error:
        yield fail("journal", error.public, f"Reach the database of {env('journal_url')}.")
    except Misconfigured as error:
        yield fail("journal", error.faults[0], f"Mend {env('journal_url')}.")
    finally:
        journal.close()


def look_at_shop(settings: Settings) -> Iterator[Finding]:
    """Whether the shop's database is there, and of this version; an installation without a shop has none."""
    url = settings.shop_database_url or f"sqlite:///{(settings.data / 'shop.db').resolve()}"
    if settings.shop_database_url is None and not (settings.data / "shop.db").is_file():
        yield skip("shop", "There is no database of a shop; not every installation has one.")
        return
    try:
        found = _stands(url, "shop", Path(shop.__file__).parent, shop.VERSION_TABLE)
    except Misconfigured as error:
        yield fail("shop", error.faults[0], f"Mend {env('shop_database_url')}.")
    except SQLAlchemyError as error:
        yield fail(
            "shop", f"Its database cannot be asked ({type(error).__name__}).",
            f"Reach the database of {env('shop_database_url')}: is it there, with our name and password?",
        )  # fmt: skip
    else:
        if found == "empty":
            yield warn("shop", "Its database is empty.", "Its tables are made at the first start.")
        else:
            yield _version("shop", found)


def _version(name: str, found: str) -> Finding:
    """Say how a database stands to this version."""
    what = f"{name}.version"
    match found:
        case "older":
            return warn(what, "It is of an older version.", "It is brought up to date at the next start.")
        case "newer":
            return fail(what, "It was written by a newer version.", FOREIGN)
        case _:
            return ok(what, "It is of this version.")


def _stands(url: str, name: str, folder: Path, table: str) -> str:
    made = engine(address(url, name), name)
    try:
        with made.connect() as connection:
            return stands(connection, folder, table)
    finally:
        close(made)
