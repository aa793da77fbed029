"""Buyers: some people who are let in, reserve seats in the demo's shop and all press *pay* at once.

They are there so that something is asked of the bank; what each hears is told, and judged nowhere. Not here: a crowd
whose every answer is checked (``gateway.crowd``).
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

from bench.servers import ServerFailed

EVENT = "/api/events/northern-lights"
OWN = {"sec-fetch-site": "same-origin"}
ANSWER_S = 120.0
"""Longer than a try to pay waits for a bank that says nothing."""

LET_IN_S = 60.0
CARD = "pm_card_visa"


class Buyer:
    """Somebody with a reservation who has not paid yet."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        """Go through the gate and reserve. Raises ``ServerFailed`` and what httpx does."""
        self._client = client
        self._name = name
        self._let_in()
        hold = self._told("/holds", {"best": {"count": 1}}, key=f"hold-{name}")["hold"]
        reservation = self._told(f"/holds/{hold}/reserve")["reservation"]
        self.order: str = self._told(f"/reservations/{reservation}/order")["order"]

    def pay(self) -> int:
        """Press *pay*; return the answer's status."""
        return self._client.post(
            f"{EVENT}/orders/{self.order}/pay",
            json={"method": CARD},
            headers={"idempotency-key": f"pay-{self._name}"},
        ).status_code

    def _let_in(self) -> None:
        self._client.get("/.waitroom/r/main/status").raise_for_status()
        self._client.post("/.waitroom/r/main/join").raise_for_status()
        until_s = time.monotonic() + LET_IN_S
        while time.monotonic() < until_s:
            claim = (
                self._client.post("/.waitroom/r/main/claim", json={"target": "/"}).raise_for_status().json()
            )
            if claim["outcome"] == "admitted":
                return
            time.sleep(min(claim.get("retry_after_ms") or 250, 500) / 1000)
        raise ServerFailed(f"buyer {self._name} was not let in within {LET_IN_S:.0f} s")

    def _told(self, path: str, plain: object = None, key: str = "") -> dict[str, Any]:
        headers = {"idempotency-key": key} if key else {}
        found: dict[str, Any] = (
            self._client.post(EVENT + path, json=plain, headers=headers).raise_for_status().json()
        )
        return found


@contextmanager
def buyers(url: str, count: int) -> Iterator[list[Buyer]]:
    """Give people who may pay, as long as the block lasts."""
    with ExitStack() as stack:
        yield [
            Buyer(stack.enter_context(httpx.Client(base_url=url, timeout=ANSWER_S, headers=OWN)), str(number))
            for number in range(count)
        ]


@contextmanager
def paying(people: list[Buyer]) -> Iterator[Callable[[], None]]:
    """Give what makes all pay at once; the block's end waits until each has an answer."""
    with ThreadPoolExecutor(len(people)) as pool:

        def pay() -> None:
            for one in people:
                pool.submit(one.pay)

        yield pay
