"""What becomes of the files of finished videos: noted as it is, and no state changes by it."""

import hashlib
import os

import pytest

from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.engine import video_check
from batchrunner.engine.video_check import look_at_files
from batchrunner.output.results import values
from batchrunner.storage.files import seen_as

VIDEO = b"whole"
SHA256 = hashlib.sha256(VIDEO).hexdigest()


@pytest.fixture
def finished(tmp_path, in_ledger, filled):
    """Tasks whose videos of five bytes were verified and put in place; returns the paths, by id."""

    def make(*ids, seen=True):
        keys, paths = filled(*ids), {}
        (tmp_path / "videos").mkdir(exist_ok=True)

        async def story(ledger):
            for number, key in enumerate(keys):
                task = await ledger.task(key)
                path = paths[task.id] = tmp_path / task.file_name
                path.write_bytes(VIDEO)
                known = {"size": 5, "sha256": SHA256, "collected_at": path.stat().st_mtime + 1}
                known |= {"file_state": "", "file_seen": seen_as(path.stat())} if seen else {}
                await ledger.claim(key, number, None)
                accepted = AttemptFacts(remote_id=f"task_000{number}")
                await ledger.move(key, Move(Event.ACCEPTED, TaskState.GENERATING, facts=accepted))
                await ledger.move(key, Move(Event.SUCCEEDED, TaskState.COLLECTING))
                await ledger.move(key, Move(Event.COLLECTED, TaskState.DONE, facts=AttemptFacts(**known)))

        in_ledger(story)
        return paths

    return make


@pytest.fixture
def look(tmp_path, in_ledger):
    """Looks at the files; returns what was said, and state, file name and warnings of each row."""

    def go(**options):
        async def story(ledger):
            news = await look_at_files(ledger, tmp_path, **options)
            rows = await ledger.read_results(lambda source: [values(row) for row in source.all()])
            return news, [(row["state"], row["file_name"], row["warnings"]) for row in rows]

        return in_ledger(story)

    return go


NAME = "videos/a.mp4"
DONE = (TaskState.DONE, NAME, "")


def edit(path, content, newer=True):
    """Change a file; with `newer`, its time as well, whatever the resolution of the file system's clock."""
    path.write_bytes(content)
    at = path.stat().st_mtime + (100 if newer else -100)
    os.utime(path, (at, at))


def test_a_file_that_is_in_place_is_neither_read_nor_noted(finished, look, monkeypatch):
    """One stat is all that a finished video costs a run."""
    finished("a")
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert look() == ("", [DONE])


def test_a_file_that_was_moved_away_is_reported_once_and_named_in_its_row(finished, look):
    """Done stays done with its file name; the news come once, the warning stays until the file is back."""
    path = finished("a")["a"]
    path.rename(path.with_suffix(".away"))
    news, rows = look()
    assert "collect" in news
    assert "--missing" in news
    assert rows == [(TaskState.DONE, NAME, "videos/a.mp4 was moved or deleted")]
    assert look() == ("", rows)
    path.with_suffix(".away").rename(path)
    assert look() == ("", [DONE])


def test_a_file_that_comes_back_with_another_time_is_read_once(finished, look, monkeypatch):
    """A copy from the archive is the video, whatever its time is."""
    path = finished("a")["a"]
    path.unlink()
    look()
    edit(path, VIDEO)
    assert look() == ("", [DONE])
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert look() == ("", [DONE])


@pytest.mark.parametrize("content", [b"wholesome", b"", b"WHOLE"], ids=["longer", "empty", "edited"])
def test_a_file_that_was_changed_in_place_is_left_alone_with_a_warning(finished, look, content):
    """Another size or other bytes: a warning, no other state, and nothing is overwritten."""
    path = finished("a")["a"]
    edit(path, content)
    for _ in range(2):
        _, rows = look()
        assert rows == [(TaskState.DONE, NAME, f"{NAME} was changed or replaced after the download")]
    assert path.read_bytes() == content
    edit(path, VIDEO)
    assert look() == ("", [DONE])


def test_a_changed_file_that_went_and_came_back_is_still_changed(finished, look):
    """What a changed file looked like is not taken for what the video looked like."""
    path = finished("a")["a"]
    edit(path, b"WHOLE")
    changed = look()[1]
    path.rename(path.with_suffix(".away"))
    assert "moved or deleted" in look()[1][0][2]
    path.with_suffix(".away").rename(path)
    assert look()[1] == changed


def test_a_dangling_link_has_its_own_warning(finished, look):
    """A link into an archive that is not mounted: a warning of its own; mounted, all is well."""
    path = finished("a")["a"]
    archive = path.with_name("archive")
    path.rename(archive)
    path.symlink_to(archive)
    assert look()[1] == [DONE]
    archive.rename(path.with_name("elsewhere"))
    assert look()[1] == [(TaskState.DONE, NAME, f"{NAME} is a broken symlink")]
    path.with_name("elsewhere").rename(archive)
    assert look()[1] == [DONE]


def test_a_folder_in_its_place_is_a_change(finished, look):
    """Whatever has the name is left alone."""
    path = finished("a")["a"]
    path.unlink()
    path.mkdir()
    assert look()[1][0][2].startswith(f"{NAME} was changed")


def test_all_videos_moved_with_their_folder_stay_done(tmp_path, finished, look):
    """The folder itself may be gone."""
    finished("a", "b", "c", "d")
    (tmp_path / "videos").rename(tmp_path / "archive")
    news, rows = look()
    assert news.startswith("4 finished videos")
    assert {state for state, *_ in rows} == {TaskState.DONE}
    assert all(warning for *_, warning in rows)


def test_only_what_is_missing_is_fetched_on_a_persons_word(finished, look):
    """Not what is in place, not what was changed, and not what a link to nowhere stands for."""
    paths = finished("a", "b", "c", "d")
    paths["a"].unlink()
    edit(paths["b"], b"another")
    paths["c"].unlink()
    paths["c"].symlink_to("nowhere")
    look()
    states = [state for state, *_ in look(fetch_missing=True)[1]]
    assert states == [TaskState.COLLECTING, TaskState.DONE, TaskState.DONE, TaskState.DONE]


def test_files_of_an_earlier_version_are_not_hashed_at_every_start(finished, look, monkeypatch):
    """Of such a file the ledger has no time: one that is older than its collecting is taken for it."""
    path = finished("a", seen=False)["a"]
    with monkeypatch.context() as patches:
        patches.setattr(hashlib, "file_digest", None)
        assert look() == ("", [DONE])
    edit(path, b"WHOLE")
    assert look()[1][0][2]


def test_hashing_at_the_start_is_limited(finished, look, monkeypatch):
    """What a look does not come to is left to the next one, and nothing is said of it."""
    path = finished("a")["a"]
    edit(path, b"WHOLE")
    monkeypatch.setattr(video_check, "HASHING", -1.0)
    assert look() == ("", [DONE])
    monkeypatch.undo()
    assert look()[1][0][2]


def test_a_disk_that_refuses_says_nothing_about_the_file(finished, look, monkeypatch):
    """A stat that fails for another reason than absence leaves the row as it was."""
    finished("a")

    def refused(self, **options):
        raise PermissionError(13, "no")

    monkeypatch.setattr(video_check.Path, "stat", refused)
    monkeypatch.setattr("batchrunner.ledger.database.Path.touch", lambda *a, **o: None)
    monkeypatch.setattr("batchrunner.ledger.database.Path.is_dir", lambda *a: False)
    assert look() == ("", [DONE])
