"""Web: the demo shop as a site of its own, an ASGI application that knows nothing of a waiting room.

It is what any site behind Waitroom is: it has pages, takes forms, streams a few events. Two things
it does like a site that *wants* to work with a waiting room: it reads who the visitor is from the
request headers that the gate adds, and when a visitor is done it says so with the response header
``Cf-Waiting-Room-Command: revoke``, which frees the place for the next. The guard that checks
admissions is put around it from outside. Not here: money.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import parse_qs, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from checkout.events import BY_SLUG, EVENTS, Event, evening
from checkout.stock import NotOnSale, SoldOut, Stock, Taken

STATIC = Path(__file__).with_name("static")
MAX_FORM_BYTES = 4096
LIVE_S = 1.0
REVOKE = {"Cf-Waiting-Room-Command": "revoke"}
NO_STORE = {"Cache-Control": "no-store"}


class Static(StaticFiles):
    """Files whose address carries their version, so that they are asked for once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Give a file that every cache may keep."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


class Shop:
    """The shop's pages over one stock; ``now_ms`` tells the time."""

    def __init__(self, now_ms: Callable[[], int], live_s: float = LIVE_S) -> None:
        self._now_ms = now_ms
        self._live_s = live_s
        self.stock = Stock(EVENTS)
        self._pages = Environment(
            loader=PackageLoader("checkout", "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        self._pages.filters["day"] = day
        files = {
            name: (STATIC / name).read_text(encoding="utf-8")
            for name in ("shop.css", "shop.js", "aurora.svg")
        }
        version = sha256("".join(files.values()).encode()).hexdigest()[:12]
        self._pages.globals |= {
            "style": files["shop.css"],
            "mark": files["aurora.svg"],
            "version": version,
            "standalone": False,
        }

    def app(self) -> Starlette:
        """Give the application."""
        return Starlette(
            routes=[
                Route("/", self.programme),
                Route("/events/{slug}", self.event),
                Route("/buy", self.buy, methods=["POST"]),
                Route("/done", self.done),
                Route("/finish", self.finish, methods=["GET", "POST"]),
                Route("/api/stock", self.stock_json),
                Route("/live", self.live),
                Route("/health", self.health),
                Mount("/static", Static(directory=STATIC)),
            ],
            exception_handlers={404: self.missing},
        )

    async def programme(self, request: Request) -> Response:
        """Show all events."""
        return self._page(request, "programme.html", shown=[self._shown(event) for event in EVENTS])

    async def event(self, request: Request) -> Response:
        """Show one event."""
        event = BY_SLUG.get(request.path_params["slug"])
        if event is None:
            raise HTTPException(404)
        return self._page(
            request, "event.html", one=self._shown(event), sold_out="full" in request.query_params
        )

    async def buy(self, request: Request) -> Response:
        """Take a ticket, then show it on a page that can be reloaded."""
        form = await form_of(request)
        outcome = self.stock.take(form.get("event", ""))
        wants_json = "application/json" in request.headers.get("accept", "")
        match outcome:
            case Taken(event, number):
                place = "/done?" + urlencode({"event": event.slug, "number": number})
                if wants_json:
                    left = self.stock.left[event.slug]
                    return JSONResponse(
                        {"event": event.slug, "number": number, "left": left}, headers=NO_STORE
                    )
                return RedirectResponse(place, 303)
            case SoldOut(event):
                if wants_json:
                    return JSONResponse({"code": "sold-out", "event": event.slug}, 409, NO_STORE)
                return RedirectResponse(f"/events/{event.slug}?full", 303)
            case NotOnSale():
                raise HTTPException(404)
            case _:
                assert_never(outcome)

    async def done(self, request: Request) -> Response:
        """Show a ticket."""
        event = BY_SLUG.get(request.query_params.get("event", ""))
        number = request.query_params.get("number", "")
        if (
            event is None
            or not number.isascii()
            or not number.isdigit()
            or not 1 <= int(number[:9]) <= event.seats
        ):
            raise HTTPException(404)
        return self._page(request, "done.html", one=self._shown(event), number=f"{int(number):04d}")

    async def finish(self, request: Request) -> Response:
        """Say goodbye, and give the place back.

        The page stands alone: whatever it asked for afterwards would be asked for without a session.
        """
        response = self._page(request, "finish.html", inside=None, standalone=True)
        response.headers.update(REVOKE)
        return response

    async def missing(self, request: Request, _error: Exception) -> Response:
        """Say that there is no such page."""
        return self._page(request, "missing.html", status=404)

    async def stock_json(self, _request: Request) -> Response:
        """Tell what is left."""
        return JSONResponse({"stock": self.stock.left}, headers=NO_STORE)

    async def live(self, _request: Request) -> Response:
        """Stream what is left, as server-sent events."""
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._changes(), headers=headers, media_type="text/event-stream")

    async def _changes(self) -> AsyncIterator[bytes]:
        told: dict[str, int] = {}
        while True:
            changed = {slug: left for slug, left in self.stock.left.items() if told.get(slug) != left}
            text = JSONResponse(changed).body if changed else b""
            yield b"data: " + bytes(text) + b"\n\n" if changed else b": still here\n\n"
            told |= changed
            await asyncio.sleep(self._live_s)

    async def health(self, _request: Request) -> Response:
        """Tell that the shop is there."""
        return Response("ok\n", media_type="text/plain", headers=NO_STORE)

    def _shown(self, event: Event) -> dict[str, Any]:
        left = self.stock.left[event.slug]
        share = round(100 * left / event.seats)
        return {"event": event, "at": evening(event, self._now_ms()), "left": left, "share": share}

    def _page(self, request: Request, name: str, *, status: int = 200, **values: Any) -> Response:
        session = request.headers.get("waitroom-session", "")
        inside = {"session": session, "lane": request.headers.get("waitroom-lane", "")} if session else None
        text = self._pages.get_template(name).render({"inside": inside, **values})
        return HTMLResponse(text, status, NO_STORE)


async def form_of(request: Request) -> dict[str, str]:
    """Read a small form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise HTTPException(413)
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def day(at: datetime) -> str:
    """Write a date as on a poster: Sat 5 December, 20:00."""
    return f"{at:%a} {at.day} {at:%B}, {at:%H:%M}"


def app(now_ms: Callable[[], int]) -> Starlette:
    """Make the demo shop."""
    return Shop(now_ms).app()
