"""Making: what ``waitroom bots train`` and ``waitroom bots evaluate`` do."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from botguard.features import NAMES, VERSION
from botguard.training.fitting import drawn_to, fit, written
from botguard.training.folds import CANDIDATES, Judged, judge
from botguard.training.judging import Figures, all_folds, figures
from botguard.training.report import page
from botguard.training.rows import Rows, read_rows
from botguard.training.traces import digest, read_chromium, read_delbot

SEED = 7
FAILURES = (
    "A person's session replayed word for word looks like the person: sketches are for that, not this model.",
    "People of a slow or unsteady device that it never saw look like scripts: of `fast` most, of `tel` a third.",
    "Scripts that jump from point to point (`pynput`), if never seen, look more like people than such people do.",
    "No script in Chromium lies above what 1 % of people reach; plain ones are found by rules, ghost-cursor is not.",
    "Six devices and four families are few: the interval with groups drawn says how few.",
    "Nobody with tremor, a switch, an eye tracker or a screen reader is among those it learned from or was judged by.",
    "People of the recorded data were few, moved in a game of circles, and are not counted one by one.",
)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judgement and what it was made of."""

    rows: Rows
    seen: Judged
    figures: Figures


def evaluate(
    delbot: Path, replays: Path, chromium: Path, keep: Path | None, seed: int, tell: Tell
) -> Judgement:
    """Run the protocol of docs/bots.md."""
    rows = read_rows(delbot, seed, keep, tell)
    seen = judge(rows, seed, tell)
    people = [trace for trace in read_delbot(delbot) if not trace.is_bot]
    replayed = read_chromium(replays, is_bot=False)
    return Judgement(rows, seen, figures(rows, seen, people, replayed, read_chromium(chromium), seed))


def train(judged: Judgement, replays: Path, chromium: Path, seed: int) -> bytes:
    """Return the file of a model trained on everything, in the way that most outer folds chose."""
    name, _ = Counter(judged.seen.chosen.values()).most_common(1)[0]
    candidate = next(one for one in CANDIDATES if one.name == name)
    slope, shift = drawn_to(*all_folds(judged.seen.scores))
    fitted = fit(judged.rows, candidate, set(), seed)
    card: dict[str, Any] = {
        "what": "how a pointer moves: log-odds that a script moved it; one piece of evidence, never a reason to block",
        "data": {
            "DELBOT circles (MIT)": judged.rows.data_sha256,
            "Chromium bots, judged by only": digest(chromium),
            "people replayed in Chromium (DELBOT's, MIT), judged by only": digest(replays),
        },
        "features": VERSION,
        "looked at": [NAMES[at] for at in candidate.columns],
        "made": candidate.name,
        "seed": seed,
        "protocol": "docs/bots.md, second round: device and family unseen, chosen by inner folds",
        "results": judged.figures.table,
        "failures": list(FAILURES),
    }
    return written(fitted, slope, shift, card)


def tell_all(found: Figures, tell: Tell) -> None:
    """Tell the figures line by line, as JSON."""
    for name, value in found.table.items():
        tell(f"{name}: {json.dumps(value, ensure_ascii=False)}")


def save_report(found: Figures, path: Path) -> None:
    """Write the HTML page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(found), encoding="utf-8")


def save_model(raw: bytes, path: Path) -> str:
    """Write a model; return the hash that names it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return sha256(raw).hexdigest()
