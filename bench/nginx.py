"""nginx in front: the sample of deploy/nginx as it ships, and a second hop that counts what gets through.

The counter is a plain proxy with an access log between the cache and our server: background updates of the
cache are subrequests, which nginx does not log where they are made.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.machine import Cores
from bench.servers import ServerFailed, free_port, running

SAMPLE = Path(__file__).resolve().parents[1] / "deploy" / "nginx" / "waitroom.conf"


@dataclass(frozen=True, slots=True)
class Front:
    """nginx with the micro-cache: its address, and the log of what it asked the origin."""

    url: str
    log: Path

    def asked(self) -> int:
        """Return how many requests went through to the origin so far."""
        return self.log.read_text().count("\n") if self.log.exists() else 0


def configuration(sample: str, *, listen: int, counter: int, origin: str, folder: Path) -> str:
    """Return a whole nginx configuration around the sample; only addresses and folders of the sample change."""
    changes = {
        "server 127.0.0.1:8080;": f"server 127.0.0.1:{counter};",
        "listen 80;": f"listen 127.0.0.1:{listen};",
        "/var/tmp/waitroom-nginx": str(folder / "cache"),  # noqa: S108
    }
    for old, new in changes.items():
        if sample.count(old) != 1:
            raise ServerFailed(f"deploy/nginx/waitroom.conf has changed: {old!r} must stand in it once")
        sample = sample.replace(old, new)
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Started by root, nginx would give its workers to a user that may not enter our temporary folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    return f"""{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000;
{temporary}
{sample}
    server {{
        listen 127.0.0.1:{counter};
        access_log {folder}/asked.log;
        location / {{
            proxy_pass {origin};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $http_x_forwarded_for;
        }}
    }}
}}
"""


@contextmanager
def front(folder: Path, origin: str, cores: Cores) -> Iterator[Front]:
    """Run nginx in front of a server as long as the block lasts."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise ServerFailed("nginx is not installed; `make setup` or: sudo apt-get install nginx")
    folder.mkdir()
    listen, counter = free_port(), free_port()
    text = configuration(SAMPLE.read_text(), listen=listen, counter=counter, origin=origin, folder=folder)
    (folder / "nginx.conf").write_text(text)
    url = f"http://127.0.0.1:{listen}"
    command = [*cores.on_server(), program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with running(command, ready=f"{url}{urlsplit(origin).path or '/'}", log=folder / "nginx.log"):
        yield Front(url, folder / "asked.log")
