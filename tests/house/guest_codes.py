"""Guest codes: the codes of an operator's acts on guests and of bypass tokens, in words for docs/errors.md."""

LINE = "The line"
TURN = "A turn and its session"
DESK = "The operator's port"
CORRECT = "Correct the request."

WORDS: dict[str, tuple[str, str, str]] = {
    # code: (group, what happened, what to do)
    "code-used": (
        LINE,
        "The priority code brought another place into the lane.",
        "Ask the organiser for another code.",
    ),
    "priority-none": (
        LINE,
        "The room asks for a code before joining, so none gives priority.",
        "Show the code where the room asks who comes.",
    ),
    "batch-malformed": (
        DESK,
        "A batch of priority codes needs a name of 1 to 80 characters, 1 to 5,000 codes and 1 to 8,784 hours.",
        CORRECT,
    ),
    "batch-unknown": (DESK, "The room has no batch of priority codes of this number.", CORRECT),
    "place-evicted": (
        TURN,
        "An operator has taken the place out of the line; the journal says who and why.",
        "The fan writes to the organiser with their number. An operator gives the place back, or does not.",
    ),
    "arrived-malformed": (
        DESK,
        "`arrived` is not a whole number from 1.",
        'Ask the fan for the number on their page: it says "You came as number 42".',
    ),
    "reason-too-long": (DESK, "The reason has more than 300 characters.", "Say it shorter."),
    "revoke-all-unconfirmed": (
        DESK,
        "The end of all visits of a room was asked for without being confirmed.",
        'Send `{"all": true}`, or go through the page\'s step before it.',
    ),
    "bypass-malformed": (
        DESK,
        "A bypass token needs a name of 1 to 80 characters and 1 to 8,784 hours.",
        CORRECT,
    ),
    "bypass-full": (DESK, "The room has 500 bypass tokens that count.", "Revoke some."),
    "bypass-unknown": (DESK, "The room has no bypass token of this id.", CORRECT),
    "bypass-invalid": (
        TURN,
        "The bypass token is not ours, is of another room, has ended or was revoked.",
        "Ask an operator for another one.",
    ),
    "no-session": (DESK, "The guest is not inside, so there is no session to revoke.", "Nothing."),
    "already-evicted": (DESK, "The place has been evicted before.", "Nothing, or give it back."),
    "not-evicted": (DESK, "There is nothing to give back: the place is not evicted.", "Nothing."),
}
