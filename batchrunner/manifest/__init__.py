"""Turns a YAML manifest into a plan; no other package knows the manifest format."""

from batchrunner.manifest.changeable import checked_limits
from batchrunner.manifest.limits_file import load_limits
from batchrunner.manifest.loader import LoadedManifest, load_manifest
from batchrunner.manifest.opening_hours import hours_of, night_of
from batchrunner.manifest.schema import schema_text

__all__ = [
    "LoadedManifest",
    "checked_limits",
    "hours_of",
    "load_limits",
    "load_manifest",
    "night_of",
    "schema_text",
]
