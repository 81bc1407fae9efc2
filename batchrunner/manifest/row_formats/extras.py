"""Imports optional libraries, which are installed with an extra, when a rows file needs them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from batchrunner.manifest.source import TextFault


def library(name: str, ending: str) -> Any:
    """Import an optional module.

    Raises:
        TextFault: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        message = f"reading {ending} files needs {name.partition('.')[0]}, which is not installed"
        raise TextFault(message, "run `pip install 'batchrunner[tables]'`") from error
