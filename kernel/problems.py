"""Problem: the one form in which every failure reaches a caller (RFC 9457, ``application/problem+json``).

Members: ``type title status detail code``, where a repeat helps ``retry_after_s`` (and the header
Retry-After), and whatever the failure carries beside. ``title`` belongs to the code and never changes,
``detail`` is for people. A failure that nobody foresaw answers 500 with a reference and nothing
internal; the log has the same reference. Problems are never cached.

The header ``Waitroom-Trace`` names the trace that the request is in (``kernel.tracing``): what a fan tells support, and
what all log lines of the request carry. An unforeseen failure's reference is the same name.
"""

import logging
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kernel import tracing
from kernel.errors import Refused, Unavailable

log = logging.getLogger(__name__)

TYPE_BASE = "https://waitroom.dev/problems/"
CONTENT_TYPE = b"application/problem+json"
TRACE = b"waitroom-trace"

Handler = Callable[[Request, Exception], Response]
RawProblem = tuple[int, list[tuple[bytes, bytes]], bytes]


def problem_body(status: int, code: str, public: str, /, **extra: object) -> bytes:
    """Write a problem document; ``extra`` cannot displace the standard members."""
    return orjson.dumps(
        {
            **extra,
            "type": TYPE_BASE + code,
            "title": code.replace("-", " ").capitalize(),
            "status": status,
            "detail": public,
            "code": code,
        }
    )


def raw_problem(error: Exception) -> RawProblem:
    """Return status, headers and body for a failure, for raw ASGI; an unforeseen one is logged."""
    match error:
        case Refused() | Unavailable():
            return _problem(error.status, error.code, error.public, error.retry_after_s, error.extra)
        case HTTPException():
            name = _phrase(error.status_code)
            code = name.lower().replace(" ", "-").replace("'", "")
            status, headers, body = _problem(error.status_code, code, f"{name}.", None, {})
            headers += [
                (key.lower().encode(), value.encode()) for key, value in (error.headers or {}).items()
            ]
            return status, headers, body
        case _:
            here = tracing.current()
            reference = os.urandom(6).hex() if here is None else here.trace_id
            log.error("unforeseen failure", exc_info=error, extra={"reference": reference})
            public = "Something went wrong on our side. Please try again."
            return _problem(500, "internal", public, None, {"reference": reference})


def handlers() -> Mapping[type[Exception], Handler]:
    """Return the exception handlers for a Starlette application."""
    return dict.fromkeys((Refused, Unavailable, HTTPException, Exception), _handle)


def _handle(_request: Request, error: Exception) -> Response:
    status, headers, body = raw_problem(error)
    response = Response(body, status)
    response.raw_headers += headers
    return response


def _problem(
    status: int, code: str, public: str, retry_after_s: int | None, extra: Mapping[str, object]
) -> RawProblem:
    headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
    if (here := tracing.current()) is not None:
        headers.append((TRACE, here.trace_id.encode()))
    if retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % retry_after_s))
        extra = {**extra, "retry_after_s": retry_after_s}
    return status, headers, problem_body(status, code, public, **extra)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
