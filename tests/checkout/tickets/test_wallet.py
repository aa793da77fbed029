"""Wallet: a pass is whole, and its signature is one that openssl accepts; a changed one is refused."""

import hashlib
import io
import json
import subprocess
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from checkout.tickets.face import Line
from checkout.tickets.qr import NoQr
from checkout.tickets.wallet import PassSigner, demo_signer, new_keys, pkpass, read_signer
from kernel.errors import Misconfigured
from tests.checkout.tickets.faces import CODE, LANGUAGES, face

NOW_MS = int(datetime.now(UTC).timestamp() * 1000)
SIGNER = demo_signer(NOW_MS)
STRANGER = demo_signer(NOW_MS, new_keys())


def contents(octets: bytes) -> dict[str, bytes]:
    """Unpack a pass."""
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def pem(made: x509.Certificate | None) -> bytes:
    """Write a certificate as PEM; none as nothing."""
    return made.public_bytes(serialization.Encoding.PEM) if made else b""


def key_pem(signer: PassSigner, password: bytes = b"") -> bytes:
    """Write a signer's key as PEM."""
    sealed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return signer.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)


def accepted(folder: Path, manifest: bytes, signature: bytes, authority: x509.Certificate | None) -> bool:
    """Ask openssl whether a signature of a manifest is one that the authority stands for."""
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "signature").write_bytes(signature)
    (folder / "authority.pem").write_bytes(pem(authority))
    asked = subprocess.run(
        ["openssl", "smime", "-verify", "-inform", "DER", "-in", "signature", "-content", "manifest.json",
         "-CAfile", "authority.pem", "-out", "out"],
        cwd=folder,
        capture_output=True,
        check=False,
    )  # fmt: skip
    return asked.returncode == 0 and (folder / "out").read_bytes() == manifest


def test_openssl_accepts_the_signature_and_refuses_a_changed_manifest(tmp_path: Path) -> None:
    """One flipped bit in the list of files, or another authority, and it is no pass."""
    inside = contents(pkpass(face(), SIGNER))
    manifest, signature = inside["manifest.json"], inside["signature"]
    flipped = bytearray(manifest)
    flipped[len(flipped) // 2] ^= 1

    assert accepted(tmp_path, manifest, signature, SIGNER.intermediate)
    assert not accepted(tmp_path, bytes(flipped), signature, SIGNER.intermediate)
    assert not accepted(tmp_path, manifest, signature, STRANGER.intermediate)


def test_every_file_is_in_the_manifest_with_its_sum() -> None:
    """All but the manifest and its signature are listed, and nothing else."""
    inside = contents(pkpass(face(), SIGNER))

    listed = json.loads(inside["manifest.json"])

    assert listed == {
        name: hashlib.sha1(body, usedforsecurity=False).hexdigest()
        for name, body in inside.items()
        if name not in {"manifest.json", "signature"}
    }
    assert {"pass.json", "icon.png", "icon@2x.png", "logo.png"} <= listed.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pass_says_what_the_ticket_says(language: str) -> None:
    """The code is that of the paper; the texts are those of the face, in its language."""
    ticket = face(language)

    told = json.loads(contents(pkpass(ticket, SIGNER))["pass.json"])

    assert told["barcodes"] == [told["barcode"]]
    assert told["barcode"] == {
        "format": "PKBarcodeFormatQR",
        "message": CODE,
        "messageEncoding": "iso-8859-1",
        "altText": ticket.number,
    }
    assert (told["formatVersion"], told["passTypeIdentifier"], told["teamIdentifier"]) == (
        1,
        SIGNER.pass_type,
        SIGNER.team,
    )
    assert told["serialNumber"] == ticket.ticket_id
    assert datetime.fromisoformat(told["relevantDate"]).timestamp() * 1000 == ticket.starts_ms
    fields = [one for kind in told["eventTicket"].values() for one in kind]
    values = {one["value"] for one in fields}
    assert {ticket.title, ticket.price, ticket.tier, ticket.order, ticket.note} <= values
    assert [(one["label"], one["value"]) for one in told["eventTicket"]["secondaryFields"]] == [
        (line.label, line.value) for line in ticket.place
    ]
    assert len({one["key"] for one in fields}) == len(fields)


def test_all_but_the_signature_is_the_same_each_time() -> None:
    """Another signer of the same names makes the same files; the archive tells no moment."""
    first, second = (pkpass(face("ja"), signer) for signer in (SIGNER, STRANGER))
    one, other = contents(first), contents(second)

    assert one.pop("signature") != other.pop("signature")
    assert one == other
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_what_is_empty_has_no_field() -> None:
    """A ticket without a holder has no field for one; one without a place no empty row."""
    told = json.loads(contents(pkpass(face(holder="", place=(), note=""), SIGNER))["pass.json"])

    assert "holder" not in {one["key"] for one in told["eventTicket"]["auxiliaryFields"]}
    assert told["eventTicket"]["secondaryFields"] == []
    assert "note" not in {one["key"] for one in told["eventTicket"]["backFields"]}


def test_the_pictures_have_the_sizes_that_a_wallet_wants() -> None:
    """29 points at one, two and three times; a logo of at most 160 by 50."""
    inside = contents(pkpass(face(), SIGNER))

    sizes = {
        name: Image.open(io.BytesIO(body)).size for name, body in inside.items() if name.endswith(".png")
    }

    assert sizes == {
        "icon.png": (29, 29),
        "icon@2x.png": (58, 58),
        "icon@3x.png": (87, 87),
        "logo.png": (50, 50),
        "logo@2x.png": (100, 100),
    }


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=400))
def test_any_text_makes_a_whole_pass(text: str) -> None:
    """Whatever people write, the archive opens and the JSON in it can be read."""
    ticket = replace(
        face(title=text, venue=text, holder=text, organiser=text, note=text), place=(Line(text, text),)
    )

    told = json.loads(contents(pkpass(ticket, SIGNER))["pass.json"])

    assert told["barcode"]["message"] == CODE
    assert not {"\u202e", "\x00"} & set(json.dumps(told, ensure_ascii=False))


def test_a_code_that_is_none_makes_no_pass() -> None:
    """The same rule as on paper."""
    with pytest.raises(NoQr):
        pkpass(face(code="lower case"), SIGNER)


def test_an_issued_certificate_is_read_with_its_names(tmp_path: Path) -> None:
    """Pass type and team are the subject's UID and OU; the key may have a password, the intermediate is optional."""
    signer = read_signer(
        pem(SIGNER.certificate),
        key_pem(SIGNER, b"secret"),
        pem(SIGNER.intermediate),
        b"secret",
        now_ms=NOW_MS,
    )
    alone = read_signer(pem(SIGNER.certificate), key_pem(SIGNER), now_ms=NOW_MS)

    assert (signer.pass_type, signer.team) == (SIGNER.pass_type, SIGNER.team)
    assert alone.intermediate is None
    inside = contents(pkpass(face(), signer))
    assert accepted(tmp_path, inside["manifest.json"], inside["signature"], SIGNER.intermediate)
    assert "key" not in repr(signer)


def issued(signer: PassSigner, public: Any, names: dict[x509.ObjectIdentifier, str], days: int = 9) -> bytes:
    """Issue a certificate to somebody else, signed by a key that is no authority's."""
    now = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names.items()])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(7)
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now - timedelta(days=10) + timedelta(days=days))
        .sign(signer.key, hashes.SHA256())
    )
    return pem(made)


def test_all_faults_of_a_set_up_are_told_at_once() -> None:
    """A wrong subject, a wrong key, a certificate that is over and a strange authority: four sentences and no key."""
    other = issued(SIGNER, SIGNER.key.public_key(), {NameOID.COMMON_NAME: "somebody"})

    with pytest.raises(Misconfigured) as refused:
        read_signer(other, key_pem(STRANGER), pem(STRANGER.intermediate), now_ms=NOW_MS)

    faults = " | ".join(refused.value.faults)
    for words in ("no UID", "no OU", "has been over since", "not that of", "has not issued"):
        assert words in faults
    assert "PRIVATE" not in faults


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        (b"nothing", None, "the pass certificate is no certificate"),
        (None, b"nothing", "no private key in PEM form"),
        (None, key_pem(SIGNER, b"secret"), "or its password is wrong"),
    ],
)
def test_what_cannot_be_read_is_told(certificate: bytes | None, key: bytes | None, words: str) -> None:
    """A file that is not what it should be is named in a sentence."""
    with pytest.raises(Misconfigured, match=words):
        read_signer(
            pem(SIGNER.certificate) if certificate is None else certificate,
            key_pem(SIGNER) if key is None else key,
            now_ms=NOW_MS,
        )


def test_keys_of_other_kinds_are_refused_and_of_a_curve_taken(tmp_path: Path) -> None:
    """The format knows RSA and elliptic curves; an Ed25519 key is told before the first pass is asked for."""
    names = {NameOID.USER_ID: "pass.org.example", NameOID.ORGANIZATIONAL_UNIT_NAME: "ABCDE12345"}
    curve, edwards = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    plain_key = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

    with pytest.raises(Misconfigured, match="must be RSA or of an elliptic curve"):
        read_signer(pem(SIGNER.certificate), edwards.private_bytes(*plain_key), now_ms=NOW_MS)
    by_curve = replace(SIGNER, key=curve)
    own = issued(by_curve, curve.public_key(), names, days=20)
    signer = read_signer(own, curve.private_bytes(*plain_key), now_ms=NOW_MS)
    inside = contents(pkpass(face(), signer))

    assert accepted(tmp_path, inside["manifest.json"], inside["signature"], signer.certificate)
