"""Judging: what the outer folds, the controls and bots in a real Chromium say of the way models are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from botguard.features import NAMES
from botguard.model import MOST_LOGIT
from botguard.rules import plain
from botguard.training.altering import thinned
from botguard.training.fitting import drawn_to
from botguard.training.folds import Judged, Key, Scores
from botguard.training.measures import (
    auc,
    brier,
    calibration,
    ece,
    mean_auc,
    psi,
    recall_at,
    recall_interval,
)
from botguard.training.rows import Rows
from botguard.training.traces import DEVICES, FAMILIES, Move, Trace, features, summary

FRAME_MS = 16.0
EACH_WAIT = 4
REST_MS = 700.0


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is told of a judgement; intervals are of 95 %."""

    table: dict[str, Any]
    bins: list[tuple[float, float, float]]
    curves: dict[str, list[tuple[float, float]]]


def figures(
    rows: Rows,
    seen: Judged,
    people: Sequence[Trace],
    replays: Sequence[Trace],
    scripts: Sequence[Trace],
    seed: int,
) -> Figures:
    """Return all figures; ``replays`` are people's sessions replayed in the Chromium that ``scripts`` drove."""
    chances, is_bot, weights = unseen_chances(seen.scores)
    bins = calibration(chances, is_bot, weights)
    table: dict[str, Any] = {
        "auc": _told(mean_auc(seen.scores, seed)),
        "auc_with_groups_drawn": _told(mean_auc(seen.scores, seed, groups=True)),
        "auc_plain": _told(mean_auc(seen.plain, seed)),
        "auc_labels_shuffled": _shuffled(seen.shuffled),
        "auc_device_only": _told(mean_auc(seen.device_only, seed)),
        "auc_replayed_word_for_word": round(replayed(seen.scores), 4),
        "auc_by_device": {one: _mean(seen.scores, 0, one) for one in DEVICES},
        "auc_by_family": {one: _mean(seen.scores, 1, one) for one in FAMILIES},
        "chosen": {f"{key[0]}, {key[1]}": name for key, name in seen.chosen.items()},
        "ece": round(ece(bins), 4),
        "brier": round(brier(chances, is_bot, weights), 4),
        "ece_by_device": _by_device(seen.scores),
        "false_positives_at_half": _false_positives(seen.scores),
        "recall": _recalls(seen.scores),
        "chromium": in_chromium(seen, replays, scripts, seed),
        "chromium_waits": in_chromium(seen, waits(replays), scripts, seed),
        "chromium_people_as_recorded": in_chromium(seen, people, scripts, seed),
        "drift": drift(rows),
    }
    return Figures(table, bins, {"this model": curve(seen.scores), "plain": curve(seen.plain)})


def _told(found: tuple[float, float, float]) -> dict[str, float]:
    return {"value": round(found[0], 4), "low": round(found[1], 4), "high": round(found[2], 4)}


def _shuffled(each: Sequence[float]) -> dict[str, float]:
    """Return the mean of shuffles, its error, and how far one shuffle goes."""
    low, high = np.quantile(each, [0.025, 0.975])
    spread = float(np.std(each, ddof=1))
    return {
        "value": round(float(np.mean(each)), 4),
        "error": round(spread / len(each) ** 0.5, 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "spread": round(spread, 4),
        "shuffles": len(each),
    }


def _mean(scores: Mapping[Key, Scores], side: int, group: str) -> float:
    return round(float(np.mean([auc(*pair) for key, pair in scores.items() if key[side] == group])), 4)


def replayed(scores: Mapping[Key, Scores]) -> float:
    """Return the AUC of people's sessions replayed word for word: every second person as a "bot" of the others."""
    return float(np.mean([auc(people[::2], people[1::2]) for people, _ in scores.values()]))


def unseen_chances(scores: Mapping[Key, Scores]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities, labels and weights of all folds; a device's odds are drawn by the other devices only."""
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for device in DEVICES:
        slope, shift = drawn_to(*_stacked(scores, [one for one in DEVICES if one != device]))
        raw, is_bot, weights = _stacked(scores, [device])
        found.append((said(slope * raw + shift), is_bot, weights))
    chances, labels, shares = (np.concatenate(part) for part in zip(*found, strict=True))
    return chances, labels, shares


def said(logits: np.ndarray) -> np.ndarray:
    """Return what the model says: probabilities, as bounded as its word is."""
    found: np.ndarray = 1 / (1 + np.exp(-np.clip(logits, -MOST_LOGIT, MOST_LOGIT)))
    return found


def _stacked(
    scores: Mapping[Key, Scores], devices: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    raw, is_bot, weights = [], [], []
    for key, (people, bots) in scores.items():
        if key[0] in devices:
            raw += [people, bots]
            is_bot += [np.zeros(len(people)), np.ones(len(bots))]
            weights += [np.full(len(people), 0.5 / len(people)), np.full(len(bots), 0.5 / len(bots))]
    return np.concatenate(raw), np.concatenate(is_bot), np.concatenate(weights)


def all_folds(scores: Mapping[Key, Scores]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sums, labels and weights of all folds, by which the shipped model is drawn to honest odds."""
    return _stacked(scores, DEVICES)


def _by_device(scores: Mapping[Key, Scores]) -> dict[str, float]:
    found = {}
    for device in DEVICES:
        slope, shift = drawn_to(*_stacked(scores, [one for one in DEVICES if one != device]))
        raw, is_bot, weights = _stacked(scores, [device])
        found[device] = round(ece(calibration(said(slope * raw + shift), is_bot, weights)), 4)
    return found


def _false_positives(scores: Mapping[Key, Scores]) -> dict[str, float]:
    """Return for each device the share of its people to whom even odds or worse were given."""
    found = {}
    for device in DEVICES:
        slope, shift = drawn_to(*_stacked(scores, [one for one in DEVICES if one != device]))
        people = [pair[0] for key, pair in scores.items() if key[0] == device]
        found[device] = round(float(np.mean([(slope * one + shift > 0).mean() for one in people])), 4)
    return found


def _recalls(scores: Mapping[Key, Scores]) -> dict[str, float]:
    """Return the mean over folds of the recall at 1 % and 0.1 % false positives within a fold's own people."""
    return {
        name: round(float(np.mean([recall_at(*pair, ratio) for pair in scores.values()])), 4)
        for name, ratio in (("at 1 %", 0.01), ("at 0.1 %", 0.001))
    }


def in_chromium(seen: Judged, people: Sequence[Trace], bots: Sequence[Trace], seed: int) -> dict[str, Any]:
    """Return the recall of scripts in a real Chromium, none of which was trained on.

    People are scored by models that know neither their device nor, fold by fold, one of the families; both sides
    are told by whole pixels and at most once in a frame. What a rule finds is told beside the model's word.
    """
    values = {trace.name: features(evened(trace.moves)) for trace in (*people, *bots)}
    human = np.concatenate([
        np.mean([model.raw(np.array([values[one.name] for one in people if one.group == device]))
                 for key, model in seen.models.items() if key[0] == device], axis=0)
        for device in DEVICES
    ])  # fmt: skip
    found: dict[str, Any] = {}
    for family in sorted({one.group for one in bots}):
        table = np.array([values[one.name] for one in bots if one.group == family])
        script = np.mean([model.raw(table) for model in seen.models.values()], axis=0)
        low, high = recall_interval(human, script, 0.01, seed)
        ruled = np.array([bool(plain(summary(one.moves))) for one in bots if one.group == family])
        found[family] = {
            "sessions": len(table),
            "people": len(human),
            "auc": round(auc(human, script), 4),
            "recall at 1 %": round(recall_at(human, script, 0.01), 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "recall at 0.1 %": round(recall_at(human, script, 0.001), 4),
            "by a rule": round(float(ruled.mean()), 4),
            "by a rule or at 1 %": round(recall_at(human, np.where(ruled, np.inf, script), 0.01), 4),
        }
    return found


def waits(sessions: Sequence[Trace]) -> list[Trace]:
    """Return what people do while they wait longer: sessions of a device one after the other, by fours."""
    found = []
    for device in DEVICES:
        own = [one for one in sessions if one.group == device]
        for at in range(0, len(own) - EACH_WAIT + 1, EACH_WAIT):
            moves, end = [], 0.0
            for one in own[at : at + EACH_WAIT]:
                moves += [(t - one.moves[0][0] + end, x, y) for t, x, y in one.moves]
                end = moves[-1][0] + REST_MS
            found.append(Trace(f"{device}/{at}", device, is_bot=False, moves=moves))
    return found


def evened(moves: Sequence[Move]) -> list[Move]:
    """Return moves as any logger would tell them: whole pixels, at most one in a frame."""
    times = np.array([move[0] for move in moves])
    return [
        (moves[at][0], float(round(moves[at][1])), float(round(moves[at][2])))
        for at in thinned(times, FRAME_MS)
    ]


def drift(rows: Rows) -> dict[str, dict[str, float]]:
    """Return for each device the three features that are most unlike those of the other devices' people (PSI)."""
    found = {}
    for device in DEVICES:
        here = rows.values[rows.recorded(device)]
        others = rows.values[np.concatenate([rows.recorded(one) for one in DEVICES if one != device])]
        each = {name: psi(others[:, at], here[:, at]) for at, name in enumerate(NAMES)}
        known = {name: value for name, value in each.items() if not np.isnan(value)}
        found[device] = {name: round(known[name], 2) for name in sorted(known, key=known.__getitem__)[:-4:-1]}
    return found


def curve(scores: Mapping[Key, Scores]) -> list[tuple[float, float]]:
    """Return the mean over folds of the share of bots found, at shares of people wrongly suspected."""
    at = np.linspace(0, 1, 51)
    each = [
        [recall_at(people, bots, float(one)) for one in at[:-1]] + [1.0] for people, bots in scores.values()
    ]
    return list(zip(at.tolist(), np.mean(each, axis=0).tolist(), strict=True))
