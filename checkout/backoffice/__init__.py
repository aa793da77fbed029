"""Back office: the pages on which the organiser's people work, below ``/staff/office``, for whoever is logged in.

A page is a client of the organiser's API (``checkout.organiser``), within the process: it asks what a program would
ask, as the person who looks at it, and shows what it was told. So rights, second factors, what may be handed in, what
is refused and what stands in the log are the API's, and there is no second set of rules (ADR-0029).

**How to add a page**

1. Write a handler: ``async def prices(visit: Visit) -> Response``. ``await visit.ask("GET", "/events/{event}")`` gives
   the API's answer (``told.plain``, ``told.etag``); names in braces come from the page's own address, or from
   ``names=``. ``await visit.show("prices.html", known=…)`` answers with a template of ``pages/``.
2. Write down what it stands at, and what it asks, in its module's ``PAGES``: ``Page("GET", "/events/{event}/prices",
   prices, (("GET", "/events/{event}"),))``. Whoever may not ask that is not shown the page (``organiser.rights``).
   Add the module to ``office.PAGES``.
3. A form is a ``Page("POST", …, again=prices)``: it carries ``{{ form.begin() }}`` (the session's paper and a request
   key), and its handler ends with ``return visit.to("/events/…", said="prices-set")``. What the API refuses is told
   on the page ``again``, with what was typed (``typed("amount")`` in the template); a key that was answered is not
   acted on again. Where the API wants a second factor, put ``{{ form.proof("code") }}`` into the form and hand
   ``code=visit.field("code")`` to ``ask``.
4. Words go into ``languages/{half}/en.json`` and ``de.json``: the page's own, ``said.{word}`` for what was done,
   ``problem.{code}`` for what may be refused. A line for the navigation goes into ``navigation.ENTRIES``.
5. ``tests/gateway/test_route_sweep.py`` has a line for each page: which roles see it.
"""
