"""Which gateway a command talks to: a real one, or a simulator that it starts for itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.core.errors import BusyError, UsageError
from batchrunner.core.identity import SIMULATOR

if TYPE_CHECKING:
    from batchrunner.core.rules.limits import Limits
    from batchrunner.engine.job import Job
    from batchrunner.engine.relocation import GivenAddress
    from batchrunner.gateway import ApiKey, GatewaySettings
    from batchrunner.ledger import Binding

SIMULATED_KEY = "sk-simulated"


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a gateway."""

    settings: GatewaySettings
    name: str
    """What the ledger is tied to."""
    scale: float
    key: Callable[[], ApiKey]
    is_named: bool = True
    """Whether a person named the address, now or when the run directory was made."""

    def address(self, options: argparse.Namespace) -> GivenAddress:
        """The address, and what a person said of it."""
        from batchrunner.engine.relocation import GivenAddress  # noqa: PLC0415

        is_same = bool(getattr(options, "same_gateway", False))
        return GivenAddress(self.name, self.settings, self.key, self.is_named, is_same)

    def job(self, options: argparse.Namespace, directory: Path, limits: Limits) -> Job:
        """A run in this directory, with the options that all commands which run something have."""
        from batchrunner.engine.job import Job  # noqa: PLC0415
        from batchrunner.output.progress import Silent, display_for_stderr  # noqa: PLC0415

        return Job(
            directory=directory,
            limits=limits,
            gateway=self.settings,
            gateway_name=self.name,
            key=self.key,
            time_scale=self.scale,
            display=Silent() if options.quiet else display_for_stderr(),
            address_named=self.is_named,
            same_gateway=options.same_gateway,
        )


def real(options: argparse.Namespace, manifest_url: str, submit_timeout: float) -> Connection:
    """The gateway named by the option, the environment or the manifest; EasyRouter's where none names one.

    Raises:
        UsageError: the address can't be used, or a time scale is given for a gateway that isn't local.
    """
    from batchrunner.gateway import GatewaySettings, check_address, is_loopback, origin  # noqa: PLC0415

    named = named_address(options, manifest_url)
    url = named or shared.DEFAULT_BASE_URL
    settings = GatewaySettings(url, submit_timeout, insecure=options.insecure)
    check_address(settings.base_url, settings.insecure)
    scale = shared.time_scale(options)
    if scale != 1.0 and not is_loopback(url):
        raise UsageError(
            f"a time scale is for simulated gateways, and {url} is not on this machine",
            f"leave --time-scale away, and unset {shared.SCALE_VARIABLE}",
        )
    return Connection(settings, origin(url), scale, lambda: shared.api_key(options), bool(named))


def named_address(options: argparse.Namespace, manifest_url: str) -> str:
    """The gateway's address as a person named it: by option, environment or manifest; empty if nowhere."""
    return options.base_url or os.environ.get(shared.URL_VARIABLE) or manifest_url


@contextmanager
def simulated(
    options: argparse.Namespace,
    directory: Path,
    submit_timeout: float,
    scenario: Path | None = None,
    recovers: bool = False,
) -> Iterator[Connection]:
    """Start a simulator that keeps its charge book in the run directory; it ends with this process.

    Raises:
        BusyError: a run goes on in the run directory, and has its simulator.
        StorageError: the run directory can't be made.
        UsageError: it could not start; its own words are on stderr.
    """
    from batchrunner.engine.preparation import make_directories  # noqa: PLC0415
    from batchrunner.gateway import ApiKey, GatewaySettings  # noqa: PLC0415
    from batchrunner.ledger import is_locked  # noqa: PLC0415

    scale = shared.time_scale(options, default=shared.SIMULATED_SCALE)
    if is_locked(directory):
        raise BusyError(f"another batchrunner works in {directory}", "wait for it to end")
    make_directories(directory, recovers)
    command = [sys.executable, "-X", "utf8", "-m", "batchrunner", "simulator", "--json"]
    command += ["--until-stdin-closes"]
    command += ["--state-dir", str(directory / SIMULATOR), "--time-scale", str(scale)]
    if scenario:
        command += ["--scenario", str(scenario)]
    # A session of its own: a Ctrl-C on the terminal is for the run, which still needs its gateway.
    process = subprocess.Popen(  # noqa: S603  our own command
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != shared.KEY_VARIABLE},
    )
    assert process.stdin  # noqa: S101  a pipe
    assert process.stdout  # noqa: S101  the same
    try:
        line = process.stdout.readline()
        if not line.startswith('{"url"'):
            raise UsageError("the simulator did not start", "see its error message above")
        settings = GatewaySettings(json.loads(line)["url"], submit_timeout)
        yield Connection(settings, SIMULATOR, scale, lambda: ApiKey(SIMULATED_KEY, "the simulator"))
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


async def check_gateway(options: argparse.Namespace, directory: Path, manifest_url: str) -> tuple[str, ...]:
    """Hold the address that a run would use against the ledger; nothing is asked.

    Returns what a person is to know of it. Where no address is named, a run may still be given one.

    Raises:
        UsageError: the run directory belongs to another gateway.
    """
    from batchrunner.engine.relocation import check_address_of  # noqa: PLC0415
    from batchrunner.gateway import GatewaySettings, check_address, origin  # noqa: PLC0415
    from batchrunner.ledger import LEDGER_NAME, LedgerReader  # noqa: PLC0415

    url = named_address(options, manifest_url)
    if not (directory / LEDGER_NAME).exists() or not (url or options.simulate):
        return ()
    if not options.simulate:
        check_address(url, insecure=True)
    name = SIMULATOR if options.simulate else origin(url)
    connection = Connection(GatewaySettings(url), name, 1.0, lambda: shared.api_key(options))
    async with LedgerReader.open_existing(directory) as ledger:
        await ledger.check_gateway(name)
        if await check_address_of(ledger, connection.address(options)):
            bound = (await ledger.binding()).gateway
            return (f"a run first asks {name}, free of charge, for what was paid for at {bound}",)
    return ()


@contextmanager
def of_run(
    options: argparse.Namespace, directory: Path, scenario: Path | None = None
) -> Iterator[Connection]:
    """The gateway that an existing run directory belongs to; `scenario` is for a simulated one.

    Raises:
        BatchrunnerError: there is no such run, or as for `real` and `simulated`.
    """
    binding = asyncio.run(_binding(directory))
    timeout = binding.settings.submit_timeout
    if binding.gateway == SIMULATOR:
        with simulated(options, directory, timeout, scenario) as connection:
            yield connection
    else:
        yield real(options, binding.gateway, timeout)


async def _binding(directory: Path) -> Binding:
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415

    async with LedgerReader.open_existing(directory) as ledger:
        return await ledger.binding()
