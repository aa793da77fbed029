"""Watching: a real Prometheus and a real Alertmanager over a running installation, and a pager that only listens.

The rules are those of ``deploy/prometheus``; a test that must not wait for minutes takes their times out (``hasty``).
Not here: what must hold (``test_observing``), promtool's own checks (``tests/house/test_observing``).
"""

import json
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.servers import free_port, running
from tests.house.tree import ROOT

RULES = ROOT / "deploy" / "prometheus"
ROUTES = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
PATIENCE_S = 60.0


def program(*names: str) -> str:
    """Find a program by one of its names."""
    path = next((path for name in names if (path := shutil.which(name))), None)
    assert path is not None, f"{names[0]} is missing: make setup"
    return path


def hasty(rules: str) -> str:
    """Take the times out of rules: what is so for one look is so."""
    return re.sub(r"(?m)^( +for:) .*$", r"\1 0s", rules)


class Pager:
    """Whoever is told: keeps what is posted, by receiver."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []
        """Receiver, status and name of each alert, in order."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Keep what is told."""
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                for alert in told["alerts"]:
                    pager.heard.append((self.path.strip("/"), alert["status"], alert["labels"]["alertname"]))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
                """Say nothing."""

        return Handler

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Watched:
    """Prometheus and who is told."""

    api: httpx.Client
    pager: Pager
    asked: dict[str, Any] = field(default_factory=dict)

    def ask(self, expr: str) -> list[Any]:
        """Ask a query; a fault in it is a failure of the test."""
        answer = self.api.get("/api/v1/query", params={"query": expr.replace("$__rate_interval", "1m")})
        told = answer.json()
        assert (answer.status_code, told["status"]) == (200, "success"), (expr, told)
        found: list[Any] = told["data"]["result"]
        return found

    def rules(self) -> dict[str, str]:
        """Tell of each rule how its last round went."""
        groups = self.api.get("/api/v1/rules").json()["data"]["groups"]
        return {
            f"{group['name']} {rule['name']}": rule["health"] for group in groups for rule in group["rules"]
        }


@contextmanager
def watched(folder: Path, operator: str, changes: Mapping[str, str] | None = None) -> Iterator[Watched]:
    """Watch an installation at its operator's port; `changes` are made in the text of the alert rules."""
    rules = (RULES / "alerts.yml").read_text()
    for old, new in (changes or {}).items():
        assert old in rules
        rules = rules.replace(old, new)
    (folder / "alerts.yml").write_text(hasty(rules))
    shutil.copy(RULES / "recording.yml", folder)
    pager, port, alerts_port = Pager(), free_port(), free_port()
    routes = re.sub(r"http://(?:pager|tickets)\.example", pager.url, ROUTES.read_text())
    # First come first served: 1 s instead of quarters of an hour. Resolved is told as soon as it is so.
    routes = re.sub(r"(?m)^( +group_(?:wait|interval):) .*$", r"\1 1s", routes)
    (folder / "alertmanager.yml").write_text(routes)
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, evaluation_interval: 1s}\n"
        "rule_files: [recording.yml, alerts.yml]\n"
        f'alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alerts_port}"]}}]}}]}}\n'
        "scrape_configs:\n"
        f'  - {{job_name: waitroom, static_configs: [{{targets: ["{urlsplit(operator).netloc}"]}}]}}\n'
    )
    alertmanager = [
        program("prometheus-alertmanager", "alertmanager"), f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alerts", f"--web.listen-address=127.0.0.1:{alerts_port}",
        "--cluster.listen-address=",
    ]  # fmt: skip
    prometheus = [
        program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        with (
            running(
                alertmanager, ready=f"http://127.0.0.1:{alerts_port}/-/ready", log=folder / "alertmanager.log"
            ),
            running(prometheus, ready=f"{url}/-/ready", log=folder / "prometheus.log"),
            httpx.Client(base_url=url, timeout=PATIENCE_S) as api,
        ):
            yield Watched(api, pager)
    finally:
        pager.close()
