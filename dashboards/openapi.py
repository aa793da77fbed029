"""OpenAPI: the description of the operator's API for programs (OpenAPI 3.1), drawn from the code's tables.

The same document is served at ``GET /api/openapi.json`` and stands in ``docs/openapi.json`` (``make docs``). Nothing
is listed by hand here: operations are ``api_table``'s, documents ``api_documents``'.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from dashboards.api_documents import DOCUMENTS, Schema, reference
from dashboards.api_table import ALWAYS, GUARDED, OPERATIONS, STATUS, Operation
from dashboards.history import STEPS
from waitroom.field_readers import NAME
from waitroom.journal import Kind
from waitroom.journal_reader import LIMIT_MOST
from waitroom.levers import Lever
from waitroom.target_desk import Act

PROBLEM = "application/problem+json"
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
API_VERSION = "1"

_PARAMETERS: Mapping[str, Schema] = {
    "room": {"type": "string", "pattern": f"^{NAME.pattern}$"},
    "sale": {"type": "string", "pattern": f"^{NAME.pattern}$"},
    "lever": {"type": "string", "enum": [str(lever) for lever in Lever]},
    "act": {"type": "string", "enum": ["evict", "finish", "reinstate", "renew", "revoke"]},
    "arrived": {"type": "string", "pattern": "^[1-9][0-9]{0,11}$"},
    "batch": {"type": "string", "pattern": "^[0-9]{1,6}$"},
    "target": {"type": "string", "pattern": f"^{NAME.pattern}$"},
    "step": {"type": "string", "enum": [act.value for act in Act]},
}
_QUERY: dict[str, tuple[str, Schema]] = {
    "after": (
        "The cursor: events with a larger `seq`; `now` for those to come.",
        {"type": "string", "pattern": "^(now|[0-9]{1,15})$"},
    ),
    "room": (
        "Rooms; may be given more than once.",
        {"type": "array", "items": {"type": "string", "pattern": f"^{NAME.pattern}$"}},
    ),
    "kind": (
        "Kinds; may be given more than once.",
        {"type": "array", "items": {"enum": [kind.value for kind in Kind]}},
    ),
    "limit": ("Events at most.", {"type": "integer", "minimum": 1, "maximum": LIMIT_MOST}),
}
_QUERY |= {
    "from": ("The beginning: ISO 8601, or milliseconds since 1970.", {"type": "string"}),
    "to": ("The end, likewise; now, where it is left out.", {"type": "string"}),
    "every": ("The step.", {"type": "string", "enum": list(STEPS)}),
    "sale": ("A sale instead of times.", {"type": "string"}),
    "fields": ("Columns, with commas between them; all, where it is left out.", {"type": "string"}),
}
_ETAG: Schema = {"type": "string", "pattern": '^"[0-9]{1,18}"$'}
_HEADERS: Mapping[str, tuple[str, Schema]] = {
    "If-Match": (
        "The version that is changed, as ETag gave it; * stands for whatever is current.",
        {"type": "string", "pattern": '^(\\*|"[0-9]{1,18}")$'},
    ),
    "If-None-Match": ("A version that is known; of PUT *, which makes a room.", {"type": "string"}),
    "Waitroom-Who": ("Who changes it, for the journal; percent-encoded.", {"type": "string"}),
    "Waitroom-Why": ("Why, for the journal; percent-encoded.", {"type": "string"}),
}


def document_of(operations: Iterable[Operation]) -> dict[str, Any]:
    """Write the description of some operations. Raises ``KeyError`` for a document or code without an entry."""
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Waitroom operator API",
            "version": API_VERSION,
            "description": "Rooms, sales and sessions, on the operator's port. Every failure is a problem (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": dict(DOCUMENTS),
        },
    }


@cache
def document() -> dict[str, Any]:
    """Return the description of the whole API."""
    return document_of(OPERATIONS)


def _operation(one: Operation) -> dict[str, Any]:
    names = [*one.headers, *(["If-Match"] if one.match else [])]
    names += ["Waitroom-Who", "Waitroom-Why"] if one.who else []
    written: dict[str, Any] = {
        "summary": one.summary,
        "operationId": _identifier(one),
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": _PARAMETERS.get(name, {"type": "string"})}
                for name in re.findall(r"\{(\w+)\}", one.path)
            ),
            *(_query(name) for name in one.query),
            *(_header(name, required=one.match and name == "If-Match") for name in names),
        ],
        "responses": _answers(one) | _problems(one),
    }  # fmt: skip
    if one.asks:
        kinds = (MERGE_PATCH, JSON) if one.patch else (JSON,)
        content = {kind: {"schema": _known(one.asks)} for kind in kinds}
        written["requestBody"] = {"required": True, "content": content}
    return written


def _identifier(one: Operation) -> str:
    """Name an operation for those who generate clients: ``patch_rooms_room``."""
    return re.sub(r"\W+", "_", f"{one.method.lower()}{one.path.removeprefix('/api')}").strip("_")


def _header(name: str, *, required: bool) -> dict[str, Any]:
    told, schema = _HEADERS[name]
    return {"name": name, "in": "header", "required": required, "description": told, "schema": schema}


def _query(name: str) -> dict[str, Any]:
    told, schema = _QUERY[name]
    return {"name": name, "in": "query", "required": False, "description": told, "schema": schema}


def _answers(one: Operation) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if one.etag:
        headers["ETag"] = {"required": True, "description": "The room's version.", "schema": _ETAG}
    if one.located:
        headers["Location"] = {"required": True, "schema": {"type": "string"}}
    found: dict[str, Any] = {}
    for status, name in {one.status: one.answers, **one.also}.items():
        is_text = " " in name
        answer: dict[str, Any] = {"description": name if is_text else "Done."}
        if name and not is_text:
            answer["content"] = {JSON: {"schema": _known(name)}}
        if headers:
            answer["headers"] = headers
        found[str(status)] = answer
    return found


def _known(name: str) -> Schema:
    if name not in DOCUMENTS:
        raise KeyError(name)
    return reference(name)


def _problems(one: Operation) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*ALWAYS, *(GUARDED if one.guarded else ()), *one.codes)):
        by_status.setdefault(STATUS[code], []).append(code)
    found: dict[str, Any] = {}
    for status, codes in sorted(by_status.items()):
        own = {"properties": {"status": {"const": status}, "code": {"enum": sorted(codes)}}}
        found[str(status)] = {
            "description": ", ".join(f"`{code}`" for code in sorted(codes)),
            "content": {PROBLEM: {"schema": {"allOf": [reference("Problem"), own]}}},
        }
    return found
