"""Fetches videos on a Ray cluster, in a process of its own, without the key."""
