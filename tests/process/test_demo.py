"""The demo as a newcomer meets it: started as a process, stopped by Ctrl-C, started again, killed."""

import base64
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from kernel.totp import STEP_MS, code_at
from tests.dashboards.desk import csrf_in
from tests.dashboards.people import device_in

pytestmark = pytest.mark.process

START_S = 60.0
STOP_S = 30.0
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


class Demo:
    """A running demo on free ports."""

    def __init__(self, data: Path, *words: str, environ: Mapping[str, str] | None = None) -> None:
        self.data = data
        ports = [] if any(word == "--port" for word in words) else ["--port", "0"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "demo", "--data", str(data), *ports,
             "--operator-port", "0", "--shop-port", "0", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **{name: text for name, text in os.environ.items() if not name.startswith("WAITROOM_")},
                **(environ or {}),
            },
        )  # fmt: skip
        assert self.process.stdout is not None
        self.welcome = ""
        for line in self.process.stdout:
            self.welcome += line
            if "Ctrl-C" in line:
                break
        addresses = re.findall(r"http://127\.0\.0\.1:\d+", self.welcome)
        self.site, self.control = addresses[:2] if len(addresses) > 1 else ("", "")

    def end(self, how: signal.Signals = signal.SIGINT) -> str:
        """End it and give what it said on stderr."""
        self.process.send_signal(how)
        try:
            _, said = self.process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return said

    @property
    def family(self) -> dict[int, str]:
        """The processes below the supervisor, with their command lines."""
        found: dict[int, str] = {}
        asked = [self.process.pid]
        while asked:
            parent = asked.pop()
            for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
                for pid in (int(text) for text in tasks.read_text().split()):
                    found[pid] = command_of(pid)
                    asked.append(pid)
        return found


def command_of(pid: int) -> str:
    """Give the command line of a process; '' when it is gone or only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_until(what: str, is_so: object, within_s: float = STOP_S) -> None:
    """Wait until a question is answered with yes."""
    assert callable(is_so)
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)


@contextmanager
def demo(data: Path, *words: str, environ: Mapping[str, str] | None = None) -> Iterator[Demo]:
    """Run a demo; afterwards nothing of it is left, whatever the test did."""
    running = Demo(data, *words, environ=environ)
    family = running.family
    try:
        yield running
    finally:
        family |= running.family
        if running.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                running.end()
        for pid, command in family.items():
            if command and command_of(pid) == command:
                os.kill(pid, signal.SIGKILL)
        for pipe in (running.process.stdout, running.process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Give a demo that several tests share."""
    with demo(tmp_path_factory.mktemp("demo"), "--workers", "2", "--shop-workers", "2") as shared:
        yield shared


def found(pattern: str, text: str) -> str:
    """Give what a page says somewhere."""
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def let_in(fan: httpx.Client) -> httpx.Response:
    """Join and claim until the fan is in."""
    fan.post("/.waitroom/r/main/join").raise_for_status()
    deadline = time.monotonic() + START_S
    while True:
        claim = fan.post("/.waitroom/r/main/claim", json={"target": "/"})
        claim.raise_for_status()
        if claim.json()["outcome"] == "admitted":
            return claim
        assert time.monotonic() < deadline, claim.text
        time.sleep(min(claim.json().get("retry_after_ms") or 250, 500) / 1000)


def test_it_tells_where_everything_is(running: Demo) -> None:
    """Page, console, the operator's token for its owner only; all of it answers."""
    token = running.data / "operator-token"
    page = httpx.get(running.site, headers=PAGE)
    ready = httpx.get(f"{running.site}/.waitroom/health/ready")
    operator = httpx.get(f"{running.control}/health/ready")
    control = httpx.get(running.control + "/", follow_redirects=True)

    assert str(token) in running.welcome
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert page.headers["content-type"].startswith("text/html")
    assert "no-store" in page.headers["cache-control"]
    assert "Evenings worth the wait" not in page.text
    assert (ready.status_code, operator.status_code) == (200, 200)
    assert control.status_code in {200, 401}


def test_a_newcomer_gets_into_the_console(running: Demo) -> None:
    """By the printed link, once: a name and a button, and no token to paste."""
    address = re.search(r"http://127\.0\.0\.1:\d+/login\?link=(\S+)", running.welcome)
    assert address is not None
    statuses = []
    for _ in range(2):
        with httpx.Client(timeout=START_S) as newcomer:
            paper = found(r'name="csrf" value="([^"]+)"', newcomer.get(address[0]).text)
            form = {"csrf": paper, "who": "Kim", "link": address[1]}
            statuses.append(newcomer.post(running.control + "/login", data=form).status_code)

    assert statuses == [303, 403]


def test_a_fan_waits_gets_in_reserves_seats_and_makes_room(running: Demo) -> None:
    """From the page to the shop and out again; afterwards the fan is a stranger like any other."""
    with httpx.Client(base_url=running.site, timeout=START_S) as fan:
        let_in(fan)
        shop = fan.get("/", headers=PAGE)
        wish = {"key": "one", "count": "2", "tier": ""}
        held = fan.post("/events/late-trains/hold", data=wish, headers=PAGE, follow_redirects=True)
        act = re.search(r'action="(/events/late-trains/hold/[^/"]+/reserve)"', held.text)
        assert act is not None, held.text
        reserved = fan.post(act[1], headers=PAGE, follow_redirects=True)
        done = fan.post("/finish", headers=PAGE)
        after = fan.get("/", headers=PAGE)

    assert "Evenings worth the wait" in shop.text
    assert "You are inside" in shop.text
    assert "Your seats are reserved until" in reserved.text
    assert "goodbye" in done.text
    assert "cf-waiting-room-command" not in done.headers
    assert "Evenings worth the wait" not in after.text


def test_the_room_hears_what_is_left_in_the_shop(running: Demo) -> None:
    """Told with a secret that nobody had to set; all four evenings together, on every waiting page."""

    def stock() -> tuple[object, object]:
        answer = httpx.get(f"{running.site}/.waitroom/r/main/status").json()["stock"]
        return answer["state"], answer["left"]

    # Each of the two workers hears of it by itself, so one answer has to say all of it. On a busy machine a hall may be
    # opened a moment after the others were counted.
    wait_until("the stock", lambda: stock() in {("selling", 65_000), ("selling", 66_000)}, START_S)


def test_the_organiser_has_a_door_of_their_own(running: Demo) -> None:
    """At the shop's own port, by a token that only this user may read; without it nobody is told anything."""
    token = running.data / "organiser-token"
    address = re.search(r"(http://\S+)/organiser/", running.welcome)
    assert address is not None
    events = f"{address[1]}/organiser/api/events"
    known = httpx.get(events, headers={"authorization": f"Bearer {token.read_text().strip()}"})

    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert {one["id"] for one in known.json()["events"]} >= {"northern-lights", "small-hours"}
    assert [httpx.get(events, headers=headers).status_code for headers in ({}, {"authorization": "Bearer x"})] == [
        401, 401,
    ]  # fmt: skip


def test_a_newcomer_gets_into_the_back_office(running: Demo) -> None:
    """From the printed address to the first page, as whoever one says to be; and with a factor that the page makes."""
    address = re.search(r"http://localhost:\d+/staff/office", running.welcome)
    assert address is not None
    with httpx.Client(follow_redirects=True, timeout=START_S) as newcomer:
        door = newcomer.get(address[0])
        asked = newcomer.get(door.url.join(found(r'href="(/staff/login)"', door.text)))
        choice = {"token": found(r'name="token" value="([^"]+)"', asked.text), "who": "ida"}
        inside = newcomer.post(asked.url, data=choice)
        office = newcomer.get(inside.url.join(found(r'href="(/staff/office)"', inside.text)))
        paper = {"csrf": found(r'name="csrf" value="([^"]+)"', inside.text)}
        device = newcomer.post(inside.url.join("/staff/device/new"), data=paper).text
        secret = found(r'name="secret" value="([^"]+)"', device)
        digits = code_at(base64.b32decode(secret), time.time_ns() // 1_000_000 // STEP_MS)
        form = {
            name: found(rf'name="{name}" value="([^"]+)"', device) for name in ("secret", "until", "paper")
        }
        kept = newcomer.post(inside.url.join("/staff/device"), data={**paper, **form, "shown": digits})

    assert "This is a demo: log in, and choose" in door.text
    assert (asked.url.path, "no login" in asked.text) == ("/login/authorize", True)
    assert (inside.url.path, office.url.path) == ("/staff", "/staff/office")
    assert "ida, owner" in office.text
    assert "Northern Lights" in office.text
    assert kept.status_code == 200
    assert "Write these down now" in kept.text


def test_an_owner_is_made_on_the_command_line_while_it_runs(running: Demo) -> None:
    """The link opens in the process that runs; then the operator token is for programs, and a removed owner is out."""

    def operators(*words: str) -> str:
        command = [sys.executable, "-m", "gateway", "operators", *words, "--data", str(running.data)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    operator = {"authorization": f"Bearer {(running.data / 'operator-token').read_text().strip()}"}
    code = operators("add", "Ann Lee", "--role", "owner").partition("code=")[2]
    with httpx.Client(base_url=running.control) as browser:
        page = browser.get("/welcome", params={"code": code})
        secret, paper = device_in(page)
        form = {"csrf": csrf_in(page), "code": code, "device": paper, "password": "a few plain words"}
        form["digits"] = code_at(secret, time.time_ns() // 1_000_000 // STEP_MS)
        codes = browser.post("/welcome", data=form)
        people = browser.get("/people")
        with httpx.Client(base_url=running.control) as other:
            way_in = other.get("/login").text
        token = operators("tokens", "add", "deploy", "--role", "viewer")
        asked = {"authorization": f"Bearer {token}"}
        rooms = [httpx.get(f"{running.control}/api/rooms", headers=one) for one in (asked, operator)]
        ended = "/api/rooms/main/sessions/x/finish"
        acted = [
            httpx.post(f"{running.control}{ended}", headers=one).status_code for one in (asked, operator)
        ]
        operators("remove", "Ann Lee")
        gone = browser.get("/people")

    assert "Your recovery codes" in codes.text
    assert (people.status_code, "Ann Lee" in people.text) == (200, True)
    assert ('name="token"' in way_in, 'name="password"' in way_in) == (False, True)
    assert [one.status_code for one in rooms] == [200, 200]
    assert acted == [403, 404]
    assert (gone.status_code, gone.headers["location"]) == (303, "/login")


def test_what_was_sold_can_be_checked_while_it_runs(running: Demo) -> None:
    """`waitroom shop check` looks at SQL and the store of every evening, and exits with 0 if all is right."""
    words = ["shop", "check", "--live", "--data", str(running.data)]
    told = subprocess.run(
        [sys.executable, "-m", "gateway", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=START_S,
    )
    missing = subprocess.run(
        [sys.executable, "-m", "gateway", *words, "nothing"], capture_output=True, text=True, check=False
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("every invariant holds") == 4
    assert (missing.returncode, missing.stderr) == (2, "waitroom: The shop has no event nothing.\n")


def test_the_shop_itself_lets_nobody_past_the_gate(running: Demo) -> None:
    """Whoever finds the shop's own port has no admission, and the guard is not impressed by headers."""
    words = next(command for command in running.family.values() if "worker shop" in command)
    assert words
    rooms = (running.data / "demo.toml").read_text()
    origin = re.search(r'origin = "(.*)"', rooms)
    assert origin is not None

    direct = httpx.get(
        origin[1] + "/", headers={**PAGE, "Waitroom-Session": "me", "Waitroom-Lane": "verified"}
    )

    assert "Evenings worth the wait" not in direct.text
    assert direct.status_code >= 300


def test_a_worker_that_dies_is_started_again(running: Demo) -> None:
    """Nobody notices while another worker is left."""
    victim = next(pid for pid, command in running.family.items() if "worker gate" in command)

    os.kill(victim, signal.SIGKILL)
    answers = {httpx.get(f"{running.site}/.waitroom/health/live").status_code for _ in range(20)}

    wait_until(
        "two gate workers", lambda: sum("worker gate" in command for command in running.family.values()) == 2
    )
    assert answers == {200}
    assert victim not in running.family


def test_a_store_that_dies_is_started_again_with_all_places(running: Demo) -> None:
    """The append-only file has every place that anybody was told."""
    with httpx.Client(base_url=running.site) as fan:
        joined = fan.post("/.waitroom/r/main/join").json()
        victim = next(pid for pid, command in running.family.items() if "--appendonly" in command)

        os.kill(victim, signal.SIGKILL)

        def place() -> object:
            answer = fan.get("/.waitroom/r/main/ticket", headers={"Accept": "application/json"})
            return answer.json().get("number") if answer.status_code == 200 else None

        wait_until("the place again", lambda: place() == joined["number"])
        again = fan.post("/.waitroom/r/main/join").json()

    assert again["ticket"] == joined["ticket"]


def test_ctrl_c_leaves_no_process_behind_and_a_second_start_keeps_every_place(tmp_path: Path) -> None:
    """The same ticket is worth the same number after the restart; the operator's token stays too."""
    with demo(tmp_path, "--crowd", "5") as first:
        wait_until("the crowd", lambda: any(" crowd " in command for command in first.family.values()))
        joined = httpx.post(f"{first.site}/.waitroom/r/main/join").json()
        token = (tmp_path / "operator-token").read_text()
        family = first.family
        said = first.end()
        status = first.process.returncode
        left = [command_of(pid) for pid in family if command_of(pid)]
    with demo(tmp_path) as second:
        headers = {"Waitroom-Ticket": joined["ticket"], "Accept": "application/json"}
        again = httpx.post(f"{second.site}/.waitroom/r/main/join", headers=headers).json()

    assert len(family) == 6
    assert (status, left) == (0, [])
    assert "Traceback" not in said
    assert again["number"] == joined["number"]
    assert again["run"] == joined["run"]
    assert (tmp_path / "operator-token").read_text() == token


def test_a_supervisor_that_is_killed_takes_everything_with_it(tmp_path: Path) -> None:
    """``kill -9``: the kernel ends the children."""
    with demo(tmp_path) as killed:
        family = killed.family
        killed.process.kill()
        killed.process.wait()
        wait_until("no process left", lambda: not any(command_of(pid) for pid in family))

    assert len(family) == 5


def test_a_taken_port_is_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    """Which port, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demo(tmp_path / "data", "--port", str(port)) as refused:
            refused.process.wait(STOP_S)
            assert refused.process.stderr is not None
            said = refused.process.stderr.read()

    assert refused.process.returncode == 2
    assert said == (
        f"waitroom: Port {port} is taken by another program: stop that, or choose another port "
        "with WAITROOM_PORT or --port.\n"
    )
    assert refused.family == {}


def test_a_data_folder_in_use_or_not_writable_is_one_sentence(running: Demo, tmp_path: Path) -> None:
    """Another waiting room owns it; a file stands there."""
    (tmp_path / "file").write_text("")
    told = []
    for data in (running.data, tmp_path / "file"):
        with demo(data) as refused:
            refused.process.wait(STOP_S)
            assert refused.process.stderr is not None
            told.append((refused.process.returncode, refused.process.stderr.read()))

    assert [status for status, _ in told] == [2, 2]
    assert told[0][1].startswith("waitroom: Another waiting room (process ")
    assert told[1][1].startswith("waitroom: The data folder ")
    assert all(said.count("\n") == 1 for _, said in told)


def test_serve_tells_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    """No operator's token, two faults in the rooms, a taken port: four sentences, and nothing was started."""
    rooms = tmp_path / "rooms.toml"
    rooms.write_text('[rooms.main]\norigin = "x"\nfoo = 1\n')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [
            "--data",
            str(tmp_path / "data"),
            "--rooms",
            str(rooms),
            "--port",
            str(taken.getsockname()[1]),
        ]
        refused = subprocess.run(
            [sys.executable, "-m", "gateway", "serve", *words, "--operator-port", "0"],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
        )

    told = refused.stderr.splitlines()
    assert (refused.returncode, refused.stdout) == (2, "")
    assert [any(word in line for line in told) for word in ("OPERATOR_TOKEN", "origin", "foo", "taken")] == [
        True
    ] * 4
    assert len(told) == 4
