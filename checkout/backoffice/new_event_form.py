"""New event's form: what it is filled with: of a plan that has just come, of one that is there, or of what was typed.

Not here: making the event (``new_event_pages``), taking a plan in (``venues_pages``).
"""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from checkout.backoffice.programme_fields import moment_text
from checkout.backoffice.programme_forms import (
    FIELDS,
    MOST_TIERS,
    read_tier_runs,
    slug_of,
    tier_runs_text,
)
from checkout.backoffice.programme_telling import beside
from checkout.backoffice.visit import Visit

DAY_MS = 86_400_000
ROWS = 4
"""Tiers for which there are rows at first."""

USUAL = {"max_per_buyer": "6", "hold_s": "240", "grace_s": "300", "currency": "EUR"}


async def show_new_event(
    visit: Visit, *, venue: Mapping[str, Any], imported: Mapping[str, Any] | None = None, layout: str = ""
) -> Response:
    """Show the form, for a plan of a house: `imported` as the API told it, or `layout` by id. Raises ``NotDone``."""
    typed = {name: texts[0] for name, texts in visit.form.items()} if imported is None else {}
    plan = imported
    if plan is None:
        plan = (await visit.ask("GET", "/layouts/{layout}", names={"layout": layout})).plain
    runs = tier_runs_text(plan["seat_tiers"]) if imported is not None else typed.get("runs", "")
    runs = runs if read_tier_runs(runs) else ""
    values = {
        **dict.fromkeys(FIELDS, ""),
        **USUAL,
        **_usual_times(visit, venue),
        "venue_id": venue["id"],
        **typed,
    }
    if not values.get("id") and values["title"]:
        values["id"] = slug_of(values["title"])
    names = {f"t-{one['tier']}": one["name"] for one in plan.get("tiers", ())}
    values = {**names, "id": "", **values}
    asked = visit.request.query_params.get("tiers", "")
    most = max(
        [
            ROWS,
            *(
                int(name[2:]) + 1
                for name in values
                if name[:2] == "t-" and values[name] and name[2:].isdigit()
            ),
        ]
    )
    rows = min(
        MOST_TIERS, max(most, int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 3 else 0)
    )
    shown: dict[str, Any] = {"plan": plan, "runs": runs, "values": values, "rows": rows, "venue": venue}
    shown["organisers"] = (await visit.ask("GET", "/organisers")).plain["organisers"]
    shown["is_imported"] = imported is not None
    shown["beside"] = beside(visit)
    return await visit.show(
        "new_event.html", here="home", status=201 if imported is not None else 200, **shown
    )


def _usual_times(visit: Visit, venue: Mapping[str, Any]) -> dict[str, str]:
    """Suggest an evening in eight weeks, on sale from next week on."""
    zone = venue["time_zone"]
    day = visit.now_ms - visit.now_ms % DAY_MS
    return {
        "starts_ms": moment_text(day + 56 * DAY_MS, zone)[:11] + "20:00",
        "sale_from_ms": moment_text(day + 7 * DAY_MS, zone)[:11] + "10:00",
        "sale_until_ms": moment_text(day + 56 * DAY_MS, zone)[:11] + "20:00",
    }
