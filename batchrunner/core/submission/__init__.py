"""Whether a POST may leave now: the breaker, its gates, and the tasks that wait."""
