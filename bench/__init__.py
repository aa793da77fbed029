"""The benchmarks: each figure that Waitroom states, measured by one command.

``python -m bench NAME`` writes JSON lines to stdout and nothing else. Ours and the reference run in one go,
round after round, on the same core, so that a noisy machine hits both. Not here: tests (a figure is
reported, not asserted), the crowd itself (``gateway.crowd``).
"""
