"""A disk that is full, or refuses: submission stops first, nothing is lost, and the same command goes on."""

import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.executed

SIZE = "64m"
RECOVERY = re.compile(r"ant was ACCEPTED as (task_\w+), but the ledger can't be written")


class SmallDisk:
    """A tmpfs of 64 MB in a mount namespace of its own, where the desk's run directory lies."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        script = f"mount -t tmpfs -o size={SIZE} none {folder} && echo up && cat"
        self._holder = subprocess.Popen(
            ["unshare", "-Urm", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout
        if self._holder.stdout.readline() != b"up\n":
            self.close()
            pytest.skip("this machine lets nobody mount a tmpfs of his own")
        pid = str(self._holder.pid)
        self.prefix = ("nsenter", "-t", pid, "-U", "-m", "--preserve-credentials", f"--wd={folder.parent}")
        self.inside, self.seen = folder, Path(f"/proc/{pid}/root{folder}")
        self._ballast = self.seen / "ballast"

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        assert shutil.disk_usage(self.seen).free == 0

    def make_read_only(self, read_only: bool) -> None:
        """Let nobody write to it, not even the superuser; or let them again."""
        how = "ro" if read_only else "rw"
        subprocess.run([*self.prefix, "mount", "-o", f"remount,{how}", str(self.inside)], check=True)

    def make_room(self) -> None:
        """Take the ballast away."""
        self._ballast.unlink()

    def close(self) -> None:
        """Unmount."""
        self._holder.communicate()


@pytest.fixture
def disk(desk: Any, sim: Any) -> Iterator[SmallDisk]:
    """A small disk for the desk's run directory."""
    disk = SmallDisk(desk.folder / "disk")
    desk.prefix, desk.directory = disk.prefix, disk.seen / "batch.run"
    yield disk
    desk.clear_away()
    disk.close()


def start_run(desk: Any, relay: Any, disk: SmallDisk) -> Any:
    return desk.start_run("--base-url", relay.url, "-o", str(disk.inside / "batch.run"))


def ended_on_a_full_disk(command: Any, hold: Any, disk: SmallDisk) -> Any:
    """Fill the disk while an answer is held; the run that gets it then ends with exit 5."""
    hold.reached()
    disk.fill()
    hold.release()
    done = command.ended()
    assert done.code == 5, done.stdout + done.stderr
    return done


def test_a_disk_that_is_full_at_the_start_stops_before_the_first_post(
    desk: Any, sim: Any, relay: Any, disk: SmallDisk
) -> None:
    """Full by the time of the first submission: exit 5, nothing sent; with room the same command makes it."""
    sim.start()
    desk.write("ant", "bee", disk_reserve="1MB")
    hold = relay.hold("models")
    done = ended_on_a_full_disk(start_run(desk, relay, disk), hold, disk)
    assert "free disk space" in done.stdout
    assert relay.count("submit") == 0
    disk.make_room()
    desk.check(start_run(desk, relay, disk).ended(), 0)
    assert len(sim.charges()) == 2


def test_a_disk_that_is_read_only_is_refused_before_anything_is_asked(
    desk: Any, sim: Any, relay: Any, disk: SmallDisk
) -> None:
    """Exit 5 names the folder, at a first run and at a later one; writable again, both go on."""
    sim.start()
    desk.write("ant", disk_reserve="1MB")
    disk.make_read_only(True)
    first = start_run(desk, relay, disk).ended()
    disk.make_read_only(False)
    desk.check(start_run(desk, relay, disk).ended(), 0)
    desk.write("ant", "bee", disk_reserve="1MB")
    disk.make_read_only(True)
    second = start_run(desk, relay, disk).ended()
    assert (first.code, second.code) == (5, 5)
    assert "batch.run" in first.stderr
    assert "batch.run" in second.stderr
    assert relay.count("submit") == 1
    disk.make_read_only(False)
    desk.check(start_run(desk, relay, disk).ended(), 0)


def test_a_disk_that_fills_up_during_a_download_loses_nothing(
    desk: Any, sim: Any, relay: Any, disk: SmallDisk
) -> None:
    """No half video is named, exit 5 says so; with room the same command fetches it, and pays nothing."""
    sim.start()
    desk.write("ant", disk_reserve="1MB")
    hold = relay.hold("content", after=True)
    done = ended_on_a_full_disk(start_run(desk, relay, disk), hold, disk)
    assert "free disk space" in done.stdout
    assert list((desk.directory / "videos").glob("[!.]*")) == []
    disk.make_room()
    desk.check(start_run(desk, relay, disk).ended(), 0)
    assert (len(sim.charges()), relay.count("submit")) == (1, 1)


def test_an_answer_that_a_full_disk_can_not_hold_is_printed_and_found_again(
    desk: Any, sim: Any, relay: Any, disk: SmallDisk
) -> None:
    """Accepted and not written down: the remote id is said at once, exit 5; then found, not paid again."""
    sim.start()
    desk.write("ant", "bee", concurrency=1, disk_reserve="1MB")
    hold = relay.hold("submit", "ant", after=True)
    done = ended_on_a_full_disk(start_run(desk, relay, disk), hold, disk)
    found = RECOVERY.search(done.stderr)
    assert found
    assert found[1] == sim.charges("ant")[0]["remote_id"]
    disk.make_room()
    desk.check(start_run(desk, relay, disk).ended(), 0)
    assert (len(sim.charges()), relay.count("submit")) == (2, 2)


def test_an_answer_that_can_not_be_saved_is_adopted_by_the_printed_command(
    desk: Any, sim: Any, relay: Any
) -> None:
    """The ledger may not grow any more: the line has the id and the command, which is all a person needs."""
    sim.start(usage_log=False)
    desk.write("ant")
    hold = relay.hold("submit", after=True)
    command = desk.start_run("--base-url", relay.url)
    hold.reached()
    grown = (desk.directory / "ledger.sqlite-wal").stat().st_size
    resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, (grown, resource.RLIM_INFINITY))
    hold.release()
    done = command.ended()
    assert done.code == 5, done.stdout + done.stderr
    found = RECOVERY.search(done.stderr)
    assert found
    assert f"batchrunner resolve batch.run ant --adopt {found[1]}" in done.stderr
    assert desk.do("resolve", "batch.run", "ant", "--adopt", found[1]).code == 0
    desk.check(desk.run("--base-url", relay.url), 0)
    assert relay.count("submit") == 1


def test_a_file_size_limit_counts_as_a_full_disk(desk: Any, sim: Any, relay: Any) -> None:
    """A part file that may not grow (EFBIG, as EIO would): exit 5, no file named; then fetched for free."""
    sim.start()
    desk.write("ant")
    hold = relay.hold("content", after=True)
    command = desk.start_run("--base-url", relay.url)
    hold.reached()
    resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    hold.release()
    assert command.ended().code == 5
    assert list((desk.directory / "videos").glob("[!.]*")) == []
    desk.check(desk.run("--base-url", relay.url), 0)
    assert relay.count("submit") == 1


def test_a_results_csv_that_can_not_be_written_ends_with_5_and_is_written_by_the_next_run(
    desk: Any, sim: Any, relay: Any
) -> None:
    """A folder took its place during the run: exit 5 names it; with it gone exit 0, and one POST in all."""
    sim.start()
    desk.write("ant")
    hold = relay.hold("content", after=True)
    command = desk.start_run("--base-url", relay.url)
    hold.reached()
    table = desk.directory / "results.csv"

    def taken() -> bool:
        table.unlink(missing_ok=True)
        with suppress(FileExistsError):  # the run was quicker
            table.mkdir()
        return table.is_dir()

    desk.until(taken, "the folder")
    hold.release()
    done = command.ended()
    assert done.code == 5
    assert "results.csv" in done.stdout + done.stderr
    table.rmdir()
    desk.check(desk.run("--base-url", relay.url), 0)
    assert relay.count("submit") == 1


@pytest.mark.parametrize("name", ["ledger.sqlite", "results.csv", "run.log", "lock"])
def test_a_folder_where_a_file_should_be_is_refused_by_name_before_any_post(
    desk: Any, sim: Any, name: str
) -> None:
    """Exit 5 or 2 names what is in the way; it is left alone, and without it the same command works."""
    sim.start()
    desk.write("ant")
    (desk.directory / name).mkdir(parents=True)
    done = desk.run()
    assert done.code in (2, 5), done.stdout + done.stderr
    assert name in done.stderr or name == "lock"
    assert "batch.run" in done.stderr
    assert sim.posts() == 0
    assert (desk.directory / name).is_dir()
    (desk.directory / name).rmdir()
    desk.check(desk.run(), 0)


def test_a_file_where_the_folder_for_videos_should_be_is_refused_before_any_post(desk: Any, sim: Any) -> None:
    """Exit 5 names it; nothing is sent."""
    sim.start()
    desk.write("ant")
    desk.directory.mkdir()
    (desk.directory / "videos").write_text("mine", encoding="utf-8")
    done = desk.run()
    assert done.code == 5
    assert "videos" in done.stderr
    assert sim.posts() == 0
    assert (desk.directory / "videos").read_text() == "mine"
