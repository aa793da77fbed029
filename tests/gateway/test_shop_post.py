"""The shop's post: channels follow from the settings' file, links lead to the site, and a moving event is nowhere."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics
from checkout.notifications.message import Kind, Message
from gateway.settings import load
from gateway.shop_parts import ShopParts
from gateway.shop_post import ShopLinks, notification_settings, post_of
from kernel.errors import Misconfigured


def settings_of(folder: Path, text: str | None) -> Any:
    """Make settings that name a file of this text, or none."""
    given = {"WAITROOM_DATA": str(folder), "WAITROOM_STORE_URL": "redis://127.0.0.1:1"}
    if text is not None:
        path = folder / "post.toml"
        path.write_text(text)
        given["WAITROOM_NOTIFICATIONS"] = str(path)
    return load(given)


async def names_of(folder: Path, text: str | None) -> list[str]:
    """Return the names of the channels."""
    settings = settings_of(folder, text)
    parts = ShopParts(settings)
    relay = post_of(settings, parts, Metrics(CollectorRegistry()))
    names = [channel.name for channel in relay._channels]
    await relay.close()
    await parts.close()
    return names


async def test_channels_follow_from_the_file(tmp_path: Path) -> None:
    """None without one; a secret may stand in a file of its own."""
    (tmp_path / "secret").write_text("whsec_" + "QUJD" * 8 + "\n")
    text = f"""
        mail_host = "127.0.0.1"
        mail_from = "Aurora Hall <tickets@aurora.example>"
        webhook_urls = ["https://a.example/hook", "http://127.0.0.1:9/hook"]
        webhook_secret_file = "{tmp_path}/secret"
    """

    assert await names_of(tmp_path, None) == []
    assert await names_of(tmp_path, text) == ["mail", "webhook.1", "webhook.2"]


async def test_the_demo_keeps_its_mails_as_files(tmp_path: Path) -> None:
    """In its own folder, unless somebody names a file of settings; no other shop does."""
    given = {"WAITROOM_DATA": str(tmp_path), "WAITROOM_STORE_URL": "redis://127.0.0.1:1"}
    settings = load({**given, "WAITROOM_SHOP_DEMO": "true"})
    parts = ShopParts(settings)
    relay = post_of(settings, parts, Metrics(CollectorRegistry()))
    names = [channel.name for channel in relay._channels]
    await relay.close()
    await parts.close()

    assert names == ["mail"]
    assert settings.mail_folder == tmp_path / "mails"
    assert await names_of(tmp_path, None) == []


@pytest.mark.parametrize(
    "text",
    [
        'mail_host = "x"\nmail_from = "nobody"',
        'mail_hots = "x"',
        "=",
        'webhook_urls = ["ftp://x.example"]',
        'mail_folder = "/tmp/x"',
        'mail_folder = "/tmp/x"\nmail_host = "x"\nmail_from = "a@x.example"',
    ],
    ids=["no-address", "misspelt", "no-toml", "no-https", "no-sender", "both"],
)
async def test_a_file_that_cannot_be_ends_the_start(text: str, tmp_path: Path) -> None:
    """With a sentence, before anything is sent."""
    with pytest.raises(Misconfigured):
        await names_of(tmp_path, text)


def test_a_file_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    """Nobody believes that mails go out."""
    with pytest.raises(Misconfigured, match="WAITROOM_NOTIFICATIONS"):
        notification_settings(tmp_path / "nowhere.toml")


def test_links_lead_to_the_order_or_to_where_seats_are_kept() -> None:
    """Pages of the site, as people type it."""
    links = ShopLinks("https://tickets.example/")
    paid = Message("m", "summer", Kind.ORDER_PAID, "O1", 0)
    offer = Message("m", "summer", Kind.WAITLIST_OFFER, "waitlist:7", 0)

    assert links.of(paid) == "https://tickets.example/events/summer/order/O1"
    assert links.of(offer) == "https://tickets.example/events/summer/waitlist"


def test_a_shop_that_sends_nothing_waits_for_no_client() -> None:
    """What asks others over HTTP or SMTP is imported only where it is set."""
    code = "import sys, gateway.shop; print({'aiohttp', 'aiosmtplib'} & set(sys.modules))"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "set()"
