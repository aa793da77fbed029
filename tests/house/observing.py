"""Observing: the files that `make docs` writes from the tables of ``dashboards.observing``.

For Grafana, for Prometheus, and for whoever is paged. ``test_observing`` fails when one of them differs.
"""

import textwrap

from dashboards.observing import grafana, prometheus, runbooks
from dashboards.observing.boards import BOARDS
from tests.house.tree import ROOT

RUNBOOKS = "docs/runbooks"


def texts() -> dict[str, str]:
    """Return every file, by its place in the repository."""
    return {
        **{f"deploy/grafana/{board.name}.json": grafana.board_json(board) for board in BOARDS},
        "deploy/prometheus/recording.yml": prometheus.recording_yaml(),
        "deploy/prometheus/alerts.yml": prometheus.alerts_yaml(),
        "deploy/prometheus/alerts-test.yml": prometheus.tests_yaml(),
        f"{RUNBOOKS}/README.md": lined(runbooks.index()),
        **{f"{RUNBOOKS}/{alert.page}.md": lined(runbooks.page(alert)) for alert in prometheus.ALERTS},
    }


def lined(text: str) -> str:
    """Put the paragraphs of a page in lines of the usual width; tables and code stay as they are."""
    return "\n".join(row if row.startswith(("|", "    ")) else _filled(row) for row in text.split("\n"))


def _filled(row: str) -> str:
    mark = row.split(" ", 1)[0]
    indent = " " * (len(mark) + 1) if mark == "*" or mark.removesuffix(".").isdecimal() else ""
    return textwrap.fill(row, 118, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent)


def write() -> None:
    """Write all files."""
    for name, text in texts().items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
