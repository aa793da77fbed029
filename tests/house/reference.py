"""Reference: the files of docs/ that list what the code has: settings, rooms, metrics, errors, the API, and more.

``make docs`` writes them; ``test_reference.py`` fails when one of them differs from the code. Nothing is listed by
hand here: names, types, limits and defaults are the code's, only words that no code has stand in ``codes``,
``fields`` and ``wcag``.
"""

import ast
import importlib
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from checkout.orders.order import Goal
from dashboards.openapi import document
from gateway.settings import Settings
from kernel.settings import describe
from tests.house import wcag
from tests.house.codes import GROUPS, WORDS
from tests.house.fields import ROOM, SALE
from tests.house.order_states import acts, drawing
from tests.house.tree import PACKAGES, ROOT, modules
from waitroom.field_readers import Reader
from waitroom.room_fields import OVERRIDES, ROOM_FIELDS, SALE_FIELDS
from waitroom.rooms import parse, to_dict

HEAD = "<!-- Written by `make docs` from the code; change it there. -->\n"
UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes"}
METRIC_MODULES = (
    "waitroom.metrics",
    "admission.metrics",
    "botguard.metrics",
    "botguard.challenges.metrics",
    "gateway.metrics",
    "checkout.metrics",
)
LABELS = {
    "role": "gate",
    "room": "name of a room; empty where no room covers the address",
    "limit": "connections, joins, bot-checks, map, streams",
    "step": "held, reserved, ordered, paid, abandoned",
    "lane": "verified, standard, suspect",
    "outcome": "what came of it, one word of the metric's own small set",
    "reason": "the word why, one of a closed set",
    "why": "who or what ended the session",
    "act": "claim, renew; of the line join, status, ticket and its other addresses, page for the page itself",
    "class": "called, recall",
    "decision": "pass, renew, open, wait, reject",
    "code": "a problem's code (docs/errors.md)",
    "place": "name of a shard; main where there is one",
    "detail": "seats, sections, unchanged",
    "way": "work, hcaptcha, turnstile, recaptcha; of whom events are told webhook, chat, mail",
    "kind": "delta, check, counts, keep-alive; of a provider's trouble unclear, notnow",
    "task": "a piece of background work",
    "verdict": "allow, review, block; of the bot guard allow, prove, step-up, slow, deny",
    "mode": "watch, on",
    "missing": "store, slow, full, busy, geoip, geoip-asn",
    "file": "blocklist, allowlist, geoip, geoip-asn, bot-list, agent-keys, bot-asn, bot-model",
    "provider": "name of a payment provider: sandbox, stripe",
    "channel": "mail, push, webhook; of what waits also new, and webhooks by their number",
    "job": "near, turn",
    "target": "name of somebody whom events are told; owners make them, 50 at most",
    "state": "active, paused, dead",
    "call": "create, confirm, fetch, capture, void, refund, list",
}


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Write a Markdown table."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (head, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]) + "\n"


def code(text: str) -> str:
    """Mark as code; nothing for nothing."""
    return f"`{text}`" if text else ""


# --------------------------------------------------------------------------------- settings


def settings_page() -> str:
    """Write docs/settings.md."""
    rows = [
        (
            code(row.env),
            code(row.name),
            row.type,
            next((unit for ending, unit in UNITS.items() if row.name.endswith(ending)), ""),
            code(row.default),
            row.help,
            "yes" if row.secret else "",
        )
        for row in describe(Settings)
    ]
    head = ("environment", "file", "type", "unit", "default", "meaning", "secret")
    return (
        f"{HEAD}# Settings\n\n"
        "One set for all processes of an installation: `waitroom serve` hands it on to those that it starts. The "
        "environment counts above the settings file (`--settings FILE`, TOML), that above the default; the options "
        "of `waitroom serve` count above all. A secret is also read from a file: the name with `_FILE` (in the "
        "settings file `_file`). `waitroom check settings` prints what is in force, or every fault at once. What "
        "belongs to one room stands in [rooms](rooms.md).\n\n" + table(head, rows)
    )


# ------------------------------------------------------------------------------------ rooms


def allowed(reader: Reader) -> str:
    """Ask a field's reader what it takes: it says so when it is given something else."""
    told = _fault(reader, object())
    what = told.removeprefix("must be ").rpartition(", not ")[0]
    for too_much in ("x" * 2_000_000, ["x"] * 1_000):
        if (most := re.match(r"must have at most (\d+ \w+)", _fault(reader, too_much))) is not None:
            what += f", at most {most[1]}"
    each = _fault(reader, [object()]).removeprefix("must be ").rpartition(", not ")[0]
    if each not in {"", what} and what.startswith("a list"):
        what += f", each {each}"
    return what + (", or null" if _fault(reader, None) == "" else "")


def _fault(reader: Reader, value: object) -> str:
    try:
        reader(value)
    except ValueError as fault:
        return str(fault)
    return ""


def parts(reader: Reader) -> dict[str, Reader]:
    """Return the readers of a table's fields; empty for a field that is no table."""
    for cell in getattr(reader, "__closure__", None) or ():
        held = cell.cell_contents
        if isinstance(held, Mapping):
            return dict(held)
        if callable(held) and not isinstance(held, type) and (inner := parts(held)):
            return inner
    return {}


def spread(table_of: Mapping[str, Reader]) -> dict[str, Reader]:
    """Return all fields, those of tables by `table.field`."""
    found: dict[str, Reader] = {}
    for name, reader in table_of.items():
        found[name] = reader
        found |= {f"{name}.{part}": inner for part, inner in parts(reader).items()}
    return found


def rooms_page() -> str:
    """Write docs/rooms.md."""
    defaults = to_dict(parse({"name": "main", "origin": "http://origin"}))
    room_rows = []
    for name, reader in spread(ROOM_FIELDS).items():
        outer, _, inner = name.partition(".")
        default: Any = defaults[outer]
        if inner:
            default = default.get(inner, "") if isinstance(default, dict) else ""
        shown = (
            "required" if name in {"name", "origin"} else "" if isinstance(default, dict) else _json(default)
        )
        sale = "yes" if name in OVERRIDES else ""
        room_rows.append((code(name), allowed(reader), shown, sale, ROOM.get(name, "")))
    own = [
        (code(name), allowed(reader), _sale_default(name), SALE.get(name, ""))
        for name, reader in SALE_FIELDS.items()
        if name not in OVERRIDES
    ]
    return (
        f"{HEAD}# Rooms\n\n"
        "A room's settings, as they stand in `rooms.toml` below `[rooms.<name>]` and in the operator API's "
        "documents; names and units are Cloudflare's where it has one. `waitroom check rooms FILE` tells every "
        "fault at once. A change is journaled and in force in every worker within two seconds.\n\n"
        + table(("setting", "value", "default", "a sale may override it", "meaning"), room_rows)
        + "\n## Sales\n\n"
        "A dated sale stands below `[[rooms.<name>.sales]]`. What it leaves out (or null) is inherited from the "
        "room: " + ", ".join(code(name) for name in OVERRIDES) + ". `total_active_users` and "
        "`new_users_per_minute` are given together or not at all. Sales of a room do not overlap.\n\n"
        + table(("setting", "value", "default", "meaning"), own)
    )


def _json(value: object) -> str:
    return code(json.dumps(value, ensure_ascii=False))


def _sale_default(name: str) -> str:
    required = {"name", "event_start_time", "event_end_time"}
    plain = {"prequeue_start_time": None, "description": ""}
    return "required" if name in required else _json(plain.get(name, False))


# ---------------------------------------------------------------------------------- metrics


def collectors() -> list[MetricWrapperBase]:
    """Return every metric of the packages, those made by a class in a registry of their own."""
    found: list[MetricWrapperBase] = []
    for name in METRIC_MODULES:
        module = importlib.import_module(name)
        for kind in (one for name, one in vars(module).items() if name in {"Metrics", "EventMetrics"}):
            registry = CollectorRegistry()
            kind(registry)
            found += [one for one in registry._collector_to_names if isinstance(one, MetricWrapperBase)]
        found += [value for value in vars(module).values() if isinstance(value, MetricWrapperBase)]
    return found


def metrics_page() -> str:
    """Write docs/metrics.md."""
    rows = [
        (
            code(one._name + ("_total" if one._type == "counter" else "")),
            one._type,
            ", ".join(code(label) for label in one._labelnames),
            one._documentation.rstrip("."),
        )
        for one in sorted(collectors(), key=lambda one: one._name)
    ]
    used = sorted({label for one in collectors() for label in one._labelnames})
    return (
        f"{HEAD}# Metrics\n\n"
        "`GET /metrics` on the operator's port, in Prometheus' text form, for all processes together. A process "
        "that runs alone also has Prometheus' own `process_…` and `python_…`. Boards, alerts and objectives stand in "
        "[observability](observability.md).\n\n"
        + table(("metric", "type", "labels", "meaning"), rows)
        + "\n## Labels\n\nAll from closed sets, so that the number of series is bounded.\n\n"
        + table(("label", "values"), [(code(label), LABELS.get(label, "")) for label in used])
    )


# ----------------------------------------------------------------------------------- errors


@dataclass(frozen=True, slots=True)
class Raised:
    """One place of the source where a code is told."""

    where: str
    code: str
    status: int | None


# Whose arguments are code and status, at which places (`None`: it has no such argument), and the status without one.
_TELLERS: dict[str, tuple[int, int | None, int]] = {
    "Refused": (0, 2, 400),
    "Unavailable": (0, None, 503),
    "Faults": (0, 2, 422),
    "_failed": (3, 2, 400),
    "_problem": (1, 0, 400),
}
_HANDS_ON = {"kernel/problems.py", "gateway/waiting.py", "checkout/faults.py"}
"""These also hand on the code of a failure that was told elsewhere."""


@cache
def raised_in(where: str, text: str) -> tuple[Raised, ...]:
    """Find every code that a module tells. Raises ``ValueError`` for one that cannot be read off."""
    return tuple(_raised_in(where, text))


def _raised_in(where: str, text: str) -> Iterator[Raised]:
    for call in ast.walk(ast.parse(text)):
        name = getattr(call.func, "id", "") if isinstance(call, ast.Call) else ""
        if not isinstance(call, ast.Call) or name not in _TELLERS:
            continue
        code_at, status_at, usual = _TELLERS[name]
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        told = call.args[code_at] if len(call.args) > code_at else given.get("code")
        codes = [told.body, told.orelse] if isinstance(told, ast.IfExp) else [told]
        at: ast.expr | None = given.get("status")
        if status_at is not None and len(call.args) > status_at:
            at = call.args[status_at]
        status = usual if at is None or status_at is None else getattr(at, "value", None)
        for one in codes:
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                yield Raised(where, one.value, status if isinstance(status, int) else None)
            elif where not in _HANDS_ON:
                raise ValueError(f"{where}:{call.lineno}: the code must be a plain text")


def raised() -> dict[str, set[int]]:
    """Return every code of the packages with its statuses."""
    found: dict[str, set[int]] = {}
    for path, text in modules():
        # The sandbox tells Stripe's codes and not ours.
        if path.parts[0] in PACKAGES and path.parts[:2] != ("checkout", "sandbox"):
            for one in raised_in(str(path), text):
                found.setdefault(one.code, set()).update({one.status} if one.status else set())
    return found


def errors_page() -> str:
    """Write docs/errors.md."""
    known = raised()
    text = (
        f"{HEAD}# Errors\n\n"
        "A failure is a problem (RFC 9457, `application/problem+json`): `type`, `title`, `status`, `detail` for "
        "people, and `code`, which never changes its meaning. Where a repeat helps there is Retry-After, and "
        "`retry_after_s` in the body. Browsers on their way to the site get a page that says the same.\n"
    )
    for group in GROUPS:
        rows = [
            (code(name), ", ".join(str(status) for status in sorted(statuses)), *WORDS[name][1:])
            for name, statuses in sorted(known.items())
            if name in WORDS and WORDS[name][0] == group
        ]
        text += f"\n## {group}\n\n" + table(("code", "status", "what happened", "what to do"), rows)
    return text


def order_states_page() -> str:
    """Write docs/order-states.md."""
    head = ("state", "what is done next")
    pay = [(code(state), what) for state, what in acts(Goal.PAY)]
    undo = [(code(state), what) for state, what in acts(Goal.UNDO)]
    return (
        f"{HEAD}# States of an order\n\n"
        "What can happen to an order, and what its tries do next, drawn from the tables that the code plays "
        "(`checkout/orders/rule.py`); [orders](orders.md) says why.\n\n"
        f"{drawing()}\n## A try that is to pay\n\n"
        "By what the order is to it: open; sold to it (`ours`), or sold and looked at by a person (`held`); `paid` by "
        "it; or `lost`, because it is over or sold to another try. `turn`: from now on it is to undo.\n\n"
        f"{table(head, pay)}\n## A try that is to undo\n\n{table(head, undo)}"
    )


# ---------------------------------------------------------------------------- accessibility


def accessibility_page() -> str:
    """Write docs/accessibility.md."""
    rows = [
        (
            f"{row.number} {row.name}",
            row.level,
            row.holds.value,
            row.why,
            ", ".join(code(test.rpartition("::")[2]) for test in row.tests)
            or ("" if row.holds is wcag.NONE else "eye"),
        )
        for row in wcag.CRITERIA
    ]
    count = {holds: sum(row.holds is holds for row in wcag.CRITERIA) for holds in wcag.Holds}
    files = sorted({test.rpartition("::")[0] or wcag.ACCESS for row in wcag.CRITERIA for test in row.tests})
    return (
        f"{HEAD}# Accessibility\n\n"
        + "\n\n".join(wcag.INTRODUCTION)
        + f"\n\nOf {len(rows)} criteria the page supports {count[wcag.Holds.SUPPORTS]}, "
        f"{count[wcag.Holds.PARTLY]} partly; {count[wcag.Holds.NOT_APPLICABLE]} do not apply.\n\n"
        + table(("criterion", "level", "conformance", "why", "shown by"), rows)
        + f"\nThe tests stand in {', '.join(map(code, files))}.\n"
        + "\n## What only people can judge, and has not been tried\n\n"
        + "\n".join(f"* {text}" for text in wcag.NOT_TRIED)
        + "\n"
    )


def openapi_file() -> str:
    """Write docs/openapi.json: what ``GET /api/openapi.json`` answers, for people to read and to compare."""
    return json.dumps(document(), indent=1) + "\n"


PAGES = {
    "docs/settings.md": settings_page,
    "docs/rooms.md": rooms_page,
    "docs/metrics.md": metrics_page,
    "docs/errors.md": errors_page,
    "docs/order-states.md": order_states_page,
    "docs/accessibility.md": accessibility_page,
    "docs/openapi.json": openapi_file,
}


def text_of(name: str) -> str:
    """Return a page as it is written, its paragraphs in lines of the usual width."""
    if name.endswith(".json"):
        return PAGES[name]()
    return "\n".join(
        row
        if row.startswith("|")
        else textwrap.fill(row, 118, break_long_words=False, break_on_hyphens=False)
        for row in PAGES[name]().split("\n")
    )


def write() -> None:
    """Write all pages."""
    for name in PAGES:
        (ROOT / name).write_text(text_of(name), encoding="utf-8")


if __name__ == "__main__":
    write()
