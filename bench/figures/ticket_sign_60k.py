"""The figure ticket-sign-60k: seconds until every ticket of a hall of 60,000 has its signed code, on one core.

Each code is written as the shop writes it: id from order and seat, 33 octets, Ed25519, Base45. The reference signs 33
octets as often and does nothing else. Afterwards all codes are different, and every thousandth is verified.
"""

import time
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.figure import Figure, failed, median_ratio, say
from bench.harness import Bench
from checkout.tickets.code import Fault, verify
from checkout.tickets.keys import TicketKeys, new_key
from checkout.tickets.ticket import Ticket, ticket_id

TICKETS = 60_000
SEATS = 4
MOST_S = 10.0
EVENT = "an-evening"
NOW_MS = 1_800_000_000_000
ROUNDS = 3


def measure(bench: Bench) -> Iterator[Figure]:
    """Sign in rounds that alternate with the bare signature."""
    keys = TicketKeys([new_key(0)])
    ours: list[float] = []
    others: list[float] = []
    codes: list[str] = []
    for number in range(min(bench.rounds, ROUNDS)):
        others.append(_alone())
        began = time.perf_counter()
        codes = [keys.code(_ticket(index)) for index in range(TICKETS)]
        ours.append(time.perf_counter() - began)
        say(f"round {number + 1}: {ours[-1]:.1f} s, the bare signature {others[-1]:.1f} s")
    middle = sorted(ours)[len(ours) // 2]
    figure = Figure(
        "ticket-sign-60k",
        middle,
        "s",
        "60,000 bare Ed25519 signatures of 33 octets",
        ratio=median_ratio(ours, others),
        target=f"<= {MOST_S:.0f} s",
        met=middle <= MOST_S,
        conditions=bench.conditions(load="none", workers=1),
        details={"tickets": TICKETS, "reference_s": round(sorted(others)[len(others) // 2], 2)},
    )
    if len(set(codes)) != TICKETS:
        yield failed(figure, "two tickets have the same code")
    elif any(isinstance(verify(code, EVENT, keys.public), Fault) for code in codes[::1_000]):
        yield failed(figure, "a code cannot be verified")
    else:
        yield figure


def _ticket(index: int) -> Ticket:
    order = f"O{index // SEATS:011d}"
    return Ticket(ticket_id(order, index, 1), EVENT, order, f"R{order[1:]}", index, 1, NOW_MS)


def _alone() -> float:
    key, text = Ed25519PrivateKey.generate(), bytes(33)
    began = time.perf_counter()
    for _ in range(TICKETS):
        key.sign(text)
    return time.perf_counter() - began
