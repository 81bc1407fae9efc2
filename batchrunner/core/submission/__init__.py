"""Decides whether a POST may be sent: the breaker, its gates, and the waiting tasks."""
