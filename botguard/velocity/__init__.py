"""Velocity: how often the same address, network, browser or identity acts, under names that nobody can trace back."""
