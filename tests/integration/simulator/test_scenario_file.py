"""Scenario files: what they may say, and what they are told when they are wrong."""

import asyncio
import time
from pathlib import Path

import pytest

from batchrunner.simulator import Scenario, ScenarioError, Simulator, load_scenario
from batchrunner.simulator.rules import FAULTS


def test_without_a_file_the_scenario_is_ordinary() -> None:
    """None gives the defaults."""
    assert load_scenario(None) == Scenario()


def test_a_file_is_read(tmp_path: Path) -> None:
    """YAML with `on:` unquoted and numbers as fault names is what it looks like."""
    path = tmp_path / "night.yaml"
    path.write_text(
        "seed: 7\ncapacity: 8\ngeneration_seconds: 60\n"
        "faults:\n"
        "  - {on: submit, do: 429, every: 10}\n"
        "  - {on: download, do: slow, seconds: 30, source: both, prompt: '猫*'}\n"
    )
    scenario = load_scenario(path)
    assert (scenario.seed, scenario.capacity, scenario.generation_seconds) == (7, 8, 60)
    assert [(rule.on, rule.do) for rule in scenario.faults] == [("submit", "429"), ("download", "slow")]
    assert scenario == Scenario.from_dict(
        {
            "seed": 7,
            "capacity": 8,
            "generation_seconds": 60,
            "faults": [
                {"on": "submit", "do": "429", "every": 10},
                {"on": "download", "do": "slow", "seconds": 30, "source": "both", "prompt": "猫*"},
            ],
        }
    )


def test_an_empty_file_is_the_ordinary_scenario(tmp_path: Path) -> None:
    """A file of comments alone says nothing."""
    path = tmp_path / "night.yaml"
    path.write_text("# nothing\n")
    assert load_scenario(path) == Scenario()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed: 1", r"night\.yaml:1:6: sed: unknown key 'sed'; use one of: balance, .*seed"),
        ("seed: x", r"night\.yaml:1:7: seed: must be a whole number of at least 0, not 'x'"),
        ("refresh_seconds: 0", r"refresh_seconds: must be a number from 0\.001"),
        ("faults: [{on: submitt, do: cut}]", r"faults\[0\]\.on: must be one of submit, poll"),
        ("faults: [{on: poll, do: cutt}]", r"faults\[0\]\.do: must be one of 500, html_502, .*not 'cutt'"),
        (
            "faults: [{on: poll, do: cut, nht: 1}]",
            r"night\.yaml:1:35: faults\[0\]\.nht: unknown key 'nht'; use one of",
        ),
        ("faults: [{on: poll, do: cut, factor: 2}]", r"unknown key 'factor'"),
        ("faults: [{on: poll, do: cut, chance: 2}]", r"faults\[0\]\.chance: must be a number from 0 to 1"),
        ("faults: [{on: poll, do: cut, between: [5, 1]}]", r"between: must begin before it ends"),
        ("faults: {on: poll}", r"faults: must be a list of rules"),
        ("keys: {sk-a-secret: {quta: 1}}", r"night\.yaml:1:28: keys\[0\]\.quta: unknown key 'quta'"),
        ("- 1", r"night\.yaml:1:1: must be a mapping"),
        ("a: [", r"night\.yaml:1:5: this can't be read as YAML; look for"),
        ("seed: 1\n\tcapacity: 2", r"night\.yaml:2:1: tabs can't be used for indentation"),
        ("seed: 2026-13-45", r"night\.yaml: this can't be read as YAML"),
        ("a: 1\n---\nb: 1", r"night\.yaml:2:1: this can't be read as YAML"),
        ("kinds: [{sigma: 1}]", r"night\.yaml:1:9: kinds\[0\]: needs `seconds`"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file, the place, and what is allowed."""
    path = tmp_path / "night.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_scenario(path)


def test_all_mistakes_of_a_scenario_are_reported_at_once(tmp_path: Path) -> None:
    """In the order of the file, each with its place."""
    path = tmp_path / "night.yaml"
    path.write_text(
        "faults:\n  - {on: poll, do: cut, chance: 2, every: 0}\n  - {on: sit}\nseed: x\nkeys:\n"
        "  sk-secret: {quota: -1}\n  sk-other:\n    models: [1]\nkinds: [{seconds: -1, x: 1}]\n"
    )
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert [(fault.line, fault.message.partition(":")[0]) for fault in caught.value.faults] == [
        (2, "faults[0].chance"),
        (2, "faults[0].every"),
        (3, "faults[1].on"),
        (4, "seed"),
        (6, "keys[0].quota"),
        (8, "keys[1].models[0]"),
        (9, "kinds[0].seconds"),
        (9, "kinds[0].x"),
    ]
    assert "secret" not in str(caught.value)


def test_both_ends_of_a_kind_are_included(tmp_path: Path) -> None:
    """So one length can be meant."""
    path = tmp_path / "night.yaml"
    path.write_text("kinds: [{duration: [4, 4], seconds: 9, sigma: 0}]\n")
    scenario = load_scenario(path)
    model = "dreamina-seedance-2-0"
    assert scenario.generating("task_1", model, "720p", 4) == 9
    assert scenario.generating("task_1", model, "720p", 5) > 9


def test_a_missing_scenario_is_refused_by_name(tmp_path: Path) -> None:
    """A scenario that does not exist is a ValueError with its name."""
    with pytest.raises(ValueError, match=r"nowhere\.yaml: cannot be read"):
        load_scenario(tmp_path / "nowhere.yaml")


def test_every_fault_can_be_written() -> None:
    """Each fault is accepted by name alone, and with the parameters that it takes."""
    values = {"date": True, "status": 504, "body": "empty", "shape": "task", "word": "cancelled"}
    values |= {"code": "invalid_response", "seconds": 1, "factor": 1}
    for on, faults in FAULTS.items():
        for do, parameters in faults.items():
            Scenario.from_dict({"faults": [{"on": on, "do": do}]})
            Scenario.from_dict(
                {"faults": [{"on": on, "do": do, **{name: values[name] for name in parameters}}]}
            )


def test_hanging_requests_do_not_hold_the_simulator(tmp_path: Path) -> None:
    """Leaving the context ends a submission that would never be answered."""

    async def story() -> float:
        scenario = Scenario.from_dict({"faults": [{"on": "submit", "do": "hang_after_accept"}]})
        async with Simulator(tmp_path, scenario) as sim:
            host, port = sim.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            body = b'{"model":"dreamina-seedance-2-0-fast","prompt":"x"}'
            writer.write(
                b"POST /v1/videos HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-main\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            await writer.drain()
            while not (tmp_path / "charges.jsonl").read_bytes().count(b'"kind":"charge"'):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            begun = time.monotonic()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        return time.monotonic() - begun

    assert asyncio.run(story()) < 30, "it would hang for ever"
