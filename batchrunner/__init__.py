"""Runs batches of video generations from a manifest: resumable, never paid twice.

The Python API is what `__all__` names:

    loaded = load_manifest(Path("manifest.yaml"))
    summary = asyncio.run(run(Job(directory=..., plan=loaded.plan, limits=loaded.limits, ...)))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from batchrunner.version import __version__

if TYPE_CHECKING:
    from batchrunner.core.summary import Summary
    from batchrunner.engine.job import Job
    from batchrunner.engine.session import run
    from batchrunner.gateway import ApiKey, GatewaySettings
    from batchrunner.manifest import load_manifest

__all__ = ["ApiKey", "GatewaySettings", "Job", "Summary", "__version__", "load_manifest", "run"]

_HOMES = {
    "ApiKey": "batchrunner.gateway",
    "GatewaySettings": "batchrunner.gateway",
    "Job": "batchrunner.engine.job",
    "Summary": "batchrunner.core.summary",
    "load_manifest": "batchrunner.manifest",
    "run": "batchrunner.engine.session",
}


def __getattr__(name: str) -> Any:
    """Load a part of the API when it is first asked for, so that the command line starts fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
