"""What `retry` says about tasks besides those that it makes pending."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from batchrunner.cli import totals
from batchrunner.cli.console import shown_path, talk
from batchrunner.core.text import command, count, printable, shortened

if TYPE_CHECKING:
    from batchrunner.core.forecast import Forecast
    from batchrunner.ledger import TaskRecord

MOST_NAMED = 5
"""How many tasks a line names."""
MOST_TYPED = 20
"""How many IDs an offered command has."""


def named(tasks: Sequence[TaskRecord], why: bool = False) -> str:
    """The IDs of tasks, each with `why` it is in its state if that is asked for: `ant, bee and 3 more`."""
    ids = []
    for task in tasks[:MOST_NAMED]:
        reason = task.error_message or task.error_code if why else ""
        ids.append(shortened(task.id, 40) + (f" ({shortened(reason, 60)})" if reason else ""))
    more = f" and {len(tasks) - MOST_NAMED:,} more" if len(tasks) > MOST_NAMED else ""
    return ", ".join(ids) + more


def pending_already(tasks: Sequence[TaskRecord]) -> str:
    """That nothing has to be done with tasks that wait to be submitted."""
    are = "is" if len(tasks) == 1 else "are"
    return f"{named(tasks, why=True)} {are} pending already"


def beside(
    tasks: Sequence[TaskRecord], already: Sequence[TaskRecord], own: Forecast, needed: Forecast
) -> Iterator[str]:
    """What else there is to know about tasks that were made pending.

    What they need of their `own`, that others were pending `already`, and what is `needed` for those that
    will be submitted, too, since they wait for them.
    """
    if own.tasks:
        yield f"  {totals.tokens_and_money(own, ' tokens')}"
    if tasks and already:
        yield pending_already(already)
    if needed.tasks:
        wait = "waits" if needed.tasks == 1 else "wait"
        others = f"{count(needed.tasks, 'task')} that {wait} for {'it' if len(tasks) == 1 else 'them'}"
        yield f"{others} will be submitted, too:"
        yield f"  {totals.tokens_and_money(needed, ' tokens')}"


def offer(options: argparse.Namespace, tasks: Sequence[TaskRecord], stay: Sequence[TaskRecord]) -> None:
    """Say which videos were made from those that are made again, and how to make them again, too."""
    if not stay or options.json:
        return
    was, them = ("was", "it") if len(stay) == 1 else ("were", "them")
    ids = [task.id for task in tasks] if len(tasks) <= MOST_TYPED else ["ID…"]
    again = command("retry", shown_path(options.directory), *ids, "--again", "--following")
    talk(f"kept as before: {named(stay)}, which {was} made from {'it' if len(tasks) == 1 else 'them'}")
    talk(f"  to make {them} again, too (and pay for {them}), before the next run: {printable(again)}")


def accepted(tasks: Sequence[TaskRecord]) -> str:
    """The tasks that the gateway accepted but never finished, with their last error code."""
    were = "was" if len(tasks) == 1 else "were"
    named = [f"{shortened(task.id, 40)} ({printable(task.error_code)})" for task in tasks[:MOST_NAMED]]
    more = f" and {len(tasks) - MOST_NAMED:,} more" if len(tasks) > MOST_NAMED else ""
    return f"{count(len(tasks), 'task')} {were} accepted and may be paid for: {', '.join(named)}{more}"


def free(options: argparse.Namespace) -> str:
    """What to do about them."""
    again = command("collect", shown_path(options.directory))
    return f"`{again}` checks again for free; to pay for them again, name them"
