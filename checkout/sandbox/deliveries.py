"""Deliveries: webhooks, signed as Stripe signs them, at least once and in no order.

An event is safe when its receiver has answered 2xx within ``PATIENCE_S``. Until then it is sent again after each wait
of ``WAITS_S`` (about three days in all), signed anew each time, and then given up. Up to ``AT_ONCE`` are under way, and
none waits for another. When a wait is over is told by the clock that was handed in, looked at every ``TICK_S``.

``Stripe-Signature: t=<seconds>,v1=<HMAC-SHA256(secret, "<seconds>.<body>")>``. No secret, no signature and no body is
logged. FaultPlan (``faults``) send an event often, late or never. Not here: which events there are.
"""

import asyncio
import heapq
import hmac
import itertools
import logging
from collections.abc import Callable

import aiohttp

from checkout.sandbox.faults import WEBHOOK_KINDS, FaultKind, FaultPlan
from checkout.sandbox.records import Event
from kernel.clock import Clock
from kernel.connecting import connector
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
AT_ONCE = 32
TICK_S = 0.05
WAITS_S = (1, 2, 4, 8, 15, 30, 60, 300, 900, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 86_400)

Safe = Callable[[Event], None]


class Deliveries:
    """All webhooks of one receiver; without an address, none."""

    def __init__(self, url: str, secret: str, clock: Clock, faults: FaultPlan, when_safe: Safe) -> None:
        """`when_safe` hears of each event that has arrived."""
        self._url = url
        self._secret = secret.encode()
        self._clock = clock
        self._faults = faults
        self._when_safe = when_safe
        self._number = itertools.count()
        self._waiting: list[tuple[int, int, int, Event]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self.lost: list[str] = []
        self.given_up: list[str] = []
        self.sent = 0

    @property
    def waiting(self) -> int:
        """Tell how many deliveries wait or are under way."""
        return len(self._waiting) + len(self._under_way)

    def add(self, event: Event) -> None:
        """Deliver an event, soon."""
        if not self._url:
            return
        struck = self._faults.strike(WEBHOOK_KINDS, event.kind)
        if FaultKind.WEBHOOK_LOST in struck:
            self.lost.append(event.id)
            return
        late = struck.get(FaultKind.WEBHOOK_LATE)
        twice = struck.get(FaultKind.WEBHOOK_TWICE)
        due_ms = self._clock.now_ms() + (late.delay_ms if late else 0)
        for _ in range(twice.copies if twice else 1):
            self._wait(due_ms, 0, event)

    def signed(self, body: bytes) -> dict[str, str]:
        """Give the headers by which the receiver knows who has sent a body."""
        at_s = self._clock.now_ms() // 1000
        mac = hmac.new(self._secret, b"%d.%b" % (at_s, body), "sha256").hexdigest()
        return {"stripe-signature": f"t={at_s},v1={mac}"}

    async def deliver_now(self, event: Event) -> None:
        """Deliver an event before anything else happens; if that fails, later."""
        if not self._url:
            return
        await self._deliver(event, 0)

    async def run(self) -> None:
        """Deliver for ever."""
        try:
            while not is_ending():
                self._begin_what_is_due()
                self._woken.clear()
                try:
                    async with asyncio.timeout(TICK_S):
                        await self._woken.wait()
                except TimeoutError:
                    continue
        finally:
            for task in self._under_way:
                task.cancel()
            if self._under_way:
                await asyncio.wait(self._under_way)
            if self._session is not None:
                await self._session.close()
                self._session = None

    def _begin_what_is_due(self) -> None:
        now_ms = self._clock.now_ms()
        while self._waiting and self._waiting[0][0] <= now_ms and len(self._under_way) < AT_ONCE:
            _due_ms, _number, tries, event = heapq.heappop(self._waiting)
            task = asyncio.create_task(self._deliver(event, tries))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._woken.set()

    async def _deliver(self, event: Event, tries: int) -> None:
        body = event.body.encode()
        headers = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Waitroom-Sandbox/1.0",
            **self.signed(body),
        }
        status = await self._post(body, headers)
        self.sent += 1
        if 200 <= status < 300:
            self._when_safe(event)
            return
        log.info("sandbox: a webhook was not taken", extra={"type": event.kind, "status": status})
        if tries >= len(WAITS_S):
            self.given_up.append(event.id)
            return
        self._wait(self._clock.now_ms() + WAITS_S[tries] * 1000, tries + 1, event)

    async def _post(self, body: bytes, headers: dict[str, str]) -> int:
        """Send it; 0 for no answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(),
                timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0

    def _wait(self, due_ms: int, tries: int, event: Event) -> None:
        heapq.heappush(self._waiting, (due_ms, next(self._number), tries, event))
        self._woken.set()
