"""Fans by the hundred thousand: joins over HTTP whose tickets are kept, for figures that need called fans.

Plain pipelined HTTP/1.1 on a few connections: a client library would need longer than the measurement. Nothing is
timed here.
"""

import asyncio
import json
import secrets
from urllib.parse import urlsplit

CONNECTIONS = 16
BODY = b'{"target":"/shop"}'


class FansFailed(Exception):
    """A fan did not get what every fan gets."""


def tickets(url: str, room: str, count: int) -> list[str]:
    """Join `count` fans to a room and return their tickets."""
    return asyncio.run(_tickets(url, room, count))


def claim(url: str, room: str, ticket: str) -> dict[str, object]:
    """Claim one ticket and return the answer's document."""
    return asyncio.run(_claim(url, room, ticket))


async def _tickets(url: str, room: str, count: int) -> list[str]:
    shares = [count // CONNECTIONS + (index < count % CONNECTIONS) for index in range(CONNECTIONS)]
    parts = await asyncio.gather(*(_join(url, room, share) for share in shares))
    return [ticket for part in parts for ticket in part]


async def _join(url: str, room: str, count: int) -> list[str]:
    host = urlsplit(url).netloc
    reader, writer = await asyncio.open_connection(*host.split(":"))
    found: list[str] = []
    try:
        while len(found) < count:
            size = min(16, count - len(found))
            for _ in range(size):
                writer.write(
                    _post(f"/.waitroom/r/{room}/join", host, f"Idempotency-Key: {secrets.token_hex(16)}\r\n")
                )
            await writer.drain()
            found += [str((await _answer(reader))["ticket"]) for _ in range(size)]
    finally:
        writer.close()
        await writer.wait_closed()
    return found


async def _claim(url: str, room: str, ticket: str) -> dict[str, object]:
    host = urlsplit(url).netloc
    reader, writer = await asyncio.open_connection(*host.split(":"))
    try:
        writer.write(
            _post(f"/.waitroom/r/{room}/claim", host, f"Cookie: waitroom-ticket-{room}={ticket}\r\n")
        )
        return await _answer(reader)
    finally:
        writer.close()
        await writer.wait_closed()


def _post(path: str, host: str, more: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n"
        f"Accept: application/json\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n{more}\r\n"
    ).encode() + BODY


async def _answer(reader: asyncio.StreamReader) -> dict[str, object]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    length = next(
        (int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), None
    )
    if length is None:
        raise FansFailed(f"an answer without length: {lines[0]}")
    body = await reader.readexactly(length)
    if lines[0].split()[1] != "200":
        raise FansFailed(f"{lines[0]}: {body[:200].decode(errors='replace')}")
    document: dict[str, object] = json.loads(body)
    return document
