"""Bot guard: who is it, from what a request and a waiting page show; bots go to the back, nobody is thrown out.

``rhythm`` sums up how a page is handled, ``features`` names what is measured, ``model`` scores it, ``sketch`` knows
traces again. ``training`` makes models and needs the extra ``bots``; no server imports it.
"""
