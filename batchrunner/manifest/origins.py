"""Tells where each task of a plan comes from, to report tasks that are equal."""

from __future__ import annotations

from bisect import bisect_right

from batchrunner.manifest.entries import Entry, Origin


class Origins:
    """The entries of a plan, each with the position of its first task: the rest follows from their order."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._starts: list[int] = []

    def begin(self, entry: Entry, position: int) -> None:
        """Note the entry of the task at this position; further calls for the same entry are ignored."""
        if not self._entries or self._entries[-1] is not entry:
            self._entries.append(entry)
            self._starts.append(position)

    def of(self, position: int) -> Origin:
        """The origin of the task at a position in the plan."""
        number = bisect_right(self._starts, position) - 1
        entry = self._entries[number]
        return Origin(entry, *entry.multiples.at(position - self._starts[number]))
