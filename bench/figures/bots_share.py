"""The figure bots-share: which part of the admissions scripted bots get, under each policy of a room, in percent.

One crowd, one seed, half of it bots (``gateway.crowd.bots``); a dated sale with a draw, so that who is quicker gains
nothing; fewer places than people. Each policy has an installation of its own with an embedded store, one after the
other:

    off          nothing is looked at: the reference
    watch        looked at and counted; nothing follows (as it comes)
    on           declared programs, hard limits, and the rhythm when the turn comes near
    everybody    on, and everybody does the work
    step-up      on, and everybody does a provider's check (a stand-in on this machine; work stays open beside it)
    floor        everybody, with a smaller share for the lane suspect: 0 / 0.97 / 0.03

The value of each line is the share of the kinds that pass no check by themselves; beside it those that do, with what a
place costs them, and how many people were kept out, slowed, asked for a check and put off. BENCH_FANS changes the size
of the crowd.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

from bench.demo import ROOM, Sale, demo, plan_for
from bench.figure import Figure, say
from bench.figures.crowd import fans_wanted, reds, tell
from bench.harness import Bench
from gateway.crowd.books import admissions_of
from gateway.crowd.bots.kinds import KINDS
from gateway.crowd.bots.report import bots_as_dict
from gateway.crowd.bots.shares import Shares, shares
from gateway.crowd.crowd import Hooks, Result, run_crowd

BOTS = 0.5
PLACES_RATIO = 0.35
"""Places for each one who comes: fewer than there are people."""
BOOT_S, FREEZE_S = 10.0, 3
DRAWN_RATIO = 5 / 6
SERVE_S = 120.0
PLANNED_S = 4.0
"""So long the crowd makes what its pages tell, before anybody comes."""
SEED = 7
MOST_SHARE = 5.0
TOKEN, SITEKEY, SECRET = "good:", "bench-sitekey", "bench-secret"
SHARES = {"verified": 0.0, "standard": 0.97, "suspect": 0.03}


@dataclass(frozen=True, slots=True)
class Policy:
    """How a room deals with bots."""

    name: str
    room: Mapping[str, object]
    has_checks: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """How large: who comes, within which time before the draw, and how many a minute are admitted."""

    fans: int
    gather_s: float
    per_minute: int


FULL = Size(fans=1600, gather_s=30, per_minute=600)

WORK, WIDGET = {"way": "work", "asks": "everybody"}, {"way": "hcaptcha", "asks": "everybody"}
POLICIES = (
    Policy("off", {"bot_guard": "off"}),
    Policy("watch", {"bot_guard": "watch"}),
    Policy("on", {"bot_guard": "on"}),
    Policy("everybody", {"bot_guard": "on", "challenge": WORK}, has_checks=True),
    Policy("step-up", {"bot_guard": "on", "challenge": WIDGET}, has_checks=True),
    Policy("floor", {"bot_guard": "on", "challenge": WORK, "lane_shares": SHARES}, has_checks=True),
)


def measure(bench: Bench) -> Iterator[Figure]:
    """Send the same crowd to each room."""
    size = replace(FULL, fans=fans_wanted(FULL.fans))
    reference = 0.0
    for policy in POLICIES:
        say(f"policy {policy.name}")
        result, shown = sent(bench, policy, size)
        reference = 100 * shown.scripted if policy.name == "off" else reference
        yield _figure(bench, policy, result, shown, reference)


def sent(bench: Bench, policy: Policy, size: Size) -> tuple[Result, Shares]:
    """Send the crowd to a room with this policy."""
    now_s = time.time()
    starts_s = now_s + BOOT_S + size.gather_s + FREEZE_S
    sale = Sale(now_s - 60, starts_s, starts_s + 3600, draw=True)
    # As a room comes, but for its origin's pace: addresses that many share meet the limits of a real room.
    room = {"draw_lead_s": FREEZE_S, "join_rate_per_minute": 120, "join_burst": 60, **policy.room}
    folder = bench.folder / policy.name
    folder.mkdir()
    with (
        provider() as url,
        demo(
            replace(bench, folder=folder),
            per_minute=size.per_minute,
            sale=sale,
            room=room,
            env=environ(url),
        ) as installation,
    ):
        gathering_s = starts_s - FREEZE_S - time.time() - PLANNED_S
        plan = plan_for(
            installation, size.fans, gathering_s / DRAWN_RATIO, shape="constant", linger_s=SERVE_S
        )
        plan = replace(
            plan, seed=SEED, bots=BOTS, places=round(PLACES_RATIO * size.fans), passes=TOKEN, connections=128
        )
        hooks = Hooks(journal=admissions_of(installation.journal_url, ROOM), pulse=tell)
        result = asyncio.run(run_crowd(plan, hooks))
    shown = shares(result.observed, plan.places)
    assert shown is not None  # noqa: S101 - a crowd with bots has shares
    return result, shown


def _figure(bench: Bench, policy: Policy, result: Result, shown: Shares, reference: float) -> Figure:
    value, told = 100 * shown.scripted, bots_as_dict(shown)
    places = result.plan.places or 0
    is_whole = result.is_green and shown.admitted == places
    return Figure(
        f"bots-share-{policy.name}",
        value,
        "% of admissions",
        f"the same crowd where nothing is looked at (off): {reference:.1f} %",
        ratio=value / reference if reference else None,
        target=f"<= {MOST_SHARE:g} % with checks, and nobody kept out",
        met=value <= MOST_SHARE and not shown.blocked if policy.has_checks else None,
        beside={
            "people_kept_out": len(shown.blocked),
            "people_slowed": sum(group.slowed for group in shown.groups if group.kind is None),
            "people_asked": sum(group.asked for group in shown.groups if group.kind is None),
            "people_put_off": sum(group.put_off for group in shown.groups if group.kind is None),
            **{
                f"{group.kind}_share": 100 * group.share
                for group in shown.groups
                if group.kind is not None and KINDS[group.kind].passes
            },
        },
        conditions=conditions(bench, result),
        details={
            "shares": told,
            "waits_and_costs": "of each kind, in shares",
            "took_s": round(result.observed.ended_s),
        },
        error=None if is_whole else reds(result) or f"{shown.admitted} of {places} places were taken",
    )


def conditions(bench: Bench, result: Result) -> dict[str, object]:
    """Return what a reader needs to send the crowd again."""
    plan = result.plan
    return bench.conditions(
        workers=2,
        load=f"open-loop crowd of {plan.fans:,}, {plan.bots:.0%} of them bots",
        rounds=1,
        seed=plan.seed,
        places=plan.places,
        kinds={str(kind): share for kind, share in plan.kinds.items()},
        admissions_per_minute=result.observed.limits.admissions_per_minute,
    )


def environ(url: str) -> dict[str, str]:
    """Set a provider up that stands on this machine."""
    return {
        "WAITROOM_HCAPTCHA_SITEKEY": SITEKEY,
        "WAITROOM_HCAPTCHA_SECRET": SECRET,
        "WAITROOM_HCAPTCHA_URL": url,
        "WAITROOM_CHALLENGE_HOSTS": "127.0.0.1",
    }


class _Judge(BaseHTTPRequestHandler):
    """A provider's endpoint: a token that begins rightly is a pass, and good for once."""

    protocol_version = "HTTP/1.1"
    used: set[str]

    def do_POST(self) -> None:
        """Judge one token."""
        size = int(self.headers.get("content-length", "0"))
        token = dict(parse_qsl(self.rfile.read(size).decode())).get("response", "")
        is_good = token.startswith(TOKEN) and token not in self.used
        self.used.add(token)
        said: dict[str, Any] = {"success": is_good, "hostname": "127.0.0.1"}
        if not is_good:
            said["error-codes"] = ["invalid-input-response"]
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Keep quiet."""


@contextmanager
def provider() -> Iterator[str]:
    """Stand in for a provider as long as the block lasts; give its address."""
    judge = type("Judge", (_Judge,), {"used": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), judge)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, name="provider")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/siteverify"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
