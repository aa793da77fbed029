"""Admission token: a JWT that says "this session may be here", checked by a backend without asking us.

Header ``alg`` ES256, ``typ`` waitroom-admission+jwt (RFC 8725, 3.11: a status document or a receipt is no
admission), ``kid``. Claims::

    iss  this installation        sub  the session's id (sid)     iat  when the fan was admitted
    aud  the origin               room run lane                   exp  end of the time given
    jti  sid "-" exp in hex       renewed  (only after a renewal) when the present time was given
    cnf  {"jkt"} the thumbprint of the browser's key (RFC 7800), only where the place was bound to one

``iat`` stays the admission's own time through all renewals, so ``now - iat`` is the session's age. A
token is a function of the admission, and the signature is deterministic: a repeated claim gives the same text.

Checking never trusts the header: the algorithm is fixed, an unknown ``kid`` or ``crit`` is refused, and each
failure has its word. PyJWT checks the signature; times are judged here, against an argument. Not here:
whether a session was ended early (the gates know), where keys come from (``keyring``, ``guard``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import jwt
from jwt.types import Options

from admission import es256
from admission.limits import LEEWAY_MS
from kernel.signing import b64url, from_b64url, keyed

TYP = "waitroom-admission+jwt"
ALGORITHM = "ES256"
MAX_CHARS = 4096
SID_CHARS = 22

_TEXT_CLAIMS = ("iss", "aud", "sub", "room", "run", "lane", "jti")
_SIGNATURE_ONLY: Options = {
    "verify_signature": True, "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
    "verify_iss": False, "verify_sub": False, "verify_jti": False,
}  # fmt: skip


class Reason(StrEnum):
    """Why a token is not accepted."""

    MALFORMED = "malformed"
    WRONG_ALGORITHM = "wrong-algorithm"
    WRONG_TYPE = "wrong-type"
    UNKNOWN_KEY = "unknown-key"
    FORGED = "forged"
    INCOMPLETE = "claims-incomplete"
    WRONG_ISSUER = "wrong-issuer"
    WRONG_AUDIENCE = "wrong-audience"
    FOREIGN_ROOM = "foreign-room"
    FUTURE = "from-the-future"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. Times are whole seconds inside the token."""

    issuer: str
    audience: str
    sid: str
    room: str
    run: str
    lane: str
    admitted_ms: int
    issued_ms: int
    expires_ms: int
    key: str = ""

    @property
    def jti(self) -> str:
        """The token's own id: another one for each renewal, the same for a repeat."""
        return f"{self.sid}-{self.expires_ms // 1000:x}"

    def members(self) -> dict[str, object]:
        """Return the JWT's claims."""
        claims: dict[str, object] = {
            "iss": self.issuer, "aud": self.audience, "sub": self.sid, "room": self.room, "run": self.run,
            "lane": self.lane, "jti": self.jti, "iat": self.admitted_ms // 1000, "exp": self.expires_ms // 1000,
        }  # fmt: skip
        if self.issued_ms // 1000 > self.admitted_ms // 1000:
            claims["renewed"] = self.issued_ms // 1000
        if self.key:
            claims["cnf"] = {"jkt": self.key}
        return claims


def session_id(secret: bytes, room: str, run: str, number: int, ticket_id: str) -> str:
    """Derive the session's id from the ticket: admitting twice is admitting once."""
    message = f"{room}\0{run}\0{number}\0{ticket_id}".encode()
    return b64url(_mac(secret)(message)[:16])


_json = json.JSONEncoder(separators=(",", ":")).encode
_mac = lru_cache(maxsize=8)(keyed)


def is_session_id(text: str) -> bool:
    """Tell whether a text has the form of a session id."""
    try:
        return len(text) == SID_CHARS and len(from_b64url(text)) == 16
    except ValueError:
        return False


def jwt_head(kid: str, typ: str) -> bytes:
    """Write the first part of a JWT, with its dot."""
    header = json.dumps({"alg": ALGORITHM, "kid": kid, "typ": typ}, separators=(",", ":"))
    return b64url(header.encode()).encode() + b"."


def write(key: es256.PrivateKey, head: bytes, members: Mapping[str, object]) -> str:
    """Sign a JWT; `head` comes from ``jwt_head``."""
    signed = head + b64url(_json(members).encode()).encode()
    return f"{signed.decode()}.{b64url(es256.sign_raw(key, signed))}"


def kid_of(token: str) -> str:
    """Return the key id in a token's header, unchecked."""
    try:
        return str(jwt.get_unverified_header(token).get("kid"))
    except jwt.InvalidTokenError:
        return ""


def read(token: str, keys: Mapping[str, es256.PublicKey]) -> Claims | Reason:
    """Check what never changes about a token: its form, key and signature. Times are judged by ``refusal``."""
    if len(token) > MAX_CHARS or not token.isascii():
        return Reason.MALFORMED
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        return Reason.MALFORMED
    if header.get("alg") != ALGORITHM:
        return Reason.WRONG_ALGORITHM
    if header.get("typ") != TYP:
        return Reason.WRONG_TYPE
    key = keys.get(str(header.get("kid")))
    if key is None:
        return Reason.UNKNOWN_KEY
    if header.keys() - {"alg", "typ", "kid"}:
        return Reason.MALFORMED
    try:
        members = jwt.decode(token, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
    except jwt.InvalidSignatureError:
        return Reason.FORGED
    except jwt.InvalidTokenError:
        return Reason.MALFORMED
    return _claims(members)


def refusal(
    claims: Claims, *, issuer: str, audience: str, room: str | None, now_ms: int, leeway_ms: int = LEEWAY_MS
) -> Reason | None:
    """Tell why a genuine token does not count here and now; None when it does."""
    if claims.issuer != issuer:
        return Reason.WRONG_ISSUER
    if claims.audience != audience:
        return Reason.WRONG_AUDIENCE
    if room is not None and claims.room != room:
        return Reason.FOREIGN_ROOM
    if claims.issued_ms > now_ms + leeway_ms:
        return Reason.FUTURE
    if now_ms >= claims.expires_ms + leeway_ms:
        return Reason.EXPIRED
    return None


def verify(
    token: str,
    keys: Mapping[str, es256.PublicKey],
    *,
    issuer: str,
    audience: str,
    room: str | None,
    now_ms: int,
    leeway_ms: int = LEEWAY_MS,
) -> Claims | Reason:
    """Check a token fully: who signed it, for whom, and that its time is now."""
    claims = read(token, keys)
    if isinstance(claims, Reason):
        return claims
    reason = refusal(claims, issuer=issuer, audience=audience, room=room, now_ms=now_ms, leeway_ms=leeway_ms)
    return reason or claims


def _claims(members: Mapping[str, object]) -> Claims | Reason:
    texts = [members.get(name) for name in _TEXT_CLAIMS]
    admitted_s, expires_s = members.get("iat"), members.get("exp")
    issued_s = members.get("renewed", admitted_s)
    confirmation = members.get("cnf", {"jkt": ""})
    key = confirmation.get("jkt") if isinstance(confirmation, dict) else None
    if (
        not all(isinstance(text, str) for text in texts)
        or not isinstance(key, str)
        or type(admitted_s) is not int
        or type(expires_s) is not int
        or type(issued_s) is not int
        or not 0 <= admitted_s <= issued_s <= expires_s
    ):
        return Reason.INCOMPLETE
    issuer, audience, sid, room, run, lane, _ = (str(text) for text in texts)
    return Claims(
        issuer, audience, sid, room, run, lane, admitted_s * 1000, issued_s * 1000, expires_s * 1000, key
    )
