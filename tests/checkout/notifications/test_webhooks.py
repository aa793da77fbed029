"""Webhooks: signed as Standard Webhooks asks for, sent to where it was said and nowhere else."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from checkout.database import ShopDatabase
from checkout.notifications.webhooks import Webhook, body_of
from kernel import webhook_signing
from kernel.backoff import LONGEST_MS
from kernel.webhook_signing import signature
from tests.checkout.notifications.posting import NOW_MS, Scene

SECRET = bytes(range(32))
TOLERANCE_S = 300


@dataclass
class Receiver:
    """Whoever is told. `statuses` are its answers, in turn; then 204."""

    statuses: list[int] = field(default_factory=list)
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def hear(self, request: web.Request) -> web.Response:
        """Take a message in."""
        self.heard.append(
            ({name.lower(): value for name, value in request.headers.items()}, await request.read())
        )
        status = self.statuses.pop(0) if self.statuses else 204
        headers = {"location": f"{self.url}/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Listen for a while."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{name}", receiver.hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}"
    yield receiver
    await runner.cleanup()


def is_right(headers: dict[str, str], body: bytes, secret: bytes, now_s: int) -> bool:
    """Verify as a receiver does, by the words of Standard Webhooks and no code of ours."""
    id_, at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(now_s - int(at)) > TOLERANCE_S:
        return False
    told = b".".join((id_.encode(), at.encode(), body))
    mac = base64.b64encode(hmac.new(secret, told, hashlib.sha256).digest()).decode()
    return any(
        hmac.compare_digest(one.removeprefix("v1,"), mac)
        for one in headers["webhook-signature"].split(" ")
        if one.startswith("v1,")
    )


@pytest.fixture
def scene(shop_database: ShopDatabase) -> Scene:
    """Give an empty outbox."""
    return Scene(shop_database)


async def test_a_receiver_can_tell_who_told_it(scene: Scene) -> None:
    """The signature is of name, time and body; any other of the three is not ours."""
    scene.put("O1")
    async with receiving() as receiver:
        hook = Webhook(1, f"{receiver.url}/hook", SECRET, scene.clock)
        await scene.passed(scene.relay(hook), hook)
        await hook.close()
    ((headers, body),) = receiver.heard
    now_s = scene.clock.now_ms() // 1000

    assert is_right(headers, body, SECRET, now_s)
    assert not is_right(headers, body + b" ", SECRET, now_s)
    assert not is_right({**headers, "webhook-id": "order-paid.O2"}, body, SECRET, now_s)
    assert not is_right(headers, body, SECRET[::-1], now_s)
    assert not is_right(headers, body, SECRET, now_s + TOLERANCE_S + 1)
    assert json.loads(body) == {
        "type": "order-paid",
        "timestamp": "2027-01-15T08:00:00.000+00:00",
        "data": {
            "message": "order-paid.O1", "event": "summer", "subject": "O1", "amount_minor": 8400, "currency": "EUR",
        },
    }  # fmt: skip


def test_the_signature_is_the_published_one() -> None:
    """The example of the specification's own text, computed by its authors' library."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'

    told = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_without_the_time_a_message_could_be_told_again_for_ever(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: a signature of the body alone is that of every other time; a receiver refuses it."""
    monkeypatch.setattr(
        webhook_signing, "signature",
        lambda secret, _id, _now_s, body: "v1," + base64.b64encode(hmac.digest(secret, body, "sha256")).decode(),
    )  # fmt: skip
    scene.put("O1")
    async with receiving() as receiver:
        hook = Webhook(1, f"{receiver.url}/hook", SECRET, scene.clock)
        await scene.passed(scene.relay(hook), hook)
        await hook.close()
    ((headers, body),) = receiver.heard

    assert not is_right(headers, body, SECRET, scene.clock.now_ms() // 1000)


async def test_a_repeat_has_the_same_name_and_body_and_a_time_of_its_own(scene: Scene) -> None:
    """So a receiver knows it, and does not take it for an old one."""
    scene.put("O1")
    async with receiving() as receiver:
        receiver.statuses = [500]
        hook = Webhook(1, f"{receiver.url}/hook", SECRET, scene.clock)
        relay = scene.relay(hook)
        await scene.passed(relay, hook, 2, LONGEST_MS)
        await hook.close()
    (first, body), (second, again) = receiver.heard

    assert (first["webhook-id"], body) == (second["webhook-id"], again)
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == LONGEST_MS // 1000
    assert is_right(second, again, SECRET, NOW_MS // 1000 + LONGEST_MS // 1000)


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "sent"), (204, "sent"), (302, "waiting"), (307, "waiting"), (400, "waiting"), (410, "dead"),
     (429, "waiting"), (500, "waiting")],
)  # fmt: skip
async def test_what_is_answered_decides_what_follows(status: int, state: str, scene: Scene) -> None:
    """2xx is taken, 410 is for good; no redirection is followed."""
    scene.put("O1")
    async with receiving() as receiver:
        receiver.statuses = [status]
        hook = Webhook(1, f"{receiver.url}/hook", SECRET, scene.clock)
        await scene.passed(scene.relay(hook), hook)
        await hook.close()

    assert scene.states() == {state: 1}
    assert len(receiver.heard) == 1
    assert scene.counted({"waiting": "later"}.get(state, state), "webhook") == 1


async def test_nobody_there_is_another_time(scene: Scene) -> None:
    """A refused connection says nothing about the message."""
    scene.put("O1")
    async with receiving() as receiver:
        url = receiver.url
    hook = Webhook(1, f"{url}/hook", SECRET, scene.clock)
    await scene.passed(scene.relay(hook), hook)
    await hook.close()

    assert scene.states() == {"waiting": 1}
    assert scene.counted("away", "webhook") == 1


async def test_a_receiver_hears_only_of_what_it_wants(scene: Scene) -> None:
    """Kinds that are set; the others are skipped."""
    scene.put("O1")
    async with receiving() as receiver:
        hook = Webhook(1, f"{receiver.url}/hook", SECRET, scene.clock, kinds=("order-refunded",))
        await scene.passed(scene.relay(hook), hook)
        await hook.close()

    assert receiver.heard == []
    assert scene.states() == {"skipped": 1}


def test_a_body_names_no_person(scene: Scene) -> None:
    """Ids and facts; no address, no name."""
    assert b"@" not in body_of(scene.message("O1"))
