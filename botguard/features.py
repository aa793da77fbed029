"""Features: what of a rhythm is measured, by name, in one order, under one version."""
