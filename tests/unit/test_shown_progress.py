"""How far a long step has come, as a terminal shows it."""

import io
import sys
import time

import pytest

from batchrunner.cli.shown_progress import ShownProgress


@pytest.mark.parametrize(
    ("is_terminal", "is_quiet", "said"),
    [
        (True, False, "pictures: 2,000 of 9,000\npictures: 4,000\n"),
        (False, False, ""),
        (True, True, ""),
    ],
)
def test_it_is_said_now_and_then_to_who_watches(
    is_terminal: bool,
    is_quiet: bool,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On a terminal, once in so many seconds; a log shows nothing, nor does `--quiet`."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    progress = ShownProgress("pictures", every=5.0, is_quiet=is_quiet)
    for seconds, done, total in ((4.9, 1000, 9000), (0.1, 2000, 9000), (4.9, 3000, None), (5.0, 4000, None)):
        now[0] += seconds
        progress(done, total)
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("stream", [None, object(), "closed"])
def test_who_has_no_terminal_is_told_nothing(stream: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of the Python API may have put anything in the place of stderr, or nothing."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream == "closed" else stream)
    progress = ShownProgress("pictures", every=0.0)
    progress(1)
