"""Stream: an answer that goes on coming, over a connection of its own.

What a browser's EventSource needs: the head first, then pieces of the body as they come, until somebody ends it. It is
apart from the pool (``wire``), because it is busy for as long as it lasts. Not here: what the pieces mean
(``seats.sse``).
"""

import asyncio
from collections import deque
from typing import cast

import httptools

MOST_UNREAD_BYTES = 4 * 1024 * 1024


class BrokenOff(Exception):
    """The answer broke off before it was whole, or was none."""


class Stream(asyncio.Protocol):
    """One connection with one answer on it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: deque[bytes] = deque()
        self._unread = 0
        self._news = asyncio.Event()
        self._has_head = False
        self._is_whole = False
        self._is_broken = False

    async def begin(self, request: bytes) -> None:
        """Send the request and wait for the head of the answer. Raises BrokenOff."""
        if self._transport is not None:
            self._transport.write(request)
        while not self._has_head:
            await self._hear()

    async def read(self) -> bytes:
        """Give what has come since; b"" when the answer is whole. Raises BrokenOff."""
        while not self._pieces:
            if self._is_whole:
                return b""
            await self._hear()
        piece = b"".join(self._pieces)
        self._pieces.clear()
        self._unread = 0
        return piece

    def close(self) -> None:
        """End it from this side."""
        if self._transport is not None:
            self._transport.abort()

    async def _hear(self) -> None:
        if self._is_broken:
            raise BrokenOff
        self._news.clear()
        await self._news.wait()

    def _break(self) -> None:
        self._is_broken = not self._is_whole
        self._news.set()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserCallbackError):
            self._break()
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        del exc
        self._break()

    # httptools.HttpResponseParser

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is there."""
        self.status = self._parser.get_status_code()
        self._has_head = True
        self._news.set()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._unread += len(body)
        if self._unread > MOST_UNREAD_BYTES:
            self._break()
            self.close()
            return
        self._pieces.append(body)
        self._news.set()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._is_whole = True
        self._news.set()
