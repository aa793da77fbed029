"""Kernel: plumbing that two or more packages use today. It knows no word of the domain."""
