"""One module for each figure; ``measure(bench)`` yields its lines."""
