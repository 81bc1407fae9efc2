"""What `run` says before it spends money, and the question that it asks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from batchrunner.cli import totals
from batchrunner.cli.accounts import given_accounts, with_all_slots
from batchrunner.cli.connection import check_gateway
from batchrunner.cli.console import talk
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import has_ledger
from batchrunner.core.errors import UsageError
from batchrunner.core.text import count, printable

if TYPE_CHECKING:
    from batchrunner.cli.run_directory import Whereabouts
    from batchrunner.core.confirmation import Agreement
    from batchrunner.core.forecast import Forecast
    from batchrunner.core.model import Plan, PlannedTask, TaskKey
    from batchrunner.ledger import Experience, Prospect
    from batchrunner.manifest import LoadedManifest

_YES = frozenset({"y", "yes"})


class NotConfirmed(UsageError):
    """The run must be confirmed, and there is no terminal to ask on."""


def agreement(
    options: argparse.Namespace,
    loaded: LoadedManifest,
    planned: Plan,
    where: Whereabouts,
    selected: frozenset[TaskKey] | None,
) -> Agreement | None:
    """Show the totals of a run, and ask if that is necessary; None if the manifest wants nobody to be asked.

    `planned` is the plan of `loaded`, with the limits that were set by options.

    Raises:
        NotConfirmed: there is nobody to ask.
        UsageError: the user has declined, or the run directory belongs to another gateway or manifest.
    """
    from batchrunner.cli.outlook import outlook  # noqa: PLC0415
    from batchrunner.core.confirmation import Agreement, Consent  # noqa: PLC0415
    from batchrunner.core.forecast import GenerationTimes  # noqa: PLC0415

    shown, above = experience_of(loaded, where), planned.settings.confirm_above
    needed = _needed(loaded, where, selected, shown)
    if not needed.tasks and (options.simulate or above is None):
        return None
    known = prospect_of(loaded, where, needed)
    if known.is_current:
        run_async(_check_owner(options, loaded, where))
    changed, following = edited_although_paid(loaded, where, known, selected)
    edited = [task.id for task in changed]
    ahead = outlook(planned, needed, known, edited)
    if needed.tasks and not options.quiet:
        usual = GenerationTimes.measured(known.finished, loaded.limits)
        settings = with_all_slots(given_accounts(options), planned.settings)
        talk(totals.line(needed, totals.times(needed, usual, settings)))
        if edited:
            talk(totals.edited_although_paid(edited, following))
        for line in filter(None, (shown.overruns.in_words, *ahead.notes)):
            talk(line)
    if options.simulate or above is None:
        return None
    # Even if nothing is to be submitted yet: failed tasks and doubts may be, and are limited.
    if ahead.reasons and not options.yes:
        _ask(needed, (*ahead.reasons, *where.remarks), getattr(options, "may_ask", True))
    given = Consent.GIVEN if ahead.reasons else Consent.NOT_ASKED
    consent = Consent.ANY if options.yes else given
    return Agreement(needed, consent, above, known.newest_attempt, tuple(task.key for task in changed))


def _needed(
    loaded: LoadedManifest, where: Whereabouts, selected: frozenset[TaskKey] | None, shown: Experience
) -> Forecast:
    """What the tasks that would be submitted need."""
    from batchrunner.core.forecast import Estimates, forecast, longest_chain  # noqa: PLC0415
    from batchrunner.core.needs import with_lengths  # noqa: PLC0415

    plan, is_meant, needs = loaded.plan, where.submissions, loaded.plan.tasks.needs()
    if selected is None and not has_ledger(where.directory):
        needed = forecast(plan.tasks.counted(), Estimates(loaded.limits, plan.pricing))
        return replace(needed, longest=longest_chain(needs))
    in_chains: set[TaskKey] = set()

    def counts(position: int, key: TaskKey) -> bool:
        is_counted = is_meant(position, key) and (selected is None or key in selected)
        if is_counted and needs:
            in_chains.add(key)
        return is_counted

    requests = plan.tasks.counted(counts)
    if shown.lengths:
        requests = ((with_lengths(one, shown.lengths), times) for one, times in requests)
    needed = forecast(requests, Estimates(loaded.limits, plan.pricing, shown.overruns))
    return replace(needed, longest=longest_chain(needs, in_chains.__contains__))


def experience_of(loaded: LoadedManifest, where: Whereabouts) -> Experience:
    """What earlier runs have shown about what the tasks of a plan may cost."""
    from batchrunner.ledger import Experience, Unreadable, experience  # noqa: PLC0415

    if not has_ledger(where.directory):
        return Experience()
    try:
        return experience(where.directory, bool(loaded.plan.tasks.needs()))
    except Unreadable:  # the run will say so
        return Experience()


async def _check_owner(options: argparse.Namespace, loaded: LoadedManifest, where: Whereabouts) -> None:
    """Nobody should be asked about a run that will be refused."""
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415

    async with LedgerReader.open_existing(where.directory) as ledger:
        await ledger.check_manifest(loaded.plan)
    await check_gateway(options, where.directory, loaded.plan.base_url)


def prospect_of(loaded: LoadedManifest, where: Whereabouts, needed: Forecast) -> Prospect:
    """What the ledger says about the run; nothing if there is none, or it can't be read."""
    from batchrunner.ledger import Prospect, Unreadable, prospect  # noqa: PLC0415

    if not has_ledger(where.directory):
        return Prospect()
    own = where.submissions.keys
    planned = (own.get(position, key) for position, key in loaded.plan.tasks.keys())  # noqa: SIM118
    try:
        return prospect(where.directory, planned, needed.currency)
    except Unreadable:  # the run will say so; until then, nothing counts as confirmed
        return Prospect()


def edited_although_paid(
    loaded: LoadedManifest, where: Whereabouts, known: Prospect, selected: frozenset[TaskKey] | None
) -> tuple[list[PlannedTask], int]:
    """The tasks to submit that were edited although their old version is paid, with their final keys.

    And how many of them have changed only in what they need of others.
    """
    if not any(task.is_paid for task in known.left):
        return [], 0
    from batchrunner.operations.plan_changes import follows, formerly  # noqa: PLC0415

    former = formerly((task.id, task.source, task) for task in known.left)
    changed = [
        (task._replace(key=key), follows(task, before.request))
        for task in loaded.plan.tasks
        if (before := former(task))
        and before.is_paid
        and (key := where.submissions.key(task.position, task.key)) not in known.begun
        and (selected is None or task.key in selected)
    ]
    return [task for task, _ in changed], sum(follower for _, follower in changed)


def _ask(needed: Forecast, reasons: Sequence[str], may_ask: bool) -> None:
    """Ask on the terminal whether to go on; the Python API may not."""
    why = printable("; ".join(reasons))
    amount = "an unknown cost" if needed.unpriced else f"up to {totals.money(needed)}"
    what = f"{count(needed.tasks, 'task')} for {amount}"
    if not (may_ask and sys.stdin.isatty() and sys.stderr.isatty()):
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
        raise UsageError("not confirmed; nothing was submitted")
