"""Telling: how a line works, in sentences that follow from the room's real settings.

What the page promises a fan stands here next to the setting that keeps it, and nothing stands here that is not so
today: no lanes while nothing sorts visitors into them, no slowing down while no pace learns. Not here: how it
looks (``view``).
"""

from collections.abc import Sequence

from waitroom.room_fields import Bind, BotGuard, ChallengeWay
from waitroom.rooms import Method, Room, draws
from waitroom.schedule import Wanted
from waitroom.words import Catalogue

Section = tuple[str, Sequence[str]]

_ORDER = {
    Method.FIFO: "first-come",
    Method.RANDOM: "lottery",
    Method.PASSTHROUGH: "pass",
    Method.REJECT: "closed",
}
_MINUTE_S = 60


def sections(room: Room, wanted: Wanted, level: str, words: Catalogue) -> list[Section]:
    """Tell how a room's line works now; `room` has the current sale merged in, `level` is the draw's assurance."""
    drawn = wanted.sale is not None and draws(room, wanted.sale)
    order = "lottery" if drawn else _ORDER[room.queueing_method]
    found: list[Section] = [
        (words.text("how.order.title"), [words.text(f"how.order.{order}")]),
        (words.text("how.dates.title"), _dates(wanted, words)),
        (words.text("how.place.title"), _place(room, words)),
        (words.text("how.limits.title"), _limits(room, words)),
        (words.text("how.bots.title"), [words.text(f"how.bots.{part}") for part in _programs(room)]),
        (words.text("how.wait.title"), [words.text("how.wait.text")]),
    ]
    if drawn:
        found.append((words.text("how.level.title"), [words.text(f"how.level.{level.lower()}")]))
    found += [
        (words.text("how.receipt.title"), [words.text("how.receipt.text")]),
        (
            words.text("how.data.title"),
            [words.text(f"how.data.{part}") for part in _kept(room)],
        ),
    ]
    return [(title, lines) for title, lines in found if lines]


def _dates(wanted: Wanted, words: Catalogue) -> list[str]:
    times = (("opens", wanted.opens_ms), ("starts", wanted.starts_ms), ("ends", wanted.ends_ms))
    return [words.text(f"how.dates.{name}", time=words.moment(ms)) for name, ms in times if ms is not None]


def _place(room: Room, words: Catalogue) -> list[str]:
    window = words.text("how.place.window", n=max(1, round(room.claim_window_s / _MINUTE_S)))
    lines = [words.text("how.place.text"), window]
    if room.bind is Bind.BROWSER:
        lines.insert(1, words.text("how.place.bound"))
    if room.claim_extensions > 1:
        lines.append(words.text("how.place.more"))
    return [*lines, words.text("how.place.missed"), words.text("how.place.leave")]


def _kept(room: Room) -> list[str]:
    reminders = ["reminders"] if room.reminder_minutes is not None else []
    rhythm = ["rhythm"] if room.bot_guard is not BotGuard.OFF else []
    return ["place", "cookie", "address", "here", *rhythm, *reminders, "record"]


def _programs(room: Room) -> list[str]:
    if room.bot_guard is not BotGuard.ON:
        return ["floods"]
    way_out = ["way-out"] if room.challenge.way is not ChallengeWay.NONE else []
    return ["floods", "text", *way_out]


def _limits(room: Room, words: Catalogue) -> list[str]:
    renewal = "not-renewed" if room.disable_session_renewal else "renewed"
    visit = words.text("how.limits.visit", n=room.session_duration)
    lines = [
        words.text("how.limits.rate", n=room.new_users_per_minute),
        words.text("how.limits.total", n=room.total_active_users),
        f"{visit} {words.text(f'how.limits.{renewal}')}",
    ]
    if room.max_waiting is not None:
        lines.append(words.text("how.limits.waiting", n=room.max_waiting))
    return lines
