"""Event log: what has become of every sale, only ever added to, chained, and sealed in blocks."""
