"""Runbooks: writes a page for each alert, and the list of them."""

from dashboards.observing.objectives import OBJECTIVES
from dashboards.observing.prometheus import ALERTS
from dashboards.observing.shapes import Alert, Severity

HEAD = "<!-- Written by `make docs` from dashboards/observing; change it there. -->\n"
WHO = {
    Severity.PAGE: "page: somebody is woken",
    Severity.TICKET: "ticket: somebody looks on the next working day",
}


def _plain(text: str) -> str:
    """Take Prometheus' templates out of a sentence."""
    return text.replace("{{ $labels.", "`").replace(" }}", "`")


def page(alert: Alert) -> str:
    """Write an alert's page."""
    query = "\n".join(f"    {row}" for row in alert.expr.split("\n"))
    return (
        f"{HEAD}# {alert.name}\n\n{_plain(alert.summary)}.\n\n"
        f"Severity: {WHO[alert.severity]}. It fires when this has been so for {alert.lasts}:\n\n{query}\n\n"
        f"## What it means\n\n{alert.means}\n\n## What fans see\n\n{alert.fans}\n\n"
        f"## What to look at\n\n{_list(alert.look)}\n\n## What to do\n\n{_steps(alert.do)}\n\n"
        f"## When to call somebody else\n\n{alert.escalate}\n\n"
        "[All runbooks](README.md) · [Observability](../observability.md)\n"
    )


def _list(rows: tuple[str, ...]) -> str:
    return "\n".join(f"* {row}" for row in rows)


def _steps(rows: tuple[str, ...]) -> str:
    return "\n".join(f"{number}. {row}" for number, row in enumerate(rows, 1))


def index() -> str:
    """Write the list of all pages."""
    rows = [
        f"| [{alert.name}]({alert.page}.md) | {alert.severity} | {_plain(alert.summary)} |"
        for alert in ALERTS
    ]
    goals = [f"| `{one.slo}` | {one.title} | {one.target:.2%} | {one.told} |" for one in OBJECTIVES]
    return (
        f"{HEAD}# Runbooks\n\nA page for each alert of `deploy/prometheus/alerts.yml`; "
        "how they come to somebody stands in [observability](../observability.md).\n\n"
        "| alert | severity | it says |\n|---|---|---|\n" + "\n".join(rows) + "\n\n## Objectives\n\n"
        "Over 30 days. A refusal is an answer.\n\n"
        "| `slo` | objective | target | what counts |\n|---|---|---|---|\n" + "\n".join(goals) + "\n"
    )
