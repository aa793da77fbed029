"""The figure status: the broadcast, compared with a server that answers the same number of bytes and decides nothing.

Second line, ``status-origin-rate``: the same load on nginx with the sample of deploy/nginx; what counts is how
many requests a second still reach us, whatever the crowd asks.
"""

import statistics
import urllib.request
from collections.abc import Iterator

from bench import harness, load
from bench.figure import Figure, failed, median_ratio
from bench.harness import Bench, Ours, Side
from bench.nginx import front
from bench.servers import reference

TARGET = 0.90
MOST_ORIGIN_PER_S = 2.0
PATH = "/.waitroom/r/bench/status"
FANS = 500


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure the document directly, then behind the micro-cache."""
    with harness.our_server(bench, harness.room_toml()) as ours:
        load.joins(ours.url, "bench", seconds=1, cores=bench.cores)
        size = _body_bytes(ours.url + PATH)
        yield _direct(bench, ours, size)
        yield _behind_nginx(bench, ours.url)


def _direct(bench: Bench, server: Ours, size: int) -> Figure:
    with reference("raw_hello", bench.folder, bench.cores, {"BENCH_BODY_BYTES": str(size)}) as raw:
        seen = harness.alternate(
            bench,
            ours=Side(lambda s: load.get(server.url, PATH, seconds=s, cores=bench.cores), server.pids),
            raw=Side(lambda s: load.get(raw.url, seconds=s, cores=bench.cores), raw.pids),
        )
    ours, theirs = ([one.per_s for one in seen[name]] for name in ("ours", "raw"))
    ratio = median_ratio(ours, theirs)
    figure = Figure(
        "status",
        statistics.median(ours),
        "documents/s",
        f"raw ASGI, {size} bytes",
        ratio=ratio,
        target=f">= {TARGET:.2f}",
        met=ratio >= TARGET,
        conditions=bench.conditions(),
        details={**harness.compared(seen["ours"], seen["raw"]), "body_bytes": size},
    )
    error = harness.unclean(seen["ours"])
    return figure if error is None else failed(figure, error)


def _behind_nginx(bench: Bench, url: str) -> Figure:
    with front(bench.folder / "nginx", url, bench.cores) as nginx:
        _body_bytes(nginx.url + PATH)
        before = nginx.asked()
        seen = load.get(nginx.url, PATH, seconds=bench.seconds, cores=bench.cores)
        asked = nginx.asked() - before
    rate = asked / seen.seconds
    figure = Figure(
        "status-origin-rate",
        rate,
        "origin requests/s",
        "nginx micro-cache of deploy/nginx/waitroom.conf",
        target=f"<= {MOST_ORIGIN_PER_S:g}",
        met=rate <= MOST_ORIGIN_PER_S,
        conditions=bench.conditions(rounds=1),
        details={"answered_per_s": round(seen.per_s), "answered": seen.requests, "origin_requests": asked},
    )
    error = harness.unclean([seen])
    if error is None and asked == 0:
        error = "no request reached the origin: nothing was measured"
    return figure if error is None else failed(figure, error)


def _body_bytes(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return len(answer.read())
