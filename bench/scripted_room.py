"""Scripted room: a server whose line does what a test or a picture wants, behind the real page.

It speaks the public wire (shell, status, join, claim, leave, ticket) but has no store and no rules: a
`Scene` is set from outside, also while pages look at it. Used by ``tests/process/test_page.py`` and by
``bench.screenshots``; never shipped.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from bench.scripted_answers import b64url, form_target, language, problem, sent, watch
from bench.scripted_scene import ADMISSION, LANES, NAME, PREFIX, TICKET, Scene, now_ms
from waitroom.canned import free_text, situation_of
from waitroom.draw import Shuffle
from waitroom.reading import Reading
from waitroom.rooms import Room as Configured
from waitroom.schedule import Phase, Wanted
from waitroom.shells import Pages
from waitroom.theme import PLAIN
from waitroom.view import Look, Shell, TicketView, content_security_policy, ticket_page
from waitroom.wait import wait_interval
from waitroom.words import languages

__all__ = ["PREFIX", "Room", "Scene", "now_ms", "serving"]


class Room:
    """The application around one scene."""

    def __init__(self, scene: Scene) -> None:
        """Make the keys and remember when the scene began."""
        self.scene = scene
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.began_ms = now_ms()
        self.numbers: dict[str, int] = {}
        self.own_shell: Shell | None = None
        self.pages = Pages(PREFIX.removesuffix("/"))
        configured = Configured(
            "main",
            "http://127.0.0.1",
            description=NAME,
            custom_page_html=scene.custom_page_html,
            frame_ancestors=scene.frame_ancestors,
        )
        self.reading = Reading(configured, configured, Wanted("always", Phase.SERVING))
        room = f"{PREFIX}r/main"
        routes: list[tuple[str, Callable[[Request], Any], list[str]]] = [
            (room, self.page, ["GET"]),
            (f"{PREFIX}static/{{name}}", self.static, ["GET"]),
            (f"{PREFIX}jwks.json", self.jwks, ["GET"]),
            (f"{room}/status", self.status, ["GET", "POST"]),
            (f"{room}/join", self.join, ["POST"]),
            (f"{room}/claim", self.claim, ["POST"]),
            (f"{room}/leave", self.leave, ["POST"]),
            (f"{room}/more-time", self.more_time, ["POST"]),
            (f"{room}/here", self.here, ["POST"]),
            (f"{room}/rhythm", self.rhythm, ["POST"]),
            (f"{room}/ticket", self.ticket, ["GET"]),
            (f"{room}/receipt", self.receipt, ["GET"]),
            (f"{room}/how", self.how, ["GET"]),
            (f"{room}/preview", self.previews, ["GET"]),
            (f"{room}/preview/{{state}}", self.preview, ["GET"]),
            (f"{room}/carry", self.carry, ["POST"]),
            (f"{room}/carry/take", self.take, ["POST"]),
            (f"{room}/carry/{{watch}}", self.carried, ["GET"]),
            ("/shop", self.origin, ["GET"]),
            ("/favicon.ico", self.nothing, ["GET"]),
        ]
        self.app = Starlette(
            routes=[Route(path, endpoint, methods=methods) for path, endpoint, methods in routes]
        )

    # ------------------------------------------------------------------------------------- pages
    async def page(self, request: Request) -> Response:
        """Send the shell: the same for everybody, so the page finds its target in the address."""
        self.scene.count("shell")
        return self._shell(request, "")

    async def static(self, request: Request) -> Response:
        """Send a static file."""
        return sent(request, self.pages.asset(request.path_params["name"]))

    async def how(self, request: Request) -> Response:
        """Send how the line works."""
        return sent(request, self.pages.how(self.reading, language(request)))

    async def preview(self, request: Request) -> Response:
        """Send a state with made-up figures."""
        still = request.query_params.get("js") == "0"
        state = request.path_params["state"]
        return sent(request, self.pages.preview(self.reading, state, language(request), still=still))

    async def previews(self, request: Request) -> Response:
        """Send the list of all states."""
        return sent(request, self.pages.previews(self.reading, language(request)))

    async def origin(self, request: Request) -> Response:
        """The shop behind: whoever has the admission is in, others see the shell."""
        self.scene.count("origin")
        if ADMISSION in request.cookies or self.scene.bypass:
            return HTMLResponse("<!doctype html><title>Shop</title><h1>Welcome to the shop</h1>")
        return self._shell(request, request.url.path)

    async def nothing(self, _request: Request) -> Response:
        """Answer what browsers ask for unasked."""
        return Response(status_code=204)

    # -------------------------------------------------------------------------------------- wire
    async def jwks(self, _request: Request) -> Response:
        """Publish the key that signs the status document."""
        numbers = self.key.public_key().public_numbers()
        x, y = (b64url(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
        return JSONResponse(
            {"keys": [{"kty": "EC", "crv": "P-256", "kid": "s1", "x": x, "y": y, "alg": "ES256"}]}
        )

    async def status(self, request: Request) -> Response:
        """Send the signed document, or take one that a page gives back."""
        scene = self.scene
        if request.method == "POST":
            scene.given_back.append((await request.body()).decode())
            return Response(status_code=204)
        scene.count("status")
        if scene.away:
            return problem(503, "store-away", "The store does not answer.", retry_after_s=1)
        return Response(
            self.document(), media_type="application/json", headers={"Cache-Control": "public, max-age=1"}
        )

    def document(self) -> bytes:
        """Compose and sign the document of this moment."""
        scene = self.scene
        members: dict[str, Any] = {
            "room": "main",
            "name": "Northern Lights Festival",
            "run": scene.run,
            "epoch": scene.epoch,
            "version": scene.version,
            "at_ms": self.began_ms,
            "phase": scene.phase,
            "method": "random" if scene.commitment else "fifo",
            "opens_ms": self._at(scene.opens_in_s),
            "starts_ms": self._at(scene.starts_in_s),
            "ends_ms": None,
            "issued": scene.issued,
            "void": scene.void,
            "serving": dict.fromkeys(LANES, scene.serving),
            "speed_per_minute": dict.fromkeys(LANES, scene.speed),
            "plan_per_minute": scene.plan,
            "poll_cap_s": 60,
            "claim_window_s": scene.claim_window_s,
            "wait": scene.wait or {"low": 0.75, "high": 1.35, "held": None, "of": 0},
            "census": scene.census,
            "stock": scene.stock or {"left": None, "state": None},
            "stops": "moved" if scene.moved_to else "",
            "moved_to": scene.moved_to,
            "paused": scene.paused,
            "bypass": scene.bypass,
            "full": False,
            "message": free_text(scene.message),
            **({"canned": said} if (said := situation_of(scene.message)) else {}),
            "draw": {
                "level": "B" if scene.commitment else "C",
                "commitment": scene.commitment,
                "rounds": scene.rounds,
                "frozen": scene.frozen,
                "root": scene.root,
                "seed": scene.seed,
            },
            "kid": "s1",
        }
        text = json.dumps(members, separators=(",", ":")).encode()
        r, s = decode_dss_signature(self.key.sign(b"waitroom-status-v1\n" + text, ec.ECDSA(SHA256())))
        signature = b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        if scene.forged:
            text = text.replace(b'"paused":false', b'"paused":true')
        return text[:-1] + f',"signature":"{signature}"}}'.encode()

    async def join(self, request: Request) -> Response:
        """Give a number, or the same again for a known ticket or key."""
        scene = self.scene
        scene.count("join")
        scene.headers.append(dict(request.headers))
        if scene.away:
            return problem(503, "store-away", "The store does not answer.", retry_after_s=1)
        if scene.join_problem:
            status, members = scene.join_problem
            return problem(status, **members)
        form = "form" in request.headers.get("content-type", "")
        again = not form and bool((await request.json()).get("again"))
        ticket = self._ticket(request)
        if again or ticket not in self.numbers or self._run(ticket) != scene.run:
            key = request.headers.get("idempotency-key") or f"n{len(self.numbers)}"
            ticket = f"{scene.run}.{key}"
            if ticket not in self.numbers:
                number = scene.next_number if scene.next_number is not None else scene.issued
                scene.next_number = None
                self.numbers[ticket] = number
                scene.change(issued=max(scene.issued, number + 1))
        if form:
            target = await form_target(request)
            answer: Response = RedirectResponse(f"{PREFIX}r/main/ticket?target={quote(target)}", 303)
        else:
            return self._place(ticket)
        if scene.cookies:
            answer.set_cookie(TICKET, ticket, httponly=True, samesite="lax")
        return answer

    def _place(self, ticket: str, **more: str) -> Response:
        """Give a place as JSON and cookie."""
        answer = JSONResponse(
            {
                "room": "main",
                "run": self._run(ticket),
                "ticket": ticket,
                "number": self.numbers[ticket],
                "lane": "standard",
                "phase": self.scene.phase,
                **more,
            }
        )
        if self.scene.cookies:
            answer.set_cookie(TICKET, ticket, httponly=True, samesite="lax")
        return answer

    async def claim(self, request: Request) -> Response:
        """Answer with the next scripted outcome; after the last one, admit whoever is called."""
        scene = self.scene
        scene.count("claim")
        scene.claim_headers.append(dict(request.headers))
        form = "form" in request.headers.get("content-type", "")
        target = await form_target(request) if form else str((await request.json()).get("target", "/"))
        back = RedirectResponse(f"{PREFIX}r/main/ticket?target={quote(target)}", 303)
        ticket = self._ticket(request)
        if not ticket:
            return problem(401, "ticket-missing", "You have no place in this line yet.")
        if self._run(ticket) != scene.run:
            return problem(410, "run-over", "This place is from an earlier opening.")
        if ticket in scene.used:
            return problem(410, "ticket-used", "This place has been used.")
        if scene.claims:
            status, members = scene.claims.pop(0)
            return JSONResponse(members, status)
        if self._rank(self.numbers[ticket]) >= scene.serving:
            return back if form else JSONResponse({"outcome": "waiting", "ahead": 1, "poll_ms": 2000}, 202)
        answer: Response = RedirectResponse(target, 303)
        if not form:
            answer = JSONResponse(
                {"outcome": "admitted", "go": target, "admission": "x", "expires_ms": now_ms() + 60_000}
            )
        if scene.cookies:
            answer.set_cookie(ADMISSION, "x", httponly=True, samesite="lax")
        return answer

    async def leave(self, request: Request) -> Response:
        """Give the place back."""
        self.scene.count("leave")
        self.scene.used.add(self._ticket(request))
        return JSONResponse({"outcome": "left"})

    async def ticket(self, request: Request) -> Response:
        """Send the page without JavaScript."""
        scene = self.scene
        scene.count("ticket")
        ticket = self._ticket(request)
        if not ticket:
            return problem(401, "ticket-missing", "You have no place in this line yet.")
        number = self.numbers[ticket]
        rank = None if scene.commitment and not scene.seed else self._rank(number)
        called = rank is not None and rank < scene.serving and scene.phase == "serving"
        ahead = None if rank is None else max(0, rank - scene.serving)
        starts_in_s = scene.starts_in_s if scene.phase == "gathering" else None
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse(self._figures(number, called=called))
        place = TicketView(
            phase=scene.phase,
            standing="called" if called else "waiting",
            number=number,
            rank=rank,
            ahead=ahead,
            wait=None
            if ahead is None
            else wait_interval(ahead, scene.speed, scene.plan, paused=scene.paused, delay_s=starts_in_s or 0),
            poll_ms=2000,
            paused=scene.paused,
            message=scene.message,
            starts_in_s=starts_in_s,
            frozen=scene.frozen is not None,
            drawn_of=scene.frozen if scene.seed else None,
        )
        target = request.query_params.get("target", "/")
        still = "still" in request.query_params
        look = Look(NAME, languages()[language(request)], PLAIN)
        return self._html(ticket_page("main", PREFIX, look, target, place, still=still))

    def _figures(self, number: int, *, called: bool) -> dict[str, Any]:
        """Give the members of the personal JSON that the page reads."""
        scene = self.scene
        until_ms = self._until_ms()
        late = until_ms is not None and now_ms() >= until_ms
        standing = ("recall" if late else "called") if called else "waiting"
        return {
            "number": number,
            "standing": standing,
            "called_ms": scene.called_ms,
            "claim_until_ms": until_ms if called else None,
            "extensions_left": scene.extensions_most - scene.extensions if standing == "called" else 0,
        }

    def _until_ms(self) -> int | None:
        scene = self.scene
        window_ms = scene.claim_window_s * 1000 * (1 + scene.extensions)
        return None if scene.called_ms is None else scene.called_ms + window_ms

    async def more_time(self, request: Request) -> Response:
        """Make the claim window longer, as often as the scene allows."""
        scene = self.scene
        scene.count("more-time")
        ticket = self._ticket(request)
        if not ticket:
            return problem(401, "ticket-missing", "You have no place in this line yet.")
        if scene.extensions >= scene.extensions_most:
            return problem(409, "more-time-used-up", "Please come in now.")
        scene.extensions += 1
        return JSONResponse(
            {
                "outcome": "extended",
                "ticket": ticket,
                "claim_until_ms": self._until_ms(),
                "extensions": scene.extensions,
                "extensions_left": scene.extensions_most - scene.extensions,
            }
        )

    async def here(self, request: Request) -> Response:
        """Hear that a page is still there."""
        self.scene.count("here" if self._ticket(request) else "here without a ticket")
        return Response(status_code=204)

    async def rhythm(self, request: Request) -> Response:
        """Hear how a page was handled; the scene says whether its place is slowed."""
        self.scene.rhythms.append(await request.json())
        old = self._ticket(request)
        if not self.scene.slows:
            return JSONResponse({"outcome": "noted", "lane": "standard"})
        self.numbers[f"{old}s"] = self.numbers[old]
        return self._place(f"{old}s", outcome="slowed", lane="suspect")

    async def receipt(self, request: Request) -> Response:
        """Send a receipt to who has a ticket."""
        self.scene.count("receipt")
        if not self._ticket(request):
            return problem(401, "ticket-missing", "You have no place in this line yet.")
        return Response("e30.e30.x", media_type="application/jwt")

    # ------------------------------------------------------------------------------------- carry
    async def carry(self, request: Request) -> Response:
        """Make a code that takes a place to another device."""
        self.scene.count("carry")
        ticket = self._ticket(request)
        if not ticket:
            return problem(401, "ticket-missing", "You have no place in this line yet.")
        code = b64url(len(self.scene.codes).to_bytes(16, "big"))
        self.scene.codes[code] = (ticket, "open")
        return JSONResponse({"code": code, "watch": watch(code), "url": "", "expires_ms": now_ms() + 300_000})

    async def take(self, request: Request) -> Response:
        """Give the place of a code, once."""
        self.scene.count("take")
        code = str((await request.json()).get("code"))
        ticket, state = self.scene.codes.get(code, ("", "gone"))
        if state != "open":
            return problem(410, "carry-gone", "This link has been used.")
        self.scene.codes[code] = (ticket, "taken")
        return self._place(ticket)

    async def carried(self, request: Request) -> Response:
        """Tell what became of a code."""
        told = {watch(code): state for code, (_, state) in self.scene.codes.items()}
        return JSONResponse({"state": told.get(request.path_params["watch"], "gone")})

    # ------------------------------------------------------------------------------------- small
    def _at(self, in_s: float | None) -> int | None:
        return None if in_s is None else self.began_ms + round(in_s * 1000)

    def _ticket(self, request: Request) -> str:
        ticket = request.cookies.get(TICKET) or request.headers.get("waitroom-ticket", "")
        return ticket if ticket in self.numbers else ""

    def _run(self, ticket: str) -> str:
        return ticket.split(".", maxsplit=1)[0]

    def _rank(self, number: int) -> int:
        scene = self.scene
        if not scene.seed or scene.frozen is None or number >= scene.frozen:
            return number
        return Shuffle(bytes.fromhex(scene.seed), scene.frozen, scene.rounds).rank(number)

    def _shell(self, request: Request, target: str) -> Response:
        if self.own_shell is not None:
            return self._html(self.own_shell.page(target))
        return sent(request, self.pages.shell(self.reading, target, language(request)))

    def _html(self, body: bytes) -> Response:
        policy = content_security_policy()
        return HTMLResponse(body, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})


@contextlib.contextmanager
def serving(scene: Scene) -> Iterator[tuple[Room, str]]:
    """Serve a scene on a free port of this machine; give the room and its address."""
    room = Room(scene)
    server = uvicorn.Server(
        uvicorn.Config(
            room.app,
            host="127.0.0.1",
            port=0,
            log_level="warning",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield room, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(5)
