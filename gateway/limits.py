"""Limits: what a client may send before an application sees it.

The server's parser has no bound of its own on the head of a request, neither in bytes nor in time: a
client could fill the memory with one endless header, or hold a connection with a byte a minute.
Both end here, with 431 above the size and 408 after the time; a connection on which nothing came at
all is closed without a word. The body is bounded where it is read.
"""

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ANSWER = b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
TOO_LARGE = ANSWER % b"431 Request Header Fields Too Large"
TOO_SLOW = ANSWER % b"408 Request Timeout"


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 with a bounded head."""

    max_header_bytes = 32_768
    header_s = 15.0

    _head_bytes = 0
    _in_head = False
    _refused = False
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and count what belongs to a head that is not complete yet.

        A packet in which an earlier request ends counts whole; only pipelining clients send such.
        """
        if self._refused:
            return
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        if self._head_bytes > self.max_header_bytes:
            self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        """Start the clock for a request on a kept connection."""
        super().on_message_begin()
        self._in_head = True
        self._arm()

    def on_headers_complete(self) -> None:
        """Stop the clock; a large head may have come in a single packet."""
        self._in_head = False
        self._disarm()
        if (
            len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            > self.max_header_bytes
        ):
            self._refuse(TOO_LARGE)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of the body."""
        if not self._refused:
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to the websocket's protocol."""
        self._disarm()
        if not self._refused:
            super().handle_websocket_upgrade()

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.header_s, self._expired)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        self._refuse(TOO_SLOW if self._in_head else b"")

    def _refuse(self, answer: bytes) -> None:
        self._refused = True
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()


def bounded(max_header_bytes: int, header_s: float) -> type[BoundedHttp]:
    """Make the server's protocol with these two bounds."""
    return type("Bounded", (BoundedHttp,), {"max_header_bytes": max_header_bytes, "header_s": header_s})
