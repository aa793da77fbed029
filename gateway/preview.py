"""Preview: every state of the page as a rooms file makes it look, without a store and without a line.

The file is read anew for each request, so whoever works on a theme, a text or an own page saves it and reloads. What
keeps the file from being used is told in the browser. For one person on one machine: it listens on loopback
only. Not here: what the states look like (``waitroom.shells``), the same pages of a running room
(``/.waitroom/r/{room}/preview``).
"""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from kernel.asgi import Headers, Receive, Scope, Send, header, respond
from kernel.errors import Misconfigured, Refused
from waitroom.reading import Reading
from waitroom.rooms import Room, merged, page_faults
from waitroom.rooms_toml import parse_toml
from waitroom.schedule import wanted
from waitroom.shells import Page, Pages
from waitroom.targets_plan import TABLE as TARGETS
from waitroom.view import custom_page_faults, theme_faults
from waitroom.words import negotiate

PREFIX = "/.waitroom"
_PLAIN: Headers = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"))
_FRESH = (b"cache-control", b"no-store")


class Preview:
    """An ASGI application that shows the rooms of a file."""

    def __init__(self, file: Path, now_ms: Callable[[], int]) -> None:
        """Show what is in `file` whenever somebody looks."""
        self._file = file
        self._now_ms = now_ms
        self._pages = Pages(PREFIX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del receive
        if scope["type"] != "http":
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await respond(send, 405, (*_PLAIN, (b"allow", b"GET")), b"This address answers GET only.\n")
            return
        try:
            page = self._page(str(scope["path"]), scope)
        except Misconfigured as reason:
            faults = "\n".join(f"* {fault}" for fault in reason.faults)
            text = f"{self._file} cannot be used yet:\n\n{faults}\n\nMend it and reload this page.\n"
            await respond(send, 422, _PLAIN, text.encode())
            return
        except Refused as reason:
            await respond(send, reason.status, _PLAIN, f"{reason.public}\n".encode())
            return
        if isinstance(page, str):
            await respond(send, 303, ((b"location", page.encode()), _FRESH), b"")
            return
        headers, body = page.coded(header(scope, b"accept-encoding"))
        await respond(send, 200, [*headers, *self._caching(headers)], body)

    def _page(self, path: str, scope: Scope) -> Page | str:
        """Return a page, or where to go on to."""
        if path.startswith(f"{PREFIX}/static/"):
            return self._pages.asset(path.removeprefix(f"{PREFIX}/static/"))
        rooms = self._rooms()
        if not path.startswith(f"{PREFIX}/r/"):
            return f"{PREFIX}/r/{next(iter(rooms))}/preview"
        name, _, rest = path.removeprefix(f"{PREFIX}/r/").partition("/")
        if name not in rooms:
            known = ", ".join(rooms)
            raise Refused(
                "room-unknown", f"There is no room {name} in the file; there are: {known}.", status=404
            )
        reading = self._reading(rooms[name])
        query = scope["query_string"].decode("latin-1")
        asked = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
        accepted = (header(scope, b"accept-language") or b"").decode("latin-1")
        language = negotiate(accepted, asked.get("lang", ""), reading.room.default_template_language)
        what, _, state = rest.partition("/")
        match what, state:
            case "how", "":
                return self._pages.how(reading, language)
            case "preview", "":
                return self._pages.previews(reading, language)
            case "preview", _:
                return self._pages.preview(reading, state, language, still=asked.get("js") == "0")
            case _:
                return f"{PREFIX}/r/{name}/preview"

    def _rooms(self) -> dict[str, Room]:
        try:
            rooms = parse_toml(self._file.read_text(encoding="utf-8"), beside=(TARGETS,))
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured([f"it cannot be read: {error}"]) from error
        faults = [
            fault
            for room in rooms
            for fault in page_faults(room, custom_page_faults, theme_faults, where=f"rooms.{room.name}.")
        ]
        if not rooms:
            faults.append("there is no room in it")
        if faults:
            raise Misconfigured(faults)
        return {room.name: room for room in rooms}

    def _reading(self, base: Room) -> Reading:
        now_ms = self._now_ms()
        plan = wanted(base, now_ms)
        return Reading(base, merged(base, plan.sale), plan, read_ms=now_ms)

    @staticmethod
    def _caching(headers: Headers) -> Headers:
        return () if any(name == b"cache-control" for name, _ in headers) else (_FRESH,)


def serve(preview: Preview, port: int, when_ready: Callable[[str], None]) -> None:
    """Show previews on loopback until Ctrl-C. Raises Misconfigured for a port that is taken."""
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise Misconfigured(
            [f"port {port} cannot be used ({error}); choose another one with --port"]
        ) from error
    config = uvicorn.Config(preview, interface="asgi3", lifespan="off", log_config=None, access_log=False)
    when_ready(f"http://127.0.0.1:{port}/")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
