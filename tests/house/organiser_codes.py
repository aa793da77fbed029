"""Codes of the shop's organisers and shards, in words for docs/errors.md (``codes`` has all the others)."""

GROUP = "The shop's organisers and shards"

CORRECT = "Correct what `faults` names, and send it again."
READ = "Read it again, and change what you read."

WORDS: dict[str, tuple[str, str, str]] = {
    # code: (group, what happened, what to do)
    "second-factor-missing": (
        GROUP,
        "Money or prices would move, and a person asked with a token only.",
        "Send the code of the device in the header `Staff-Code`.",
    ),
    "second-factor-wrong": (
        GROUP,
        "The code is not that of the device now, or it has been used.",
        "Wait for the next code, or use a recovery code.",
    ),
    "second-factor-none": (
        GROUP,
        "Money, prices or people would change, and whoever is logged in has no second factor yet.",
        "Make a key or a device at `/staff`, soon after logging in.",
    ),
    "second-factor-same": (
        GROUP,
        "The factor that was shown is the one that would be taken away.",
        "Show another one, or a recovery code.",
    ),
    "factor-last": (
        GROUP,
        "The only factor of somebody would be taken away, or it is gone already.",
        "Make another one first; an owner can remove and invite whoever has lost everything.",
    ),
    "login-old": (
        GROUP,
        "The first factor is made within ten minutes after a login.",
        "Log out and in again.",
    ),
    "paper-missing": (
        GROUP,
        "A form or a call with a session's cookie has no paper of that session, or an old one.",
        "Load the page again; a script sends `csrf` of `GET /staff/who` in the header `Staff-Csrf`.",
    ),
    "staff-login-missing": (GROUP, "This is for staff who are logged in.", "Log in at `/staff`."),
    "staff-invalid": (GROUP, "An invitation or a role cannot be read.", CORRECT),
    "staff-taken": (
        GROUP,
        "The name or the address is somebody's already.",
        "Choose another, or remove them.",
    ),
    "staff-unknown": (GROUP, "Nobody of this name logs in.", "`GET /staff` lists who does."),
    "key-refused": (
        GROUP,
        "A security key's answer does not count; the log says why (`a key was refused`).",
        "Try once more. Where the log says that a count went back, there may be a copy: remove the key.",
    ),
    "key-none": (GROUP, "Somebody without a key was to show one.", "Make one at `/staff`."),
    "keys-full": (GROUP, "Nobody has more than ten keys.", "Remove one."),
    "keys-busy": (
        GROUP,
        "There are too many questions to the keys of one person.",
        "Repeat after Retry-After.",
    ),
    "second-factor-locked": (
        GROUP,
        "There were five wrong codes in a row; none counts for a quarter of an hour.",
        "Wait. If it was not you, remove the token: `waitroom shop staff remove`.",
    ),
    "factor-unreadable": (
        GROUP,
        "The secret of a second factor does not open: its key is missing, or the row was changed.",
        "Put the file of the people's keys back, or give a new device: `waitroom shop staff add --person`.",
    ),
    "role-refused": (
        GROUP,
        "The token's role may not use this address; the log says whose it was.",
        "Ask an owner: `waitroom shop staff add` makes tokens of other roles (docs/organiser.md).",
    ),
    "organiser-invalid": (GROUP, "An organiser has faults; nothing was kept.", CORRECT),
    "venue-invalid": (GROUP, "A venue has faults; nothing was kept.", CORRECT),
    "ticket-unknown": (
        GROUP,
        "There is no such ticket of this event.",
        "Find it by its order or its number.",
    ),
    "ticket-not-valid": (
        GROUP,
        "The ticket was used or revoked: nothing can be made in its place.",
        "Look at what became of it; its order may have another one.",
    ),
    "venue-unknown": (GROUP, "There is no such venue.", "Make it first, with PUT."),
    "name-invalid": (GROUP, "A layout's name is too long or cannot be printed.", "Choose another."),
    "plan-invalid": (
        GROUP,
        "A seating plan has faults; nothing was imported. `faults` names up to a hundred, each with its line or path.",
        "Correct the file, and send it again.",
    ),
    "layout-invalid": (GROUP, "A layout has faults.", CORRECT),
    "event-invalid": (GROUP, "An event, or a change of one, has faults; nothing was kept.", CORRECT),
    "event-exists": (
        GROUP,
        "There is an event of this id already.",
        "Choose another id, or change that one.",
    ),
    "event-changed": (GROUP, "Somebody else has changed the event since; `current` is as it is now.", READ),
    "prices-invalid": (GROUP, "Prices have faults; nothing was changed.", CORRECT),
    "allocation-invalid": (GROUP, "An allocation has faults; nothing was kept.", CORRECT),
    "tier-unknown": (GROUP, "The event has no such price category.", "Look at its `tiers`."),
    "seats-invalid": (GROUP, "The seats are none of this hall, or cannot be read.", CORRECT),
    "seats-busy": (
        GROUP,
        "Nothing has changed, because `seats` are held, reserved, sold, or blocked already.",
        "Leave them out, or wait until they are free.",
    ),
    "letter-unknown": (
        GROUP,
        "There is no such dead letter: it was sent meanwhile, or is tried again already.",
        READ,
    ),
    "scanner-invalid": (GROUP, "A scanner has faults; none was made.", CORRECT),
    "scanners-full": (GROUP, "The event has as many scanners as it may have.", "Use one that is there."),
    "scanner-unknown": (
        GROUP,
        "There is no such scanner, it was revoked, or its time is over; or whoever scans has no token of this event.",
        "Open the scanner's link again, or make another scanner.",
    ),
    "scans-invalid": (GROUP, "Scans that were sent have faults; none was taken.", CORRECT),
    "refund-invalid": (
        GROUP,
        "A refund has faults; nothing went back.",
        CORRECT,
    ),
    "refund-too-much": (
        GROUP,
        "More was to go back than `left_minor`: what was captured, less what is back, on its way, or with the bank.",
        "Ask for less.",
    ),
    "refund-not-failed": (
        GROUP,
        "Only a refund that has failed is tried again.",
        "Look at the refund's `state`.",
    ),
    "decision-invalid": (
        GROUP,
        "A decision on a review has faults; nothing was decided.",
        CORRECT,
    ),
    "review-unknown": (
        GROUP,
        "Nobody has to look at this order.",
        "`GET …/reviews` lists those.",
    ),
    "review-decided": (
        GROUP,
        "The review was decided otherwise; `review` says by whom.",
        "Nothing; one decision counts.",
    ),
    "review-lapsed": (
        GROUP,
        "Nobody has decided in time; what is set for that follows within seconds.",
        "Nothing.",
    ),
    "notice-unknown": (
        GROUP,
        "Nothing of this name is put aside.",
        "`GET …/notices` and `…/strays` list what is.",
    ),
    "confirmation-missing": (
        GROUP,
        "A sale is cancelled by whoever repeats the event's id; everything paid goes back then.",
        'Send `{"confirm": "<id of the event>"}` to `…/cancel`.',
    ),
    "shard-unknown": (GROUP, "The settings name no such shard.", "Look at WAITROOM_SHOP_SHARDS."),
    "shards-unknown": (
        GROUP,
        "A worker could not read for a minute where events are kept, or does not know a shard that is named there.",
        "Look at the main database; after a change of the shards' file start every worker again.",
    ),
    "shards-alike": (GROUP, "Two shards are one and the same database.", "Correct WAITROOM_SHOP_SHARDS."),
    "event-moving": (
        GROUP,
        "The event is on its way to another shard.",
        "Repeat after Retry-After. If it lasts, run `waitroom shop move` again: see docs/shards.md.",
    ),
    "sale-open": (
        GROUP,
        "The event is on sale, or will be too soon, so it does not move.",
        "Close the sale first.",
    ),
    "event-busy": (
        GROUP,
        "Seats are held or reserved (`seats`, `reservations`), so the event does not move.",
        "Wait until they are over, then move.",
    ),
    "event-elsewhere": (
        GROUP,
        "An override names a shard that has no seat of the event; nothing was taken away elsewhere.",
        "Correct the row in `shard_overrides`.",
    ),
    "move-overtaken": (
        GROUP,
        "Somebody else moves the event, or has just moved it.",
        "Look where it is, then repeat.",
    ),
    "move-differs": (
        GROUP,
        "What was copied is not what was to be copied; the event stays where it was.",
        "Run the move again, or one to where the event is: that gives up.",
    ),
    "journal-behind": (GROUP, "Notes of holds are not in SQL yet, so the event does not move.", "Repeat."),
}
