"""Security key: what a person touches to show that it is them (WebAuthn), and what of its answers is believed.

Two ceremonies, each a question and an answer: a key is *made* for a site, and a key *answers* for it. An answer counts
if it is to a challenge of ours, from a page of our origin that no other site has in a frame, for our site's id, by the
key that we know, by a person whom the key has made sure of (PIN, finger), and if the key's counter went up. The
library ``webauthn`` compares all of it (Web Authentication Level 3, sections 7.1 and 7.2), but for the frame, which is
looked at here.

Without state: who asks keeps challenges, each for one time, and keys. No attestation is asked for: which make of key
somebody has is theirs. The library is loaded at the first ceremony. Not here: who has which key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kernel.signing import b64url, from_b64url

CHALLENGE_BYTES = 32
CREDENTIAL_MOST_BYTES = 1023
"""The longest id of a key that the standard has (Level 3, section 4)."""

ASK_MS = 60_000
"""So long the browser waits for a person."""


class KeyRefused(Exception):
    """An answer does not count; ``why`` is for the log and for nobody else."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class KeySite:
    """Where keys are used: ``id`` is a host name, ``origin`` what a browser calls the page's."""

    id: str
    name: str
    origin: str


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was made for a site: what is kept of it."""

    credential: str
    public_key: str
    count: int


def making(site: KeySite, *, person: str, handle: bytes, challenge: bytes, there: Sequence[str]) -> Any:
    """Say what a browser is to make a key from; `there` are keys of the person, which are not made again."""
    from webauthn import generate_registration_options  # noqa: PLC0415
    from webauthn.helpers import options_to_json_dict  # noqa: PLC0415
    from webauthn.helpers.structs import (  # noqa: PLC0415
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=site.id,
        rp_name=site.name,
        user_name=person,
        user_id=handle,
        challenge=challenge,
        timeout=ASK_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_described(there),
    )
    return options_to_json_dict(options)


def asking(site: KeySite, *, challenge: bytes, there: Sequence[str]) -> Any:
    """Say what a browser is to ask one of these keys."""
    from webauthn import generate_authentication_options  # noqa: PLC0415
    from webauthn.helpers import options_to_json_dict  # noqa: PLC0415
    from webauthn.helpers.structs import UserVerificationRequirement  # noqa: PLC0415

    options = generate_authentication_options(
        rp_id=site.id,
        challenge=challenge,
        timeout=ASK_MS,
        allow_credentials=_described(there),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def challenge_of(answer: Mapping[str, Any]) -> str:
    """Read which challenge an answer is to, so that it can be taken away. Raises ``KeyRefused``."""
    response = answer.get("response")
    text = response.get("clientDataJSON") if isinstance(response, dict) else None
    try:
        plain = orjson.loads(from_b64url(text)) if isinstance(text, str) else None
    except ValueError:
        plain = None
    if not isinstance(plain, dict) or not isinstance(plain.get("challenge"), str):
        raise KeyRefused("malformed")
    if plain.get("crossOrigin", False) is not False or "topOrigin" in plain:
        raise KeyRefused("frame")
    return str(plain["challenge"])


def credential_of(answer: Mapping[str, Any]) -> str:
    """Read which key an answer says it is of. Raises ``KeyRefused``."""
    credential = answer.get("id")
    if not isinstance(credential, str) or not 0 < len(credential) <= 2 * CREDENTIAL_MOST_BYTES:
        raise KeyRefused("malformed")
    return credential


def read_made(site: KeySite, answer: Mapping[str, Any], challenge: bytes) -> MadeKey:
    """Return the key that was made, if it counts. Raises ``KeyRefused``."""
    import webauthn  # noqa: PLC0415

    challenge_of(answer)
    try:
        made = webauthn.verify_registration_response(
            credential=dict(answer),
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except _faults() as error:
        raise _refused(error) from error
    if len(made.credential_id) > CREDENTIAL_MOST_BYTES or b64url(made.credential_id) != credential_of(answer):
        raise KeyRefused("credential")
    return MadeKey(b64url(made.credential_id), b64url(made.credential_public_key), made.sign_count)


def read_answer(site: KeySite, answer: Mapping[str, Any], challenge: bytes, key: MadeKey) -> int:
    """Return a key's new count, if its answer counts. Raises ``KeyRefused``."""
    import webauthn  # noqa: PLC0415

    challenge_of(answer)
    if credential_of(answer) != key.credential:
        raise KeyRefused("credential")
    try:
        verified = webauthn.verify_authentication_response(
            credential=dict(answer),
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=site.origin,
            credential_public_key=from_b64url(key.public_key),
            credential_current_sign_count=key.count,
            require_user_verification=True,
        )
    except _faults() as error:
        raise _refused(error) from error
    return verified.new_sign_count


def _described(credentials: Sequence[str]) -> Any:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor  # noqa: PLC0415

    return [PublicKeyCredentialDescriptor(id=from_b64url(one)) for one in credentials]


def _faults() -> tuple[type[Exception], ...]:
    """Name what the library raises at an answer that is not right, or not whole."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    # Beside its own: what is missing in a key, or is of another kind than it should be.
    return (
        WebAuthnException, UnsupportedAlgorithm, ValueError, LookupError, TypeError, AttributeError, RecursionError,
    )  # fmt: skip


def _refused(error: Exception) -> KeyRefused:
    return KeyRefused(str(error)[:200] or type(error).__name__)
