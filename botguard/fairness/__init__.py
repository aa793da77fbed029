"""Fairness: what the bot guard does to groups of people, each by itself, and what of that is no fair play."""
