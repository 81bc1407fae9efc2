"""Resolves submissions in doubt with the gateway's usage log."""
