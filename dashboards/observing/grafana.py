"""Grafana: writes a board as the JSON that Grafana imports, or reads from a folder of provisioning.

The data source is a variable of the board, so that no file names one. Source: Grafana's documentation, "Dashboard JSON
model"; ``schemaVersion`` 41 is that of Grafana 12, older ones read it as well.
"""

import json
from typing import Any

from dashboards.observing.shapes import Board, Panel

SCHEMA_VERSION = 41
COLUMNS, WIDE, HIGH, NUMBER_WIDE, NUMBER_HIGH = 24, 8, 8, 8, 4
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def board_json(board: Board) -> str:
    """Write a board."""
    variable = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
        "current": {},
        "options": [],
    }
    text = {
        "uid": board.name,
        "title": board.title,
        "description": board.told,
        "tags": ["waitroom"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [variable]},
        "annotations": {"list": []},
        "panels": _panels(board),
    }
    return json.dumps(text, indent=2, ensure_ascii=False) + "\n"


def _panels(board: Board) -> list[dict[str, Any]]:
    """Lay panels out in rows, three beside each other."""
    made: list[dict[str, Any]] = []
    x = y = high = 0
    for number, panel in enumerate(board.panels, 1):
        wide, tall = (NUMBER_WIDE, NUMBER_HIGH) if panel.is_number else (WIDE, HIGH)
        if x + wide > COLUMNS or (x and tall != high):
            x, y = 0, y + high
        made.append(_panel(number, panel, {"x": x, "y": y, "w": wide, "h": tall}))
        x, high = x + wide, tall
    return made


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "stat" if panel.is_number else "timeseries",
        "title": panel.title,
        "description": panel.told,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, **({} if panel.is_signed else {"min": 0})},
            "overrides": [],
        },
        "options": {} if panel.is_number else {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
            }
            for at, query in enumerate(panel.queries)
        ],
    }
