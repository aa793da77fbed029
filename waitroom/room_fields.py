"""Room's fields: the words and small tables that a room's settings are made of, and who reads each.

Two tables, ``ROOM_FIELDS`` and ``SALE_FIELDS``, name every setting and what may stand in it. They are the
one place to add a setting, besides its line in ``rooms.Room``. Not here: what a setting does (``rooms``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kernel.errors import Misconfigured
from waitroom import field_readers as reads
from waitroom.canned import read_message
from waitroom.theme import LIGHT, Theme, read_theme


class Method(StrEnum):
    """What happens to those who come without an admission."""

    FIFO = "fifo"
    RANDOM = "random"
    PASSTHROUGH = "passthrough"
    REJECT = "reject"


class FailureStance(StrEnum):
    """What the gate does with newcomers while the store is away."""

    CLOSED = "fail_closed"
    OPEN = "fail_open"


class StockState(StrEnum):
    """How much there is left to wait for, as far as the operator (or the shop) says."""

    SELLING = "selling"
    LAST = "last"
    SOLD_OUT = "soldout"


@dataclass(frozen=True, slots=True)
class Route:
    """One address that the room stands before; ``*`` is any host."""

    host: str
    path: str


@dataclass(frozen=True, slots=True)
class CookieAttributes:
    """How the room's cookies are marked; ``auto`` follows from whether there is TLS."""

    samesite: str = "auto"
    secure: str = "auto"


@dataclass(frozen=True, slots=True)
class LaneShares:
    """How the calls are shared between the lanes. Together they make 1; suspect has a floor."""

    verified: float = 0.6
    standard: float = 0.35
    suspect: float = 0.05


class BotGuard(StrEnum):
    """What the room does with what is known of whoever joins."""

    OFF = "off"
    WATCH = "watch"
    ON = "on"


@dataclass(frozen=True, slots=True)
class BotThresholds:
    """Likelihoods of a program from which on a check, a harder one, or the lane suspect follows."""

    prove: float = 0.3
    step_up: float = 0.9
    slow: float = 0.98


class Bind(StrEnum):
    """What a place of the room is bound to, besides its ticket."""

    NONE = "none"
    BROWSER = "browser"


class IdentityWay(StrEnum):
    """How somebody shows who they are before they join; one identity is one place."""

    NONE = "none"
    CODE = "code"
    MAIL = "mail"
    OIDC = "oidc"


class ChallengeWay(StrEnum):
    """How a place in the lane suspect can show that somebody is there."""

    NONE = "none"
    WORK = "work"
    HCAPTCHA = "hcaptcha"
    TURNSTILE = "turnstile"
    RECAPTCHA = "recaptcha"


class ChallengeAsks(StrEnum):
    """Who is asked: who looks automatic, or everybody who joins."""

    SUSPECTS = "suspects"
    EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class ChallengeRule:
    """The check by which a place leaves the lane suspect."""

    way: ChallengeWay = ChallengeWay.WORK
    asks: ChallengeAsks = ChallengeAsks.SUSPECTS


def _table(table: Mapping[str, reads.Reader], kind: Callable[..., Any]) -> reads.Reader:
    """Read a table of named values into `kind`; its faults are told together."""

    def read_table(value: object) -> Any:
        if not isinstance(value, Mapping):
            raise reads.refuse(f"a table of {', '.join(table)}", value)
        faults: list[str] = []
        required = table if kind is Route else ()
        values = reads.read(table, required, value, "", faults)
        if faults:
            raise ValueError("is wrong: " + "; ".join(faults))
        return kind(**values)

    return reads.described(
        read_table,
        type="object",
        properties={name: reads.schema_of(reader) for name, reader in table.items()},
        required=list(table) if kind is Route else [],
        additionalProperties=False,
    )


def _theme(value: object) -> Theme:
    try:
        return read_theme(value)
    except Misconfigured as error:
        raise ValueError("; ".join(fault.removeprefix("theme ") for fault in error.faults)) from error


_COLOURS = {
    "type": "object",
    "properties": {name: {"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"} for name in LIGHT},
    "additionalProperties": False,
}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 400}}
reads.described(
    _theme,
    type="object",
    properties={
        "colours": _COLOURS,
        "dark": _COLOURS,
        "logo": {"type": "string"},
        "picture": {"type": "string"},
        "texts": {"type": "object", "additionalProperties": _TEXTS},
    },
    additionalProperties=False,
)

OVERRIDES: dict[str, reads.Reader] = {
    "total_active_users": reads.whole(1),
    "new_users_per_minute": reads.whole(1),
    "session_duration": reads.whole(1, 1440),
    "disable_session_renewal": reads.flag,
    "queueing_method": reads.one_of(*Method),
    "custom_page_html": reads.page,
}
SALE_FIELDS: dict[str, reads.Reader] = {
    "name": reads.name,
    "event_start_time": reads.moment,
    "event_end_time": reads.moment,
    "prequeue_start_time": reads.optional(reads.moment),
    "description": reads.text(1000),
    "shuffle_at_event_start": reads.flag,
    "suspended": reads.flag,
} | {name: reads.optional(reader) for name, reader in OVERRIDES.items()}
ROOM_FIELDS: dict[str, reads.Reader] = {
    "name": reads.name,
    "origin": reads.url,
    "description": reads.text(1000),
    "host": reads.host,
    "path": reads.path,
    "additional_routes": reads.many(_table({"host": reads.host, "path": reads.path}, Route), 100),
    "cookie_suffix": reads.cookie_suffix,
    "cookie_attributes": _table(
        {
            "samesite": reads.one_of("auto", "lax", "none", "strict"),
            "secure": reads.one_of("auto", "always", "never"),
        },
        CookieAttributes,
    ),
    **OVERRIDES,
    "custom_page_html": reads.optional(reads.page),
    "queue_all": reads.flag,
    "suspended": reads.flag,
    "queueing_status_code": reads.one_of(200, 202, 429),
    "json_response_enabled": reads.flag,
    "default_template_language": reads.language,
    "enabled_origin_commands": reads.many(reads.one_of("revoke"), 1),
    "max_waiting": reads.optional(reads.whole(1)),
    "claim_window_s": reads.whole(1, 86_400),
    "claim_extensions": reads.whole(0, 20),
    "recall_share": reads.ratio(0, 0.5),
    "lane_shares": _table(
        {
            "verified": reads.ratio(0, 1),
            "standard": reads.ratio(0.01, 1),
            "suspect": reads.ratio(0.01, 1),
        },
        LaneShares,
    ),
    "challenge": _table(
        {"way": reads.one_of(*ChallengeWay), "asks": reads.one_of(*ChallengeAsks)}, ChallengeRule
    ),
    "bind": reads.one_of(*Bind),
    "bot_guard": reads.one_of(*BotGuard),
    "bot_thresholds": _table(
        {"prove": reads.ratio(0.2, 1), "step_up": reads.ratio(0.5, 1), "slow": reads.ratio(0.8, 1)},
        BotThresholds,
    ),
    "paused": reads.flag,
    "bypass": reads.flag,
    "draining": reads.flag,
    "message": read_message,
    "stock_state": reads.optional(reads.one_of(*StockState)),
    "stock_left": reads.optional(reads.whole(0)),
    "moved_to": reads.optional(reads.way),
    "failure_stance": reads.one_of(*FailureStance),
    "allowed_targets": reads.many(reads.host_and_port, 100),
    "draw_lead_s": reads.whole(0, 86_400),
    "drain_s": reads.whole(0, 86_400),
    "join_rate_per_minute": reads.whole(1),
    "join_burst": reads.whole(1),
    "theme": _theme,
    "frame_ancestors": reads.many(reads.frame_ancestor, 20),
    "identity": reads.one_of(*IdentityWay),
    "reminder_minutes": reads.optional(reads.whole(1, 120)),
}
