"""The command line: answers for people, a status for scripts, and no traceback for a mistake."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from admission.keyring import KeyRing
from admission.tokens import Claims, write
from gateway.cli import main


def now_ms() -> int:
    """Give the time now, not the time at which this file was read: a whole run lasts longer than some papers."""
    return time.time_ns() // 1_000_000


def claims(*, lives_ms: int = 3_600_000) -> Claims:
    """Make the claims of an admission that is good for so long."""
    now = now_ms()
    return Claims(
        "waitroom",
        "http://shop",
        "A" * 22,
        "main",
        "run1",
        "standard",
        now - 5000,
        now - 5000,
        now + lives_ms,
    )


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    """Give the key ring of an installation in a fresh data folder."""
    monkeypatch.setenv("WAITROOM_DATA", str(tmp_path))
    return KeyRing.open(tmp_path / "keyring.json", now_ms())


def token_of(ring: KeyRing, said: Claims) -> str:
    """Sign an admission."""
    key = ring.active("admission")
    return write(key.private, key.admission_head, said.members())


def test_a_good_token_tells_what_it_says(ring: KeyRing, capsys: pytest.CaptureFixture[str]) -> None:
    """Claims as JSON, and how long it is still good."""
    status = main(["check", "token", token_of(ring, claims())])
    told = json.loads(capsys.readouterr().out)

    assert (status, told["valid"], told["room"], told["sub"]) == (0, True, "main", "A" * 22)
    assert 3000 <= told["expires_in_s"] <= 3600


def test_a_bad_token_tells_the_word_why(ring: KeyRing, capsys: pytest.CaptureFixture[str]) -> None:
    """Forged, expired, for another origin, of another key, nonsense: status 1 and one word each."""
    good = token_of(ring, claims())
    cases = [
        ([good[:-8] + "AAAAAAAA"], "forged"),
        ([token_of(ring, claims(lives_ms=-1000))], "expired"),
        ([good, "--audience", "http://else"], "wrong-audience"),
        ([good, "--issuer", "else"], "wrong-issuer"),
        ([good, "--room", "else"], "foreign-room"),
        ([token_of(KeyRing.fresh(now_ms()), claims())], "unknown-key"),
        (["nonsense"], "malformed"),
    ]

    for words, reason in cases:
        assert main(["check", "token", *words]) == 1
        told = json.loads(capsys.readouterr().out)
        assert (told["valid"], told["reason"]) == (False, reason)


def test_a_token_is_checked_with_published_keys_alone(
    ring: KeyRing, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend has the JWKS and nothing else of ours."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(ring.jwks()))
    token = token_of(ring, claims())
    monkeypatch.setenv("WAITROOM_DATA", str(tmp_path / "nothing"))

    assert main(["check", "token", token, "--jwks", str(jwks)]) == 0
    jwks.write_text("{}")
    assert main(["check", "token", token, "--jwks", str(jwks)]) == 2
    assert "holds no set of keys" in capsys.readouterr().err


def test_check_token_works_with_the_base_install(ring: KeyRing, tmp_path: Path) -> None:
    """Nothing beyond PyJWT and cryptography is imported on the way."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(ring.jwks()))
    code = (
        "import sys; from gateway.cli import main; status = main(sys.argv[1:]);"
        "server = {'starlette', 'uvicorn', 'redis', 'aiohttp', 'orjson', 'jinja2', 'sqlalchemy', 'prometheus_client'};"
        "print(sorted(server & set(sys.modules))); sys.exit(status)"
    )
    words = ["check", "token", token_of(ring, claims()), "--jwks", str(jwks)]

    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr


@pytest.mark.parametrize(
    ("code", "not_needed"),
    [
        ("from gateway.cli import main; main(['version'])", {"kernel.asgi", "jinja2"}),
        (
            "from gateway.cli import main; main(['check', 'settings'])",
            {"jinja2", "uvicorn", "prometheus_client"},
        ),
        ("import waitroom.rooms_toml, waitroom.view", {"uvicorn", "prometheus_client"}),
    ],
    ids=["version", "settings", "rooms"],
)
def test_what_a_command_does_not_use_it_does_not_wait_for(code: str, not_needed: set[str]) -> None:
    """Store, journal and proxy take more than a second to import; small commands do without."""
    heavy = {"redis", "aiohttp", "sqlalchemy", "alembic"} | not_needed
    ask = f"import sys\n{code}\nprint(sorted({heavy!r} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr


def test_the_shops_process_knows_no_line_and_no_proxy() -> None:
    """A backend like any other: what it does not import it need not wait for."""
    ask = (
        "import sys, gateway.shop, gateway.server\n"
        "print(sorted({'aiohttp', 'dashboards', 'waitroom'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr


def test_every_fault_of_the_settings_is_a_line_and_the_status_is_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, all faults."""
    monkeypatch.setenv("WAITROOM_PORT", "x")
    monkeypatch.setenv("WAITROOM_NOTHING", "1")

    assert main(["check", "settings"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.partition(":")[0] for line in told.err.splitlines()] == ["waitroom", "waitroom"]


def test_check_settings_prints_all_of_them_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Name, value, meaning."""
    monkeypatch.setenv("WAITROOM_OPERATOR_TOKEN", "0123456789abcdef")

    assert main(["check", "settings"]) == 0
    told = capsys.readouterr().out
    assert "WAITROOM_PORT " in told
    assert "is set" in told
    assert "0123456789abcdef" not in told


def test_check_rooms_tells_each_room_or_every_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A good file is listed; a bad one tells all that is wrong, and so does one that is not there."""
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('[rooms.main]\norigin = "http://shop"\n')
    bad.write_text('[rooms.main]\norigin = "ftp://shop"\nnew_users_per_minute = 0\nfoo = 1\n')

    assert main(["check", "rooms", str(good)]) == 0
    assert "main: */ -> http://shop" in capsys.readouterr().out
    assert main(["check", "rooms", str(bad)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert main(["check", "rooms", str(tmp_path / "none.toml")]) == 2


def test_check_rooms_tells_what_is_wrong_with_the_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page that could not be shown is found here, a room and a field at a time, and not by the first fan."""
    file = tmp_path / "rooms.toml"
    file.write_text("[rooms.main]\norigin = 'http://shop'\ncustom_page_html = '<html>{{ main }}</html>'\n")

    assert main(["check", "rooms", str(file)]) == 2

    told = capsys.readouterr().err.splitlines()
    assert [row.split(": ")[1] for row in told] == ["rooms.main.custom_page_html"] * 3


def test_the_rooms_of_the_demo_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    """The file that ships is checked like any other."""
    from gateway.demo import ROOMS

    assert main(["check", "rooms", str(ROOMS)]) == 0
    assert "main: */ -> http://127.0.0.1:8082" in capsys.readouterr().out


def test_keys_are_listed_without_secrets_and_rotated(
    ring: KeyRing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rotated key signs; the one before goes on verifying."""
    before = ring.active("admission").kid

    assert main(["keys", "rotate", "admission"]) == 0
    made = capsys.readouterr().out.split()[1]
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out

    assert made != before
    assert "admission  active " in listed.replace(made, "")
    assert before in listed
    assert not any(key.secret in listed for key in KeyRing.open(tmp_path / "keyring.json", now_ms()).keys)


def test_rotating_an_unknown_key_or_none_at_all_is_a_sentence(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """``sid`` is never rotated; a wrong folder must not grow a new key ring."""
    assert main(["keys", "rotate", "sid", "foo"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    monkeypatch.setenv("WAITROOM_DATA", str(tmp_path / "wrong"))
    assert main(["keys", "rotate"]) == 2
    assert not (tmp_path / "wrong").exists()


def test_health_says_when_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, one line."""
    assert main(["health", "http://127.0.0.1:9"]) == 1
    assert capsys.readouterr().out.startswith("away: ")


def test_health_asks_this_machine_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gate at the port that is set; the shop where that runs alone; and never by a proxy for the world outside."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Be ready."""
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status":"ready"}')

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        port = str(server.server_port)
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("WAITROOM_DATA", str(tmp_path))
        monkeypatch.setenv("WAITROOM_HOST", "0.0.0.0")
        monkeypatch.setenv("WAITROOM_PORT", port)
        answering = threading.Thread(target=server.serve_forever)
        answering.start()
        told = [main(["health"])]
        (tmp_path / "shop").mkdir()
        monkeypatch.setenv("WAITROOM_PORT", "9")
        monkeypatch.setenv("WAITROOM_SHOP_PORT", port)
        told.append(main(["health"]))
        (tmp_path / "journal.db").touch()
        told.append(main(["health"]))
        server.shutdown()
        answering.join()

    assert told == [0, 0, 1]
    assert asked == ["/.waitroom/health/ready", "/health/ready"]
    assert capsys.readouterr().out.startswith("ready\nready\naway: ")


@pytest.mark.parametrize(
    ("status", "body", "exit_status", "said"),
    [
        (200, '{"status":"ready","shedding":[],"warnings":[]}', 0, "ready"),
        (
            200,
            '{"status":"ready","shedding":["joins","map"],"warnings":["journal-behind"]}',
            0,
            "ready; shedding: joins, map; warnings: journal-behind",
        ),
        (503, '{"status":"not-ready","faults":["draining"]}', 1, "not ready (503) {"),
        (503, "", 1, "not ready (503)"),
        (200, "<html>", 1, "away: something else answers there"),
        (200, "[1]", 1, "away: something else answers there"),
        (200, '{"status":"ok"}', 1, "away: something else answers there"),
    ],
)
def test_health_says_what_is_told(
    status: int, body: str, exit_status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Limits and warnings leave an installation ready; whatever else answers at an address is none."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer as the case says."""
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        got = main(["health", f"http://127.0.0.1:{server.server_port}"])
        answering.join()

    assert got == exit_status
    assert capsys.readouterr().out.strip().startswith(said)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """As pyproject.toml has it."""
    import tomllib

    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]

    assert main(["version"]) == 0
    assert capsys.readouterr().out.strip() == project["version"]


def test_a_command_that_does_not_exist_is_told_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    """Argparse's own status 2."""
    with pytest.raises(SystemExit) as told:
        main(["queue"])

    assert told.value.code == 2
    assert "demo" in capsys.readouterr().err
