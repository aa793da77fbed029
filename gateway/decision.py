"""Decision: who may go on to the origin, and what everybody else is told.

One pure function for all three ways to deploy (proxy, forward-auth, library), so that they cannot
disagree. It reads values only: what was asked, the room that covers the address, what the
admission turned out to be, which sessions have ended, the time. A valid session comes first, before
any flag of the room: it passes without the store, and also while the line is away.

The room is found by the *normal* path (``normal_path``), since the origin may fold ``//``, ``..``,
``;x`` and ``%2e`` where we do not; what is sent on is the path as it came.

Not here: verifying a token (``admission``), reading the store, HTTP (``gateway.gate``).
"""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import StrEnum

PAGE_MODES = frozenset({"navigate", "nested-navigate"})


class Kind(StrEnum):
    """What sort of client asks, and so which answer it can use while it waits."""

    PAGE = "page"
    FORM = "form"
    JSON = "json"
    OTHER = "other"
    WEBSOCKET = "websocket"


class OpenReason(StrEnum):
    """Why a request passes without an admission."""

    NO_ROOM = "no-room"
    BYPASS = "bypass"
    OPEN_PATH = "open_path"
    SUSPENDED = "suspended"
    PASSTHROUGH = "passthrough"
    FAIL_OPEN = "fail-open"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as the decision needs it; header values are lower case, '' when absent."""

    method: str
    accept: str = ""
    sec_fetch_mode: str = ""
    is_websocket: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A verified admission: signature, audience and type are already checked; its time is not."""

    room: str
    run: str
    sid: str
    lane: str
    admitted_ms: int
    issued_ms: int
    expires_ms: int
    token: str


@dataclass(frozen=True, slots=True)
class RoomRoute:
    """What the gate knows of the room that covers an address.

    ``away`` says that this worker does not know the line's state (store away for longer than the
    room tolerates); ``fail_open`` is the room's stance for that case.
    """

    name: str
    origin: str
    path: str = "/"
    admission_cookie: str = ""
    method: str = "fifo"
    bypass: bool = False
    suspended: bool = False
    away: bool = False
    fail_open: bool = False
    renewal: bool = True
    revoke_command: bool = True
    json_response: bool = True
    status_code: int = 200
    retry_after_s: int = 10


@dataclass(frozen=True, slots=True)
class Pass:
    """A live session: on to the origin."""

    session: Session


@dataclass(frozen=True, slots=True)
class Renew:
    """A live session past half of its time: on to the origin, and a fresh token with the answer."""

    session: Session


@dataclass(frozen=True, slots=True)
class Open:
    """No admission is needed here and now."""

    reason: OpenReason


@dataclass(frozen=True, slots=True)
class Wait:
    """To the waiting room; ``reason`` is the word why an admission did not count ('' without one)."""

    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    """The room lets nobody new in (queueing method ``reject``)."""

    kind: Kind


Verdict = Pass | Renew | Open | Wait | Reject


def kind(asked: Asked, room: RoomRoute | None = None) -> Kind:
    """Tell a navigation, a JSON client, a websocket and everything else apart.

    ``Sec-Fetch-Mode`` cannot be set by scripts and beats ``Accept``: a ``fetch()`` for an HTML
    fragment is not a navigation. Only GET and HEAD get the room's own status code; a POST that is
    answered 200 would look as if it had been done.
    """
    if asked.is_websocket:
        return Kind.WEBSOCKET
    reads = asked.method in {"GET", "HEAD"}
    navigates = asked.sec_fetch_mode in PAGE_MODES or (
        not asked.sec_fetch_mode and "text/html" in asked.accept
    )
    if navigates:
        return Kind.PAGE if reads else Kind.FORM
    wants_json = room is None or room.json_response
    if wants_json and reads and ("application/json" in asked.accept or "+json" in asked.accept):
        return Kind.JSON
    return Kind.OTHER


def lives(session: Session, room: str, ended: Container[str], now_ms: int) -> str:
    """Tell why a verified session does not count in this room now; '' when it does."""
    if session.room != room:
        return "foreign-room"
    if now_ms >= session.expires_ms:
        return "expired"
    if session.sid in ended:
        return "session-ended"
    return ""


def is_due(session: Session, now_ms: int) -> bool:
    """True when less than half of the token's time is left."""
    return (session.expires_ms - now_ms) * 2 < session.expires_ms - session.issued_ms


def decide(
    asked: Asked,
    room: RoomRoute | None,
    admission: Session | str | None,
    ended: Container[str],
    now_ms: int,
    *,
    is_open: bool = False,
) -> Verdict:
    """Give the verdict on one request.

    ``admission`` is the verified session, or the word why the token was refused, or None without one. ``is_open``: the
    address needs none (``is_open_path``).
    """
    if room is None:
        return Open(OpenReason.NO_ROOM)
    reason = ""
    if isinstance(admission, Session):
        reason = lives(admission, room.name, ended, now_ms)
        if not reason:
            due = room.renewal and not asked.is_websocket and is_due(admission, now_ms)
            return Renew(admission) if due else Pass(admission)
    elif admission is not None:
        reason = admission
    if room.suspended:
        return Open(OpenReason.SUSPENDED)
    if room.bypass:
        return Open(OpenReason.BYPASS)
    if room.method == "passthrough":
        return Open(OpenReason.PASSTHROUGH)
    if room.away and room.fail_open:
        return Open(OpenReason.FAIL_OPEN)
    if is_open:
        return Open(OpenReason.OPEN_PATH)
    if room.method == "reject":
        return Reject(kind(asked, room))
    return Wait(kind(asked, room), reason)


_SEPARATORS = re.compile(r"[/\\]+")


def normal_path(path: str) -> str:
    r"""Fold a decoded path the way origins do: no ``//``, ``\``, ``.``, ``..`` nor ``;parameters``.

    >>> normal_path("/shop//a/../b;x=1/")
    '/shop/b/'
    """
    out: list[str] = []
    parts = _SEPARATORS.split(path)
    for part in parts:
        name = part.partition(";")[0]
        if name == "..":
            out[-1:] = []
        elif name not in ("", "."):
            out.append(name)
    folded = "/" + "/".join(out)
    return folded + "/" if out and parts[-1] in ("", ".", "..") else folded


def is_open_path(path: str, raw_path: bytes, open_paths: Iterable[str]) -> bool:
    r"""Tell whether an address lies below one that needs no admission.

    Only as it is written: what an origin could read in another way (``%2e``, ``..``, ``//``, ``\``, ``;``) is not open.

    >>> is_open_path("/tickets/a", b"/tickets/a", ["/tickets/"])
    True
    >>> is_open_path("/tickets/../a", b"/tickets/../a", ["/tickets/"])
    False
    """
    if b"%" in raw_path or path != normal_path(path):
        return False
    return any(covers(one, path) for one in open_paths)


def covers(prefix: str, path: str) -> bool:
    """True when the path is the prefix or lies below it; ``/shop`` does not cover ``/shopping``."""
    stem = prefix.rstrip("/")
    return path == stem or path.startswith(stem + "/") or not stem


def bare_host(host: str) -> str:
    """Take the port and the trailing dot off a Host header, in lower case."""
    host = host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].rstrip(".")
