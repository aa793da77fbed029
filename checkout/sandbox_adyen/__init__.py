"""Sandbox of the second shape: a provider that speaks Adyen's wire format and moves no money.

What is not Adyen's own (faults, deliveries, how a connection is broken off, the look of the bank's page) is the
sandbox's (``checkout.sandbox``). It is the other side of the wire: it imports nothing of the shop's payments or orders.
All that it knows is in its memory and gone with the process.
"""
