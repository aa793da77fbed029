"""API documents: what goes in and out below ``/api``, as JSON Schema, drawn from the tables of a room's fields.

A room and a sale are never listed by hand here: a setting that ``waitroom.room_fields`` gets is in the schema at once.
A schema says as much as JSON Schema can; rules between fields (sales that overlap, shares that make 1) are told by the
answer 422. Not here: which address takes which document (``api_table``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from dashboards.history import FIELDS, STEPS, Totals
from kernel.sending import Outcome
from waitroom.events import SCHEMA
from waitroom.field_readers import NAME, Reader, schema_of
from waitroom.journal import Kind
from waitroom.minutes import TEXTS
from waitroom.room_fields import OVERRIDES, ROOM_FIELDS, SALE_FIELDS, StockState
from waitroom.rooms import SALES_MAX
from waitroom.schedule import Phase
from waitroom.targets import ADDRESS_MOST, LIST_MOST, State, Way

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
STATUS_WORDS = ("queueing", "not_queueing", "event_prequeueing", "suspended")


def plain(properties: Mapping[str, Schema], required: Iterable[str] | None = None, **more: Any) -> Schema:
    """Write an object that has nothing beside its properties; all are `required` where that is None."""
    needed = sorted(properties if required is None else required)
    return {
        "type": "object",
        "properties": dict(properties),
        "required": needed,
        "additionalProperties": False,
    } | more


def listed(items: Schema, **more: Any) -> Schema:
    """Write a list."""
    return {"type": "array", "items": items} | more


def reference(name: str) -> Schema:
    """Point at one of ``DOCUMENTS``."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    """Let null stand in a schema's place."""
    return {"anyOf": [schema, {"type": "null"}]}


def _fields(table: Mapping[str, Reader]) -> dict[str, Schema]:
    return {name: schema_of(reader) for name, reader in table.items()}


def _patch(schema: Schema) -> Schema:
    """Write a merge patch of a field (RFC 7396): null brings the default back, of a table also of one value."""
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        inner = {name: _patch(part) for name, part in schema["properties"].items()}
        schema = {**schema, "properties": inner, "required": []}
    return schema if "anyOf" in schema else nullable(schema)


_VERSION: Schema = {"description": "Passed over: what is changed is named in If-Match."}
_TIMES = ("event_start_time", "event_end_time")


def _asked(fields: Mapping[str, Schema], required: Iterable[str]) -> Schema:
    return plain({**fields, "version": _VERSION}, required)


def _documents() -> dict[str, Schema]:
    sale, room = _fields(SALE_FIELDS), _fields(ROOM_FIELDS)
    sales_in, sales_out = reference("NewSale"), reference("Sale")
    asked = {**room, "sales": listed(sales_in, maxItems=SALES_MAX)}
    inherited = dict(sale)
    for name, reader in OVERRIDES.items():
        inherited[name] = schema_of(reader if name != "custom_page_html" else SALE_FIELDS[name])
    inherited["prequeue_start_time"] = sale["event_start_time"]
    patch = {name: _patch(schema) for name, schema in asked.items()}
    return {
        "NewRoom": _asked(asked, ("name", "origin")),
        "RoomDocument": _asked(asked, ("origin",)),
        "RoomPatch": _asked(patch, ()),
        "Room": plain(
            {
                "version": {"type": "integer", "minimum": 1},
                **room,
                "sales": listed(sales_out, maxItems=SALES_MAX),
            }
        ),
        "Rooms": plain({"rooms": listed(reference("Room"))}),
        "NewSale": plain(sale, ("name", *_TIMES)),
        "AddedSale": _asked(sale, ("name", *_TIMES)),
        "SaleDocument": _asked(sale, _TIMES),
        "SalePatch": _asked({name: _patch(schema) for name, schema in sale.items()}, ()),
        "Sale": plain(sale),
        "Sales": plain({"sales": listed(sales_out)}),
        "SaleDetails": plain(inherited),
        "RoomStatus": {
            "type": "object",
            "description": "What is counted further stands beside these members.",
            "properties": {
                "status": {"type": "string", "enum": list(STATUS_WORDS)},
                "event_id": TEXT,
                "estimated_queued_users": COUNT,
                "estimated_total_active_users": COUNT,
                "max_estimated_time_minutes": COUNT,
                "phase": {"type": "string", "enum": [str(phase) for phase in Phase]},
                "paused": {"type": "boolean"},
                "bypass": {"type": "boolean"},
                "version": {"type": "integer", "minimum": 1},
            },
            "required": ["status", "phase", "paused", "bypass", "version"],
        },
        "Changes": plain(
            {
                "changes": listed(
                    plain(
                        {
                            "version": {"type": "integer", "minimum": 1},
                            "at_ms": COUNT,
                            "who": TEXT,
                            "why": TEXT,
                            "what": listed(listed(TEXT, minItems=3, maxItems=3)),
                        }
                    )
                )
            }
        ),
        "Act": plain(
            {"value": {"description": "What the lever takes: a number, a text, shares; most take none."}}, ()
        ),
        "Stock": plain(
            {
                "state": nullable({"type": "string", "enum": [str(state) for state in StockState]}),
                "left": schema_of(ROOM_FIELDS["stock_left"]),
            },
            (),
            minProperties=1,
        ),
        "StockKnown": plain(
            {
                "state": nullable({"type": "string", "enum": [str(state) for state in StockState]}),
                "left": schema_of(ROOM_FIELDS["stock_left"]),
            }
        ),
        "Release": plain({"arrived": {"type": "integer", "minimum": 1, "maximum": 1 << 40}}),
        "Released": plain(
            {"room": TEXT, "run": TEXT, "number": COUNT, "arrived": {"type": "integer", "minimum": 1}}
        ),
        "SessionOutcome": {
            "type": "object",
            "properties": {
                "outcome": {"type": "string", "enum": ["ended", "already-ended", "renewed"]},
                "sid": TEXT,
                "until_ms": nullable(COUNT),
                "expires_ms": COUNT,
                "admission": TEXT,
            },
            "required": ["outcome", "sid"],
            "additionalProperties": False,
        },
        "OpenApi": {"type": "object", "required": ["openapi", "info", "paths"]},
        "Problem": {
            "type": "object",
            "description": "RFC 9457. `code` never changes its meaning; `detail` is for people.",
            "properties": {
                "type": {"type": "string", "format": "uri"},
                "title": TEXT,
                "status": {"type": "integer"},
                "detail": TEXT,
                "code": TEXT,
                "retry_after_s": {"type": "integer", "minimum": 0},
                "faults": listed(TEXT),
                "current": reference("Room"),
            },
            "required": ["type", "title", "status", "detail", "code"],
        },
    }


def _of_guests() -> dict[str, Schema]:
    """Write what is asked and answered of single guests, of those beside the line, and of months."""
    maybe, whole = nullable(COUNT), {"type": "integer", "minimum": 1}
    token: dict[str, Schema] = {
        "token": TEXT, "name": TEXT, "who": TEXT, "why": TEXT, "made_ms": COUNT, "until_ms": COUNT,
        "revoked_ms": maybe, "counts": {"type": "boolean"}, "passes": COUNT, "last_ms": maybe,
    }  # fmt: skip
    batch: dict[str, Schema] = {
        "batch": COUNT, "label": TEXT, "size": COUNT, "used": COUNT, "made_ms": COUNT, "until_ms": COUNT,
        "revoked_ms": COUNT, "counts": {"type": "boolean"},
    }  # fmt: skip
    return {
        "Evicted": plain({"evicted": listed(whole)}),
        "RevokeAll": plain({"all": {"const": True}}),
        "Revoked": plain({"revoked": COUNT}),
        "Guest": plain(
            {
                "arrived": whole, "run": TEXT, "standing": {"enum": ["evicted", "inside", "over", "waiting"]},
                "evicted": {"type": "boolean"}, "sid": nullable(TEXT), "lane": nullable(TEXT),
                "admitted_ms": maybe, "until_ms": maybe,
            }
        ),
        "NewBypassToken": plain({"name": TEXT, "hours": whole}),
        "BypassToken": plain({**token, "text": TEXT}, list(token)),
        "BypassTokens": plain({"tokens": listed(plain(token))}),
        "NewCodeBatch": plain({"name": TEXT, "count": whole, "hours": whole}),
        "CodeBatch": plain({**batch, "codes": listed(TEXT)}, list(batch)),
        "CodeBatches": plain({"batches": listed(plain(batch))}),
    }  # fmt: skip


_UNITS = (
    ("_ms", "milliseconds"), ("_s", "seconds"), ("_per_minute", "a minute"), ("rate", "a minute"),
    ("_ratio", "a part of 1"),
)  # fmt: skip
"""What the numbers are in whose names end so; any other is a count."""


def _measured(name: str) -> Schema:
    """Write one value of the history: text, a ratio, or a whole number with its unit; null is unknown."""
    if name in TEXTS:
        return nullable(TEXT)
    unit = next((unit for end, unit in _UNITS if name.endswith(end)), "a count")
    ratio = name.endswith("_ratio")
    return nullable(({"type": "number"} if ratio else COUNT) | {"description": f"Unit: {unit}."})


def _of_history() -> dict[str, Schema]:
    """Write the history: its columns are those of ``history.FIELDS``, as far as they were asked for."""
    time: Schema = {"type": "string", "format": "date-time"}
    sums = {field.name: _measured(field.name) for field in fields(Totals)}
    act: dict[str, Schema] = {
        "seq": COUNT, "at_ms": COUNT, "who": TEXT, "why": TEXT, "version": nullable(COUNT),
        "what": listed(listed(TEXT, minItems=3, maxItems=3)),
    }  # fmt: skip
    return {
        "History": plain(
            {
                "room": TEXT, "sale": nullable(TEXT), "from": time, "to": time, "every": {"enum": list(STEPS)},
                "columns": plain(
                    {"at_ms": listed(COUNT)} | {name: listed(_measured(name)) for name in FIELDS}, ("at_ms",)
                ),
                "totals": plain(sums | {"known": COUNT, "minutes": COUNT}), "acts": listed(plain(act)),
            }
        )
    }  # fmt: skip


def _of_journal() -> dict[str, Schema]:
    time: Schema = {"type": "string", "format": "date-time"}
    kinds = listed({"enum": [kind.value for kind in Kind]}, maxItems=LIST_MOST)
    rooms = listed({"type": "string", "pattern": f"^{NAME.pattern}$"}, maxItems=LIST_MOST)
    name: Schema = {"type": "string", "pattern": f"^{NAME.pattern}$"}
    way: Schema = {"enum": [one.value for one in Way]}
    target: dict[str, Schema] = {
        "name": name,
        "tag": TEXT
        | {"description": "What it is, its whole address included; changes only where that does."},
        "way": way,
        "address": TEXT | {"description": "Of a webhook and a chat without its path, which may be secret."},
        "rooms": rooms,
        "kinds": kinds,
        "state": {"enum": [one.value for one in State]},
        "cursor": COUNT | {"description": "The last `seq` that needs no telling any more."},
        "tries": COUNT,
        "why": TEXT,
        "next_at": nullable(time),
        "told_at": nullable(time),
    }
    wanted: dict[str, Schema] = {
        "way": way,
        "address": {"type": "string", "minLength": 1, "maxLength": ADDRESS_MOST},
        "rooms": rooms,
        "kinds": kinds,
    }
    secret = TEXT | {"description": "Of a webhook, when it is new: it is told this once. Otherwise empty."}
    delivery = {
        "at": time,
        "first_seq": COUNT | {"description": "0 is a test."},
        "last_seq": COUNT,
        "outcome": {"enum": [one.value for one in Outcome]},
        "why": TEXT,
        "took_ms": {"type": "integer"},
    }
    return {
        "Event": {
            "type": "object",
            "description": "New members and kinds may come; readers pass over what they do not know.",
            "properties": {
                "schema": {"const": SCHEMA},
                "seq": {"type": "integer", "minimum": 1},
                "at": time,
                "at_ms": {"type": "integer"},
                "room": TEXT,
                "run": TEXT,
                "kind": {"enum": [kind.value for kind in Kind]},
                "who": TEXT,
                "why": TEXT,
                "body": {"type": "object"},
            },
            "required": ["schema", "seq", "at", "at_ms", "room", "run", "kind", "who", "why", "body"],
        },
        "Events": plain(
            {
                "events": listed(reference("Event")),
                "after": COUNT,
                "more": {"type": "boolean"},
                "next": TEXT,
            }
        ),
        "TargetDocument": plain(wanted, ("way", "address")),
        "NewTarget": plain(
            {
                "name": name,
                **wanted,
                "after": nullable({"type": "integer", "minimum": 0, "maximum": (1 << 53) - 1}),
            },
            ("name", "way", "address"),
        ),
        "Target": plain(target),
        "TargetAndSecret": plain({**target, "secret": secret}),
        "Targets": plain({"targets": listed(reference("Target"))}),
        "TargetStep": {
            "type": "object",
            "properties": {"from": {"type": "integer", "minimum": 1, "maximum": (1 << 53) - 1}},
            "description": "`from` is the first event of a replay, which needs it; for the others {}.",
        },
        "Deliveries": plain({"deliveries": listed(plain(delivery))}),
    }


DOCUMENTS: Mapping[str, Schema] = _documents() | _of_guests() | _of_history() | _of_journal()
