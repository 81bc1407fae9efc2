"""Chooses the gateway a command talks to: a real one, or a simulator started for the command."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli.accounts import given_accounts
from batchrunner.cli.process import run_async
from batchrunner.core.errors import UsageError
from batchrunner.core.file_names import LEDGER_NAME
from batchrunner.core.identity import SIMULATOR
from batchrunner.core.redaction import without_keys

if TYPE_CHECKING:
    from batchrunner.core.rules.limits import Limits
    from batchrunner.engine.accounts import GivenAccount
    from batchrunner.engine.job import Job
    from batchrunner.engine.relocation import GivenAddress
    from batchrunner.gateway import ApiKey, GatewaySettings
    from batchrunner.ledger import Binding

_ENDS_WITHIN = 5.0
"""Real seconds in which a simulator ends by itself; a signal during that would make it print a traceback."""
_PIPES: set[int] = set()
"""Descriptors of the pipes to simulators: each ends when nobody can write to its stdin any more."""


def _give_up_pipes() -> None:
    """Replace the pipes in a forked process: only the run's own process must keep a simulator alive."""
    for fd in _PIPES:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, fd, inheritable=False)
        os.close(null)
    _PIPES.clear()


os.register_at_fork(after_in_child=_give_up_pipes)


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a gateway."""

    settings: GatewaySettings
    name: str
    """The name that the ledger is bound to."""
    scale: float
    key: Callable[[], ApiKey]
    is_named: bool = True
    """Whether the user gave the address, now or when the run directory was created."""
    accounts: tuple[GivenAccount, ...] = ()
    """The accounts; empty for a single one without a name, whose key is `key`."""

    def address(self, options: argparse.Namespace) -> GivenAddress:
        """The address and the user's options for it."""
        from batchrunner.engine.relocation import GivenAddress  # noqa: PLC0415

        is_same = bool(getattr(options, "same_gateway", False))
        return GivenAddress(self.name, self.settings, self.key, self.is_named, is_same)

    def job(self, options: argparse.Namespace, directory: Path, limits: Limits) -> Job:
        """A job for this run directory, with the options that all running commands share."""
        from batchrunner.engine.job import Job  # noqa: PLC0415
        from batchrunner.output.progress import Silent, display_for_stderr  # noqa: PLC0415

        return Job(
            directory=directory,
            limits=limits,
            gateway=self.settings,
            gateway_name=self.name,
            key=self.key,
            accounts=self.accounts,
            time_scale=self.scale,
            display=Silent() if options.quiet else display_for_stderr(),
            address_named=self.is_named,
            same_gateway=options.same_gateway,
            collect_on=getattr(options, "collect_on", None) or "",
        )


def real(options: argparse.Namespace, manifest_url: str, submit_timeout: float) -> Connection:
    """The gateway given by option, environment or manifest; EasyRouter's by default.

    Raises:
        UsageError: the address or the accounts file is unusable, or a time scale is for a remote gateway.
        AccountError: the key of an account is missing.
    """
    from batchrunner.gateway import GatewaySettings, check_address, is_loopback, origin  # noqa: PLC0415

    named = named_address(options, manifest_url)
    url = named or shared.DEFAULT_BASE_URL
    settings = GatewaySettings(url, submit_timeout, insecure=options.insecure)
    check_address(settings.base_url, settings.insecure)
    scale = shared.time_scale(options)
    if scale != 1.0 and not is_loopback(url):
        raise UsageError(
            f"a time scale only works with a local gateway, and {url} is remote",
            f"remove --time-scale and unset {shared.SCALE_VARIABLE}",
        )
    accounts = given_accounts(options, keyless=False)

    def key() -> ApiKey:
        return accounts[0].key if accounts else shared.api_key(options)

    return Connection(settings, origin(url), scale, key, bool(named), accounts)


def named_address(options: argparse.Namespace, manifest_url: str) -> str:
    """The address given by option, environment or manifest; empty if none is given."""
    return options.base_url or os.environ.get(shared.URL_VARIABLE) or manifest_url


@contextmanager
def simulated(
    options: argparse.Namespace,
    directory: Path,
    submit_timeout: float,
    scenario: Path | None = None,
    recovers: bool = False,
) -> Iterator[Connection]:
    """Start a simulator with its charge book in the run directory; it stops with this process.

    Raises:
        BusyError: another run is using the run directory and its simulator.
        StorageError: the run directory can't be created.
        UsageError: it did not start; its own error message is on stderr, except in the Python API. Or the
            accounts file is wrong.
    """
    import subprocess  # noqa: PLC0415

    from batchrunner.engine.preparation import make_directories  # noqa: PLC0415
    from batchrunner.ledger import check_free, simulator_state  # noqa: PLC0415

    accounts = given_accounts(options, keyless=True)
    may_print = getattr(options, "may_ask", True)
    scale = shared.time_scale(options, default=shared.SIMULATED_SCALE)
    check_free(directory)
    make_directories(directory, recovers)
    command = [sys.executable, "-X", "utf8", "-m", "batchrunner", "simulator", "--json"]
    command += ["--until-stdin-closes"]
    command += ["--state-dir", str(simulator_state(directory)), "--time-scale", str(scale)]
    if scenario:
        command += ["--scenario", str(scenario)]
    # Its own session: Ctrl-C on the terminal must reach only the run, which still needs its gateway.
    process = subprocess.Popen(  # noqa: S603  our own command
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if may_print else subprocess.DEVNULL,
        encoding="utf-8",
        start_new_session=True,
        env=without_keys(os.environ),
    )
    assert process.stdin  # noqa: S101  a pipe
    assert process.stdout  # noqa: S101  also a pipe
    pipes = {process.stdin.fileno(), process.stdout.fileno()}
    _PIPES.update(pipes)
    try:
        # Loaded while the simulator starts, which takes as long.
        import_module("batchrunner.engine.session")
        from batchrunner.gateway import ApiKey, GatewaySettings  # noqa: PLC0415

        line = process.stdout.readline()
        if not line.startswith('{"url"'):
            raise _not_started("" if may_print else line + process.stdout.read())
        settings = GatewaySettings(json.loads(line)["url"], submit_timeout)
        key = accounts[0].key if accounts else ApiKey(shared.SIMULATED_KEY, "the simulator")
        yield Connection(settings, SIMULATOR, scale, lambda: key, accounts=accounts)
    finally:
        _PIPES.difference_update(pipes)  # before their numbers can be used again
        process.stdin.close()
        try:
            process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            process.terminate()  # a library that has forked keeps the other end of the pipe open
            process.wait()
        process.stdout.close()


def _not_started(told: str) -> UsageError:
    """Why a simulator has ended at once: `told` is its error as JSON, empty if it is on the terminal."""
    if not told:
        return UsageError("the simulator did not start", "see its error message above")
    error = json.loads(told)
    where = ""
    for problem in error["problems"][:1]:
        where = f"{problem['place']['file']}:{problem['place']['line']}: {problem['message']}"
    return UsageError(f"the simulator did not start: {where or error['error']}", error["hint"])


async def check_gateway(options: argparse.Namespace, directory: Path, manifest_url: str) -> tuple[str, ...]:
    """Check the address that a run would use against the ledger, without any request.

    Returns remarks for the user. Without an address there is nothing to check: a run may still be given one.

    Raises:
        UsageError: the run directory belongs to another gateway.
    """
    url = named_address(options, manifest_url)
    if not (directory / LEDGER_NAME).exists() or not (url or options.simulate):
        return ()
    # The gateway's client takes longer to import than a small manifest to plan.
    from batchrunner.engine.relocation import check_address_of  # noqa: PLC0415
    from batchrunner.gateway import GatewaySettings, check_address, origin  # noqa: PLC0415
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415

    if not options.simulate:
        check_address(url, insecure=True)
    name = SIMULATOR if options.simulate else origin(url)
    connection = Connection(GatewaySettings(url), name, 1.0, lambda: shared.api_key(options))
    async with LedgerReader.open_existing(directory) as ledger:
        await ledger.check_gateway(name)
        if await check_address_of(ledger, connection.address(options)):
            bound = (await ledger.binding()).gateway
            return (f"a run first asks {name}, free of charge, about the tasks paid for at {bound}",)
    return ()


@contextmanager
def of_run(
    options: argparse.Namespace, directory: Path, scenario: Path | None = None
) -> Iterator[Connection]:
    """The gateway that an existing run directory is bound to; `scenario` is for a simulated one.

    Raises:
        BatchrunnerError: there is no such run, or as in `real` and `simulated`.
    """
    binding = run_async(binding_of(directory))
    timeout = binding.settings.submit_timeout
    if binding.gateway == SIMULATOR:
        with simulated(options, directory, timeout, scenario) as connection:
            yield connection
    else:
        yield real(options, binding.gateway, timeout)


async def binding_of(directory: Path) -> Binding:
    """What a run directory belongs to."""
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415

    async with LedgerReader.open_existing(directory) as ledger:
        return await ledger.binding()
