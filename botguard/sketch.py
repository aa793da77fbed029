"""Sketch: a few numbers by which a trace is known again."""
