"""Shells: the pages of all rooms, rendered once for each look and language and kept ready, compressed too.

Not here: what stands on them (``view``), who gets which and in which language (``web``).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from kernel.errors import Refused, Unavailable
from waitroom import own_page, telling
from waitroom.assets import asset_url, assets, squeezed
from waitroom.canned import spoken
from waitroom.check_page import Check, check_page
from waitroom.identity_view import identity_page
from waitroom.lanes import Lane
from waitroom.reading import Reading
from waitroom.reminder_view import reminder_page
from waitroom.room_fields import Bind, BotGuard, ChallengeWay, IdentityWay
from waitroom.rooms import Room
from waitroom.schedule import Phase
from waitroom.standing import Place, Standing
from waitroom.theme import Theme
from waitroom.ticket import Ticket
from waitroom.view import (
    PLAIN_STATES,
    STATES,
    Action,
    Look,
    Shell,
    TicketView,
    content_security_policy,
    custom_page_faults,
    how_page,
    notice_page,
    previews_page,
    render,
    shell,
    speaking,
    ticket_page,
)
from waitroom.wait import Interval
from waitroom.words import SOURCE, Catalogue, languages

Header = tuple[bytes, bytes]
_HTML = (b"content-type", b"text/html; charset=utf-8")
_VARY = (b"vary", b"accept-language, accept-encoding")
_JOIN_HELPS = frozenset(
    {"ticket-missing", "ticket-invalid", "ticket-foreign-room", "run-over", "ticket-used", "leaf-mismatch"}
)
_ASKED_AGAIN = frozenset(
    {
        "identity-needed", "identity-code-wrong", "identity-number-wrong", "identity-number-gone",
        "identity-mail-invalid", "too-many-codes", "too-many-numbers", "mail-away",
        "identity-login-failed", "identity-login-over", "login-away",
    }
)  # fmt: skip
_ANEW = frozenset({"identity-number-gone", "identity-login-failed", "identity-login-over"})
"""After these a number that is on its way is worth nothing: the address is asked for again."""
_REFRESH_LEAST_S, _REFRESH_MOST_S = 5, 60
_SHELLS_MOST = 2000
"""Looks kept at once: rooms, times languages, times what an operator's own page shows of the line."""


@dataclass(frozen=True, slots=True)
class Page:
    """A body and its headers, without caching rules. `gzip` is the same body for who accepts that coding."""

    headers: tuple[Header, ...]
    body: bytes
    gzip: bytes | None = None

    def coded(self, accept_encoding: bytes | None) -> tuple[tuple[Header, ...], bytes]:
        """Return headers and body for a request's Accept-Encoding."""
        if self.gzip is None or accept_encoding is None or not _takes_gzip(accept_encoding):
            return self.headers, self.body
        return (*self.headers, (b"content-encoding", b"gzip")), self.gzip


class Pages:
    """Keeps a ready shell for each room, look and language."""

    def __init__(self, prefix: str, *, reminds: bool = False) -> None:
        """`prefix` as in settings, without a slash at its end; `reminds`: there is a way to tell fans of their turn."""
        self._prefix = prefix + "/"
        self._reminds = reminds
        self._shells: dict[tuple[str, str, str], tuple[object, Shell]] = {}
        self._spoken: dict[tuple[str, str], tuple[Theme, Catalogue]] = {}

    def shell(self, reading: Reading, target: str, language: str = SOURCE) -> Page:
        """Return the page that waits, for somebody who wants to get to `target`."""
        room, look = reading.room, self.look(reading, language)
        own = room.custom_page_html or ""
        shows = _variables(reading, look) if own else {}
        # `lastUpdated` alone makes no new page: what it dates has not changed.
        settles, who = room.bot_guard is not BotGuard.OFF, room.identity is not IdentityWay.NONE
        values = [value for name, value in shows.items() if name != "lastUpdated"]
        seen = look, own, _asks(room), settles, who, values
        key = room.name, language, ""
        kept = self._shells.get(key)
        if kept is None or kept[0] != seen:
            if own and custom_page_faults(own):
                # A page that an older version let in: the house's page lets people wait, a broken one does not.
                own = ""
            page = shell(
                room.name, self._prefix, look, own, shows, asks=_asks(room), settles=settles, who=who
            )
            kept = seen, page
            self._keep(key, kept)
        return self._page(reading, look, kept[1], target, custom=bool(room.custom_page_html))

    def ticket(
        self,
        reading: Reading,
        held: Ticket,
        view: TicketView,
        target: str,
        language: str = SOURCE,
        *,
        still: bool = False,
    ) -> Page:
        """Return a fan's own view without JavaScript."""
        look = self.look(reading, language)
        room = reading.room
        more = replace(
            view,
            lane=str(held.lane),
            message=spoken(room.message, look.words.text),
            stock_state=room.stock_state and str(room.stock_state),
            stock_left=room.stock_left,
            moved_to=room.moved_to,
            asks=_asks(room),
            bound=bool(held.key) and room.bind is Bind.BROWSER,
        )
        body = ticket_page(held.room, self._prefix, look, target, more, still=still)
        return self._made(reading, look, body)

    def refused(
        self,
        reading: Reading,
        target: str,
        reason: Refused | Unavailable,
        language: str = SOURCE,
        given: Mapping[str, object] | None = None,
    ) -> Page:
        """Say in one sentence why something was refused, with the way out where there is one.

        `given` is what somebody typed who was asked who they are: they are asked again where that helps.
        """
        look = self.look(reading, language)
        if given is not None and reason.code in _ASKED_AGAIN:
            fault = "" if reason.code == "identity-needed" else look.words.refused(reason.code)[1]
            kept = {name: text for name, text in given.items() if name != "paper" or reason.code not in _ANEW}
            return self.identity(reading, target, language, kept, fault)
        base = f"{self._prefix}r/{reading.base.name}"
        again = f"{base}?target={target}" if target.isascii() and target.isprintable() else base
        action = Action(look.words.text("action.again"), base)
        refresh_s = None
        if reason.code in _JOIN_HELPS:
            action = Action(look.words.text("plain.take-in-line"), f"{base}/join", "post", target)
        elif reason.retry_after_s is not None:
            refresh_s = min(max(_REFRESH_LEAST_S, reason.retry_after_s), _REFRESH_MOST_S)
        headline, detail = look.words.refused(reason.code)
        if isinstance(opens_ms := reason.extra.get("opens_ms"), int):
            detail += " " + look.words.text("how.dates.opens", time=look.words.moment(opens_ms))
        body = notice_page(
            self._prefix,
            look,
            stage=look.words.text("state.refused.stage"),
            headline=headline,
            detail=detail,
            action=action,
            refresh_s=refresh_s,
            again=again,
        )
        return self._made(reading, look, body)

    def check(self, reading: Reading, check: Check, target: str, language: str = SOURCE) -> Page:
        """Return the page of a check; the provider's sources stand in its policy alone."""
        look = self.look(reading, language)
        body = check_page(self._prefix, look, reading.base.name, target, check)
        return Page(self._headers(reading, look, also=check.sources), body, squeezed(body))

    def identity(
        self, reading: Reading, target: str, language: str, given: Mapping[str, object], fault: str = ""
    ) -> Page:
        """Ask who somebody is before they join; `given` is what they typed already."""
        look, room = self.look(reading, language), reading.room
        body = identity_page(room.name, self._prefix, look, target, str(room.identity), given, fault)
        return self._made(reading, look, body)

    def bypass(
        self, reading: Reading, language: str, target: str, passed: int | None, fault: str = ""
    ) -> Page:
        """Tell how many passed without the line, and ask for a pass; `fault` is the code of what was wrong with one."""
        look = self.look(reading, language)
        told = look.words.refused(fault)[1] if fault else ""
        base = f"{self._prefix}r/{reading.room.name}"
        body = render("bypass.html", self._prefix, look, base=base, target=target, passed=passed, fault=told)
        return self._made(reading, look, body)

    def code(self, reading: Reading, language: str, target: str, fault: str = "") -> Page:
        """Ask whoever waits for a priority code; `fault` is the code of what was wrong with one."""
        look = self.look(reading, language)
        told = look.words.refused(fault)[1] if fault else ""
        room, root = reading.base.name, self._prefix
        back = f"{root}r/{room}?{urlencode({'target': target})}"
        body = render(
            "code.html", root, look, base=f"{root}r/{room}", room=room, root=root, target=target, fault=told,
            back=back, script=asset_url(root, "code.js"),
        )  # fmt: skip
        return self._made(reading, look, body)

    def reminder(
        self, reading: Reading, language: str, target: str, offers: Collection[str], way: str, fault: str = ""
    ) -> Page:
        """Ask whether a fan wants to be told, without JavaScript; `way` is how they are told already, '' for not."""
        look, room = self.look(reading, language), reading.room
        minutes = room.reminder_minutes or 1
        body = reminder_page(
            room.name, self._prefix, look, target, minutes=minutes, offers=offers, way=way, fault=fault
        )
        return self._made(reading, look, body)

    def stopping(self, reading: Reading, language: str, paper: str) -> Page:
        """Ask whether all messages to an address shall stop; without a `paper` say that they have."""
        look = self.look(reading, language)
        part = "stop" if paper else "stopped"
        url = (
            f"{self._prefix}r/{reading.base.name}/remind/stop?{urlencode({'lang': language, 'paper': paper})}"
        )
        body = notice_page(
            self._prefix,
            look,
            stage=look.name,
            headline=look.words.text(f"mail.{part}-title"),
            detail=look.words.text(f"mail.{part}-text"),
            state="reminder",
            action=Action(look.words.text("mail.stop"), url, "post") if paper else None,
        )
        return self._made(reading, look, body)

    def how(self, reading: Reading, language: str = SOURCE) -> Page:
        """Tell how the line works, from the room's real settings."""
        look = self.look(reading, language)
        sections = telling.sections(reading.room, reading.wanted, _level(reading), look.words)
        return self._made(reading, look, how_page(reading.base.name, self._prefix, look, sections))

    def preview(
        self, reading: Reading, state: str, language: str = SOURCE, *, still: bool = False, said: str = ""
    ) -> Page:
        """Show a state with made-up figures; `still` is how it looks without JavaScript. Raises Refused (404).

        `said` is an operator's message, already in the page's language; without it there is a made-up one.
        """
        look = self.look(reading, language)
        if state not in (PLAIN_STATES if still else STATES):
            raise Refused("address-unknown", "There is no such state.", status=404)
        if still:
            return self._made(reading, look, self._plain_preview(reading, state, look, said))
        key, seen = (reading.room.name, language, state), (look, said)
        kept = self._shells.get(key)
        if kept is None or kept[0] != seen:
            kept = seen, shell(reading.room.name, self._prefix, look, preview=state, said=said)
            self._keep(key, kept)
        return self._page(reading, look, kept[1], "/")

    def previews(self, reading: Reading, language: str = SOURCE) -> Page:
        """List all states in all languages."""
        look = self.look(reading, language)
        tongues = [(tag, catalogue.name) for tag, catalogue in languages().items()]
        return self._made(reading, look, previews_page(reading.base.name, self._prefix, look, tongues))

    def said(self, reading: Reading, language: str) -> str:
        """Return the operator's message in a language; '' for none."""
        return spoken(reading.room.message, self.look(reading, language).words.text)

    def asset(self, name: str) -> Page:
        """Return a static file. Raises Refused (404)."""
        found = assets().get(name)
        if found is None:
            raise Refused("address-unknown", "There is nothing at this address.", status=404)
        headers = (
            (b"content-type", found.media_type.encode()),
            (b"cache-control", b"public, max-age=31536000, immutable"),
            (b"x-content-type-options", b"nosniff"),
            (b"vary", b"accept-encoding"),
        )
        return Page(headers, found.body, found.gzip)

    def look(self, reading: Reading, language: str) -> Look:
        """Return how a room looks and speaks in a language."""
        room = reading.room
        words, theme = languages()[language], room.theme
        if language in theme.texts:
            key = room.name, language
            spoken = self._spoken.get(key)
            if spoken is None or spoken[0] != theme:
                spoken = self._spoken[key] = theme, speaking(words, theme)
            words = spoken[1]
        reminds = self._reminds and room.reminder_minutes is not None
        return Look(room.description or room.name, words, theme, reminds, room.bind is Bind.BROWSER)

    def _plain_preview(self, reading: Reading, state: str, look: Look, said: str) -> bytes:
        name = reading.base.name
        if state in _REFUSALS:
            headline, detail = look.words.refused(_REFUSALS[state])
            action = Action(look.words.text("action.again"), f"{self._prefix}r/{name}")
            stage = look.words.text(f"state.{state}.stage")
            return notice_page(
                self._prefix, look, stage=stage, headline=headline, detail=detail, state=state, action=action
            )
        place = replace(_SAMPLE, message=said)
        return ticket_page(name, self._prefix, look, "/", place, still=True, preview=state)

    def _keep(self, key: tuple[str, str, str], kept: tuple[object, Shell]) -> None:
        if len(self._shells) >= _SHELLS_MOST:
            self._shells.clear()
        self._shells[key] = kept

    def _page(self, reading: Reading, look: Look, ready: Shell, target: str, *, custom: bool = False) -> Page:
        return Page(self._headers(reading, look, custom=custom), ready.page(target), ready.gzip(target))

    def _made(self, reading: Reading, look: Look, body: bytes) -> Page:
        return Page(self._headers(reading, look), body, squeezed(body))

    def _headers(
        self, reading: Reading, look: Look, *, custom: bool = False, also: Sequence[str] = ()
    ) -> tuple[Header, ...]:
        frames = " ".join(reading.base.frame_ancestors) or "'self'"
        policy = content_security_policy(frames, custom=custom, theme=look.theme, also=also)
        preload = f"<{asset_url(self._prefix, 'waitroom.css')}>; rel=preload; as=style"
        return (
            _HTML,
            _VARY,
            (b"content-language", look.words.tag.encode()),
            (b"content-security-policy", policy.encode()),
            (b"link", preload.encode()),
            (b"referrer-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
        )


_SAMPLE = TicketView(
    phase="serving",
    standing="waiting",
    number=4309,
    rank=1311,
    ahead=312,
    wait=Interval(960, 1380),
    poll_ms=30_000,
    starts_in_s=754,
    drawn_of=20_000,
    held=0.87,
    of=412,
    left_s=152,
    extensions_left=10,
)
"""What previews without JavaScript show; the figures of ``static/preview.js``."""

_REFUSALS = {"full": "room-full", "busy": "too-many-joins", "away": "store-away", "refused": "cross-site"}


def _asks(room: Room) -> str:
    """Say who is asked for a check; '' where there is none."""
    rule = room.challenge
    return "" if rule.way is ChallengeWay.NONE else str(rule.asks)


def _level(reading: Reading) -> str:
    """Return the assurance of the room's draw, as the public document tells it; "C" for none."""
    level = json.loads(reading.document)["draw"]["level"] if reading.document else "C"
    return str(level)


def _variables(reading: Reading, look: Look) -> Mapping[str, object]:
    """Return Cloudflare's variables for an operator's own page, as of the last reading."""
    line, room, words, now_ms = reading.line, reading.room, look.words, reading.read_ms
    waiting = line.shown_waiting if line else 0
    last = Place(line.shown_issued if line else None, Standing.WAITING, waiting, None)
    wait = reading.wait(last, Lane.STANDARD)
    plan = reading.wanted

    def until(at_ms: int | None) -> str:
        return words.span((at_ms - now_ms) / 1000) if at_ms is not None and at_ms > now_ms else ""

    return own_page.variables(
        room,
        plan,
        line.phase if line else Phase.IDLE,
        wait,
        full=room.max_waiting is not None and waiting >= room.max_waiting,
        spoken={
            "wait": words.wait(wait) if wait else "",
            "start": until(plan.starts_ms),
            "end": until(plan.ends_ms),
        },
        now_ms=now_ms,
    )


def _takes_gzip(accept_encoding: bytes) -> bool:
    for item in accept_encoding.lower().split(b","):
        name, _, quality = item.partition(b";")
        if name.strip() in {b"gzip", b"*"}:
            return quality.replace(b" ", b"") not in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}
    return False
