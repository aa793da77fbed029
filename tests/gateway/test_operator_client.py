"""The operator's client: TLS is verified, the token goes to nobody else, and every fault is told at once."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.operator_client import Answer, NoAnswer, OperatorClient, token_of
from kernel.errors import Misconfigured

TOKEN = "throwaway-operator-token"

ANSWERS = {
    "/ok": (200, "application/json", b'{"rooms": []}'),
    "/gone": (204, "application/json", b""),
    "/no": (403, "application/problem+json", b'{"detail": "No.", "code": "not-allowed"}'),
    "/page": (200, "text/html", b"<p>"),
    "/broken": (200, "application/json", b"{"),
    "/list": (200, "application/json", b"[]"),
    "/below/ok": (200, "application/json", b'{"below": true}'),
}


class Site(http.server.BaseHTTPRequestHandler):
    """Answers by path, and keeps what it was told."""

    told: list[tuple[str, str]] = []  # noqa: RUF012 - one list for all requests is the point

    def do_GET(self) -> None:
        """Answer."""
        self.told.append((self.path, self.headers.get("authorization", "")))
        if self.path == "/away":
            self.send_response(302)
            self.send_header("location", f"http://127.0.0.1:{self.server.server_address[1]}/ok")  # type: ignore[str-bytes-safe]
            self.send_header("content-length", "0")
            self.end_headers()
            return
        status, kind, body = ANSWERS[self.path]
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def site(context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve on loopback, with TLS where there is a context."""
    Site.told.clear()
    with http.server.HTTPServer(("127.0.0.1", 0), Site) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a certificate for loopback that no authority knows, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "operator")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "operator.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_an_answer_is_read_and_a_refusal_is_one() -> None:
    """Status and document; the token goes as a bearer token; a path before /api is kept."""
    with site() as url:
        client = OperatorClient(url, TOKEN)
        assert client.ask("GET", "/ok") == Answer(200, {"rooms": []})
        assert client.ask("GET", "/gone") == Answer(204)
        assert client.ask("GET", "/no").told == "No."
        assert OperatorClient(f"{url}/below/", TOKEN).ask("GET", "/ok").document == {"below": True}
        assert Site.told[0] == ("/ok", f"Bearer {TOKEN}")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/page", "not as an operator's port"),
        ("/broken", "not as an operator's port"),
        ("/list", "not as an operator's port"),
        ("/away", "answers 302"),
    ],
)
def test_what_is_no_answer_of_ours_is_said(path: str, why: str) -> None:
    """Another site, half a document; a redirection is not followed: it would take the token along."""
    with site() as url:
        with pytest.raises(NoAnswer, match=why):
            OperatorClient(url, TOKEN).ask("GET", path)
        assert [told for told, _ in Site.told] == [path]


def test_who_does_not_answer_is_named() -> None:
    """A closed port: the address and why."""
    with site() as url:
        pass
    with pytest.raises(NoAnswer, match=f"{url} gives no answer"):
        OperatorClient(url, TOKEN).ask("GET", "/ok")


def test_a_certificate_that_nobody_vouches_for_gets_no_token(certificate: Path) -> None:
    """Refused before anything is sent; with its authority named it is taken, and under another name not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with site(context) as url:
        with pytest.raises(NoAnswer, match="certificate is not to be trusted"):
            OperatorClient(url, TOKEN).ask("GET", "/ok")
        elsewhere = url.replace("127.0.0.1", "localhost")
        with pytest.raises(NoAnswer, match="certificate is not to be trusted"):
            OperatorClient(elsewhere, TOKEN, authorities=certificate).ask("GET", "/ok")
        assert Site.told == []
        assert OperatorClient(url, TOKEN, authorities=certificate).ask("GET", "/ok").status == 200


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would see the token."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with site() as url:
        assert OperatorClient(url, TOKEN).ask("GET", "/ok").status == 200


@pytest.mark.parametrize(
    "url",
    [
        "", "127.0.0.1:8081", "ftp://a.example", "http://", "http://u:p@127.0.0.1", "http://127.0.0.1?x", "http://127.0.0.1#x",
        "http://127.0.0.1:0", "http://127.0.0.1:99999", "http://[::1", "http://127.0.0.1/a b", "http://127.0.0.1/\r\n",
        "http://127.0.0.1/ü",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    """With an example of one."""
    with pytest.raises(Misconfigured, match="is not an address such as"):
        OperatorClient(url, TOKEN)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.5:8081", "http://operator.example.com", "http://127.0.0.1.example.com"]
)
def test_the_token_does_not_cross_a_network_in_the_clear(url: str) -> None:
    """Unless that is allowed in so many words; loopback may."""
    with pytest.raises(Misconfigured, match="in the clear"):
        OperatorClient(url, TOKEN)
    OperatorClient(url, TOKEN, plain=True)
    for here in ("http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"):
        OperatorClient(here, TOKEN)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Address, token and authorities."""
    with pytest.raises(Misconfigured) as told:
        OperatorClient("https://a.example", "two words", authorities=tmp_path / "none.pem")
    assert len(told.value.faults) == 2
    with pytest.raises(Misconfigured) as told:
        OperatorClient("nowhere", "")
    assert len(told.value.faults) == 2


def test_the_token_comes_from_a_file_or_from_the_environment(tmp_path: Path) -> None:
    """The option's file before the environment, the environment before the file that it names."""
    file, other = tmp_path / "token", tmp_path / "other"
    file.write_text("of-the-file\n")
    other.write_text("of-the-other")
    both = {"WAITROOM_OPERATOR_TOKEN": " of-the-environment\n", "WAITROOM_OPERATOR_TOKEN_FILE": str(other)}

    assert token_of(file, both) == "of-the-file"
    assert token_of(None, both) == "of-the-environment"
    assert token_of(None, {"WAITROOM_OPERATOR_TOKEN_FILE": str(other)}) == "of-the-other"
    for missing, environment in ((None, {}), (tmp_path / "none", both), (tmp_path, both)):
        with pytest.raises(Misconfigured, match=r"token is missing|cannot be read"):
            token_of(missing, environment)
