"""Bots command: ``waitroom bots``: make a model of the bot guard, and tell what its like is worth.

``evaluate``, ``train`` and ``rhythms`` need the extra ``bots``; data are read from files that are given, nothing is
fetched. ``fairness`` tells what thresholds would do to groups of people and ``cost`` is arithmetic: neither needs more.
Not here: the key that signs a model, and what a gate would say of one (``bots_models``).
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.bots_models import add_models, save_signed

if TYPE_CHECKING:
    from botguard.training import making

DELBOT = Path("tests/data/delbot/delbot_circles.tgz")
PEOPLE = Path("tests/data/chromium_people/people.jsonl.gz")
CHROMIUM = Path("tests/data/chromium_bots/bots.jsonl.gz")


COST: dict[str, tuple[float, str]] = {
    "face": (80.0, "price of a ticket"),
    "resale": (160.0, "price at which it is resold"),
    "fee": (0.31, "part of it that the place of resale takes"),
    "per_order": (4, "tickets in an order"),
    "tickets": (10_000, "tickets in the sale"),
    "places": (50_000, "honest places in the line"),
    "share": (0.1, "part of all tickets that is wanted"),
    "proxy_gb": (5.0, "a gigabyte through somebody's household"),
    "place_kb": (100.0, "kilobytes of one place"),
    "work_s": (2.0, "seconds of work that a check asks for"),
    "cpu_hour": (0.05, "an hour of one processor"),
    "check": (0.00299, "one solved check of a provider"),
    "mail": (0.005, "one mail account"),
    "phone": (0.25, "one account that stands on a telephone number"),
}
"""Inputs of ``cost``: their defaults, and what they are; sources in docs/bots-cost.md."""


def add_bots(parser: argparse.ArgumentParser) -> None:
    """Describe what can be done with models."""
    what = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    judged = what.add_parser(
        "evaluate", help="judge on devices and bots never seen; figures and an HTML report"
    )
    judged.add_argument("--report", type=Path, default=Path("report/bots.html"), help="where the report goes")
    judged.set_defaults(run=evaluate)
    trained = what.add_parser("train", help="the same, then a model of everything, with its card")
    trained.add_argument(
        "--report", type=Path, default=Path("report/bots.html"), help="where the report goes"
    )
    trained.add_argument(
        "--model", type=Path, default=Path("report/rhythm.json"), help="where the model goes"
    )
    trained.add_argument(
        "--sign-with", type=Path, metavar="FILE", help="key that signs it, as `waitroom bots keys` made it"
    )
    trained.set_defaults(run=train)
    add_models(what)
    held = what.add_parser("rhythms", help="recorded people as models see them that do not know their device")
    held.add_argument(
        "--to", type=Path, default=Path("report/rhythms-of-people.json"), help="where the file goes"
    )
    held.set_defaults(run=rhythms)
    add_fairness(what.add_parser("fairness", help="what thresholds would do to groups of people, as a table"))
    cost = what.add_parser(
        "cost", help="what a place is worth to whoever resells tickets, against what a fake place costs"
    )
    for name, (default, text) in COST.items():
        cost.add_argument(
            f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"{text} ({default})"
        )
    cost.set_defaults(run=tell_cost)
    for one in (judged, trained):
        one.add_argument(
            "--people",
            type=Path,
            default=PEOPLE,
            help=f"people replayed in Chromium, to judge by only ({PEOPLE})",
        )
        one.add_argument(
            "--chromium", type=Path, default=CHROMIUM, help=f"bots to judge by only ({CHROMIUM})"
        )
    for one in (judged, trained, held):
        one.add_argument("--delbot", type=Path, default=DELBOT, help=f"people and bots ({DELBOT})")
        one.add_argument("--keep", type=Path, help="folder that keeps what was read, for the next time")
        one.add_argument("--seed", type=int, default=7, help="what chance follows from (7)")


def add_fairness(parser: argparse.ArgumentParser) -> None:
    """Describe the table of groups."""
    for name, default, what in (
        ("prove", 0.3, "the device works in the background"),
        ("step-up", 0.9, "a check that a person passes"),
        ("slow", 0.98, "the lane suspect"),
    ):
        parser.add_argument(
            f"--{name}", type=float, default=default, help=f"likelihood from which on: {what} ({default})"
        )
    parser.add_argument("--people", type=int, default=240, help="people of each group (240)")
    parser.add_argument("--seed", type=int, default=7, help="what chance follows from (7)")
    parser.set_defaults(run=fairness)


def fairness(args: argparse.Namespace) -> int:
    """Print what thresholds would do to groups of people; status 1 where a group is treated worse than is fair."""
    import asyncio

    from botguard.fairness import measure, rhythms, telling
    from botguard.fairness.groups import GROUPS
    from botguard.fairness.simulating import simulate

    thresholds = telling.chosen(args.prove, args.step_up, args.slow, args.people)
    seen = asyncio.run(simulate(GROUPS, rhythms.shipped(), many=args.people, seed=args.seed))
    told = measure.table(GROUPS, seen, thresholds)
    for line in telling.lines(told):
        print(line)
    faults = measure.faults(told)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def rhythms(args: argparse.Namespace) -> int:
    """Write the file by which people move in the table of groups."""
    from botguard.model import default
    from botguard.training.held_out import held_out, written
    from botguard.training.making import save_model
    from botguard.training.rows import read_rows
    from kernel.errors import Misconfigured

    if not args.delbot.is_file():
        raise Misconfigured([f"{args.delbot} is not there."])
    rows = read_rows(args.delbot, args.seed, args.keep, lambda text: print(text, file=sys.stderr, flush=True))
    save_model(written(held_out(rows, default(), args.seed), rows.data_sha256, args.seed), args.to)
    print(args.to)
    return 0


def tell_cost(args: argparse.Namespace) -> int:
    """Print what a fake place brings and costs under each setting."""
    from dataclasses import fields

    from botguard.cost import Market, Prices, faults, told
    from kernel.errors import Misconfigured

    given = vars(args)
    market = Market(**{field.name: given[field.name] for field in fields(Market)})
    prices = Prices(**{field.name: given[field.name] for field in fields(Prices)})
    if found := faults(market, prices):
        raise Misconfigured(found)
    print("\n".join(told(market, prices)))
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """Judge, print the figures and write the report."""
    _judge(args)
    return 0


def train(args: argparse.Namespace) -> int:
    """Judge, then make a model of everything."""
    from botguard.model_key import read
    from botguard.training import making

    key = None if args.sign_with is None else read(args.sign_with)  # hours before it is needed
    judged = _judge(args)
    raw = making.train(judged, args.people, args.chromium, args.seed)
    if key is not None:
        print(save_signed(raw, key, args.model))
        return 0
    print(f"{args.model}: sha256 {making.save_model(raw, args.model)}")
    return 0


def _judge(args: argparse.Namespace) -> "making.Judgement":
    from botguard.training import making
    from kernel.errors import Misconfigured

    given = (args.delbot, args.people, args.chromium)
    missing = [f"{path} is not there." for path in given if not path.is_file()]
    if missing:
        raise Misconfigured(missing)
    judged = making.evaluate(
        args.delbot,
        args.people,
        args.chromium,
        args.keep,
        args.seed,
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    making.tell_all(judged.figures, print)
    making.save_report(judged.figures, args.report)
    return judged
