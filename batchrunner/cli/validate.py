"""`batchrunner validate`, `plan` and `schema`: send nothing and create nothing."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli.connection import check_gateway
from batchrunner.cli.console import as_values, say, say_json, shown_path, talk
from batchrunner.cli.loading import add_manifest, load
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import add_place, check_place, whereabouts
from batchrunner.core.text import count, printable, shortened, span

if TYPE_CHECKING:
    from batchrunner.core.content import RequestForm
    from batchrunner.core.forecast import Forecast
    from batchrunner.core.model import Plan
    from batchrunner.operations.plan_changes import Change, Step

FEW, MANY = 3, 10
"""Slots that accounts commonly have, for which `plan` shows the time, too."""
MOST_LISTED = 50
"""How many tasks of each kind `plan` lists; `--json` lists all."""


def add_validate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `validate`."""
    add_manifest(parser)
    shared.add_json(parser)
    parser.set_defaults(run=validate)


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `plan`."""
    add_manifest(parser, checks=False)
    add_place(parser)
    shared.add_address(parser)
    parser.add_argument("--simulate", action="store_true", help="compare with the simulated run's directory")
    shared.add_json(parser)
    parser.set_defaults(run=plan)


def add_schema(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `schema`."""
    names = ("manifest", "task", "results", "scenario")
    parser.add_argument("name", nargs="?", default="manifest", choices=names)
    parser.set_defaults(run=schema)


def validate(options: argparse.Namespace) -> int:
    """Check a manifest and print how many tasks it has."""
    loaded = load(options)
    tasks = loaded.plan.tasks
    if options.json:
        say_json({"tasks": len(tasks), "warnings": as_values(loaded.warnings)})
    else:
        say(f"{printable(str(options.manifest))}: {count(len(tasks), 'task')}, no errors")
    return 0


def plan(options: argparse.Namespace) -> int:
    """Compare a manifest with the ledger of its run directory."""
    from batchrunner.core.forecast import forecast, usual_generation, wall_time  # noqa: PLC0415
    from batchrunner.operations.plan_changes import Change  # noqa: PLC0415

    loaded = load(options)
    where = whereabouts(options, loaded.plan)
    directory = where.directory
    check_place(directory, options.manifest)
    remarks = run_async(check_gateway(options, directory, loaded.plan.base_url))
    steps, times = run_async(_steps(loaded.plan, directory))
    counts, listed, forms = _sorted(steps, None if options.json else MOST_LISTED)
    needed = forecast(forms, loaded.limits, loaded.plan.pricing)
    generation = usual_generation(times, loaded.limits)
    slots = loaded.plan.settings.concurrency or FEW
    takes = {
        at_once: wall_time(needed.tasks, generation, at_once) for at_once in dict.fromkeys((slots, FEW, MANY))
    }
    for remark in (*where.remarks, *remarks):
        talk(remark)
    if options.json:
        values: dict[str, object] = {"directory": str(directory), "submitted": needed.tasks}
        values |= {"warnings": as_values(loaded.warnings), "forecast": _values(needed, takes)}
        values |= where.as_values()
        numbers = {change.value: counts[change] for change in Change}
        say_json(values | {"counts": numbers, "tasks": [step.values for step in listed]})
        return 0
    tasks = count(len(loaded.plan.tasks), "task")
    say(f"{tasks} in {printable(str(options.manifest))}; run directory {shown_path(directory)}")
    for change in Change:
        if counts[change]:
            say(f"{counts[change]:>8,}  {change.value}")
        if change in (Change.DONE, Change.UNDER_WAY):
            continue
        for step in (one for one in listed if one.change is change):
            say(f"            {shortened(step.id, 48)}  {printable(step.why)}  ({printable(step.source)})")
        if counts[change] > MOST_LISTED:
            say(f"            … and {counts[change] - MOST_LISTED:,} more (--json lists all)")
    say(f"a run would submit {count(needed.tasks, 'task')}")
    if needed.tasks:
        _say_forecast(needed, takes)
    return 0


def _say_forecast(needed: Forecast, takes: Mapping[int, float]) -> None:
    most = "at most " if needed.open else ""
    money = f" · {most}{needed.cost:,.2f} {needed.currency}"
    if needed.unpriced:
        money += f", without {', '.join(map(printable, needed.unpriced))} (no price)"
    say(f"tokens   {most}{needed.tokens:,}{money}")
    if needed.open:
        say(f"         upper bound: the model chooses {' and '.join(needed.open)}")
    times = [f"{span(seconds)} at concurrency {slots}" for slots, seconds in takes.items()]
    say(f"time     about {', '.join(times)}")
    disk = f"{needed.disk / 1e9:,.1f} GB" if needed.disk >= 1e9 else f"{needed.disk / 1e6:,.0f} MB"
    say(f"disk     up to {disk}")


def _values(needed: Forecast, takes: Mapping[int, float]) -> dict[str, object]:
    """The forecast as JSON values."""
    return {
        "tokens": needed.tokens,
        "cost": needed.cost,
        "currency": needed.currency,
        "models_without_price": needed.unpriced,
        "left_open": needed.open,
        "disk_bytes": needed.disk,
        "seconds": {str(slots): seconds for slots, seconds in takes.items()},
    }


def schema(options: argparse.Namespace) -> int:
    """Print a JSON Schema."""
    from batchrunner.manifest import schema_text  # noqa: PLC0415

    say(schema_text(options.name).rstrip())
    return 0


def _sorted(steps: Iterable[Step], most: int | None) -> tuple[Counter[Change], list[Step], list[RequestForm]]:
    """How many steps of each kind there are, the first `most` of each (None: all), and what is submitted."""
    from batchrunner.operations.plan_changes import SUBMITTED  # noqa: PLC0415

    counts: Counter[Change] = Counter()
    listed, forms = [], []
    for step in steps:
        counts[step.change] += 1
        if most is None or counts[step.change] <= most:
            listed.append(step)
        if step.change in SUBMITTED and step.form:
            forms.append(step.form)
    return counts, listed, forms


async def _steps(plan: Plan, directory: Path) -> tuple[Iterator[Step], list[float]]:
    """What a run would do, and how long earlier generations took."""
    from batchrunner.ledger import LEDGER_NAME, LedgerReader  # noqa: PLC0415
    from batchrunner.operations.plan_changes import compare, compared  # noqa: PLC0415

    if not (directory / LEDGER_NAME).exists():
        return compare(plan.tasks, {}, []), []
    async with LedgerReader.open_existing(directory) as ledger:
        await ledger.check_manifest(plan)
        return await compared(plan.tasks, ledger), await ledger.generation_times()
