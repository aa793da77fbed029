"""API table: every operation below ``/api`` of the operator's port, one entry for each.

A new route needs one more ``Operation`` here and, where it takes or gives a document of its own, that document in
``api_documents``; then ``make docs``. ``tests/house/test_openapi.py`` compares the table with the routes of the
wired application, both ways, and ``tests/dashboards/test_openapi_holds.py`` plays what it promises against a real one.

Not here: how the table becomes OpenAPI (``openapi``), what the routes do.
"""

from dataclasses import dataclass, field

STATUS = {
    "body-not-json": 400,
    "body-not-object": 400,
    "events-malformed": 400,
    "if-match-invalid": 400,
    "token-missing": 401,
    "token-invalid": 401,
    "not-allowed": 403,
    "token-wrong": 403,
    "act-unknown": 404,
    "lever-unknown": 404,
    "not-found": 404,
    "place-unknown": 404,
    "batch-unknown": 404,
    "bypass-unknown": 404,
    "history-sale-unknown": 404,
    "priority-none": 404,
    "room-unknown": 404,
    "sale-unknown": 404,
    "target-unknown": 404,
    "session-unknown": 404,
    "room-exists": 409,
    "sale-exists": 409,
    "target-exists": 409,
    "targets-full": 409,
    "sale-under-way": 409,
    "draw-closed": 409,
    "line-not-serving": 409,
    "sale-ended": 409,
    "sale-none": 409,
    "sale-not-started": 409,
    "sale-started": 409,
    "already-evicted": 409,
    "bypass-full": 409,
    "codes-full": 409,
    "no-session": 409,
    "not-evicted": 409,
    "session-not-renewed": 409,
    "settings-stale": 412,
    "body-too-large": 413,
    "content-type-unknown": 415,
    "act-malformed": 422,
    "arrived-malformed": 422,
    "batch-malformed": 422,
    "bypass-malformed": 422,
    "history-asked-wrong": 422,
    "history-too-long": 422,
    "reason-too-long": 422,
    "revoke-all-unconfirmed": 422,
    "name-differs": 422,
    "reason-missing": 422,
    "release-malformed": 422,
    "settings-invalid": 422,
    "replay-malformed": 422,
    "stock-malformed": 422,
    "if-match-missing": 428,
    "too-many-attempts": 429,
    "internal": 500,
    "feed-full": 503,
    "journal-away": 503,
    "settings-contended": 503,
    "settings-unreadable": 503,
    "store-away": 503,
    "store-refused": 503,
}
"""The status of each code that an operation may answer."""

ALWAYS = ("token-missing", "internal", "store-away", "store-refused")
"""What any operation may answer."""

GUARDED = ("token-invalid", "not-allowed", "too-many-attempts")
"""What any operation behind the operator's token may answer."""

ROOM = ("room-unknown", "not-found", "settings-unreadable")
SALE = (*ROOM, "sale-unknown")
BODY = ("body-not-json", "body-not-object", "body-too-large", "content-type-unknown")
CHANGE = (*BODY, "settings-invalid", "settings-contended", "sale-under-way")
LEVER = (
    "lever-unknown", "act-malformed", "reason-missing", "draw-closed", "line-not-serving", "sale-ended", "sale-none",
    "sale-not-started", "sale-started",
)  # fmt: skip
GUESTS = (*ROOM, "journal-away")
HISTORY = ("history-asked-wrong", "history-sale-unknown", "history-too-long")
SAME = {304: "What If-None-Match names is current."}
WHY = ("reason-missing", "reason-too-long")
JOURNAL = ("journal-away", "not-found")
MATCH = ("if-match-invalid", "if-match-missing", "settings-stale")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address.

    ``path`` is written as the router's, from ``/api`` on; `asks` and `answers` name documents of ``api_documents``,
    '' stands for no body. ``codes`` are problems beside ``ALWAYS`` and ``GUARDED``. ``match`` demands If-Match,
    ``etag`` promises an ETag, ``located`` a Location, ``who`` reads Waitroom-Who and Waitroom-Why. ``query`` are
    parameters of the address. ``also`` has further good statuses, each with a document or a sentence. ``guarded`` is
    False where other tokens and words are asked for.
    """

    method: str
    path: str
    summary: str
    answers: str
    status: int = 200
    asks: str = ""
    codes: tuple[str, ...] = ()
    patch: bool = False
    match: bool = False
    etag: bool = False
    located: bool = False
    who: bool = False
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    also: dict[int, str] = field(default_factory=dict)
    guarded: bool = True


_ONE = "/api/rooms/{room}"
_SALE = f"{_ONE}/sales/{{sale}}"
_GUESTS, _BYPASS, _CODES = f"{_ONE}/guests", f"{_ONE}/bypass", f"{_ONE}/codes"
_TARGETS = "/api/targets"
_TARGET = f"{_TARGETS}/{{target}}"

OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/api/openapi.json", "This description", "OpenApi"),
    Operation("GET", "/api/rooms", "All rooms, by name", "Rooms", codes=("settings-unreadable",)),
    Operation(
        "POST", "/api/rooms", "Make a room", "Room", 201, "NewRoom", (*CHANGE, "room-exists", "settings-unreadable"),
        etag=True, located=True, who=True,
    ),
    Operation(
        "GET", _ONE, "A room's settings", "Room", codes=ROOM, etag=True, headers=("If-None-Match",),
        also={304: "The version that If-None-Match names is current."},
    ),
    Operation(
        "PUT", _ONE, "Replace a room's settings, or make the room with `If-None-Match: *`", "Room", 200, "RoomDocument",
        (*ROOM, *CHANGE, *MATCH, "name-differs"), etag=True, who=True, headers=("If-Match", "If-None-Match"),
        also={201: "Room"},
    ),
    Operation(
        "PATCH", _ONE, "Change some of a room's settings", "Room", 200, "RoomPatch", (*ROOM, *CHANGE, *MATCH),
        patch=True, match=True, etag=True, who=True,
    ),
    Operation(
        "DELETE", _ONE, "Remove a room", "", 204, codes=(*ROOM, *MATCH, "sale-under-way"), match=True, who=True
    ),
    Operation("GET", f"{_ONE}/status", "What a room is doing", "RoomStatus", codes=ROOM),
    Operation("GET", f"{_ONE}/changes", "A room's last changes, newest first", "Changes", codes=ROOM),
    Operation("GET", f"{_ONE}/sales", "A room's sales, in the order of time", "Sales", codes=ROOM, etag=True),
    Operation(
        "POST", f"{_ONE}/sales", "Add a sale", "Sale", 201, "AddedSale", (*ROOM, *CHANGE, "sale-exists"), etag=True,
        located=True, who=True,
    ),
    Operation("GET", _SALE, "A sale; null inherits from the room", "Sale", codes=SALE, etag=True),
    Operation(
        "PUT", _SALE, "Replace a sale", "Sale", 200, "SaleDocument", (*SALE, *CHANGE, *MATCH), match=True, etag=True,
        who=True,
    ),
    Operation(
        "PATCH", _SALE, "Change some of a sale's settings", "Sale", 200, "SalePatch", (*SALE, *CHANGE, *MATCH),
        patch=True, match=True, etag=True, who=True,
    ),
    Operation(
        "DELETE", _SALE, "Remove a sale", "", 204, codes=(*SALE, *MATCH, "sale-under-way", "settings-contended",
        "settings-invalid"), match=True, etag=True, who=True,
    ),
    Operation(
        "GET", f"{_SALE}/details", "A sale with everything inherited filled in", "SaleDetails", codes=SALE, etag=True
    ),
    Operation(
        "POST", f"{_ONE}/acts/{{lever}}", "Pull a lever; a pause names no version", "Room", 200, "Act",
        (*ROOM, *CHANGE, *MATCH, *LEVER), etag=True, who=True, headers=("If-Match",),
    ),
    Operation(
        "POST", f"{_ONE}/stock", "Say what is left of the tickets; a backend's token does, too", "StockKnown", 200,
        "Stock", (*ROOM, *CHANGE, "stock-malformed"), who=True,
    ),
    Operation(
        "POST", f"{_ONE}/release", "Let go of the key that a place is bound to", "Released", 200, "Release",
        (*ROOM, *BODY, "place-unknown", "release-malformed"), who=True,
    ),
    Operation(
        "POST", f"{_ONE}/sessions/{{sid}}/{{act}}", "Finish, renew or revoke a session; a backend's token does, too",
        "SessionOutcome", codes=(*ROOM, "session-unknown", "act-unknown", "session-not-renewed", "token-wrong"),
        guarded=False,
    ),
    Operation("GET", _GUESTS, "The places that are evicted", "Evicted", codes=GUESTS),
    Operation(
        "POST", f"{_GUESTS}/revoke-all", "End every visit of a room", "Revoked", 200, "RevokeAll",
        (*GUESTS, *BODY, *WHY, "revoke-all-unconfirmed"), who=True,
    ),
    Operation(
        "GET", f"{_GUESTS}/{{arrived}}", "How a fan stands, by the number that they read", "Guest",
        codes=(*GUESTS, "arrived-malformed", "place-unknown"),
    ),
    Operation(
        "POST", f"{_GUESTS}/{{arrived}}/{{act}}", "End a visit (revoke), evict a place or give it back (reinstate)",
        "Guest", codes=(*GUESTS, *WHY, "act-unknown", "already-evicted", "arrived-malformed", "no-session",
        "not-evicted", "place-unknown"), who=True,
    ),
    Operation("GET", _BYPASS, "Tokens that let somebody in beside the line", "BypassTokens", codes=GUESTS),
    Operation(
        "POST", _BYPASS, "Make a bypass token; its text is told this once", "BypassToken", 201, "NewBypassToken",
        (*GUESTS, *BODY, *WHY, "bypass-malformed", "bypass-full"), who=True,
    ),
    Operation(
        "POST", f"{_BYPASS}/{{token}}/revoke", "Revoke a bypass token", "BypassToken",
        codes=(*GUESTS, *WHY, "bypass-unknown"), who=True,
    ),
    Operation("GET", _CODES, "Batches of priority codes", "CodeBatches", codes=GUESTS),
    Operation(
        "POST", _CODES, "Make priority codes; they are told this once", "CodeBatch", 201, "NewCodeBatch",
        (*GUESTS, *BODY, *WHY, "batch-malformed", "codes-full", "priority-none"), who=True,
    ),
    Operation(
        "POST", f"{_CODES}/{{batch}}/revoke", "Revoke a batch of priority codes", "CodeBatch",
        codes=(*GUESTS, *WHY, "batch-unknown"), who=True,
    ),
    Operation(
        "GET", f"{_ONE}/history", "What was seen of a room, in columns", "History", codes=(*GUESTS, *HISTORY),
        query=("from", "to", "every", "sale", "fields"), headers=("If-None-Match",), also=SAME,
    ),
    Operation(
        "GET", f"{_ONE}/history.csv", "The same as a sheet (text/csv)", "", codes=(*GUESTS, *HISTORY),
        query=("from", "to", "every", "sale", "fields"), headers=("If-None-Match",), also=SAME,
    ),
    Operation(
        "GET", "/api/events", "What happened, after a cursor; with `Accept: text/event-stream` as a stream", "Events",
        codes=("events-malformed", "feed-full", "journal-away"), query=("after", "room", "kind", "limit"),
    ),
    Operation("GET", _TARGETS, "Whom events are told; for owners", "Targets", codes=("journal-away",)),
    Operation(
        "POST", _TARGETS, "Have events told to somebody; for owners", "TargetAndSecret", 201, "NewTarget",
        (*BODY, "settings-invalid", "target-exists", "targets-full", "journal-away"), located=True, who=True,
    ),
    Operation("GET", _TARGET, "Somebody whom events are told", "Target", codes=(*JOURNAL, "target-unknown"), etag=True),
    Operation(
        "PUT", _TARGET, "Give a target another way, address, rooms and kinds; it goes on where it was", "Target", 200,
        "TargetDocument", (*JOURNAL, *BODY, *MATCH, "settings-invalid", "target-unknown"),
        match=True, etag=True, who=True,
    ),
    Operation(
        "DELETE", _TARGET, "Tell them no more", "", 204,
        codes=(*JOURNAL, "target-unknown", "if-match-invalid", "settings-stale"), who=True, headers=("If-Match",),
    ),
    Operation(
        "GET", f"{_TARGET}/deliveries", "The last tries, newest first", "Deliveries", codes=(*JOURNAL, "target-unknown")
    ),
    Operation(
        "POST", f"{_TARGET}/{{step}}", "Test, pause, resume, replay, or give a new secret", "TargetAndSecret", 200,
        "TargetStep", (*JOURNAL, *BODY, "act-unknown", "replay-malformed", "settings-invalid", "target-unknown"),
        who=True,
    ),
)  # fmt: skip
