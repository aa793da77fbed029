"""Codes: what each stable code of a failure means and what to do about it, in words for docs/errors.md.

The codes and their statuses are read from the source (``reference``); a code without words here, and words
without a code, are faults. Those of the shop stand in ``shop_codes`` and ``organiser_codes``,
those of the operator's port in ``operator_codes`` and ``guest_codes``.
"""

from tests.house import guest_codes, operator_codes, organiser_codes, shop_codes

GROUPS = (
    "The line",
    "A turn and its session",
    "The gate",
    operator_codes.GROUP,
    "A backend's guard",
    "Everywhere",
    shop_codes.GROUP,
    organiser_codes.GROUP,
)

SLEEP = "Repeat after Retry-After. The waiting page does so by itself."
AGAIN = "Ask for a new check. The page does so by itself."
OPERATOR = "Correct the request."

WORDS: dict[str, tuple[str, str, str]] = {
    # code: (group, what happened, what to do)
    "room-unknown": (
        GROUPS[0],
        "There is no room of this name, or it has been removed.",
        "Look at the address; the operator's port lists the rooms.",
    ),
    "too-many-places": (
        GROUPS[0],
        "One browser has taken more places than a person does; only where `bot_guard` is `on`.",
        SLEEP,
    ),
    "forged": (
        GROUPS[0],
        "A cookie of ours was changed by somebody; `reasons` says which. Only where `bot_guard` is `on`.",
        "Delete the site's cookies; the page then joins anew.",
    ),
    "room-full": (GROUPS[0], "`max_waiting` people wait already. Nobody who waits loses anything.", SLEEP),
    "room-not-open": (
        GROUPS[0],
        "The room is idle, or a sale has not begun to gather; `opens_ms` says when it will.",
        "Come again at `opens_ms`. The waiting page joins by itself.",
    ),
    "room-sold-out": (
        GROUPS[0],
        "`stock_state` is `soldout`: nobody joins any more, and who waits keeps their place.",
        "Nothing; if tickets come back, the operator sets another `stock_state`.",
    ),
    "carry-code-malformed": (
        GROUPS[0],
        "The code of a link that carries a place is cut or misspelt.",
        "Copy the whole link, or scan the picture again.",
    ),
    "carry-taken": (
        GROUPS[0],
        "The link that carries a place has been used; it does so once.",
        "Make a new one on the device that has the place.",
    ),
    "carry-gone": (
        GROUPS[0],
        "The link is older than five minutes, or of a line that is over.",
        "Make a new one on the device that has the place.",
    ),
    "carry-key-needed": (
        GROUPS[0],
        "The place is bound to a browser's key ([binding](binding.md)), and the browser that opened the link has none.",
        "Open the link in another browser. It has not been used up.",
    ),
    "key-malformed": (
        GROUPS[0],
        "The header Waitroom-Key is not the thumbprint of a key (RFC 7638, SHA-256, base64url).",
        "Correct the request, or leave the header out: the place is then bound to nothing.",
    ),
    "place-carried": (
        GROUPS[0],
        "The place was carried to another browser, and the key of this one counts no longer.",
        "Go on there.",
    ),
    "reminder-not-offered": (
        GROUPS[0],
        "The room asks nobody whether they want to be told (`reminder_minutes`), or not in this way.",
        "Set `reminder_minutes` and a way: [messages of the room](room-messages.md).",
    ),
    "reminder-too-late": (
        GROUPS[0],
        "The place is called already, or the line takes nobody any more.",
        "Look at the page.",
    ),
    "reminder-address-invalid": (
        GROUPS[0],
        "What should be an e-mail address or a push subscription is none, or the push service is not a known one.",
        "Correct it; `WAITROOM_REMINDER_PUSH_HOSTS` names further services.",
    ),
    "reminder-consent-missing": (
        GROUPS[0],
        "Nothing is kept without `consent`.",
        "Send it when the fan gave it.",
    ),
    "reminder-address-refused": (
        GROUPS[0],
        "The owner of the address has stopped all messages of this line, or it has as many reminders as it may.",
        "Nothing, or another address.",
    ),
    "too-many-reminders": (
        GROUPS[0],
        "One client asked too often within a minute, or an address was asked for too often.",
        SLEEP,
    ),
    "reminder-link-invalid": (
        GROUPS[0],
        "The link that stops messages is cut, forged, or of another room.",
        "Copy the whole link from the message.",
    ),
    "identity-needed": (
        GROUPS[0],
        "The room asks who joins (`identity`), and nothing was shown; `way` says what it asks for.",
        "Show it: [identity](identity.md). The page leads there by itself.",
    ),
    "identity-code-wrong": (
        GROUPS[0],
        "No such code gives a place here: it is misspelt, of another room, over, or revoked.",
        "Type it again; `waitroom codes list` shows the batches.",
    ),
    "identity-number-wrong": (
        GROUPS[0],
        "It is not the number of the last mail.",
        "Type it again; five tries count.",
    ),
    "identity-number-gone": (
        GROUPS[0],
        "The number is older than ten minutes, was tried too often, or is of another line.",
        "Ask for a new one.",
    ),
    "identity-mail-invalid": (
        GROUPS[0],
        "What should be an e-mail address is none, or its server refuses it for good.",
        "Correct it.",
    ),
    "identity-not-asked": (GROUPS[0], "The room asks nobody who they are.", "Join as in any room."),
    "identity-not-mail": (
        GROUPS[0],
        "The room asks who joins, but sends no numbers by mail.",
        "Look at `identity`.",
    ),
    "identity-login-failed": (
        GROUPS[0],
        "The provider's answer does not count, the fan declined there, or another browser began this login.",
        "Log in again; `waitroom_line_identities_total` says how often it was which.",
    ),
    "identity-login-over": (
        GROUPS[0],
        "The login is older than ten minutes, or of another line.",
        "Log in again.",
    ),
    "identity-not-login": (GROUPS[0], "The room asks who joins, but not for a login.", "Look at `identity`."),
    "identity-over": (
        GROUPS[0],
        "The line is over and its room key destroyed: nobody is known by an identity any more.",
        "Nothing; the next line asks anew.",
    ),
    "too-many-codes": (GROUPS[0], "Too many wrong codes or numbers came from one network.", SLEEP),
    "too-many-numbers": (
        GROUPS[0],
        "A mail address was written to too often, or too many numbers were asked for from one address.",
        SLEEP,
    ),
    "mail-away": (
        GROUPS[0],
        "The mail server is away, or none is set (`WAITROOM_REMINDER_MAIL_HOST`).",
        SLEEP,
    ),
    "identity-away": (GROUPS[0], "This process cannot ask anybody who they are.", SLEEP),
    "codes-full": (GROUPS[1], "There are 65,536 batches of codes.", "Make no more."),
    "too-many-carries": (GROUPS[0], "Too many places moved from one address within a minute.", SLEEP),
    "rhythm-none": (
        GROUPS[0],
        "The room looks at nobody: its `bot_guard` is `off`.",
        "Nothing.",
    ),
    "rhythm-early": (
        GROUPS[0],
        "The wait is not below two minutes yet.",
        "Tell it later. The page does so by itself.",
    ),
    "rhythm-late": (
        GROUPS[0],
        "The place is called already; nothing is judged any more.",
        "Nothing; come in.",
    ),
    "rhythm-told": (
        GROUPS[0],
        "The place has told its rhythm before.",
        "Nothing; the lane is settled.",
    ),
    "rhythm-malformed": (
        GROUPS[0],
        "What was told cannot be a rhythm; `detail` says the first fault. Nothing follows from it.",
        "Correct it; the place may still tell.",
    ),
    "too-many-rhythms": (GROUPS[0], "Too many pages of one address told within a minute.", SLEEP),
    "challenge-none": (
        GROUPS[0],
        "The room has no check: its `challenge` says `none`.",
        "Nothing; the place keeps its lane.",
    ),
    "challenge-malformed": (
        GROUPS[0],
        "The answer to a check, or the check given back, cannot be read.",
        AGAIN,
    ),
    "challenge-forged": (
        GROUPS[0],
        "A check that this installation has not made, or that was changed.",
        AGAIN,
    ),
    "challenge-expired": (
        GROUPS[0],
        "The check was made more than five minutes ago, or the provider says so.",
        AGAIN,
    ),
    "challenge-foreign": (GROUPS[0], "The check was made for another place, or is not the room's.", AGAIN),
    "challenge-spent": (GROUPS[0], "The answer was used before; each is good once.", AGAIN),
    "challenge-wrong": (
        GROUPS[0],
        "The answer is not right, or a check was given back before its two seconds were over.",
        AGAIN,
    ),
    "challenge-elsewhere": (
        GROUPS[0],
        "A provider's check was done on a host that is not in WAITROOM_CHALLENGE_HOSTS, or for another purpose.",
        "Operators: look at that setting. Fans: the work is always open.",
    ),
    "challenge-doubted": (
        GROUPS[0],
        "The provider's score is below one half of a person.",
        "Do the work instead: it is always open.",
    ),
    "challenge-away": (
        GROUPS[0],
        "The provider gave no answer that could be used; nothing is ever taken as passed.",
        "Do the work instead: it is always open.",
    ),
    "too-many-challenges": (
        GROUPS[0],
        "Too many steps of checks within a minute: of one place, of the places of one address, or without a place.",
        SLEEP,
    ),
    "room-draining": (
        GROUPS[0],
        "The line drains: whoever was called may still come in, and nobody joins. An operator may reopen it.",
        SLEEP,
    ),
    "room-over": (
        GROUPS[0],
        "The sale is over and its line takes nobody any more.",
        "Nothing; the next sale has a line of its own.",
    ),
    "room-turning": (GROUPS[0], "The join fell between two openings of the room.", SLEEP),
    "room-restoring": (
        GROUPS[0],
        "The store was lost and the room is being put back; no place is lost.",
        SLEEP,
    ),
    "run-over": (GROUPS[0], "The ticket is of an earlier opening of the room.", "Join anew."),
    "ticket-missing": (
        GROUPS[0],
        "No ticket came along, neither as a cookie nor in the header Waitroom-Ticket.",
        "Join first; see that the client keeps cookies.",
    ),
    "ticket-invalid": (
        GROUPS[0],
        "The ticket is cut, forged, or signed with a key that is no longer known.",
        "Join anew. If many see it: was the key ring replaced?",
    ),
    "ticket-foreign-room": (GROUPS[0], "The ticket is of another room.", "Send each room its own ticket."),
    "ticket-used": (
        GROUPS[1],
        "The place was used and its visit is over, or it was given up.",
        "Join anew for another turn.",
    ),
    "proof-needed": (
        GROUPS[1],
        "The place is bound to a browser's key, and no proof of it was shown; the question is in the answer "
        "([binding](binding.md)).",
        "Sign the question with the key. The page does so by itself; whose key is lost asks the organiser.",
    ),
    "proof-wrong": (
        GROUPS[1],
        "The proof is of another key, room, place, act or time, or cannot be read; `reason` says which.",
        "Sign the question in the answer. The page does so by itself, once.",
    ),
    "proof-used": (
        GROUPS[1],
        "The proof was shown before; each is good once.",
        "Sign the question in the answer. The page does so by itself, once.",
    ),
    "leaf-mismatch": (
        GROUPS[1],
        "The number belongs to another ticket.",
        "Join anew. It may follow a loss of the store (docs/recovery.md).",
    ),
    "no-time-runs": (
        GROUPS[1],
        "More time was asked for while no claim window runs: the place is not called yet, or it has no end.",
        "Look at the personal JSON: ask when `extensions_left` is more than 0.",
    ),
    "time-over": (
        GROUPS[1],
        "More time was asked for when the claim window was over.",
        "Claim: the right to come in is kept (recall), only no longer first.",
    ),
    "more-time-used-up": (
        GROUPS[1],
        "The claim window was made longer `claim_extensions` times already.",
        "Claim, or raise `claim_extensions`.",
    ),
    "too-many-joins": (
        GROUPS[0],
        "More joins from one address than `join_rate_per_minute` and `join_burst` allow.",
        SLEEP
        + " If whole offices see it, raise the two; if everybody does, name the proxy in WAITROOM_TRUSTED_PROXIES.",
    ),
    "idempotency-key-malformed": (
        GROUPS[0],
        "The header Idempotency-Key is not 16 to 64 of A-Z a-z 0-9 _ -.",
        OPERATOR,
    ),
    "document-invalid": (
        GROUPS[0],
        "What was handed back is no status document that we signed.",
        "Hand back the document as it was received.",
    ),
    "no-draw": (GROUPS[0], "The line has no draw.", "Nothing: first come, first served."),
    "no-leaves": (
        GROUPS[0],
        "There is no such block, or the draw is not frozen yet.",
        "Ask after the freeze, for blocks below `frozen / 1024`.",
    ),
    "target-not-allowed": (
        GROUPS[1],
        "The page to go on to is neither a path of this site nor on `allowed_targets`.",
        "Link to a path, or add the host to the room.",
    ),
    "session-unknown": (
        GROUPS[1],
        "There is no session of this id in the room.",
        "Read `sub` and `room` from the admission.",
    ),
    "session-not-renewed": (
        GROUPS[1],
        "The session is over, or the room renews none.",
        "Let the visitor join again.",
    ),
    "act-unknown": (
        GROUPS[1],
        "A session can be finished, renewed or revoked, a guest revoked, evicted or reinstated, and nothing else.",
        OPERATOR,
    ),
    "token-wrong": (
        GROUPS[1],
        "The bearer token is neither the operator's nor the backend's.",
        "Look at WAITROOM_BACKEND_TOKEN.",
    ),
    "waiting": (
        GROUPS[2],
        "A client that is no browser asked for the site without an admission.",
        "Join and claim at the addresses in the answer, then repeat with the cookie.",
    ),
    "room-rejects": (
        GROUPS[2],
        "The room's `queueing_method` is reject: nobody new is let in.",
        "Nothing, until the operator changes it.",
    ),
    "no-such-site": (
        GROUPS[2],
        "No room covers this address, and there is no WAITROOM_DEFAULT_ORIGIN.",
        "Give a room this host and path, or set the default origin.",
    ),
    "host-unclear": (GROUPS[2], "The request names no host, or two.", OPERATOR),
    "address-too-long": (GROUPS[2], "Path and query are longer than the gate hands on.", OPERATOR),
    "address-malformed": (GROUPS[2], "The path is no path.", OPERATOR),
    "origin-unreachable": (
        GROUPS[2],
        "No connection to the origin within WAITROOM_CONNECT_S.",
        "Is the origin up, and the room's `origin` right? The log has the reason.",
    ),
    "origin-slow": (
        GROUPS[2],
        "The origin did not begin to answer within WAITROOM_FIRST_BYTE_S, or fell silent.",
        "Lower `new_users_per_minute`: the origin is overrun.",
    ),
    "origin-broken": (
        GROUPS[2],
        "The origin closed the connection or sent no HTTP.",
        "Look at the origin's own log.",
    ),
    "request-slow": (GROUPS[2], "The client stopped sending its body.", "Repeat."),
    "admission-missing": (
        GROUPS[4],
        "The request came to the backend (a site behind a guard, or the shop) without an admission.",
        "Come through the gate.",
    ),
    "admission-refused": (
        GROUPS[4],
        "The admission does not count; `reason` is the word why.",
        "`waitroom check token` tells the same word. Clocks, issuer and audience are the usual causes.",
    ),
    "admission-keys-missing": (
        GROUPS[4],
        "The guard has never reached the JWKS.",
        "See that the backend reaches `/.waitroom/jwks.json`.",
    ),
    "push-subscription-invalid": (
        GROUPS[5],
        "This is no push subscription as a browser gives it, or its service is not one of those that are known here.",
        "Send `PushSubscription.toJSON()` as it is; the operator can add a service's host.",
    ),
    "store-away": (
        GROUPS[5],
        "The store cannot be reached. Who is admitted still passes; places are safe.",
        SLEEP,
    ),
    "store-refused": (
        GROUPS[5],
        "The store answered with an error (out of memory, read-only, loading).",
        "Look at the store's log; `maxmemory-policy` must be noeviction.",
    ),
    "journal-away": (
        GROUPS[5],
        "The journal's database cannot be reached.",
        "Places are safe as long as the store lives. Bring it back soon: see docs/recovery.md.",
    ),
    "address-unknown": (GROUPS[5], "There is nothing at this address.", OPERATOR),
    "method-not-allowed": (GROUPS[5], "The address answers other methods; Allow names them.", OPERATOR),
    "cross-site": (
        GROUPS[5],
        "A page of another site sent this in the visitor's name.",
        "Post from a page of the same origin.",
    ),
    "content-type-unknown": (GROUPS[5], "The body is of a kind that the address does not read.", OPERATOR),
    "body-malformed": (GROUPS[5], "The body cannot be read as what its Content-Type says.", OPERATOR),
    "body-incomplete": (GROUPS[5], "The connection ended before the body did.", "Repeat."),
    "body-too-large": (GROUPS[5], "The body is larger than the address reads.", OPERATOR),
    "cookies-too-large": (
        GROUPS[5],
        "The browser sent more cookies than are read (16 kB).",
        "Remove cookies of the site; look for what sets so many.",
    ),
    "internal": (
        GROUPS[5],
        "A fault of ours. The log has the same `reference`.",
        "Report it with the log's lines of that reference.",
    ),
    **operator_codes.WORDS,
    **guest_codes.WORDS,
    **shop_codes.WORDS,
    **organiser_codes.WORDS,
}
