"""Scorer: somebody outside who says how likely an attempt is fraud, and for whom no sale ever waits long.

One POST with a JSON object; the answer is ``{"score": 0..1, "reasons": ["…"]}`` with status 200. The whole of it
(name look-up, connection, answer to its last byte) has ``timeout_ms``, then it goes on without. After ``FAILURES``
failures in a row the scorer is left alone for ``REST_MS``; then one attempt tries it, the others still do without.
Nothing is asked twice and no redirection is followed.

**Signed**: ``Waitroom-Signature: t=<seconds since 1970>,v1=<hex>``, with
``HMAC-SHA256(secret, t "." body)``. Whoever receives it compares in constant time and refuses an old ``t``.

**What is sent**: the event, amount, number of seats, the pseudonyms of account and device, country and AS number, what
the windows hold, and the domain of the e-mail address. Of the address only its network (/24, /48), unless
it is set otherwise; of the card nothing, not even a pseudonym. Not here: what follows from a score (``rules``).
"""

import asyncio
from collections.abc import Mapping
from hmac import digest
from math import isfinite
from urllib.parse import urlsplit

import aiohttp
import orjson

from checkout.fraud.rules import Score, Scored, Why
from checkout.fraud.signals import Attempt, Kind
from kernel.addresses import network_of, parsed
from kernel.clock import Clock
from kernel.connecting import connector
from kernel.errors import Misconfigured
from kernel.places import Place
from kernel.signing import SECRET_MIN_BYTES
from kernel.tracing import onward

FAILURES = 5
REST_MS = 30_000
ANSWER_MOST_BYTES = 65_536
REASONS_MOST = 20
REASON_MOST = 200
SIGNATURE = "Waitroom-Signature"


class Circuit:
    """Remembers failures in a row, and says whether it is worth asking."""

    __slots__ = ("_failures", "_most", "_rest_ms", "_until_ms")

    def __init__(self, most: int = FAILURES, rest_ms: int = REST_MS) -> None:
        """Leave it alone for `rest_ms` after `most` failures."""
        self._most = most
        self._rest_ms = rest_ms
        self._failures = 0
        self._until_ms = 0

    def may_ask(self, now_ms: int) -> bool:
        """Tell whether to ask; after a rest the first who may is the one who tries, and the next rest begins."""
        if self._failures < self._most:
            return True
        # The second half: a clock that was set back does not make the rest longer.
        if now_ms < self._until_ms <= now_ms + self._rest_ms:
            return False
        self._until_ms = now_ms + self._rest_ms
        return True

    def worked(self) -> None:
        """Forget the failures."""
        self._failures = 0

    def failed(self, now_ms: int) -> None:
        """Note a failure."""
        self._failures += 1
        self._until_ms = now_ms + self._rest_ms


def question(
    attempt: Attempt,
    names: Mapping[Kind, str],
    place: Place | None,
    counts: Mapping[str, int] | None,
    *,
    with_address: bool = False,
) -> dict[str, object]:
    """Write down what the scorer is told; `names` are pseudonyms."""
    place = place or Place()
    amount = attempt.amount
    return {
        "id": attempt.id,
        "event": attempt.event,
        "account": names.get(Kind.ACCOUNT, ""),
        "device": names.get(Kind.DEVICE, ""),
        "device_known": bool(attempt.device),
        "address": _told(attempt.address, whole=with_address),
        "country": place.country,
        "asn": place.asn,
        "email_domain": attempt.email_domain,
        "amount_minor": 0 if amount is None else amount.amount_minor,
        "currency": "" if amount is None else amount.currency,
        "seats": attempt.seats,
        "counts": dict(counts or {}),
    }


def _told(address: str, *, whole: bool) -> str:
    at = parsed(address)
    if at is None:
        return ""
    return str(at) if whole else network_of(at)


def read_answer(octets: bytes) -> Score:
    """Read what the scorer said. Raises ``ValueError`` for anything else than what is agreed."""
    said = orjson.loads(octets)
    fields = said if isinstance(said, dict) else {}
    value, reasons = fields.get("score"), fields.get("reasons", [])
    # True is a number to Python, but no score.
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError("the score is not a number")
    if not 0 <= value <= 1:
        raise ValueError("the score is not between 0 and 1")
    if not isinstance(reasons, list) or not all(isinstance(reason, str) for reason in reasons):
        raise ValueError("the reasons are not a list of texts")
    return Score(float(value), tuple(reason[:REASON_MOST] for reason in reasons[:REASONS_MOST]))


class HttpScorer:
    """Asks a scorer over HTTP, for one worker."""

    def __init__(
        self, url: str, secret: bytes, clock: Clock, *, timeout_ms: int = 300, circuit: Circuit | None = None
    ) -> None:
        """Nothing is sent yet. Raises ``Misconfigured``."""
        faults = []
        where = urlsplit(url)
        if where.scheme not in {"http", "https"} or not where.hostname:
            faults.append("The scorer's address must begin with http:// or https:// and name a host.")
        if len(secret) < SECRET_MIN_BYTES:
            faults.append(
                f"The scorer's secret has {len(secret)} bytes, at least {SECRET_MIN_BYTES} are needed."
            )
        if faults:
            raise Misconfigured(faults)
        self._url = url
        self._secret = secret
        self._clock = clock
        self._timeout_s = timeout_ms / 1_000
        self._circuit = circuit or Circuit()
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, question: Mapping[str, object]) -> Scored:
        """Return a score, or why there is none."""
        now_ms = self._clock.now_ms()
        if not self._circuit.may_ask(now_ms):
            return Why.SKIPPED
        why = Why.FAILED
        try:
            async with asyncio.timeout(self._timeout_s):
                octets = await self._post(orjson.dumps(question), now_ms // 1_000)
            if octets is not None:
                score = read_answer(octets)
                self._circuit.worked()
                return score
        except TimeoutError:
            why = Why.TIMEOUT
        except (aiohttp.ClientError, OSError):
            why = Why.FAILED
        except ValueError:
            why = Why.MALFORMED
        self._circuit.failed(self._clock.now_ms())
        return why

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, body: bytes, now_s: int) -> bytes | None:
        """Return the body of a good answer, None for another status. Raises ``ValueError`` for one too long."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        headers = {
            "content-type": "application/json",
            SIGNATURE: signature(self._secret, body, now_s),
            **onward(),
        }
        octets = bytearray()
        async with self._session.post(
            self._url, data=body, headers=headers, allow_redirects=False
        ) as response:
            if response.status != 200:
                return None
            async for chunk in response.content.iter_any():
                octets += chunk
                if len(octets) > ANSWER_MOST_BYTES:
                    raise ValueError("the answer is too long")
        return bytes(octets)


def signature(secret: bytes, body: bytes, now_s: int) -> str:
    """Sign a body, with the time at which it was signed."""
    return f"t={now_s},v1={digest(secret, f'{now_s}.'.encode() + body, 'sha256').hex()}"
