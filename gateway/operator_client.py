"""Operator's client: asks the operator's port of a running installation, for commands that run somewhere else.

TLS is verified, by the system's authorities or by those of a file. A redirection is not followed and no proxy of the
environment is used: both would hand the token to somebody else. Over plain HTTP it goes to this machine only,
unless that is allowed in so many words. The token comes from a file or the environment, never from the command line,
where every user of the machine could read it.

Not here: what is asked (``apply_command``).
"""

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from kernel.errors import Misconfigured

TOKEN = "WAITROOM_OPERATOR_TOKEN"  # noqa: S105 - the name of it
ANSWER_MAX_BYTES = 256 * 1024 * 1024
"""A hundred rooms with pages of their own are some of that."""


class NoAnswer(Exception):
    """Nothing came back that could be read: it is not known whether what was asked has been done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the JSON object that came with it; empty for none."""

    status: int
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """What a problem says to people, its faults after it."""
        detail = str(self.document.get("detail") or f"It answers {self.status}.")
        faults = self.document.get("faults") or ()
        return f"{detail} {'; '.join(map(str, faults))}".strip() if len(faults) > 1 else detail


class OperatorClient:
    """One installation's operator's port."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        authorities: Path | None = None,
        plain: bool = False,
        timeout_s: float = 30.0,
    ) -> None:
        """Ask at `url`; `plain` allows HTTP to another machine. Raises ``Misconfigured`` with every fault."""
        faults: list[str] = []
        self._parts = _address(url, faults, plain=plain)
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            faults.append(
                f"The token must be printable ASCII without spaces; --token-file names its file, or {TOKEN}."
            )
        self._context: ssl.SSLContext | None = None
        if self._parts.scheme == "https":
            try:
                self._context = ssl.create_default_context(cafile=authorities)
            except (OSError, ssl.SSLError) as error:
                faults.append(f"The authorities in {authorities} cannot be read: {error}.")
        if faults:
            raise Misconfigured(faults)
        self._token = token
        self._timeout_s = timeout_s

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once. Raises ``NoAnswer``; a refusal is an answer."""
        sent = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **(headers or {})}
        content = None if body is None else json.dumps(body).encode()
        connection = self._connection()
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, content, sent)
            answer = connection.getresponse()
            text = answer.read(ANSWER_MAX_BYTES)
            status, kind = answer.status, answer.headers.get_content_type()
        except ssl.SSLCertVerificationError as error:
            raise NoAnswer(f"Its certificate is not to be trusted: {error.verify_message}.") from error
        except (OSError, HTTPException) as error:
            raise NoAnswer(
                f"{self._parts.geturl()} gives no answer: {str(error) or type(error).__name__}."
            ) from error
        finally:
            connection.close()
        return self._read(status, kind, text)

    def _read(self, status: int, kind: str, text: bytes) -> Answer:
        if status == 204:
            return Answer(status)
        try:
            document = json.loads(text) if kind in {"application/json", "application/problem+json"} else None
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise NoAnswer(
                f"{self._parts.geturl()} answers {status}, and not as an operator's port of Waitroom does."
            )
        return Answer(status, document)

    def _connection(self) -> HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._context is not None:
            return HTTPSConnection(host, port, timeout=self._timeout_s, context=self._context)
        return HTTPConnection(host, port, timeout=self._timeout_s)


def token_of(file: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """Read the token from `file`, else from the environment (or the file that it names). Raises ``Misconfigured``."""
    named = environment.get(f"{TOKEN}_FILE")
    if file is None and TOKEN not in environment and named:
        file = Path(named)
    if file is None:
        if TOKEN not in environment:
            raise Misconfigured([f"The operator's token is missing: --token-file FILE, or {TOKEN}."])
        return environment[TOKEN].strip()
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured([f"The token's file {file} cannot be read: {error}."]) from error


def _address(url: str, faults: list[str], *, plain: bool) -> SplitResult:
    parts = urlsplit("")
    try:
        parts = urlsplit(url)
        good = (
            parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
            and not (parts.username or parts.password or parts.query or parts.fragment) and url.isprintable()
            and url.isascii() and " " not in url
        )  # fmt: skip
    except ValueError:
        good = False
    if not good:
        faults.append(
            f"{url} is not an address such as https://operator.example.com or http://127.0.0.1:8081."
        )
    elif parts.scheme == "http" and not plain and not _is_here(str(parts.hostname)):
        faults.append(
            f"{url} would send the token over the network in the clear. Use https, or --plain-http where the "
            "network is yours alone."
        )
    return parts


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
