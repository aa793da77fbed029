"""Fields: what each setting of a room and of a sale does, in words for docs/rooms.md.

Names, limits and defaults are read from the source (``reference``); a field without words here, and words without
a field, are faults.
"""

ROOM: dict[str, str] = {
    "name": "stands in addresses, cookies and keys; in TOML it is the table's name",
    "origin": "the site behind",
    "description": "the name that fans see",
    "host": "host that the room stands before; `*` is any",
    "path": "path that the room stands before, with all below it",
    "additional_routes": "further hosts and paths of the same room",
    "additional_routes.host": "as `host`",
    "additional_routes.path": "as `path`",
    "cookie_suffix": "added to the names of the room's cookies",
    "cookie_attributes": "how the room's cookies are marked",
    "cookie_attributes.samesite": "`auto` is lax, or, with TLS, none and Partitioned in a room that another site "
    "may frame (`frame_ancestors`)",
    "cookie_attributes.secure": "`auto` follows WAITROOM_SECURE_COOKIES",
    "total_active_users": "at most so many are inside at once",
    "new_users_per_minute": "at most so many are let in a minute",
    "session_duration": "minutes that an admission lasts; each visit prolongs it",
    "disable_session_renewal": "an admission ends after `session_duration`, whatever its holder does",
    "queueing_method": "`fifo`; `random`: a draw before each dated sale; `passthrough`: everybody passes; "
    "`reject`: nobody new does",
    "custom_page_html": "an own waiting page in Mustache, with Cloudflare's variables and our parts "
    "`{{{waitroom.attributes}}}`, `{{{waitroom.head}}}`, `{{{waitroom.main}}}`, `{{{waitroom.footer}}}`; one that "
    "lacks any part is refused",
    "queue_all": "nobody is called (Cloudflare's word for a pause)",
    "suspended": "the room is switched off: everybody passes, no line is kept",
    "queueing_status_code": "status of the waiting page at the site's own addresses",
    "json_response_enabled": "JSON clients get JSON while they wait, not a problem",
    "default_template_language": "language of the page for browsers that like none of those that it speaks",
    "enabled_origin_commands": "what the origin may say by `Cf-Waiting-Room-Command`",
    "max_waiting": 'who comes when so many wait sees "full"; null: no limit',
    "claim_window_s": "time to take a turn; later it is a recall",
    "claim_extensions": "how often a called fan may ask for as much time again, while it still runs",
    "recall_share": "part of the grants that goes to recalls while others wait too",
    "lane_shares": "how calls are shared between the lanes; together 1",
    "lane_shares.verified": "share of the lane verified",
    "lane_shares.standard": "share of the lane standard",
    "lane_shares.suspect": "share of the lane suspect: a floor, so that nobody waits for ever",
    "challenge": "the check by which a place leaves the lane suspect ([challenges](challenges.md))",
    "challenge.way": "`work`: the device works for some seconds; `hcaptcha`, `turnstile`, `recaptcha`: a provider's "
    "check, with WAITROOM_ settings of its own; `none`: there is no check",
    "challenge.asks": "`suspects`: who looks automatic; `everybody`: whoever joins begins in the lane suspect",
    "bot_guard": "what follows from what is known of whoever joins ([bots](bots-signals.md)): `off`: nothing is looked "
    "at; `watch`: it is counted, and changes nothing; `on`: lanes and limits follow from it",
    "bind": "what a place is bound to, besides its ticket ([binding](binding.md)): `browser`: a key that the browser "
    "makes and that does not leave it, where it can; `none`: who holds the ticket has the place",
    "bot_thresholds": "likelihoods of a program from which on something follows; they must not fall",
    "bot_thresholds.prove": "the device works in the background",
    "bot_thresholds.step_up": "a check that a person passes",
    "bot_thresholds.slow": "the lane suspect, until a check is passed",
    "paused": "nobody is called; everybody keeps their place",
    "bypass": "the gate lets everybody pass",
    "draining": "nobody joins and nobody more is called; whoever was called may still come in "
    "([steering](steering.md))",
    "message": "text on every waiting page; `canned:` and a situation is said in each page's own language "
    "([steering](steering.md))",
    "stock_state": "what is left, said on every waiting page: `selling`, `last`, `soldout` (nobody joins any more, "
    "who waits stays); null: nothing is said",
    "stock_left": "how many are left, said on every waiting page; null: no number",
    "moved_to": "the sale takes place there now: every waiting page says so and leads on; a path, or an https "
    "address whose host stands in `allowed_targets`; null: it takes place here",
    "failure_stance": "what newcomers meet while the store is away: the waiting page, or the site",
    "allowed_targets": "hosts, besides this one, that an admitted fan may go on to",
    "draw_lead_s": "a draw closes so long before the start",
    "drain_s": "after a sale's end the called may still claim for so long",
    "join_rate_per_minute": "joins from one address, in the long run",
    "join_burst": "joins from one address at once",
    "theme": "the page's look: `colours` and `dark` (#rrggbb by what they are for; a pair that people cannot read is "
    "refused), `logo` and `picture` (https or data:), `texts` by language and key",
    "frame_ancestors": "sites that may show the waiting page in a frame; empty: this one",
    "reminder_minutes": "fans may ask to be told by mail or push: so many minutes before their turn, and when it is "
    "there; null: nobody is asked",
    "identity": "who may join, and one place for each of them ([identity](identity.md)): `none`: anybody; `code`: "
    "who has a code that was made for the room; `mail`: who reads a number at a mail address; `oidc`: "
    "who logs in at a provider (WAITROOM_ROOM_OIDC_…)",
}

SALE: dict[str, str] = {
    "name": "stands in addresses of the API",
    "event_start_time": "the first people are called",
    "event_end_time": "nobody joins any more",
    "prequeue_start_time": "people gather from here on; null: nobody gathers",
    "description": "for operators",
    "shuffle_at_event_start": "a draw among all who gathered (with `fifo`)",
    "suspended": "the sale does not take place",
}
