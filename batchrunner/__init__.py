"""Runs batches of video generations from a manifest: resumable, never paid twice.

The Python API is what `__all__` names:

    summary = await run("cats.yaml", simulate=True)
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from batchrunner.version import __version__

if TYPE_CHECKING:
    from batchrunner.api import load_manifest, run
    from batchrunner.api.account_key import AccountKey
    from batchrunner.cli.confirmation import NotConfirmed
    from batchrunner.core.errors import (
        AccountError,
        BatchrunnerError,
        BusyError,
        ManifestError,
        ShutdownError,
        StorageError,
        UsageError,
    )
    from batchrunner.output.summary import Summary

__all__ = [
    "AccountError",
    "AccountKey",
    "BatchrunnerError",
    "BusyError",
    "ManifestError",
    "NotConfirmed",
    "ShutdownError",
    "StorageError",
    "Summary",
    "UsageError",
    "__version__",
    "load_manifest",
    "run",
]

if sys.platform == "win32":
    _WHY = "batchrunner runs on Linux and macOS; on Windows, install it in WSL, which is a Linux"
    if sys.argv[0].endswith(("batchrunner", "batchrunner.exe", "-m")):
        sys.exit(_WHY)  # the command ends with one line
    raise ImportError(_WHY)

_ERRORS = "batchrunner.core.errors"
_HOMES = {
    "AccountError": _ERRORS,
    "AccountKey": "batchrunner.api.account_key",
    "BatchrunnerError": _ERRORS,
    "BusyError": _ERRORS,
    "ManifestError": _ERRORS,
    "NotConfirmed": "batchrunner.cli.confirmation",
    "ShutdownError": _ERRORS,
    "StorageError": _ERRORS,
    "Summary": "batchrunner.output.summary",
    "UsageError": _ERRORS,
    "load_manifest": "batchrunner.api",
    "run": "batchrunner.api",
}


def __getattr__(name: str) -> Any:
    """Load a part of the API when it is first asked for, so that the command line starts fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except RuntimeError as error:
        from batchrunner.core.errors import ShutdownError, is_shutdown  # noqa: PLC0415  a rare case

        if is_shutdown(error):
            raise ShutdownError from None
        raise


def __dir__() -> list[str]:
    """All names of the API, those not loaded yet included: notebooks complete them."""
    return sorted({*globals(), *__all__})
