"""Doctor's command: ``waitroom doctor`` looks at an installation, and packs what it sees for support.

It runs beside the installation, with the same settings, and changes nothing. Exit status: 0 nothing is wrong, 1
something is, 2 the settings themselves are (then nothing else can be looked at).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.options import WRONG, settings_of
from kernel.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from gateway.doctor.finding import Finding
    from gateway.doctor.stored import Stored
    from gateway.settings import Settings

LINES = 2_000
ACTS = 200
METRICS_BYTES = 5_000_000
STDIN = Path("-")
OTHER_USER = "Run this as the user that the service runs as."


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--shop-port", help="port of the shop (8082)")
    parser.add_argument("--json", action="store_true", help="write findings for programs")
    parser.add_argument(
        "--bundle", type=Path, metavar="FILE.tar.gz", help="pack what support needs, without secrets"
    )
    parser.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="log file whose last lines go into the bundle; - reads standard input",
    )
    parser.add_argument("--lines", type=int, default=LINES, metavar="N", help=f"so many of them ({LINES})")
    parser.set_defaults(run=run_doctor)


def run_doctor(args: argparse.Namespace) -> int:
    """Look, tell, pack."""
    from gateway.doctor.finding import as_json, as_text, fail, status_of

    try:
        settings = settings_of(args)
    except Misconfigured as error:
        findings = [
            fail("settings", fault, "Mend it first; nothing else can be looked at.") for fault in error.faults
        ]
        print(as_json(findings) if args.json else as_text(findings))
        return WRONG
    findings, stored = look(settings)
    print(as_json(findings) if args.json else as_text(findings))
    if args.bundle is not None:
        if args.log is not None and args.log != STDIN and not args.log.is_file():
            raise Misconfigured([f"There is no log file {args.log}."])
        try:
            pack(settings, findings, stored, args.bundle, args.log, max(0, args.lines))
        except OSError as error:
            raise Misconfigured([f"The bundle {args.bundle} cannot be written: {error.strerror}."]) from error
        print(f"\n{args.bundle}: read manifest.json in it before you send it.", file=sys.stderr)
    return status_of(findings)


def look(settings: "Settings") -> "tuple[list[Finding], Stored]":
    """Look at everything; one look that falls over is a finding and no end."""
    from gateway.doctor import chosen, machine, sites, stored
    from gateway.doctor.finding import fail, ok

    there = stored.Stored(settings)
    there.read()
    looks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("versions", lambda: machine.look_at_versions(settings)),
        ("clock", lambda: machine.look_at_clock(settings)),
        ("files", lambda: machine.look_at_files(settings)),
        ("keys", lambda: machine.look_at_keys(settings)),
        ("ports", lambda: machine.look_at_ports(settings)),
        ("store", lambda: stored.look_at_store(there)),
        ("rooms", lambda: stored.look_at_rooms(there)),
        ("journal", lambda: stored.look_at_journal(settings, signed_by(settings))),
        ("shop", lambda: stored.look_at_shop(settings)),
        ("origins", lambda: sites.look_at_origins(there.rooms.values())),
        ("tls", lambda: sites.look_at_certificates(settings, there.rooms.values())),
        ("proxies", lambda: chosen.look_at_proxies(settings)),
        ("mail", lambda: chosen.look_at_post(settings)),
        ("payments", lambda: chosen.look_at_payments(settings)),
        ("traces", lambda: chosen.look_at_traces(settings)),
    ]
    findings = [ok("settings", "They can be read, and go together.")]
    for name, one in looks:
        try:
            findings += one()
        except PermissionError:
            findings.append(fail(name, "This user may not look at it.", OTHER_USER))
        except Exception as error:  # noqa: BLE001 (the doctor must not fall ill with the patient)
            findings.append(
                fail(name, f"This look itself fell over: {type(error).__name__}.", "Tell us, with a bundle.")
            )
    return findings, there


def signed_by(settings: "Settings") -> Callable[[bytes, str], bool] | None:
    """Make what checks the signature of a journal's head; None without a key ring."""
    from admission.es256 import verify_raw
    from admission.keyring import parse
    from kernel.signing import from_b64url

    try:
        ring = parse(settings.keyring_path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, Misconfigured):
        return None
    keys = {key.kid: key.public for key in ring if key.use == "status"}

    def is_ours(message: bytes, signature: str) -> bool:
        kid, _, text = signature.partition(".")
        try:
            return kid in keys and verify_raw(keys[kid], message, from_b64url(text))
        except ValueError:
            return False

    return is_ours


def pack(
    settings: "Settings",
    findings: "list[Finding]",
    stored: "Stored",
    path: Path,
    log: Path | None = None,
    lines: int = LINES,
) -> None:
    """Write the bundle. Raises ``OSError``."""
    from gateway.doctor import bundle, machine
    from gateway.doctor.finding import as_json
    from waitroom.rooms import to_dict

    made = bundle.Bundle(bundle.secrets_of(settings))
    made.add("doctor.json", "what the doctor found", json.loads(as_json(findings)))
    made.add("versions.json", "versions of Python, the system and packages", machine.versions())
    made.add(
        "settings.json", "settings; of secrets only whether they are set", bundle.settings_told(settings)
    )
    made.leave_out("values of secret settings, and of those that name a mailbox or a password")
    made.add("store.json", "what the store says of itself", store_told(stored.info))
    rooms = {name: bundle.room_told(to_dict(room)) for name, room in stored.rooms.items()}
    made.add("rooms.json", "the rooms' documents without their free texts", rooms)
    made.leave_out("texts, pages and themes of rooms")
    made.add(
        "journal.json", f"the journal's end and its last {ACTS} acts, without their bodies", acts(settings)
    )
    made.leave_out("bodies of acts: they name who did it and why")
    if metrics := metrics_text(settings):
        made.add("metrics.txt", "the metrics of this moment", metrics)
    else:
        made.leave_out("metrics: the operator's port did not tell them")
    if log is None:
        made.leave_out("log lines: no --log was given")
    else:
        # Descriptor 0: a shipper hands the log of a container in there.
        with open(
            0 if log == STDIN else log, encoding="utf-8", errors="replace", closefd=log != STDIN
        ) as file:
            kept, foreign = bundle.log_told(file, lines)
        made.add_lines("log.jsonl", f"the last {len(kept)} log lines, with harmless fields only", kept)
        made.leave_out(f"{foreign} lines of the log that are not ours; what exceptions said; other fields")
    made.leave_out("everything of the shop's database, all key files, all addresses of fans")
    made.add("made.json", "when this was made", {"at_ms": time.time_ns() // 1_000_000})
    made.write(path)


STORE_TOLD = (
    "redis_version", "valkey_version", "server_name", "redis_mode", "role", "uptime_in_seconds", "connected_clients",
    "blocked_clients", "used_memory", "used_memory_peak", "maxmemory", "maxmemory_policy", "mem_fragmentation_ratio",
    "aof_enabled", "aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status", "loading",
    "instantaneous_ops_per_sec", "total_commands_processed", "rejected_connections", "evicted_keys", "expired_keys",
    "connected_slaves", "master_link_status",
)  # fmt: skip


def store_told(info: Mapping[str, Any]) -> dict[str, object]:
    """Tell some of what the store says of itself."""
    return {name: info[name] for name in STORE_TOLD if name in info}


def acts(settings: "Settings") -> dict[str, object]:
    """Tell the journal's last acts."""
    from gateway.doctor.bundle import acts_told
    from waitroom.journal_store import JournalStore

    journal = JournalStore(settings.journal_address)
    try:
        if not journal.is_there():
            return {}
        heads = journal.heads()
        since = max(0, journal.end() - ACTS)
        entries = journal.entries(after_seq=since, limit=ACTS)
        end = {"seq": entries[-1].seq, "hash": entries[-1].hash.hex()} if entries else {}
        return {"end": end, "signed_heads": len(heads), "acts": acts_told(entries)}
    except (Unavailable, Misconfigured):
        return {}
    finally:
        journal.close()


def metrics_text(settings: "Settings") -> str:
    """Ask the operator's port for its metrics; '' where it does not tell them."""
    from http.client import HTTPException

    from gateway.doctor.machine import PATIENCE_S, directly
    from gateway.settings import loopback

    url = f"http://{loopback(settings.operator_host)}:{settings.operator_port}/metrics"
    try:
        with directly.open(url, timeout=PATIENCE_S) as answer:
            octets: bytes = answer.read(METRICS_BYTES)
    except (OSError, HTTPException):
        return ""
    return octets.decode(errors="replace")
