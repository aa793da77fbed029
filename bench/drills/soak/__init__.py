"""The soak: a shop that takes money sells for minutes while everything about it is killed, stopped and lied to.

``python -m bench.drills.soak --minutes 10 --seed 7`` (``make soak MINUTES=10 SEED=7``) runs the shop as real processes
(``stage``), sends it buyers over HTTP (``buyers``), has misfortunes drawn from the seed happen to it (``wrecking``),
lets it come to rest, and puts every invariant to SQL, the store, the provider's ledger, what buyers were told, and the
log (``judging``). The seed is printed first; one JSON line at the end says what was found.
"""
