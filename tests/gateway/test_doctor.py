"""Tests of the doctor: what it calls wrong, and that nobody and no secret is in what it packs."""

import json
import logging
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from admission.keyring import KeyRing
from gateway import cli, doctor_command
from gateway.doctor import bundle, chosen, machine
from gateway.doctor.finding import Finding, Mark, as_json, as_text, fail, note, ok, status_of, warn
from gateway.doctor.stored import Stored, look_at_journal, look_at_rooms, look_at_store
from gateway.settings import Settings, load
from kernel import redacting
from kernel.log import JsonLines
from kernel.settings import env
from kernel.signing import b64url
from waitroom.journal import Kind, NewEntry
from waitroom.journal_store import JournalStore
from waitroom.rooms_toml import parse_toml

ROOMS = """
[rooms.main]
origin = "http://10.0.0.5:8080"
description = "Ask Ann Example, ann@fans.example, +49 170 1234567"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation that does not run."""
    return load(
        {env("data"): str(tmp_path), env("port"): "1", env("operator_port"): "2", env("shop_port"): "3"}
    )


def marks(findings: Iterator[Finding]) -> dict[str, str]:
    """Give what each finding came to."""
    return {one.what: one.mark.value for one in findings}


# ------------------------------------------------------------------------------ findings


def test_a_finding_says_what_to_do() -> None:
    """For people below the line, for programs as a field; only what is wrong makes the status 1."""
    found = [ok("a", "fine"), note("b", "so"), warn("c", "soon", "act"), fail("d", "broken", "mend it")]

    assert "fail  d  broken\n         -> mend it" in as_text(found)
    assert json.loads(as_json(found))["findings"][3] == {
        "what": "d", "mark": "fail", "seen": "broken", "do": "mend it",
    }  # fmt: skip
    assert (status_of(found), status_of(found[:3])) == (1, 0)


# ------------------------------------------------------------------------------ machine


@pytest.mark.parametrize(("mode", "mark"), [(0o600, "ok"), (0o400, "ok"), (0o640, "fail"), (0o604, "fail")])
def test_a_file_with_secrets_is_its_owners_only(mode: int, mark: str, settings: Settings) -> None:
    """Whoever can read the operator's token is the operator."""
    settings.operator_token_path.write_text("s" * 32)
    settings.operator_token_path.chmod(mode)

    assert marks(machine.look_at_keys(settings))["keys.operator-token"] == mark


def test_a_damaged_key_ring_is_found(settings: Settings) -> None:
    """And nothing of it is told."""
    settings.keyring_path.write_text('{"keys": "hunter2hunter2"}')
    settings.keyring_path.chmod(0o600)

    found = list(machine.look_at_keys(settings))
    assert marks(iter(found))["keys.ring"] == "fail"
    assert "hunter2" not in as_text(found)


@pytest.mark.parametrize(
    ("free", "mark"), [(10_000_000_000, "ok"), (1_000_000_000, "warn"), (100_000_000, "fail")]
)
def test_a_full_disk_is_told_before_it_is_full(
    free: int, mark: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By how much is free."""
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free))
    assert marks(machine.look_at_files(settings))["files.disk"] == mark


def test_too_few_files_are_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker would refuse visitors whatever its settings say."""
    monkeypatch.setattr(machine, "most_connections", lambda: 100)
    assert marks(machine.look_at_files(settings))["files.limit"] == "warn"
    assert marks(machine.look_at_files(replace(settings, max_connections=100)))["files.limit"] == "ok"


class Answers(BaseHTTPRequestHandler):
    """Answers with one status."""

    status = 200

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("status", "mark"), [(200, "ok"), (503, "fail"), (404, "warn")])
def test_who_answers_at_a_port(status: int, mark: str, settings: Settings) -> None:
    """Ready, not ready, somebody else; and nobody."""
    server = HTTPServer(("127.0.0.1", 0), type("Here", (Answers,), {"status": status}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        found = marks(machine.look_at_ports(replace(settings, port=server.server_port)))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (found["ports.gate"], found["ports.operator"], found["ports.shop"]) == (mark, "fail", "skip")


def test_a_shop_alone_has_no_gate(settings: Settings) -> None:
    """Then it is the shop that is missed."""
    (settings.data / "shop").mkdir()
    found = marks(machine.look_at_ports(settings))
    assert found == {"ports.gate": "skip", "ports.operator": "skip", "ports.shop": "fail"}


def test_what_is_behind_a_proxy_of_the_world_is_not_this_machine(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that is set for what is outside answers for nobody here."""
    server = HTTPServer(("127.0.0.1", 0), type("Here", (Answers,), {"status": 502}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    try:
        found = marks(machine.look_at_ports(settings))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert found["ports.gate"] == "fail"


def test_a_secret_that_a_container_was_handed_is_its_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the mode of the file outside, and nobody else is in there."""
    settings.operator_token_path.write_text("s" * 32)
    settings.operator_token_path.chmod(0o644)
    before = marks(machine.look_at_keys(settings))["keys.operator-token"]
    monkeypatch.setattr(machine, "SECRETS", settings.data)

    assert (before, marks(machine.look_at_keys(settings))["keys.operator-token"]) == ("fail", "ok")


def test_a_data_folder_that_cannot_be_written_to_is_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mounted to be read only, or another user's."""
    flags, may = [0, machine.os.ST_RDONLY, 0], [True, True, False]
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=10**10))
    monkeypatch.setattr(machine.os, "statvfs", lambda _folder: SimpleNamespace(f_flag=flags.pop(0)))
    monkeypatch.setattr(machine.os, "access", lambda _folder, _mode: may[2 - len(flags)])

    assert [marks(machine.look_at_files(settings))["files.data"] for _ in range(3)] == ["ok", "fail", "fail"]


def test_each_package_of_the_server_that_is_missing_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its whole name: `redis` is there, and `redis-more` is not."""
    lines = [
        "redis[x]>=8; extra == 'server'",
        "redis-more>=1; extra == 'server'",
        "scikit>=1; extra == 'bots'",
    ]
    monkeypatch.setattr(machine, "requires", lambda _name: lines)

    def version(name: str) -> str:
        if name in {"waitroom", "redis"}:
            return "1.0"
        raise machine.PackageNotFoundError

    monkeypatch.setattr(machine, "version", version)
    found = [one.seen for one in machine.look_at_versions(settings) if one.mark is Mark.FAIL]
    assert found == ["redis-more is missing."]


# ------------------------------------------------------------------------------ chosen


@pytest.mark.parametrize(
    ("networks", "public_url", "mark"),
    [
        ("0.0.0.0/0", None, "fail"),
        ("10.0.0.0/8,::/0", None, "fail"),
        ("0.0.0.0/1", None, "warn"),
        ("2000::/3", None, "warn"),
        ("10.0.0.0/8", "https://tickets.example", "ok"),
        ("", "https://tickets.example", "warn"),
        ("", None, "ok"),
    ],
)
def test_a_list_of_proxies_that_cannot_be_meant(
    networks: str, public_url: str | None, mark: str, settings: Settings
) -> None:
    """Believing everybody, believing half the world, and believing nobody behind a proxy."""
    given = replace(settings, trusted_proxies=tuple(filter(None, networks.split(","))), public_url=public_url)
    assert marks(chosen.look_at_proxies(given))["proxies"] == mark


def test_a_file_of_the_post_is_read(settings: Settings, tmp_path: Path) -> None:
    """Each fault is a finding."""
    path = tmp_path / "post.toml"
    path.write_text("mail_port = 0\nnonsense = 1\n")
    found = list(chosen.look_at_post(replace(settings, notifications=path)))
    assert {one.mark for one in found} == {Mark.FAIL}
    assert len(found) == 2


# ------------------------------------------------------------------------------ the store and the journal

GOOD: dict[str, Any] = {
    "valkey_version": "9.1.2", "maxmemory_policy": "noeviction", "aof_enabled": 1, "aof_last_write_status": "ok",
    "used_memory": 10, "maxmemory": 100,
}  # fmt: skip


@pytest.mark.parametrize(
    ("info", "skew_ms", "what", "mark"),
    [
        ({}, 0, "store.policy", "ok"),
        ({"maxmemory_policy": "allkeys-lru"}, 0, "store.policy", "fail"),
        ({"valkey_version": "6.2.1"}, 0, "store.version", "fail"),
        ({"aof_last_write_status": "err"}, 0, "store.aof", "fail"),
        ({"aof_enabled": 0}, 0, "store.aof", "note"),
        ({"used_memory": 80}, 0, "store.memory", "ok"),
        ({"used_memory": 81}, 0, "store.memory", "warn"),
        ({"used_memory": 81, "maxmemory": 0}, 0, "store.memory", "ok"),
        ({}, 500, "store.clock", "ok"),
        ({}, -501, "store.clock", "warn"),
        ({}, 5_001, "store.clock", "fail"),
    ],
)
def test_what_is_wrong_with_a_store(
    info: dict[str, Any], skew_ms: int, what: str, mark: str, settings: Settings
) -> None:
    """Each as the store itself tells it."""
    there = Stored(settings)
    there.info, there.skew_ms = {**GOOD, **info}, skew_ms
    assert marks(look_at_store(there))[what] == mark


def test_a_store_that_is_away_is_found(settings: Settings) -> None:
    """None that is set, none that runs, and one that does not answer."""
    there = Stored(settings)
    there.read()
    assert marks(look_at_store(there)) == {"store": "fail"}
    away = Stored(replace(settings, store_url="redis://127.0.0.1:1/0"))
    away.read()
    assert marks(look_at_store(away)) == {"store": "fail"}
    assert marks(look_at_rooms(away)) == {"rooms": "skip"}


def test_a_real_store_is_read(settings: Settings, store_url: str) -> None:
    """Its own figures, and the clock of the same machine."""
    there = Stored(replace(settings, store_url=store_url))
    there.read()

    assert {"fail", "warn"}.isdisjoint(marks(look_at_store(there)).values())
    assert there.skew_ms == 0


@pytest.mark.parametrize("about", ["?password=wrong-one", "?username=ann&password=wrong-one"])
def test_a_store_that_refuses_us_says_so(about: str, settings: Settings, store_url: str) -> None:
    """A real one, which never heard of that password; the password is not told."""
    away = Stored(replace(settings, store_url=store_url + about))
    away.read()
    (found,) = look_at_store(away)

    assert (found.mark, "refuses" in found.seen, "wrong-one" in found.seen) == (Mark.FAIL, True, False)


def test_rooms_that_cannot_be_read_are_no_empty_installation(settings: Settings) -> None:
    """The store said who it is and then no more."""
    there = Stored(settings)
    there.info, there.why = GOOD, "It does not answer in time."
    assert marks(look_at_rooms(there)) == {"rooms": "fail"}


@pytest.mark.parametrize(
    ("rooms", "faults", "seen"),
    [
        (("a",), {}, "1 room without a fault."),
        (("a", "b"), {}, "2 rooms without a fault."),
        ((), {}, "There are no rooms."),
        (("a", "b"), {"b": ["It leads nowhere."]}, "1 room without a fault."),
    ],
)
def test_rooms_are_counted_as_people_count(
    rooms: tuple[str, ...], faults: dict[str, list[str]], seen: str, settings: Settings
) -> None:
    """One room, two rooms, none; one with a fault is told by its name."""
    there = Stored(settings)
    there.info, there.faults = GOOD, faults
    there.rooms = dict.fromkeys(rooms, next(iter(parse_toml(ROOMS))))
    found = {one.what: one.seen for one in look_at_rooms(there)}

    assert found["rooms"] == seen
    assert {f"rooms.{name}" for name in faults} <= found.keys()


@pytest.mark.parametrize(("age_ms", "mark"), [(5_000, "ok"), (5_001, "warn"), (60_001, "fail")])
def test_a_journal_that_falls_behind_is_found(age_ms: int, mark: str, settings: Settings) -> None:
    """What waits in the store is lost with it."""
    there = Stored(settings)
    there.info, there.waiting = GOOD, {"main": (3, age_ms)}
    assert marks(look_at_rooms(there))["journal.behind"] == mark


def written(settings: Settings) -> JournalStore:
    """Make a journal with three acts."""
    journal = JournalStore(settings.journal_address)
    journal.open()
    body = {"who": "Ann Example", "why": "ann@fans.example asked"}
    journal.append([NewEntry(at, "main", "run", Kind.CONFIGURED, body, f"s{at}") for at in (1, 2, 3)])
    return journal


def test_a_whole_journal_is_told_and_a_broken_one_found(settings: Settings) -> None:
    """One letter is enough."""
    assert marks(look_at_journal(settings)) == {"journal": "warn"}
    written(settings).close()
    assert marks(look_at_journal(settings)) == {"journal.version": "ok", "journal.chain": "ok"}

    database = sqlite3.connect(settings.data / "journal.db")
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f"DROP TRIGGER {name}")
    database.execute("UPDATE journal_entries SET body = replace(body, 'asked', 'asker') WHERE seq = 2")
    database.commit()
    found = list(look_at_journal(settings))
    told = []
    for version in ("9999", "0001"):
        database.execute("UPDATE journal_version SET version_num = ?", (version,))
        database.commit()
        told.append(marks(look_at_journal(settings))["journal.version"])
    database.close()
    assert marks(iter(found))["journal.chain"] == "fail"
    assert "entry 2" in as_text(found)
    assert told == ["fail", "warn"]


def test_a_journal_that_another_key_signed_is_found(settings: Settings) -> None:
    """A key ring that was made anew, or another installation's: nobody could show any more that it is ours."""
    written(settings).close()
    ring, _ = (KeyRing.open(settings.data / name, 1) for name in ("keyring.json", "other.json"))

    def sign(message: bytes) -> str:
        kid, signature = ring.documents().sign(message)
        return f"{kid}.{b64url(signature)}"

    journal = JournalStore(settings.journal_address, sign)
    journal.open()
    journal.seal(4)
    journal.close()
    told = []
    for name in ("keyring.json", "other.json"):
        given = replace(settings, keyring=settings.data / name)
        told.append(marks(look_at_journal(given, doctor_command.signed_by(given)))["journal.chain"])

    assert told == ["ok", "fail"]


def test_what_this_user_may_not_look_at_is_no_fault_of_the_doctor(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mostly it is run as somebody else."""

    def shut(_settings: Settings) -> Iterator[Finding]:
        raise PermissionError

    monkeypatch.setattr(machine, "look_at_keys", shut)
    findings, _ = doctor_command.look(settings)
    (found,) = [one for one in findings if one.what == "keys"]
    assert (found.mark, found.do) == (Mark.FAIL, doctor_command.OTHER_USER)


# ------------------------------------------------------------------------------ the bundle

TOKEN = "Zk3vQ0pX8sT1aW7bN5cR2dL9eF4gH6jM"
SECRETS = {
    "operator_token": "operator-secret-of-this-place",
    "backend_token": "backend-secret-of-this-place",
    "organiser_token": TOKEN,
}
PEOPLE = (
    "Ann Example", "ann@fans.example", "ann%40fans.example", "+49 170 1234567", "+491701234567", "203.0.113.77",
    "2001:db8:1:2::77", "hunter2hunter2", "ring-secret-value-0001", "postgres-password", "query-pw",
    'mail "quoted" password', "push-secret-value-0001",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl", "sk_live_abcdefghijkl", *SECRETS.values(),
)  # fmt: skip


def planted(settings: Settings) -> tuple[Settings, Stored, Path]:
    """Plant secrets and people wherever somebody might have put them."""
    data = settings.data
    journal = f"sqlite:///{data / 'journal.db'}"
    given = replace(
        settings, **SECRETS, journal_url=journal, shop_database_url="postgresql://shop:postgres-password@db/shop",
        shop_reading_url="postgresql://db/shop?user=shop&password=query-pw", notifications=data / "post.toml",
        open_paths=("/tickets/", "/ann@fans.example/"),
    )  # fmt: skip
    (data / "post.toml").write_text("mail_password = 'mail \"quoted\" password'\n")
    given.keyring_path.write_text(json.dumps({"keys": [{"secret": "ring-secret-value-0001"}]}))
    given.operator_token_path.write_text("hunter2hunter2\n")
    given.push_keys_path(data).write_text(json.dumps({"keys": ["push-secret-value-0001"]}))
    there = Stored(given)
    there.info = {**GOOD, "os": "Ann Example", "redis_version": "hunter2hunter2"}
    there.rooms = {room.name: room for room in parse_toml(ROOMS)}
    written(given).close()
    log = data / "waitroom.log"
    lines = []
    for text in PEOPLE:
        lines.append(f"a line of somebody else: {text}")
        record = logging.LogRecord("waitroom.service", logging.INFO, "x.py", 1, "joined", None, None)
        vars(record).update(who=text, room=text, error=text, detail={"deep": [text]})
        lines.append(JsonLines().format(record))
        lines.append(
            json.dumps({"logger": "someone.else", "message": text, "run": text, "code": f"c {text}"})
        )
        lines.append(
            json.dumps(
                {"logger": "gateway.gate", "message": f"of {PEOPLE[10]}: {PEOPLE[11]}", "pin": 20458871}
            )
        )
        trace = f'Traceback\n  File "/srv/x/y.py", line 3, in f\n    raise ValueError\nValueError: {text}'
        lines.append(json.dumps({"logger": "gateway.gate", "message": f"of {text}"[:3], "exception": trace}))
    log.write_text("\n".join(lines) + "\n")
    return given, there, log


def packed(settings: Settings, path: Path) -> dict[str, str]:
    """Pack what was planted, and read it back by name."""
    given, there, log = planted(settings)
    findings = [fail("mail", "550 ann@fans.example unknown; hunter2hunter2", "Ask +49 170 1234567.")]
    doctor_command.pack(given, findings, there, path, log)
    with tarfile.open(path) as archive:
        return {
            member.name.partition("/")[2]: file.read().decode()
            for member in archive.getmembers()
            if (file := archive.extractfile(member)) is not None
        }


def found_in(files: dict[str, str]) -> set[str]:
    """Give what was planted and stands in the files."""
    everything = "".join(files.values())
    return {
        text for text in (*PEOPLE, "20458871") if text in everything or json.dumps(text)[1:-1] in everything
    }


def test_nobody_and_no_secret_is_in_a_bundle(settings: Settings, tmp_path: Path) -> None:
    """Planted in settings, files, rooms, journal, log and findings."""
    path = tmp_path / "b.tar.gz"
    files = packed(settings, path)

    assert found_in(files) == set()
    assert path.stat().st_mode & 0o777 == 0o600
    manifest = json.loads(files["manifest.json"])
    assert {"manifest.json", *manifest["in"]} == set(files)
    assert manifest["left_out"]
    assert json.loads(files["journal.json"])["acts"][-1] == {
        "seq": 3, "at_ms": 3, "room": "main", "run": "run", "kind": Kind.CONFIGURED.value,
    }  # fmt: skip
    assert "x/y.py:3 f" in files["log.jsonl"]
    assert json.loads(files["rooms.json"])["main"]["origin"] == "http://10.0.0.5:8080"


MUTANTS = {
    "the second net": lambda patch: (
        patch.setattr(redacting.Known, "redacted", lambda _self, text: text),
        patch.setattr(bundle, "redacted", lambda text: text),
    ),
    "the fields of log lines": lambda patch: patch.setattr(bundle, "_line_told", dict),
    "what exceptions say": lambda patch: patch.setattr(bundle, "frames", lambda text: [text]),
    "the texts of rooms": lambda patch: patch.setattr(bundle, "room_told", lambda document: document),
    "numbers that are secret": lambda patch: patch.setattr(bundle, "is_secret", lambda _name: False),
    "a line before it is written": lambda patch: patch.setattr(
        bundle.Bundle,
        "add_lines",
        lambda made, name, what, lines: made.add(name, what, "".join(map(json.dumps, lines))),
    ),
    "the bodies of acts": lambda patch: patch.setattr(
        bundle, "acts_told", lambda entries: [dict(one.body) for one in entries]
    ),
}


@pytest.mark.parametrize("without", MUTANTS)
def test_a_net_that_is_off_would_be_noticed(
    without: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutants: each net alone is needed."""
    MUTANTS[without](monkeypatch)
    assert found_in(packed(settings, tmp_path / "b.tar.gz")) != set()


def test_a_bundle_overwrites_nothing(settings: Settings, tmp_path: Path) -> None:
    """What stands there may be another one."""
    path = tmp_path / "b.tar.gz"
    path.write_text("mine")
    with pytest.raises(OSError, match="exists"):
        packed(settings, path)
    assert path.read_text() == "mine"


# ------------------------------------------------------------------------------ the command


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run the command; give its status and what it wrote."""
    status = cli.main(words)
    return status, capsys.readouterr().out


def test_the_command_tells_and_packs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing runs here: that is wrong, and can be packed."""
    path = tmp_path / "b.tar.gz"
    words = ["doctor", "--data", str(tmp_path), "--port", "1", "--operator-port", "2", "--shop-port", "3"]
    status, text = run([*words, "--json", "--bundle", str(path)], capsys)

    told = json.loads(text)
    assert status == told["status"] == 1
    assert {"what": "ports.gate", "mark": "fail"}.items() <= next(
        one for one in told["findings"] if one["what"] == "ports.gate"
    ).items()
    assert path.is_file()
    assert run([*words, "--bundle", str(path)], capsys)[0] == 2
    assert run([*words, "--bundle", str(tmp_path / "c"), "--log", str(tmp_path / "none")], capsys)[0] == 2
    assert run([*words, "--bundle", str(tmp_path / "no" / "folder")], capsys)[0] == 2


def test_the_log_of_a_container_comes_through_a_pipe(tmp_path: Path) -> None:
    """`docker logs NAME 2>&1 | docker exec -i NAME waitroom doctor --bundle FILE --log -`."""
    path = tmp_path / "b.tar.gz"
    command = Path(sys.executable).parent / "waitroom"
    words = [command, "doctor", "--data", tmp_path, "--bundle", path, "--log", "-", "--port", "1"]
    line = json.dumps({"logger": "gateway.gate", "message": "draining"})
    done = subprocess.run(words, input=f"{line}\n", text=True, capture_output=True, check=False)

    assert done.returncode == 1, done.stderr
    with tarfile.open(path) as archive:
        file = archive.extractfile("waitroom-support/log.jsonl")
        assert file is not None
        assert json.loads(file.read())["message"] == "draining"


@pytest.mark.parametrize(
    "words", [["--port", "x"], ["--port", "70000"], ["--settings", "/nowhere"], ["--data", "\0"]]
)
def test_wrong_settings_are_findings(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each fault is told, and nothing else is looked at."""
    status, text = run(["doctor", *words], capsys)
    assert status == 2
    assert text.startswith("fail  settings")


def test_a_look_that_falls_over_is_a_finding(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor does not fall ill with the patient."""

    def falls(_settings: Settings) -> Iterator[Finding]:
        raise ZeroDivisionError

    monkeypatch.setattr(machine, "look_at_clock", falls)
    findings, _ = doctor_command.look(settings)
    assert "ZeroDivisionError" in next(one.seen for one in findings if one.what == "clock")
    assert "journal" in {one.what for one in findings}
