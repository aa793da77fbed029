"""Stock: what is left, told to whoever keeps the line."""
