"""The proxy before a real origin on loopback: streams, deadlines, and what happens when a side leaves."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from gateway.proxy import Deadlines
from tests.gateway.serving import Origin, admitted, gate_before, raw, serving


def answering(status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> Any:
    """Make an origin's application that always answers the same."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


async def test_method_path_query_and_headers_arrive_as_they_were_sent() -> None:
    """The path goes on byte for byte: escapes, double slashes and dots are the origin's to read."""
    async with gate_before(Origin()) as door, admitted() as client:
        url = aiohttp.client.URL(door.url("/a%2Fb//c/%C3%A9/./x?q=1&q=%20+"), encoded=True)
        async with client.request("PROPFIND", url, headers={"X-Own": "wert", "X-Utf": "é"}) as answer:
            told = await answer.json()

    assert told["method"] == "PROPFIND"
    assert (told["path"], told["query"]) == ("/a%2Fb//c/%C3%A9/./x", "q=1&q=%20+")
    assert ["x-own", "wert"] in told["headers"]
    assert ["x-utf", "é"] in told["headers"]
    assert ["host", f"127.0.0.1:{door.port}"] in told["headers"]


async def test_an_upload_flows_while_it_is_being_sent() -> None:
    """The origin has the first chunk before the client has sent the last."""
    origin = Origin()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await origin.first_chunk.wait()
        yield b"last"

    async with (
        gate_before(origin) as door,
        admitted() as client,
        client.post(door.url("/"), data=body()) as answer,
    ):
        told = await answer.json()

    assert told["size"] == 9
    assert told["sha256"] == hashlib.sha256(b"firstlast").hexdigest()


async def test_a_download_flows_while_it_is_being_made() -> None:
    """A server-sent event arrives before the origin has made the next: nothing is collected."""
    origin = Origin()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
            await origin.step.wait()
            origin.step.clear()
        await send({"type": "http.response.body", "body": b""})

    origin.answer = answer
    seen = []
    async with gate_before(origin) as door, admitted() as client, client.get(door.url("/live")) as stream:
        for _ in range(3):
            seen.append(await stream.content.readuntil(b"\n\n"))
            origin.step.set()
        rest = await stream.content.read()

    assert seen == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
    assert rest == b""


async def test_twenty_megabytes_arrive_whole_in_both_directions() -> None:
    """Big bodies go through in chunks, with and without a length."""
    big = bytes(range(256)) * 80_000
    origin = Origin()
    async with gate_before(origin) as door, admitted() as client:
        async with client.post(door.url("/"), data=BytesIO(big)) as answer:
            up = await answer.json()
        origin.answer = answering(200, [(b"content-length", str(len(big)).encode())], big)
        async with client.get(door.url("/")) as answer:
            down = await answer.read()
            length = answer.headers["content-length"]

    assert up["sha256"] == hashlib.sha256(big).hexdigest()
    assert ["content-length", str(len(big))] in up["headers"]
    assert (down == big, length) == (True, str(len(big)))


async def test_a_request_without_a_body_gets_none_on_the_way() -> None:
    """No chunked framing appears around nothing."""
    async with gate_before(Origin()) as door, admitted() as client, client.get(door.url("/")) as answer:
        told = await answer.json()

    assert not {"transfer-encoding", "content-length", "expect"} & {name for name, _ in told["headers"]}


async def test_answers_without_a_body_stay_without_one() -> None:
    """HEAD tells the length and sends nothing; 204 and 304 have neither."""
    origin = Origin(answer=answering(200, [(b"content-length", b"5")], b"hello"))
    async with gate_before(origin) as door, admitted() as client:
        async with client.head(door.url("/")) as answer:
            head = (answer.status, answer.headers["content-length"], await answer.read())
        origin.answer = answering(304, [(b"etag", b'"x"')])
        async with client.get(door.url("/")) as answer:
            unchanged = (answer.status, answer.headers["etag"], await answer.read())
        origin.answer = answering(204, [])
        async with client.delete(door.url("/")) as answer:
            empty = (answer.status, await answer.read())

    assert head == (200, "5", b"")
    assert unchanged == (304, '"x"', b"")
    assert empty == (204, b"")


async def test_cookies_redirects_and_encodings_are_the_clients_business() -> None:
    """Several Set-Cookie headers stay apart, a redirect is not followed, gzip stays gzip."""
    packed = gzip.compress(b"hello")
    headers = [
        (b"set-cookie", b"a=1; Path=/"),
        (b"set-cookie", b"b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT"),
        (b"location", b"/else"),
        (b"content-encoding", b"gzip"),
    ]
    origin = Origin(answer=answering(302, headers, packed))
    async with (
        gate_before(origin) as door,
        admitted() as client,
        client.get(door.url("/"), allow_redirects=False) as answer,
    ):
        body = await answer.read()

    assert answer.status == 302
    assert answer.headers.getall("set-cookie") == [
        "a=1; Path=/",
        "b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT",
    ]
    assert answer.headers["location"] == "/else"
    assert body == packed
    assert len(answer.headers.getall("date")) == 1
    assert "server" not in answer.headers


async def test_a_client_that_leaves_cancels_the_trip() -> None:
    """The origin notices at once, not when it next writes."""
    origin = Origin()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        origin.gone.set()

    origin.answer = answer
    async with gate_before(origin) as door:
        async with admitted() as client, client.get(door.url("/")) as stream:
            assert await stream.content.readany() == b"x"
        async with asyncio.timeout(10):
            await origin.gone.wait()


async def test_a_client_that_leaves_in_the_middle_of_its_upload_cancels_the_trip() -> None:
    """A torn body never reaches the origin as a whole one."""
    origin = Origin()
    async with gate_before(origin) as door:
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: a\r\nCookie: waitroom-admission-main=ok-fan\r\nContent-Length: 100\r\n\r\nhalf"
        )
        await origin.first_chunk.wait()
        writer.close()
        async with asyncio.timeout(10):
            await origin.gone.wait()

    assert origin.asked == []


async def test_an_origin_that_cannot_be_reached_is_a_502() -> None:
    """A JSON problem for a script, a small page for a person."""
    async with gate_before(Origin(), origin_url="http://127.0.0.1:9") as door, admitted() as client:
        async with client.get(door.url("/"), headers={"Accept": "application/json"}) as answer:
            problem = await answer.json(content_type="application/problem+json")
            status = answer.status
        async with client.get(door.url("/"), headers={"Accept": "text/html"}) as answer:
            page = await answer.text()
            kind = answer.headers["content-type"]

    assert (status, problem["code"]) == (502, "origin-unreachable")
    assert answer.status == 502
    assert kind.startswith("text/html")
    assert "You have not lost your turn" in page


async def test_an_origin_that_does_not_begin_to_answer_in_time_is_a_504() -> None:
    """The first byte has a deadline."""
    hang = asyncio.Event()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await hang.wait()

    async with (
        gate_before(Origin(answer=answer), deadlines=Deadlines(first_byte_s=0.05)) as door,
        admitted() as client,
        client.get(door.url("/")) as got,
    ):
        problem = await got.json(content_type="application/problem+json")

    assert (got.status, problem["code"], got.headers["retry-after"]) == (504, "origin-slow", "5")


async def test_a_client_that_stops_sending_is_a_408_and_not_the_origins_fault() -> None:
    """The deadline counts from the last chunk that went on; who was silent is who is blamed."""
    request = b"POST / HTTP/1.1\r\nHost: a\r\nCookie: waitroom-admission-main=ok-fan\r\nContent-Length: 9\r\n\r\nhalf"
    async with gate_before(Origin(), deadlines=Deadlines(first_byte_s=0.05)) as door:
        answer = await raw(door.port, request, end=b"}")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"request-slow" in answer


async def test_an_answer_that_breaks_off_never_looks_whole() -> None:
    """Silence longer than the deadline and a torn body both cut the client's connection."""
    stuck = asyncio.Event()

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await stuck.wait()

    async with (
        gate_before(Origin(answer=silent), deadlines=Deadlines(idle_s=0.05)) as door,
        admitted() as client,
        client.get(door.url("/")) as stream,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            await stream.read()


async def test_an_origin_that_answers_nonsense_is_a_502() -> None:
    """What is not HTTP, and a connection that closes without an answer."""

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said.pop())
        writer.close()

    codes = []
    said = [b"HTTP/1.1 777 odd\r\ncontent-length: 0\r\n\r\n", b"", b"what?\r\n\r\n"]
    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        gate_before(Origin(), origin_url=f"http://127.0.0.1:{port}") as door,
        admitted() as client,
    ):
        for _ in range(3):
            async with client.post(door.url("/"), data=b"x") as answer:
                codes.append((answer.status, (await answer.json(content_type=None))["code"]))

    assert codes == [(502, "origin-broken")] * 3


async def test_an_origin_that_answers_before_the_upload_is_done_is_heard() -> None:
    """A 413 after the first chunk reaches the client, although it is still sending."""

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 413, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"too much"})

    request = b"POST / HTTP/1.1\r\nHost: a\r\nCookie: waitroom-admission-main=ok-fan\r\nContent-Length: 99\r\n\r\nhalf"
    async with gate_before(Origin(answer=refuse)) as door:
        answer = await raw(door.port, request, end=b"too much")

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_expects_100_continue_is_answered_by_the_gate() -> None:
    """The body is asked for when the origin is to have it; the expectation ends at this hop."""
    head = (
        b"POST / HTTP/1.1\r\nHost: a\r\nCookie: waitroom-admission-main=ok-fan\r\n"
        b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    )
    origin = Origin()
    async with gate_before(origin) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(head)
        interim = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"body")
        final = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert final.startswith(b"HTTP/1.1 200 ")
    assert origin.header("expect") == []


async def test_a_waiting_client_is_not_asked_for_its_body() -> None:
    """Without an admission the answer is final: nothing is read, nothing is sent on."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    origin = Origin()
    async with gate_before(origin) as door:
        answer = await raw(door.port, head, end=b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 429 ")
    assert origin.asked == []


async def test_the_origin_may_live_below_a_path() -> None:
    """A path in the origin's address stands before the client's."""
    origin = Origin()
    async with (
        serving(origin) as port,
        gate_before(origin, origin_url=f"http://127.0.0.1:{port}/base/") as door,
        admitted() as client,
        client.get(door.url("/x?y=1")) as answer,
    ):
        told = await answer.json()

    assert (told["path"], told["query"]) == ("/base/x", "y=1")
