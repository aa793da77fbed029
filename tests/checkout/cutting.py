"""A cutter: stands between a client and a PostgreSQL server, and cuts the line where a test wants it cut."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from sqlalchemy.engine import URL, make_url

PORT = 5432


class Cutter:
    """A proxy of one server, in threads; every line that is cut is cut for good, new ones work."""

    def __init__(self, server: str) -> None:
        """Listen in front of `server`."""
        self._server = make_url(server)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._word: bytes | None = None
        self._is_sent = False
        self._lines: list[socket.socket] = []
        self.has_cut = False

    def __enter__(self) -> Self:
        """Take lines."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut all and listen no more."""
        self.close()

    def close(self) -> None:
        """Cut all and listen no more."""
        # Only a shutdown wakes the thread that waits for the next line.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def url(self, direct: URL) -> URL:
        """Give the address that leads through here."""
        query = {name: value for name, value in direct.query.items() if name not in {"host", "port"}}
        return direct.set(host="127.0.0.1", port=self._listener.getsockname()[1], query=query)

    def cut(self, word: bytes, *, is_sent: bool) -> None:
        """Cut the first line on which the client says `word`: after the server has answered it, or before it hears."""
        self._word, self._is_sent = word, is_sent

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._connect()
            self._lines += [client, server]
            muted = threading.Event()
            threading.Thread(target=self._to_server, args=(client, server, muted), daemon=True).start()
            threading.Thread(target=self._to_client, args=(client, server, muted), daemon=True).start()

    def _connect(self) -> socket.socket:
        host = str(self._server.query.get("host") or self._server.host or "127.0.0.1")
        port = int(self._server.port or str(self._server.query.get("port") or PORT))
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(Path(host) / f".s.PGSQL.{port}"))
        return line

    def _to_server(self, client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while octets := client.recv(65_536):
                if self._word is not None and self._word in octets:
                    self._word, self.has_cut = None, True
                    muted.set()
                    if self._is_sent:
                        # `_to_client` hangs up when the answer is there.
                        server.sendall(octets)
                    else:
                        _hang_up(client, server)
                    return
                server.sendall(octets)
        _hang_up(server)

    @staticmethod
    def _to_client(client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while octets := server.recv(65_536):
                if muted.is_set():
                    break
                client.sendall(octets)
        _hang_up(client, server)


def _hang_up(*lines: socket.socket) -> None:
    for line in lines:
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


@contextmanager
def schema(url: str) -> Iterator[str]:
    """Make an empty schema of our own."""
    name = f"cut_{threading.get_ident()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        connection.execute(f"CREATE SCHEMA {name}")
    yield name
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {name} CASCADE")
