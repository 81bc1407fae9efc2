"""Tells the story of one task: its attempts and events."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from batchrunner.cli.console import say, say_json, with_iso_times
from batchrunner.core.errors import UsageError
from batchrunner.core.redaction import redacted_values
from batchrunner.core.states import TaskState
from batchrunner.core.text import count, moment, printable, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from batchrunner.ledger import LedgerReader, TaskEvent, TaskRecord
    from batchrunner.ledger.history import LinkedTask


MOST_NAMED = 20
"""How many tasks a line names."""


async def tell_story(ledger: LedgerReader, name: str, as_json: bool) -> int:
    """Print the history of the task that `name` names, and of its former versions with the same ID.

    Raises:
        UsageError: it names none, or several.
    """
    from batchrunner.ledger.history import neighbours  # noqa: PLC0415  for speed
    from batchrunner.operations.overrides import which_of  # noqa: PLC0415

    found = await ledger.find(name)
    if not found:
        raise UsageError(f"no such task: {name}", "use the start of an ID, a fingerprint or a remote ID")
    if len({task.id for task in found}) > 1:
        raise UsageError(f"{name} matches {count(len(found), 'task')}", which_of(found))
    stories: list[object] = []
    for task in found:
        events, attempts = await ledger.events(task.key), await ledger.attempts(task.key)
        needs, needed_by = await ledger.ask_history(partial(neighbours, key=task.key))
        if as_json:
            events_values = [asdict(event) for event in events]
            story = {**task._asdict(), "events": events_values, "all_attempts": list(map(dict, attempts))}
            for label, tasks in (("needs", needs), ("needed_by", needed_by)):
                story[label] = [one._asdict() for one in tasks]
            stories.append(with_iso_times(_unpacked(story)))
        else:
            _tell(task, events, attempts, {"needs  ": needs, "needed by": needed_by})
    if as_json:
        say_json(redacted_values(stories[0] if len(stories) == 1 else stories))
    return 0


def _unpacked(value: object) -> object:
    """The value with `candidates`, which the ledger keeps as JSON text, as values."""
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: json.loads(item or "[]") if name == "candidates" else _unpacked(item)
        for name, item in value.items()
    }


def why(task: TaskRecord) -> str:
    """A task's error in one line; empty if it has none."""
    return shortened(" ".join(filter(None, (task.error_code, task.error_message))), 100)


def _named(task: LinkedTask) -> str:
    gone = "" if task.in_manifest else ", no longer in the manifest"
    return f"{shortened(task.id, 40)} ({task.state.replace('_', ' ')}{gone})"


def _tell(
    task: TaskRecord,
    events: list[TaskEvent],
    attempts: Sequence[Mapping[str, Any]],
    neighbours: Mapping[str, Sequence[LinkedTask]],
) -> None:
    gone = " (no longer in the manifest)" if task.position is None else ""
    say(f"{printable(task.id)}: {task.state.replace('_', ' ')}{gone}  {why(task)}".rstrip())
    say(f"  from {printable(task.source)}; fingerprint {task.key}")
    say(f"  prompt  {shortened(str(task.request.get('prompt', '')), 100)}")
    say(f"  file    {printable(task.file_name)}" + ("" if task.state is TaskState.DONE else " (not yet)"))
    for label, tasks in neighbours.items():
        if tasks:
            more = f" and {len(tasks) - MOST_NAMED:,} more" if len(tasks) > MOST_NAMED else ""
            say(f"  {label} {', '.join(map(_named, tasks[:MOST_NAMED]))}{more}")
    for warning in task.warnings:
        say(f"  warning {printable(warning)}")
    for attempt in attempts:
        account = f"account {attempt['account']}, " if attempt["account"] else ""
        say(
            f"  attempt {attempt['number']}: {attempt['outcome'] or 'no outcome yet'}, {account}"
            f"seed {attempt['seed']}, remote ID {printable(attempt['remote_id'] or '—')}, "
            f"request ID {printable(attempt['request_id'] or '—')}, tokens {attempt['tokens'] or '—'}"
        )
    for event in events:
        what = shortened(" ".join(filter(None, (event.code, event.message))), 100)
        step = f"{event.event:<17} {event.from_state} → {event.to_state}"
        say(f"  {moment(event.at)}  {step}  {what}".rstrip())
