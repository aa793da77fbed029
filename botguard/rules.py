"""Rules: bots so plain that no model is needed."""
