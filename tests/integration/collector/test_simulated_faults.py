"""Every download fault of the simulated gateway, from one source and from both."""

import asyncio
import hashlib
import itertools

import aiohttp
import pytest

from batchrunner.clock import Clock
from batchrunner.core.model import Plan, RemoteId
from batchrunner.core.outcome import Succeeded
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.engine.collector import Collector
from batchrunner.gateway import ApiKey, Gateway, GatewaySettings, encode
from batchrunner.ledger import Ledger
from batchrunner.media.local_files import data_uri
from batchrunner.simulator import Scenario, Simulator
from batchrunner.storage.local_videos import LocalVideos
from tests.harness.plans import plan_tasks, wanted_task

SCALE = 0.001
FAULTS = ("cut", "cut_chunked", "html_200", "json_200", "garbage", "502", "404", "not_ready")
PROMPTS = [f"{fault} {source}" for fault, source in itertools.product(FAULTS, ("content", "both"))]
RULES = [
    {"on": "download", "do": prompt.split()[0], "prompt": prompt, "source": prompt.split()[1]}
    for prompt in PROMPTS
]


async def generated(sim, gateway, ledger):
    """Submit a task for every prompt, wait for its end, and bring the ledger as far."""
    wanted = [
        wanted_task(
            {
                "model": "dreamina-seedance-2-0-fast",
                "prompt": prompt,
                "metadata": {"resolution": "480p", "duration": 1},
            },
            id=prompt.replace(" ", "-"),
        )
        for prompt in PROMPTS
    ]
    plan = Plan("night", "/a/night.yaml", plan_tasks(wanted))
    await ledger.reconcile(plan, frozenset())
    for number, task in enumerate(plan.tasks):
        attempt = await ledger.claim(task.key, number, None)
        outcome = await gateway.submit(encode(task.request, data_uri).with_seed(number))
        known = AttemptFacts(remote_id=RemoteId(outcome.remote_id), accepted_at=1.0)
        await ledger.move(task.key, Move(Event.ACCEPTED, TaskState.GENERATING, facts=known), attempt.id)
        while not isinstance(answer := await gateway.poll(outcome.remote_id), Succeeded):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        known = AttemptFacts(result_url=answer.result_url)
        await ledger.move(task.key, Move(Event.SUCCEEDED, TaskState.COLLECTING, facts=known), attempt.id)
    return plan


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """All tasks collected at once: records by prompt, the files on disk, and the simulator's counts."""
    directory = tmp_path_factory.mktemp("run")
    (directory / "videos").mkdir()
    scenario = Scenario.from_dict({"generation_seconds": 5, "queue_seconds": 0, "faults": RULES})

    async def go():
        async with (
            Simulator(directory / "simulator", scenario, SCALE) as sim,
            Gateway.open(GatewaySettings(sim.url), ApiKey("sk-canary", "a test")) as gateway,
            Ledger.open(directory) as ledger,
        ):
            plan = await generated(sim, gateway, ledger)
            collector = Collector(
                ledger,
                gateway,
                Clock(SCALE),
                LocalVideos(directory),
                8,
                lambda record, facts: (),
                lambda record: 1 << 30,
            )
            await asyncio.gather(*(collector.collect(task.key) for task in plan.tasks))
            async with aiohttp.ClientSession(sim.url) as book:
                requests = (await (await book.get("/simulator/requests")).json())["requests"]
                charges = (await (await book.get("/simulator/charges")).json())["charges"]
            return {record.request["prompt"]: record for record in await ledger.tasks()}, requests, charges

    with pytest.MonkeyPatch.context() as environment:
        for name in ("http_proxy", "HTTP_PROXY"):
            environment.delenv(name, raising=False)
        records, requests, charges = asyncio.run(go())
    files = {path.name: path.read_bytes() for path in (directory / "videos").iterdir()}
    return records, files, requests, charges


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_gateway_is_made_good_by_the_link(night, fault):
    """Where only `/content` is broken, the video is there, whole."""
    records, files, _, _ = night
    record = records[f"{fault} content"]
    assert record.state is TaskState.DONE
    content = files[f"{fault}-content.mp4"]
    assert (len(content), hashlib.sha256(content).hexdigest()) == (record.size, record.sha256)
    assert (record.width, record.height, record.fps) == (864, 496, 24.0)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_both_leaves_no_file(night, fault):
    """Where both sources are broken, the task is uncollected, its row says why, and there is no file."""
    records, files, _, _ = night
    record = records[f"{fault} both"]
    assert record.state is TaskState.UNCOLLECTED
    assert record.error_code
    assert f"{fault}-both.mp4" not in files


def test_every_file_is_a_tasks_own(night):
    """Each done task has its own bytes, and nothing else lies in the folder."""
    records, files, _, _ = night
    done = {record.sha256 for record in records.values() if record.state is TaskState.DONE}
    assert {hashlib.sha256(content).hexdigest() for content in files.values()} == done
    assert len(done) == len(files) == len(FAULTS)


def test_no_fault_of_a_download_costs_anything(night):
    """The charge book knows of one submission a task, and no link was asked for with a key."""
    _, _, requests, charges = night
    assert len(charges) == requests["POST /v1/video/generations"] == len(PROMPTS)
    assert "GET file server with Authorization" not in requests
