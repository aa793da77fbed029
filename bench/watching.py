"""Watching: a real Prometheus and a real Alertmanager over a running installation, and a pager that only listens.

Rules and routes are those of ``deploy/``; whoever must not wait for minutes takes their times out (``hasty``). Both
servers are Debian's (`make setup`), listen on this machine only, and are ended with the block. Not here: what must hold
(``drills.alarm``, ``tests/process/test_observing``).
"""

import json
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

from bench.servers import ServerFailed, free_port, running

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
ASK_S = 60.0


class Heard(NamedTuple):
    """What somebody was told: who, whether it fires or is over, and which alert."""

    receiver: str
    status: str
    alert: str


class Pager:
    """Whoever is told: keeps what is posted."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.heard: list[Heard] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                for alert in told["alerts"]:
                    heard.append(Heard(self.path.strip("/"), alert["status"], alert["labels"]["alertname"]))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Refusal(Exception):
    """Prometheus does not take a query."""


class Watched:
    """Prometheus, and who is told."""

    def __init__(self, url: str, pager: Pager) -> None:
        """Ask at `url`."""
        self._url = url
        self.pager = pager

    def ask(self, expr: str) -> list[Any]:
        """Ask a query and return what it finds. Raises ``Refusal``."""
        found: list[Any] = self._get("query?" + urlencode({"query": expr.replace("$__rate_interval", "1m")}))[
            "result"
        ]
        return found

    def rules(self) -> dict[str, str]:
        """Tell of each rule how its last round went: ``ok``, ``err``, or ``unknown`` before the first."""
        groups = self._get("rules")["groups"]
        return {
            f"{group['name']} {rule['name']}": rule["health"] for group in groups for rule in group["rules"]
        }

    def _get(self, path: str) -> Any:
        try:
            with urlopen(f"{self._url}/api/v1/{path}", timeout=ASK_S) as answer:
                return json.loads(answer.read())["data"]
        except HTTPError as error:
            raise Refusal(error.read().decode(errors="replace")) from error


def program(*names: str) -> str:
    """Find a program by one of its names. Raises ``ServerFailed``."""
    path = next((path for name in names if (path := shutil.which(name))), None)
    if path is None:
        raise ServerFailed(f"{names[0]} is missing: make setup")
    return path


@contextmanager
def watched(
    folder: Path, operator: str, changes: Mapping[str, str] | None = None, *, hasty: bool = False
) -> Iterator[Watched]:
    """Watch an installation at its operator's port.

    `changes` are made in the text of the alert rules. `hasty`: what is so for one look is so, and everybody is told
    within a second, the second on call and the lead as well.
    """
    rules, routes = (
        (DEPLOY / name).read_text() for name in ("prometheus/alerts.yml", "alertmanager/alertmanager.yml")
    )
    for old, new in (changes or {}).items():
        if old not in rules:
            raise ValueError(f"the rules have no {old}")
        rules = rules.replace(old, new)
    if hasty:
        rules = re.sub(r"(?m)^( +for:) .*$", r"\1 0s", rules)
        routes = re.sub(r"(?m)^( +group_(?:wait|interval):) .*$", r"\1 1s", routes)
    pager, port, alerts_port = Pager(), free_port(), free_port()
    shutil.copy(DEPLOY / "prometheus" / "recording.yml", folder)
    (folder / "alerts.yml").write_text(rules)
    (folder / "alertmanager.yml").write_text(re.sub(r"http://(?:pager|tickets)\.example", pager.url, routes))
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, evaluation_interval: 1s}\n"
        "rule_files: [recording.yml, alerts.yml]\n"
        f'alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alerts_port}"]}}]}}]}}\n'
        "scrape_configs:\n"
        f'  - {{job_name: waitroom, static_configs: [{{targets: ["{urlsplit(operator).netloc}"]}}]}}\n'
    )
    try:
        alertmanager = [
            program("prometheus-alertmanager", "alertmanager"), f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/alerts", f"--web.listen-address=127.0.0.1:{alerts_port}",
            "--cluster.listen-address=",
        ]  # fmt: skip
        prometheus = [
            program("prometheus"), f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        alerts_url = f"http://127.0.0.1:{alerts_port}"
        with (
            running(alertmanager, ready=f"{alerts_url}/-/ready", log=folder / "alertmanager.log"),
            running(prometheus, ready=f"{url}/-/ready", log=folder / "prometheus.log"),
        ):
            yield Watched(url, pager)
    finally:
        pager.close()
