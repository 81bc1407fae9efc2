"""The recipes for cron and systemd in manifests/nightly: what they start works where nobody is logged in."""

import configparser
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

RECIPES = Path(__file__).parents[2] / "manifests" / "nightly"
COMMAND = "/opt/batchrunner/.venv/bin/batchrunner"
CRON = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "LOGNAME": "cats", "LANG": "C"}


@pytest.fixture
def machine(desk: Any, sim: Any) -> Any:
    """The paths that the recipes name, below the desk's folder; its gateway is the simulated one."""
    sim.start()
    desk.write("ant", "bee", timezone="UTC")
    (desk.folder / "data").mkdir()
    shutil.copy(desk.manifest, desk.folder / "data" / "cats.yaml")
    key = desk.folder / "etc/batchrunner/easyrouter.key"
    key.parent.mkdir(parents=True)
    key.write_text(f"{desk.key}\n")
    key.chmod(0o600)
    command = Path(f"{desk.folder}{COMMAND}")
    command.parent.mkdir(parents=True)
    found = shlex.quote(os.environ.get("PYTHONPATH", ""))
    line = shlex.join([sys.executable, "-m", "batchrunner"])
    command.write_text(f'#!/bin/sh\nPYTHONPATH={found} exec {line} "$@" {shlex.join(desk.at_gateway())}\n')
    command.chmod(0o755)
    yield desk
    key.unlink()
    desk.check_key()


def moved(text: str, desk: Any) -> str:
    """A recipe with its paths below the desk's folder."""
    for path in (COMMAND, "/data/", "/etc/batchrunner/"):
        text = text.replace(path, f"{desk.folder}{path}")
    return text


def done(desk: Any, line: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Carry a command line out as cron does; return the exit code and the mail."""
    ended = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd="/",
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
        timeout=desk.patience,
        check=False,
    )
    return ended.returncode, ended.stdout


def cron_lines(desk: Any) -> list[str]:
    """The commands of the crontab."""
    lines = (RECIPES / "crontab").read_text(encoding="utf-8").splitlines()
    jobs = [line.split(maxsplit=5) for line in lines if line[:1].isdigit()]
    assert all(not set("%") & set(job[5]) for job in jobs), "cron takes a % for the end of a line"
    return [moved(job[5], desk) for job in jobs]


@pytest.mark.parametrize("environment", [CRON, {}, {"LC_ALL": "POSIX", "HOME": "/nonexistent"}])
def test_cron_mails_nothing_if_all_is_well(machine: Any, sim: Any, environment: dict[str, str]) -> None:
    """The videos are made in the first night; then there is nothing to do, for `run` and `collect`."""
    run, collect = cron_lines(machine)
    assert done(machine, run, environment) == (0, "")
    (night,) = (machine.folder / "data/nightly").iterdir()
    assert len(list(night.glob("videos/*.mp4"))) == len(sim.charges()) == 2
    assert done(machine, collect, environment) == (0, "")
    assert sim.posts() == 2


def test_cron_mails_one_summary_if_something_is_wrong(machine: Any, sim: Any) -> None:
    """What failed, where it is, and the command to type."""
    sim.start({"on": "generate", "do": "fail", "prompt": "ant*"})
    run, _ = cron_lines(machine)
    code, mail = done(machine, run, CRON)
    assert code == 1
    assert mail.startswith("1 of 2 tasks done")
    assert mail.count("tasks done") == 1
    assert "1 failed" in mail
    assert f"next     batchrunner retry {machine.folder}/data/nightly/" in mail


def unit(name: str) -> configparser.ConfigParser:
    """A unit file, whose form is that of an ini file as long as no key is repeated."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((RECIPES / name).read_text(encoding="utf-8"))
    return parser


def test_the_service_reads_its_credential_and_says_nothing(machine: Any, sim: Any) -> None:
    """Its command, with the credential where systemd puts it and nothing else in the environment."""
    service = unit("batchrunner-nightly.service")["Service"]
    name, _, path = service["LoadCredential"].partition(":")
    credentials = machine.folder / "run/credentials"
    credentials.mkdir(parents=True)
    shutil.copy(moved(path, machine), credentials / name)
    line = moved(service["ExecStart"], machine)
    assert done(machine, line, {"CREDENTIALS_DIRECTORY": str(credentials), "LANG": "C"}) == (0, "")
    assert len(sim.charges()) == 2
    assert service["SuccessExitStatus"] == "75"
    (credentials / name).unlink()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd")
def test_systemd_accepts_the_units(machine: Any) -> None:
    """`systemd-analyze verify` finds nothing to say about them."""
    units = machine.folder / "units"
    units.mkdir()
    for path in RECIPES.glob("batchrunner-nightly.*"):
        text = moved(path.read_text(encoding="utf-8"), machine).replace("User=batchrunner", "User=root")
        (units / path.name).write_text(text, encoding="utf-8")
    files = sorted(map(str, units.iterdir()))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )
    said = [line for line in checked.stderr.splitlines() if "batchrunner" in line]
    assert (checked.returncode, said) == (0, []), checked.stderr
    at = unit("batchrunner-nightly.timer")["Timer"]["OnCalendar"]
    subprocess.run(["systemd-analyze", "calendar", at], check=True, capture_output=True)
