"""Paying through the second provider, on real processes: gate, shop, store, SQL, and the sandbox of Adyen's shape.

One buyer with forms and links, as a browser without scripts has them: a decline, a bank that asks and is refused, one
that asks and agrees, paid when the notices have come, given back in part. Then the shop's own checker compares its
books with the sandbox's. Not here: what the adapter does of all that can go wrong (``tests/checkout``).
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.adyen import HOOK
from tests.process.test_demo import PAGE, START_S, Demo, demo, let_in, wait_until

pytestmark = pytest.mark.process

EVENT = "northern-lights"
ENVIRON = {"WAITROOM_PAYMENTS": "adyen-sandbox"}
PAID = "Paid. The seats are yours"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the demo with the other sandbox."""
    with demo(tmp_path_factory.mktemp("adyen"), environ=ENVIRON) as shared:
        yield shared


@pytest.fixture
def fan(running: Demo) -> Iterator[httpx.Client]:
    """Let a fan in."""
    with httpx.Client(base_url=running.site, timeout=START_S, follow_redirects=True, headers=PAGE) as one:
        let_in(one)
        yield one


def head(page: httpx.Response) -> str:
    """Give a page's headline."""
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page.text, re.DOTALL)
    assert found is not None, page.text
    return unescape(found[1]).strip()


def ordered(fan: httpx.Client) -> httpx.Response:
    """Hold two seats, take them to pay; gives the order's page."""
    held = fan.post(f"/events/{EVENT}/hold", data={"key": "one", "count": "2", "tier": ""})
    for act in ("reserve", "order"):
        form = re.search(rf'action="([^"]+/{act})"', held.text)
        assert form is not None, held.text
        held = fan.post(form[1], data={"key": "x"})
    return held


def pay(fan: httpx.Client, page: httpx.Response, method: str) -> httpx.Response:
    """Choose an outcome that the page offers, and pay."""
    key = re.search(r'name="key" value="([^"]+)"', page.text)
    assert key is not None, page.text
    assert f'value="{method}"' in page.text
    return fan.post(f"{urlsplit(str(page.url)).path}/pay", data={"key": key[1], "method": method})


def answer(fan: httpx.Client, page: httpx.Response, decision: str) -> tuple[httpx.Response, str]:
    """Answer on the bank's page; gives the page of the shop that the buyer is brought to, and by which address."""
    link = re.search(r'href="(http://[^"]+/redirect/[^"]+)"', page.text)
    assert link is not None, page.text
    bank = unescape(link[1])
    with httpx.Client(timeout=START_S) as outside:
        token = re.search(r'name="token" value="([^"]+)"', outside.get(bank).text)
        assert token is not None
        back = outside.post(bank, data={"token": token[1], "answer": decision}).headers["location"]
    return fan.get(back), back


def test_a_decline_a_refusal_and_a_bank_that_agrees(fan: httpx.Client, running: Demo) -> None:
    """Three tries of one order; the third pays, when the notices have come."""
    page = ordered(fan)
    order = urlsplit(str(page.url)).path
    declined = pay(fan, page, "scheme:not-enough-balance")
    asked = pay(fan, declined, "scheme:asks")
    refused, back = answer(fan, asked, "refuse")
    again = pay(fan, refused, "scheme:asks")
    agreed, _ = answer(fan, again, "approve")
    said: list[str] = []

    def is_paid() -> bool:
        said.append(head(fan.get(order)))
        return said[-1] == PAID

    wait_until(f"it is paid, but {said}", is_paid, START_S)

    assert "There is not enough money on this card" in declined.text
    assert (head(asked), head(again)) == ("Your bank has a question",) * 2
    assert back.startswith(f"{running.site}{HOOK}?ref=")
    assert urlsplit(str(refused.url)).path == urlsplit(str(agreed.url)).path == order
    assert "could not confirm that it is you" in refused.text
    assert head(agreed) in {"Your payment is being made", PAID}


def test_money_goes_back_and_the_books_agree(fan: httpx.Client, running: Demo) -> None:
    """A part by the organiser's API, done when its notice has come; then the checker with the sandbox's ledger."""
    token = (running.data / "organiser-token").read_text().strip()
    address = re.search(r"(http://\S+)/organiser/", running.welcome)
    sandbox = re.search(r"sandbox.*(http://127\.0\.0\.1:\d+)", running.welcome)
    assert address is not None
    assert sandbox is not None
    page = ordered(fan)
    order = urlsplit(str(page.url)).path
    pay(fan, page, "scheme:authorised")
    wait_until("it is paid", lambda: head(fan.get(order)) == PAID, START_S)
    known = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{address[1]}/organiser/api", headers=known, timeout=START_S) as desk:
        path = f"/events/{EVENT}/orders/{order.rpartition('/')[2]}"
        wanted = desk.post(
            f"{path}/refunds", json={"amount_minor": 500, "reason": "a song too few"},
            headers={"idempotency-key": "r1"},
        )  # fmt: skip

        def is_done() -> bool:
            return [one["state"] for one in desk.get(path).json()["refunds"]] == ["done"]

        wait_until("the money is back", is_done, START_S)
        told = desk.get(path).json()
    checked = subprocess.run(
        [sys.executable, "-m", "gateway", "shop", "check", EVENT, "--data", str(running.data), "--sandbox-url",
         sandbox[1], "--live"],
        capture_output=True, text=True, check=False, env={**_own_environ(), **ENVIRON},
    )  # fmt: skip

    assert wanted.status_code in {200, 201, 202}, wanted.text
    (tried,) = told["attempts"]
    assert (told["state"], tried["provider"], tried["refunded_minor"]) == ("paid", "adyen", 500)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _own_environ() -> dict[str, str]:
    """Give what stands around, without settings of whoever runs the tests."""
    return {name: text for name, text in os.environ.items() if not name.startswith("WAITROOM_")}
