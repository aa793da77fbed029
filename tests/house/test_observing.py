"""Boards, objectives, alerts and runbooks: what is written from one table is whole, and read by the programs it is for.

Prometheus' own tools judge: promtool reads the metrics' names, the rules and plays the alerts, amtool the routes. Not
here: a real Prometheus and a real Alertmanager with a real sale (``tests/process/test_observing``).
"""

import json
import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from admission import metrics as door
from checkout import metrics as shop
from dashboards.observing import prometheus
from dashboards.observing.boards import BOARDS
from dashboards.observing.objectives import OBJECTIVES, ratio
from dashboards.observing.prometheus import ALERTS
from tests.house import observing, reference
from tests.house.tree import ROOT
from waitroom import metrics as line

METRIC = re.compile(r"\b(?:waitroom|gateway)_[a-z_]+\b")
RECORDED = re.compile(r"\bwaitroom:[a-z_:]+[0-9a-z]*\b")
PARTS = ("_bucket", "_sum", "_count")


def tool(name: str) -> str:
    """Find a program of Prometheus'."""
    path = shutil.which(name)
    assert path is not None, f"{name} is missing: make setup"
    return path


def judged(*words: str, text: str | None = None, folder: Path = ROOT) -> tuple[int, str]:
    """Ask a program; return its exit status and what it says."""
    told = subprocess.run(
        [tool(words[0]), *words[1:]], input=text, cwd=folder, capture_output=True, text=True, check=False
    )
    return told.returncode, told.stdout + told.stderr


def queries() -> dict[str, str]:
    """Return every query of boards, objectives and alerts by where it stands."""
    return {
        **{f"{board.name}, {panel.title}": query.expr for board in BOARDS for panel in board.panels
           for query in panel.queries},
        **{one.slo: ratio(one, "5m") for one in OBJECTIVES},
        **{alert.name: alert.expr for alert in ALERTS},
    }  # fmt: skip


def unknown(expr: str, metrics: set[str], recorded: set[str]) -> set[str]:
    """Return the metrics in a query that nobody tells and nobody records."""
    found = set(METRIC.findall(re.sub(r'"[^"]*"', "", expr)))
    whole = {next((name.removesuffix(part) for part in PARTS if name.endswith(part)), name) for name in found}
    return (whole - metrics) | (set(RECORDED.findall(expr)) - recorded)


def known_metrics() -> set[str]:
    """Return the metrics of docs/metrics.md."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    return set(re.findall(r"^\| `([a-z_]+)` \| (?:counter|gauge|histogram) \|", page, re.MULTILINE))


def known_records() -> set[str]:
    """Return what the recording rules record."""
    return set(re.findall(r"record: (\S+)", prometheus.recording_yaml()))


def test_the_files_are_what_the_tables_say() -> None:
    """After a change of the tables, `make docs`; a file that no table writes is not there."""
    texts = observing.texts()
    differing = [
        name for name, text in texts.items()
        if not (ROOT / name).is_file() or (ROOT / name).read_text("utf-8") != text
    ]  # fmt: skip
    there = {
        str(path.relative_to(ROOT))
        for folder in ("deploy/grafana", observing.RUNBOOKS)
        for path in (ROOT / folder).iterdir()
    }

    assert differing == []
    assert there - texts.keys() == set()


def test_every_alert_has_a_page_of_its_own_and_says_where() -> None:
    """One name, one page; the rule's annotation leads there."""
    pages = [alert.page for alert in ALERTS]

    assert len(set(pages)) == len(pages) == len({alert.name for alert in ALERTS})
    assert all((ROOT / prometheus.annotations(alert)["runbook"]).is_file() for alert in ALERTS)
    assert all(alert.look and alert.do and alert.escalate and alert.fans for alert in ALERTS)


def test_every_query_asks_for_what_is_told() -> None:
    """Each metric in a query stands in docs/metrics.md, each recorded name in the recording rules."""
    metrics, recorded = known_metrics(), known_records()
    wrong = {where: names for where, expr in queries().items() if (names := unknown(expr, metrics, recorded))}

    assert wrong == {}


def test_a_made_up_metric_in_a_query_is_found() -> None:
    """The mutants: a metric that nobody tells, and a name that no rule records."""
    expr = 'rate(waitroom_line_joined_total[5m]) + rate(waitroom_line_danced_total{act="join"}[5m])'
    metrics, recorded = known_metrics(), known_records()

    assert unknown(expr, metrics, recorded) == {"waitroom_line_danced_total"}
    assert unknown("waitroom:failures:ratio_rate9h > 1", metrics, recorded) == {
        "waitroom:failures:ratio_rate9h"
    }
    assert unknown("waitroom_admission_claim_seconds_bucket", metrics, recorded) == set()


def test_promtool_likes_every_metrics_name_and_help() -> None:
    """`promtool check metrics` reads all metrics of all packages, each with a value, and objects to none."""
    registry = CollectorRegistry()
    for one in reference.collectors():
        if one._labelnames:
            one.labels(*("x" for _ in one._labelnames))
        registry.register(one)
    text = generate_latest(registry).decode()

    assert text.count("# TYPE") > 100
    assert judged("promtool", "check", "metrics", text=text) == (0, "")


def test_a_bad_name_is_found_by_promtool() -> None:
    """The mutant: a counter without its ending, and one in milliseconds."""
    bad = "# HELP waitroom_a_ms x\n# TYPE waitroom_a_ms counter\nwaitroom_a_ms 1\n"
    status, said = judged("promtool", "check", "metrics", text=bad)

    assert status != 0
    assert "_total" in said


def test_prometheus_accepts_rules_and_sample(tmp_path: Path) -> None:
    """`promtool check rules` and `check config`; only the secret's file lies elsewhere."""
    shutil.copytree(ROOT / "deploy" / "prometheus", tmp_path, dirs_exist_ok=True)
    sample = tmp_path / "prometheus.yml"
    secret = tmp_path / "token"
    secret.write_text("x")
    sample.write_text(sample.read_text().replace("/etc/prometheus/waitroom-organiser-token", str(secret)))

    status, said = judged("promtool", "check", "config", str(sample))

    assert status == 0, said
    assert f"{len(ALERTS)} rules found" in said


def test_every_alert_fires_once_and_is_silent_once() -> None:
    """`promtool test rules` plays each; a budget burns for each objective, at each speed."""
    status, said = judged(
        "promtool", "test", "rules", "alerts-test.yml", folder=ROOT / "deploy" / "prometheus"
    )
    text = prometheus.tests_yaml()

    assert status == 0, said
    assert {alert.name for alert in ALERTS if text.count(f"alertname: {alert.name}\n") < 2} == set()


def test_an_alert_that_never_fires_and_one_that_always_does_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutants: a threshold out of reach, and none at all."""
    store = next(alert for alert in prometheus.LINE_ALERTS if alert.name == "WaitroomStoreAway")
    for expr, is_said in (
        (store.expr.replace("> 10", "> 1e9"), "fires"),
        (store.expr.replace("> 10", ">= 0"), "is silent"),
    ):
        mutant = replace(store, expr=expr)
        monkeypatch.setattr(prometheus, "BURN_ALERTS", ())
        monkeypatch.setattr(prometheus, "OBJECTIVES", ())
        monkeypatch.setattr(prometheus, "SHOP_ALERTS", ())
        monkeypatch.setattr(prometheus, "LINE_ALERTS", (mutant,))
        (tmp_path / "recording.yml").write_text("groups: []\n")
        (tmp_path / "alerts.yml").write_text(prometheus.alerts_yaml())
        (tmp_path / "alerts-test.yml").write_text(prometheus.tests_yaml())

        status, said = judged("promtool", "test", "rules", "alerts-test.yml", folder=tmp_path)

        assert status != 0
        assert f"WaitroomStoreAway {is_said}" in said


def test_a_board_names_no_data_source_and_each_panel_says_what_it_is() -> None:
    """Whoever imports a board chooses their Prometheus; panels do not lie over each other."""
    for board in BOARDS:
        text = json.loads((ROOT / "deploy" / "grafana" / f"{board.name}.json").read_text())
        (variable,) = text["templating"]["list"]
        sources = {json.dumps(one) for one in re.findall(r'"uid": "([^"]+)"', json.dumps(text["panels"]))}
        cells = [
            (x, y)
            for panel in text["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]

        assert (variable["name"], variable["type"], variable["query"]) == (
            "datasource",
            "datasource",
            "prometheus",
        )
        assert sources == {'"${datasource}"'}
        assert text["schemaVersion"] >= 41
        assert len(set(cells)) == len(cells)
        assert max(x for x, _ in cells) < 24
        assert all(panel["description"] for panel in text["panels"])


def test_alertmanager_accepts_its_sample_and_a_page_goes_to_three_in_turn() -> None:
    """`amtool check-config`, and the routes of both severities: first, second, lead; tickets to their own."""
    sample = "deploy/alertmanager/alertmanager.yml"
    status, said = judged("amtool", "check-config", sample)
    routes = {
        severity: judged(
            "amtool", "config", "routes", "test", f"--config.file={sample}", f"severity={severity}"
        )[1]
        for severity in ("page", "ticket")
    }

    assert status == 0, said
    assert routes["page"].splitlines()[0] == "first-on-call,second-on-call,lead"
    assert routes["ticket"].splitlines()[0] == "tickets"


def counted_from_zero() -> set[str]:
    """Return the series that stand there before anything has happened, as a new process tells them."""
    registry = CollectorRegistry()
    for kind in (line.Metrics, door.Metrics, shop.Metrics):
        kind(registry)
    return {
        row.rpartition(" ")[0] for row in generate_latest(registry).decode().splitlines() if row[0] != "#"
    }


def unseen(there: set[str]) -> set[str]:
    """Return the counters that an alert or an objective looks for by one word, and whose first count nobody sees."""
    named = {
        name
        for expr in queries().values()
        for name in re.findall(r'increase\((\w+_total\{\w+="[^"]+"\})\[|(\w+_total\{act="\w+"\})', expr)
        for name in name
        if name
    }
    assert len(named) > 3
    return named - there


def test_what_an_alert_counts_by_one_word_stands_at_zero_from_the_beginning() -> None:
    """Prometheus sees no increase in a series that begins with one: the first of all would alarm nobody."""
    there = counted_from_zero()

    assert unseen(there) == set()
    assert unseen(there - {'waitroom_shop_orders_total{outcome="stray"}'}) == {
        'waitroom_shop_orders_total{outcome="stray"}'
    }


def test_what_hides_others_and_what_is_hidden_is_there() -> None:
    """A name that was changed would hide nothing, and two people were called for one cause."""
    sample = (ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text()
    named = set(re.findall(r'alertname=~?"(\w+)', sample))
    objectives = {slo for words in re.findall(r'slo=~?"([\w|-]+)"', sample) for slo in words.split("|")}

    assert {name for name in named if not any(alert.name.startswith(name) for alert in ALERTS)} == set()
    assert objectives
    assert objectives <= {one.slo for one in OBJECTIVES}


def test_a_full_room_burns_no_budget(tmp_path: Path) -> None:
    """Twelve that failed beside thousands that were refused are few; beside nobody they were all."""
    for name in ("recording", "alerts"):
        shutil.copy(ROOT / "deploy" / "prometheus" / f"{name}.yml", tmp_path)
    told = []
    for refused in ("0+1000x120", "0+0x120"):
        (tmp_path / "t.yml").write_text(
            "rule_files: [recording.yml, alerts.yml]\nevaluation_interval: 5m\ntests:\n- interval: 1m\n"
            "  input_series:\n"
            "  - {series: 'waitroom_line_joined_total', values: '0+0x120'}\n"
            "  - {series: 'waitroom_line_failed_total{act=\"join\"}', values: '0+1x120'}\n"
            f"  - {{series: 'waitroom_line_refused_total{{code=\"room-full\"}}', values: '{refused}'}}\n"
            "  alert_rule_test:\n  - {eval_time: 75m, alertname: WaitroomBudgetBurnsFast}\n"
        )
        told.append(judged("promtool", "test", "rules", "t.yml", folder=tmp_path)[0])

    assert told == [0, 1]


def test_a_budget_that_is_overspent_is_seen_below_zero() -> None:
    """What cannot be negative begins at zero; the rest of a budget can, and that is when it matters."""
    panels = [
        panel
        for board in BOARDS
        for panel in json.loads((ROOT / "deploy" / "grafana" / f"{board.name}.json").read_text())["panels"]
    ]
    below = [one["title"] for one in panels if "min" not in one["fieldConfig"]["defaults"]]

    assert below == ["Left of the month, if the last three days are all that failed"]


def test_the_log_sample_hangs_together() -> None:
    """deploy/logs/vector.toml is TOML, and whatever a part reads from is there."""
    sample = tomllib.loads((ROOT / "deploy" / "logs" / "vector.toml").read_text())
    parts = {name: part for kind in ("sources", "transforms", "sinks") for name, part in sample[kind].items()}
    read = {name for part in parts.values() for name in part.get("inputs", ())}

    assert read <= parts.keys()
    assert set(sample["sources"]) | set(sample["transforms"]) == read
