"""Bodies: what a page sends as JSON, as fields. Pure. Not here: how much may be sent (``kernel.asgi.read_body``)."""

from collections.abc import Mapping
from typing import Any

import orjson

from kernel.errors import Refused


def json_fields(body: bytes) -> Mapping[str, Any]:
    """Read a JSON object; an empty body is an empty one. Raises Refused (``body-malformed``)."""
    try:
        fields = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise Refused("body-malformed", "Send a JSON object.")
    return fields


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """Return a field that is a text; '' for one that is missing or something else."""
    value = fields.get(name, "")
    return value if isinstance(value, str) else ""
