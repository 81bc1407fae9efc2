"""Text files read in pieces: the same as read as a whole, and the same faults."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.manifest import source
from batchrunner.manifest.source import FileSource, Source, TextFault, check_utf8, decoded

PIECES = st.sampled_from(["a", "é", "猫", "🐈", "\n", "\r", "\r\n", "\ufeff", "\0", "\u2028", '"x,\ny"']).map(
    str.encode
) | st.binary(max_size=3)
FILES = st.lists(PIECES, max_size=12).map(b"".join)


def shown(error: TextFault) -> str:
    """All that is said about a file."""
    return f"{error.message} {error.hint} {error.line}:{error.column} {error.before}"


def fault(data: bytes, path: Path) -> str:
    """What is wrong with a file when it is read in pieces."""
    path.write_bytes(data)
    with path.open("rb") as file:
        try:
            check_utf8(file, 100)
        except TextFault as error:
            return shown(error)
    return ""


@given(data=FILES, chunk=st.integers(1, 5))
def test_what_is_text_as_a_whole_is_text_in_pieces(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, chunk: int
) -> None:
    """The same fault at the same place, or none and the same text."""
    path = tmp_path_factory.getbasetemp() / "pieces"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_CHUNK", chunk)
        found = fault(data, path)
    text, expected = "", ""
    try:
        text = decoded(data)
    except TextFault as error:
        expected = shown(error)
    assert found == expected
    if not expected:
        with FileSource("a", lambda: path.open("rb")).lines("") as lines:
            assert lines.read() == text


@given(data=FILES, block=st.integers(1, 4), numbers=st.lists(st.integers(-1, 15), max_size=8))
def test_the_quoted_line_is_the_one_of_the_whole_text(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, block: int, numbers: list[int]
) -> None:
    """In any order, and beyond the end."""
    path = tmp_path_factory.getbasetemp() / "lines"
    path.write_bytes(data)
    try:
        whole = Source("a", decoded(data))
    except TextFault:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_BLOCK", block)
        pieces = FileSource("a", lambda: path.open("rb"))
        assert [pieces.line(number) for number in numbers] == [whole.line(number) for number in numbers]


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """One byte more than the limit."""
    assert fault(b"a" * 100, tmp_path / "a") == ""
    assert "larger than 0 MB" in fault(b"a" * 101, tmp_path / "a")
