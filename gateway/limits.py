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
    """HTTP/1.1 with a bounded head.

    Every request passes here, so a request costs a flag and a time: one watch for each connection comes
    round every ``header_s``, and a slow head ends after one to two of those.
    """

    max_header_bytes = 32_768
    header_s = 15.0

    _head_bytes = 0
    _head_since = 0.0
    """When the head now arriving began; 0 between heads."""

    _begun = False
    _large = False
    _refused = False
    _watch: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the watch."""
        super().connection_made(transport)
        self._head_since = self.loop.time()
        self._watch = self.loop.call_later(self.header_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the watch."""
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and count what belongs to a head that is not complete yet.

        A packet in which an earlier request ends counts whole; only pipelining clients send such.
        """
        if self._refused:
            return
        if len(data) > self.max_header_bytes:
            self._large = True
        super().data_received(data)
        if self._head_since:
            self._head_bytes += len(data)
            if self._head_bytes > self.max_header_bytes:
                self._refuse(TOO_LARGE)
        else:
            self._head_bytes = 0

    def on_message_begin(self) -> None:
        """Note when a request's head begins."""
        super().on_message_begin()
        self._begun = True
        self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Note the end of the head; a large one may have come in a single packet."""
        self._head_since = 0.0
        if self._large:
            self._large = False
            head_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if head_bytes > self.max_header_bytes:
                self._refuse(TOO_LARGE)
                # The parser must not go on to the body of a request that nobody will see.
                raise ValueError("the head is too large")
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Say nothing more to a client that was refused."""
        if not self._refused:
            super().send_400_response(msg)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to the websocket's protocol."""
        self._unwatch()
        super().handle_websocket_upgrade()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _look(self) -> None:
        """End a head that takes too long, and a connection on which nothing came at all."""
        self._watch = None
        left_s = self.header_s
        if self._head_since:
            left_s = self._head_since + self.header_s - self.loop.time()
            if left_s <= 0:
                self._refuse(TOO_SLOW if self._begun else b"")
                return
        self._watch = self.loop.call_later(left_s, self._look)

    def _refuse(self, answer: bytes) -> None:
        self._refused = True
        self._unwatch()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()


def bounded(max_header_bytes: int, header_s: float) -> type[BoundedHttp]:
    """Make the server's protocol with these two bounds."""
    return type("Bounded", (BoundedHttp,), {"max_header_bytes": max_header_bytes, "header_s": header_s})
