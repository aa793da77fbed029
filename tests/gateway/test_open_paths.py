"""What a shop needs open is told where its gate is set up, and never opened by itself."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics
from checkout.tickets.links import OPEN, PUBLISHED
from gateway.cli import main
from gateway.open_paths import MOST_BYTES, MOST_PATHS, Silent, line, missing, published, read, warn
from gateway.settings import Settings
from gateway.shop import ShopProcess


class Site:
    """A site behind the gate, that answers one address."""

    def __init__(self) -> None:
        """Listen."""
        site = self
        self.status, self.body, self.asked = 200, b"", list[str]()

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                self.send_response(site.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(site.body)))
                self.end_headers()
                self.wfile.write(site.body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Hear nobody any more."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    """Give a site that publishes what a shop does."""
    own = Site()
    own.body = json.dumps({"open_paths": OPEN}).encode()
    yield own
    own.close()


@pytest.mark.parametrize(("payments", "status"), [("sandbox", 200), ("none", 401)])
async def test_a_shop_says_what_it_needs_without_an_admission(
    store_url: str, tmp_path: Path, payments: str, status: int
) -> None:
    """The very list that its doors have; one that takes no money has no tickets, and says nothing."""
    settings = Settings(data=tmp_path, store_url=store_url, payments=payments, sandbox_port=1)
    process = ShopProcess(settings, Metrics(CollectorRegistry()))
    transport = httpx.ASGITransport(process.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        told = await client.get(PUBLISHED)

    assert told.status_code == status
    assert status != 200 or told.json() == {"open_paths": list(OPEN)}


def test_what_is_missing_is_named_with_the_line_that_puts_it_right(site: Site) -> None:
    """A prefix covers what is below it, with or without its last stroke."""
    wanted = published(site.url)

    assert site.asked == [PUBLISHED]
    assert wanted == OPEN
    assert missing(OPEN, OPEN) == missing(OPEN, ["/"]) == ()
    assert missing(OPEN, ["/tickets", "/gift/", "/static/", "/account"]) == ("/scan/",)
    assert missing(OPEN, ["/ticket"]) == OPEN
    assert line(["/own/"], ["/scan/"]) == "WAITROOM_OPEN_PATHS=/own/,/scan/"


BAD = {
    "no JSON": b"<html>",
    "not UTF-8": b"\xff",
    "a list": b"[]",
    "other members": b'{"paths":[]}',
    "no list": b'{"open_paths":"/"}',
    "no texts": b'{"open_paths":[1]}',
    "no path": b'{"open_paths":["tickets"]}',
    "a line break": b'{"open_paths":["/a\\n/b"]}',
    "a comma, which would be two": b'{"open_paths":["/a,/"]}',
    "too many": json.dumps({"open_paths": ["/a"] * (MOST_PATHS + 1)}).encode(),
    "too long": json.dumps({"open_paths": ["/a"], "more": "x" * MOST_BYTES}).encode(),
}


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD.keys())
def test_what_is_nothing_of_the_kind_is_nothing(octets: bytes) -> None:
    """An origin is not trusted: what it says goes into a log and a line to copy."""
    assert read(octets) is None


@pytest.mark.parametrize("status", [301, 401, 404, 500])
def test_a_site_that_publishes_nothing_is_any_site(site: Site, status: int) -> None:
    """Nor is anybody followed elsewhere."""
    site.status = status

    assert published(site.url) is None
    assert site.asked == [PUBLISHED]


def test_a_site_that_does_not_answer_is_away_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """At the command it is told; at a start it is not worth a word."""
    for origin in ("http://127.0.0.1:1", "file:///etc/hostname", "nowhere"):
        with pytest.raises(Silent):
            published(origin)
    assert main(["check", "open-paths", "http://127.0.0.1:1"]) == 1
    assert warn(["http://127.0.0.1:1"], []) == 0
    assert caplog.records == []


def test_a_gate_that_starts_warns_and_opens_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Once for each origin, with what to set; silent where all is open."""
    own = ("/tickets/",)
    with caplog.at_level(logging.WARNING):
        found = [warn([site.url, site.url], own), warn([site.url], OPEN)]

    assert found == [1, 0]
    (record,) = caplog.records
    more = [path for path in OPEN if path not in own]
    assert vars(record)["missing"] == more
    assert vars(record)["set"] == f"WAITROOM_OPEN_PATHS={','.join([*own, *more])}"
    assert own == ("/tickets/",)


def test_the_command_says_what_to_set(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 1 while something is missing, 0 when nothing is, and for a site that publishes nothing."""
    monkeypatch.setenv("WAITROOM_OPEN_PATHS", "/tickets/,/gift/")
    short = main(["check", "open-paths", site.url])
    said = capsys.readouterr().out
    monkeypatch.setenv("WAITROOM_OPEN_PATHS", ",".join(OPEN))
    whole = main(["check", "open-paths", site.url])
    site.status = 404
    other = main(["check", "open-paths", site.url])

    assert (short, whole, other) == (1, 0, 0)
    assert f"WAITROOM_OPEN_PATHS={','.join(OPEN)}" in said
