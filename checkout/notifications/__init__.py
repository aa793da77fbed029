"""Notifications: what people are told by mail, push or webhook: outbox, relay, and a channel for each way."""
