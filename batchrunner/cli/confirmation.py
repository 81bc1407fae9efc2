"""What `run` says before it spends money, and the question that it asks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from batchrunner.cli import totals
from batchrunner.cli.connection import check_gateway
from batchrunner.cli.console import talk
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import has_ledger
from batchrunner.core.errors import BusyError, UsageError
from batchrunner.core.text import count, printable

if TYPE_CHECKING:
    from batchrunner.cli.run_directory import Whereabouts
    from batchrunner.core.confirmation import Agreement
    from batchrunner.core.forecast import Forecast
    from batchrunner.core.model import TaskKey
    from batchrunner.ledger import Prospect
    from batchrunner.manifest import LoadedManifest

_YES = frozenset({"y", "yes"})


class NotConfirmed(UsageError):
    """The run must be confirmed, and there is no terminal to ask on."""


def agreement(
    options: argparse.Namespace,
    loaded: LoadedManifest,
    where: Whereabouts,
    selected: frozenset[TaskKey] | None,
) -> Agreement | None:
    """Show the totals of a run, and ask if that is necessary; None if the manifest wants nobody to be asked.

    Raises:
        BusyError: another run is using the run directory, so this one can't begin.
        NotConfirmed: there is nobody to ask.
        UsageError: the user has declined, or the run directory belongs to another gateway or manifest.
    """
    from batchrunner.core.confirmation import Agreement, Consent, reasons_to_ask  # noqa: PLC0415
    from batchrunner.core.forecast import GenerationTimes, forecast  # noqa: PLC0415
    from batchrunner.ledger import is_locked  # noqa: PLC0415

    plan, is_meant = loaded.plan, where.submissions
    if selected is not None or has_ledger(where.directory):

        def counts(position: int, key: TaskKey) -> bool:
            return is_meant(position, key) and (selected is None or key in selected)

        requests = plan.tasks.counted(counts)
    else:
        requests = plan.tasks.counted()
    needed = forecast(requests, loaded.limits, plan.pricing)
    if not needed.tasks:
        return None
    known = _prospect(loaded, where, needed)
    if known.is_current:
        run_async(_check_owner(options, loaded, where))
    edited = _edited(loaded, where, known, selected)
    if not options.quiet:
        usual = GenerationTimes.measured(known.finished, loaded.limits)
        talk(totals.line(needed, totals.times(needed, usual, plan.settings)))
        if edited:
            talk(totals.edited_although_paid(edited))
    above = plan.settings.confirm_above
    if options.simulate or above is None:
        return None
    if reasons := reasons_to_ask(above, needed, edited, known.committed, known.confirmed):
        if is_locked(where.directory):
            raise BusyError(f"another batchrunner is using {where.directory}", "wait for it to finish")
        if not options.yes:
            _ask(needed, reasons)
    given = Consent.GIVEN if reasons else Consent.NOT_ASKED
    return Agreement(needed, Consent.ANY if options.yes else given, above, known.newest_attempt)


async def _check_owner(options: argparse.Namespace, loaded: LoadedManifest, where: Whereabouts) -> None:
    """Nobody should be asked about a run that will be refused."""
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415

    async with LedgerReader.open_existing(where.directory) as ledger:
        await ledger.check_manifest(loaded.plan)
    await check_gateway(options, where.directory, loaded.plan.base_url)


def _prospect(loaded: LoadedManifest, where: Whereabouts, needed: Forecast) -> Prospect:
    from batchrunner.ledger import Prospect, Unreadable, prospect  # noqa: PLC0415

    if not has_ledger(where.directory):
        return Prospect()
    own = where.submissions.keys
    planned = (own.get(position, key) for position, key in loaded.plan.tasks.keys())  # noqa: SIM118
    try:
        return prospect(where.directory, planned, needed.currency)
    except Unreadable:  # the run will say so; until then, nothing counts as confirmed
        return Prospect()


def _edited(
    loaded: LoadedManifest, where: Whereabouts, known: Prospect, selected: frozenset[TaskKey] | None
) -> list[str]:
    """The IDs of the tasks to submit that were edited although their old version is paid."""
    if not any(task.is_paid for task in known.left):
        return []
    from batchrunner.operations.plan_changes import formerly  # noqa: PLC0415

    former = formerly((task.id, task.source, task) for task in known.left)
    return [
        task.id
        for task in loaded.plan.tasks
        if (before := former(task))
        and before.is_paid
        and where.submissions.key(task.position, task.key) not in known.known
        and (selected is None or task.key in selected)
    ]


def _ask(needed: Forecast, reasons: Sequence[str]) -> None:
    """Ask on the terminal whether to go on."""
    why = printable("; ".join(reasons))
    amount = "an unknown cost" if needed.unpriced else f"up to {totals.money(needed)}"
    what = f"{count(needed.tasks, 'task')} for {amount}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NotConfirmed(
            f"submitting {what} must be confirmed: {why}",
            "run it in a terminal, or add --yes to confirm; `batchrunner plan` shows the details",
        )
    talk(f"to confirm: {why}")
    print(f"Submit {what}? [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    try:
        answer = sys.stdin.readline()
    except (OSError, UnicodeDecodeError):  # the terminal is gone
        answer = ""
    if answer.strip().lower() not in _YES:
        raise UsageError(
            "not confirmed; nothing was submitted", "`batchrunner collect DIR` downloads paid videos"
        )
