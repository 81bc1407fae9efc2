"""Turns a manifest and its options into the job of a run; used by the command and by the Python API."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from batchrunner.cli.accounts import at_highest_price, given_accounts
from batchrunner.cli.confirmation import NotConfirmed, agreement
from batchrunner.cli.connection import Connection, binding_of, real, simulated
from batchrunner.cli.loading import load
from batchrunner.cli.nights import choose_night
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import Whereabouts, check_place, whereabouts
from batchrunner.core.budget import Figure, Limit, Per, micros
from batchrunner.core.errors import UsageError
from batchrunner.core.selection import select
from batchrunner.core.video_url import is_in_bucket
from batchrunner.storage.library import check_library

if TYPE_CHECKING:
    from batchrunner.core.model import Plan, TaskKey
    from batchrunner.engine.job import Job
    from batchrunner.manifest import LoadedManifest
    from batchrunner.output.event_stream import EventStream

T = TypeVar("T")


def run_or_collect(
    options: argparse.Namespace,
    carry_out: Callable[[Job, Whereabouts], T],
    only_collect: Callable[[UsageError], T],
    learn: Callable[[Plan], None] = lambda _: None,
    events: EventStream | None = None,
) -> T:
    """Carry out the job of a run; if the user must do something first, only collect what is paid for.

    `only_collect` gets what the user must do, and finds in `options` the run directory to collect in.
    `learn` is called with the plan as soon as it is known.

    Raises:
        BatchrunnerError: the run can't begin; nothing was submitted.
    """
    check_simulation(options)
    try:
        loaded = load(options)
        learn(loaded.plan)
        chosen = selected(options, loaded)
    except UsageError as mistake:
        choose_night(options, None)
        return only_collect(mistake)
    try:
        with prepared(options, chosen, events) as (job, where):
            return carry_out(job, where)
    except NotConfirmed as refusal:
        return only_collect(refusal)


@dataclass(frozen=True, slots=True)
class Selected:
    """A manifest, and what the options make of it."""

    loaded: LoadedManifest
    planned: Plan
    """Its plan, with the limits that were set by options."""
    keys: frozenset[TaskKey] | None
    """The tasks that may be submitted; None: all."""


def selected(options: argparse.Namespace, loaded: LoadedManifest) -> Selected:
    """Apply the options to a manifest, to find mistakes before anything is created.

    Raises:
        UsageError: they don't fit together.
    """
    choose_night(options, loaded.plan)
    if is_in_bucket(options.videos or loaded.plan.settings.videos):
        check_library()
    keys = select(loaded.plan.tasks, options.only, options.limit)
    loaded = replace(loaded, plan=at_highest_price(loaded.plan, given_accounts(options)))
    return Selected(loaded, _with_max_cost(loaded, options.max_cost), keys)


@contextmanager
def prepared(
    options: argparse.Namespace, chosen: Selected, events: EventStream | None = None
) -> Iterator[tuple[Job, Whereabouts]]:
    """The job of a run, whose simulated gateway lives as long as the context.

    Raises:
        NotConfirmed: it must be confirmed.
        BatchrunnerError: it can't begin; nothing was submitted.
    """
    from batchrunner.ledger import LEDGER_NAME, check_free  # noqa: PLC0415

    loaded = chosen.loaded
    if options.simulate:
        _check_simulated(loaded.plan)
    where = whereabouts(options, loaded.plan, chosen.keys)
    directory, timeout = where.directory, loaded.plan.settings.submit_timeout
    check_place(directory, options.manifest)
    check_free(directory)
    connecting: AbstractContextManager[Connection]
    if options.simulate:
        connecting = simulated(options, directory, timeout, options.scenario)
    else:
        connection = real(options, loaded.plan.base_url, timeout)
        connecting = nullcontext(connection)
        if not (directory / LEDGER_NAME).exists():
            connection.key()  # fail before creating a folder if there is no key
    agreed = agreement(options, loaded, chosen.planned, where, chosen.keys)
    with connecting as gateway:
        base = gateway.job(options, directory, loaded.limits)
        job = replace(
            base,
            plan=chosen.planned,
            only=tuple(options.only),
            limit=options.limit,
            videos=options.videos or loaded.plan.settings.videos,
            agreement=agreed,
            remarks=where.remarks,
            events=events,
        )
        yield job, where


def collecting(gateway: Connection, directory: Path, options: argparse.Namespace) -> Job:
    """The job that polls and collects an existing run's paid tasks, with the run's own settings."""
    from batchrunner.manifest import load_limits  # noqa: PLC0415

    return gateway.job(options, directory, load_limits(run_async(binding_of(directory)).models))


def check_simulation(options: argparse.Namespace) -> None:
    """Check that the options for the gateway fit together.

    Raises:
        UsageError: they don't.
        AccountError: the key of an account is missing.
    """
    if options.scenario and not options.simulate:
        raise UsageError("--scenario is for the simulated gateway", "add --simulate")
    if options.simulate and (options.base_url or options.api_key_file):
        raise UsageError("--simulate uses its own gateway and key", "remove --base-url and --api-key-file")
    given_accounts(options)  # before anything is created


def _check_simulated(plan: Plan) -> None:
    """Check that the simulator makes videos of all models.

    Raises:
        UsageError: it doesn't; a run would wait in vain.
    """
    from batchrunner.simulator.submission import MODELS  # noqa: PLC0415

    for model in sorted({str(request.get("model")) for request in plan.tasks.requests()} - set(MODELS)):
        raise UsageError(
            f"the simulated gateway has no model {model}",
            f"it has {' and '.join(MODELS)}; `batchrunner validate` and `plan` take any model",
        )


def _with_max_cost(loaded: LoadedManifest, amount: float | None) -> Plan:
    """The plan, with `--max-cost` added to its budget.

    Raises:
        UsageError: a model has no price.
    """
    from batchrunner.core.estimate import REFERENCE_CURRENCY, unpriced  # noqa: PLC0415

    plan = loaded.plan
    if amount is None:
        return plan
    if model := unpriced(plan.tasks.requests(), loaded.limits, plan.pricing):
        raise UsageError(
            f"--max-cost can't be enforced: no price for {model}",
            "add its price to `pricing.per_million_tokens` in the manifest",
        )
    limit = Limit(
        Figure.COST, micros(amount), Per.RUN, "--max-cost", plan.pricing.currency or REFERENCE_CURRENCY
    )
    return replace(plan, budget=replace(plan.budget, limits=(*plan.budget.limits, limit)))
