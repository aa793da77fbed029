"""Dashboards: what operators see and steer with: the API, the console, health and metrics."""
