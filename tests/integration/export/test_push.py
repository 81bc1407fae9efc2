"""Uploading a set to a stand-in for the Hugging Face Hub, with the real library."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.finished_runs import Made
from tests.harness.hub import TOKEN, Hub, serving
from tests.integration.export.conftest import tree

ROOT = Path(__file__).parents[3]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as hub:
        yield hub


class Pusher:
    """Exports as HF_HUB variables say, which the library reads only once: in a process of its own."""

    def __init__(self, export: Any, hub: Hub) -> None:
        self._export, self._environment = (
            export,
            {
                "PYTHONPATH": str(ROOT),
                "PATH": os.environ["PATH"],
                "HOME": str(export.folder / "home"),
                "HF_ENDPOINT": hub.url,
                "HF_TOKEN": TOKEN,
                "HF_HUB_DISABLE_XET": "1",  # the stand-in knows only the older way
                "HF_HUB_DISABLE_TELEMETRY": "1",
            },
        )

    def __call__(self, *options: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "batchrunner", "export", str(self._export.run)]
        done = subprocess.run(
            [*command, "-o", str(self._export.out), *options],
            env=self._environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        files = (path for path in self._export.folder.rglob("*") if path.is_file())
        assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
        return done


@pytest.fixture
def push(export: Any, hub: Hub) -> Pusher:
    return Pusher(export, hub)


@pytest.mark.parametrize("options", [["--format", "hf"], ["--format", "webdataset"]])
def test_a_set_is_pushed_and_grows_there(export: Any, hub: Hub, push: Pusher, options: list[str]) -> None:
    """The repository is private and has the files of the set; what is there is not uploaded again."""
    export.make(Made("ant", "ant", b"ant" * 100), Made("bee", "bee", b"bee" * 100))
    done = push(*options, "--push", "ann/cats", "--json")
    assert json.loads(done.stdout)["pushed"] == f"{hub.url}/datasets/ann/cats"
    (created,) = hub.created
    assert (created["type"], created["visibility"]) == ("dataset", "private")
    assert hub.files["ann/cats"] == tree(export.out)
    before = list(hub.uploads)
    export.make(Made("cat", "cat", b"cat" * 100))
    assert f"pushed to {hub.url}" in push(*options, "--push", "ann/cats").stdout
    assert hub.files["ann/cats"] == tree(export.out)
    assert len(hub.uploads) == len(before) + 1


def test_without_a_token_nothing_is_pushed(export: Any, hub: Hub, push: Pusher) -> None:
    """The set is made all the same; exit code 4 is the account's."""
    export.make(Made("ant", "ant"))
    done = push("--format", "hf", "--push", "ann/cats", "--json", code=4, HF_TOKEN="")
    assert "hint: set HF_TOKEN" in done.stderr
    value = json.loads(done.stdout)
    assert (value["videos"], value["pushed"], value["exit_code"]) == (1, "", 4)
    assert len(tree(export.out)) == 3
    assert hub.created == []


def test_a_refused_token_is_named_as_such(export: Any, push: Pusher) -> None:
    """But not shown."""
    export.make(Made("ant", "ant"))
    done = push("--format", "hf", "--push", "ann/cats", code=4, HF_TOKEN="hf_another")
    assert "refuses to write to ann/cats" in done.stderr
    assert "hf_another" not in done.stderr


def test_a_push_that_fails_is_repeated_by_the_same_command(export: Any, hub: Hub, push: Pusher) -> None:
    """Exit code 1: the set is there, the upload is not."""
    export.make(Made("ant", "ant"))
    hub.refuse = 418
    assert "was not pushed" in push("--format", "hf", "--push", "ann/cats", code=1).stderr
    hub.refuse = 0
    push("--format", "hf", "--push", "ann/cats")
    assert hub.files["ann/cats"] == tree(export.out)


@pytest.mark.parametrize("options", [["csv"], ["jsonl"], ["parquet"]])
def test_a_set_of_paths_is_not_pushed(export: Any, options: list[str]) -> None:
    """They mean nothing elsewhere, and say how folders are named here."""
    export.make(Made("ant", "ant"))
    assert "has only their paths" in export.refused("--push", "ann/cats", "--format", *options)
    assert not export.out.exists()


def test_a_name_that_no_repository_can_have_is_refused_at_once(export: Any) -> None:
    """Before anything is written."""
    export.make(Made("ant", "ant"))
    assert "write it as OWNER/NAME" in export.refused("--format", "hf", "--push", "ann/cats/more")
    assert not export.out.exists()


def test_without_the_library_one_line_says_what_to_install(export: Any, monkeypatch: Any) -> None:
    """Before anything is written."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    export.make(Made("ant", "ant"))
    assert "pip install 'batchrunner[hub]'" in export.refused("--format", "hf", "--push", "ann/cats")
    assert not export.out.exists()
