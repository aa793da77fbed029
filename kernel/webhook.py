"""Webhook: a body of JSON to an address that somebody has set, once.

Status 2xx is taken, 410 is for good, everything else is another time; of 429 and 503 not before ``Retry-After`` says.
No redirection is followed: it would carry what was signed to an address that nobody has set. Of an answer the body is
not read, so its length and its end do not matter. An address may be a secret itself (whoever has a chat's may write
there), so no failure is logged in its own words: it may quote the address. Not here: its signature
(``webhook_signing``), what is told, which addresses may be set, when it is tried again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import aiohttp

from kernel.backoff import LONGEST_MS, asked_s
from kernel.connecting import NotAllowed, connector
from kernel.log import described
from kernel.sending import Outcome, Result

log = logging.getLogger(__name__)

GONE = 410
BUSY = frozenset({429, 503})
LATER_MOST_S = LONGEST_MS // 1000
"""No receiver keeps us waiting for longer than a failure would."""

NOT_ALLOWED = "address not allowed"


class Hooks:
    """Posts bodies, over connections that are used again."""

    def __init__(
        self, patience_s: float, may_reach: Callable[[str, str], bool] | None = None, limit: int = 100
    ) -> None:
        """`may_reach`: tells of a host and one of its addresses whether it may be reached; None: all may."""
        self._patience_s = patience_s
        self._may_reach = may_reach
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], now_ms: int) -> Result:
        """Post a body of JSON, once; a ``Retry-After`` that is a date counts from `now_ms`."""
        # An address that is written as numbers is asked of no resolver.
        host = urlsplit(url).hostname or ""
        if self._may_reach is not None and _is_literal(host) and not self._may_reach(host, host):
            return Result(Outcome.LATER, NOT_ALLOWED)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(self._limit, may_reach=self._may_reach),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        try:
            async with (
                asyncio.timeout(self._patience_s),
                self._session.post(
                    url,
                    data=body,
                    headers={"content-type": "application/json", **headers},
                    allow_redirects=False,
                ) as answer,
            ):
                status, later = answer.status, answer.headers.get("retry-after")
        except TimeoutError:
            return Result(Outcome.AWAY, "no answer in time")
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, NotAllowed):
                return Result(Outcome.LATER, NOT_ALLOWED)
            return Result(Outcome.AWAY, type(error).__name__)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Result(Outcome.AWAY, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - whatever it is, its words may quote the address
            log.error(  # noqa: TRY400 - the same
                "a post failed in a way that was not foreseen", extra={"fault": described(error)}
            )
            return Result(Outcome.LATER, type(error).__name__)
        if 200 <= status < 300:
            return Result(Outcome.SENT)
        if status == GONE:
            return Result(Outcome.NEVER, str(status))
        wait_s = asked_s(later, now_ms, LATER_MOST_S) if status in BUSY else None
        return Result(Outcome.LATER, str(status), wait_s or 0)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _is_literal(host: str) -> bool:
    return aiohttp.helpers.is_ip_address(host)
