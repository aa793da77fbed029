"""Checkout: the shop behind the door: events, halls, holds, reservations and a waitlist. It charges nobody yet."""
