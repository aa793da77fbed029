"""HTTP: the server's protocol, bounded against hostile clients and cut to what a waiting crowd asks.

uvicorn's protocol has no bound on the head of a request, neither in bytes nor in time: a client could fill
the memory with one endless header, or hold a connection with a byte a minute. Both end here, with 431 above
the size and 408 after the time; a connection on which nothing came at all is closed without a word. The body
is bounded where it is read.

And a crowd asks the same all day, so what is done anew for each request is where the processor goes:

* **The broadcast is answered where it is parsed.** What has ready bytes (the status document) is written at
  once: no task, no messages, no application. Only a plain GET that stands alone on its connection goes that
  way; every other request for it takes the ordinary way and gets the same answer.
* **No timers for each request**: one watch for each connection comes round every ``header_s``. A slow head
  ends after one to two rounds, an idle connection at most one round after its keep-alive time.
* **A whole answer is one write**, head and body together (each write is a system call), and a header's line
  that was found good is known: most answers consist of the same few lines.

* **A piece of a stream that many get is written where it is made** (``Push``): no task is woken for each of them.

Parsing, pipelining, flow control and errors stay uvicorn's. ADR 0010 says why this is not a server of our own.
Not here: what is ready (``waitroom.web``).
"""

from asyncio import TimerHandle, Transport
from collections.abc import Callable

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from kernel.asgi import PUSH, WHOLE, Message, Ready

Broadcast = Callable[[bytes], Ready | None]
"""Gives what is ready at an address, as it stands in the request line; None where the application must be asked."""

Header = tuple[bytes, bytes]

ANSWER = b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
TOO_LARGE = ANSWER % b"431 Request Header Fields Too Large"
TOO_SLOW = ANSWER % b"408 Request Timeout"

LINES_KEPT = 1024
LINE_KEPT_BYTES = 128

_LENGTH = b"content-length"
_NEVER_KEPT = frozenset((b"set-cookie", b"etag", b"location", b"waitroom-trace"))
_NOT_OURS = frozenset((b"connection", b"transfer-encoding"))
_NOT_PLAIN = frozenset((_LENGTH, b"expect", b"transfer-encoding", b"upgrade"))
_NAME = bytes(set(range(256)) - set(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"))
"""What no header's name may hold (RFC 9110, section 5.6.2); names in capitals take the ordinary way."""
_VALUE = bytes({*range(32), 127} - {9})

_lines: dict[Header, bytes] = {}


def line_of(header: Header) -> bytes | None:
    """Return a header as it is written; None for what the ordinary way must judge or refuse."""
    known = _lines.get(header)
    if known is not None:
        return known
    name, value = header
    if name in _NOT_OURS or not name or len(name.translate(None, _NAME)) != len(name):
        return None
    if len(value.translate(None, _VALUE)) != len(value):
        return None
    line = b"%b: %b\r\n" % header
    if name not in _NEVER_KEPT and len(line) <= LINE_KEPT_BYTES:
        if len(_lines) >= LINES_KEPT:
            _lines.clear()
        _lines[header] = line
    return line


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    _kept: bytes | None = None
    """A head that waits for its body, which follows at once."""

    async def send(self, message: Message) -> None:  # type: ignore[override]
        """Write a head whose every line is plain, with the body where that follows; leave all else as it was."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            if self._is_whole(message) and not self.disconnected:
                self.transport.write(kept + message["body"])
                self.response_complete = True
                self.message_event.set()
                self.on_response()
                return
            self.transport.write(kept)
        elif not self.response_started and not self.disconnected and not self.flow.write_paused:
            head = self._head(message) if message["type"] == "http.response.start" else None
            if head is not None:
                self.response_started = True
                self.waiting_for_100_continue = False
                if WHOLE in message:
                    self._kept = head
                else:
                    self.transport.write(head)
                return
        await super().send(message)  # type: ignore[arg-type]
        push = message.get(PUSH)
        if push is not None and self.chunked_encoding:
            push.write = self.push

    def push(self, octets: bytes) -> bool:
        """Write a piece of a streamed answer, if the connection takes it now."""
        if self.disconnected or self.response_complete or self.flow.write_paused:
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(octets), octets))
        return True

    def _is_whole(self, message: Message) -> bool:
        """Tell whether a message is all of the body that its head announced, and is to be sent."""
        return (
            message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and len(message.get("body", b"")) == self.expected_content_length
            and self.scope["method"] != "HEAD"
        )

    def _head(self, message: Message) -> bytes | None:
        """Return the head of an answer with a length, on a connection that stays; else None."""
        if not self.keep_alive:
            return None
        lines, length, known = [STATUS_LINE[message["status"]]], None, _lines
        for header in (*self.default_headers, *message["headers"]):
            line: bytes | None = known.get(header)
            if line is None:
                if header[0] == _LENGTH and length is None and header[1].isdigit():
                    length = header[1]
                    line = b"content-length: %b\r\n" % length
                elif header[0] == _LENGTH or (line := line_of(header)) is None:
                    return None
            lines.append(line)
        if length is None:
            return None
        self.expected_content_length = int(length)
        self.chunked_encoding = False
        lines.append(b"\r\n")
        return b"".join(lines)

    async def receive(self) -> Message:  # type: ignore[override]
        """Give a body that has come in full at once; wait for any other."""
        if self.more_body or self.disconnected or self.response_complete or not self.message_event.is_set():
            return await super().receive()  # type: ignore[return-value]
        self.message_event.clear()
        self.flow.resume_reading()
        body, self.body = self.body, bytearray()
        return {"type": "http.request", "body": bytes(body), "more_body": False}


class Http(HttpToolsProtocol):
    """HTTP/1.1 for a crowd. Every request passes here, so the parser's calls do not go through ``super``."""

    max_header_bytes = 32_768
    header_s = 15.0
    broadcast: Broadcast = staticmethod(lambda _url: None)

    _head_bytes = 0
    _head_since = 0.0
    """When the head now arriving began; 0 between heads."""

    _idle_since = 0.0
    """When the last answer on this connection ended; 0 while there is something to do."""

    _begun = False
    _large = False
    _refused = False
    _answered = False
    """The request that is being parsed has had its answer."""

    _watch: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the watch."""
        super().connection_made(transport)
        self._head_since = self.loop.time()
        self._watch = self.loop.call_later(self._round_s, self._look)

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

    # What the parser tells --------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Note when a request's head begins."""
        super().on_message_begin()
        self._begun = True
        self._idle_since = 0.0
        self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Note the end of the head; write what is ready, and begin a cycle for everything else."""
        self._head_since = 0.0
        if self._large:
            self._weigh()
        ready = self.broadcast(self.url)
        if ready is None or not self._is_plain():
            super().on_headers_complete()
            return
        self._answered = True
        self.transport.write(self._whole(ready))
        self.on_response_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; an answered request has none."""
        if not self._answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if self._answered:
            self._answered = False
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin the next request if it waits; otherwise the connection is idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._idle_since = self.loop.time()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin a cycle, which is one of ours from here on."""
        cycle.__class__ = Cycle
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Say nothing more to a client that was refused."""
        if not self._refused:
            super().send_400_response(msg)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to the websocket's protocol."""
        self._unwatch()
        super().handle_websocket_upgrade()

    # The broadcast ----------------------------------------------------------------------------------

    def _is_plain(self) -> bool:
        """Tell whether a request is a GET without conditions on its connection, its body or its server."""
        cycle: RequestResponseCycle | None = self.cycle
        parser, most = self.parser, self.limit_concurrency
        return (
            (cycle is None or cycle.response_complete)
            and parser.get_method() == b"GET"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and (most is None or len(self.connections) < most)
            and _NOT_PLAIN.isdisjoint([name for name, _ in self.headers])
        )

    def _whole(self, ready: Ready) -> bytes:
        """Return an answer with the date of this second; it is put together once a second."""
        heads, written = self.server_state.default_headers, ready.written
        if written is None or written[0] is not heads:
            lines = b"".join(line_of(header) or b"" for header in (*heads, *ready.headers)) + b"\r\n"
            whole = STATUS_LINE[200] + b"content-length: %d\r\n" % len(ready.body) + lines + ready.body
            written = ready.written = heads, whole, STATUS_LINE[304] + lines
        tags = [value for name, value in self.headers if name == b"if-none-match"]
        return written[2] if tags and ready.etag in b",".join(tags) else written[1]

    # The bounds -------------------------------------------------------------------------------------

    @property
    def _round_s(self) -> float:
        return min(self.header_s, self.timeout_keep_alive)

    def _weigh(self) -> None:
        """Refuse a large head that came in a single packet."""
        self._large = False
        head_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if head_bytes > self.max_header_bytes:
            self._refuse(TOO_LARGE)
            # The parser must not go on to the body of a request that nobody will see.
            raise ValueError("the head is too large")

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _look(self) -> None:
        """End a head that takes too long, a connection on which nothing came at all, and an idle one."""
        self._watch = None
        now_s, left_s = self.loop.time(), self._round_s
        if self._idle_since:
            left_s = min(left_s, self._idle_since + self.timeout_keep_alive - now_s)
            if left_s <= 0:
                self.timeout_keep_alive_handler()
                return
        if self._head_since:
            left_s = min(left_s, self._head_since + self.header_s - now_s)
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


def http(max_header_bytes: int, header_s: float, broadcast: Broadcast | None = None) -> type[Http]:
    """Make the server's protocol with these two bounds, and with what is ready."""
    members: dict[str, object] = {"max_header_bytes": max_header_bytes, "header_s": header_s}
    if broadcast is not None:
        members["broadcast"] = staticmethod(broadcast)
    return type("HttpHere", (Http,), members)
