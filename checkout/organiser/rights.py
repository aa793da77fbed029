"""Rights: which role may use which of the organiser's addresses, as one table; what is not in it is an owner's.

A new address needs a line here. Until it has one, nobody but an owner may use it, and a test fails
(``tests/gateway/test_route_sweep.py``). Roles are said in ``people.staff``.
"""

from collections.abc import Mapping

from checkout.organiser.talking import PREFIX
from checkout.people.staff import StaffRole

Roles = frozenset[StaffRole]

_OWNER = frozenset({StaffRole.OWNER})
_ORGANISERS = _OWNER | {StaffRole.ORGANISER}
_HELPERS = _ORGANISERS | {StaffRole.SUPPORT}
_VIEWERS = _HELPERS | {StaffRole.VIEWER}
_EVERYBODY = _VIEWERS | {StaffRole.SCANNER}

_EVENT = "/events/{event}"
_ORDER = f"{_EVENT}/orders/{{order}}"

RIGHTS: Mapping[tuple[str, str], Roles] = {
    # The programme
    ("GET", "/organisers"): _VIEWERS,
    ("PUT", "/organisers/{organiser}"): _OWNER,
    ("GET", "/venues"): _EVERYBODY,
    ("PUT", "/venues/{venue}"): _ORGANISERS,
    ("GET", "/venues/{venue}/layouts"): _VIEWERS,
    ("POST", "/venues/{venue}/layouts"): _ORGANISERS,
    ("GET", "/layouts/{layout}"): _VIEWERS,
    ("GET", "/events"): _EVERYBODY,
    ("POST", "/events"): _ORGANISERS,
    ("GET", _EVENT): _EVERYBODY,
    ("PATCH", _EVENT): _ORGANISERS,
    ("POST", f"{_EVENT}/publish"): _ORGANISERS,
    ("POST", f"{_EVENT}/cancel"): _ORGANISERS,
    # Who may log in
    ("GET", "/staff"): _OWNER,
    ("POST", "/staff"): _OWNER,
    ("GET", "/staff/logins"): _OWNER,
    ("PUT", "/staff/{name}/role"): _OWNER,
    ("DELETE", "/staff/{name}"): _OWNER,
    # Seats and prices
    ("POST", f"{_EVENT}/prices"): _ORGANISERS,
    ("POST", f"{_EVENT}/tiers"): _ORGANISERS,
    ("POST", f"{_EVENT}/block"): _ORGANISERS,
    ("POST", f"{_EVENT}/unblock"): _ORGANISERS,
    ("PUT", f"{_EVENT}/allocations/{{name}}"): _ORGANISERS,
    # Figures
    ("GET", f"{_EVENT}/report"): _VIEWERS,
    ("GET", f"{_EVENT}/hall"): _VIEWERS,
    ("GET", f"{_EVENT}/seats.csv"): _HELPERS,
    ("GET", f"{_EVENT}/sales"): _ORGANISERS,
    ("GET", f"{_EVENT}/sales.csv"): _ORGANISERS,
    ("GET", f"{_EVENT}/cancellation"): _VIEWERS,
    ("GET", f"{_EVENT}/money"): _ORGANISERS,
    ("GET", "/money"): _ORGANISERS,
    ("GET", "/money.csv"): _ORGANISERS,
    ("GET", "/metrics"): _VIEWERS,
    # Buyers and their orders
    ("GET", f"{_EVENT}/orders"): _HELPERS,
    ("GET", _ORDER): _HELPERS,
    ("GET", f"{_EVENT}/orders.csv"): _HELPERS,
    ("GET", f"{_EVENT}/refunds.csv"): _HELPERS,
    ("GET", f"{_EVENT}/support"): _HELPERS,
    ("GET", f"{_ORDER}/timeline"): _HELPERS,
    ("GET", f"{_ORDER}/personal"): _HELPERS,
    ("DELETE", f"{_ORDER}/personal"): _HELPERS,
    ("POST", "/people/find"): _HELPERS,
    ("DELETE", f"{_EVENT}/waitlist/{{number}}/contact"): _HELPERS,
    ("GET", f"{_EVENT}/refunds"): _HELPERS,
    ("GET", f"{_EVENT}/reviews"): _HELPERS,
    ("GET", f"{_EVENT}/disputes"): _HELPERS,
    ("POST", f"{_ORDER}/release"): _HELPERS,
    ("POST", f"{_ORDER}/refuse"): _HELPERS,
    # Tickets, and what people are told
    ("GET", f"{_EVENT}/tickets"): _HELPERS,
    ("POST", f"{_EVENT}/tickets/{{ticket}}/withdraw"): _ORGANISERS,
    ("POST", f"{_EVENT}/tickets/{{ticket}}/reissue"): _HELPERS,
    ("GET", f"{_EVENT}/letters"): _HELPERS,
    ("POST", f"{_EVENT}/letters/{{message}}/{{channel}}/again"): _HELPERS,
    ("GET", f"{_ORDER}/letters"): _HELPERS,
    ("POST", f"{_ORDER}/letters/resend"): _HELPERS,
    # The doors
    ("GET", f"{_EVENT}/scanners"): _HELPERS,
    ("POST", f"{_EVENT}/scanners"): _ORGANISERS,
    ("POST", f"{_EVENT}/scanners/{{scanner}}/revoke"): _ORGANISERS,
    ("GET", f"{_EVENT}/entry"): _EVERYBODY,
    ("GET", f"{_EVENT}/entry/conflicts"): _EVERYBODY,
    # Money that goes back
    ("POST", f"{_ORDER}/refunds"): _ORGANISERS,
    ("POST", f"{_ORDER}/refunds/{{refund:path}}/retry"): _ORGANISERS,
    # What was put aside
    ("GET", "/notices"): _HELPERS,
    ("POST", "/notices/{provider}/{name:path}/seen"): _ORGANISERS,
    ("GET", "/strays"): _HELPERS,
    ("POST", "/strays/{provider}/{name:path}/seen"): _ORGANISERS,
}

STEP_UP = frozenset(
    {
        ("PUT", "/organisers/{organiser}"),
        ("POST", "/staff"),
        ("PUT", "/staff/{name}/role"),
        ("DELETE", "/staff/{name}"),
        ("POST", f"{_EVENT}/cancel"),
        ("POST", f"{_EVENT}/prices"),
        ("POST", f"{_ORDER}/refunds"),
        ("POST", f"{_ORDER}/refunds/{{refund:path}}/retry"),
    }
)
"""Where money or prices move, or who may move them: a person shows a second factor as well (``people.factors``)."""


def steps_up(method: str, path: str) -> bool:
    """Tell whether a person must show more than a token, as ``may`` is asked."""
    return (method, path.removeprefix(PREFIX)) in STEP_UP


def may(role: StaffRole, method: str, path: str) -> bool:
    """Tell whether a role may use an address, given as its route is written."""
    asked = "GET" if method == "HEAD" else method
    return role in RIGHTS.get((asked, path.removeprefix(PREFIX)), _OWNER)
