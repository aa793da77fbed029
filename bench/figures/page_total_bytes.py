"""The figure page-total-bytes: all that a first visit loads until the page waits, in the language that needs most.

Compressed, with headers: document, style sheet, modules, words, icon, the status document, the keys that check it, and
the answer to the join. Nothing may come from elsewhere.
"""

from collections.abc import Iterator

from bench.browser import in_every_language
from bench.figure import Figure, failed
from bench.harness import Bench

MOST_BYTES = 40_960


def measure(bench: Bench) -> Iterator[Figure]:
    """Load the page of a running server in every language."""
    seen, browser = in_every_language(bench)
    tag = max(seen, key=lambda tag: seen[tag].total_bytes)
    worst = seen[tag]
    figure = Figure(
        "page-total-bytes",
        worst.total_bytes,
        "bytes",
        target=f"<= {MOST_BYTES}",
        met=worst.total_bytes <= MOST_BYTES,
        conditions=bench.conditions(load="one browser, empty cache", rounds=1, browser=browser),
        details={
            "language": tag,
            "requests": len(worst.bytes_by_url),
            "parts": worst.parts(),
            "by_language": {tag: loaded.total_bytes for tag, loaded in seen.items()},
        },
    )
    host = worst.page_url.partition("/.waitroom")[0]
    foreign = [url for url in worst.bytes_by_url if not url.startswith(host)]
    yield failed(figure, f"loaded from elsewhere: {foreign}") if foreign else figure
