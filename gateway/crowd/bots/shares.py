"""Shares: which part of the admissions bots got, who was kept back, and what a place cost its bot.

Pure arithmetic over the records. Where a sale has so many places, only its first so many admissions count, by the
room's clock. **A person is blocked** who cannot get in because of what the room thinks of them: refused at the join, a
genuine ticket refused, never given a place because they were put off until the end, or failed at a check that they
tried. Who waits longer is not blocked; that is told beside it (``put_off``, ``in_suspect``, ``slowed``, ``asked``).
Fans who come with forged papers (the script ``bad``) are neither people nor scripted bots here.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from gateway.crowd.bots.kinds import KINDS, Kind
from gateway.crowd.observed import FanFile, Observed, Outcome
from gateway.crowd.plan import Script
from gateway.crowd.verdict import Verdict, verdict

LIFTED = "lifted"
SLOWED, ASKED = "slowed", "asked"
TOLD = frozenset({"noted", SLOWED, ASKED})


@dataclass(frozen=True, slots=True)
class Group:
    """Those of one kind; None: people."""

    kind: Kind | None
    came: int
    placed: int
    was_suspect: int
    in_suspect: int
    """At the end still in the lane suspect."""
    lifted: int
    admitted: int
    share: float
    """Of all admissions, 0 to 1."""
    put_off: int
    """Told at least once to come later, beyond what a line is for."""
    refused: int
    told: int
    """Whose page told a rhythm that the room took."""
    slowed: int
    """Put into the lane suspect when the turn came near."""
    asked: int
    """Asked for a check before the turn."""
    owing: int
    """Of those the ones who have not passed it."""
    wait_s: float
    """From the join to the admission, half waited longer."""
    cpu_s: float
    usd: float
    outcomes: dict[str, int]
    """Of checks."""

    @property
    def cpu_s_per_place(self) -> float:
        """Seconds of a processor for each admission; what the unlucky spent is in it."""
        return self.cpu_s / self.admitted if self.admitted else 0.0

    @property
    def usd_per_place(self) -> float:
        """US dollars for each admission, likewise."""
        return self.usd / self.admitted if self.admitted else 0.0


@dataclass(frozen=True, slots=True)
class Shares:
    """What came of bots in a crowd."""

    policy: str
    admitted: int
    groups: tuple[Group, ...]
    blocked: tuple[str, ...]
    """People who were blocked, each with why."""

    def of(self, *kinds: Kind) -> float:
        """Return the share of some kinds together, 0 to 1."""
        return sum(group.share for group in self.groups if group.kind in kinds)

    @property
    def scripted(self) -> float:
        """The share of all kinds that pass no check by themselves."""
        return self.of(*(kind for kind, about in KINDS.items() if not about.passes))

    @property
    def bots(self) -> float:
        """The share of all bots."""
        return self.of(*Kind)


def shares(observed: Observed, places: int | None = None) -> Shares | None:
    """Work it out; None in a crowd without bots."""
    if all(file.kind is None for file in observed.fans):
        return None
    first: dict[str, tuple[int, float, int]] = {}
    for one in observed.admissions:
        moment = one.at_ms, one.answered_s, one.fan
        first[one.sid] = min(moment, first.get(one.sid, moment))
    counted = sorted(first.values())[:places]
    admitted = Counter(fan for _, _, fan in counted)
    groups = [_group(observed, kind, admitted, len(counted)) for kind in (None, *Kind)]
    return Shares(
        observed.policy,
        len(counted),
        tuple(group for group in groups if group.came),
        tuple(blocked(observed)),
    )


def _group(observed: Observed, kind: Kind | None, admitted: Counter[int], of: int) -> Group:
    files = [file for file in observed.fans if file.kind == kind]
    mine = {file.index for file in files}
    checks = [check for check in observed.checks if check.fan in mine]
    got = sum(admitted[index] for index in mine)
    waits = [
        file.admitted_s - file.joined_s
        for file in files
        if file.index in admitted and file.admitted_s is not None and file.joined_s is not None
    ]
    return Group(
        kind,
        came=len(files),
        placed=sum(file.number is not None for file in files),
        was_suspect=sum(file.was_suspect for file in files),
        in_suspect=sum(file.lane == "suspect" for file in files),
        lifted=len({check.fan for check in checks if check.outcome == LIFTED}),
        admitted=got,
        share=got / of if of else 0.0,
        put_off=sum(file.put_off > 0 for file in files),
        refused=sum(file.outcome is Outcome.REFUSED and file.script is not Script.BAD for file in files),
        told=sum(file.settled in TOLD for file in files),
        slowed=sum(file.settled == SLOWED for file in files),
        asked=sum(file.settled == ASKED for file in files),
        owing=sum(bool(file.asks) for file in files),
        wait_s=median(waits) if waits else 0.0,
        cpu_s=sum(check.cpu_s for check in checks),
        usd=sum(check.usd for check in checks),
        outcomes=dict(Counter(check.outcome for check in checks)),
    )


def blocked(observed: Observed) -> list[str]:
    """List the people who were kept out, with why."""
    turned = {turn.fan: turn.code for turn in observed.turned}
    checked: defaultdict[int, list[str]] = defaultdict(list)
    for check in observed.checks:
        checked[check.fan].append(check.outcome)
    people = [file for file in observed.fans if file.kind is None and file.script is not Script.BAD]
    whys = [(file.index, _why(file, turned, checked[file.index])) for file in people]
    return [f"person {index}: {why}" for index, why in whys if why]


def _why(file: FanFile, turned: dict[int, str], checks: Sequence[str]) -> str:
    if file.index in turned:
        return f"a genuine ticket was refused ({turned[file.index]})"
    if file.outcome is Outcome.FAILED:
        return file.faults[0] if file.faults else "failed"
    if file.outcome is Outcome.OUTSIDE and file.put_off:
        return f"put off {file.put_off} times, and never got a place"
    if (file.lane == "suspect" or file.asks) and any(one not in {LIFTED, "easier"} for one in checks):
        return f"tried the check and did not pass ({', '.join(checks)})"
    return ""


def judge_bots(observed: Observed) -> list[Verdict]:
    """Judge what holds in a crowd that has bots; nothing without them."""
    people = sum(file.kind is None for file in observed.fans)
    if people == len(observed.fans):
        return []
    return [
        verdict(
            "people-let-in",
            "Nobody is kept out for looking like a bot.",
            blocked(observed),
            f"{people:,} people among {len(observed.fans):,}",
            seen=people,
        ),
        verdict(
            "asked-first",
            "Nobody who was asked for a check before the turn was let in without it.",
            [
                f"fan {file.index}, asked to {file.asks}"
                for file in observed.fans
                if file.asks and file.admitted_s is not None
            ],
            f"{sum(file.settled == ASKED for file in observed.fans):,} were asked",
            seen=sum(file.settled == ASKED for file in observed.fans),
        ),
    ]
