"""Visit: one request of a page: who looks, what they sent, and the two things that a page does: ask and show.

What an answer says was done stands in its address as a word with a paper of the session, so no link from elsewhere can
say so. Not here: who may look (``office``), what is asked (``organiser``).
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from checkout.backoffice.asking import Asking, NotDone, Told, Wish
from checkout.backoffice.navigation import OFFICE, Need, allowed, lines
from checkout.backoffice.page import POLICY, Writing, environment, texts
from checkout.people.staff_sessions import StaffSession, paper_of
from checkout.site.forms import html, one, read_form
from checkout.staffroom.entrance import to
from kernel.asgi import Receive, Scope

PERMISSIONS = "publickey-credentials-get=(self), camera=(), microphone=(), geolocation=()"
KEY_OCTETS = 18
OTHERS_MOST = 200
"""Events that can be chosen from any page; with more, people choose on the first one."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: where it stands below ``/staff/office``, and what of the API whoever sees it must be allowed to ask.

    Of a form: ``again`` shows what was refused; ``is_once`` is False where sending it changes nothing; ``is_form`` is
    False where the handler reads the body itself, and looks at the paper itself (``entrance.check_paper``).
    """

    method: str
    path: str
    handler: "Handler"
    needs: Sequence[Need]
    again: "Handler | None" = None
    is_once: bool = True
    is_form: bool = True
    reader: "Reader" = read_form
    """Who reads the form: ``programme_files`` has readers of large ones, and of those with a file."""


class Visit:
    """A request of a page."""

    def __init__(
        self, request: Request, session: StaffSession, secret: str, asking: Asking, now_ms: int, tag: str
    ) -> None:
        """`secret` is the session's cookie, `tag` the language."""
        self.request = request
        self.session = session
        self.now_ms = now_ms
        self.tag = tag
        self.form: Mapping[str, Sequence[str]] = {}
        self.fault: NotDone | None = None
        self.writing = Writing(tag)
        self.event: Mapping[str, Any] | None = None
        self.others: Sequence[Mapping[str, Any]] = ()
        self._secret = secret
        self._asking = asking

    # ----------------------------------------------------------------------------------------- asking

    def may(self, method: str, path: str) -> bool:
        """Tell whether whoever looks may ask this, as ``organiser.rights`` has it."""
        return allowed(self.session.role, (method, path))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        names: Mapping[str, str] | None = None,
        query: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        **more: Any,
    ) -> Told:
        """Ask the API, see ``asking.Wish``; names that are not given are those of the page. Raises ``NotDone``."""
        known = {**self.request.path_params, **(names or {})}
        asked = list(query.items()) if isinstance(query, Mapping) else query
        return await self._asking.ask(
            self.request.scope, self.session, Wish(method, path, known, asked, **more)
        )

    async def choose_event(self) -> Mapping[str, Any]:
        """Read the event that the page is about, and the hall's time zone. Raises ``NotDone``."""
        if self.event is None:
            self.event = (await self.ask("GET", "/events/{event}")).plain
            venues = (await self.ask("GET", "/venues")).plain["venues"]
            others = (await self.ask("GET", "/events")).plain["events"]
            if 1 < len(others) <= OTHERS_MOST:
                self.others = sorted(others, key=lambda one: int(one["starts_ms"]))
            zones = {venue["id"]: venue["time_zone"] for venue in venues}
            self.writing = Writing(self.tag, zones.get(self.event["venue_id"], "UTC"))
        return self.event

    def field(self, name: str) -> str:
        """Give a field of the form, '' for none. Raises ``Refused`` for one that is there twice."""
        return one(self.form, name)

    def name(self, name: str) -> str:
        """Give a name of the page's address."""
        return str(self.request.path_params.get(name, ""))

    @property
    def key(self) -> str:
        """Give the request key of the form."""
        return self.field("key")

    # ---------------------------------------------------------------------------------------- showing

    async def show(self, template: str, *, status: int = 200, **shown: Any) -> Response:
        """Answer with a page; ``here`` is the name of its line in the navigation."""
        if "event" in self.request.path_params and self.fault_is_bearable:
            await self.choose_event()
        words = texts()[self.tag]
        asked = self.request.query_params
        values = {
            "here": "", "typed": self._typed, "field": self.writing.field, **shown,
            "own": self.session, "t": words.text, "words": words, "raw": words.raw, "w": self.writing,
            "event": self.event, "office": OFFICE, "lines": list(lines(self.session.role)), "may": self.may,
            "event_lines": self._event_lines(), "others": self.others, "now_ms": self.now_ms, "fault": self._faults(),
            "said": self._said(asked.get("said", ""), asked.get("paper", "")), "new_key": self._new_key,
        }  # fmt: skip
        text = environment().get_template(template).render(values)
        headers = {"Permissions-Policy": PERMISSIONS, "Cross-Origin-Opener-Policy": "same-origin"}
        found = self.fault.status if self.fault is not None and status == 200 else status
        return html(self.request.scope, text, status=found, policy=POLICY, more=headers)

    def to(self, path: str, said: str = "", **query: str) -> Response:
        """Send the browser to a page of the office, which says what was done (``said.{word}``)."""
        if said:
            query |= {"said": said, "paper": self._paper(said)}
        where = OFFICE + quote(path)
        return to(f"{where}?{urlencode(query)}" if query else where)

    @property
    def fault_is_bearable(self) -> bool:
        """Tell whether what was refused leaves the event to be shown."""
        return self.fault is None or self.event is not None or self.fault.code != "event-unknown"

    def _event_lines(self) -> list[tuple[str, str]]:
        return [] if self.event is None else list(lines(self.session.role, quote(str(self.event["id"]))))

    def _typed(self, name: str, default: str = "") -> str:
        """Give what was typed into a field of the form that was refused."""
        return self.form.get(name, [default])[0] if self.fault is not None else default

    def _new_key(self) -> str:
        """Give a form its request key: that which was refused keeps its own."""
        own = self._typed("key")
        is_spent = self.fault is not None and self.fault.code in {"key-reused", "key-malformed"}
        return own if own and not is_spent else secrets.token_urlsafe(KEY_OCTETS)

    def _said(self, word: str, paper: str) -> str:
        known = f"said.{word}" in texts()[self.tag].raw
        is_ours = hmac.compare_digest(self._paper(word).encode(), paper.encode("utf-8", "replace"))
        return texts()[self.tag].text(f"said.{word}") if known and is_ours else ""

    def _paper(self, word: str) -> str:
        return paper_of(self._secret, f"said\0{word}")

    def _faults(self) -> Mapping[str, Any] | None:
        """Say what was refused: in words of ours where there are any, else as the API says it."""
        if self.fault is None:
            return None
        words, key = texts()[self.tag], f"problem.{self.fault.code}"
        more = self.fault.more
        named = more.get("faults", [])
        return {
            "text": words.text(key) if key in words.raw else self.fault.public,
            "code": self.fault.code,
            "faults": [str(one) for one in named] if isinstance(named, list) else [],
            "reference": str(more.get("reference", "")),
            "more": more,
        }


Handler = Callable[[Visit], Awaitable[Response]]
Reader = Callable[[Scope, Receive], Awaitable[Mapping[str, Sequence[str]]]]
