"""Halls: sections, rows and seats, where they stand, and how they are read from a plan and stored."""
