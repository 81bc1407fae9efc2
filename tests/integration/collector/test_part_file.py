"""The file that a download is written to."""

from batchrunner.storage.files import PartFile


def test_a_write_that_comes_after_discard_creates_nothing(tmp_path):
    """A thread that was late must not bring a removed part file back."""
    part = PartFile(tmp_path / "a.mp4")
    part.write(b"first")
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    part.discard()
    part.write(b"second")
    assert list(tmp_path.iterdir()) == []
