"""Control page: one page on which a person steers the rooms, from the first day and from a phone.

Rendered on the server, complete without JavaScript; a small module then fetches the same parts again every two
seconds and replaces what changed. Whoever presses a button says which version they saw, except for the pause: an
emergency must not wait for a reload. Every form carries a CSRF paper.

Not here: who may (``access``), the words on the page (``view``), what a lever does (``waitroom.configure``).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import Attempts, Session, Sessions, digest_of, same_origin, same_token
from dashboards.operator_api import resource
from dashboards.ports import Deps
from dashboards.view import RoomView, change_of, overview, room_view
from kernel.asgi import client_address, read_body
from kernel.errors import Misconfigured, Refused, Unavailable
from waitroom.configure import Actor, Lever, Saved, Stale
from waitroom.rooms import Room
from waitroom.schedule import wanted

HERE = Path(__file__).parent
BODY_MAX_BYTES = 16_384
FREE_FAILURES = 5
CHANGES_SHOWN = 8
WHO_MAX_CHARS = 40

DONE = {
    Lever.PAUSE: "Paused. Nobody is called until you resume; everybody keeps their place.",
    Lever.RESUME: "Resumed.",
    Lever.BYPASS_ON: "The gate is open: everybody passes.",
    Lever.BYPASS_OFF: "The gate is closed again.",
    Lever.MESSAGE: "The message is on its way to every waiting page.",
    Lever.RATE: "The new rate is in force.",
    Lever.CAP: "The new limit is in force.",
}

SAFE = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class ControlPage:
    """The page, its sign-in and its forms."""

    def __init__(self, deps: Deps) -> None:
        """Read templates and static files once."""
        self._deps = deps
        self._rooms = deps.configurations
        self._token = digest_of(deps.operator_token)
        self._attempts = Attempts(FREE_FAILURES)
        self._sessions = Sessions(deps.signer, deps.operator_token, deps.clock, secure=deps.secure)
        self._static = _static_files()
        self._pages = Environment(
            loader=FileSystemLoader(HERE / "pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        self._pages.globals["static"] = {
            name.split(".")[0] + Path(name).suffix: f"/static/{name}" for name in self._static
        }

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [
            resource("/", GET=self.show),
            resource("/live", GET=self.live),
            resource("/login", GET=self.show_login, POST=self.login),
            resource("/logout", POST=self.logout),
            resource("/rooms/{room}/{lever}", POST=self.pull),
            resource("/static/{name}", GET=self.static),
        ]

    # ---------------------------------------------------------------------------- the page

    async def show(self, request: Request) -> Response:
        """GET /: the page, or the way to sign in.

        Browsers keep a strict cookie to themselves when a link elsewhere was followed; asked once more from a page of
        ours they send it.
        """
        session = self._sessions.read(request)
        if session is None and request.headers.get("sec-fetch-site") == "cross-site":
            return self._render("again.html")
        if session is None:
            return RedirectResponse("/login", 303, SAFE)
        done = request.query_params.get("done", "")
        notice = DONE[Lever(done)] if done in list(Lever) else ""
        return await self._page(session, request.query_params.get("room", ""), notice)

    async def live(self, request: Request) -> Response:
        """GET /live: the changing parts of the page, for its script."""
        session = self._sessions.read(request)
        if session is None:
            return Response(status_code=401, headers=SAFE)
        return await self._page(session, request.query_params.get("room", ""), template="live.html")

    async def _page(
        self, session: Session, name: str, notice: str = "", status: int = 200, template: str = "control.html"
    ) -> Response:
        """Render the page; `notice` is good news with status 200 and a refusal otherwise."""
        now_ms = self._deps.clock.now_ms()
        try:
            rooms = await self._rooms.list()
            views = [await self._view(room, now_ms) for room in rooms]
            chosen = next((view for view in views if view.room.name == name), views[0] if views else None)
            kept = await self._rooms.changes(chosen.room.name, CHANGES_SHOWN) if chosen else ()
        except Unavailable as error:
            return self._render("away.html", 503, {"retry-after": "2"}, session=session, told=error.public)
        return self._render(
            template,
            status,
            session=session,
            csrf=self._sessions.csrf(session),
            title=overview(views),
            views=views,
            chosen=chosen,
            changes=[change_of(change, now_ms) for change in kept],
            notice=notice,
            refused=status != 200,
            waiting_page=self._deps.waiting_page,
        )

    async def _view(self, room: Room, now_ms: int) -> RoomView:
        try:
            figures: Mapping[str, object] | None = await self._deps.figures.figures(room.name)
        except Unavailable:
            figures = None
        return room_view(room, wanted(room, now_ms), figures, now_ms)

    # -------------------------------------------------------------------------- the levers

    async def pull(self, request: Request) -> Response:
        """POST /rooms/{room}/{lever}: pull a lever, then show the page again."""
        session = self._sessions.read(request)
        if session is None:
            return RedirectResponse("/login", 303, SAFE)
        name, word = request.path_params["room"], request.path_params["lever"]
        if word not in list(Lever):
            raise Refused("lever-unknown", "There is no such lever.", 404)
        form = await read_form(request)
        if not same_origin(request) or not self._sessions.csrf_holds(session, form.get("csrf", "")):
            notice = "This form did not come from this page as it is now, so nothing was changed. Please try again."
            return await self._page(session, name, notice, 403)
        lever = Lever(word)
        if lever is Lever.BYPASS_ON and form.get("confirm") != "yes":
            return await self._page(session, name, "Nothing was changed: the box was not ticked.", 422)
        actor = Actor(session.who, _line(form.get("why", "")))
        try:
            result = await self._rooms.act(
                name, lever, value_of(lever, form), seen_version(lever, form), actor
            )
        except Misconfigured as error:
            return await self._page(
                session, name, "Nothing was changed: " + "; ".join(error.faults) + ".", 422
            )
        except Refused as error:
            return await self._page(session, name, f"Nothing was changed: {error.public}", error.status)
        except Unavailable as error:
            return self._render("away.html", 503, {"retry-after": "2"}, session=session, told=error.public)
        match result:
            case Saved(room):
                return RedirectResponse("/?" + urlencode({"room": room.name, "done": lever}), 303, SAFE)
            case Stale():
                notice = (
                    "Nothing was changed: somebody else changed this room since your page was loaded. "
                    "Look at the last changes, then decide again."
                )
                return await self._page(session, name, notice, 409)

    # ------------------------------------------------------------------------- signing in

    async def show_login(self, request: Request) -> Response:
        """GET /login."""
        if self._sessions.read(request) is not None:
            return RedirectResponse("/", 303, SAFE)
        return self._login_page(self._sessions.read_form(request))

    async def login(self, request: Request) -> Response:
        """POST /login: the token once, a session from then on."""
        session, form = self._sessions.read_form(request), await read_form(request)
        if (
            session is None
            or not same_origin(request)
            or not self._sessions.csrf_holds(session, form.get("csrf", ""))
        ):
            return self._login_page(session, "This form was too old. Please try again.", 403)
        address = client_address(request.scope, self._deps.trusted_proxies)
        now_ms = self._deps.clock.now_ms()
        wait_ms = self._attempts.wait_ms(address, now_ms)
        if wait_ms:
            return self._wait_page(session, wait_ms)
        who = _line(form.get("who", ""))[:WHO_MAX_CHARS]
        if not same_token(form.get("token", "").strip(), self._token):
            wait_ms = self._attempts.failed(address, now_ms)
            if wait_ms:
                return self._wait_page(session, wait_ms)
            return self._login_page(session, "This is not the operator token.", 403, who=who)
        if not who:
            return self._login_page(session, "Please say who you are: it goes into the journal.", 422)
        self._attempts.succeeded(address)
        response = RedirectResponse("/", 303, SAFE)
        response.raw_headers.append((b"set-cookie", self._sessions.cookie(self._sessions.new(who))))
        return response

    async def logout(self, request: Request) -> Response:
        """POST /logout: end the session, also for a copy of its cookie."""
        session, form = self._sessions.read(request), await read_form(request)
        response = RedirectResponse("/login", 303, SAFE)
        if session is not None and self._sessions.csrf_holds(session, form.get("csrf", "")):
            response.raw_headers.append((b"set-cookie", self._sessions.end(session)))
        return response

    def _wait_page(self, session: Session, wait_ms: int) -> Response:
        wait_s = -(-wait_ms // 1000)
        told = f"Too many wrong tokens. Please wait {wait_s} seconds."
        return self._login_page(session, told, 429, {"retry-after": str(wait_s)})

    def _login_page(
        self,
        session: Session | None,
        told: str = "",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        who: str = "",
    ) -> Response:
        bound = session or self._sessions.new()
        response = self._render(
            "login.html", status, headers, csrf=self._sessions.csrf(bound), told=told, who=who, session=None
        )
        if session is None:
            response.raw_headers.append((b"set-cookie", self._sessions.cookie(bound)))
        return response

    # ------------------------------------------------------------------------------ bytes

    async def static(self, request: Request) -> Response:
        """GET /static/{name}: the name holds the content's hash, so it may be kept for ever."""
        found = self._static.get(request.path_params["name"])
        if found is None:
            raise Refused("file-unknown", "There is no such file.", 404)
        headers = SAFE | {"cache-control": "public, max-age=31536000, immutable"}
        return Response(found[1], headers=headers, media_type=found[0])

    def _render(
        self, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
    ) -> Response:
        text = self._pages.get_template(template).render(**context)
        return Response(text, status, SAFE | dict(headers or {}), "text/html; charset=utf-8")


async def read_form(request: Request) -> dict[str, str]:
    """Read a small form; of a field given twice the last counts. Raises ``Refused``."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused("content-type-unknown", "This must be a form.", 415)
    body = await read_body(request.receive, BODY_MAX_BYTES)
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=32, errors="strict")
    except ValueError as error:
        raise Refused("form-invalid", "This form cannot be read.") from error
    return {name: values[-1] for name, values in fields.items()}


def value_of(lever: Lever, form: Mapping[str, str]) -> object:
    """Return what a form says beside the lever itself; a number that is none stays text, to be refused by name."""
    text = form.get("value", "").strip()
    match lever:
        case Lever.RATE | Lever.CAP:
            return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else text
        case Lever.MESSAGE:
            return "" if "take_down" in form else text.replace("\r\n", "\n")
        case _:
            return None


def seen_version(lever: Lever, form: Mapping[str, str]) -> int | None:
    """Return the version that the person saw; a pause goes for any."""
    text = form.get("version", "")
    if lever is Lever.PAUSE:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _static_files() -> dict[str, tuple[str, bytes]]:
    files = {}
    for path in sorted((HERE / "static").iterdir()):
        if path.suffix in TYPES:
            octets = path.read_bytes()
            digest = hashlib.sha256(octets).hexdigest()[:10]
            files[f"{path.stem}.{digest}{path.suffix}"] = (TYPES[path.suffix], octets)
    return files
