"""Libraries that only some rows files need: installed with an extra, imported when such a file is read."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from batchrunner.manifest.source import TextFault


def library(name: str, ending: str) -> Any:
    """A library's module.

    Raises:
        TextFault: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        message = f"reading {ending} files needs {name.partition('.')[0]}, which is not installed"
        raise TextFault(message, "run `pip install 'batchrunner[tables]'`") from error
