"""Objects by pattern: found by the rules for files, of which a folder here has the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from batchrunner.core.object_url import ObjectUrl
from batchrunner.manifest.file_lists import PatternFault, find_files
from batchrunner.manifest.object_lists import find_objects
from batchrunner.media.objects import Objects

NAMES = (
    *("b.png", "a.PNG", "c.jpg", ".hidden.png", "sub/d.png", "sub/deep/e.png", "10.png", "9.png", "é.png"),
    *(".git/f.png", "sub/.x/g.png", "run/videos/h.png", "run/videos/.run-id", "run/ledger.sqlite"),
)


class Listed(Objects):
    """A bucket whose objects have these names."""

    def __init__(self, *names: str) -> None:
        self._names, self.asked = names, list[tuple[str, bool]]()

    def names(self, folder: ObjectUrl, deep: bool) -> list[str]:
        """As a storage lists them."""
        self.asked.append((folder.key, deep))
        below = f"{folder.key}/" if folder.key else ""
        found = [name for name in self._names if name.startswith(below)]
        return [name for name in found if deep or "/" not in name.removeprefix(below)]

    def prepare(self, kinds: Mapping[str, str], rules: Any) -> None: ...
    def picture(self, url: str, rules: Any) -> Any: ...
    def head(self, url: str) -> Any: ...
    def host(self, url: str) -> str: ...


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same names on the disk."""
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "*.png",
            "*.[pP][nN][gG]",
            "b.png",
            "sub/*",
            "*/*",
            "**/*.png",
            "sub/**",
            "**",
            "**/deep/**",
            "?.png",
        ),
        *("**/**/e.*", "*/*/e.png", ".h*", "b.png/*", "none/*.png", ".git/*.png", "**/.x/*", "run/**/*"),
        *("run/videos/*", "**/videos/*", "*/videos/*.png", "**/**/**/**/**/**/**/**/e.png", "s[a-u]b/*.png"),
    ],
)
def test_objects_match_as_files_do(pattern: str, folder: Path) -> None:
    """The same names in the same order."""
    found = find_objects(Listed(*NAMES), f"s3://films/{pattern}")
    assert found == [f"s3://films/{name}" for name in find_files(folder, pattern)]


def test_only_what_may_match_is_listed() -> None:
    """The folder up to the first wildcard, and its subfolders only if the pattern leads there."""
    bucket = Listed("a/b/1.png")
    for pattern in ("a/b/*.png", "a/*/1.png", "*.png", "a/b/1.png", "a/**"):
        find_objects(bucket, f"s3://films/{pattern}")
    assert bucket.asked == [("a/b", False), ("a", True), ("", False), ("a/b", False), ("a", True)]


@pytest.mark.parametrize("pattern", ["s3://films", "s3:/films/*.jpg", "S3://films/*", "s3://films/../*.jpg"])
def test_pattern_that_is_none(pattern: str) -> None:
    """It is refused before anything is asked for."""
    with pytest.raises(PatternFault, match="not a pattern of objects"):
        find_objects(Listed(), pattern)


@pytest.mark.parametrize("name", ["x\ny.gif", "\x1b[2J.gif"])
def test_name_that_is_no_text_is_refused(name: str) -> None:
    """It could neither be shown nor written into a CSV."""
    with pytest.raises(PatternFault, match="is not valid text"):
        find_objects(Listed(name), "s3://films/*")
