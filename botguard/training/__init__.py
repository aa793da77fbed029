"""Training: models from traces, and what they are worth on people and bots that they never saw.

Needs the extra ``bots`` (scikit-learn, numpy); nothing that serves imports it.
"""
