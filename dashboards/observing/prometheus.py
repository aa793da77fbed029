"""Prometheus: writes recording rules, alert rules, and the tests that `promtool test rules` plays.

YAML is written by hand: a string is a JSON string, which YAML takes as it is. Source: Prometheus' documentation,
"Defining recording rules", "Alerting rules", "Unit testing for rules".
"""

import json
from collections.abc import Mapping

from dashboards.observing.alerts_line import LINE_ALERTS
from dashboards.observing.alerts_shop import SHOP_ALERTS
from dashboards.observing.objectives import (
    BUDGET,
    BURN_ALERTS,
    BURNS,
    INCREASE,
    OBJECTIVES,
    RATIO,
    WINDOWS,
    increase,
    ratio,
)
from dashboards.observing.shapes import Alert, Objective

HEAD = "# Written by `make docs` from dashboards/observing; change it there.\n"
ALERTS: tuple[Alert, ...] = (*BURN_ALERTS, *LINE_ALERTS, *SHOP_ALERTS)
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}


def seconds(window: str) -> int:
    """Turn ``6h`` into seconds."""
    return int(window[:-1]) * _SECONDS[window[-1]]


def annotations(alert: Alert) -> dict[str, str]:
    """Return what an alert tells, with Prometheus' templates in it."""
    return {"summary": alert.summary, "runbook": f"docs/runbooks/{alert.page}.md"}


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _map(name: str, rows: Mapping[str, str], indent: str) -> list[str]:
    return [f"{indent}{name}:", *(f"{indent}  {key}: {_text(value)}" for key, value in rows.items())]


def _block(name: str, text: str, indent: str) -> list[str]:
    rows = text.split("\n")
    if len(rows) == 1:
        return [f"{indent}{name}: {_text(text)}"]
    return [f"{indent}{name}: |-", *(f"{indent}  {row}" for row in rows)]


def recording_yaml() -> str:
    """Write the recording rules: of each objective its budget, and what failed within each window."""
    rows = ["groups:"]
    rows += ["  - name: waitroom-budgets", "    rules:"]
    for one in OBJECTIVES:
        rows += _record(BUDGET, f"vector({one.budget:g})", one)
    for window in WINDOWS:
        rows += [f"  - name: waitroom-failures-{window}", "    rules:"]
        for one in OBJECTIVES:
            rows += _record(f"{RATIO}{window}", ratio(one, window), one)
    rows += ["  - name: waitroom-failures", "    rules:"]
    for window in dict.fromkeys(burn.long for burn in BURNS):
        for one in OBJECTIVES:
            rows += _record(f"{INCREASE}{window}", increase(one, window, seconds(window)), one)
    return HEAD + "\n".join(rows) + "\n"


def _record(name: str, expr: str, objective: Objective) -> list[str]:
    return [
        f"      - record: {name}",
        *_block("expr", expr, "        "),
        *_map("labels", {"slo": objective.slo}, "        "),
    ]


def alerts_yaml() -> str:
    """Write the alert rules."""
    rows = ["groups:"]
    for name, alerts in (
        ("waitroom-objectives", BURN_ALERTS), ("waitroom-line", LINE_ALERTS), ("waitroom-shop", SHOP_ALERTS)
    ):  # fmt: skip
        rows += [f"  - name: {name}", "    rules:"]
        for alert in alerts:
            rows += [
                f"      - alert: {alert.name}",
                *_block("expr", alert.expr, "        "),
                f"        for: {alert.lasts}",
                *_map("labels", {"severity": alert.severity}, "        "),
                *_map("annotations", annotations(alert), "        "),
            ]
    return HEAD + "\n".join(rows) + "\n"


def tests_yaml() -> str:
    """Write the tests of the alert rules: each fires once and is silent once; each objective's budget burns once."""
    rows = ["rule_files:", "  - recording.yml", "  - alerts.yml", "evaluation_interval: 5m", "tests:"]
    for alert in (*LINE_ALERTS, *SHOP_ALERTS):
        rows += _test(f"{alert.name} fires", alert.fires, {alert: alert.labels})
        rows += _test(f"{alert.name} is silent", alert.quiet, {alert: None})
    for one in OBJECTIVES:
        failing, going = _played(one)
        rows += _test(f"{one.slo} burns", failing, {burn: {"slo": one.slo} for burn in BURN_ALERTS})
        rows += _test(f"{one.slo} does not burn", going, dict.fromkeys(BURN_ALERTS))
    return HEAD + "\n".join(rows) + "\n"


def _played(objective: Objective) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return series in which half of all fails, and series in which nothing does."""
    going = dict.fromkeys(objective.going, "0+6x120")
    if not objective.failing:
        # What fails is what is missing in the last series: claims that were answered too late.
        return {**going, objective.going[-1]: "0+3x120"}, going
    return (
        {**dict.fromkeys(objective.failing, "0+6x120"), **going},
        {**dict.fromkeys(objective.failing, "0+0x120"), **going},
    )


def _test(name: str, series: Mapping[str, str], fires: Mapping[Alert, Mapping[str, str] | None]) -> list[str]:
    """Play series, and look at alerts: with which labels each fires, None for one that does not."""
    rows = [f"  - name: {_text(name)}", "    interval: 1m", "    input_series:"]
    for one, values in series.items():
        rows += [f"      - series: {_text(one)}", f"        values: {_text(values)}"]
    rows.append("    alert_rule_test:")
    for alert, labels in fires.items():
        rows += [f"      - eval_time: {alert.after}", f"        alertname: {alert.name}"]
        if labels is not None:
            told = {key: _filled(text, labels) for key, text in annotations(alert).items()}
            labelled = _map("exp_labels", {"severity": alert.severity, **labels}, "            ")
            rows += ["        exp_alerts:", f"          - {labelled[0].strip()}", *labelled[1:]]
            rows += _map("exp_annotations", told, "            ")
    return rows


def _filled(text: str, labels: Mapping[str, str]) -> str:
    for label, value in labels.items():
        text = text.replace(f"{{{{ $labels.{label} }}}}", value)
    return text
