"""Payments: what the shop asks of whoever moves the money (``port``), and those who can be asked."""
