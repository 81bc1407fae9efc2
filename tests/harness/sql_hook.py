"""Lets a test see, change, hold or fail the statements that the ledger executes."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

Hook = Callable[[sqlite3.Connection, str], str]
"""Called in the connection's thread before each statement; what it returns is executed instead."""


class HookedConnection(sqlite3.Connection):
    """A connection whose statements pass a hook."""

    hook: Hook = staticmethod(lambda _, sql: sql)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return super().execute(type(self).hook(self, sql), *values)


def hook_statements(monkeypatch: pytest.MonkeyPatch, hook: Hook) -> None:
    """Let every statement pass `hook`, of hooked connections and of those that are opened from now on."""
    monkeypatch.setattr(HookedConnection, "hook", staticmethod(hook))
    hook_connections(monkeypatch)


def hook_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections that are opened from now on pass whatever hook is set later."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **o: connect(*a, **{"factory": HookedConnection, **o}))
