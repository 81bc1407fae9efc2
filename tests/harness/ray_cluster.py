"""Ray on this machine, for tests that need it: an extra that is not in `dev`.

The cluster is of a process of its own and has a token, as one should that others can reach. No other Ray on
the machine is touched.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from batchrunner.cluster.__main__ import RAY_SETTINGS
from tests.harness.processes import clean_environment

TOKEN = f"{secrets.token_hex(12)}-ray-canary"
HEALTH_CHECKS = {"RAY_health_check_period_ms": "500", "RAY_health_check_timeout_ms": "2000"}
"""Quicker than what the page recommends: a test waits until they have noticed a frozen node."""


def need_ray() -> None:
    """Skip the test if Ray isn't installed, unless REQUIRE_RAY is set."""
    if find_spec("ray") is None:
        assert not os.environ.get("REQUIRE_RAY"), "Ray is not installed"
        pytest.skip("Ray is not installed")


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for what Ray writes; its path must be short, as sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class RayCluster:
    """A head and other nodes."""

    address: str
    client: str
    """The address of its server for `ray://`."""
    raylets: list[int]
    """The process of each node, first that of the head."""

    def environment(self, token: str = TOKEN) -> dict[str, str]:
        """The variables for a command that uses the cluster through `ray`."""
        return {"RAY_ADDRESS": self.address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}

    def clients(self) -> set[int]:
        """The processes on the head that stand for those that are connected by `ray://`."""
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended
                arguments = (process / "cmdline").read_bytes()
                if b"specific-server" in arguments and self.address.encode() in arguments:
                    found.add(int(process.name))
        return found

    def signal_node(self, number: int, what: signal.Signals) -> None:
        """Send a signal to a node and its workers."""
        raylet = self.raylets[number]
        children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
        for pid in (raylet, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, what)


@contextmanager
def ray_cluster(others: int, **variables: str) -> Iterator[RayCluster]:
    """A cluster of a head and other nodes, with one CPU each, and with these variables."""
    need_ray()
    with short_folder() as folder:
        # Forking in a process that uses gRPC fails now and then, which the server for ray:// does.
        settings = {"GRPC_ENABLE_FORK_SUPPORT": "0"}
        settings |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_TMPDIR": str(folder)}
        command = [sys.executable, "-m", "tests.harness.ray_cluster_main", str(others)]
        with subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            env=clean_environment(folder, **(RAY_SETTINGS | HEALTH_CHECKS | settings | variables)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout
            line = process.stdout.readline()
            assert line, "the cluster did not start"
            cluster = RayCluster(**json.loads(line))
            try:
                yield cluster
            finally:
                for number in range(len(cluster.raylets)):
                    with suppress(FileNotFoundError):
                        cluster.signal_node(number, signal.SIGCONT)  # to end, a node must not be frozen


def known_to_ray(folder: Path) -> Iterator[tuple[str, bytes]]:
    """What the processes hold whose folder for Ray this is: arguments, environments, and the object store."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            arguments, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
            if str(folder).encode() not in arguments + environment:
                continue
            yield "arguments", arguments
            yield "environment", environment
            for file in (process / "fd").iterdir():
                if str(file.readlink()).startswith("/dev/shm/plasma"):
                    yield "object store", _written(file)


def _written(path: Path) -> bytes:
    """What has been written to a file that is mostly holes."""
    found = b""
    with path.open("rb") as file, suppress(OSError):  # no data any more
        end = 0
        while True:
            start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found += os.pread(file.fileno(), end - start, start)
    return found
