"""Codes of the shop's buyers, in words for docs/errors.md (``codes`` and ``organiser_codes`` have the others)."""

GROUP = "The shop"

CORRECT = "Correct the request."
AGAIN = "Repeat after Retry-After, under the same Idempotency-Key. The pages do so by themselves."
CHOOSE = "Look at the map and choose again; the seat page offers the nearest that are free."

WORDS: dict[str, tuple[str, str, str]] = {
    # code: (group, what happened, what to do)
    "order-unknown": (
        GROUP,
        "There is no such order, or the buyer has none such.",
        "`GET …/orders` lists the buyer's own.",
    ),
    "login-missing": (GROUP, "This is for whoever is logged in.", "Log in at `/account/login`."),
    "login-away": (
        GROUP,
        "The provider at which fans log in cannot be reached, or too many log in at once; of a room that asks for a "
        "login also: none is set.",
        "Repeat later; nobody needs an account to buy.",
    ),
    "contact-unknown": (
        GROUP,
        "Nobody has said where this order's tickets go.",
        "`PUT …/orders/{order}/contact` (`PUT …/waitlist/contact`), or nothing: nobody has to.",
    ),
    "contact-busy": (
        GROUP,
        "As many entries of the event's waitlist as may have an address have this one.",
        "Use another address, or wait without one.",
    ),
    "contact-malformed": (
        GROUP,
        "A contact has other members than `email`, `name` and `language`, or a name that cannot be taken.",
        CORRECT,
    ),
    "contact-unreadable": (
        GROUP,
        "What is kept of a buyer does not open: its key is missing, or the row was changed.",
        "Put the file of the people's keys back (docs/people.md); the log names the row.",
    ),
    "email-malformed": (
        GROUP,
        "This is no e-mail address; `why` says which part: `at`, `local`, `domain`, `long`, `control`.",
        CORRECT,
    ),
    "language-unknown": (GROUP, "The shop does not write in this language.", CORRECT),
    "order-over": (GROUP, "The order's time is over, or it was given up; its seats are free.", CHOOSE),
    "order-paid": (GROUP, "The order is paid for.", "Nothing."),
    "payment-declined": (
        GROUP,
        "The bank, or the provider, said no; `decline` says why, `order` how the order stands. Nobody was charged.",
        "Try another method under a new Idempotency-Key, while the order's time runs.",
    ),
    "payment-under-way": (GROUP, "The last try to pay is not decided yet.", "Ask for the order until it is."),
    "payment-blocked": (GROUP, "This buyer's payments are not taken here.", "Contact the organiser."),
    "too-many-attempts": (
        GROUP,
        "There were too many tries to pay.",
        "Give the order up, or come back later.",
    ),
    "method-malformed": (
        GROUP,
        "The body does not name one payment method: a token that the provider's own page has made.",
        CORRECT,
    ),
    "notice-forged": (GROUP, "A webhook was not signed by its provider, or long ago.", "Nothing."),
    "notice-malformed": (GROUP, "A webhook's body cannot be read.", CORRECT),
    "provider-away": (GROUP, "A notice's payment cannot be looked at just now.", "Send the notice again."),
    "list-invalid": (
        GROUP,
        "A file of blocked or allowed people has lines that cannot be read; the log and the start tell each.",
        "Correct the lines; the list as it was stays in force.",
    ),
    "blocked": (GROUP, "What pays, or who, stands on the operator's list.", "Contact the organiser."),
    "country-not-served": (GROUP, "The event is not sold to this country.", "Nothing."),
    "event-unknown": (GROUP, "There is no such event, or it is a draft.", "`GET /api/events` lists them."),
    "layout-unknown": (
        GROUP,
        "There is no hall of this hash.",
        "Take the address from the event's `layout.url`.",
    ),
    "prices-unknown": (GROUP, "There is no such version of the event's prices.", CORRECT),
    "query-invalid": (
        GROUP,
        "A parameter of a list is unknown, there twice, or out of its bounds.",
        "See docs/checkout.md; `after` is the `next` of the page before.",
    ),
    "version-malformed": (
        GROUP,
        "What a stream should go on after is not a version of a map.",
        "Send what `Map-Version` or the last `id` said, or nothing.",
    ),
    "sale-not-open": (GROUP, "The sale has not begun; `opens_ms` is the exact moment.", "Come again then."),
    "sale-over": (
        GROUP,
        "The sale is over, since `closed_ms`.",
        "Nothing; open holds can still be reserved.",
    ),
    "sale-cancelled": (GROUP, "The event is cancelled.", "Nothing."),
    "sale-paused": (
        GROUP,
        "The hall is closed for new holds for a moment (a move to another shard).",
        AGAIN,
    ),
    "key-missing": (
        GROUP,
        "A hold was asked for without the header Idempotency-Key.",
        "Send a new key with each new wish, and the same key to repeat one.",
    ),
    "key-malformed": (
        GROUP,
        "The Idempotency-Key is there twice, empty, longer than 128 characters, or has a colon.",
        CORRECT,
    ),
    "key-in-flight": (GROUP, "The same request is being answered at this moment.", AGAIN),
    "key-reused": (
        GROUP,
        "The key belongs to another request of this buyer: the body differs.",
        "Take a new key for a new wish.",
    ),
    "hold-malformed": (GROUP, "The body is no wish for seats; `faults` has all that is wrong.", CORRECT),
    "seats-unknown": (
        GROUP,
        "The hall has no such seats to choose, or the code's allocation has not; `seats` names them.",
        "Places to stand are asked for by `standing`, not one by one.",
    ),
    "allocation-unknown": (GROUP, "The code opens no seats.", "Check the code; capital letters matter."),
    "currency-unknown": (GROUP, "The event is not sold in this currency, but in `currencies`.", CORRECT),
    "seats-taken": (
        GROUP,
        "Somebody was faster: `taken` has the seats and what they are now. Nothing was held.",
        CHOOSE,
    ),
    "limit-reached": (
        GROUP,
        "The buyer would have more than `max` seats; `has` counts holds and reservations.",
        "Take fewer, or give some back.",
    ),
    "too-few-left": (GROUP, "In the section there are only `left` places.", "Take fewer."),
    "no-such-block": (
        GROUP,
        "So many seats side by side are not free where they were asked for.",
        "Take fewer, another price or section, or single seats.",
    ),
    "hold-unknown": (GROUP, "The buyer has no such hold.", "`GET …/holds/mine` lists them."),
    "hold-over": (
        GROUP,
        "The hold is over; `state` says how: released, expired, sold, or unknown.",
        "Hold the seats again, if they are still free.",
    ),
    "seats-lost": (
        GROUP,
        "The store had forgotten that these seats are somebody else's; SQL has the last word. Nothing was reserved.",
        CHOOSE + " If many see it, the store was set back: docs/checkout.md.",
    ),
    "reservation-unknown": (GROUP, "The buyer has no such reservation.", "Look at the address."),
    "reservation-sold": (GROUP, "What is paid for is not given back this way.", "Nothing."),
    "not-sold-out": (GROUP, "`free` seats are left, so there is no waitlist.", "Hold seats."),
    "not-waiting": (GROUP, "The buyer is not on the event's waitlist.", "Join first."),
    "waiting-already": (
        GROUP,
        "The buyer waits already, for something else: `count`, `tier`.",
        "Leave the waitlist, then join again.",
    ),
    "wish-invalid": (
        GROUP,
        "The waitlist was asked for something that cannot be: `count` and `tier`.",
        CORRECT,
    ),
    "form-malformed": (GROUP, "A form of the shop's pages cannot be read.", "Load the page anew."),
    "map-rebuilding": (
        GROUP,
        "The store lost the event's map and it is being put back from SQL.",
        AGAIN + " It takes a second or two; no reservation is lost.",
    ),
    "shop-away": (
        GROUP,
        "The shop's database cannot be reached. Seats can still be looked at and held; reserving waits.",
        AGAIN,
    ),
    "streams-full": (
        GROUP,
        "The process has as many open streams as it takes.",
        "Ask for the map now and then; add shop processes (`shop_workers`).",
    ),
    "room-not-told": (
        GROUP,
        "The operator's port did not take what is left of the tickets; only the log and a metric say so.",
        "See that the shop reaches it, and that both have the same `backend_token`.",
    ),
}
