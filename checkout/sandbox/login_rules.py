"""Login rules: what the sandbox of logins is asked as a provider of OpenID Connect, and what it says of somebody.

Authorisation code with PKCE (RFC 6749, RFC 7636 with S256 only), one client with a secret, one address to come back
to, which is compared letter by letter. What is not our client's is never sent anywhere; what our client asked wrongly
goes back to it with the standard's word (RFC 6749, 4.1.2.1). Nothing of ``kernel.oidc`` is used: that is the other
side, and two that are wrong in the same way would agree.

Pure. Not here: codes and their time, pages, HTTP (``logins``).
"""

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

FIELDS_MOST = 40
TOKEN_S = 300
"""So long an ID token counts."""

WELL_KNOWN, KEYS = "/.well-known/openid-configuration", "/keys"
AUTHORIZE, TOKEN = "/authorize", "/token"

_WORD = re.compile(r"[\x21-\x7e]{1,512}")
"""State and nonce: what people cannot see is in neither."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True)
class Client:
    """Who may ask. ``back`` is where browsers are sent back to."""

    name: str
    secret: str
    back: str


@dataclass(frozen=True, slots=True)
class Somebody:
    """One whom a visitor may say to be. ``role`` is a key of the words, ``login.role.{role}``."""

    name: str
    email: str
    role: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants to know, and brings back."""

    state: str
    nonce: str
    challenge: str
    language: str = ""


class NotOurs(Exception):
    """Nobody that we know has asked this; it is answered here and goes nowhere."""


class Refusal(Exception):
    """Our client asked for what it does not get; ``word`` is the standard's."""

    def __init__(self, word: str, state: str = "") -> None:
        self.word = word
        self.state = state
        super().__init__(word)


def read_fields(encoded: bytes) -> dict[str, str]:
    """Read a query or a form; a name that comes twice is none. Raises ``NotOurs``."""
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MOST
        )
    except ValueError as error:
        raise NotOurs from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise NotOurs
    return fields


def read_asked(fields: Mapping[str, str], client: Client) -> Asked:
    """Read what a browser brings from a client. Raises ``NotOurs``, ``Refusal``."""
    if fields.get("client_id") != client.name or fields.get("redirect_uri") != client.back:
        raise NotOurs
    state, nonce = fields.get("state", ""), fields.get("nonce", "")
    challenge = fields.get("code_challenge", "")
    if _WORD.fullmatch(state) is None:
        raise Refusal("invalid_request")
    if fields.get("response_type") != "code":
        raise Refusal("unsupported_response_type", state)
    if "request" in fields or "request_uri" in fields:
        raise Refusal("request_not_supported", state)
    if "openid" not in fields.get("scope", "").split():
        raise Refusal("invalid_scope", state)
    is_hashed = fields.get("code_challenge_method") == "S256" and _CHALLENGE.fullmatch(challenge)
    if not is_hashed or _WORD.fullmatch(nonce) is None:
        raise Refusal("invalid_request", state)
    if "none" in fields.get("prompt", "").split():
        # Nobody is known here without being asked.
        raise Refusal("login_required", state)
    language = fields.get("ui_locales", "").partition(" ")[0]
    return Asked(state, nonce, challenge, language)


def back_address(client: Client, issuer: str, state: str, **told: str) -> str:
    """Write where a browser is sent: to the client, with what is told (RFC 9207: and who tells it)."""
    brought = {"state": state} if state else {}
    return f"{client.back}?{urlencode({**told, **brought, 'iss': issuer})}"


def is_client(authorization: bytes, client: Client) -> bool:
    """Tell whether a header shows the client's secret (``client_secret_basic``; RFC 6749, 2.3.1)."""
    scheme, _, given = authorization.partition(b" ")
    try:
        name, _, secret = b64decode(given, validate=True).decode("ascii").partition(":")
    except ValueError:
        return False
    is_name = compare_digest(unquote_plus(name).encode(), client.name.encode())
    is_secret = compare_digest(unquote_plus(secret).encode(), client.secret.encode())
    return scheme.lower() == b"basic" and is_name and is_secret


def fits(verifier: str, challenge: str) -> bool:
    """Tell whether whoever brings a code is the one who asked for it (RFC 7636, 4.6)."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    made = urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
    return compare_digest(made, challenge)


def goes_back(address: str, client: Client) -> bool:
    """Tell whether a code is brought from the address that it was sent to."""
    return compare_digest(address.encode("utf-8", "replace"), client.back.encode())


def claims(issuer: str, client: Client, who: Somebody, nonce: str, now_ms: int) -> dict[str, Any]:
    """Say who somebody is."""
    now_s = now_ms // 1000
    return {
        "iss": issuer, "aud": client.name, "sub": who.name, "nonce": nonce, "iat": now_s, "exp": now_s + TOKEN_S,
        "email": who.email, "email_verified": True, "name": who.name,
    }  # fmt: skip


def metadata(issuer: str, languages: Sequence[str]) -> dict[str, Any]:
    """Say what there is (OpenID Connect Discovery 1.0, section 3)."""
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZE,
        "token_endpoint": issuer + TOKEN,
        "jwks_uri": issuer + KEYS,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "email"],
        "claims_supported": ["iss", "aud", "sub", "nonce", "iat", "exp", "email", "email_verified", "name"],
        "ui_locales_supported": list(languages),
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }
