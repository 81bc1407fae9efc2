"""The library for object storage, which is an extra."""

from __future__ import annotations

from importlib.util import find_spec

from batchrunner.core.errors import UsageError


def check_library() -> None:
    """Check that it is installed, without the time that importing it takes.

    Raises:
        UsageError: it isn't.
    """
    if find_spec("obstore") is None:
        raise UsageError(
            "using a bucket needs obstore, which is not installed",
            "run `pip install 'batchrunner[s3]'`",
        )
