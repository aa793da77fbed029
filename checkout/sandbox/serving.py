"""Serving: uvicorn's protocol with two things more.

* An end of the connection without a word: ASGI has no way to break a connection off, and a provider that dies in the
  middle of a call does just that. With this protocol (``uvicorn.Config(app, http=Breakable)``) a request's scope holds
  a function that does. Under any other server the sandbox begins an answer that never ends, which callers take for
  the same.
* No waiting for a fuller packet: head and body of an answer are two writes, and on a listening socket that was made
  without its protocol's number asyncio leaves Nagle's algorithm on: each answer would come 40 ms late.
"""

import asyncio
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kernel.asgi import Receive, Scope, Send

BREAK_OFF = "sandbox.break-off"
PROMISED = b"65536"


async def break_off(scope: Scope, receive: Receive, send: Send) -> None:
    """End the connection of a request without an answer."""
    own = scope.get(BREAK_OFF)
    if own is None:
        headers = [(b"content-type", b"application/json"), (b"content-length", PROMISED)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        return
    own()
    while (await receive())["type"] != "http.disconnect":
        pass


class Breakable(HttpToolsProtocol):
    """A connection that the application may break off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope[BREAK_OFF] = self._break_off  # type: ignore[literal-required]

    def _break_off(self) -> None:
        self.transport.abort()
