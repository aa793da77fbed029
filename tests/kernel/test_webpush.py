"""Web Push: only its browser reads it, the service knows who sends, and nobody chooses where we send to."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import http_ece
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec

from kernel import webpush
from kernel.clock import ManualClock
from kernel.errors import Misconfigured, Refused
from kernel.vapid import VapidKeys
from kernel.webpush import (
    PLAIN_MOST,
    Answer,
    Outcome,
    Push,
    Pusher,
    PushHosts,
    Subscription,
    Urgency,
    is_contact,
    judged,
    read_subscription,
    stored_subscription,
    topic_of,
    wrong_hosts,
)
from tests.kernel.push_service import HANGS, Browser, PushService, from_b64, serving_push

NOW_MS = 1_800_000_000_000
CONTACT = "mailto:tickets@aurora.example"
LOOPBACK = PushHosts(loopback=True)
FCM = "https://fcm.googleapis.com/fcm/send/dxRk0:APA91bH"


@pytest.fixture
def keys(tmp_path: Path) -> VapidKeys:
    """Make a key."""
    return VapidKeys.open_keys(tmp_path / "push-keys.json", NOW_MS)


@dataclass
class Scene:
    """A push service, and what sends to it."""

    service: PushService
    keys: VapidKeys
    clock: ManualClock
    pusher: Pusher

    def subscribed(self, browser: Browser | None = None) -> Subscription:
        """Subscribe a browser at the service."""
        plain = (browser or Browser()).subscription(self.service.endpoint())
        return read_subscription(plain, self.keys.newest.public, LOOPBACK)


@asynccontextmanager
async def pushing(keys: VapidKeys, patience_s: float = 10.0) -> AsyncIterator[Scene]:
    """Run both for a while."""
    clock = ManualClock(NOW_MS)
    pusher = Pusher(keys, CONTACT, LOOPBACK, clock, patience_s=patience_s)
    async with serving_push(NOW_MS // 1000) as service:
        try:
            yield Scene(service, keys, clock, pusher)
        finally:
            await pusher.close()


# ------------------------------------------------------------------------------- what is sent


async def test_only_its_browser_can_read_a_message(keys: VapidKeys) -> None:
    """RFC 8291 by hand and ``http_ece`` read the same; another browser reads nothing."""
    async with pushing(keys) as scene:
        browser = Browser()

        answer = await scene.pusher.send(scene.subscribed(browser), Push(b"Tickets, here", 60))

        assert (answer.outcome, scene.service.wrong) == (Outcome.TAKEN, [])
        body = scene.service.heard[0][2]
        assert browser.read(body) == b"Tickets, here"
        assert (
            http_ece.decrypt(body, private_key=browser.private, auth_secret=browser.auth) == b"Tickets, here"
        )
        assert b"Tickets" not in body
        with pytest.raises(InvalidTag):
            Browser().read(body)


def test_the_browser_of_the_tests_reads_the_example_of_rfc_8291() -> None:
    """Appendix A: what is read with is right."""
    number = int.from_bytes(from_b64("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big")
    private = ec.derive_private_key(number, ec.SECP256R1())
    body = from_b64(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
        "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )

    plain = Browser(private, from_b64("BTBZMqHH6r4Tts7J_aSIgg")).read(body)

    assert plain == b"When I grow up, I want to be a watermelon"


async def test_a_service_is_told_how_long_how_urgent_and_what_replaces_it(keys: VapidKeys) -> None:
    """TTL, Urgency and Topic are the headers of RFC 8030; a name that is no topic is not sent."""
    async with pushing(keys) as scene:
        to = scene.subscribed()

        await scene.pusher.send(to, Push(b"x", 60, Urgency.HIGH, topic_of("order-paid.O1")))
        await scene.pusher.send(to, Push(b"x", -5, topic="no topic"))
        await scene.pusher.send(to, Push(b"x", 10**9))

        told = [headers for _, headers, _ in scene.service.heard]
        assert (told[0]["ttl"], told[0]["urgency"]) == ("60", "high")
        assert len(told[0]["topic"]) == 32
        assert "order" not in told[0]["topic"]
        assert (told[1]["ttl"], "topic" in told[1]) == ("0", False)
        assert told[2]["ttl"] == str(28 * 86_400)


async def test_a_token_is_made_anew_before_it_is_over(keys: VapidKeys) -> None:
    """The same for an hour, then another; also after a clock that was set back."""
    async with pushing(keys) as scene:
        to = scene.subscribed()
        for ms in (0, 3_599_999, 1, -7_200_000):
            scene.clock.advance(ms)
            scene.service.now_s = scene.clock.now_ms() // 1000
            await scene.pusher.send(to, Push(b"x", 60))

        tokens = [headers["authorization"] for _, headers, _ in scene.service.heard]

        assert scene.service.wrong == []
        assert tokens[0] == tokens[1]
        assert len(set(tokens)) == 3


async def test_a_subscription_is_signed_for_by_the_key_that_it_was_made_under(keys: VapidKeys) -> None:
    """Also after a rotation; once the key is dropped nothing reaches it, and nobody is asked."""
    async with pushing(keys) as scene:
        to = scene.subscribed()
        scene.service.keys = {to.key}
        keys.rotate(NOW_MS)

        after = await scene.pusher.send(to, Push(b"x", 60))
        keys.drop(to.key)
        dropped = await scene.pusher.send(to, Push(b"x", 60))

        assert (after.outcome, dropped) == (Outcome.TAKEN, Answer(Outcome.GONE, "key"))
        assert (len(scene.service.heard), scene.service.wrong) == (1, [])


async def test_mutant_a_message_without_a_right_token_is_not_taken(
    keys: VapidKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local service would see it: another audience, a token that is over, another key."""
    async with pushing(keys) as scene:
        to, right = scene.subscribed(), webpush.signed
        other = VapidKeys.open_keys(keys._path.with_name("other.json"), NOW_MS).newest
        scene.service.keys = {to.key}
        key, origin, now_s = keys.newest, to.origin, NOW_MS // 1000
        mutants = [
            right(key, "https://fcm.googleapis.com", CONTACT, now_s),
            right(key, origin, CONTACT, now_s - 13 * 3_600),
            right(key, origin, CONTACT, now_s + 13 * 3_600),
            right(other, origin, CONTACT, now_s),
            right(other, origin, CONTACT, now_s).split(",")[0] + f",k={key.public}",
            "vapid",
        ]

        for mutant in mutants:
            monkeypatch.setattr(webpush, "signed", lambda *_, token=mutant: token)
            scene.pusher._tokens.clear()
            assert (await scene.pusher.send(to, Push(b"x", 60))).outcome is Outcome.REFUSED

        assert scene.service.heard == []
        assert len(scene.service.wrong) == len(mutants)


# -------------------------------------------------------------------------- what comes of a try


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.TAKEN),
        (201, Outcome.TAKEN),
        (202, Outcome.TAKEN),
        (301, Outcome.REFUSED),
        (307, Outcome.REFUSED),
        (400, Outcome.REFUSED),
        (401, Outcome.REFUSED),
        (403, Outcome.REFUSED),
        (404, Outcome.GONE),
        (410, Outcome.GONE),
        (413, Outcome.TOO_LARGE),
        (429, Outcome.AGAIN),
        (500, Outcome.AGAIN),
        (503, Outcome.AGAIN),
    ],
)
async def test_what_a_service_answers_is_told_by_its_status_alone(
    keys: VapidKeys, status: int, outcome: Outcome
) -> None:
    """A redirection is not followed: it would carry the message to where nobody has allowed."""
    async with pushing(keys) as scene:
        scene.service.answers = [status]

        answer = await scene.pusher.send(scene.subscribed(), Push(b"x", 60))

        assert (answer.outcome, answer.why) == (outcome, str(status))
        assert len(scene.service.heard) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("999999999", 86_400),
        ("99999999999999999999", None),
        ("soon", None),
        ("-1", None),
        (None, None),
        (format_datetime(datetime.fromtimestamp(NOW_MS / 1000 + 90, UTC), usegmt=True), 90),
        (format_datetime(datetime.fromtimestamp(NOW_MS / 1000 - 90, UTC), usegmt=True), 0),
        ("Fri, 15 Jan 2027 08:01:30 -0000", 90),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: int | None) -> None:
    """What is neither says nothing; nobody is sent away for more than a day."""
    assert judged(429, header, NOW_MS) == Answer(Outcome.AGAIN, "429", seconds)


async def test_retry_after_of_a_real_answer_is_read(keys: VapidKeys) -> None:
    """Of one that is busy; of one that has taken it nobody asks."""
    async with pushing(keys) as scene:
        scene.service.answers, scene.service.retry_after = [429, 201], "30"
        to = scene.subscribed()

        busy, taken = [await scene.pusher.send(to, Push(b"x", 60)) for _ in range(2)]

        assert (busy.retry_after_s, taken.retry_after_s) == (30, None)


async def test_a_service_that_does_not_answer_is_away(keys: VapidKeys) -> None:
    """In time, or at all; and the next message is sent as ever."""
    async with pushing(keys) as scene:
        to = scene.subscribed()
        slow = replace(to, endpoint=scene.service.endpoint(HANGS))
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        nobody = replace(to, endpoint=f"http://127.0.0.1:{port}/push/one")
        impatient = Pusher(keys, CONTACT, LOOPBACK, scene.clock, patience_s=0.2)

        late = await impatient.send(slow, Push(b"x", 60))
        none = await scene.pusher.send(nobody, Push(b"x", 60))
        next_ = await scene.pusher.send(to, Push(b"x", 60))
        await impatient.close()

        assert late == Answer(Outcome.AWAY, "no answer in time")
        assert (none.outcome, next_.outcome) == (Outcome.AWAY, Outcome.TAKEN)
        assert str(port) not in none.why


async def test_what_no_service_would_take_is_not_sent(keys: VapidKeys) -> None:
    """The largest that goes is 4096 octets on the wire."""
    async with pushing(keys) as scene:
        to = scene.subscribed()

        largest = await scene.pusher.send(to, Push(b"x" * PLAIN_MOST, 60))
        larger = await scene.pusher.send(to, Push(b"x" * (PLAIN_MOST + 1), 60))

        assert (largest.outcome, larger) == (Outcome.TAKEN, Answer(Outcome.TOO_LARGE, "plain"))
        assert [len(body) for _, _, body in scene.service.heard] == [4096]


async def test_a_host_that_is_no_longer_allowed_is_not_asked(keys: VapidKeys) -> None:
    """What was kept under other settings goes nowhere; the mutant that asks nobody reaches it."""
    async with pushing(keys) as scene:
        to = scene.subscribed()
        strict = Pusher(keys, CONTACT, PushHosts(), scene.clock)

        answer = await strict.send(to, Push(b"x", 60))
        assert (answer, scene.service.heard) == (Answer(Outcome.REFUSED, "host"), [])
        strict._hosts = LOOPBACK
        await strict.send(to, Push(b"x", 60))
        assert len(scene.service.heard) == 1
        await strict.close()


# -------------------------------------------------------------------------- what a browser gives


@pytest.mark.parametrize(
    "endpoint",
    [
        FCM,
        "https://fcm.googleapis.com:443/wp/a:b",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAAA",
        "https://db5p.notify.windows.com/w/?token=BQYAAAD%2fabc%3d",
        "https://web.push.apple.com/QGuQyavXutnMH",
        "https://eu.push.apple.com/QGuQyavXutnMH",
    ],
)
def test_the_services_of_known_browsers_are_allowed(endpoint: str) -> None:
    """All that people have today."""
    assert PushHosts().allow(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "fcm.googleapis.com/x",
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com",
        "https://fcm.googleapis.com/",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com./x",
        "https://FCM.googleapis.com/x",
        "https://xfcm.googleapis.com/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evil.example/fcm.googleapis.com/x",
        "https://fcm.googleapis.com@evil.example/x",
        "https://evil.example\\@fcm.googleapis.com/x",
        "https://evil.example#@fcm.googleapis.com/x",
        "https://evil.example?.push.apple.com/x",
        "https://evilpush.apple.com/x",
        "https://push.apple.com/x",
        "https://.push.apple.com/x",
        "https://notify.windows.com.evil.example/x",
        "https://fcm.googleapis.com/x y",
        "https://fcm.googleapis.com/x\n",
        "https://fcm.googleapis.com/x\r\nhost: evil",
        "https://fcm.googleapis.com/é",
        "https://fcm.googleapis.com/x#y",
        "https://ｆcm.googleapis.com/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://127.0.0.1/x",
        "http://127.0.0.1:8080/x",
        "http://localhost/x",
        "http://2130706433/x",
        "https://10.0.0.1/x",
        "file:///etc/passwd",
        "gopher://fcm.googleapis.com/x",
        "javascript:alert(1)",
        FCM + "x" * 2048,
    ],
)
def test_any_other_address_is_not_asked(endpoint: str) -> None:
    """This machine, the network behind it, and hosts that only look like a service."""
    assert not PushHosts().allow(endpoint)
    with pytest.raises(Refused) as told:
        read_subscription(Browser().subscription(endpoint), "k", PushHosts())
    assert told.value.code == "push-subscription-invalid"
    assert endpoint == "" or endpoint not in told.value.public


def test_settings_may_add_hosts_and_tests_this_machine() -> None:
    """A host, or all below one; nothing else of this machine than its loopback."""
    more = PushHosts(["push.aurora.example", "*.push.example"])
    assert more.allow("https://push.aurora.example/x")
    assert more.allow("https://a.b.push.example/x")
    assert not more.allow("https://push.example/x")
    assert LOOPBACK.allow("http://127.0.0.1:8080/x")
    assert not LOOPBACK.allow("http://127.0.0.1:0/x")
    assert not LOOPBACK.allow("http://127.0.0.1:65536/x")
    assert not LOOPBACK.allow("http://10.0.0.1/x")


def test_hosts_of_settings_that_are_none_are_named() -> None:
    """A star alone would open everything."""
    right = ["push.example", "*.push.example"]
    wrong = [
        "*",
        "*.com*",
        "*.",
        "com",
        "https://push.example",
        "push.example/x",
        "127.0.0.1",
        "PUSH.example",
        "",
    ]

    assert wrong_hosts([*right, *wrong]) == wrong


def right() -> dict[str, Any]:
    """Give a subscription that counts."""
    return Browser().subscription(FCM)


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": None},
        {"endpoint": 7},
        {"endpoint": [FCM]},
        {"keys": None},
        {"keys": {}},
        {"keys": "p256dh"},
        {"keys": {"p256dh": right()["keys"]["p256dh"]}},
        {"keys": {**right()["keys"], "more": "x"}},
        {"keys": {**right()["keys"], "auth": ""}},
        {"keys": {**right()["keys"], "auth": "AAAA"}},
        {"keys": {**right()["keys"], "auth": "A" * 1000}},
        {"keys": {**right()["keys"], "auth": right()["keys"]["auth"] + "=="}},
        {"keys": {**right()["keys"], "auth": 7}},
        {"keys": {**right()["keys"], "p256dh": None}},
        {"keys": {**right()["keys"], "p256dh": ""}},
        {"keys": {**right()["keys"], "p256dh": "A" * 87}},
        {"keys": {**right()["keys"], "p256dh": "B" + "A" * 86}},
        {"keys": {**right()["keys"], "p256dh": right()["keys"]["p256dh"][:-4]}},
        {"keys": {**right()["keys"], "p256dh": "+" + right()["keys"]["p256dh"][1:]}},
        {"keys": {**right()["keys"], "p256dh": "é" * 87}},
        {"expirationTime": "tomorrow"},
        {"expirationTime": True},
        {"more": 1},
    ],
)
def test_what_is_no_subscription_is_refused(change: dict[str, object]) -> None:
    """One code for all of them, and a sentence that repeats nothing of it."""
    with pytest.raises(Refused) as told:
        read_subscription(right() | change, "k", PushHosts())

    assert (told.value.code, told.value.status) == ("push-subscription-invalid", 400)


@pytest.mark.parametrize("plain", [None, [], "x", 7, {}, [right()]])
def test_what_is_no_object_is_no_subscription(plain: object) -> None:
    """Whatever JSON somebody sends."""
    with pytest.raises(Refused):
        read_subscription(plain, "k", PushHosts())


def test_a_subscription_is_kept_as_text_and_shows_in_no_log() -> None:
    """What is written is read again; its ``repr`` has nothing that pushes."""
    one = read_subscription(right() | {"expirationTime": 1.5}, "k", PushHosts())

    assert stored_subscription(one.text()) == one
    assert (one.host, one.origin) == ("fcm.googleapis.com", "https://fcm.googleapis.com")
    for secret in (one.endpoint, one.auth, one.p256dh):
        assert secret not in repr(one)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (CONTACT, True),
        ("https://aurora.example", True),
        ("tickets@aurora.example", False),
        ("mailto:tickets", False),
        ("mailto:a@b@aurora.example", False),
        ("https://aurora.example/help", False),
        ("http://aurora.example", False),
        ("", False),
    ],
)
def test_services_are_told_whom_to_write_to(
    keys: VapidKeys, clock: ManualClock, text: str, counts: bool
) -> None:
    """An address that services would refuse is told at the start."""
    assert is_contact(text) is counts
    if counts:
        Pusher(keys, text, PushHosts(), clock)
    else:
        with pytest.raises(Misconfigured):
            Pusher(keys, text, PushHosts(), clock)
