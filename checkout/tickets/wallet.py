"""Wallet: a ticket as a file for a phone's wallet: Apple's ``.pkpass``, an archive whose list of files is signed.

``pass.json`` says everything, the pictures are the shop's, ``manifest.json`` has the SHA-1 of each file (Apple's format
wants SHA-1; nothing of ours rests on it), and ``signature`` is a detached CMS signature of the manifest. Everything but
the signature, which tells its time, follows from the face alone. The QR carries the same code as the one on paper, so
that a scanner cannot tell them apart.

A device takes only what is signed with a certificate that Apple has issued for a pass type identifier
(``read_signer``); ``demo_signer`` makes one that no device takes, for tests and for the demo. Source: Apple, "Wallet
Passes", Building a Pass. Not here: the web service by which passes are renewed, other wallets.
"""

import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from checkout.tickets import posters, qr
from checkout.tickets.face import MOST_NOTE_CHARS, Face, plain
from kernel.errors import Misconfigured

MEDIA_TYPE = "application/vnd.apple.pkpass"
PICTURES = ("icon.png", "icon@2x.png", "icon@3x.png", "logo.png", "logo@2x.png")
_MOMENT = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive: the first that the format knows, so that it is the same each time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEAM = re.compile(r"[A-Z0-9]{10}")
_PASS_TYPE = re.compile(r"pass\.[A-Za-z0-9.-]+")

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class PassSigner:
    """Who signs passes. `pass_type` and `team` are the certificate's own (UID and OU of its subject)."""

    certificate: x509.Certificate
    key: Key = field(repr=False)
    intermediate: x509.Certificate | None
    pass_type: str
    team: str


def read_signer(
    certificate_pem: bytes,
    key_pem: bytes,
    intermediate_pem: bytes = b"",
    password: bytes = b"",
    *,
    now_ms: int,
) -> PassSigner:
    """Read what Apple has issued, and its key. Raises ``Misconfigured`` with all faults; none tells of the key."""
    faults: list[str] = []
    certificate = _certificate(certificate_pem, "the pass certificate", faults)
    intermediate = (
        _certificate(intermediate_pem, "the intermediate certificate", faults) if intermediate_pem else None
    )
    key = _key(key_pem, password, faults)
    pass_type = team = ""
    if certificate is not None:
        pass_type, team = (
            _subject(certificate, NameOID.USER_ID),
            _subject(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME),
        )
        faults += _faults(certificate, key, intermediate, pass_type, team, now_ms)
    if faults or certificate is None or key is None:
        raise Misconfigured(faults)
    return PassSigner(certificate, key, intermediate, pass_type, team)


def new_keys() -> tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]:
    """Make keys for an authority and for its signer, in some tenths of a second."""
    one, other = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    return one, other


_demo_keys = cache(new_keys)
"""Those of this process."""


def demo_signer(now_ms: int, keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey] | None = None) -> PassSigner:
    """Make a signer that no device takes, with an authority of its own as the intermediate; or with given keys."""
    now = _EPOCH + timedelta(milliseconds=now_ms)
    authority_key, key = keys or _demo_keys()
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Waitroom demo authority")])
    pass_type, team = "pass.demo.waitroom", "DEMODEMO00"
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, pass_type),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Pass Type ID: {pass_type}"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, team),
        ]
    )
    made = []
    for subject, public, is_authority in (
        (authority_name, authority_key.public_key(), True),
        (name, key.public_key(), False),
    ):
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        made.append(builder.sign(authority_key, hashes.SHA256()))
    authority, certificate = made
    return PassSigner(certificate, key, authority, pass_type, team)


def pkpass(face: Face, signer: PassSigner) -> bytes:
    """Make a pass. Raises ``NoQr`` for a code that cannot be one."""
    qr.version(face.code)
    contents = dict(_pictures())
    contents["pass.json"] = _json(described(face, signer.pass_type, signer.team))
    manifest = _json(
        {
            name: hashlib.sha1(body, usedforsecurity=False).hexdigest()
            for name, body in sorted(contents.items())
        }
    )
    contents["manifest.json"] = manifest
    contents["signature"] = _signature(manifest, signer)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, body, zipfile.ZIP_DEFLATED, 9)
    return out.getvalue()


def described(face: Face, pass_type: str, team: str) -> dict[str, Any]:
    """Say what stands in ``pass.json``."""
    colours = posters.colours(face.motif)
    labels = face.labels
    title, organiser = plain(face.title), plain(face.organiser)
    barcode = {
        "format": "PKBarcodeFormatQR",
        "message": face.code,
        "messageEncoding": "iso-8859-1",
        "altText": plain(face.number),
    }
    back = (
        _field("where", labels.where, face.where),
        _field("order", labels.order, face.order),
        _field("number", labels.number, face.number),
        _field("organiser", labels.organiser, face.organiser),
        {"key": "note", "label": title, "value": plain(face.note, MOST_NOTE_CHARS)},
    )
    auxiliary = (
        _field("tier", labels.tier, face.tier),
        _field("price", labels.price, face.price),
        _field("holder", labels.holder, face.holder),
    )
    return {
        "formatVersion": 1,
        "passTypeIdentifier": pass_type,
        "teamIdentifier": team,
        "serialNumber": face.ticket_id,
        "organizationName": organiser or title,
        "description": plain(" · ".join(text for text in (face.title, face.when) if text)),
        "logoText": organiser,
        "groupingIdentifier": face.event_id,
        "relevantDate": _moment(face.starts_ms),
        "backgroundColor": _colour(colours.ground),
        "foregroundColor": _colour(colours.ink),
        "labelColor": _colour(colours.label),
        "barcodes": [barcode],
        "barcode": barcode,
        "eventTicket": {
            "headerFields": [_field("time", labels.when, face.time)],
            "primaryFields": [_field("title", face.subtitle or face.where, face.title)],
            "secondaryFields": _told(
                _field(f"place-{index}", one.label, one.value) for index, one in enumerate(face.place)
            ),
            "auxiliaryFields": _told((_field("day", labels.when, face.day), *auxiliary)),
            "backFields": _told(back),
        },
    }


def _field(key: str, label: str, value: str) -> dict[str, str]:
    return {"key": key, "label": plain(label), "value": plain(value)}


def _told(fields: Any) -> list[dict[str, str]]:
    return [one for one in fields if one["value"]]


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _moment(ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _colour(hexadecimal: str) -> str:
    return f"rgb({', '.join(str(part) for part in posters.rgb(hexadecimal))})"


@cache
def _pictures() -> tuple[tuple[str, bytes], ...]:
    folder = files("checkout.tickets").joinpath("static", "wallet")
    return tuple((name, folder.joinpath(name).read_bytes()) for name in PICTURES)


def _signature(manifest: bytes, signer: PassSigner) -> bytes:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(manifest)
    builder = builder.add_signer(signer.certificate, signer.key, hashes.SHA256())
    if signer.intermediate is not None:
        builder = builder.add_certificate(signer.intermediate)
    return builder.sign(
        serialization.Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    )


def _certificate(pem: bytes, what: str, faults: list[str]) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        faults.append(f"{what} is no certificate in PEM form")
        return None


def _key(pem: bytes, password: bytes, faults: list[str]) -> Key | None:
    try:
        key = serialization.load_pem_private_key(pem, password or None)
    except (ValueError, TypeError):
        faults.append("the pass certificate's key is no private key in PEM form, or its password is wrong")
        return None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        faults.append("the pass certificate's key must be RSA or of an elliptic curve")
        return None
    return key


def _subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


def _faults(
    certificate: x509.Certificate,
    key: Key | None,
    intermediate: x509.Certificate | None,
    pass_type: str,
    team: str,
    now_ms: int,
) -> list[str]:
    faults = []
    if not _PASS_TYPE.fullmatch(pass_type):
        faults.append("the pass certificate's subject has no UID with a pass type identifier (pass.…)")
    if not _TEAM.fullmatch(team):
        faults.append("the pass certificate's subject has no OU with a team identifier of ten characters")
    now = _EPOCH + timedelta(milliseconds=now_ms)
    if now < certificate.not_valid_before_utc:
        faults.append(f"the pass certificate is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}")
    if now >= certificate.not_valid_after_utc:
        faults.append(f"the pass certificate has been over since {certificate.not_valid_after_utc:%Y-%m-%d}")
    if key is not None and key.public_key() != certificate.public_key():
        faults.append("the key is not that of the pass certificate")
    if intermediate is not None:
        try:
            certificate.verify_directly_issued_by(intermediate)
        except (ValueError, TypeError, InvalidSignature):
            faults.append("the intermediate certificate has not issued the pass certificate")
    return faults
