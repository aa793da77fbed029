"""The figure page-first-bytes: what must come before the first paint, in the language that needs most.

The document and what blocks its first paint (its style sheet), compressed, with headers. The target is what TCP sends
before it waits for the first answer (ten segments), so that one way there and back is enough.
"""

from collections.abc import Iterator

from bench.browser import in_every_language
from bench.figure import Figure, failed
from bench.harness import Bench

MOST_BYTES = 14_336


def measure(bench: Bench) -> Iterator[Figure]:
    """Load the page of a running server in every language."""
    seen, browser = in_every_language(bench)
    tag = max(seen, key=lambda tag: seen[tag].first_bytes)
    worst = seen[tag]
    figure = Figure(
        "page-first-bytes",
        worst.first_bytes,
        "bytes",
        target=f"<= {MOST_BYTES}",
        met=worst.first_bytes <= MOST_BYTES,
        conditions=bench.conditions(load="one browser, empty cache", rounds=1, browser=browser),
        details={
            "language": tag,
            "parts": worst.parts(worst.first),
            "by_language": {tag: loaded.first_bytes for tag, loaded in seen.items()},
        },
    )
    yield figure if worst.blocking else failed(figure, "no style sheet came before the first paint")
