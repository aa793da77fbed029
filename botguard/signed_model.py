"""Signed model: a model that an operator has trained, with their word that it is theirs.

Three lines, each with a line feed at its end::

    {"data":{…},"features":1,"format":1,"key":"8f0c…","what":"waitroom bots model 1"}   what is signed, for people
    {"format":1,"features":1,"names":[…],…}                                             the model, as ``train`` wrote it
    r3NfQ…                                                                              Ed25519, base64url of 64 bytes

The signature (RFC 8032) is over ``DOMAIN`` and the first two lines **as they stand**: nobody has to agree on a form of
JSON, and ``DOMAIN`` keeps it apart from whatever else the same key may sign. It is at the end: a file that is cut
short has none. One file and not two, which would have to be put in place at one moment.

**Which keys count is the operator's setting, never the file's word**: the file's key id serves to say what is wrong.
What is signed is still read with care, since a model that cannot be scored would stop the guard.

Not here: the key's own file (``model_key``), reading the file anew (``kernel.watched``).
"""

import json
import re
from typing import Any

from cryptography.exceptions import InvalidSignature

from botguard import model
from botguard.model import Model
from botguard.model_key import ModelKey, PublicKeys
from kernel.errors import Misconfigured
from kernel.signing import b64url, from_b64url

WHAT = "waitroom bots model 1"
DOMAIN = f"{WHAT}\n".encode()
_KEY_ID = re.compile(r"[0-9a-f]{16}")
MOST_BYTES = 8 * 1024 * 1024


def canonical(raw: bytes) -> bytes:
    """Return a model's file as one line, as ``train`` writes it. Raises ``Misconfigured`` where it is no JSON."""
    try:
        return json.dumps(json.loads(raw), separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:
        raise Misconfigured(["This is no model of the bot guard: it is no JSON."]) from error


def sign(raw: bytes, key: ModelKey) -> bytes:
    """Return the file of a signed model. Raises ``Misconfigured`` for a model that could not be used."""
    line = canonical(raw)
    model.read(line)
    told = json.loads(line)
    head = json.dumps({**_of(told), "key": key.id, "what": WHAT}, separators=(",", ":"), sort_keys=True)
    signed = head.encode() + b"\n" + line + b"\n"
    return signed + b64url(key.private.sign(DOMAIN + signed)).encode() + b"\n"


def read(octets: bytes, keys: PublicKeys) -> Model:
    """Return the model of a file that one of these keys has signed. Raises ``Misconfigured`` for every other file."""
    if len(octets) > MOST_BYTES:
        raise Misconfigured([f"The model has more than {MOST_BYTES} bytes."])
    lines = octets.split(b"\n")
    if len(lines) != 4 or lines[3]:
        raise Misconfigured([_unlike(lines)])
    head, line, signature, _ = lines
    signer = _signer(head + b"\n" + line + b"\n", signature, keys)
    if signer is None:
        raise Misconfigured([_unsigned(head, keys)])
    found = model.read(line)
    if _json(head) != {**_of(json.loads(line)), "key": signer, "what": WHAT}:
        raise Misconfigured(["What was signed says something else than the model itself."])
    return found


def told(octets: bytes) -> dict[str, Any]:
    """Return what a file says of itself, in its first line; nothing of it is verified. Empty where it says nothing."""
    return _json(octets.partition(b"\n")[0])


def _signer(signed: bytes, signature: bytes, keys: PublicKeys) -> str | None:
    """Return the id of the key that has signed, None where none of them has."""
    try:
        octets = from_b64url(signature.decode("ascii"))
    except ValueError:
        return None
    for name, key in keys.items():
        try:
            key.verify(octets, DOMAIN + signed)
        except InvalidSignature:
            continue
        return name
    return None


def _of(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a model: its form, its features, and the hashes of the data that it was made of."""
    data = told["card"].get("data")
    return {
        "format": told["format"],
        "features": told["features"],
        "data": data if isinstance(data, dict) else {},
    }


def _json(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unlike(lines: list[bytes]) -> str:
    """Say why these are not the three lines of a signed model."""
    first = _json(lines[0])
    if first.get("what") == WHAT:
        return "The model is not whole: it was cut short, or something was added."
    if "trees" in first or "trees" in _json(b"\n".join(lines)):
        return "The model is not signed; `waitroom bots sign` signs it."
    return "This is no signed model of the bot guard."


def _unsigned(head: bytes, keys: PublicKeys) -> str:
    """Say why no key that is set has signed this."""
    first = _json(head)
    if first.get("what") != WHAT:
        return "This is no signed model of the bot guard."
    name = str(first.get("key"))
    if _KEY_ID.fullmatch(name) is None:
        return "The model is signed by a key without a name."
    if name not in keys:
        return f"The model is signed by the key {name}, which is not among those that are set: {', '.join(keys)}."
    return (
        f"The signature does not fit: the model was changed after {name} had signed it, or by somebody else."
    )
