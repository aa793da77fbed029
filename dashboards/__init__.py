"""Dashboards: what operators see and steer with: the API, the control page, health and metrics."""
