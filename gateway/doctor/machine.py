"""Machine: what the doctor sees of where the installation runs: packages, files, disk, clock, ports.

Each look is a function of the settings that returns findings; none changes anything but the soft limit of open files of
the doctor's own process. Not here: the store and the journal (``stored``), what is configured (``chosen``).
"""

import http.client
import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from re import split
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from gateway.doctor.finding import Finding, fail, note, ok, skip, warn
from gateway.files import most_connections
from gateway.settings import Settings, is_shop_alone, loopback
from kernel.errors import Misconfigured
from kernel.settings import env

LEAST_PYTHON = (3, 11)
DISK_WARN_BYTES, DISK_FAIL_BYTES = 2_000_000_000, 200_000_000
OLD_KEY_MS = 400 * 86_400_000
PATIENCE_S = 3.0
SECRETS = Path("/run/secrets")
"""Where Docker and Podman hand secrets in: with the mode of the file outside, readable in this container alone."""

directly = build_opener(ProxyHandler({}))
"""Asks this machine, whatever proxy is set for the world outside."""

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def versions() -> dict[str, str]:
    """Name the versions of Python, the system, ourselves and all packages that we name; '' for one that is missing."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.release()}"}
    try:
        found["waitroom"] = version("waitroom")
        wanted = requires("waitroom") or []
    except PackageNotFoundError:
        found["waitroom"], wanted = "", []
    for line in wanted:
        if "extra == 'test'" in line or 'extra == "test"' in line:
            continue
        name = _name_of(line)
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def _name_of(requirement: str) -> str:
    """Take a package's name out of a line such as ``redis[hiredis]>=8; extra == "server"``."""
    return split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]


def look_at_versions(_settings: Settings) -> Iterator[Finding]:
    """Python and the packages of the server."""
    if sys.version_info[:2] < LEAST_PYTHON:
        yield fail("versions.python", platform.python_version(), "Install Python 3.11 or newer.")
    else:
        yield ok("versions.python", platform.python_version())
    found = versions()
    for line in requires("waitroom") or [] if found["waitroom"] else []:
        name = _name_of(line)
        if "extra == 'server'" in line.replace('"', "'") and not found[name]:
            yield fail("versions.packages", f"{name} is missing.", "pip install 'waitroom[server]'")
    yield ok("versions.waitroom", found["waitroom"] or "not installed as a package")


def look_at_clock(_settings: Settings) -> Iterator[Finding]:
    """The time zone; whether the clock itself is right is seen against the store (``stored``)."""
    zone = time.strftime("%Z %z", time.localtime())
    if time.time() < 1_700_000_000:
        yield fail(
            "clock", "The clock stands before 2023.", "Set the clock; run chrony or systemd-timesyncd."
        )
    yield note("clock.zone", f"{zone}; logs and sales are told in UTC, whatever the zone.")


def look_at_files(settings: Settings) -> Iterator[Finding]:
    """How many files a process may have open, and how much room the disk has."""
    most = most_connections()
    if most < settings.max_connections:
        yield warn(
            "files.limit",
            f"A process may have {most} connections, and {settings.max_connections} are set.",
            f"Raise the limit of open files (ulimit -Hn, LimitNOFILE=), or lower {env('max_connections')}.",
        )
    else:
        yield ok("files.limit", f"{most} connections a process; {settings.max_connections} are set.")
    folder = settings.data
    if not folder.is_dir():
        yield fail(
            "files.data",
            "There is no data folder.",
            f"Make it, or set {env('data')} to where it is; nothing was started here.",
        )
        return
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        yield fail("files.data", "The data folder can only be read.", READ_ONLY)
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield fail("files.data", "This user may not write to the data folder.", OTHER_OWNER)
    else:
        yield ok("files.data", "The data folder can be written to.")
    free = shutil.disk_usage(folder).free
    seen = f"{free // 1_000_000:,} MB are free."
    if free < DISK_FAIL_BYTES:
        yield fail("files.disk", seen, "Make room now: a full disk stops the journal and the shop.")
    elif free < DISK_WARN_BYTES:
        yield warn("files.disk", seen, "Make room before the sale: journal and shop grow with it.")
    else:
        yield ok("files.disk", seen)


READ_ONLY = (
    "Mount it for writing; a disk with faults is made read-only by the system: look at its log (dmesg)."
)
OTHER_OWNER = "Give it to the user that the service runs as, and run this as that user."


def secret_files(settings: Settings) -> dict[str, Path]:
    """Name the files that hold secrets."""
    return {
        "keyring": settings.keyring_path,
        "people-keys": settings.people_keys_path(settings.data),
        "push-keys": settings.push_keys_path(settings.data),
        "ticket-keys": settings.ticket_keys_path,
        "operator-token": settings.operator_token_path,
        "organiser-token": settings.organiser_token_path,
        "staff-tokens": settings.staff_tokens_path(settings.data),
    }


def look_at_keys(settings: Settings) -> Iterator[Finding]:
    """Whether the files with secrets are there and closed to others, and how old the signing keys are."""
    for name, path in secret_files(settings).items():
        what = f"keys.{name}"
        if not path.is_file():
            if name == "keyring":
                yield warn(
                    what,
                    "There is no key ring.",
                    "It is made at the first start; after that a missing one is a lost one.",
                )
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_relative_to(SECRETS):
            yield ok(what, "It was handed in to this container.")
        elif mode & OTHERS:
            yield fail(what, f"Others may read or write it (mode {mode:03o}).", f"chmod 600 {path}")
        else:
            yield ok(what, f"Only its owner may read it (mode {mode:03o}).")
    yield from _ages(settings)


def _ages(settings: Settings) -> Iterator[Finding]:
    from admission.keyring import parse  # noqa: PLC0415 (only where there is a ring)

    if not settings.keyring_path.is_file():
        return
    try:
        keys = parse(settings.keyring_path.read_text(encoding="utf-8"))
    except Misconfigured as error:
        for fault in error.faults:
            yield fail(
                "keys.ring",
                fault,
                "Put the key ring back from its copy; a new one makes all papers worthless.",
            )
        return
    except (OSError, UnicodeDecodeError):
        yield fail(
            "keys.ring", "The key ring cannot be read.", "Run this as the user that the service runs as."
        )
        return
    now_ms = time.time_ns() // 1_000_000
    old = sorted({key.use for key in keys if key.state == "active" and now_ms - key.created_ms > OLD_KEY_MS})
    if old:
        yield warn(
            "keys.age", f"Older than 400 days: {', '.join(old)}.", "waitroom keys rotate, between two sales."
        )
    else:
        yield ok("keys.age", f"{len(keys)} signing keys, none older than 400 days.")


def look_at_ports(settings: Settings) -> Iterator[Finding]:
    """Whether the processes of this installation answer."""
    gate = f"http://{loopback(settings.host)}:{settings.port}{settings.prefix}/health/ready"
    operator = f"http://{loopback(settings.operator_host)}:{settings.operator_port}/health/ready"
    shop = f"http://{loopback(settings.shop_host)}:{settings.shop_port}/health/ready"
    is_line = not is_shop_alone(settings)
    for name, url, is_needed in (
        ("gate", gate, is_line),
        ("operator", operator, is_line),
        ("shop", shop, not is_line),
    ):
        seen = answer_of(url)
        if seen == "200":
            yield ok(f"ports.{name}", "It answers, and is ready.")
        elif seen == "503":
            yield fail(
                f"ports.{name}",
                "It answers, and is not ready.",
                "Look at the store and the journal below, and at its log.",
            )
        elif seen.isdecimal():
            yield warn(
                f"ports.{name}", f"Somebody answers with {seen}.", "Is that another program on our port?"
            )
        elif is_needed:
            yield fail(
                f"ports.{name}",
                f"Nobody answers ({seen}).",
                "Start it, or name its port as the service does.",
            )
        else:
            yield skip(f"ports.{name}", "Nobody answers; not every installation has one.")


def answer_of(url: str) -> str:
    """Ask an address of this machine; returns the status, or in one word why there is none."""
    try:
        with directly.open(url, timeout=PATIENCE_S) as answer:
            return str(answer.status)
    except HTTPError as error:
        error.close()
        return str(error.code)
    except URLError as error:
        return type(error.reason).__name__ if isinstance(error.reason, Exception) else "no answer"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return type(error).__name__
