"""OpenID Connect: what is asked of a provider that says who somebody is, and which of its answers are believed.

Authorisation code with PKCE (RFC 7636, S256), state and nonce (OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3.7).
An ID token counts if one of the provider's published keys signed it with RS256 or ES256, and no other algorithm,
whatever the token says; if it is from this issuer, for this client and nobody else, not over, not from long ago, and
carries the nonce of this very login. Everything is compared here, in one place; time is an argument.

Pure. Two packages use it: the shop, whose fans and staff log in, and the line, where a room asks who comes. Not here:
requests (``gateway.oidc_requests``), what is done with who came.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from kernel.signing import b64url

ALGORITHMS = ("RS256", "ES256")
SCOPE = "openid profile email"
NOTHING_MORE = "openid"
"""The scope that tells who somebody is to the provider, and neither name nor address."""
SKEW_MS = 60_000
"""So far the provider's clock may be beside ours."""

YOUNG_MS = 600_000
"""A token was made for this login, so it is no older than a login may take."""

SUBJECT_MOST = 255
TOKEN_MOST = 16_384
RSA_LEAST = 2048
HERE = frozenset({"127.0.0.1", "::1", "localhost"})


class Doubt(StrEnum):
    """Why an answer of a provider is not believed."""

    PROVIDER = "provider"
    """What it says of itself is not whole, or is another's."""
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    KEY = "key"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    TIME = "time"
    NONCE = "nonce"
    SUBJECT = "subject"


class NotBelieved(Exception):
    """An answer does not count; nothing of it is told to whoever logs in."""

    def __init__(self, why: Doubt) -> None:
        self.why = why
        super().__init__(why.value)


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a provider is asked."""

    issuer: str
    authorize_url: str
    token_url: str
    keys_url: str


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a provider has named. ``email`` is '' unless the provider has made sure that it is theirs.

    ``said`` are the words of the claim that was asked for, none without one.
    """

    issuer: str
    subject: str
    email: str
    name: str
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """A login under way: `browser` goes into a cookie, state and nonce to the provider, the verifier with the code."""

    browser: str
    state: str
    nonce: str
    verifier: str
    back: str


def read_provider(plain: Mapping[str, Any], issuer: str) -> Provider:
    """Read a provider's metadata (OpenID Connect Discovery 1.0, section 4.3). Raises ``NotBelieved``."""
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    urls = [plain.get(name) for name in names]
    if plain.get("issuer") != issuer or not all(isinstance(url, str) and is_safe(url) for url in urls):
        raise NotBelieved(Doubt.PROVIDER)
    return Provider(issuer, *(str(url) for url in urls))


def is_safe(url: str) -> bool:
    """Tell whether an address is asked over TLS, or on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in HERE))


def challenge(verifier: str) -> str:
    """Give what is sent ahead of a verifier (S256)."""
    return b64url(hashlib.sha256(verifier.encode("ascii")).digest())


def login_address(
    provider: Provider,
    client: str,
    back_to: str,
    state: str,
    nonce: str,
    verifier: str,
    language: str,
    scope: str = SCOPE,
) -> str:
    """Write the address at which somebody logs in; `scope` is what is wanted to be known of them."""
    query = {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": back_to,
        "scope": scope,
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        "ui_locales": language,
    }
    joint = "&" if "?" in provider.authorize_url else "?"
    return f"{provider.authorize_url}{joint}{urlencode(query)}"


def read_id_token(
    token: str,
    keys: Sequence[Mapping[str, Any]],
    *,
    issuer: str,
    client: str,
    nonce: str,
    now_ms: int,
    claim: str = "",
) -> Person:
    """Return whom an ID token names, with the words of a `claim`; `keys` are the provider's JWKs.

    Raises ``NotBelieved``.
    """
    if len(token) > TOKEN_MOST:
        raise NotBelieved(Doubt.MALFORMED)
    try:
        head = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise NotBelieved(Doubt.MALFORMED) from None
    algorithm = head.get("alg")
    if algorithm not in ALGORITHMS:
        raise NotBelieved(Doubt.ALGORITHM)
    key = _key(keys, head.get("kid"), algorithm)
    options: Any = dict.fromkeys(
        ("verify_exp", "verify_iat", "verify_nbf", "verify_aud", "verify_iss"), False
    )
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm], options=options)
    except jwt.InvalidSignatureError:
        raise NotBelieved(Doubt.SIGNATURE) from None
    except jwt.InvalidTokenError:
        raise NotBelieved(Doubt.MALFORMED) from None
    _look(claims, issuer, client, nonce, now_ms)
    return _person(claims, issuer, claim)


def _key(keys: Sequence[Mapping[str, Any]], kid: object, algorithm: str) -> Any:
    """Return the one key that may have signed; its kind follows from the algorithm, never the other way round."""
    kind = "RSA" if algorithm == "RS256" else "EC"
    fit = [
        key
        for key in keys
        if key.get("kty") == kind
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    if len(fit) != 1:
        raise NotBelieved(Doubt.KEY)
    try:
        made = jwt.PyJWK(dict(fit[0]), algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        raise NotBelieved(Doubt.KEY) from None
    is_strong = isinstance(made, RSAPublicKey) and made.key_size >= RSA_LEAST
    is_curve = isinstance(made, EllipticCurvePublicKey) and isinstance(made.curve, SECP256R1)
    if not is_strong and not is_curve:
        raise NotBelieved(Doubt.KEY)
    return made


def _look(claims: Mapping[str, Any], issuer: str, client: str, nonce: str, now_ms: int) -> None:
    if claims.get("iss") != issuer:
        raise NotBelieved(Doubt.ISSUER)
    audience = claims.get("aud")
    meant = [audience] if isinstance(audience, str) else audience
    if not isinstance(meant, list) or client not in meant:
        raise NotBelieved(Doubt.AUDIENCE)
    party = claims.get("azp")
    if party != client and (party is not None or len(meant) > 1):
        raise NotBelieved(Doubt.AUDIENCE)
    until, made = claims.get("exp"), claims.get("iat")
    if until is None or made is None or not (_is_number(until) and _is_number(made)):
        raise NotBelieved(Doubt.TIME)
    if now_ms - SKEW_MS >= until * 1000 or not now_ms - YOUNG_MS - SKEW_MS < made * 1000 <= now_ms + SKEW_MS:
        raise NotBelieved(Doubt.TIME)
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise NotBelieved(Doubt.NONCE)


def _person(claims: Mapping[str, Any], issuer: str, claim: str) -> Person:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MOST:
        raise NotBelieved(Doubt.SUBJECT)
    email, name = claims.get("email"), claims.get("name")
    is_theirs = claims.get("email_verified") is True and isinstance(email, str)
    said = claims.get(claim, []) if claim else []
    words = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    return Person(
        issuer,
        subject,
        str(email) if is_theirs else "",
        name if isinstance(name, str) else "",
        tuple(word for word in words if isinstance(word, str)),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def basic(client: str, secret: str) -> str:
    """Write how a client shows its secret (RFC 6749, section 2.3.1)."""
    pair = "&".join(urlencode({"": part})[1:] for part in (client, secret)).replace("&", ":", 1)
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
