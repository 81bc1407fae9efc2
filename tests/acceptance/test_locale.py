"""Names and streams are UTF-8 whatever the locale says; what a stream can't show is replaced."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CAT = {"id": "猫", "prompt": "一只猫在月球表面漫步 🐈", "labels": {"名": "é"}}
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
"""An encoding that knows no Chinese, on every machine."""


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with locales that are not UTF-8, where this machine can make them."""
    folder = tmp_path_factory.mktemp("locales")
    for source, charset in (("en_US", "ISO-8859-1"), ("zh_CN", "GBK")):
        command = ["localedef", "-c", "-i", source, "-f", charset, str(folder / f"{source}.{charset}")]
        try:
            subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            break
    return folder


@pytest.fixture(params=["ascii", "en_US.ISO-8859-1", "zh_CN.GBK"])
def locale(request: Any, locales: Path) -> dict[str, str]:
    """The environment of a locale that is not UTF-8."""
    if request.param == "ascii":
        return ASCII
    environment = {"LOCPATH": str(locales), "LC_ALL": request.param}
    asked = [sys.executable, "-c", "import sys; print(sys.getfilesystemencoding())"]
    found = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout
    if found.strip() in ("utf-8", "ascii"):
        pytest.skip(f"this machine has no locale {request.param}")
    return environment


def test_a_chinese_prompt_is_made_and_named_in_utf8_whatever_the_locale(
    desk: Any, sim: Any, locale: dict[str, str]
) -> None:
    """Charged once, exit 0, the file's name in UTF-8; runs in another locale find it."""
    desk.environment = dict(locale)
    sim.start()
    desk.write(CAT)
    desk.check(desk.run(), 0)
    assert [os.fsencode(path.name) for path in (desk.directory / "videos").glob("[!.]*")] == [
        "猫.mp4".encode()
    ]
    assert desk.row("猫")["label.名"] == "é"
    desk.environment = {}
    desk.check(desk.run(), 0)
    desk.write(CAT, "犬")
    desk.environment = dict(locale)
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2


def test_a_simulated_run_and_its_manifest_have_chinese_names_in_any_locale(
    desk: Any, locale: dict[str, str]
) -> None:
    """The simulator that a run starts for itself, and names given on the command line, are UTF-8 too."""
    desk.environment = dict(locale)
    desk.manifest = desk.folder / "批次.yaml"
    desk.directory = desk.folder / "批次.simulated"
    desk.write(CAT)
    done = desk.do("run", "批次.yaml", "--simulate", "--time-scale", "0.002", key=None)
    desk.check(done, 0)
    assert "批次.simulated/results.csv" in done.stdout
    story = desk.do("status", "批次.simulated", "猫")
    assert (story.code, CAT["prompt"] in story.stdout) == (0, True)


def test_characters_that_a_stream_can_not_encode_are_escaped(desk: Any, sim: Any) -> None:
    """PYTHONIOENCODING=ascii: the run and every command that shows its ids end as they would, in ASCII."""
    sim.start()
    desk.write(CAT)
    desk.environment = {"PYTHONIOENCODING": "ascii"}
    done = desk.run()
    desk.check(done, 0)
    assert "\\u732b" in desk.do("status", "batch.run").stdout
    for command in (("plan", "batch.yaml"), ("status", "batch.run", "猫"), ("resolve", "batch.run")):
        assert desk.do(*command).code == 0
    assert desk.do("plan", "batch.yaml", "--json").json["tasks"][0]["id"] == "猫"
    assert desk.do("status", "batch.run", "猫", "--json").json["request"]["prompt"] == CAT["prompt"]


@pytest.mark.parametrize("environment", [{}, {"LANG": "C"}, {"LC_ALL": "POSIX"}], ids=["empty", "C", "POSIX"])
def test_a_run_needs_no_environment_variable(desk: Any, environment: dict[str, str]) -> None:
    """No HOME, no TERM, no PATH, no LANG: a simulated run ends as ever."""
    desk.directory = desk.folder / "batch.simulated"
    desk.write(CAT)
    command = [
        sys.executable,
        "-m",
        "batchrunner",
        "run",
        "batch.yaml",
        "--simulate",
        "--time-scale",
        "0.002",
    ]
    done = subprocess.run(
        [*command, "--json"], cwd=desk.folder, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["done"] == 1
    assert (desk.directory / "videos" / "猫.mp4").exists()


def test_a_name_that_is_not_utf8_is_refused_in_every_locale_before_anything_is_made(
    desk: Any, web_page: Any, locale: dict[str, str]
) -> None:
    """A manifest whose name an old locale wrote opens nothing else, and costs nothing."""
    desk.environment = dict(locale)
    desk.write("ant")
    name = os.fsdecode(b"caf\xe9.yaml")
    desk.manifest.rename(desk.folder / name)
    done = desk.do("run", name, *desk.at_gateway(web_page.url))
    assert done.code == 2
    assert "UTF-8" in done.stderr
    assert web_page.methods == []


def test_a_python_that_is_not_in_utf8_is_refused_by_the_api_before_anything_is_made(tmp_path: Path) -> None:
    """Who uses the package from Python has no command to restart: `run` says how to start it."""
    code = (
        "from pathlib import Path; from batchrunner.engine.preparation import make_directories\n"
        f"try: make_directories(Path({str(tmp_path / 'x.run')!r}))\n"
        "except Exception as error: print(error.hint)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=ASCII, capture_output=True, text=True, check=True)
    assert "PYTHONUTF8=1" in done.stdout
    assert list(tmp_path.iterdir()) == []
