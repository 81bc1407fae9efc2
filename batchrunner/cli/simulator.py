"""`batchrunner simulator`: runs the simulated gateway."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from batchrunner.cli import arguments as shared
from batchrunner.cli.console import say, talk
from batchrunner.cli.process import run_async
from batchrunner.core.errors import BusyError, ManifestError, UsageError
from batchrunner.core.problems import Place, Problem, Severity

LET_GO = 10.0
"""Seconds to wait for the simulator of a killed run to release its state."""


def add_simulator(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `simulator`."""
    parser.add_argument(
        "--port",
        type=_port,
        default=0,
        help="port to listen on (default: a free one, reused on the next start)",
    )
    parser.add_argument(
        "--scenario",
        metavar="FILE",
        type=Path,
        help="scenario file: the gateway's speed and faults",
    )
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        type=Path,
        default=Path("simulator"),
        help="folder for the charge book and videos",
    )
    parser.add_argument("--time-scale", metavar="F", type=float, help="real seconds per simulated second")
    parser.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    shared.add_json(parser)
    parser.set_defaults(run=serve)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number from 0 to 65535")
    return int(text)


def serve(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C, SIGTERM, or the parent process ends."""
    from batchrunner.simulator import ScenarioError, load_scenario  # noqa: PLC0415

    try:
        scenario = load_scenario(options.scenario)
    except ScenarioError as error:
        file = str(options.scenario)
        problems = (
            Problem(Severity.ERROR, Place(file, fault.line, fault.column), fault.message)
            for fault in error.faults
        )
        raise ManifestError(tuple(problems), "scenario") from error
    scale = shared.time_scale(options)
    return run_async(_serve(options, scenario, scale))


async def _serve(options: argparse.Namespace, scenario: Any, scale: float) -> int:
    import asyncio  # noqa: PLC0415

    from batchrunner.simulator import Simulator  # noqa: PLC0415

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    end = loop.time() + LET_GO
    while True:
        try:
            async with Simulator(options.state_dir, scenario, scale, options.port) as simulator:
                if options.json:
                    say(json.dumps({"url": simulator.url}))
                else:
                    say(simulator.url)
                    talk(f"charge book in {options.state_dir}; any key like sk-… works; press Ctrl-C to stop")
                sys.stdout.flush()
                await stop.wait()
                return 0
        except RuntimeError as error:
            if loop.time() > end or stop.is_set():
                raise BusyError(str(error), "wait for the other simulator to finish") from error
            await asyncio.sleep(0.1)
        except OSError as error:
            raise UsageError(f"can't serve: {error}", "choose another --port or --state-dir") from error
