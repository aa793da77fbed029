"""Access: who may steer. A bearer token for programs, a signed-in browser session for people.

The session is a signed cookie (HttpOnly, SameSite=Strict, ``__Host-`` with TLS); it holds a random id, the person's
name and its end. That of somebody who showed the operator token holds a fingerprint of it, so that a new token ends
it. That of somebody with an account is worth nothing by itself: what they may do stands with their account
(``session_book``). Each form carries a CSRF paper that is bound to the session's id; the form for signing in is bound
to a session that is not signed in yet.

Guessing: after some failures an address has to wait, each time twice as long. An account waits, too, but strangers
cannot keep its person out: whoever comes from a network from which they have signed in before waits only for failures
of that network. While somebody waits the right word is not accepted either, else waiting would cost a guesser nothing.
Kept for all processes together (``wait_book``); wrong tokens of the API in each for itself (``Attempts``).
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from starlette.requests import Request

from dashboards.rights import Person, Role
from dashboards.wait_book import Guesser, Rule, neighbours
from kernel.clock import Clock
from kernel.cookies import host_name, parse, set_cookie
from kernel.signing import BadSignature, PaperSigner

COOKIE = "waitroom-operator"
FORM_COOKIE = "waitroom-operator-form"
"""Of its own name: with SameSite=Strict a person who follows a link from elsewhere arrives without their session, and
the form for signing in must not take its place."""
SESSION_MS = 12 * 3_600_000
SIGN_IN_MS = 3_600_000
FREE_FAILURES, STRANGERS_FREE = 5, 10
"""The failure that costs a wait: of an address, or by account, from where its person came from; from elsewhere."""
BY_ACCOUNT = "account"


def digest_of(token: str) -> bytes:
    """Hash a token, so that comparing takes the same time whatever its length."""
    return hashlib.sha256(b"waitroom-operator\0" + token.encode("utf-8", "surrogateescape")).digest()


def same_token(given: str, wanted: bytes) -> bool:
    """Compare in constant time with the hash of the right token."""
    return hmac.compare_digest(digest_of(given), wanted)


def network_of(address: str) -> str:
    """Shorten an address to what a list may keep: /24 of IPv4, /48 of IPv6; '' for none."""
    try:
        return str(ip_network(f"{address}/{24 if ip_address(address).version == 4 else 48}", strict=False))
    except ValueError:
        return ""


def by_address(address: str) -> Guesser:
    """Count by address, whatever it tries. Neighbours in an IPv6 /64 are one."""
    return Guesser(f"address {neighbours(address)}", Rule(FREE_FAILURES))


def by_account(key: str, known: str) -> Guesser:
    """Count by account: strangers together, whoever is `known` (by their network, by a session) for themselves."""
    rule = (
        Rule(FREE_FAILURES) if known else Rule(STRANGERS_FREE, first_wait_ms=5_000, longest_wait_ms=300_000)
    )
    return Guesser(f"account {key} {known}", rule)


@dataclass(frozen=True, slots=True)
class Session:
    """A person who signed in, or (``who`` is '') a browser that was given the form for signing in.

    ``role`` and ``rooms`` of an ``account`` are filled in from the account by whoever looks it up, and nothing before.
    """

    sid: str
    who: str
    until_ms: int
    role: Role = Role.OWNER
    rooms: frozenset[str] | None = None
    account: bool = False

    @property
    def person(self) -> Person:
        """Who acts, and what they may do: the token is an owner's."""
        return Person(self.who, self.role, self.rooms)


class Sessions:
    """Hands out and reads browser sessions."""

    def __init__(self, signer: PaperSigner, operator_token: str, clock: Clock, *, secure: bool) -> None:
        """Bind sessions to the operator token."""
        self._signer = signer
        self._fingerprint = digest_of(operator_token).hex()[:16]
        self._clock = clock
        self._secure = secure
        self._ended: dict[str, int] = {}

    def new(self, who: str = "", *, account: bool = False) -> Session:
        """Begin a session with a fresh id, so that an id planted before signing in is worth nothing."""
        until_ms = self._clock.now_ms() + (SESSION_MS if who else SIGN_IN_MS)
        return _session(secrets.token_urlsafe(16), who, until_ms, account=account)

    def read(self, request: Request) -> Session | None:
        """Return the session of a person who signed in; None for none, a forged, old or ended one."""
        session = self._read(request, COOKIE)
        return session if session is not None and session.who else None

    def read_form(self, request: Request) -> Session | None:
        """Return the session that the form for signing in is bound to."""
        session = self._read(request, FORM_COOKIE)
        return session if session is not None and not session.who else None

    def _read(self, request: Request, name: str) -> Session | None:
        cookies = parse(request.headers.get("cookie", "").encode("latin-1"))
        try:
            text = self._signer.open(cookies.get(host_name(name, self._secure), ""), max_length=1024)
            paper: Any = json.loads(text)
            account = paper["token"] == BY_ACCOUNT
            session = _session(paper["sid"], paper["who"], paper["until_ms"], account=account)
            fingerprint = paper["token"]
        except (BadSignature, ValueError, KeyError, TypeError):
            return None
        known = session.account or fingerprint == self._fingerprint
        return session if known and self.lasts(session) else None

    def lasts(self, session: Session) -> bool:
        """Tell whether a session that was read before is neither over nor ended here."""
        return self._clock.now_ms() < session.until_ms and session.sid not in self._ended

    def cookie(self, session: Session) -> bytes:
        """Write the Set-Cookie header's value for a session."""
        paper = {
            "sid": session.sid,
            "who": session.who,
            "until_ms": session.until_ms,
            "token": BY_ACCOUNT if session.account else self._fingerprint,
        }
        value = self._signer.sign(json.dumps(paper).encode())
        lasts_s = (session.until_ms - self._clock.now_ms()) // 1000
        return self._set(COOKIE if session.who else FORM_COOKIE, value, lasts_s)

    def end(self, session: Session) -> bytes:
        """End a session for good and return the Set-Cookie value that takes it from the browser."""
        now_ms = self._clock.now_ms()
        self._ended = {sid: until for sid, until in self._ended.items() if until > now_ms}
        self._ended[session.sid] = session.until_ms
        return self._set(COOKIE, "", 0)

    def _set(self, name: str, value: str, max_age_s: int) -> bytes:
        name = host_name(name, self._secure)
        return set_cookie(name, value, secure=self._secure, same_site="strict", max_age_s=max_age_s)

    def csrf(self, session: Session) -> str:
        """Return the paper that a form of this session carries."""
        return self._signer.sign(b"csrf\0" + session.sid.encode())

    def csrf_holds(self, session: Session, text: str) -> bool:
        """Tell whether a form's paper belongs to this session."""
        try:
            return self._signer.open(text, max_length=256) == b"csrf\0" + session.sid.encode()
        except BadSignature:
            return False


def _session(sid: str, who: str, until_ms: int, *, account: bool) -> Session:
    if account:
        return Session(sid, who, until_ms, Role.VIEWER, frozenset(), account=True)
    return Session(sid, who, until_ms)


def same_origin(request: Request) -> bool:
    """Tell whether a form was sent from our own page, as far as the browser says so."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    return site in {"same-origin", "none"} and origin in {None, f"http://{host}", f"https://{host}"}
