"""Messages in browsers, in the whole shop: who may have theirs told, of which order, and at which service."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics
from checkout.notifications.message import Kind, Message, Outcome, Send
from checkout.notifications.settings import NotificationSettings
from checkout.people.contacts import Contacts
from checkout.site.push_pages import SCOPE, WORKER
from checkout.tables import PUSH_DEVICES
from checkout.tickets.links import OPEN, Links
from checkout.tickets.ticket import ID_BYTES
from gateway.settings import Settings
from gateway.shop import ShopProcess
from gateway.shop_parts import ShopParts
from gateway.shop_people import JoinedPeople
from gateway.shop_post import ShopLinks, chosen
from gateway.shop_push import JoinedPush
from kernel.errors import Misconfigured
from kernel.vapid import VapidKeys
from tests.gateway.shopfront import PAGE, buyer_of
from tests.gateway.tillfront import Tillfront, till_front
from tests.kernel.push_service import Browser, PushService, serving_push

BUYER = {"x-buyer": "ann"}
LINKS = Links(b"s" * 32)
OWN = NotificationSettings(push_contact="mailto:tickets@aurora.example", push_local=True)
FCM = "https://fcm.googleapis.com/fcm/send/abc"


@dataclass
class Pushed:
    """A shop that has browsers told."""

    front: Tillfront
    page: httpx.AsyncClient
    push: JoinedPush

    @property
    def key(self) -> str:
        """The key that pages show."""
        return self.push.keys.newest.public

    def body(self, endpoint: str = FCM, browser: Browser | None = None) -> dict[str, Any]:
        """Write what a page's script sends."""
        return {"subscription": (browser or Browser()).subscription(endpoint), "key": self.key}

    async def post(self, path: str, plain: object, **headers: str) -> httpx.Response:
        """Ask as a page's script does."""
        return await self.page.post(path, json=plain, headers={**BUYER, **headers})

    def rows(self) -> list[Any]:
        """Read what is kept."""
        with self.front.shop.parts.database.reading() as connection:
            return list(connection.execute(sa.select(PUSH_DEVICES)))


@asynccontextmanager
async def pushed(store_url: str, folder: Path) -> AsyncIterator[Pushed]:
    """Open a shop with money, tickets' links, and messages in browsers."""
    joined: list[JoinedPush] = []

    def push_of(parts: ShopParts, people: JoinedPeople, metrics: Metrics) -> JoinedPush:
        joined.append(JoinedPush(OWN, folder, parts, people, LINKS, buyer_of, metrics))
        return joined[0]

    async with till_front(store_url, folder, push=push_of) as front, front.browser() as page:
        yield Pushed(front, page, joined[0])


async def test_a_buyer_has_a_browser_told_and_ends_it(store_url: str, tmp_path: Path) -> None:
    """On the order's page, in the page's language; nothing is kept in plain."""
    async with pushed(store_url, tmp_path) as own:
        order = await own.front.order(own.page, "ann", 0)
        path = f"{PAGE}/order/{order}"
        shown = (await own.page.get(path, headers=BUYER)).text
        kept = await own.post(f"{path}/push", own.body(), **{"accept-language": "de"})
        rows = own.rows()
        ended = await own.post(f"{path}/push/forget", {"endpoint": FCM})
        twice = await own.post(f"{path}/push/forget", {"endpoint": FCM})

        assert f'data-key="{own.key}"' in shown
        assert f'data-path="{path}/push"' in shown
        assert (kept.status_code, ended.status_code, twice.status_code) == (204, 204, 204)
        assert [(row.subject, row.language) for row in rows] == [(order, "de")]
        assert "googleapis" not in str(rows)
        assert own.rows() == []


async def test_nobody_has_an_order_of_somebody_else_told(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is answered as one that is not there; the mutant that asks nobody keeps it."""
    async with pushed(store_url, tmp_path) as own:
        order = await own.front.order(own.page, "ann", 0)
        path = f"{PAGE}/order/{order}/push"
        other = await own.post(path, own.body(), **{"x-buyer": "eve"})
        forget = await own.post(f"{path}/forget", {"endpoint": FCM}, **{"x-buyer": "eve"})
        nothing = await own.post(f"{PAGE}/order/O404/push", own.body())
        assert {(one.status_code, one.json()["code"]) for one in (other, forget, nothing)} == {
            (404, "order-unknown")
        }
        assert own.rows() == []

        async def owns(contacts: Contacts, event: str, buyer: str, order: str) -> bool:
            return True

        monkeypatch.setattr(Contacts, "owns", owns)
        await own.post(path, own.body(), **{"x-buyer": "eve"})
        assert len(own.rows()) == 1


async def test_a_page_of_another_site_has_nothing_told(store_url: str, tmp_path: Path) -> None:
    """Although the browser would send the cookie along."""
    async with pushed(store_url, tmp_path) as own:
        order = await own.front.order(own.page, "ann", 0)
        path = f"{PAGE}/order/{order}/push"
        answers = [
            await own.post(to, own.body(), **{"sec-fetch-site": "cross-site"})
            for to in (path, f"{path}/forget")
        ]

        assert {(one.status_code, one.json()["code"]) for one in answers} == {(403, "cross-site")}
        assert own.rows() == []


async def test_who_has_the_link_to_an_orders_tickets_has_it_told(store_url: str, tmp_path: Path) -> None:
    """Without an admission; not with another order's link, and not for a ticket that was given away."""
    async with pushed(store_url, tmp_path) as own:
        order = await own.front.order(own.page, "ann", 0)
        path = LINKS.tickets("summer", order)
        given = LINKS.tickets("summer", "a" * 2 * ID_BYTES)
        right = await own.page.post(f"{path}/push", json=own.body())
        wrong = await own.page.post(f"{path[:-1]}!/push", json=own.body())
        other = await own.page.post(f"{path.replace(order, 'O2')}/push", json=own.body())
        rows = own.rows()
        ended = await own.page.post(f"{path}/push/forget", json={"endpoint": FCM})

        assert (right.status_code, wrong.status_code, other.status_code) == (204, 404, 404)
        assert [row.subject for row in rows] == [order]
        assert (ended.status_code, own.rows()) == (204, [])
        assert (await own.page.post(f"{given}/push", json=own.body())).status_code == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key": "another"}, "push-subscription-invalid"),
        ({"key": None}, "push-subscription-invalid"),
        ({"more": 1}, "push-subscription-invalid"),
        ({"subscription": None}, "push-subscription-invalid"),
        ({"subscription": {"endpoint": FCM}}, "push-subscription-invalid"),
        ({"subscription": Browser().subscription("https://evil.example/x")}, "push-subscription-invalid"),
        ({"subscription": Browser().subscription("http://169.254.169.254/x")}, "push-subscription-invalid"),
        ({"subscription": Browser().subscription("http://10.0.0.1:6379/x")}, "push-subscription-invalid"),
        ({"subscription": Browser().subscription(FCM + "x" * 9000)}, "body-too-large"),
    ],
)
async def test_what_is_no_subscription_is_refused(
    change: dict[str, object], code: str, store_url: str, tmp_path: Path
) -> None:
    """With a problem, and nothing is kept."""
    async with pushed(store_url, tmp_path) as own:
        order = await own.front.order(own.page, "ann", 0)
        answer = await own.post(f"{PAGE}/order/{order}/push", own.body() | change)

        assert (answer.json()["code"], own.rows()) == (code, [])
        assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"{", "application/json", "body-not-json"),
        (b"[]", "application/json", "body-not-object"),
        (b"{}", "application/json", "push-subscription-invalid"),
        (b'{"endpoint": 7}', "application/json", "push-subscription-invalid"),
        (b'{"endpoint": "x", "more": 1}', "application/json", "push-subscription-invalid"),
        (json.dumps({"endpoint": "x" * 3000}).encode(), "application/json", "push-subscription-invalid"),
        (b"endpoint=x", "application/x-www-form-urlencoded", "content-type-unknown"),
    ],
)
async def test_what_cannot_be_forgotten_is_refused(
    content: bytes, kind: str, code: str, store_url: str, tmp_path: Path
) -> None:
    """Whatever somebody sends, the answer is a problem."""
    async with pushed(store_url, tmp_path) as own:
        order = await own.front.order(own.page, "ann", 0)
        answer = await own.page.post(
            f"{PAGE}/order/{order}/push/forget", content=content, headers={**BUYER, "content-type": kind}
        )

        assert answer.json()["code"] == code


async def test_a_subscription_under_an_older_key_still_counts(store_url: str, tmp_path: Path) -> None:
    """After a rotation pages show the new key, and take both; a dropped one is refused."""
    async with pushed(store_url, tmp_path) as own:
        order = await own.front.order(own.page, "ann", 0)
        path, old = f"{PAGE}/order/{order}", own.key
        made = own.push.keys.rotate(own.front.shop.parts.clock.now_ms()).public
        shown = (await own.page.get(path, headers=BUYER)).text
        under_old = await own.post(f"{path}/push", own.body() | {"key": old})
        own.push.keys.drop(old)
        dropped = await own.post(f"{path}/push", own.body() | {"key": old})

        assert f'data-key="{made}"' in shown
        assert f'data-keys="{old} {made}"' in shown
        assert (under_old.status_code, dropped.status_code) == (204, 400)


async def test_the_worker_needs_no_admission_and_stands_before_no_page(
    store_url: str, tmp_path: Path
) -> None:
    """It may be changed at any time, may load nothing, and its scope has no page in it."""
    async with pushed(store_url, tmp_path) as own:
        answer = await own.page.get(WORKER)
        inside = await own.page.get(SCOPE)

        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-security-policy"] == "default-src 'none'"
        assert inside.status_code == 404
        assert SCOPE.startswith(WORKER.rpartition("/")[0])
        assert WORKER.startswith(OPEN)


async def test_a_message_leads_to_the_page_and_says_nothing_of_the_person(
    store_url: str, tmp_path: Path
) -> None:
    """From the outbox to the screen: in the fan's language, for every kind, without amount or number."""
    async with pushed(store_url, tmp_path) as own, serving_push(0) as service:
        clock, browser = own.front.shop.parts.clock, Browser()
        service.now_s = clock.now_ms() // 1000
        order = await own.front.order(own.page, "ann", 0)
        await own.post(
            f"{PAGE}/order/{order}/push", own.body(service.endpoint(), browser), **{"accept-language": "de"}
        )
        channel = own.push.channel(ShopLinks("https://tickets.example", LINKS.tickets))
        facts = {"amount_minor": 8400, "currency": "EUR", "until_ms": clock.now_ms() + 60_000}
        results = [
            await channel.send(Send(Message(f"m.{kind}", "summer", kind, order, 0, facts), "push", 0, 0))
            for kind in Kind
        ]
        await channel.close()
        told = read(service, browser)

        assert {result.outcome for result in results} == {Outcome.SENT}
        assert service.wrong == []
        assert "Bezahlt" in told[0]["title"]
        assert told[0]["path"] == LINKS.tickets("summer", order)
        assert len({one["title"] for one in told}) == len(Kind)
        for one in told:
            words = one["title"] + one["body"]
            assert not [part for part in ("84", "€", "EUR", order, "{") if part in words]
            assert (one["lang"], one["dir"]) == ("de", "ltr")


def read(service: PushService, browser: Browser) -> list[dict[str, Any]]:
    """Read what a browser was sent."""
    return [json.loads(browser.read(body)) for _, _, body in service.heard]


async def test_what_is_kept_is_exported_and_erased_with_the_rest(store_url: str, tmp_path: Path) -> None:
    """By the buyer, under the same addresses as ever."""
    async with pushed(store_url, tmp_path) as own:
        order = await own.front.order(own.page, "ann", 0)
        await own.post(f"{PAGE}/order/{order}/push", own.body())
        path = f"/api/events/summer/orders/{order}/personal"
        told = await own.page.get(path, headers=BUYER)
        gone = await own.page.delete(path, headers=BUYER)

        assert [one["endpoint"] for one in told.json()["devices"]] == [FCM]
        assert gone.json()["erased"]["devices"] == 1
        assert own.rows() == []


def test_the_demo_has_browsers_told_and_another_shop_only_if_its_operator_says_so(
    store_url: str, tmp_path: Path
) -> None:
    """Whom services may write to is the switch; without it there is no key, no address and no channel."""
    asked = Settings(data=tmp_path, store_url=store_url, payments="sandbox", sandbox_port=1)
    assert chosen(Settings(data=tmp_path, shop_demo=True)).push_contact is not None
    assert chosen(asked).push_contact is None

    process = ShopProcess(asked, Metrics(CollectorRegistry()))
    assert not (tmp_path / "push-keys.json").exists()
    assert process._post is not None
    assert "push" not in process._post._names
    post = tmp_path / "post.toml"
    post.write_text('push_contact = "mailto:tickets@aurora.example"\n')
    told = Settings(
        data=tmp_path, store_url=store_url, payments="sandbox", sandbox_port=1, notifications=post
    )
    process = ShopProcess(told, Metrics(CollectorRegistry()))
    assert process._post is not None
    assert "push" in process._post._names
    assert len(VapidKeys.open_keys(tmp_path / "push-keys.json", 0).keys) == 1


@pytest.mark.parametrize(
    "text",
    [
        'push_contact = "tickets@aurora.example"',
        'push_hosts = ["*"]',
        'push_hosts = ["https://push.example"]',
        "push_patience_s = 0",
    ],
)
def test_settings_that_cannot_be_end_the_start(text: str, tmp_path: Path) -> None:
    """With a sentence."""
    post = tmp_path / "post.toml"
    post.write_text(text)
    with pytest.raises(Misconfigured, match="push_"):
        chosen(Settings(data=tmp_path, notifications=post))


def test_a_shop_that_has_sent_nothing_has_loaded_no_client() -> None:
    """What encrypts and asks services is imported with the first message."""
    clients = "{'requests', 'pywebpush', 'py_vapid', 'aiohttp'}"
    code = f"import sys, gateway.shop, checkout.notifications.push; print({clients} & set(sys.modules))"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "set()"
