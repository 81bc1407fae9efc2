"""Runs batches of video generations from a manifest: resumable, never paid twice."""

__version__ = "0.1.0"
