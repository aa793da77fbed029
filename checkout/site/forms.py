"""Form: what a page without scripts sends, and how a page is sent.

A page is ``no-store`` (it shows who looks, and what is left by now), packed where the browser takes it, under a strict
policy: our own files only, in no frame of anybody. Nothing in a page is secret but what the one who sees it has sent
or owns, and no part of it comes from another site, so packing gives nothing away (BREACH). Not here: which page
(``site.pages_web``), the policy's words (``render``).
"""

import gzip
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, Response

from checkout.caching import takes_gzip
from checkout.site.render import content_security_policy
from kernel.asgi import Receive, Scope, header, read_body
from kernel.errors import Refused

FORM_MOST_BYTES = 4096
FIELDS_MOST = 32
PACKED_FROM_BYTES = 1_000
PACKING = 5
"""Half of what level 9 costs, for a few hundred bytes more."""

_KIND = b"application/x-www-form-urlencoded"
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Encoding, Accept-Language, Cookie",
}


async def read_form(scope: Scope, receive: Receive) -> Mapping[str, Sequence[str]]:
    """Read a form. Raises ``Refused``: ``content-type-unknown`` (415), ``body-too-large`` (413), ``form-malformed``."""
    kind = header(scope, b"content-type")
    octets = await read_body(receive, FORM_MOST_BYTES)
    if octets and (kind or b"").partition(b";")[0].strip().lower() != _KIND:
        raise Refused("content-type-unknown", "Send application/x-www-form-urlencoded.", status=415)
    try:
        return parse_qs(octets.decode("ascii"), errors="strict", max_num_fields=FIELDS_MOST)
    except ValueError as error:
        raise Refused("form-malformed", "The form cannot be read.") from error


def one(form: Mapping[str, Sequence[str]], name: str) -> str:
    """Return a field that may be there once; '' if it is not. Raises ``Refused("form-malformed")``."""
    given = form.get(name, ())
    if len(given) > 1:
        raise Refused("form-malformed", f"The form has the field {name} more than once.")
    return given[0].strip() if given else ""


def amount(text: str) -> int | None:
    """Read a whole number; None for what is none, which the reader of the wish then tells."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def html(
    scope: Scope,
    text: str,
    *,
    status: int = 200,
    policy: str | None = None,
    more: Mapping[str, str] | None = None,
) -> Response:
    """Send a page."""
    octets = text.encode()
    headers = {**_HEADERS, "Content-Security-Policy": policy or content_security_policy(), **(more or {})}
    if len(octets) >= PACKED_FROM_BYTES and takes_gzip(scope):
        octets = gzip.compress(octets, PACKING, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return HTMLResponse(octets, status, headers)
