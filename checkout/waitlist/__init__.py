"""Waitlist: who waits for seats that come back, and the offers made to them."""
