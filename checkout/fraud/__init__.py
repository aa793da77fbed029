"""Fraud: what speaks against a payment, and whether it is let through, looked at by a person, or refused."""
