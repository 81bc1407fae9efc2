"""A browser plays a film like any other video."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchrunner.media.joining import join
from tests.harness.browser import browsing
from tests.harness.clips import Look, video

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser; it takes a second to start."""
    with browsing() as browser:
        yield browser


WATCH = """async ([film, times]) => {
  const video = document.createElement("video"), canvas = document.createElement("canvas");
  const happens = name => new Promise((done, fail) => {
    video.addEventListener(name, done, {once: true});
    video.addEventListener("error", () => fail(video.error.message), {once: true});
  });
  let ready = happens("loadeddata");
  video.muted = true;
  video.src = "data:video/mp4;base64," + film;
  await ready;
  const shades = [];
  for (const time of times) {
    const found = happens("seeked");
    video.currentTime = time;
    await found;
    const brush = canvas.getContext("2d");
    brush.drawImage(video, 0, 0);
    shades.push(brush.getImageData(1, 1, 1, 1).data[0]);
  }
  const start = happens("seeked"), end = happens("ended");
  video.currentTime = 0;
  await start;
  video.playbackRate = 4;
  await video.play();
  await end;
  return [video.duration, video.videoWidth, shades];
}"""


@pytest.mark.parametrize("details", ["", "ref=5:crf=33"], ids=["alike", "other-parameter-sets"])
def test_a_browser_plays_a_film_to_its_end(tmp_path: Path, browser: Browser, details: str) -> None:
    """Its length is right, and each shot is seen where it begins."""
    paths = [tmp_path / f"{shade}.mp4" for shade in (20, 120, 200)]
    for path, more in zip(paths, ("", details, ""), strict=True):
        path.write_bytes(video(Look(24, int(path.stem), details=more)))
    join([(path, path.stem) for path in paths], tmp_path / "film.mp4")
    page = browser.new_page()
    content = base64.b64encode((tmp_path / "film.mp4").read_bytes()).decode()
    duration, width, shades = page.evaluate(WATCH, [content, [0.02, 1.02, 2.02, 1.02]])
    assert duration == pytest.approx(3, abs=0.002)
    assert width == 96
    assert shades[0] < shades[1] < shades[2]
    assert shades[1] == shades[3]
