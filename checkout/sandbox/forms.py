"""Forms: bodies and queries in Stripe's encoding, where brackets make trees (``metadata[order]=…``, ``expand[0]=…``).

``a[]=x`` and ``a[0]=x`` make lists, other brackets mappings. The last one counts where a name comes twice. A name that
is both a value and a tree, or is malformed, is an error, as Stripe has it. Pure.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from checkout.sandbox.answers import ApiError

FIELDS_MOST = 200
DEPTH_MOST = 5

Tree = dict[str, Any]

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")


def read_form(encoded: bytes) -> Tree:
    """Read a body or a query. Raises ``ApiError``."""
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(encoded),
            errors="strict",
            max_num_fields=FIELDS_MOST,
        )
    except ValueError as error:
        raise ApiError(400, "Invalid form encoding.") from error
    return nested(pairs)


def nested(pairs: Iterable[tuple[str, str]]) -> Tree:
    """Make a tree of pairs. Raises ``ApiError``."""
    root: Tree = {}
    for name, value in pairs:
        parts = _parts(name)
        place = root
        for part in parts[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ApiError(400, f"Invalid hash: {name}", param=name)
        last = parts[-1]
        if last == "":
            last = str(len(place))
        if isinstance(place.get(last), dict):
            raise ApiError(400, f"Invalid string: {name}", param=name)
        place[last] = value
    return {name: _listed(value) for name, value in root.items()}


def _parts(name: str) -> list[str]:
    found = _NAME.fullmatch(name)
    parts = [found[1], *_PART.findall(found[2])] if found else []
    if not parts or len(parts) > DEPTH_MOST or "" in parts[:-1]:
        raise ApiError(400, f"Invalid parameter name: {name[:100]}")
    return parts


def _listed(value: Any) -> Any:
    """Make lists of mappings whose names are 0, 1, 2 and so on."""
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(one) for name, one in value.items()}
    return list(inner.values()) if list(inner) == [str(index) for index in range(len(inner))] else inner
