"""Every moment at which a command can be killed, and every call that can fail: found by recording one run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.torture.tracing import Call

OURS, NETWORK = r"batch\.run", r"<TCP(v6)?:"
DURABLE = ("fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink", "unlinkat")
"""Steps that count once they are taken: killed before and after each."""
WRITING = ("pwrite64", "write", "ftruncate")
"""Killed before each of them: after one is before the next."""
SENDING = ("connect", "sendto", "sendmsg", "writev")
"""The last one sends what is put into a bucket."""
TARGETS = dict.fromkeys((*DURABLE, *WRITING), OURS) | dict.fromkeys(SENDING, NETWORK)
"""The calls that a kill is aimed at, and what their arguments must touch."""
FAILING = (*DURABLE, *WRITING, "openat")
ONLY_ONCE = ("write", "openat")
"""Calls that go to the terminal and to program files too: they don't fail from then on."""
MANY = ("pwrite64",)
"""Calls of which there are so many, and so alike, that each fails in one way only."""
ERRORS = ("EIO", "ENOSPC")
_WITHOUT_EFFECT = "ENOENT"


def kill_points(situation: str, calls: Sequence[Call]) -> list[str]:
    """The names of all cases that kill a command which makes these calls."""
    found: list[str] = []
    ranks: Counter[tuple[str, int]] = Counter()
    for call in _aimed_at(calls, TARGETS):
        ranks[call.name, call.number] += 1
        place = f"kill/{situation}/{call.name}/{call.number}.{ranks[call.name, call.number]}"
        found.append(f"{place}/before")
        if call.name not in WRITING:
            found.append(f"{place}/after")
    return found


def error_points(situation: str, calls: Sequence[Call]) -> list[str]:
    """The names of all cases in which one of these calls fails, with EIO or ENOSPC, once or from then on."""
    found: dict[str, None] = {}
    for call in _aimed_at(calls, dict.fromkeys(FAILING, OURS)):
        if call.name == "openat" and not re.search(r"O_CREAT|O_TMPFILE", call.text):
            continue
        ways = [
            (e, how) for e in ERRORS for how in ("once", "on") if how == "once" or call.name not in ONLY_ONCE
        ]
        if call.name in MANY:
            ways = [ways[call.number % len(ways)]]
        for error, how in ways:
            found[f"error/{situation}/{call.name}/{call.number}/{error}/{how}"] = None
    return list(found)


def _aimed_at(calls: Sequence[Call], targets: dict[str, str]) -> Iterator[Call]:
    for call in calls:
        target = targets.get(call.name)
        if target and re.search(target, call.text) and _WITHOUT_EFFECT not in call.text:
            yield call
