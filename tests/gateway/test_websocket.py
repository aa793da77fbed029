"""Websockets through the gate: messages, subprotocols, closing, and who is not let in."""

import asyncio

import aiohttp
import pytest

from tests.gateway.serving import Origin, admitted, gate_before, serving


async def test_messages_go_both_ways_as_text_and_bytes() -> None:
    """The origin hears the session as with any request, and its handshake's cookies reach the client."""
    origin = Origin()
    async with gate_before(origin) as door, admitted() as client:
        headers = {"X-Own": "1", "Waitroom-Session": "me"}
        async with client.ws_connect(door.url("/ws"), protocols=("a", "b"), headers=headers) as socket:
            await socket.send_str("hé")
            text = await socket.receive_str()
            await socket.send_bytes(b"\0\xff" * 40_000)
            data = await socket.receive_bytes()
            protocol = socket.protocol
            cookies = socket._response.headers.getall("set-cookie")
        heard = dict(origin.asked[0]["headers"])

    assert (text, data) == ("hé", b"\0\xff" * 40_000)
    assert protocol == "b"
    assert cookies == ["w=1"]
    assert (heard["x-own"], heard["waitroom-session"]) == ("1", "fan")


async def test_the_clients_close_reaches_the_origin() -> None:
    """With its code and reason."""
    origin = Origin()
    async with gate_before(origin) as door, admitted() as client:
        socket = await client.ws_connect(door.url("/ws"))
        await socket.close(code=4002, message=b"enough")
        async with asyncio.timeout(10):
            await origin.gone.wait()

    assert origin.last == {"code": 4002, "reason": "enough"}


async def test_the_origins_close_reaches_the_client() -> None:
    """With its code and reason."""
    async with gate_before(Origin()) as door, admitted() as client:
        socket = await client.ws_connect(door.url("/ws"))
        await socket.send_str("bye")
        message = await socket.receive()

    assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4001, "as you wish")


async def test_without_an_admission_the_handshake_is_refused_with_429() -> None:
    """A websocket cannot show a page; the origin hears nothing."""
    origin = Origin()
    async with gate_before(origin) as door, aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(door.url("/ws"))

    assert refused.value.status == 429
    assert refused.value.headers is not None
    assert refused.value.headers["retry-after"] == "10"
    assert origin.asked == []


async def test_a_refusal_of_the_origin_goes_on_with_its_status_and_headers() -> None:
    """Nobody is told 101 before the origin has said so."""
    async with gate_before(Origin()) as door, admitted() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(door.url("/no"))

    assert refused.value.status == 401
    assert refused.value.headers is not None
    assert refused.value.headers["x-why"] == "no"


async def test_an_origin_that_is_away_is_a_502_for_websockets_too() -> None:
    """Before the client is accepted."""
    async with gate_before(Origin(), origin_url="http://127.0.0.1:9") as door, admitted() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(door.url("/ws"))

    assert refused.value.status == 502


async def test_there_is_no_websocket_below_the_prefix() -> None:
    """The waiting room speaks HTTP only; a session changes nothing about that."""
    async with gate_before(Origin()) as door, admitted() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(door.url("/.waitroom/r/main/status"))

    assert refused.value.status == 404


async def test_a_server_that_cannot_refuse_with_a_status_closes_with_1013() -> None:
    """Without the ASGI extension for handshake responses the code says: try again later."""
    from gateway.websocket import refuse

    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    await refuse({"type": "websocket"}, send, 429, [], b"")

    assert sent == [{"type": "websocket.close", "code": 1013, "reason": "try again later"}]


async def test_the_serving_helper_ends_with_its_block() -> None:
    """No server outlives the block that started it."""
    async with serving(Origin()) as port:
        pass

    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await asyncio.open_connection("127.0.0.1", port)
