"""`batchrunner plan`: shows what a run would do, why, and what it may cost; sends and creates nothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli import totals
from batchrunner.cli.accounts import at_highest_price, given_accounts, in_words, with_all_slots
from batchrunner.cli.confirmation import edited_although_paid, experience_of, prospect_of
from batchrunner.cli.connection import check_gateway
from batchrunner.cli.console import as_values, say, say_json, shown_path, talk
from batchrunner.cli.loading import add_manifest, load
from batchrunner.cli.nights import choose_night
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import add_place, check_place, whereabouts
from batchrunner.core.selection import select
from batchrunner.core.text import command, count, printable, shortened

if TYPE_CHECKING:
    from batchrunner.core.budget import WorstCase
    from batchrunner.core.forecast import Estimates
    from batchrunner.core.kinds import Kind
    from batchrunner.core.model import Plan, TaskKey
    from batchrunner.operations.plan_changes import Change, Step
    from batchrunner.operations.plan_groups import Group, TaskCosts

MOST_REASONS = 5
"""How many reasons of a group the text shows; `--json` has all."""


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `plan`."""
    add_manifest(parser, checks=False)
    add_place(parser)
    shared.add_address(parser)
    shared.add_accounts(parser, "forecast for several accounts, named in FILE; their keys are not read")
    parser.add_argument("--simulate", action="store_true", help="compare with the simulated run's directory")
    shared.add_selection(parser)
    parser.add_argument("--tasks", action="store_true", help="list the tasks one by one")
    shared.add_json(parser)
    parser.set_defaults(run=plan)


def plan(options: argparse.Namespace) -> int:
    """Compare a manifest with the ledger of its run directory."""
    from batchrunner.cli.outlook import outlook  # noqa: PLC0415
    from batchrunner.core.forecast import Estimates, GenerationTimes, forecast, longest_chain  # noqa: PLC0415
    from batchrunner.operations.plan_changes import (  # noqa: PLC0415
        SUBMITTED,
        WAITS_FOR_USER,
        ids_of_needs,
        with_known_lengths,
    )
    from batchrunner.operations.plan_groups import TaskCosts, grouped  # noqa: PLC0415

    loaded, accounts = load(options), given_accounts(options, keyless=True)
    loaded = replace(loaded, plan=at_highest_price(loaded.plan, accounts))
    choose_night(options, loaded.plan)
    selected = select(loaded.plan.tasks, options.only, options.limit)
    where = whereabouts(options, loaded.plan, selected)
    check_place(where.directory, options.manifest)
    remarks = run_async(check_gateway(options, where.directory, loaded.plan.base_url))
    steps, finished = run_async(_steps(options, loaded.plan, where.directory))
    shown = experience_of(loaded, where)
    estimates = Estimates(loaded.limits, loaded.plan.pricing, shown.overruns)
    if shown.lengths:
        steps = with_known_lengths(steps, shown.lengths)
    needs = loaded.plan.tasks.needs()
    listed = list(steps) if options.json or needs else []
    groups = grouped(listed or steps, keep=options.tasks)
    submitted = {step.key for step in listed if step.change in SUBMITTED} if needs else set()
    requests = (one for group in groups.values() for one in group.submitted())
    needed = forecast(requests, estimates)
    needed = replace(needed, longest=longest_chain(needs, submitted.__contains__))
    settings = with_all_slots(accounts, loaded.plan.settings)
    takes = totals.times(needed, GenerationTimes.measured(finished, loaded.limits), settings)
    known = prospect_of(loaded, where, needed)
    changed, _ = edited_although_paid(loaded, where, known, selected)
    ahead = outlook(loaded.plan, needed, known, [task.id for task in changed])
    costs = TaskCosts(estimates)
    after = ids_of_needs(loaded.plan.tasks, needs) if options.json or options.tasks else {}
    for remark in filter(None, (*where.remarks, *remarks, shown.overruns.in_words)):
        talk(remark)
    if options.json:
        say_json(
            {
                "directory": str(where.directory),
                "submitted": needed.tasks,
                "warnings": as_values(loaded.warnings),
                "forecast": totals.values(needed, takes),
                "confirm": list(ahead.reasons),
                "limited_by": list(ahead.notes),
                **where.as_values(),
                "accounts": [one.as_values() for one in accounts],
                "counts": {change.value: group.tasks for change, group in groups.items()},
                "groups": [one.values(estimates) for one in groups.values()],
                "tasks": [
                    step.values | {"needs": after.get(step.key, [])} | _cost_values(costs.of(step))
                    for step in listed
                ],
            }
        )
        return 0
    tasks = count(len(loaded.plan.tasks), "task")
    part = f", {len(selected):,} selected" if selected is not None else ""
    say(f"{tasks} in {printable(str(options.manifest))}{part}; run directory {shown_path(where.directory)}")
    _say_groups(groups, estimates, costs, after)
    say(f"a run would submit {count(needed.tasks, 'task')}")
    for line in totals.lines(needed, takes, ahead) if needed.tasks else ():
        say(line)
    if accounts:
        say(f"accounts {in_words(accounts)}")
    if any(groups[change].tasks for change in WAITS_FOR_USER):
        say(f"next     {command('status', shown_path(where.directory))}   says what to do about the others")
    return 0


def _cost_values(most: WorstCase | None) -> dict[str, object]:
    """What a task can be charged at most; empty if it is not submitted."""
    return {} if most is None else {"tokens": most.tokens, "cost": most.cost, "currency": most.currency}


def _say_groups(
    groups: Mapping[Change, Group],
    estimates: Estimates,
    costs: TaskCosts,
    after: Mapping[str, Sequence[str]],
) -> None:
    from batchrunner.operations.plan_changes import Change  # noqa: PLC0415

    for change, group in groups.items():
        if not group.tasks:
            continue
        reasons = _shown_reasons(group)
        needed = group.forecast(estimates)
        money = f" · {totals.tokens_and_money(needed, ' tokens')}" if needed.tasks else ""
        kept = "; the old videos are kept" if change is Change.CHANGED else ""
        say(f"{group.tasks:>8,}  {change.value}{f': {reasons}' if reasons else ''}{kept}{money}")
        if group.edited:
            say(f"          {totals.edited_although_paid(group.edited, group.following)}")
        for step in group.steps:
            most = costs.of(step)
            money = "" if most is None or most.cost is None else f"  {most.cost:,.2f} {most.currency}"
            needs = f"  after {shortened(', '.join(after[step.key]), 80)}" if step.key in after else ""
            why = f"{printable(step.why)}  ({printable(step.source)}){needs}"
            say(f"            {shortened(step.id, 48)}  {why}{money}")


def _shown_reasons(group: Group) -> str:
    most = [f"{printable(why)} ×{number:,}" for why, number in group.reasons.most_common(MOST_REASONS)]
    more = len(group.reasons) - MOST_REASONS
    return ", ".join([*most, *([f"{count(more, 'more reason')} (--json)"] if more > 0 else [])])


async def _steps(
    options: argparse.Namespace, plan: Plan, directory: Path
) -> tuple[Iterator[Step], list[tuple[Kind, float]]]:
    """What a run would do, and how long earlier generations took."""
    from batchrunner.ledger import LEDGER_NAME, LedgerReader  # noqa: PLC0415
    from batchrunner.operations.plan_changes import (  # noqa: PLC0415
        blocked_tasks,
        compare,
        compared,
        recognise,
    )

    if not (directory / LEDGER_NAME).exists():
        selected = select(plan.tasks, options.only, options.limit)
        waiting = blocked_tasks(plan.tasks, {}, selected)
        return _selected(selected, compare(plan.tasks, {}, [], waiting=waiting)), []
    async with LedgerReader.open_existing(directory) as ledger:
        await ledger.check_manifest(plan)
        # Select as a run does: once the tasks have the keys that they have in the ledger.
        await recognise(plan.tasks, ledger)
        selected = select(plan.tasks, options.only, options.limit)
        steps = await compared(plan.tasks, ledger, selected)
        return _selected(selected, steps), await ledger.generation_times()


def _selected(selected: frozenset[TaskKey] | None, steps: Iterator[Step]) -> Iterator[Step]:
    """The steps of selected tasks, and of all others that don't depend on the selection."""
    from batchrunner.operations.plan_changes import Change  # noqa: PLC0415

    always = (Change.UNDER_WAY, Change.REMOVED)
    return (one for one in steps if selected is None or one.key in selected or one.change in always)
