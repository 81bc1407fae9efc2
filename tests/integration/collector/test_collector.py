"""From a finished generation to a verified file: nothing stands under a final name unless it is whole."""

import asyncio
import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

import pytest

from batchrunner.core.errors import StorageError
from batchrunner.core.states import TaskState
from batchrunner.engine.collector import TRIES
from batchrunner.storage.files import remove_part_files

FINAL = "cat.mp4"


def test_a_whole_file_is_named_and_described(bench, answers, video, on_disk):
    """A whole video is under its name, with size, hash and what is in it on record, and nothing beside it."""
    record, files = bench([answers.whole()], [answers.html()])
    assert on_disk() == {FINAL: video}
    assert record.state is TaskState.DONE
    assert (record.size, record.sha256) == (len(video), hashlib.sha256(video).hexdigest())
    assert (record.width, record.height, record.fps, record.duration) == (64, 48, 24.0, 1.0)
    assert record.collected_at
    assert (record.error_code, record.warnings) == ("", ())
    assert files.asked == ["content"]


def test_a_chunked_file_that_is_whole_is_taken(bench, answers, video, on_disk):
    """A body without a length is as good as any other when its boxes are whole."""
    record, _ = bench([answers.chunked(len(video))], [answers.html()])
    assert record.state is TaskState.DONE
    assert on_disk() == {FINAL: video}


def test_the_gateway_gets_the_key_and_the_link_does_not(bench, answers):
    """`/content` is asked with the key; the model's own link, when that fails, without."""
    record, files = bench([answers.reply(502)], [answers.whole()])
    assert record.state is TaskState.DONE
    content, link = files.exchanges
    assert content.path == "/v1/videos/task_0/content"
    assert content.headers["authorization"] == "bearer sk-canary"
    assert link.path == "/files/a.mp4?X-Tos-Signature=abc"
    assert "authorization" not in link.headers


BROKEN = {
    "short": lambda a: a.short(len(a.video) // 2),
    "short by one byte": lambda a: a.short(len(a.video) - 1),
    "nothing": lambda a: a.short(0),
    "cut chunked": lambda a: a.chunked(len(a.video) // 2),
    "cut chunked by one byte": lambda a: a.chunked(len(a.video) - 1),
    "empty": lambda a: a.other(b""),
    "HTML 200": lambda a: a.html(),
    "JSON 200": lambda a: a.reply(200, b'{"error":{"message":"upstream error"}}'),
    "HTML called a video": lambda a: a.other(b"<html><body>Please sign in.</body></html>"),
    "garbage of the right length": lambda a: a.other(hashlib.shake_128(b"seed").digest(len(a.video))),
    "zeros after the head": lambda a: a.other(a.video[:200] + bytes(len(a.video) - 200)),
    "more than it": lambda a: a.other(a.video + b"trailing"),
    "not ready": lambda a: a.reply(400, b'{"error":{"message":"Task is not completed yet"}}'),
    "404": lambda a: a.reply(404, b'{"error":{"message":"Task not found"}}'),
    "502": lambda a: a.reply(502, b'{"error":{"message":"Upstream service returned status 403"}}'),
    "reset": lambda a: a.reset,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_video_missing_from_one_source_comes_from_the_other(bench, answers, video, on_disk, kind):
    """A broken answer of the gateway leads to the model's own link, and the video is whole."""
    record, files = bench([BROKEN[kind](answers)], [answers.whole()])
    assert record.state is TaskState.DONE
    assert on_disk() == {FINAL: video}
    assert files.turns == ["content", "link"]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_never_named(bench, answers, video, on_disk, kind):
    """Where both sources are broken nothing is ever under the name, and the row says why; no POST is made."""
    seen = []

    def noting(answer):
        async def noted(exchange):
            seen.append(FINAL in on_disk())
            await answer(exchange)

        return noted

    answer = noting(BROKEN[kind](answers))
    record, files = bench([answer], [answer])
    assert record.state is TaskState.UNCOLLECTED
    assert record.error_code
    assert record.error_message
    assert on_disk() == {}
    assert not any(seen)
    assert files.turns == ["content", "link"] * (len(TRIES) // 2)
    assert {exchange.method for exchange in files.exchanges} == {"GET"}


def test_sources_are_tried_in_turn(bench, answers, video, on_disk):
    """A gateway that needs a while is asked again after the link has failed, too."""
    record, files = bench([answers.reply(502), answers.reply(502), answers.whole()], [answers.reply(403)])
    assert record.state is TaskState.DONE
    assert files.asked == ["content", "link", "content", "link", "content"]
    assert on_disk() == {FINAL: video}


def test_without_a_link_the_gateway_alone_is_asked(bench, answers):
    """Where the gateway told no link, none is made up."""
    record, files = bench([answers.reply(502)], [answers.whole()], with_link=False)
    assert record.state is TaskState.UNCOLLECTED
    assert set(files.asked) == {"content"}


def test_a_difference_is_a_warning_and_the_video_is_kept(bench, answers, on_disk):
    """A video that is unlike what was asked for was paid for: it is done, with the difference in its row."""
    differs = lambda record, facts: (f"{record.id}: {facts.width}x{facts.height}",)  # noqa: E731
    record, _ = bench([answers.whole()], [answers.html()], differs=differs)
    assert (record.state, record.warnings) == (TaskState.DONE, ("cat: 64x48",))
    assert list(on_disk()) == [FINAL]


def test_bytes_are_durable_before_the_name_and_the_name_before_the_ledger(
    bench, answers, monkeypatch, tmp_path
):
    """fsync of the file, rename, fsync of the folder, then the ledger: a power cut leaves no lie behind."""
    order, fsync, rename = [], os.fsync, os.rename

    def noting_fsync(fd):
        order.append(("fsync", Path(f"/proc/self/fd/{fd}").readlink().suffix or "folder"))
        fsync(fd)

    def noting_rename(source, target, **options):
        order.append(("rename", Path(target).name))
        rename(source, target, **options)

    async def story(parts):
        parts.ledger.observe(lambda event: order.append(("ledger", event.to_state)))
        await parts.collector.collect(parts.tasks[0].key)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "rename", noting_rename)
    bench([answers.whole()], [answers.html()], story)
    assert order == [("fsync", ".part"), ("rename", FINAL), ("fsync", "folder"), ("ledger", "done")]


# --- what already exists ----------------------------------------------------------------------------


def test_a_file_left_by_a_killed_run_is_taken_without_a_download(bench, answers, video, on_disk):
    """Killed between rename and commit, the video is verified where it is: no GET is made."""

    async def story(parts):
        (parts.directory / "videos" / FINAL).write_bytes(video)
        await parts.ledger.note_file(parts.tasks[0].key, hashlib.sha256(video).hexdigest())
        await parts.collector.collect(parts.tasks[0].key)
        return await parts.ledger.task(parts.tasks[0].key), parts.files

    record, files = bench([answers.whole()], [answers.whole()], story)
    assert (record.state, record.size, record.width) == (TaskState.DONE, len(video), 64)
    assert record.sha256 == hashlib.sha256(video).hexdigest()
    assert files.asked == []
    assert on_disk() == {FINAL: video}


def test_a_video_in_the_place_of_the_one_that_was_downloaded_is_not_taken(bench, answers, video, on_disk):
    """Killed before the rename, and another whole MP4 was put there: it stays, the task is uncollected."""
    theirs = video + b"\0\0\0\x08free"

    async def story(parts):
        (parts.directory / "videos" / FINAL).write_bytes(theirs)
        await parts.ledger.note_file(parts.tasks[0].key, hashlib.sha256(video).hexdigest())
        await parts.collector.collect(parts.tasks[0].key)
        return await parts.ledger.task(parts.tasks[0].key), parts.files

    record, files = bench([answers.whole()], [answers.whole()], story)
    assert (record.state, record.error_code) == (TaskState.UNCOLLECTED, "name_taken")
    assert files.asked == []
    assert on_disk() == {FINAL: theirs}


class Killed(BaseException):
    """Ends a story where a kill would."""


def test_killed_after_the_rename_nothing_is_downloaded_again(bench, answers, on_disk, video, monkeypatch):
    """What a run had verified and named before it was killed is known again by the next: one GET for both."""
    rename = os.rename

    def rename_and_die(source, target, **options):
        rename(source, target, **options)
        raise Killed

    async def story(parts):
        monkeypatch.setattr(os, "rename", rename_and_die)
        with pytest.raises(Killed):
            await parts.collector.collect(parts.tasks[0].key)
        monkeypatch.undo()
        assert (await parts.ledger.task(parts.tasks[0].key)).state is TaskState.COLLECTING
        await parts.collector.collect(parts.tasks[0].key)
        return await parts.ledger.task(parts.tasks[0].key), parts.files

    record, files = bench([answers.whole()], [answers.whole()], story)
    assert (record.state, record.sha256) == (TaskState.DONE, hashlib.sha256(video).hexdigest())
    assert files.asked == ["content"]
    assert on_disk() == {FINAL: video}


def test_another_video_under_the_name_is_not_taken_for_ours(bench, answers, video, on_disk):
    """A whole MP4 that is not the one that is downloaded stays what it is, and the task is uncollected."""
    theirs = video + b"\0\0\0\x08free"

    async def story(parts):
        (parts.directory / "videos" / FINAL).write_bytes(theirs)
        await parts.collector.collect(parts.tasks[0].key)
        return await parts.ledger.task(parts.tasks[0].key)

    record = bench([answers.whole()], [answers.whole()], story)
    assert (record.state, record.error_code) == (TaskState.UNCOLLECTED, "name_taken")
    assert on_disk() == {FINAL: theirs}


def test_the_same_video_under_the_name_is_taken(bench, answers, video, on_disk):
    """The ledger is older than the file: the download shows that it is this one; it stays as it is."""

    async def story(parts):
        (parts.directory / "videos" / FINAL).write_bytes(video)
        inode = (parts.directory / "videos" / FINAL).stat().st_ino
        await parts.collector.collect(parts.tasks[0].key)
        assert (parts.directory / "videos" / FINAL).stat().st_ino == inode
        return await parts.ledger.task(parts.tasks[0].key)

    assert bench([answers.whole()], [answers.whole()], story).state is TaskState.DONE
    assert on_disk() == {FINAL: video}


@pytest.mark.parametrize("content", [b"my notes", b"", None], ids=["text", "empty", "cut"])
def test_a_name_that_is_taken_is_left_alone(bench, answers, video, on_disk, content):
    """Something else under the name stays as it is: uncollected, no GET, and the row says what to do."""
    theirs = video[: len(video) // 2] if content is None else content

    async def story(parts):
        (parts.directory / "videos" / FINAL).write_bytes(theirs)
        await parts.collector.collect(parts.tasks[0].key)
        return await parts.ledger.task(parts.tasks[0].key), parts.files

    record, files = bench([answers.whole()], [answers.whole()], story)
    assert (record.state, record.error_code) == (TaskState.UNCOLLECTED, "name_taken")
    assert "move it" in record.error_message
    assert on_disk() == {FINAL: theirs}
    assert files.asked == []


def test_a_folder_of_that_name_is_left_alone(bench, answers):
    """A folder under the name is something else, too, and concerns this task only."""

    async def story(parts):
        (parts.directory / "videos" / FINAL / "theirs").mkdir(parents=True)
        await parts.collector.collect(parts.tasks[0].key)
        assert (parts.directory / "videos" / FINAL / "theirs").is_dir()
        return await parts.ledger.task(parts.tasks[0].key)

    assert bench([answers.whole()], [answers.whole()], story).state is TaskState.UNCOLLECTED


def test_a_file_that_appears_during_the_download_is_not_overwritten(bench, answers, on_disk, tmp_path):
    """Whoever was first keeps the name; the task is not done."""

    async def racing(exchange):
        (tmp_path / "videos" / FINAL).write_bytes(b"theirs")
        await answers.whole()(exchange)

    async def story(parts):
        with suppress(StorageError):
            await parts.collector.collect(parts.tasks[0].key)
        return await parts.ledger.task(parts.tasks[0].key)

    assert bench([racing], [answers.html()], story).state is not TaskState.DONE
    assert on_disk() == {FINAL: b"theirs"}


def test_only_our_own_left_overs_are_removed(tmp_path):
    """Part files of killed runs go; whatever else lies in the folder stays."""
    ours = [".cat.0123abcd.part", ".a b.ffffffff.part"]
    theirs = ["cat.mp4", "cat.part", ".hidden", "notes.txt"]
    for name in (*ours, *theirs):
        (tmp_path / name).touch()
    remove_part_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(theirs)


# --- the disk refuses ---------------------------------------------------------------------------------


def disk_full(*args, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_part_files(path, *args, **options):
    if str(path).endswith(".part"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return os_open(path, *args, **options)


os_open = os.open


@pytest.mark.parametrize(
    ("call", "failing"),
    [("write", disk_full), ("fsync", disk_full), ("rename", disk_full), ("open", no_part_files)],
)
def test_a_disk_that_refuses_is_not_the_gateways_fault(
    bench, answers, on_disk, stored, monkeypatch, call, failing
):
    """The run ends with a storage error, and the task stays collecting: it can still be fetched."""
    files = []

    async def story(parts):
        files.append(parts.files)
        monkeypatch.setattr(os, call, failing)
        try:
            await parts.collector.collect(parts.tasks[0].key)
        finally:
            monkeypatch.undo()

    with pytest.raises(StorageError, match=r"videos/") as refused:
        bench([answers.whole()], [answers.whole()], story)
    assert refused.value.hint
    assert stored().state is TaskState.COLLECTING
    assert on_disk() == {}
    assert files[0].asked == ["content"]  # no second source is asked for the disk's sake


def test_after_a_full_disk_the_same_task_is_collected(bench, answers, on_disk, video, monkeypatch):
    """With room again, collecting goes on where it was."""

    async def story(parts):
        monkeypatch.setattr(os, "write", disk_full)
        with pytest.raises(StorageError):
            await parts.collector.collect(parts.tasks[0].key)
        monkeypatch.undo()
        await parts.collector.collect(parts.tasks[0].key)
        return await parts.ledger.task(parts.tasks[0].key)

    assert bench([answers.whole()], [answers.html()], story).state is TaskState.DONE
    assert on_disk() == {FINAL: video}


# --- several at once, and stopping --------------------------------------------------------------------


def test_no_more_than_the_limit_download_at_once(bench, answers):
    """Of eight videos with a limit of two, two are fetched at the same time, and all in the end."""
    running, most, two = 0, 0, asyncio.Event()

    async def held(exchange):
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            two.set()
        await two.wait()
        await asyncio.sleep(0)
        await answers.whole()(exchange)
        running -= 1

    async def story(parts):
        await asyncio.gather(*(parts.collector.collect(task.key) for task in parts.tasks))
        return await parts.ledger.counts()

    counts = bench([held], [answers.html()], story, ids=[f"cat-{number}" for number in range(8)], limit=2)
    assert counts[TaskState.DONE] == 8
    assert most == 2


def test_a_cancelled_download_leaves_nothing_behind(bench, answers, video, on_disk):
    """Stopped in the middle, the task stays collecting, and neither a part file nor a name is left."""

    async def story(parts):
        half_way = asyncio.Event()
        stalled.append(half_way)
        collecting = asyncio.create_task(parts.collector.collect(parts.tasks[0].key))
        await half_way.wait()
        collecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await collecting
        return await parts.ledger.task(parts.tasks[0].key)

    stalled: list[asyncio.Event] = []

    async def stall(exchange):
        await exchange.reply(200, video[:100] + bytes(2 << 20), "video/mp4", 4 << 20)
        stalled[0].set()
        await asyncio.Event().wait()

    assert bench([stall], [answers.html()], story).state is TaskState.COLLECTING
    assert on_disk() == {}
