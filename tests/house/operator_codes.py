"""Operator's codes: each code of a failure at the operator's port, what it means and what to do, for docs/errors.md."""

GROUP = "The operator's port"
OPERATOR = "Correct the request."

WORDS: dict[str, tuple[str, str, str]] = {
    # code: (group, what happened, what to do)
    "token-missing": (GROUP, "No bearer token came along.", "Send `Authorization: Bearer …`."),
    "streams-many": (
        GROUP,
        "Too many consoles are open, or the process ends.",
        "Nothing: the page asks every two seconds instead, and comes back to the stream later.",
    ),
    "history-asked-wrong": (
        GROUP,
        "The history is asked for with a time, a step or a field that there is not; the text says which.",
        "See docs/history.md.",
    ),
    "history-too-long": (
        GROUP,
        "The stretch has more rows than one answer gives.",
        "Ask for a shorter stretch, or for wider steps (`every`).",
    ),
    "history-sale-unknown": (
        GROUP,
        "There are no minutes of a sale of this name in this room.",
        "Ask by `from` and `to`; a sale has a history from its first whole minute on.",
    ),
    "not-allowed": (
        GROUP,
        "Whoever asks may not do this, or not in this room.",
        "Ask somebody who has the role that the answer names.",
    ),
    "token-invalid": (
        GROUP,
        "This is not the operator token, none that an owner has made ([access](access.md)) or it is over; or not an "
        "organiser's.",
        "Look at WAITROOM_OPERATOR_TOKEN (WAITROOM_ORGANISER_TOKEN) or the file `operator-token` "
        "(`organiser-token`) in the data folder; owners see all others on the page `/people`.",
    ),
    "too-many-attempts": (
        GROUP,
        "Too many wrong tokens from this address.",
        "Wait as Retry-After says; correct the token first.",
    ),
    "room-exists": (
        GROUP,
        "There is a room of this name.",
        "Change it by PUT or PATCH, or choose another name.",
    ),
    "name-differs": (GROUP, "Address and document name two rooms.", OPERATOR),
    "sale-unknown": (GROUP, "The room has no sale of this name.", "GET …/sales lists them."),
    "sale-exists": (
        GROUP,
        "The room has a sale of this name.",
        "Change it by PUT or PATCH, or choose another name.",
    ),
    "sale-under-way": (
        GROUP,
        "People hold places in the sale that the change would take away or redraw.",
        "Prolong or pause it instead, or wait until it has ended.",
    ),
    "settings-invalid": (
        GROUP,
        "The document has faults; `faults` lists every one.",
        "Correct them all; nothing was changed.",
    ),
    "settings-stale": (
        GROUP,
        "Somebody changed the room since it was read; `current` is what it is now.",
        "Decide again on `current`, and name its version.",
    ),
    "events-malformed": (
        GROUP,
        "A parameter of the feed is unknown, given twice or cannot be read; the message says which.",
        "Correct the request: see [events](events.md).",
    ),
    "feed-full": (
        GROUP,
        "A hundred streams of events are open.",
        "Repeat after Retry-After, or read by portions.",
    ),
    "target-unknown": (GROUP, "Events are told to nobody of this name.", "Look at `GET /api/targets`."),
    "target-exists": (GROUP, "Events are told to somebody of this name already.", "Choose another name."),
    "targets-full": (GROUP, "Events are told to fifty targets; no more can be.", "Remove one."),
    "replay-malformed": (
        GROUP,
        "A replay does not say from which event on.",
        "Give `from`, a whole number from 1 on.",
    ),
    "settings-contended": (
        GROUP,
        "Others changed the room again and again in the same moment.",
        "Repeat.",
    ),
    "settings-unreadable": (
        GROUP,
        "What the store has of the room is not a document of this version.",
        "Workers go on with what they know. Do not go back to an older version; write the room anew by PUT.",
    ),
    "if-match-missing": (
        GROUP,
        "A change names no version.",
        "Send If-Match with the ETag that GET gave, or `*`.",
    ),
    "release-malformed": (
        GROUP,
        "A release names no number as the fan's page shows it (`arrived`, a whole number from 1), or other members.",
        OPERATOR,
    ),
    "place-unknown": (
        GROUP,
        "The present line of the room has no place of this number.",
        "Look at the number again: it is the one on the fan's page.",
    ),
    "stock-malformed": (
        GROUP,
        "A report of what is left has other members than `state` and `left`, or neither; `unknown` names them.",
        OPERATOR,
    ),
    "if-match-invalid": (GROUP, 'If-Match is no ETag such as `"3"`, nor `*`.', OPERATOR),
    "body-not-json": (GROUP, "The body is not JSON.", OPERATOR),
    "body-not-object": (GROUP, "The body is JSON, but no object.", OPERATOR),
    "form-invalid": (GROUP, "A form of the console cannot be read.", "Load the page anew."),
    "form-unknown": (GROUP, "The page has no such form.", "Use the page's own buttons."),
    "account-gone": (
        GROUP,
        "An operator's account was reset or removed while they changed something of their own.",
        "Open the new invitation, or ask an owner.",
    ),
    "device-unreadable": (
        GROUP,
        "The secret of an operator's device does not open: it was changed, or the key ring is another one.",
        "Restore `keyring.json`, or give a new invitation: `waitroom operators reset NAME`.",
    ),
    "lever-unknown": (GROUP, "There is no such lever.", "Use the page's own buttons."),
    "act-malformed": (GROUP, "An act has other members than `value`; `unknown` names them.", OPERATOR),
    "reason-missing": (
        GROUP,
        "A lever that touches everybody (bypass, end, drain, shares) or an act on guests came without a reason.",
        "Say why: on the page, or in Waitroom-Why.",
    ),
    "sale-none": (
        GROUP,
        "A delay, a prolonging or an end is for a sale, and none is on or to come.",
        "Look at the room's sales. The line that no sale dates can be drained.",
    ),
    "sale-started": (
        GROUP,
        "A sale that has started is not put off: it does not begin again.",
        "Pause it, or prolong its end.",
    ),
    "draw-closed": (
        GROUP,
        "The draw closes within seconds or has closed: the order stands, and with it the start.",
        "Pause: everybody is held in that order until you resume.",
    ),
    "sale-not-started": (
        GROUP,
        "A sale that has not been on for a minute is not ended.",
        "Delay it, or pause it.",
    ),
    "sale-ended": (GROUP, "The sale has ended already.", "Nothing is left to do; it can be prolonged."),
    "line-not-serving": (
        GROUP,
        "Only a line that serves can drain.",
        "Wait for the start, or delay the sale.",
    ),
    "form-foreign": (
        GROUP,
        "A form did not come from the console as it is now.",
        "Load the page anew.",
    ),
    "language-unknown": (GROUP, "The waiting page does not speak this language.", OPERATOR),
    "message-invalid": (
        GROUP,
        "A message to be previewed is too long, holds control characters or names no ready message.",
        OPERATOR,
    ),
    "file-unknown": (
        GROUP,
        "There is no such file; the page is of another version.",
        "Load the page anew.",
    ),
}
