"""Websocket: carries a websocket to the origin and its messages both ways.

The origin is asked first: only when it has accepted is the client accepted, with the subprotocol and
the cookies of the origin's handshake; a refusal goes on with the origin's status. Messages go on one
at a time, so that a slow side slows the other; pings are answered on each side by itself; the close
code and reason go on. A websocket that is open when its session ends stays open: cutting a person off
in the middle of a purchase does more harm than one more connection.

Not here: who may pass (``gateway.gate``), HTTP (``gateway.proxy``).
"""

import asyncio
import logging

import aiohttp
from aiohttp import WSMsgType
from starlette.types import Receive, Scope, Send
from yarl import URL

from gateway.headers import WEBSOCKET_ANSWER_HOP, WEBSOCKET_HOP, Header, is_clean, to_client
from gateway.proxy import Proxy, as_text

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# Codes of RFC 6455 section 7.4.1 that may not stand in a close frame.
NOT_SENDABLE = frozenset({1004, 1005, 1006, 1015})
NORMAL, GOING_AWAY, BROKEN, BUSY = 1000, 1001, 1011, 1013


async def refuse(scope: Scope, send: Send, status: int, headers: list[Header], body: bytes) -> None:
    """Answer the handshake with an HTTP response, or close with 1013 where the server cannot do that."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
    else:
        await send({"type": "websocket.close", "code": BUSY, "reason": "try again later"})


def answer_headers(headers: list[Header], *, status: int) -> list[Header]:
    """Give the headers of the origin's handshake answer that go on; none when one could split lines."""
    kept = [
        pair
        for pair in to_client(headers, status=status, method="GET")
        if pair[0] not in WEBSOCKET_ANSWER_HOP
    ]
    return kept if is_clean(kept) else []


class WebsocketProxy:
    """Websockets over the same pool of connections as the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def forward(
        self, scope: Scope, receive: Receive, send: Send, url: URL, headers: list[Header]
    ) -> None:
        """Join the client's websocket and one to the origin until either closes."""
        await receive()
        text = as_text([(name, value) for name, value in headers if name not in WEBSOCKET_HOP])
        try:
            async with asyncio.timeout(self._proxy.deadlines.first_byte_s):
                socket = await self._proxy.session.ws_connect(
                    url,
                    headers=text,
                    protocols=tuple(scope.get("subprotocols", ())),
                    max_msg_size=MAX_MESSAGE_BYTES,
                    autoping=True,
                    autoclose=True,
                    timeout=aiohttp.ClientWSTimeout(ws_close=5.0),
                )
        except aiohttp.WSServerHandshakeError as error:
            status = error.status if 300 <= error.status < 600 else 502
            told = [
                (name.encode(), text.encode("utf-8", "surrogateescape"))
                for name, text in (error.headers or {}).items()
            ]
            await refuse(scope, send, status, answer_headers(told, status=status), b"")
            return
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning(
                "the origin's websocket failed", extra={"origin": url.authority, "error": repr(error)}
            )
            status = 504 if isinstance(error, TimeoutError) else 502
            await refuse(scope, send, status, [(b"content-type", b"text/plain")], b"")
            return
        async with socket:
            told = answer_headers(list(getattr(socket, "handshake", ())), status=101)
            await send({"type": "websocket.accept", "subprotocol": socket.protocol, "headers": told})
            await self._join(socket, receive, send)

    async def _join(self, socket: aiohttp.ClientWebSocketResponse, receive: Receive, send: Send) -> None:
        up = asyncio.ensure_future(to_origin(socket, receive))
        down = asyncio.ensure_future(to_client_side(socket, send))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)


async def to_origin(socket: aiohttp.ClientWebSocketResponse, receive: Receive) -> None:
    """Send the client's messages on until it closes; its close goes on too."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code") or NORMAL
            code = GOING_AWAY if code in NOT_SENDABLE else code
            await socket.close(code=code, message=(message.get("reason") or "").encode()[:123])
            return
        if message.get("bytes") is not None:
            await socket.send_bytes(message["bytes"])
        elif message.get("text") is not None:
            await socket.send_str(message["text"])


async def to_client_side(socket: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    """Send the origin's messages on until it closes; its close goes on too."""
    while True:
        message = await socket.receive()
        match message.type:
            case WSMsgType.TEXT:
                await send({"type": "websocket.send", "text": message.data})
            case WSMsgType.BINARY:
                await send({"type": "websocket.send", "bytes": message.data})
            case WSMsgType.CLOSE:
                code = message.data or NORMAL
                code = NORMAL if code in NOT_SENDABLE else code
                await send({"type": "websocket.close", "code": code, "reason": message.extra or ""})
                return
            case WSMsgType.PING | WSMsgType.PONG:
                continue
            case _:
                # Lost without a close frame, or a frame that breaks the protocol.
                await send({"type": "websocket.close", "code": BROKEN, "reason": ""})
                return
