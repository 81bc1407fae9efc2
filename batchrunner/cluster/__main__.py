"""`python -m batchrunner.cluster`: requests on stdin are carried out by Ray, answers go to stdout.

The only part of the program that imports Ray, which may take its process down with it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio import TaskGroup
from collections.abc import Callable
from typing import Any, BinaryIO

from batchrunner.cluster.fetching import fetch_line
from batchrunner.cluster.sharding import shard_line
from batchrunner.core.redaction import redacted
from batchrunner.engine.cluster_messages import Work, not_here_line, read_request, read_setup

TRIES = 2
"""How often a job is begun; Ray's own tries, when it has noticed that a node is lost, don't count."""
JOBS = {Work.FETCH: fetch_line, Work.SHARD: shard_line}
CONNECTED_WITHIN = 90.0
"""Real seconds; what waits for the cluster is then done by the run."""
LOOKS_EVERY = 1.0
"""Real seconds between two looks at whether the connection is still there."""
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Once a connection is lost, Ray would start a cluster on this machine without being asked.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    # With Ray's defaults, the tasks of a frozen node hang for minutes.
    "RAY_grpc_client_keepalive_time_ms": "5000",
    "RAY_grpc_client_keepalive_timeout_ms": "5000",
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
}
"""Environment variables for Ray, unless the user has set them."""

Say = Callable[[str], None]


def main() -> None:
    """Answer requests until stdin closes."""
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print is no answer

    def say(line: str) -> None:
        answers.write(f"{line}\n")
        answers.flush()

    asyncio.run(_serve(sys.stdin.buffer, say))


async def _serve(requests: BinaryIO, say: Say) -> None:
    setup = (await asyncio.to_thread(requests.readline)).decode()
    try:
        async with asyncio.timeout(CONNECTED_WITHIN):
            ray, job = await asyncio.to_thread(_connect, setup)
    except Exception as error:  # Ray has many kinds, some of them not documented
        late = f"no connection within {CONNECTED_WITHIN:.0f} s"
        say(not_here_line(0, late if isinstance(error, TimeoutError) else _words(error)))
        os._exit(1)  # a thread that still connects would be waited for
    async with TaskGroup() as group:
        group.create_task(_end_with_connection(ray, say))
        while line := await asyncio.to_thread(requests.readline):
            group.create_task(_answer(ray, job, setup, line.decode(), say))
        os._exit(0)  # whoever asked is gone; Ray's own processes end with this one


def _connect(setup: str) -> tuple[Any, Any]:
    """Connect to the cluster, or start one on this machine; return Ray and the job for it."""
    import ray  # noqa: PLC0415  takes a second, and reads the variables set above

    work, values = read_setup(setup)
    address = {} if values["cluster"] == "ray" else {"address": values["cluster"]}
    ray.init(**address, log_to_driver=False, namespace="batchrunner")
    return ray, ray.remote(num_cpus=1, max_retries=2)(JOBS[work])


async def _end_with_connection(ray: Any, say: Say) -> None:
    """End the process once Ray has given its connection up: the next one makes a new connection."""
    while ray.is_initialized():  # noqa: ASYNC110  Ray tells nobody
        await asyncio.sleep(LOOKS_EVERY)
    say(not_here_line(0, "the connection is lost"))
    os._exit(1)


async def _answer(ray: Any, job: Any, setup: str, request: str, say: Say) -> None:
    """Have one request carried out, and elsewhere if there is no answer in time; say the answer."""
    number, seconds, _ = read_request(request)
    why = ""
    for _ in range(TRIES):
        try:
            running = await asyncio.to_thread(job.remote, setup, request)
            try:
                async with asyncio.timeout(seconds):
                    say(await asyncio.wrap_future(running.future()))
                return
            except TimeoutError:
                why = f"no answer within {seconds:.0f} s"
                await asyncio.to_thread(ray.cancel, running, force=True)
        except Exception as error:  # as above; a lost node comes here after Ray's own tries
            why = _words(error)
    say(not_here_line(number, why))


def _words(error: Exception) -> str:
    """The last words of an exception's message, without secrets; Ray's have whole tracebacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" \t>")]
    return redacted(lines[-1] if lines else type(error).__name__)[:300]


if __name__ == "__main__":
    main()
