"""Prints a run's summary: counts, files, errors, and the next commands to run."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from batchrunner.cli.arguments import DEFAULT_BASE_URL, URL_VARIABLE
from batchrunner.cli.console import say, shown_path
from batchrunner.core.file_names import RESULTS_NAME, VIDEOS
from batchrunner.core.identity import SIMULATOR
from batchrunner.core.links import LINK_EXPIRED
from batchrunner.core.states import TaskState
from batchrunner.core.summary import Spent
from batchrunner.core.text import command, count, printable, shortened, span
from batchrunner.ledger import LedgerReader, TaskRecord
from batchrunner.output.summary import Summary

MOST_NAMED, MOST_REASONS = 5, 3

WANTING = (TaskState.FAILED, TaskState.IN_DOUBT, TaskState.UNCOLLECTED)
"""States that need the user's attention."""


async def wanting_attention(directory: Path) -> list[TaskRecord]:
    """The tasks of a run directory that need attention; see `wanting_in`."""
    async with LedgerReader.open_existing(directory) as ledger:
        return await wanting_in(ledger)


async def wanting_in(ledger: LedgerReader) -> list[TaskRecord]:
    """The planned tasks that need attention, and all tasks in doubt: they may have been charged."""
    found = await ledger.tasks(*WANTING)
    return [task for task in found if task.position is not None or task.state is TaskState.IN_DOUBT]


_NOTIFY = "--notify"


def same_command(options: argparse.Namespace, *more: str) -> str:
    """The command that was typed, with `more` options, as it can be typed again.

    Without `--notify`, whose address may hold a secret.
    """
    typed: list[str] = []
    for word in options.typed:
        if typed and typed[-1] == _NOTIFY:
            typed.pop()
        elif not word.startswith(f"{_NOTIFY}="):
            typed.append(word)
    return printable(command(*typed, *more))


def resuming_command(options: argparse.Namespace) -> str:
    """The same for a run directory that exists by now: without `--new`, which makes one."""
    typed = [word for word in options.typed if word != "--new"]
    return same_command(argparse.Namespace(typed=typed))


def run_command(directory: Path, manifest: Path | None, gateway: str) -> str:
    """The shell command that resumes a run directory, which is bound to this gateway.

    `manifest` is the user's argument: if that is the run directory itself, the manifest next to it is
    used, or the placeholder MANIFEST.
    """
    if manifest is None or manifest.is_dir():
        beside = (directory.with_suffix(ending) for ending in (".yaml", ".yml", ".json"))
        manifest = next((path for path in beside if path.is_file()), None)
    named = shlex.quote(shown_path(manifest)) if manifest else "MANIFEST"
    place = shlex.quote(shown_path(directory))
    return f"batchrunner run {printable(named)} -o {place}{_way_to(gateway, manifest)}"


def _way_to(gateway: str, manifest: Path | None) -> str:
    """The option without which a run would go to another gateway; empty if it finds this one by itself."""
    if gateway == SIMULATOR:
        return " --simulate"
    if gateway == DEFAULT_BASE_URL or os.environ.get(URL_VARIABLE):
        return ""
    with suppress(OSError, ValueError):
        if manifest and gateway in manifest.read_text(encoding="utf-8"):
            return ""
    return f" --base-url {shlex.quote(printable(gateway))}"


def after_collecting(
    options: argparse.Namespace, directory: Path, manifest: Path | None, gateway: str, summary: Summary
) -> str:
    """The next command after `collect`, which never submits pending tasks."""
    if pending := summary.counts[TaskState.PENDING]:
        them = "it" if pending == 1 else "them"
        run = run_command(directory, manifest, gateway)
        return f"{run}   to submit and pay for {count(pending, 'pending task')}; collect skips {them}"
    return f"{same_command(options)}   to resume"


def show_summary(
    directory: Path, summary: Summary, seconds: float, wanting: list[TaskRecord], again: str
) -> None:
    """Print the summary of a run that took `seconds` real seconds; `again` says how to resume it."""
    total, done = sum(summary.counts.values()), summary.counts[TaskState.DONE]
    how = "nothing to do: " if summary.idle else ""
    say(f"{how}{done:,} of {count(total, 'task')} done" + ("" if summary.idle else f" in {span(seconds)}"))
    for state in TaskState:
        if state is not TaskState.DONE and summary.counts[state]:
            say(f"  {summary.counts[state]:,} {state.replace('_', ' ')}{_why(state, wanting)}")
            if state is TaskState.PENDING and summary.blocked:
                say(f"    {cannot_go_on(summary)}")
    for line in by_account(summary):
        say(line)
    if others := [task for task in wanting if task.position is None]:
        more = ", …" if len(others) > 1 else ""
        say(f"  {len(others):,} in doubt, no longer in the manifest: {shortened(others[0].id, 40)}{more}")
    if summary.signal:
        say(f"  stopped by {signal.Signals(summary.signal).name}")
    if summary.stop:
        say(f"  stopped: {printable(summary.stop.why)}")
        say(f"    hint: {printable(summary.stop.hint)}")
    if summary.storage:
        say(f"  {'storage' if summary.videos_url else 'disk'}: {printable(summary.storage)}")
    if summary.missing:
        say(f"  {count(summary.missing, 'missing video')} could not be downloaded again; see results.csv")
    if summary.spent != Spent():
        say(f"spent    {spent_in_words(summary.spent)} in all runs{estimate_in_words(summary.spent)}")
    for price in (price for price in summary.prices if price.differs):
        is_own = price.model in summary.own_prices
        expected = f"{'the manifest says' if is_own else 'the list price is'} {price.expected:,.2f}"
        say(
            f"price    the gateway charges {price.charged:,.2f} USD per million tokens of "
            f"{printable(price.what)}; {expected}: correct it with `pricing` in the manifest"
        )
    bucket = f"{summary.videos_url}/{VIDEOS}" if summary.videos_url else ""
    say(f"videos   {bucket or shown_path(directory / VIDEOS)}")
    say(f"results  {shown_path(directory / RESULTS_NAME)}")
    for line in what_next(directory, summary, wanting, again):
        say(line)


def cannot_go_on(summary: Summary) -> str:
    """How many tasks wait for the user, and for what, the most frequent reasons first."""
    most = sorted(summary.blocked.items(), key=lambda one: -one[1])
    reasons = [shortened(why, 80) + (f" ({number:,} tasks)" if number > 1 else "") for why, number in most]
    more = f", and {len(most) - MOST_REASONS:,} more" if len(most) > MOST_REASONS else ""
    return f"{summary.blocked_tasks:,} of them can't go on: {', '.join(reasons[:MOST_REASONS])}{more}"


def spent_in_words(spent: Spent) -> str:
    """Tokens, cost, and how many attempts have an unknown cost."""
    text = _amounts(spent.tokens, spent.cost)
    if spent.unpriced:
        text += f", and {count(spent.unpriced, 'attempt')} without a price"
    return f"{text}, and {count(spent.unknown, 'attempt')} of unknown cost" if spent.unknown else text


def _amounts(tokens: int, cost: Mapping[str, float]) -> str:
    money = (f"{amount:,.2f} {currency}" for currency, amount in cost.items())
    return " · ".join((count(tokens, "token"), *money))


def estimate_in_words(spent: Spent) -> str:
    """What had been estimated for the same attempts; empty as long as either is not known for all of them."""
    if spent.estimated_tokens is None or spent.unknown:
        return ""
    # Where a price was changed, the old estimates are in another currency, and only tokens can be compared.
    costs_too = spent.estimated_cost.keys() == spent.cost.keys() and not spent.unpriced
    charged = _amounts(spent.tokens, spent.cost if costs_too else {})
    estimated = _amounts(spent.estimated_tokens, spent.estimated_cost if costs_too else {})
    if estimated == charged:
        return ", as estimated" if costs_too else ", tokens as estimated"
    return f"; estimated at most {estimated}"


def _why(state: TaskState, wanting: list[TaskRecord]) -> str:
    codes = Counter(
        printable(task.error_code) or "unknown"
        for task in wanting
        if task.state is state and task.position is not None
    )
    told = ", ".join(f"{code} ×{number}" for code, number in codes.most_common(MOST_NAMED))
    if state is TaskState.IN_DOUBT:
        ids = [
            shortened(task.id, 40) for task in wanting if task.state is state and task.position is not None
        ]
        more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
        return f" (may have been charged): {', '.join(ids[:MOST_NAMED])}{more}"
    return f": {told}" if told else ""


def what_next(directory: Path, summary: Summary, wanting: list[TaskRecord], again: str) -> list[str]:
    """The commands to run next; free ones come before ones that cost money. `again` resumes."""
    shown, counts = shlex.quote(shown_path(directory)), summary.counts
    uncollected = [task for task in wanting if task.state is TaskState.UNCOLLECTED]
    accepted = [task for task in wanting if task.may_be_paid_for]
    free = ["check again for vanished tasks"] if accepted else []
    free += ["download again"] if any(task.error_code != LINK_EXPIRED for task in uncollected) else []
    lines = []
    if free:
        lines.append(f"next     batchrunner collect {shown}   to {' and '.join(free)}, free of charge")
    if any(task.state is TaskState.IN_DOUBT for task in wanting):
        doubt = next(task for task in wanting if task.state is TaskState.IN_DOUBT)
        one = f"batchrunner resolve {shown} {shlex.quote(printable(doubt.id))}"
        lines += [
            f"next     batchrunner resolve {shown}   to see what the usage log shows; then, for each,",
            f"         {one} --adopt REMOTE_ID   if it was accepted as REMOTE_ID",
            f"         {one} --lost   if not: submit (and pay) again",
        ]
    failed = [task for task in wanting if task.state is TaskState.FAILED and not task.may_be_paid_for]
    if failed and (counts[TaskState.FAILED] or summary.blocked):
        lines.append(
            f"next     batchrunner retry {shown} --failed   once the causes are fixed, then run again"
        )
    if accepted:
        name = shlex.quote(printable(accepted[0].id))
        lines.append(f"next     batchrunner retry {shown} {name}   to pay again for one that stays vanished")
    if any(task.error_code == LINK_EXPIRED for task in uncollected):
        lines.append("expired  ask the gateway's operator for these videos; results.csv has the remote IDs")
    if summary.mistaken or (summary.unfinished and not summary.stop):
        lines.append(f"next     {again}")
    return lines


def by_account(summary: Summary) -> Iterator[str]:
    """The tasks of each account, if accounts have names."""
    for name, states in summary.accounts.items():
        there = [state for state in TaskState if states[state]]
        told = ", ".join(f"{states[state]:,} {state.replace('_', ' ')}" for state in there)
        yield f"  account {name or 'without a name'}: {told}"


def as_values(
    directory: Path, summary: Summary, seconds: float, wanting: list[TaskRecord]
) -> dict[str, object]:
    """The summary as JSON values."""
    return {
        "exit_code": int(summary.exit_code),
        "directory": str(directory),
        "results": str(directory / RESULTS_NAME),
        "seconds": round(seconds, 3),
        "counts": {state.value: number for state, number in summary.counts.items()},
        "blocked": summary.blocked_tasks,
        "accounts": {
            name: {state.value: number for state, number in states.items()}
            for name, states in summary.accounts.items()
        },
        "tokens": summary.spent.tokens,
        "cost": dict(summary.spent.cost),
        "attempts_of_unknown_cost": summary.spent.unknown,
        "estimated_tokens": summary.spent.estimated_tokens,
        "estimated_cost": dict(summary.spent.estimated_cost),
        "prices": [
            {
                "model": price.model,
                "resolution": price.resolution,
                "charged": round(price.charged, 4),
                "expected": round(price.expected, 4),
                "differs": price.differs,
            }
            for price in summary.prices
        ],
        "stopped": {"why": summary.stop.why, "hint": summary.stop.hint} if summary.stop else None,
        "storage": summary.storage,
        "problems": [
            {
                "id": t.id,
                "state": t.state.value,
                "error_code": t.error_code,
                "error_message": t.error_message,
                "in_manifest": t.position is not None,
            }
            for t in wanting
        ],
    }
