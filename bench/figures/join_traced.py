"""The figure join-traced: joins a second while traces are recorded, compared with the same server that records none.

Twice: with the share that is set by default, one in a hundred, and with all. Spans go to a collector on this machine,
which takes them and does nothing. A round counts only if spans came: a recorder that dropped everything would be cheap.
"""

import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench import harness, load
from bench.figure import Figure, failed, median_ratio
from bench.harness import Bench, Side

DEFAULT, ALL = "default", "all"
ROOM = "bench"


@dataclass(slots=True)
class Sink:
    """A collector that takes everything: where it listens, and what came."""

    url: str = ""
    batches: int = 0
    octets: int = 0


@contextmanager
def sink() -> Iterator[Sink]:
    """Listen for as long as the block lasts."""
    taken = Sink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            taken.octets += len(self.rfile.read(int(self.headers["content-length"])))
            taken.batches += 1
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    taken.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure joins with nothing recorded, with the default share, and with all."""
    room = harness.room_toml()
    with (
        sink() as some,
        sink() as everything,
        harness.our_server(bench, room, name="none") as none,
        harness.our_server(bench, room, name=DEFAULT, more={"WAITROOM_OTLP_ENDPOINT": some.url}) as default,
        harness.our_server(
            bench,
            room,
            name=ALL,
            more={"WAITROOM_OTLP_ENDPOINT": everything.url, "WAITROOM_TRACE_RATIO": "1"},
        ) as full,
    ):

        def joins(url: str) -> Side:
            server = {none.url: none, default.url: default, full.url: full}[url]
            return Side(lambda s: load.joins(url, ROOM, seconds=s, cores=bench.cores), server.pids)

        seen = harness.alternate(bench, none=joins(none.url), default=joins(default.url), all=joins(full.url))
    rates = {name: [one.per_s for one in loads] for name, loads in seen.items()}
    for name, share, taken in ((DEFAULT, 0.01, some), (ALL, 1.0, everything)):
        error = harness.unclean(seen[name]) or harness.unclean(seen["none"])
        if error is None and not taken.batches:
            error = "no span came to the collector"
        figure = Figure(
            "join-traced",
            statistics.median(rates[name]),
            "joins/s",
            "the same server, nothing recorded",
            ratio=median_ratio(rates[name], rates["none"]),
            conditions=bench.conditions(trace_ratio=share),
            details={
                **harness.compared(seen[name], seen["none"]),
                "rounds_per_s": [round(rate) for rate in rates[name]],
                "batches": taken.batches,
                "octets": taken.octets,
            },
        )
        yield figure if error is None else failed(figure, error)
