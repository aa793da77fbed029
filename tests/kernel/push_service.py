"""A push service of our own, and browsers that subscribe at it: what they check and read is no code of ours.

Tokens are verified by PyJWT, messages are read by the words of RFC 8291 and RFC 8188.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HANGS = "hangs"
"""The browser for which the service never answers."""


def b64(octets: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def from_b64(text: str) -> bytes:
    """Read base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """Write a public key as 65 octets."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def derived(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """Derive by HKDF-SHA-256."""
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


@dataclass
class Browser:
    """One browser: it has what only it can read with."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    auth: bytes = b"0123456789abcdef"

    def subscription(self, endpoint: str) -> dict[str, Any]:
        """Give what ``PushSubscription.toJSON()`` does."""
        point = point_of(self.private.public_key())
        return {
            "endpoint": endpoint,
            "expirationTime": None,
            "keys": {"p256dh": b64(point), "auth": b64(self.auth)},
        }

    def read(self, body: bytes) -> bytes:
        """Read a message (RFC 8291, section 3.4; RFC 8188, section 2)."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, record = body[21 : 21 + length], body[21 + length :]
        assert length == 65
        assert len(record) <= size, "a push message is one record"
        shared = self.private.exchange(
            ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        )
        info = b"WebPush: info\0" + point_of(self.private.public_key()) + sender
        material = derived(self.auth, shared, info, 32)
        key = derived(salt, material, b"Content-Encoding: aes128gcm\0", 16)
        nonce = derived(salt, material, b"Content-Encoding: nonce\0", 12)
        plain = AESGCM(key).decrypt(nonce, record, b"").rstrip(b"\0")
        assert plain[-1] == 2, "the last record ends with a two"
        return plain[:-1]


@dataclass
class PushService:
    """The service. `answers` are its statuses in turn, then 201; `wrong` names what was not right with a request."""

    answers: list[int] = field(default_factory=list)
    retry_after: str = ""
    heard: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    """VAPID keys that subscriptions were made under; none: any."""
    now_s: int = 0
    url: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def endpoint(self, name: str = "one") -> str:
        """Give a browser's address at this service."""
        return f"{self.url}/push/{name}"

    async def hear(self, request: web.Request) -> web.Response:
        """Take a message in, after looking at all that a service looks at."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        fault = self.fault(headers, body)
        if fault:
            self.wrong.append(fault)
            return web.Response(status=403 if fault.startswith("vapid") else 400)
        self.heard.append((request.match_info["name"], headers, body))
        if request.match_info["name"] == HANGS:
            await self.over.wait()
        status = self.answers.pop(0) if self.answers else 201
        told = {"location": f"{self.url}/push/elsewhere"} if 200 <= status < 400 else {}
        if self.retry_after:
            told["retry-after"] = self.retry_after
        return web.Response(status=status, headers=told)

    def fault(self, headers: dict[str, str], body: bytes) -> str:
        """Name what is wrong with a request, or nothing."""
        if not headers.get("ttl", "").isdecimal():
            return "ttl"
        if headers.get("content-encoding") != "aes128gcm" or not 0 < len(body) <= 4096:
            return "body"
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        if scheme != "vapid" or set(parts) != {"t", "k"}:
            return "vapid: no header"
        if self.keys and parts["k"] not in self.keys:
            return "vapid: another key"
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_b64(parts["k"]))
            options: Any = {"require": ["aud", "exp", "sub"], "verify_exp": False}
            names = [self.url, self.url.replace("127.0.0.1", "localhost")]
            claims = jwt.decode(parts["t"], key, algorithms=["ES256"], audience=names, options=options)
        except (jwt.InvalidTokenError, ValueError) as error:
            return f"vapid: {type(error).__name__}"
        if not self.now_s < claims["exp"] <= self.now_s + 86_400:
            return "vapid: exp"
        if not claims["sub"].startswith(("mailto:", "https://")):
            return "vapid: sub"
        return ""


@asynccontextmanager
async def serving_push(now_s: int) -> AsyncIterator[PushService]:
    """Run the service for a while; `now_s` is its clock."""
    service = PushService(now_s=now_s)
    app = web.Application()
    app.router.add_post("/push/{name}", service.hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield service
    finally:
        service.over.set()
        await runner.cleanup()
