"""The fan's way in one piece, on the real demo: waiting page, admission, map, hold, 3-D Secure, ticket, mail, entrance.

What comes by mail is taken out of the mailbox of a real mail server, and what is held up to the door-keeper's camera is
the code on the paper that the mail had with it. With SCREENS=FOLDER pictures of each step are left there.
"""

import io
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import httpx
import pypdfium2
import pytest
import zxingcpp
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from playwright.sync_api import Browser, Page, expect

from bench.screenshots import CHROMIUM_ARGS
from tests.process.gates import picture
from tests.process.looking import PATIENCE_MS, chromium, complaints
from tests.process.test_demo import Demo, demo, wait_until
from tests.process.test_paying import EVENING, EVENT, answer, pay, until_paid
from tests.process.test_tickets import codes_on

pytestmark = [pytest.mark.process, pytest.mark.browser]

ADDRESS = "fan@aurora.example"
IN_MS = 60_000
LIVE = "() => document.getElementById('map')?.hall?.look.tally()"
KNOWS = "() => document.getElementById('as-of').textContent !== ''"
HOUR_MS = 3_600_000


class Mailbox:
    """Takes mails in, as a mail server's handler."""

    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail."""
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(message_from_bytes(content))
        return "250 OK"


@pytest.fixture(scope="module")
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    """Run a mail server; gives its mailbox and its port."""
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield box, port
    server.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, mailbox: tuple[Mailbox, int]) -> Iterator[Demo]:
    """Run the demo with that mail server."""
    folder = tmp_path_factory.mktemp("way")
    post = folder / "post.toml"
    post.write_text(
        f"""
        mail_host = "127.0.0.1"
        mail_port = {mailbox[1]}
        mail_tls = "none"
        mail_from = "Aurora Hall <tickets@aurora.example>"
        """
    )
    with demo(folder / "data", environ={"WAITROOM_NOTIFICATIONS": str(post)}) as shared:
        yield shared


def pictured(page: Page, name: str) -> None:
    """Leave a picture, if somebody wants one."""
    if folder := os.environ.get("SCREENS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def shop_of(running: Demo) -> str:
    """Give the address at which organisers reach the shop."""
    found = re.search(r"organiser's API.*(http://127\.0\.0\.1:\d+)/organiser/", running.welcome)
    assert found is not None
    return found[1]


def scanner_link(running: Demo, name: str) -> str:
    """Make a scanner at the organiser's desk; returns the path that its link leads to."""
    token = (running.data / "organiser-token").read_text().strip()
    made = httpx.post(
        f"{shop_of(running)}/organiser/api/events/{EVENT}/scanners",
        json={"name": name, "until_ms": time.time_ns() // 1_000_000 + HOUR_MS},
        headers={"authorization": f"Bearer {token}"},
        timeout=PATIENCE_MS / 1000,
    )
    made.raise_for_status()
    return f"/scan/{EVENT}#{made.json()['token']}"


def test_from_the_waiting_page_into_the_hall(  # noqa: PLR0915 (one way, step by step)
    browser: Browser, running: Demo, mailbox: tuple[Mailbox, int], tmp_path: Path
) -> None:
    """One fan, one order: each step leads to the next by what stands on its page, and the second scan is refused."""
    context = browser.new_context(
        locale="en-GB",
        reduced_motion="reduce",
        viewport={"width": 1200, "height": 900},
        device_scale_factor=2,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    seen: list[str] = []
    page.on("response", lambda response: seen.append(response.url.removeprefix(running.site)))

    # Waiting page and admission: who has none is shown the waiting room, which lets in by itself.
    page.goto(f"{running.site}{EVENING}/seats")
    page.wait_for_function(LIVE, timeout=IN_MS)
    assert any(url.startswith("/.waitroom/r/main/join") for url in seen)
    assert any(url.startswith("/.waitroom/r/main/claim") for url in seen)
    objections = complaints(page)

    # The map: the best two seats, held and reserved.
    page.click("#best-go")
    expect(page.locator(".hold .lines li")).to_have_count(2)
    pictured(page, "1-held")
    page.locator(".hold").get_by_role("button", name="Continue").click()
    page.wait_for_url("**/reservation/*")
    page.get_by_role("button", name="Go to pay").click()

    # Where the tickets go, and the payment: the bank asks.
    page.get_by_label("E-mail").fill(ADDRESS)
    page.locator("form[action$='/contact'] button").click()
    expect(page.locator("body")).to_contain_text("f•••@aurora.example")
    pictured(page, "2-to-pay")
    pay(page, "3-D Secure")
    answer(page, "Approve payment")
    until_paid(page)
    pictured(page, "3-paid")

    # The tickets on the screen.
    page.get_by_role("link", name="To your tickets").click()
    expect(page.locator("h1")).to_have_text("Your tickets")
    codes = codes_on(page)
    pictured(page, "4-tickets")
    assert len(set(codes)) == 2
    assert objections == []

    # The same by mail, on paper.
    box, _ = mailbox
    wait_until("the mail has come", lambda: bool(box.mails), 60)
    (mail,) = box.mails
    parts = {part.get_content_type(): part.get_payload(decode=True) for part in mail.walk()}
    printed = pypdfium2.PdfDocument(io.BytesIO(bytes(parts["application/pdf"])))  # type: ignore[arg-type]
    on_paper = [
        read.text for sheet in printed for read in zxingcpp.read_barcodes(sheet.render(scale=3).to_pil())
    ]
    assert mail["To"] == ADDRESS
    assert on_paper == codes
    assert page.url.removeprefix(running.site) in bytes(parts["text/plain"]).decode()  # type: ignore[arg-type]
    context.close()

    # The entrance: the paper before a camera, twice.
    film = picture(on_paper[0], tmp_path / "ticket.y4m")
    eyes = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    door = browser.browser_type.launch(
        executable_path=chromium(),
        args=[*CHROMIUM_ARGS, *eyes, f"--use-file-for-fake-video-capture={film}"],
    )
    keeper = door.new_context(locale="en-GB", reduced_motion="reduce", viewport={"width": 390, "height": 844})
    keeper.set_default_timeout(PATIENCE_MS)
    gate = keeper.new_page()
    gate.goto(running.site + scanner_link(running, "Gate A"))
    gate.wait_for_function(KNOWS)
    gate.click("#start")
    expect(gate.locator("#verdict-word")).to_have_text("Come in", timeout=PATIENCE_MS)
    pictured(gate, "5-in")
    other = door.new_context(locale="en-GB", reduced_motion="reduce", viewport={"width": 390, "height": 844})
    other.set_default_timeout(PATIENCE_MS)
    second = other.new_page()
    second.goto(running.site + scanner_link(running, "Gate B"))
    second.wait_for_function(KNOWS)
    second.click("#start")
    expect(second.locator("#verdict-word")).to_have_text("Used already", timeout=PATIENCE_MS)
    pictured(second, "6-used")
    door.close()


def test_who_was_let_in_is_known_afterwards(running: Demo) -> None:
    """The desk's figures: two sold, one in, one refused for a ticket that was used."""
    token = (running.data / "organiser-token").read_text().strip()
    entry = httpx.get(
        f"{shop_of(running)}/organiser/api/events/{EVENT}/entry",
        headers={"authorization": f"Bearer {token}"},
        timeout=PATIENCE_MS / 1000,
    ).json()

    assert (entry["sold"], entry["entered"], entry["refused"]) == (2, 1, {"used": 1}), json.dumps(entry)
