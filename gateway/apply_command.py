"""Apply command: ``waitroom plan``, ``apply`` and ``export``: the rooms and targets of an installation as a TOML file.

All three ask the operator's API and nothing else, so they may do what their token may, and what they do stands in the
journal as anybody's. Exit statuses: 0 done or nothing to do, 1 a fault or a refusal; of ``plan`` 2 means that there is
something to do.

Every fault of the file is told before anything is asked. A change names the version that it was planned on. The first
step that fails ends the work; what is done, what is not and what nobody knows is said, and a repetition finishes.
A file that says nothing of targets is none of their business: they are not asked for, as only owners may see them.
Not here: what a plan is (``waitroom.rooms_plan``, ``targets_plan``), how is asked (``operator_client``).
"""

import argparse
import getpass
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from gateway.apply_targets import keep_secret, targets_of
from gateway.operator_client import Answer, NoAnswer, OperatorClient, token_of
from gateway.options import NO
from kernel.errors import Misconfigured

if TYPE_CHECKING:
    from waitroom.rooms import Room
    from waitroom.rooms_plan import Step
    from waitroom.targets import Target

CHANGES = 2
"""Exit status of ``plan`` where there is something to do."""

URL = "http://127.0.0.1:8081"
SERVER_FAULT = 500
GONE = 404
SIGNS = {"make": "+", "change": "~", "remove": "-", "keep": "=", "leave": "?"}


class Asker(Protocol):
    """Who asks the API."""

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once. Raises ``NoAnswer``."""
        ...


class Outcome(StrEnum):
    """What became of a step."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_TRIED = "not-tried"


@dataclass(frozen=True, slots=True)
class Result:
    """A step, what became of it, and why."""

    step: "Step"
    outcome: Outcome
    why: str = ""


def add_apply(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the three commands."""
    # Without abbreviations: `--token SECRET` is a mistake, and not short for --token-file.
    plan = commands.add_parser(
        "plan", allow_abbrev=False, help="show what a file with rooms would change on a running installation"
    )
    apply = commands.add_parser(
        "apply", allow_abbrev=False, help="bring the rooms of a file to a running installation"
    )
    for one in (plan, apply):
        one.add_argument("file", type=Path, help="TOML file with rooms")
        one.add_argument(
            "--prune", action="store_true", help="remove the rooms (and targets) that the file does not have"
        )
        one.add_argument("--json", action="store_true", help="answer in JSON")
    apply.add_argument("--yes", action="store_true", help="do not ask whether to go on")
    apply.add_argument(
        "--secrets", type=Path, metavar="FOLDER", help="write the secrets of new webhooks there"
    )
    apply.add_argument("--who", help="who does it, for the journal (the name of the user)")
    apply.add_argument("--why", help="why, for the journal (the file's name)")
    export = commands.add_parser(
        "export", allow_abbrev=False, help="write the rooms of a running installation as a TOML file"
    )
    export.add_argument("room", nargs="*", help="these rooms only")
    for one in (plan, apply, export):
        one.add_argument("--url", default=URL, help=f"address of the operator's port ({URL})")
        one.add_argument(
            "--token-file", type=Path, metavar="FILE", help="file with the token; else the environment's"
        )
        one.add_argument(
            "--authorities", type=Path, metavar="FILE", help="certificates that TLS is verified with (PEM)"
        )
        one.add_argument(
            "--plain-http", action="store_true", help="allow HTTP without TLS to another machine"
        )
    plan.set_defaults(run=_told(run_plan))
    apply.set_defaults(run=_told(run_apply))
    export.set_defaults(run=_told(run_export))


def _told(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Tell faults with exit status 1: 2 is the plan's word for changes."""

    def run_told(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except Misconfigured as error:
            for fault in error.faults:
                print(f"waitroom: {fault}", file=sys.stderr)
        except NoAnswer as error:
            print(f"waitroom: {error}", file=sys.stderr)
        return NO

    return run_told


def run_plan(args: argparse.Namespace) -> int:
    """Show what there is to do."""
    rooms, named, targets = _file(args)
    steps = _plan(args, client_of(args), rooms, named, targets)
    print(_as_json(steps) if args.json else "\n".join(told(steps)))
    return CHANGES if _doing(steps) else 0


def run_apply(args: argparse.Namespace) -> int:
    """Show what there is to do, ask, and do it."""
    rooms, named, targets = _file(args)
    if not args.yes and (args.json or not sys.stdin.isatty()):
        raise Misconfigured(["There is nobody to ask whether to go on: look at the plan, then use --yes."])
    asker = client_of(args)
    steps = _plan(args, asker, rooms, named, targets)
    doing = _doing(steps)
    if not args.json:
        print("\n".join(told(steps)))
    if not doing:
        if args.json:
            print(_as_json(steps))
        return 0
    if not args.yes and not _confirmed():
        print("Nothing was changed.")
        return NO
    who = args.who if args.who is not None else _user()
    why = args.why if args.why is not None else f"waitroom apply {args.file.name}"
    results = apply(asker, doing, who, why, args.secrets)
    print(_as_json(steps, results) if args.json else "\n".join(told_results(results)))
    return 0 if all(result.outcome is Outcome.DONE for result in results) else NO


def run_export(args: argparse.Namespace) -> int:
    """Write rooms as TOML."""
    from waitroom.rooms import read_kept
    from waitroom.rooms_export import to_toml

    asker = client_of(args)
    documents = fetched(asker)
    known = {str(document.get("name")): document for document in documents}
    if faults := [f"There is no room {name}." for name in args.room if name not in known]:
        raise Misconfigured(faults)
    rooms = []
    for name in args.room or known:
        room = read_kept(json.dumps(known[name]))
        lost = known[name].keys() - _members()
        if room is None or lost:
            faults.append(
                f"The room {name} has settings that this version of Waitroom does not know: {', '.join(sorted(lost))}."
            )
        else:
            rooms.append(room)
    if faults:
        raise Misconfigured(faults)
    targets = "" if args.room else _exported_targets(asker)
    print("\n".join(filter(None, (to_toml(rooms), targets))), end="")
    return 0


def _exported_targets(asker: Asker) -> str:
    from waitroom.targets_plan import targets_to_toml

    answer = asker.ask("GET", "/api/targets")
    if answer.status == 200:
        return targets_to_toml(answer.document["targets"])
    print(f"waitroom: the targets are not in it: {answer.told}", file=sys.stderr)
    return ""


def apply(
    asker: Asker, steps: Sequence["Step"], who: str, why: str, secrets: Path | None = None
) -> list[Result]:
    """Do the steps in their order until one fails; the secrets of new webhooks go to the folder `secrets`."""
    results: list[Result] = []
    for step in steps:
        if results and results[-1].outcome is not Outcome.DONE:
            results.append(Result(step, Outcome.NOT_TRIED))
        else:
            sent = {"Waitroom-Who": quote(who), "Waitroom-Why": quote(why)}
            results.append(_do(asker, step, sent, secrets))
    return results


def _do(asker: Asker, step: "Step", headers: Mapping[str, str], secrets: Path | None) -> Result:
    of_rooms = step.of == "rooms"
    body: Mapping[str, Any] | None = None
    plain, match = {"Content-Type": "application/json"}, {"If-Match": f'"{step.tag or step.version}"'}
    try:
        match step.act.value, of_rooms:
            case "make", True:
                answer = asker.ask("PUT", step.path, step.body, {**headers, **plain, "If-None-Match": "*"})
            case "make", False:
                body = {**(step.body or {}), "name": step.room}
                answer = asker.ask("POST", f"/api/{step.of}", body, {**headers, **plain})
            case "change", True:
                kind = {"Content-Type": "application/merge-patch+json"}
                answer = asker.ask("PATCH", step.path, step.body, {**headers, **match, **kind})
            case "change", False:
                answer = asker.ask("PUT", step.path, step.body, {**headers, **match, **plain})
            case _:
                answer = asker.ask("DELETE", step.path, None, {**headers, **match})
    except (NoAnswer, KeyboardInterrupt) as error:
        return _look(asker, step, str(error) or "Interrupted.")
    if answer.status < 300:
        return Result(step, Outcome.DONE, keep_secret(secrets, step.room, answer.document))
    if answer.status >= SERVER_FAULT:
        return _look(asker, step, answer.told)
    gone = answer.status == GONE and (step.version or step.tag)
    if gone or answer.document.get("code") in {"settings-stale", "target-exists"}:
        faster = _faster(answer, step.of.removesuffix("s"))
        return Result(step, Outcome.REFUSED, f"{faster} since it was planned; plan again")
    return Result(step, Outcome.REFUSED, answer.told)


def _faster(answer: Answer, what: str) -> str:
    """Say who changed what meanwhile, as far as the answer tells."""
    found = answer.document.get("changes") or ()
    names = dict.fromkeys(str(change.get("who") or "somebody") for change in reversed(found))
    fields = dict.fromkeys(str(field[0]) for change in reversed(found) for field in change.get("what") or ())
    told = f" ({', '.join(fields)})" if fields else ""
    return f"{' and '.join(names) or 'somebody'} changed this {what}{told}"


def _look(asker: Asker, step: "Step", why: str) -> Result:
    """Find out whether a step was done whose answer was lost."""
    from waitroom.rooms_plan import settled
    from waitroom.targets_plan import target_settled

    try:
        answer = asker.ask("GET", step.path)
    except NoAnswer:
        return Result(step, Outcome.UNKNOWN, f"{why} Whether it was done is not known; plan again")
    done = None
    if answer.status in {200, GONE}:
        judge = settled if step.of == "rooms" else target_settled
        done = judge(step, answer.document if answer.status != GONE else None)
    match done:
        case True:
            return Result(step, Outcome.DONE, why)
        case False:
            return Result(step, Outcome.REFUSED, f"{why} It was not done")
    return Result(step, Outcome.UNKNOWN, f"{why} Whether it was done is not known; plan again")


def fetched(asker: Asker, of: str = "rooms") -> list[Mapping[str, Any]]:
    """Ask for all rooms, or targets. Raises ``Misconfigured`` for a refusal and ``NoAnswer``."""
    answer = asker.ask("GET", f"/api/{of}")
    found = answer.document.get(of)
    if answer.status != 200:
        raise Misconfigured([answer.told])
    if not isinstance(found, list):
        raise NoAnswer(f"It answers something else than {of}.")
    return found


def client_of(args: argparse.Namespace) -> Asker:
    """Make the client that the options name. Raises ``Misconfigured``."""
    return OperatorClient(
        args.url, token_of(args.token_file), authorities=args.authorities, plain=args.plain_http
    )


def _file(
    args: argparse.Namespace,
) -> tuple[list["Room"], dict[str, frozenset[str]], "list[Target] | None"]:
    from gateway.checking import rooms_in
    from waitroom.rooms_toml import named_in

    text, rooms = rooms_in(args.file)
    if args.prune and not rooms:
        raise Misconfigured([f"The file {args.file} has no rooms: --prune would remove every room."])
    return rooms, named_in(text), targets_of(text, args.file)


def _plan(
    args: argparse.Namespace, asker: Asker, rooms: Sequence["Room"], named: Mapping[str, frozenset[str]],
    targets: "Sequence[Target] | None",
) -> list["Step"]:  # fmt: skip
    from waitroom.rooms_plan import planned
    from waitroom.targets_plan import targets_planned

    steps = planned(rooms, named, fetched(asker), prune=args.prune)
    if targets is None:
        return steps
    return steps + targets_planned(targets, fetched(asker, "targets"), prune=args.prune)


def _doing(steps: Sequence["Step"]) -> list["Step"]:
    from waitroom.rooms_plan import DOING

    return [step for step in steps if step.act in DOING]


def _members() -> set[str]:
    from waitroom.room_fields import ROOM_FIELDS

    return {*ROOM_FIELDS, "sales", "version"}


def _confirmed() -> bool:
    try:
        return input("Do this? Only yes goes on: ").strip().lower() == "yes"
    except EOFError:
        return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "waitroom apply"


# ---------------------------------------------------------------------------------------- told


def told(steps: Sequence["Step"]) -> list[str]:
    """Write a plan for people."""
    from waitroom.revision import shortened

    after = {
        "make": "is made", "change": "is changed", "remove": "is removed", "keep": "stays as it is",
        "leave": "is not in the file and is left alone (--prune removes it)",
    }  # fmt: skip
    lines = []
    for step in steps:
        lines.append(f"{SIGNS[step.act]} {step.label} {after[step.act]}")
        for field, old, new in step.what:
            change = shortened(new) if step.act.value == "make" else f"{shortened(old)} -> {shortened(new)}"
            lines.append(f"    {field}: {change}")
    count = {act: sum(step.act.value == act for step in steps) for act in SIGNS}
    if not (count["make"] or count["change"] or count["remove"]):
        return [*lines, "Nothing to do."]
    return [*lines, f"{count['make']} to make, {count['change']} to change, {count['remove']} to remove."]


def told_results(results: Sequence[Result]) -> list[str]:
    """Write what became of each step for people."""
    words = {
        Outcome.DONE: "done",
        Outcome.REFUSED: "NOT done",
        Outcome.UNKNOWN: "NOT KNOWN",
        Outcome.NOT_TRIED: "not tried",
    }
    lines = [
        f"{SIGNS[result.step.act]} {result.step.label}: {words[result.outcome]}"
        + (f": {result.why}" if result.why else "")
        for result in results
    ]
    done = sum(result.outcome is Outcome.DONE for result in results)
    return [*lines, f"{done} of {len(results)} done."]


def _as_json(steps: Sequence["Step"], results: Sequence[Result] = ()) -> str:
    became = {result.step.label: result for result in results}
    rows: dict[str, list[dict[str, Any]]] = {"rooms": []}
    for step in steps:
        row: dict[str, Any] = {
            step.of.removesuffix("s"): step.room, "act": str(step.act), "version": step.version,
            "what": [{"field": field, "old": old, "new": new} for field, old, new in step.what],
        }  # fmt: skip
        if (result := became.get(step.label)) is not None:
            row |= {"outcome": str(result.outcome), "why": result.why}
        rows.setdefault(step.of, []).append(row)
    return json.dumps({"changes": len(_doing(steps)), **rows}, indent=2, ensure_ascii=False)
