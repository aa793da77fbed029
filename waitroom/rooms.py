"""Room: one waiting room in front of one origin, as its operator set it up; and its dated sales.

A sale overrides some of the room's settings for its time; what it leaves out it inherits. ``merged``
gives the settings in force. Names and units are those of Cloudflare's waiting room API where it has one
(``session_duration`` in minutes, ISO 8601 times), so that what people know there holds here. What differs:

* minimum 1 and not 200, because small sites are overrun too;
* ``new_users_per_minute`` may exceed ``total_active_users``: the rate guards the front door and the total the
  floor, two limits that both hold at any moment. A visit of twenty seconds (a lookup, a leave, a revoke)
  needs three places a minute from one;
* ``queueing_method`` random is a draw, held once, for those who gathered before a dated sale. Random picks from a
  line that never ends would make places worse that people have already seen, so a room without sales refuses it.

Documents: ``parse`` reads one and tells all faults, ``to_dict`` writes one, ``merge_patch`` is RFC 7396.
Not here: when a sale is on (``schedule``), how a configuration is kept (``configure``), TOML (``rooms_toml``).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

from kernel.cookies import SameSite
from kernel.errors import Misconfigured
from waitroom import field_readers as reads
from waitroom.room_fields import (
    OVERRIDES,
    ROOM_FIELDS,
    SALE_FIELDS,
    Bind,
    BotGuard,
    BotThresholds,
    ChallengeRule,
    CookieAttributes,
    FailureStance,
    IdentityWay,
    LaneShares,
    Method,
    Route,
    StockState,
)
from waitroom.theme import PLAIN, Theme

__all__ = [
    "ALWAYS", "CookieAttributes", "FailureStance", "LaneShares", "Marks", "Method", "Room", "Route", "Sale",
    "StockState", "clashes", "cookie_marks", "details", "draws", "merge_patch", "merged", "method",
    "page_faults", "parse", "read_kept", "sale_to_dict", "to_dict",
]  # fmt: skip

ALWAYS = "always"
"""The opening of the line that no sale dates; hence no name for a sale."""

MINUTE_MS = 60_000
SALES_MAX = 100


@dataclass(frozen=True, slots=True)
class Sale:
    """A dated opening of the room. None inherits the room's value."""

    name: str
    event_start_ms: int
    event_end_ms: int
    prequeue_start_ms: int | None = None
    description: str = ""
    shuffle_at_event_start: bool = False
    suspended: bool = False
    total_active_users: int | None = None
    new_users_per_minute: int | None = None
    session_duration: int | None = None
    disable_session_renewal: bool | None = None
    queueing_method: Method | None = None
    custom_page_html: str | None = None

    @property
    def opens_ms(self) -> int:
        """When people may first join for this sale."""
        return self.event_start_ms if self.prequeue_start_ms is None else self.prequeue_start_ms


@dataclass(frozen=True, slots=True)
class Room:
    """A room's settings. ``version`` and ``source_hash`` are kept by the store, not set by people."""

    name: str
    origin: str
    description: str = ""
    host: str = "*"
    path: str = "/"
    additional_routes: tuple[Route, ...] = ()
    cookie_suffix: str = ""
    cookie_attributes: CookieAttributes = field(default_factory=CookieAttributes)
    total_active_users: int = 500
    new_users_per_minute: int = 200
    session_duration: int = 5
    disable_session_renewal: bool = False
    queue_all: bool = False
    suspended: bool = False
    queueing_method: Method = Method.FIFO
    queueing_status_code: int = 200
    json_response_enabled: bool = True
    custom_page_html: str | None = None
    default_template_language: str = "en-US"
    enabled_origin_commands: tuple[str, ...] = ("revoke",)
    max_waiting: int | None = None
    claim_window_s: int = 600
    claim_extensions: int = 10
    recall_share: float = 0.15
    lane_shares: LaneShares = field(default_factory=LaneShares)
    challenge: ChallengeRule = field(default_factory=ChallengeRule)
    bind: Bind = Bind.NONE
    bot_guard: BotGuard = BotGuard.WATCH
    bot_thresholds: BotThresholds = field(default_factory=BotThresholds)
    paused: bool = False
    bypass: bool = False
    draining: bool = False
    message: str = ""
    stock_state: StockState | None = None
    stock_left: int | None = None
    moved_to: str | None = None
    failure_stance: FailureStance = FailureStance.CLOSED
    allowed_targets: tuple[str, ...] = ()
    draw_lead_s: int = 90
    drain_s: int = 600
    join_rate_per_minute: int = 120
    join_burst: int = 60
    theme: Theme = PLAIN
    frame_ancestors: tuple[str, ...] = ()
    reminder_minutes: int | None = None
    identity: IdentityWay = IdentityWay.NONE
    sales: tuple[Sale, ...] = ()
    version: int = 0
    source_hash: str = ""

    @property
    def routes(self) -> tuple[Route, ...]:
        """All addresses that the room stands before."""
        return (Route(self.host, self.path), *self.additional_routes)

    @property
    def calls_nobody(self) -> bool:
        """Tell whether the line stands still: paused here, or Cloudflare's word for the same."""
        return self.paused or self.queue_all

    @property
    def session_ms(self) -> int:
        """How long an admission lasts, in milliseconds."""
        return self.session_duration * MINUTE_MS

    def sale(self, name: str) -> Sale | None:
        """Find a sale by its name."""
        return next((sale for sale in self.sales if sale.name == name), None)


_TIMES = {
    "event_start_ms": "event_start_time",
    "event_end_ms": "event_end_time",
    "prequeue_start_ms": "prequeue_start_time",
}
_KEPT = ("version", "source_hash")


def merged(room: Room, sale: Sale | None) -> Room:
    """Return the settings in force while `sale` is on."""
    if sale is None:
        return room
    own = {name: getattr(sale, name) for name in OVERRIDES if getattr(sale, name) is not None}
    return replace(room, **own)


def method(room: Room, sale: Sale) -> Method:
    """Return the queueing method in force while `sale` is on."""
    return room.queueing_method if sale.queueing_method is None else sale.queueing_method


def draws(room: Room, sale: Sale) -> bool:
    """Tell whether a sale begins with a draw: it says so, or its method is random."""
    return method(room, sale) is Method.RANDOM or (
        sale.shuffle_at_event_start and method(room, sale) is Method.FIFO
    )


class Marks(NamedTuple):
    """How a room's cookies are marked."""

    secure: bool
    same_site: SameSite
    partitioned: bool


def cookie_marks(room: Room, *, tls: bool) -> Marks:
    """Tell how a room's cookies are marked; `tls` is the rule of the house, which the room may overrule.

    In a frame of another site a browser keeps only `SameSite=None; Partitioned` (CHIPS), and only with TLS: so what
    `auto` means follows from who may frame the room.
    """
    given = room.cookie_attributes
    secure = {"always": True, "never": False}.get(given.secure, tls)
    framed = any(source != "'self'" for source in room.frame_ancestors)
    marks: dict[str, SameSite] = {"lax": "lax", "strict": "strict", "none": "none"}
    same_site = marks.get(given.samesite, "none" if framed else "lax")
    if same_site == "none" and not secure:
        same_site = "lax"
    return Marks(secure, same_site, partitioned=same_site == "none")


def page_faults(
    room: Room,
    judge: Callable[[str], Sequence[str]],
    judge_theme: Callable[[Theme], Sequence[str]],
    before: Room | None = None,
    where: str = "",
) -> list[str]:
    """Name what `judge` finds in the operator's own pages of a room and of its sales, and in its theme's texts.

    What `before` has is not judged again: a page that an older version let in must not refuse a pause.
    """
    known = _pages(before).values() if before is not None else ()
    theme = [] if before is not None and before.theme == room.theme else judge_theme(room.theme)
    return [f"{where}{fault}" for fault in theme] + [
        f"{where}{field}: {fault}"
        for field, page in _pages(room).items()
        if page not in known
        for fault in judge(page)
    ]


def _pages(room: Room) -> dict[str, str]:
    pages = {"custom_page_html": room.custom_page_html}
    pages |= {f"{_SALES}.{sale.name}.custom_page_html": sale.custom_page_html for sale in room.sales}
    return {field: page for field, page in pages.items() if page is not None}


def details(room: Room, sale: Sale) -> dict[str, Any]:
    """Write a sale with everything it inherits filled in."""
    view = merged(room, sale)
    inherited = {name: _plain(getattr(view, name)) for name in OVERRIDES}
    times = {"prequeue_start_time": reads.moment_text(sale.opens_ms)}
    return sale_to_dict(sale) | inherited | times | {"shuffle_at_event_start": draws(room, sale)}


# ------------------------------------------------------------------------------- documents


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, StrEnum) else value


def sale_to_dict(sale: Sale) -> dict[str, Any]:
    """Write a sale as its document; null inherits."""
    document: dict[str, Any] = {}
    for item in fields(sale):
        value = getattr(sale, item.name)
        if item.name in _TIMES:
            document[_TIMES[item.name]] = None if value is None else reads.moment_text(value)
        else:
            document[item.name] = _plain(value)
    return document


def to_dict(room: Room) -> dict[str, Any]:
    """Write a room as its document, without what the store keeps; ``parse`` reads it back to the same room."""
    document: dict[str, Any] = {}
    for item in fields(room):
        value = getattr(room, item.name)
        match value:
            case BotThresholds() | ChallengeRule() | CookieAttributes() | LaneShares():
                document[item.name] = {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
            case Theme():
                document[item.name] = value.to_dict()
            case tuple() if item.name == "sales":
                document[item.name] = [sale_to_dict(sale) for sale in value]
            case tuple() if item.name == "additional_routes":
                document[item.name] = [{"host": route.host, "path": route.path} for route in value]
            case tuple():
                document[item.name] = list(value)
            case _ if item.name not in _KEPT:
                document[item.name] = _plain(value)
    return document


def merge_patch(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a JSON merge patch (RFC 7396): null takes a member away, which brings its default back."""
    result = dict(document)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            old = result.get(name)
            result[name] = merge_patch(old if isinstance(old, Mapping) else {}, value)
        else:
            result[name] = value
    return result


_SALES = "sales"


def parse(document: Mapping[str, Any], where: str = "") -> Room:
    """Read a room's document; `where` stands before each field in the faults (``rooms.main.``).

    Raises ``Misconfigured`` with one sentence for each fault.
    """
    faults: list[str] = []
    given = {name: value for name, value in document.items() if name != _SALES}
    values = reads.read(ROOM_FIELDS, ("name", "origin"), given, where, faults)
    sales = _sales(document.get(_SALES, ()), where, faults)
    if not faults:
        room = Room(**values, sales=tuple(sorted(sales, key=lambda sale: sale.opens_ms)))
        faults.extend(f"{where}{fault}" for fault in _conflicts(room))
        if not faults:
            return room
    raise Misconfigured(faults)


def _sales(given: object, where: str, faults: list[str]) -> list[Sale]:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        faults.append(f"{where}{_SALES} must be a list, not {reads.shown(given)}")
        return []
    if len(given) > SALES_MAX:
        faults.append(f"{where}{_SALES} must have at most {SALES_MAX} entries, not {len(given)}")
        return []
    read = [_sale(item, index, where, faults) for index, item in enumerate(given)]
    sales = [sale for sale in read if sale is not None]
    names = [sale.name for sale in sales]
    faults.extend(
        f"{where}{_SALES}.{name} stands {names.count(name)} times"
        for name in sorted(set(names))
        if names.count(name) > 1
    )
    return sales


def _sale(item: object, index: int, where: str, faults: list[str]) -> Sale | None:
    here = f"{where}{_SALES}[{index}]."
    if not isinstance(item, Mapping):
        faults.append(f"{here[:-1]} must be a table, not {reads.shown(item)}")
        return None
    if isinstance(name := item.get("name"), str) and reads.NAME.fullmatch(name):
        here = f"{where}{_SALES}.{name}."
    before = len(faults)
    values = reads.read(SALE_FIELDS, ("name", "event_start_time", "event_end_time"), item, here, faults)
    if len(faults) > before:
        return None
    for attribute, document_name in _TIMES.items():
        if document_name in values:
            values[attribute] = values.pop(document_name)
    sale = Sale(**values)
    faults.extend(f"{here}{fault}" for fault in _sale_conflicts(sale))
    return sale


def _sale_conflicts(sale: Sale) -> list[str]:
    faults = []
    if sale.name == ALWAYS:
        faults.append(f"name must not be {ALWAYS}: that is the line that no sale dates")
    if sale.event_end_ms - sale.event_start_ms < MINUTE_MS:
        faults.append("event_end_time must be at least a minute after event_start_time")
    if sale.prequeue_start_ms is not None and sale.prequeue_start_ms >= sale.event_start_ms:
        faults.append("prequeue_start_time must be before event_start_time")
    if (sale.total_active_users is None) != (sale.new_users_per_minute is None):
        faults.append("total_active_users and new_users_per_minute must be given together, or neither")
    return faults


def _conflicts(room: Room) -> list[str]:
    """Tell what is wrong between fields that are right one by one."""
    faults = []
    shares = room.lane_shares
    if abs(shares.verified + shares.standard + shares.suspect - 1) > 1e-6:
        total = shares.verified + shares.standard + shares.suspect
        faults.append(f"lane_shares must make 1 together, not {total:g}")
    bots = room.bot_thresholds
    if not bots.prove <= bots.step_up <= bots.slow:
        faults.append("bot_thresholds must not fall from prove to step_up to slow")
    if room.bind is not Bind.NONE and room.identity is not IdentityWay.NONE:
        faults.append("bind: a place that an identity finds again on any device is bound to no browser")
    attributes = room.cookie_attributes
    if attributes.samesite == "none" and attributes.secure == "never":
        faults.append("cookie_attributes: browsers drop a cookie with samesite none that is never secure")
    if room.moved_to is not None and not reads.leads_to(room.moved_to, room.allowed_targets):
        faults.append(
            "moved_to must be a path of this site, or an address whose host stands in allowed_targets"
        )
    if room.queueing_method is Method.RANDOM and not room.sales:
        faults.append(
            "queueing_method random needs sales: it is a draw among those who gathered before a sale starts; "
            "in a line without a date it would make places worse that people were already shown"
        )
    for sale in room.sales:
        faults.extend(f"{_SALES}.{sale.name}.{fault}" for fault in _draw_conflicts(room, sale))
    standing = [sale for sale in room.sales if not sale.suspended]
    for index, sale in enumerate(standing):
        faults.extend(
            f"{_SALES}.{later.name} opens before {_SALES}.{sale.name} has ended: sales must not overlap"
            for later in standing[index + 1 :]
            if later.opens_ms < sale.event_end_ms
        )
    return faults


def _draw_conflicts(room: Room, sale: Sale) -> list[str]:
    if sale.shuffle_at_event_start and method(room, sale) in {Method.PASSTHROUGH, Method.REJECT}:
        return [f"shuffle_at_event_start has no line to shuffle: queueing_method is {method(room, sale)}"]
    if not draws(room, sale):
        return []
    if sale.prequeue_start_ms is None:
        return ["prequeue_start_time is missing: a draw is held among those who gathered before the start"]
    if sale.event_start_ms - sale.prequeue_start_ms <= room.draw_lead_s * 1000:
        return [
            f"prequeue_start_time leaves nobody time to join: the draw closes {room.draw_lead_s} s (draw_lead_s) "
            "before event_start_time"
        ]
    return []


def clashes(rooms: Sequence[Room]) -> list[str]:
    """Name the addresses that two rooms stand before; the defaults ``*`` and ``/`` are nobody's claim."""
    owners: dict[Route, str] = {}
    faults = []
    for room in rooms:
        for route in room.routes:
            first = owners.setdefault(route, room.name)
            if first != room.name and route != Route("*", "/"):
                faults.append(
                    f"rooms.{room.name} and rooms.{first} both stand before {route.host}{route.path}"
                )
    return faults


def read_kept(text: str | bytes) -> Room | None:
    """Read a room as store and journal keep it; None for no text and for a removed room's mark.

    Names that a newer version of Waitroom added are passed over. Raises ``Misconfigured`` for anything else.
    """
    if not text:
        return None
    try:
        kept = json.loads(text)
        if kept.get("_removed"):
            return None
        version, source_hash = int(kept["version"]), str(kept.get("_source_hash", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Misconfigured(["A room's settings in the store cannot be read."]) from error
    room = parse({name: value for name, value in kept.items() if name in ROOM_FIELDS or name == _SALES})
    return replace(room, version=version, source_hash=source_hash)
