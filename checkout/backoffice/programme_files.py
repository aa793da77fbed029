"""Programme's files: a form with a file in it, as a browser sends it without scripts (multipart/form-data). Pure.

Only what our own forms send is read: parts with a name, one after the other, no part inside of another. What is
anything else is refused, and so is what is larger, or has more parts, than a form of ours can have. A file keeps its
octets (as Latin-1 in the mapping, where each character is an octet), a field is UTF-8.

Sources: RFC 7578, RFC 2046 5.1.1. Not here: what is in the file (``halls.plans``).
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from kernel.asgi import Receive, Scope, header, read_body
from kernel.errors import Refused

FILE_MOST_BYTES = 32 * 1024 * 1024 + 64 * 1024
"""The API's bound of a hall's file, and what a form has beside it."""

FORM_MOST_BYTES = 2 * 1024 * 1024
"""The API's bound of a document: the tiers of each seat of a hall, and all prices."""

FIELDS_MOST = 20_000
PARTS_MOST = 16
FILE_NAME = ".name"
"""A file ``plan`` has what it is called in ``plan.name``."""

_BOUNDARY = re.compile(
    r'multipart/form-data\s*;\s*boundary="?([0-9A-Za-z\'()+_,./:=?-]{1,70})"?\s*', re.IGNORECASE
)
_NAMED = re.compile(
    rb'form-data;\s*name="([^"\r\n]{1,100})"(?:;\s*filename="([^"\r\n]{0,300})")?', re.IGNORECASE
)
_KIND = b"application/x-www-form-urlencoded"

Form = Mapping[str, Sequence[str]]


async def read_large_form(scope: Scope, receive: Receive) -> Form:
    """Read a form of many fields, those that were emptied among them.

    Raises ``Refused``: ``content-type-unknown``, ``body-too-large``, ``form-malformed``.
    """
    octets = await read_body(receive, FORM_MOST_BYTES)
    kind = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if octets and kind != _KIND:
        raise Refused("content-type-unknown", "Send application/x-www-form-urlencoded.", status=415)
    try:
        return parse_qs(
            octets.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MOST
        )
    except ValueError as error:
        raise _malformed() from error


async def read_file_form(scope: Scope, receive: Receive) -> Form:
    """Read a form with a file. Raises ``Refused`` as ``read_large_form`` does."""
    kind = (header(scope, b"content-type") or b"").decode("latin-1")
    found = _BOUNDARY.fullmatch(kind.strip())
    if found is None:
        raise Refused("content-type-unknown", "Send multipart/form-data.", status=415)
    return read_parts(await read_body(receive, FILE_MOST_BYTES), found[1].encode())


def read_parts(octets: bytes, boundary: bytes) -> Form:
    """Read the parts of a form. Raises ``Refused("form-malformed")``."""
    line = b"--" + boundary
    if not octets.startswith(line + b"\r\n"):
        raise _malformed()
    made: dict[str, list[str]] = {}
    at = len(line) + 2
    for _ in range(PARTS_MOST):
        end = octets.find(b"\r\n" + line, at)
        if end < 0:
            raise _malformed()
        _take(octets[at:end], made)
        at = end + 2 + len(line)
        behind = octets[at : at + 2]
        if behind == b"--":
            return made
        if behind != b"\r\n":
            raise _malformed()
        at += 2
    raise _malformed()


def _take(part: bytes, made: dict[str, list[str]]) -> None:
    head, gap, body = part.partition(b"\r\n\r\n")
    disposition = next(
        (
            value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
            if name.strip().lower() == b"content-disposition"
        ),
        b"",
    )
    found = _NAMED.fullmatch(disposition)
    if not gap or found is None:
        raise _malformed()
    try:
        name, file = found[1].decode(), None if found[2] is None else found[2].decode()
        made.setdefault(name, []).append(body.decode() if file is None else body.decode("latin-1"))
    except UnicodeDecodeError as error:
        raise _malformed() from error
    if file is not None:
        made.setdefault(name + FILE_NAME, []).append(file)


def _malformed() -> Refused:
    return Refused("form-malformed", "The form cannot be read.")
