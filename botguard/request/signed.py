"""Signed request: an agent that proves who it is with HTTP Message Signatures (RFC 9421), as Web Bot Auth asks.

The part of the RFC that such agents use: one signature labelled by the agent, ``ed25519``, ``created``, ``expires`` and
``keyid``, over ``@authority`` at least; beside it ``@method``, ``@path`` and plain headers. The key id is the key's
JWK thumbprint (RFC 7638) and the tag is ``web-bot-auth``. Keys are an operator's choice: a file with a JWK set
(``read_keys``), one for each agent that is welcome. Whatever else an agent sends is read as no signature, and nobody is
held to be forging: a key that we do not have may be a good one.

A signature may be copied while it lasts (``LONGEST_S``), so all that follows from one is that the request counts as an
agent's; how often the agent acts is counted as for anybody. Source: draft-meunier-web-bot-auth-architecture. Pure.
Not here: what follows (``botguard.verdict``).
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kernel.errors import Misconfigured
from kernel.signing import b64url, from_b64url

MOST_BYTES = 1024 * 1024
LONGEST_S = 600
SKEW_S = 60
TAG = "web-bot-auth"
_MOST_CHARS = 2048
_NO_SET = 'this is no JWK set: {"keys": [...]}.'

_INPUT = re.compile(r"([a-z][a-z0-9_*.-]*)=(\(([^()]*)\)((?:;[^,]*)?))")
_COMPONENT = re.compile(r'"(@?[a-z0-9-]+)"')
_PARAMETER = re.compile(r';([a-z]+)=(?:"([^"\\]*)"|(\d{1,15}))')
_SIGNATURE = re.compile(r"=:([A-Za-z0-9+/=]{1,200}):")

Keys = Mapping[str, tuple[str, Ed25519PublicKey]]
"""By thumbprint: the agent's name and its key."""


class Target(NamedTuple):
    """What of a request is not a header."""

    method: str
    authority: str
    path: str


def thumbprint(x: str) -> str:
    """Return the thumbprint of an Ed25519 key, given its public part as base64url (RFC 7638, RFC 8037)."""
    return b64url(sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest())


def read_keys(octets: bytes) -> Keys:
    """Read a JWK set; each key carries the agent's ``name``. Raises ``Misconfigured`` with every fault."""
    try:
        told = orjson.loads(octets)
    except orjson.JSONDecodeError as error:
        raise Misconfigured(_NO_SET) from error
    rows = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        raise Misconfigured(_NO_SET)
    keys: dict[str, tuple[str, Ed25519PublicKey]] = {}
    faults: list[str] = []
    for number, told in enumerate(rows, 1):
        row = told if isinstance(told, dict) else {}
        name, x = row.get("name"), row.get("x")
        if row.get("kty") != "OKP" or row.get("crv") != "Ed25519" or not isinstance(x, str):
            faults.append(f"key {number}: it is no Ed25519 key.")
        elif not isinstance(name, str) or not re.fullmatch(r"[\w.-]{1,60}", name):
            faults.append(f"key {number}: it needs the agent's name, of letters, digits, _ . -")
        else:
            try:
                keys[thumbprint(x)] = name, Ed25519PublicKey.from_public_bytes(from_b64url(x))
            except ValueError:
                faults.append(f"key {number}: x is no public key.")
    if faults:
        raise Misconfigured(faults)
    return keys


def signer(headers: Mapping[bytes, bytes], target: Target, keys: Keys, now_ms: int) -> str:
    """Return the name of the agent that signed a request, '' where none of ours did."""
    told, given = headers.get(b"signature-input", b""), headers.get(b"signature", b"")
    if not keys or not told or not given or len(told) + len(given) > _MOST_CHARS:
        return ""
    found = _INPUT.fullmatch(told.decode("latin-1").strip())
    if found is None:
        return ""
    parameters = {name: text or number for name, text, number in _PARAMETER.findall(found[4])}
    known = keys.get(parameters.get("keyid", ""))
    if known is None or not _is_timely(parameters, now_ms // 1000):
        return ""
    base = _base(found[3], found[2], headers, target)
    signature = _SIGNATURE.fullmatch(given.decode("latin-1").strip().removeprefix(found[1]))
    if base is None or signature is None:
        return ""
    try:
        known[1].verify(b64decode(signature[1], validate=True), base)
    except (InvalidSignature, Base64Error):
        return ""
    return known[0]


def _is_timely(parameters: Mapping[str, str], now_s: int) -> bool:
    created, expires = parameters.get("created", ""), parameters.get("expires", "")
    if not created.isdigit() or not expires.isdigit() or parameters.get("tag") != TAG:
        return False
    if parameters.get("alg", "ed25519") != "ed25519":
        return False
    since, until = int(created), int(expires)
    return since - SKEW_S <= now_s < until and until - since <= LONGEST_S


def _base(listed: str, parameters: str, headers: Mapping[bytes, bytes], target: Target) -> bytes | None:
    """Write the signature base (RFC 9421, section 2.5); None where a component is missing or not ours to read."""
    derived = {"@method": target.method, "@authority": target.authority.lower(), "@path": target.path}
    lines: list[str] = []
    seen: set[str] = set()
    for written in listed.split():
        component = _COMPONENT.fullmatch(written)
        if component is None or component[1] in seen:
            return None
        name = component[1]
        seen.add(name)
        value = derived.get(name) if name[0] == "@" else _header(headers, name)
        if value is None:
            return None
        lines.append(f'"{name}": {value}')
    if "@authority" not in seen:
        return None
    lines.append(f'"@signature-params": {parameters}')
    return "\n".join(lines).encode("latin-1", "replace")


def _header(headers: Mapping[bytes, bytes], name: str) -> str | None:
    value = headers.get(name.encode())
    return None if value is None else value.decode("latin-1").strip()
