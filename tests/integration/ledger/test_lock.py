"""One process at a time in a run directory, and only where locks can be relied on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchrunner.core.errors import BusyError, StorageError, UsageError
from batchrunner.ledger import RunLock, is_locked

HOLD = """
import sys
from pathlib import Path
from batchrunner.ledger import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
TRY = """
import sys
from pathlib import Path
from batchrunner.core.errors import BusyError
from batchrunner.ledger import RunLock
try:
    RunLock(Path(sys.argv[1])).acquire()
except BusyError as error:
    sys.exit(int(error.exit_code))
"""


FORK = """
import os, subprocess, sys
from pathlib import Path
from batchrunner.ledger import RunLock, is_locked
lock, (end, wait) = RunLock(Path(sys.argv[1])), (os.pipe(), os.pipe())
lock.acquire()
child = os.fork()
if not child:
    os.close(wait[1])
    CHILD
    os.write(end[1], b"x")
    os.read(wait[0], 1)  # until the parent ends
    os._exit(0)
os.read(end[0], 1)
print(subprocess.run([sys.executable, "-c", sys.argv[2], sys.argv[1]]).returncode)
lock.release()
print(is_locked(Path(sys.argv[1])))
"""
FORKED_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from batchrunner.ledger import RunLock
RunLock(Path(sys.argv[1])).acquire()
if os.fork():
    os.kill(os.getpid(), signal.SIGKILL)
print("alive", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its stdin is closed."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("child", ["pass", "lock.release()"])
def test_a_forked_process_neither_keeps_the_lock_nor_releases_it(tmp_path: Path, child: str) -> None:
    """While it lives, the lock is its parent's: held until the parent releases it, and free from then on."""
    command = [sys.executable, "-c", FORK.replace("CHILD", child), str(tmp_path), TRY]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("75\nFalse\n", "")


def test_a_forked_process_does_not_keep_the_lock_of_a_killed_one(tmp_path: Path) -> None:
    """The run that was killed can be resumed, whatever its host has forked."""
    command = [sys.executable, "-c", FORKED_AND_KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "alive\n"
        assert process.wait() == -signal.SIGKILL
        assert not is_locked(tmp_path)
        RunLock(tmp_path).acquire()


def test_a_second_process_is_busy_at_once(tmp_path, holder):
    """While another process holds the lock, taking it is refused without waiting: exit 75, and what to do."""
    with pytest.raises(BusyError, match="another batchrunner") as busy:
        RunLock(tmp_path).acquire()
    assert (busy.value.exit_code, bool(busy.value.hint)) == (75, True)
    assert is_locked(tmp_path)


def test_the_lock_is_held_against_others(tmp_path):
    """What this process holds, another one does not get, until it is given up."""
    command = [sys.executable, "-c", TRY, str(tmp_path)]
    with RunLock(tmp_path):
        assert subprocess.run(command, check=False).returncode == 75
    assert not is_locked(tmp_path)


def test_the_lock_of_a_dead_process_is_no_obstacle(tmp_path, holder):
    """Killed with its lock file left behind, the other process holds nothing any more."""
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "lock").exists()
    assert not is_locked(tmp_path)
    with RunLock(tmp_path):
        assert is_locked(tmp_path)


def test_the_lock_is_given_up_at_the_end(tmp_path):
    """After the run, also one that failed, the next one gets the lock; releasing twice does no harm."""
    lock = RunLock(tmp_path)
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    lock.release()
    with RunLock(tmp_path):
        pass


def test_asking_for_the_lock_takes_and_makes_nothing(tmp_path):
    """Whether somebody works there can be asked anywhere, without leaving a file or a lock."""
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "lock").touch()
    assert not is_locked(tmp_path)
    with RunLock(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path):
    """No lock file can be made where there is not a folder."""
    with pytest.raises(StorageError, match="missing"):
        RunLock(tmp_path / "missing").acquire()


# --- network file systems -----------------------------------------------------------------------------


def mount(point: str, kind: str) -> str:
    """A line of /proc/self/mountinfo."""
    return f"36 35 98:0 / {point} rw,noatime master:1 - {kind} source:/export rw,errors=continue\n"


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch):
    """Lets the kernel tell of other mounts; everything else is read as it is."""
    read_text = Path.read_text

    def tell(*lines: str) -> None:
        def read(path: Path, *args: object, **options: object) -> str:
            if str(path) == "/proc/self/mountinfo":
                return "".join(lines)
            return read_text(path, *args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(Path, "read_text", read)

    return tell


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "lustre"])
def test_a_network_file_system_is_refused(tmp_path, mounts, kind):
    """Where neither locks nor fsync can be relied on, no run begins, and nothing is made."""
    mounts(mount("/", "ext4"), mount(str(tmp_path), kind))
    with pytest.raises(UsageError, match=kind.replace(".", r"\.")) as refused:
        RunLock(tmp_path).acquire()
    assert "-o" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "apfs"])
def test_a_local_disk_is_accepted(tmp_path, mounts, kind):
    """A disk of this machine is used, whatever else is mounted beside it."""
    mounts(mount("/", "nfs"), mount(str(tmp_path), kind), mount(f"{tmp_path}-other", "nfs"))
    with RunLock(tmp_path):
        pass


def test_the_nearest_mount_counts(tmp_path, mounts):
    """Below several mounts the innermost decides, and of two at one place the later."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    mounts(mount("/", "nfs"), mount(str(tmp_path), "ext4"), mount(f"{tmp_path}/a", "nfs"))
    with RunLock(tmp_path):
        pass
    with pytest.raises(UsageError):
        RunLock(tmp_path / "a" / "b").acquire()
    mounts(mount(str(tmp_path), "ext4"), mount(str(tmp_path), "nfs4"))
    with pytest.raises(UsageError):
        RunLock(tmp_path).acquire()


@pytest.mark.parametrize("name", ["a b", "back\\slash", "数据", "Übung"])
def test_escaped_names_of_mounts_are_understood(tmp_path, mounts, name):
    """Blanks and the like stand escaped in the kernel's list, other scripts as they are."""
    directory = tmp_path / name
    directory.mkdir()
    escaped = str(directory).replace("\\", "\\134").replace(" ", "\\040")
    mounts(mount("/", "ext4"), mount(escaped, "nfs4"))
    with pytest.raises(UsageError, match="nfs4"):
        RunLock(directory).acquire()


def test_a_link_does_not_hide_where_it_leads(tmp_path, mounts):
    """The file system behind a symbolic link is the one that counts."""
    (tmp_path / "remote").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "remote")
    mounts(mount("/", "ext4"), mount(f"{tmp_path}/remote", "nfs4"))
    with pytest.raises(UsageError, match="nfs4"):
        RunLock(tmp_path / "link").acquire()


def test_where_nothing_tells_of_mounts_the_lock_is_tried(tmp_path, monkeypatch):
    """On a system without such a list the lock is taken."""

    def missing(path: Path, *args: object, **options: object) -> str:
        raise FileNotFoundError(2, "no such file")

    monkeypatch.setattr(Path, "read_text", missing)
    with RunLock(tmp_path):
        pass
