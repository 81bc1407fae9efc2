"""`batchrunner resolve`: look up submissions in doubt, or record the user's decision."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrunner.cli import arguments as shared
from batchrunner.cli import retry_words as words
from batchrunner.cli.connection import of_run
from batchrunner.cli.console import say, say_json, shown_path, talk, with_iso_times
from batchrunner.cli.process import run_async
from batchrunner.cli.retry import as_names, opened, tell, write_results
from batchrunner.cli.run_directory import existing_run
from batchrunner.core.errors import ExitCode, UsageError
from batchrunner.core.states import TaskState
from batchrunner.core.text import command, count, printable

if TYPE_CHECKING:
    from batchrunner.cli.connection import Connection
    from batchrunner.engine.adopter import LogLook
    from batchrunner.ledger import TaskRecord

_NO_KEY = "not looked up: the key of its account {!r} is not given (--accounts)"


def add_resolve(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `resolve`."""
    parser.description = (
        "Settle tasks in doubt: submissions that the gateway may or may not have accepted and "
        "charged. A run looks them up in the gateway's usage log and adopts unambiguous matches by itself. "
        "Without --adopt, --lost or --auto, list the remaining tasks with what the log showed."
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="run directory, or its manifest")
    parser.add_argument("task", metavar="ID", nargs="?", help="ID or fingerprint")
    parser.add_argument("--all", action="store_true", help="all tasks in doubt (with --lost or --auto)")
    verdict = parser.add_mutually_exclusive_group()
    verdict.add_argument(
        "--adopt", metavar="REMOTE", help="the submission was accepted as REMOTE: poll and collect it"
    )
    verdict.add_argument(
        "--lost",
        action="store_true",
        help="the submission was not accepted: submit again (pays twice if it was)",
    )
    verdict.add_argument(
        "--auto",
        action="store_true",
        help="search the usage log now and adopt unambiguous matches",
    )
    shared.add_json(parser)
    shared.add_gateway(parser)
    parser.set_defaults(run=resolve)


def resolve(options: argparse.Namespace) -> int:
    """Settle, look up, or list tasks in doubt."""
    options.directory = existing_run(options.directory)
    if options.auto:
        with of_run(options, options.directory) as connection:
            return run_async(_look_up(options, connection))
    if options.adopt is None and not options.lost:
        return run_async(_list_doubts(options))
    return run_async(_decide(options))


async def _decide(options: argparse.Namespace) -> int:
    from batchrunner.operations import overrides  # noqa: PLC0415

    if options.adopt is not None and not options.task:
        hint = f"`{command('resolve', shown_path(options.directory), 'ID', '--adopt', options.adopt)}`"
        raise UsageError("--adopt needs the task that the remote ID belongs to", hint)
    if bool(options.task) == options.all:
        raise UsageError("name a task in doubt, or pass --all", "either one ID, or --all")
    async with opened(options.directory) as ledger:
        names = [options.task] if options.task else []
        tasks = await overrides.chosen(ledger, names, frozenset({TaskState.IN_DOUBT}), options.all)
        if options.adopt is not None:
            await overrides.adopt(ledger, tasks[0], options.adopt)
            await tell(
                ledger, options, tasks, f"adopted {options.adopt}; the next run will poll and collect it"
            )
        else:
            following = await overrides.waiting_for(ledger, tasks)
            await overrides.declare_lost(ledger, tasks)
            more = {"waiting_for_them": as_names(following)} if following else {}
            await tell(
                ledger, options, tasks, "declared lost; the next run will submit (and pay) again", more
            )
            own, needed = [await overrides.forecast_of(ledger, one) for one in (tasks, following)]
            for line in words.beside(tasks, (), own, needed) if not options.json else ():
                say(line)
            for task in tasks if not options.json else ():
                say(f"  {printable(task.id)}: {task.looked_up or 'not yet looked up in the usage log'}")
    return ExitCode.DONE


async def _look_up(options: argparse.Namespace, connection: Connection) -> int:
    from batchrunner.clock import Clock  # noqa: PLC0415
    from batchrunner.engine.accounts import GivenAccount, open_gateways  # noqa: PLC0415
    from batchrunner.engine.adopter import Adopter, LogLook  # noqa: PLC0415
    from batchrunner.engine.relocation import follow_gateway  # noqa: PLC0415
    from batchrunner.operations import overrides  # noqa: PLC0415

    accounts = connection.accounts or (GivenAccount("", connection.key()),)
    async with (
        opened(options.directory) as ledger,
        open_gateways(connection.settings, accounts) as gateways,
    ):
        address, clock = connection.address(options), Clock(connection.scale)
        await follow_gateway(ledger, address, clock, talk)
        await ledger.bind(connection.name)
        names = [options.task] if options.task else []
        chosen = await overrides.chosen(ledger, names, frozenset({TaskState.IN_DOUBT}), not names)
        keys = {task.key for task in chosen}
        doubts = [one for one in await ledger.unowned() if one.is_doubt and one.key in keys]
        looks = []
        for name, gateway in gateways.items():
            if own := [one for one in doubts if one.account == name]:
                looks.append(await Adopter(ledger, gateway, clock, account=name).look(own))
        left = tuple((one, _NO_KEY.format(one.account)) for one in doubts if one.account not in gateways)
        look = LogLook(
            adopted=tuple(found for each in looks for found in each.adopted),
            advice=tuple(said for each in looks for said in each.advice) + left,
            failure="; ".join(each.failure for each in looks if each.failure),
        )
        await write_results(ledger, options.directory)
    _show(look, options.json)
    return ExitCode.IN_DOUBT if look.advice else ExitCode.DONE


def _show(look: LogLook, as_json: bool) -> None:
    if as_json:
        adopted = [{"id": one.id, "remote_id": remote_id} for one, remote_id in look.adopted]
        in_doubt = [{"id": one.id, "usage_log": text} for one, text in look.advice]
        say_json({"adopted": adopted, "in_doubt": in_doubt, "failure": look.failure})
        return
    for one, remote_id in look.adopted:
        say(f"{printable(one.id)}: found as {remote_id}; the next run will poll and collect it")
    for one, text in look.advice:
        say(f"{printable(one.id)}: {printable(text)}")
    if not (look.adopted or look.advice):
        say("no tasks in doubt")


async def _list_doubts(options: argparse.Namespace) -> int:
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415
    from batchrunner.operations import overrides  # noqa: PLC0415

    names = [options.task] if options.task else []
    async with LedgerReader.open_existing(options.directory) as ledger:
        tasks = await overrides.chosen(ledger, names, frozenset({TaskState.IN_DOUBT}), not names)
    tasks.sort(key=lambda task: task.submitted_at or 0.0)
    if options.json:
        say_json(with_iso_times([_as_value(task) for task in tasks]))
        return ExitCode.DONE
    say(f"{count(len(tasks), 'task')} in doubt" + (", by submission time (UTC):" if tasks else ""))
    for task in tasks:
        when = datetime.fromtimestamp(task.submitted_at or 0.0, UTC).strftime("%Y-%m-%d %H:%M:%S")
        say(f"  {when}  {task.model}  seed {task.seed}  {printable(task.id)}")
        if task.looked_up:
            say(f"                       {printable(task.looked_up)}")
        for one in _candidates(task):
            at = datetime.fromtimestamp(one["at"] or 0.0, UTC).strftime("%Y-%m-%d %H:%M:%S")
            status = one["status"] or "not checked"
            told = f"may be {one['remote_id']}  {at}  {one['model']}  {status}"
            say(f"                       {printable(told)}")
    return ExitCode.DONE


def _as_value(task: TaskRecord) -> dict[str, object]:
    return {
        "id": task.id,
        "submitted_at": task.submitted_at,
        "model": task.model,
        "seed": task.seed,
        "fingerprint": task.key,
        "usage_log": task.looked_up,
        "candidates": _candidates(task),
    }


def _candidates(task: TaskRecord) -> list[dict[str, Any]]:
    """The gateway's tasks that may be this one, as of the last look-up."""
    return list(json.loads(task.candidates or "[]"))
