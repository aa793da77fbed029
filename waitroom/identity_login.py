"""Identity login: somebody shows who they are by a login at an OpenID Connect provider.

A login is known by a cookie of the browser that began it, a signed paper: state, nonce, verifier (PKCE) and where to
go on. So nothing is kept of a login under way, however many begin one, and nobody can finish it in another browser.
Whom the provider names becomes a tag; name and address are not asked for. What comes out is a paper, good for ten
minutes, that a join shows: joining itself stays a POST of the fan's hand. Not here: requests to the provider, HTTP
(``identity_web``).
"""

import hmac
import secrets
from typing import NamedTuple

from kernel.errors import Refused, Unavailable
from kernel.oidc import Begun, NotBelieved
from kernel.signing import BadSignature, PaperSigner, b64url, from_b64url
from waitroom.identifying import Identifying
from waitroom.ports import Logins
from waitroom.reading import Reading
from waitroom.room_fields import IdentityWay

LOGIN_MS = 600_000
TARGET_MOST = 1024
_FIELDS = 9


class Sent(NamedTuple):
    """Where the browser goes, and the cookie's text."""

    address: str
    cookie: str


class Back(NamedTuple):
    """A login that came back: where to go on, in which language, and the paper that a join shows."""

    target: str
    language: str
    live: bool
    paper: str


class IdentityLogin:
    """Logins for the rooms of this worker that ask for one."""

    def __init__(self, identifying: Identifying, logins: Logins | None, signer: PaperSigner) -> None:
        """`logins` is None where no provider is set."""
        self._identifying = identifying
        self._logins = logins
        self._signer = signer
        self._shown = identifying.waitroom.metrics.identities

    async def begin(self, reading: Reading, target: str, language: str, now_ms: int, *, live: bool) -> Sent:
        """Send a browser to the provider. Raises Refused ``identity-not-login`` and Unavailable."""
        if reading.room.identity is not IdentityWay.OIDC:
            raise Refused("identity-not-login", "Nobody is asked to log in here.", status=404)
        logins = self._provider()
        room = reading.base.name
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        # The room stands in the state, so that whoever comes back without a cookie is still told so on its page.
        state = f"{room}.{secrets.token_urlsafe(32)}"
        where = b64url((target if len(target) <= TARGET_MOST else "/").encode("utf-8", "surrogateescape"))
        parts = (
            "3",
            room,
            state,
            nonce,
            verifier,
            where,
            language,
            "1" if live else "",
            str(now_ms + LOGIN_MS),
        )
        try:
            address = await logins.login_address(Begun("", state, nonce, verifier, ""), language)
        except NotBelieved as doubt:
            raise _away() from doubt
        self._shown.labels("oidc", "sent").inc()
        return Sent(address, self._signer.sign("|".join(parts).encode()))

    async def finish(self, reading: Reading, cookie: str, state: str, code: str, now_ms: int) -> Back:
        """Read a login that came back. Raises Refused ``identity-login-failed`` and Unavailable."""
        logins = self._provider()
        _, room, own, nonce, verifier, where, language, live, until_ms = self._opened(cookie)
        same = hmac.compare_digest(own.encode(), state.encode("utf-8", "surrogateescape"))
        if not same or room != reading.base.name or now_ms >= int(until_ms) or not code:
            raise self._failed("foreign")
        try:
            person = await logins.person(code, Begun("", own, nonce, verifier, ""))
        except NotBelieved as doubt:
            raise self._failed("not-believed") from doubt
        self._shown.labels("oidc", "right").inc()
        paper = await self._identifying.login_paper(reading, f"{person.issuer}\0{person.subject}", now_ms)
        return Back(from_b64url(where).decode("utf-8", "replace"), language, live == "1", paper)

    def room_of(self, cookie: str) -> str:
        """Name the room of a login under way; '' for what is none."""
        try:
            return self._opened(cookie)[1]
        except Refused:
            return ""

    def _opened(self, cookie: str) -> list[str]:
        try:
            parts = self._signer.open(cookie).decode("ascii").split("|")
        except (BadSignature, ValueError):
            parts = []
        if len(parts) != _FIELDS or parts[0] != "3":
            raise self._failed("foreign")
        return parts

    def _failed(self, outcome: str) -> Refused:
        self._shown.labels("oidc", outcome).inc()
        return Refused(
            "identity-login-failed",
            "This login did not work, or was begun elsewhere. Please log in again.",
            status=403,
        )

    def _provider(self) -> Logins:
        if self._logins is None:
            raise _away()
        return self._logins


def _away() -> Unavailable:
    return Unavailable("login-away", "Nobody can log in just now.", 30)
