"""From a YAML file to a plan; nothing else knows what a manifest looks like."""

from batchrunner.manifest.changeable import checked_limits
from batchrunner.manifest.limits_file import load_limits
from batchrunner.manifest.loader import LoadedManifest, load_manifest
from batchrunner.manifest.schema import schema_text

__all__ = [
    "LoadedManifest",
    "checked_limits",
    "load_limits",
    "load_manifest",
    "schema_text",
]
