"""The charge book survives whatever happens to its simulator."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batchrunner.simulator import Scenario, Simulator

SERVE = """
import asyncio, pathlib, sys
from batchrunner.simulator import Scenario, Simulator
async def main():
    async with Simulator(pathlib.Path(sys.argv[1]), Scenario(generation_seconds=20.0), 0.001) as sim:
        print(sim.url, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def test_a_restart_keeps_tasks_bytes_and_port(night: Any) -> None:
    """The next start on the same state directory is the same gateway."""

    async def first(gateway: Any) -> Any:
        remote_id = await gateway.accepted("cat")
        task = await gateway.ended(remote_id)
        return gateway.sim.url, task, (await gateway.content(remote_id)).body, await gateway.charges()

    async def second(gateway: Any) -> Any:
        [charge] = await gateway.charges()
        task = await gateway.poll(charge["remote_id"])
        body = (await gateway.content(charge["remote_id"])).body
        link = await gateway.call("GET", task["result_url"], None)
        assert link.body == body
        return gateway.sim.url, task, body, [charge]

    before = night(first)
    assert night(second) == before


def test_ordinals_and_ids_go_on_after_a_restart(night: Any) -> None:
    """A restarted simulator gives the next id, never an old one."""

    async def story(gateway: Any) -> Any:
        await gateway.accepted()
        return [(charge["ordinal"], charge["remote_id"]) for charge in await gateway.charges()]

    night(story)
    first, second = night(story)
    assert (first[0], second[0]) == (1, 2)
    assert first[1] != second[1]


def test_kill_9_loses_nothing(night: Any, tmp_path: Path) -> None:
    """A task that a killed simulator accepted is there when the next one starts on its state."""

    def submit(url: str) -> str:
        body = json.dumps({"model": "dreamina-seedance-2-0-fast", "prompt": "cat", "seconds": "1"})
        command = ["curl", "-s", "-d", body, "-H", "Content-Type: application/json"]
        authorization = ["-H", "Authorization: Bearer sk-main"]
        answer = subprocess.run(
            [*command, *authorization, f"{url}/v1/videos"], check=True, capture_output=True
        )
        return str(json.loads(answer.stdout)["id"])

    command = [sys.executable, "-c", SERVE, str(tmp_path / "state")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        remote_id = submit(url)
        os.kill(process.pid, signal.SIGKILL)

    async def story(gateway: Any) -> Any:
        return gateway.sim.url, await gateway.ended(remote_id)

    again, task = night(story)
    assert (again, task["status"]) == (url, "SUCCESS")


def test_a_torn_line_is_forgotten(night: Any, tmp_path: Path) -> None:
    """Half a line at the end was never answered for: it is cut off, and the book goes on."""

    async def story(gateway: Any) -> Any:
        await gateway.accepted()
        return len(await gateway.charges())

    night(story)
    book = tmp_path / "state" / "charges.jsonl"
    with book.open("a") as file:
        file.write('{"kind":"charge","ordi')
    assert night(story) == 2
    assert [json.loads(line)["ordinal"] for line in book.read_text().splitlines()] == [1, 2]


def test_a_second_simulator_on_one_state_is_refused(night: Any, tmp_path: Path) -> None:
    """A second simulator on the same state directory is refused, with the directory's name."""

    async def story(_gateway: Any) -> None:
        with pytest.raises(RuntimeError, match=r"state: another simulator has this state directory open"):
            async with Simulator(tmp_path / "state"):
                pass

    night(story)


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    """An explicit port must be free; the remembered one gives way to another."""

    async def story() -> None:
        async with Simulator(tmp_path / "one") as one:
            port = int(one.url.rpartition(":")[2])
            with pytest.raises(OSError, match="in use"):
                async with Simulator(tmp_path / "two", port=port):
                    pass
            settings = {"port": port, "files_port": 0, "started_at": 0}
            (tmp_path / "three").mkdir()
            (tmp_path / "three" / "simulator.json").write_text(json.dumps(settings))
            async with Simulator(tmp_path / "three") as three:
                assert three.url != one.url

    asyncio.run(story())


def test_fault_counts_survive_a_restart(night: Any) -> None:
    """A fault that was to happen once does not happen again after a restart."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        await gateway.ended(remote_id)
        return (await gateway.content(remote_id)).status

    faults = [{"on": "download", "do": "502", "times": 1}]
    assert [night(story, faults=faults) for _ in range(3)] == [502, 200, 200]


def test_the_same_seed_is_the_same_night(tmp_path: Path) -> None:
    """Ids, generation times and model seeds follow from the scenario's seed; another seed differs."""
    same, again, other = Scenario(seed=7), Scenario(seed=7), Scenario(seed=8)
    nights = [
        [(night.remote_id(n), night.generating(night.remote_id(n), "m", "720p", 5)) for n in range(1, 50)]
        for night in (same, again, other)
    ]
    assert nights[0] == nights[1]
    assert not {identity for identity, _ in nights[0]} & {identity for identity, _ in nights[2]}
    times = sorted(time for _, time in nights[0])
    assert 80 < times[len(times) // 2] < 120
    assert times[0] < 90
    assert times[-1] > 110
