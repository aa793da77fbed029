"""Bots in the crowd: what kinds there are, what they wear, what they do, and which share of the admissions they get."""
