"""Challenges: a small check by which somebody shows that they are there, and so leaves the lane ``suspect``.

    port         the words: who is asked, by which way, what came of it (pure)
    price        how much work is asked for (pure)
    judging      whether a provider's reply counts (pure)
    spent        what was used once is used up
    work         the proof of work: ALTCHA's second format
    siteverify   the wire of all providers      boxed   hCaptcha's package, in a box
    provider     a provider behind a time limit and a breaker
    service      which way is open, what is issued, what an answer is worth

Who may climb, and where to, is not decided here: a challenge says *passed* or why not.
"""
