"""Writes finished files atomically: part file, fsync, rename."""
