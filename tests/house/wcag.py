"""WCAG: how the waiting page stands to each criterion of WCAG 2.2, A and AA.

``reference`` makes docs/accessibility.md of it. A row says what holds, why, and which tests show it; a name without
a file stands in ``tests/process/test_page_access.py``. ``test_wcag.py`` fails when a test that is named here is gone,
when one of that file is not named, or when a criterion is missing.
"""

from dataclasses import dataclass
from enum import StrEnum

ACCESS = "tests/process/test_page_access.py"
PAGE = "tests/process/test_page.py"
SAFE = "tests/process/test_page_safe.py"


class Holds(StrEnum):
    """Whether a criterion is met."""

    SUPPORTS = "supports"
    PARTLY = "partly"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Criterion:
    """A success criterion. `tests` are names, or `file::name`; without any it was judged by eye."""

    number: str
    name: str
    level: str
    holds: Holds
    why: str
    tests: tuple[str, ...] = ()


YES, PARTLY, NONE = Holds.SUPPORTS, Holds.PARTLY, Holds.NOT_APPLICABLE
AXE = "test_axe_finds_nothing_on_any_page"
KEYS = "test_the_keyboard_reaches_every_action_and_the_focus_is_seen"
DIALOG = "test_a_dialog_keeps_the_focus_and_gives_it_back"
NARROW = "test_at_400_percent_nothing_is_cut_and_nothing_scrolls_sideways"
STOPPED = "test_without_scripts_every_page_that_reloads_can_be_stopped"
TOLD = "test_a_change_of_state_is_told_and_the_turn_at_once"
READ = "test_the_place_is_read_as_one_sentence"

CRITERIA = (
    Criterion(
        "1.1.1", "Non-text Content", "A", YES,
        "The door and the marks are decoration and hidden; the way is a progress bar with words; the code "
        "that carries a place has a name, and its link stands beside it as text. A room's logo stands "
        "beside its name.",
        (AXE, READ),
    ),
    Criterion("1.2.1", "Audio-only and Video-only (Prerecorded)", "A", NONE, "There is no audio or video."),
    Criterion("1.2.2", "Captions (Prerecorded)", "A", NONE, "There is no audio or video."),
    Criterion(
        "1.2.3", "Audio Description or Media Alternative (Prerecorded)", "A", NONE,
        "There is no audio or video.",
    ),
    Criterion("1.2.4", "Captions (Live)", "AA", NONE, "There is no audio or video."),
    Criterion("1.2.5", "Audio Description (Prerecorded)", "AA", NONE, "There is no audio or video."),
    Criterion(
        "1.3.1", "Info and Relationships", "A", YES,
        "Landmarks, one heading of the first level, lists of terms, labelled dialogs.",
        (AXE, READ),
    ),
    Criterion(
        "1.3.2", "Meaningful Sequence", "A", YES,
        "The order of the document is the order on the page, in both directions of writing.",
        (KEYS,),
    ),
    Criterion(
        "1.3.3", "Sensory Characteristics", "A", YES,
        "No text speaks of a colour, a shape or a side. By eye, in English.",
    ),
    Criterion(
        "1.3.4", "Orientation", "AA", YES,
        "Nothing is locked; upright and across are both looked at.",
        ("test_letters_of_twice_the_size_still_fit",),
    ),
    Criterion("1.3.5", "Identify Input Purpose", "AA", NONE, "The page asks nothing about the reader."),
    Criterion(
        "1.4.1", "Use of Color", "A", YES,
        "What colour says, words say too: the state, the connection, a pressed button (a tick). By eye.",
    ),
    Criterion(
        "1.4.2", "Audio Control", "A", YES,
        "The sound of the turn is asked for by a press, lasts two seconds, and ends when the page is "
        "looked at or the same button is pressed again. By reading the code.",
    ),
    Criterion(
        "1.4.3", "Contrast (Minimum)", "AA", YES,
        "All states, light and dark, also where the light of the door falls behind the letters. A room's "
        "own colours are refused when they are too pale.",
        (
            AXE,
            "test_axe_notices_a_label_that_is_gone_and_a_colour_that_is_too_pale",
            "test_axe_notices_a_pale_colour_in_the_light_of_the_door",
        ),
    ),
    Criterion(
        "1.4.4", "Resize Text", "AA", YES,
        "All sizes are relative.",
        ("test_letters_of_twice_the_size_still_fit",),
    ),
    Criterion(
        "1.4.5", "Images of Text", "AA", YES,
        "No picture of ours holds text; a room's logo and picture are its own.",
    ),
    Criterion(
        "1.4.10", "Reflow", "AA", YES,
        "At 320 pixels nothing is cut and nothing scrolls sideways, in every state. The operator's list "
        "of previews is a table and scrolls in its own box.",
        (NARROW, "test_a_box_that_cuts_its_text_is_noticed"),
    ),
    Criterion(
        "1.4.11", "Non-text Contrast", "AA", YES,
        "Edges of buttons, the ring of the focus, the way and its mark.",
        (
            "test_edges_and_rings_stand_out_from_the_paper",
            "test_with_the_reader_s_own_colours_everything_is_still_there",
        ),
    ),
    Criterion(
        "1.4.12", "Text Spacing", "AA", YES,
        "Boxes grow with their text.",
        ("test_a_reader_s_own_spacing_cuts_nothing",),
    ),
    Criterion("1.4.13", "Content on Hover or Focus", "AA", NONE, "Nothing appears by pointing or by focus."),
    Criterion(
        "2.1.1", "Keyboard", "A", YES,
        "Links, buttons and dialogs are the browser's own.",
        (KEYS, DIALOG),
    ),
    Criterion(
        "2.1.2", "No Keyboard Trap", "A", YES,
        "A dialog keeps the focus while it is open and closes by Escape.",
        (DIALOG,),
    ),
    Criterion("2.1.4", "Character Key Shortcuts", "A", NONE, "There are none."),
    Criterion(
        "2.2.1", "Timing Adjustable", "A", YES,
        "Who looks at the page is let in without doing anything. Else the time left is shown and told; before "
        "it runs out, while a third of it and at least 20 seconds are left, a press makes it longer by as much "
        "again, ten times unless the room says otherwise (`claim_extensions`; without scripts it is a button, on "
        "a phone it stands on the notification too); running out only means to come in a little later "
        "(recall), so nothing is lost. The link that carries a place runs out for safety and can be made anew. "
        "Without scripts the reload can be stopped. How long a visit on the site lasts is a setting of the "
        "room, told on the page how the line works.",
        (
            "test_a_time_that_runs_out_can_be_made_longer_ten_times",
            "test_who_misses_the_turn_is_told_how_long_there_is_and_loses_nothing",
            STOPPED,
            "test_the_page_never_loads_itself_anew",
        ),
    ),
    Criterion(
        "2.2.2", "Pause, Stop, Hide", "A", YES,
        "What moves by itself stops within five seconds. The place and the countdown go on: they are what "
        "the page is for, and a line cannot be stopped for one.",
        (
            "test_what_moves_by_itself_stops_within_five_seconds",
            "test_nothing_moves_for_who_wants_no_motion",
            STOPPED,
        ),
    ),
    Criterion(
        "2.3.1", "Three Flashes or Below Threshold", "A", YES,
        "Nothing flashes. By eye and by the style sheet.",
    ),
    Criterion(
        "2.4.1", "Bypass Blocks", "A", YES,
        "Landmarks and one heading; before it stand two short lines and nothing that can be pressed.",
        (AXE, READ),
    ),
    Criterion(
        "2.4.2", "Page Titled", "A", YES,
        "The title says how many are ahead, or the state, and the room.",
        (AXE,),
    ),
    Criterion(
        "2.4.3", "Focus Order", "A", YES,
        "As one reads; what goes away hands the focus to the headline.",
        (KEYS, DIALOG, "test_an_action_that_goes_away_leaves_the_focus_on_the_page"),
    ),
    Criterion(
        "2.4.4", "Link Purpose (In Context)", "A", YES,
        "Each link says where it leads. By eye, in English.",
        (AXE,),
    ),
    Criterion("2.4.5", "Multiple Ways", "AA", NONE, "The page is a step on the way to another page."),
    Criterion(
        "2.4.6", "Headings and Labels", "AA", YES,
        "The heading is what the reader wants to know. By eye.",
    ),
    Criterion(
        "2.4.7", "Focus Visible", "AA", YES,
        "A ring of three pixels.",
        (KEYS, "test_with_the_reader_s_own_colours_everything_is_still_there"),
    ),
    Criterion(
        "2.4.11", "Focus Not Obscured (Minimum)", "AA", YES,
        "Nothing lies above the page; on previews alone a badge stands in the corner.",
        (KEYS,),
    ),
    Criterion("2.5.1", "Pointer Gestures", "A", NONE, "A press is all there is."),
    Criterion(
        "2.5.2", "Pointer Cancellation", "A", YES,
        "Buttons and links are the browser's own: they act when the finger is lifted.",
    ),
    Criterion("2.5.3", "Label in Name", "A", YES, "The name of a button is what stands on it.", (AXE,)),
    Criterion("2.5.4", "Motion Actuation", "A", NONE, "Nothing is done by moving the device."),
    Criterion("2.5.7", "Dragging Movements", "AA", NONE, "Nothing is dragged."),
    Criterion(
        "2.5.8", "Target Size (Minimum)", "AA", YES,
        "Buttons and links are 44 pixels high, links inside a sentence as high as its line.",
        ("test_everything_that_can_be_pressed_is_large_enough", AXE),
    ),
    Criterion(
        "3.1.1", "Language of Page", "A", YES,
        "`lang` and `dir`, from the first byte on.",
        (AXE, f"{PAGE}::test_the_page_speaks_the_language_of_the_browser"),
    ),
    Criterion(
        "3.1.2", "Language of Parts", "AA", PARTLY,
        "Our own words are in one language; but a room's name and the organiser's message have no "
        "language of their own, so one in another language is read with the page's voice.",
    ),
    Criterion("3.2.1", "On Focus", "A", YES, "Focus changes nothing.", (KEYS,)),
    Criterion("3.2.2", "On Input", "A", NONE, "There is nothing to fill in."),
    Criterion(
        "3.2.3", "Consistent Navigation", "AA", YES,
        "The same links in the same order in every state.",
        (KEYS,),
    ),
    Criterion(
        "3.2.4", "Consistent Identification", "AA", YES,
        "One text for one action, in the catalogue.",
        (KEYS,),
    ),
    Criterion(
        "3.2.6", "Consistent Help", "A", YES,
        "The page how the line works is linked from the same spot everywhere. A way to a person is the "
        "organiser's to give.",
        (KEYS,),
    ),
    Criterion(
        "3.3.1", "Error Identification", "A", YES,
        "There is nothing to fill in; what fails is told in a sentence and by voice.",
        (TOLD, f"{SAFE}::test_the_store_is_away_and_comes_back"),
    ),
    Criterion(
        "3.3.2", "Labels or Instructions", "A", YES,
        "The one field (the link to copy) has a label.",
        (AXE,),
    ),
    Criterion(
        "3.3.3", "Error Suggestion", "AA", YES,
        "A refusal says what helps, where anything does.",
        (f"{SAFE}::test_a_used_place_offers_a_new_one",),
    ),
    Criterion(
        "3.3.4", "Error Prevention (Legal, Financial, Data)", "AA", YES,
        "Leaving the line is asked twice. The shop's pages are not part of this report.",
        (f"{SAFE}::test_leaving_is_asked_twice_and_kept",),
    ),
    Criterion("3.3.7", "Redundant Entry", "A", NONE, "Nothing is entered."),
    Criterion(
        "3.3.8", "Accessible Authentication (Minimum)", "AA", NONE,
        "To wait nobody need log in, remember or solve anything.",
    ),
    Criterion(
        "4.1.2", "Name, Role, Value", "A", YES,
        "The browser's own elements; pressed buttons and the way have a state.",
        (AXE, READ, "test_what_a_browser_without_scripts_shows_has_no_faults_either"),
    ),
    Criterion(
        "4.1.3", "Status Messages", "AA", YES,
        "A change of state, each tenth of the way, and the turn are told without moving the focus; every "
        "step is not.",
        (
            TOLD,
            "test_ten_minutes_of_waiting_are_a_handful_of_sentences",
            f"{PAGE}::test_a_screen_reader_hears_changes_and_not_every_step",
        ),
    ),
)  # fmt: skip

INTRODUCTION = (
    "How the waiting page stands to the Web Content Accessibility Guidelines (WCAG) 2.2, levels A and AA: the page in "
    "all its states, with and without JavaScript, the pages that tell how the line works and why something was "
    "refused. Not the operator's console, not the shop, not a page of the operator's own (`custom_page_html`), and not "
    "the site behind.",
    "Each row names what shows it. Tests drive a real Chromium; `make bench NAME=page-axe` runs axe-core over every "
    "state, light and dark, left to right and right to left. A machine finds a part of the barriers only; so what it "
    "finds none of is not yet good.",
)
NOT_TRIED = (
    "Real screen readers: NVDA, JAWS, VoiceOver, TalkBack, a braille line. Tests read the accessibility tree and what "
    "the live regions are given, not what is spoken.",
    "Voice control, switches, eye tracking, screen magnifiers.",
    "Firefox, Safari, and phones in the hand: all tests run in Chromium on Linux.",
    "Whether the words are plain and kind, in ten languages: that takes readers of each, and by eye only the English "
    "ones were read for this report.",
    "People who use these things every day. Until some have waited in this line, this report is a claim and no proof. "
    "Where it is wrong, that is a fault; please report it.",
)
