"""The crowd: many real HTTP fans at once, and checks of what they saw.

An open-loop load: when a fan arrives is drawn up front (``traces``) and never waits for an answer, so a slow
room gets a longer line, as in life. What a fan does is its script (``scripts``), how it reads the room is the
page's law (``law``); everything it saw is kept (``observed``) and judged afterwards by pure rules (``checks``),
which need no insight into the room. Start with ``crowd.run_crowd``; the command is ``command``.
Not here: a simulated room. Every fan speaks HTTP with a running one.
"""
