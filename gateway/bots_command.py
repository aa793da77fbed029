"""Bots command: ``waitroom bots``: make a model of the bot guard, and tell what its like is worth.

Needs the extra ``bots``. Data are read from files that are given; nothing is fetched.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botguard.training import making

DELBOT = Path("tests/data/delbot/delbot_circles.tgz")
CHROMIUM = Path("tests/data/chromium_bots/bots.jsonl.gz")


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
    trained.set_defaults(run=train)
    for one in (judged, trained):
        one.add_argument("--delbot", type=Path, default=DELBOT, help=f"people and bots ({DELBOT})")
        one.add_argument(
            "--chromium", type=Path, default=CHROMIUM, help=f"bots to judge by only ({CHROMIUM})"
        )
        one.add_argument("--keep", type=Path, help="folder that keeps what was read, for the next time")
        one.add_argument("--seed", type=int, default=7, help="what chance follows from (7)")


def evaluate(args: argparse.Namespace) -> int:
    """Judge, print the figures and write the report."""
    _judge(args)
    return 0


def train(args: argparse.Namespace) -> int:
    """Judge, then make a model of everything."""
    from botguard.training import making

    judged = _judge(args)
    digest = making.save_model(making.train(judged, args.chromium, args.seed), args.model)
    print(f"{args.model}: sha256 {digest}")
    return 0


def _judge(args: argparse.Namespace) -> "making.Judgement":
    from botguard.training import making
    from kernel.errors import Misconfigured

    missing = [f"{path} is not there." for path in (args.delbot, args.chromium) if not path.is_file()]
    if missing:
        raise Misconfigured(missing)
    judged = making.evaluate(
        args.delbot,
        args.chromium,
        args.keep,
        args.seed,
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    making.tell_all(judged.figures, print)
    making.save_report(judged.figures, args.report)
    return judged
