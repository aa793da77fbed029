"""Tests of what the doctor sees outside of itself: the shop's database, the sites behind, certificates, an odd key."""

import socket
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from checkout.database import ShopDatabase
from gateway.doctor import sites
from gateway.doctor.stored import look_at_shop
from gateway.settings import Settings, load
from kernel.settings import env
from tests.gateway.test_doctor import Answers, marks
from waitroom.rooms import Room
from waitroom.rooms_toml import parse_toml


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation that does not run."""
    return load({env("data"): str(tmp_path)})


def test_the_shops_database_is_looked_at(settings: Settings) -> None:
    """None, one of this version, of an older and of a newer one, one that is no database, one that is away."""
    told = [marks(look_at_shop(settings))]
    database = ShopDatabase(f"sqlite:///{settings.data / 'shop.db'}")
    database.open()
    database.close()
    told.append(marks(look_at_shop(settings)))
    with closing(sqlite3.connect(settings.data / "shop.db")) as connection:
        for version in ("0001", "9999"):
            connection.execute("UPDATE shop_version SET version_num = ?", (version,))
            connection.commit()
            told.append(marks(look_at_shop(settings)))
    for name in ("shop.db", "shop.db-wal", "shop.db-shm"):
        (settings.data / name).unlink(missing_ok=True)
    (settings.data / "shop.db").write_text("no database at all" * 100)
    told.append(marks(look_at_shop(settings)))
    away = replace(settings, shop_database_url="postgresql://u:p@127.0.0.1:1/x")
    told.append(marks(look_at_shop(away)))

    assert told == [
        {"shop": "skip"}, {"shop.version": "ok"}, {"shop.version": "warn"}, {"shop.version": "fail"},
        {"shop": "fail"}, {"shop": "fail"},
    ]  # fmt: skip


def room_at(name: str, origin: str) -> Room:
    """Make a room in front of a site."""
    (room,) = parse_toml(f'[rooms.{name}]\norigin = "{origin}"\n')
    return room


def test_a_site_that_is_away_is_named_by_its_room() -> None:
    """One listens, one does not."""
    with socket.create_server(("127.0.0.1", 0)) as here:
        port = here.getsockname()[1]
        rooms = [room_at("a", f"http://127.0.0.1:{port}"), room_at("b", "http://127.0.0.1:1")]
        found = marks(sites.look_at_origins(rooms))
        well = marks(sites.look_at_origins(rooms[:1]))

    assert (found, well) == ({"origins.b": "fail"}, {"origins": "ok"})
    assert marks(sites.look_at_origins([])) == {"origins": "skip"}


class Certified(HTTPServer):
    """Serves TLS; strangers who hang up in the middle of a handshake are nothing to tell of."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ssl.SSLContext, float]]:
    """Serve TLS; give the address, who trusts the certificate, and when it ends."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC).replace(microsecond=0)
    ends = now + timedelta(days=90)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    server = Certified(("127.0.0.1", 0), Answers)
    server.socket = serving.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://localhost:{server.server_port}", ssl.create_default_context(cafile=path), ends.timestamp()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("days_left", "mark"),
    [(30, "ok"), (14, "ok"), (13.9, "warn"), (3, "warn"), (2.9, "fail"), (0, "fail"), (-0.1, "fail")],
)
def test_a_certificate_that_is_soon_over_is_told_before(
    days_left: float, mark: str, settings: Settings, certified: tuple[str, ssl.SSLContext, float]
) -> None:
    """A real one, looked at so many days before its end: of what people type, and of a site behind."""
    url, trusting, ends_s = certified
    given = replace(settings, public_url=url)
    now_s = ends_s - days_left * sites.DAY_S

    assert marks(sites.look_at_certificates(given, [], trusting, now_s)) == {"tls": mark}
    assert marks(sites.look_at_certificates(settings, [room_at("main", url)], trusting, now_s)) == {
        "tls": mark
    }


def test_a_certificate_that_nobody_trusts_and_one_that_is_not_there(
    settings: Settings, certified: tuple[str, ssl.SSLContext, float]
) -> None:
    """The first is what browsers would say, too; the second may only be out of reach from here."""
    away = replace(settings, public_url="https://127.0.0.1:1")

    assert marks(sites.look_at_certificates(settings, [room_at("main", certified[0])])) == {"tls": "fail"}
    assert marks(sites.look_at_certificates(away, [])) == {"tls": "warn"}
    assert marks(sites.look_at_certificates(settings, [])) == {"tls": "skip"}
