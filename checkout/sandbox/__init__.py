"""Sandbox: a payment provider of our own that speaks Stripe's wire format, for demos, tests and drills.

Stripe's own package runs against it unchanged. It moves no money, knows no card numbers, and does on demand what a real
provider does at the worst moment (``faults``). It is the other side of the wire: nothing of the shop is imported here,
and the shop imports nothing of it.
"""
