"""Scripted answers: the small parts that a scripted room's answers are made of.

Not here: what is answered (``scripted_room``).
"""

import base64
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from waitroom.shells import Page
from waitroom.words import negotiate


def language(request: Request) -> str:
    """Return the language that a request asks for."""
    return negotiate(request.headers.get("accept-language", ""), request.query_params.get("lang", ""))


def sent(request: Request, page: Page) -> Response:
    """Send a page as the product does, compressed where that is welcome."""
    headers, body = page.coded(request.headers.get("accept-encoding", "").encode())
    return Response(body, headers={name.decode(): value.decode() for name, value in headers})


async def form_target(request: Request) -> str:
    """Read the form as the product does; Starlette's own reader wants another package."""
    return parse_qs((await request.body()).decode("latin-1")).get("target", ["/"])[0]


def problem(status: int, code: str, detail: str = "", retry_after_s: int = 0, **more: Any) -> Response:
    """Refuse in the words of RFC 9457."""
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s else {}
    body = {
        "type": f"https://waitroom.dev/problems/{code}",
        "status": status,
        "code": code,
        "detail": detail,
        **more,
    }
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def watch(code: str) -> str:
    """Return the name by which the old device asks for its code: the code itself must not stand in a log."""
    return sha256(code.encode()).hexdigest()[:32]


def b64url(raw: bytes) -> str:
    """Write octets as the web does."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
