"""Sandbox: the provider as one ASGI application, with its background.

A call goes this way: key of the account, faults that come before, idempotency key, wait, execution (which is never
interrupted: nothing in it waits), the file, the webhooks, faults that come after, answer. Whatever time brings is done
before each call and every ``TICK_S``.

``/v1/…`` is Stripe's API, ``/3ds/…`` the bank's page, ``/v3/`` and ``/fields`` the card fields, ``/_sandbox/…`` the
control. Nothing secret is logged: no key, no body. Run it in one process: what it knows is in its memory.
Not here: how it is served (``serving``).
"""

import asyncio
import itertools
import logging
import secrets
from base64 import b64decode
from collections.abc import Callable, Mapping
from hmac import compare_digest
from pathlib import Path

from checkout.sandbox import fields, secure_page
from checkout.sandbox.answers import Answer, ApiError, json_answer
from checkout.sandbox.api import Api
from checkout.sandbox.book import Book
from checkout.sandbox.control import PREFIX, Control
from checkout.sandbox.deliveries import TICK_S, Deliveries
from checkout.sandbox.faults import REQUEST_KINDS, Fault, FaultKind, FaultPlan
from checkout.sandbox.forms import Tree, read_form
from checkout.sandbox.intents import Intents
from checkout.sandbox.journal import Journal
from checkout.sandbox.keys import Keys
from checkout.sandbox.records import API_VERSION, Event
from checkout.sandbox.returns import Returns
from checkout.sandbox.serving import break_off
from checkout.sandbox.words import spoken
from kernel.asgi import Receive, Scope, Send, header, read_body, respond
from kernel.clock import Clock, SystemClock
from kernel.errors import Refused
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

BODY_MOST_BYTES = 65_536
SLOW_MS = 3_000
RETRY_AFTER_S = 1
PAGES = "/3ds/"
DECISIONS = frozenset({"approve", "refuse"})

_JSON = (b"content-type", b"application/json")
_NEVER_STORED = (b"cache-control", b"no-store")
_VERSION = (b"stripe-version", API_VERSION.encode())
Execute = Callable[[int], Answer]


class Sandbox:
    """One account of a provider that moves no money."""

    def __init__(
        self,
        secret_key: str,
        *,
        webhook_url: str = "",
        webhook_secret: str = "",
        clock: Clock | None = None,
        path: Path | None = None,
        pages_url: str = "",
        slow_ms: int = SLOW_MS,
        publishable_key: str = "",
    ) -> None:
        """`path`: the file that outlives a restart; `pages_url`: where browsers find this, else as the API was asked.

        `publishable_key`: with it the card fields open; without one they do not.

        Raises ``ValueError`` for a webhook without a secret, or no secret key.
        """
        if not secret_key or (webhook_url and not webhook_secret):
            raise ValueError(
                "the sandbox needs a secret key, and a secret for webhooks where there is an address"
            )
        self._secret_key = secret_key.encode()
        self._publishable_key = publishable_key
        self._clock = clock or SystemClock()
        self._has_receiver = bool(webhook_url)
        self._pages_url = pages_url.rstrip("/")
        self._book = Book()
        self._keys = Keys()
        self._journal = Journal(path)
        self._faults = FaultPlan()
        self._deliveries = Deliveries(webhook_url, webhook_secret, self._clock, self._faults, self._safe)
        returns = Returns(self._book, slow_ms)
        self._intents = Intents(self._book, slow_ms, returns.taken)
        self._api = Api(self._book, self._intents, returns)
        self._control = Control(self._book, self._intents, returns, self._faults, self._deliveries)
        self._numbers = itertools.count(1)
        self._run_id = secrets.token_hex(4)
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return "Sandbox()"

    def start(self) -> None:
        """Read the file, and begin the background in the running loop. Raises ``Misconfigured``."""
        self._journal.open(self._book, self._keys)
        for event in self._book.events.values():
            if not event.is_safe:
                self._deliveries.add(event)
        self._tasks = [asyncio.create_task(self._deliveries.run()), asyncio.create_task(self._ticks())]

    async def stop(self) -> None:
        """End the background and close the file."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []
        self._journal.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path.startswith(PAGES):
            await self._page(scope, receive, send, path.removeprefix(PAGES))
            return
        if path in fields.PATHS and scope["method"] in {"GET", "HEAD"}:
            liked = header(scope, b"accept-language")
            status, head, page = fields.answer(path, scope["query_string"], self._publishable_key, liked)
            await respond(send, status, head, page)
            return
        number = b"req_%s%08x" % (self._run_id.encode(), next(self._numbers))
        answer: Answer | None
        try:
            self._check_key(scope)
            body = await read_body(receive, BODY_MOST_BYTES)
            if path.startswith(PREFIX):
                answer = self._controlled(scope, path, body)
            else:
                answer = await self._called(scope, receive, send, path, body)
        except ApiError as error:
            answer = error.answer()
        except Refused as error:
            answer = ApiError(error.status, error.public).answer()
        if answer is not None:
            headers = (_JSON, _NEVER_STORED, _VERSION, (b"request-id", number), *answer.headers)
            await respond(send, answer.status, headers, answer.body)

    async def _called(
        self, scope: Scope, receive: Receive, send: Send, path: str, body: bytes
    ) -> Answer | None:
        """Answer a call of the API; None if the connection was broken off instead."""
        method = scope["method"]
        struck = self._faults.strike(REQUEST_KINDS, f"{method} {path}")
        if FaultKind.DROP_REQUEST in struck:
            await break_off(scope, receive, send)
            return None
        if FaultKind.ERROR_BEFORE in struck:
            return _failed()
        if FaultKind.TOO_MANY in struck:
            return _too_many()
        handler, ident = self._api.find(method, path)
        key = (header(scope, b"idempotency-key") or b"").decode("latin-1") if method == "POST" else ""
        answer = self._keys.take(key, f"{method} {path}", body, self._now_ms()) if key else None
        if answer is None:
            pages = self._pages_url or own_address(scope)

            def execute(now_ms: int) -> Answer:
                return self._api.call(handler, ident, _tree(scope, body), pages, now_ms)

            answer = await self._first(execute, key, struck)
        if FaultKind.DELAY_ANSWER in struck:
            await asyncio.sleep(struck[FaultKind.DELAY_ANSWER].delay_ms / 1000)
        if FaultKind.DROP_ANSWER in struck:
            await break_off(scope, receive, send)
            return None
        return answer

    async def _first(self, execute: Execute, key: str, struck: Mapping[FaultKind, Fault]) -> Answer:
        """Execute a call that was not executed before."""
        if FaultKind.DELAY in struck:
            try:
                await asyncio.sleep(struck[FaultKind.DELAY].delay_ms / 1000)
            except BaseException:
                if key:
                    self._keys.end(key, None, self._now_ms())
                raise
        answer, told = self._executed(execute, key, fails=FaultKind.ERROR_AFTER in struck)
        if FaultKind.WEBHOOK_FIRST in struck:
            await asyncio.gather(*map(self._deliveries.deliver_now, told))
        else:
            self._deliver(told)
        return answer

    def _executed(
        self, execute: Execute, key: str = "", *, fails: bool = False
    ) -> tuple[Answer, list[Event]]:
        """Do something as a whole; returns the answer, and what is to be told. `fails`: say that it failed."""
        now_ms = self._now_ms()
        has_begun = True
        try:
            self._api.pass_time(now_ms)
            answer = execute(now_ms)
        except ApiError as error:
            answer, has_begun = error.answer(), error.is_saved
        except Exception:
            log.exception("sandbox: a call failed")
            answer = _failed()
        if fails and has_begun:
            answer = _failed()
        saved = self._keys.end(key, answer if has_begun else None, now_ms) if key else None
        changed, told = self._book.taken()
        if not self._has_receiver:
            for event in told:
                event.is_safe = True
        if changed or told or saved:
            self._journal.write(changed, told, saved)
        return answer, told

    def _controlled(self, scope: Scope, path: str, body: bytes) -> Answer:
        """Answer the control."""
        answer, told = self._executed(
            lambda now_ms: self._control.call(scope["method"], path, scope["query_string"], body, now_ms)
        )
        self._deliver(told)
        return answer

    async def _page(self, scope: Scope, receive: Receive, send: Send, ident: str) -> None:
        """Serve the page of the bank."""
        _answer, told = self._executed(lambda _now_ms: json_answer({}))
        self._deliver(told)
        intent = self._book.intents.get(ident)
        headers, words = secure_page.headers(intent), spoken(header(scope, b"accept-language"))
        if scope["method"] not in {"GET", "POST"}:
            await respond(
                send, 405, [*headers, (b"allow", b"GET, POST")], secure_page.nothing_to_do("", words)
            )
            return
        if intent is None or intent.status != "requires_action" or not intent.return_url:
            back = secure_page.return_address(intent) if intent is not None and intent.return_url else ""
            status = 404 if intent is None else 409
            await respond(send, status, headers, secure_page.nothing_to_do(back, words))
            return
        if scope["method"] == "GET":
            await respond(send, 200, headers, secure_page.question(intent, words))
            return
        try:
            form = read_form(await read_body(receive, BODY_MOST_BYTES))
        except (ApiError, Refused):
            form = {}
        token, decision = str(form.get("token", "")), form.get("answer")
        if not compare_digest(token.encode(), intent.challenge.encode()) or decision not in DECISIONS:
            await respond(send, 403, headers, secure_page.question(intent, words))
            return

        def decide(now_ms: int) -> Answer:
            self._intents.decide(intent, is_approved=decision == "approve", now_ms=now_ms)
            return json_answer({})

        _answer, told = self._executed(decide)
        self._deliver(told)
        await respond(send, 303, [*headers, (b"location", secure_page.return_address(intent).encode())], b"")

    def _check_key(self, scope: Scope) -> None:
        """Let pass who has the secret key. Raises ``ApiError``."""
        scheme, _, given = (header(scope, b"authorization") or b"").partition(b" ")
        if scheme.lower() == b"basic":
            try:
                given = b64decode(given, validate=True).partition(b":")[0]
            except ValueError:
                given = b""
        elif scheme.lower() != b"bearer":
            raise ApiError(401, "You did not provide an API key.")
        if not compare_digest(given.strip(), self._secret_key):
            raise ApiError(401, "Invalid API Key provided.")

    def _now_ms(self) -> int:
        return self._book.now(self._clock.now_ms())

    def _deliver(self, told: list[Event]) -> None:
        for event in told:
            self._deliveries.add(event)

    def _safe(self, event: Event) -> None:
        event.is_safe = True
        self._journal.delivered(event.id)

    async def _ticks(self) -> None:
        while not is_ending():
            if self._book.has_due(self._now_ms()):
                _answer, told = self._executed(lambda _now_ms: json_answer({}))
                self._deliver(told)
            await asyncio.sleep(TICK_S)


def _tree(scope: Scope, body: bytes) -> Tree:
    """Read the parameters: of the body, or of a GET the query."""
    if scope["method"] != "POST":
        return read_form(scope["query_string"])
    kind = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if body and kind != b"application/x-www-form-urlencoded":
        raise ApiError(400, "Send application/x-www-form-urlencoded.")
    return read_form(body)


def own_address(scope: Scope) -> str:
    """Give the address under which the API was asked."""
    host = (header(scope, b"host") or b"localhost").decode("latin-1")
    return f"{scope.get('scheme', 'http')}://{host}"


def _failed() -> Answer:
    answer = ApiError(500, "Something went wrong on the provider's end.", kind="api_error").answer()
    # Whoever asks again under the same key hears the same.
    return Answer(answer.status, answer.body, ((b"stripe-should-retry", b"false"),))


def _too_many() -> Answer:
    answer = ApiError(429, "Too many requests hit the API too quickly.", code="rate_limit").answer()
    return Answer(answer.status, answer.body, ((b"retry-after", b"%d" % RETRY_AFTER_S),))
