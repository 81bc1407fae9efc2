"""URLs of places for videos."""

import json
from pathlib import Path

import pytest

from batchrunner.core.video_url import EXPECTED, PATTERN, folder_of, is_in_bucket, is_place, normal


@pytest.mark.parametrize(
    "url",
    [
        *("s3://bucket", "s3://my-bucket.eu/a/b_c=1/", "gs://b/cats", "az://container/2026-11-29"),
        *("file:///data", "file:///mnt/my nas/猫/"),
    ],
)
def test_places(url: str) -> None:
    """A bucket, and perhaps a prefix; or a folder."""
    assert is_place(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "bucket/cats",
            "s3://",
            "s3:///cats",
            "http://host/bucket",
            "S3://bucket",
            "file://",
            "file:///",
            "file://host/a",
            "file:data",
            "file:///a%20b",
        ),
        *("s3://key:secret@bucket/cats", "s3://bucket/cats?X-Amz-Signature=1", "s3://bucket/a#b"),
        *(
            "s3://bucket/../other",
            "s3://bucket/.hidden",
            "s3://bucket//a",
            "s3://bucket/a b",
            "s3://bucket/猫",
        ),
        "s3://bucket/a\n",
    ],
)
def test_other_urls(url: str) -> None:
    """Credentials and parameters in it, or a path that providers encode in different ways."""
    assert not is_place(url)


def test_schema_has_the_same_pattern() -> None:
    """The manifest and the option accept the same URLs, with the same words."""
    schema = json.loads(Path("schemas/manifest.schema.json").read_text(encoding="utf-8"))
    videos = schema["properties"]["run"]["properties"]["videos"]
    assert (videos["pattern"], videos["patternErrorMessage"]) == (PATTERN, EXPECTED)


@pytest.mark.parametrize(
    ("url", "folder", "in_bucket"),
    [("file:///a/b c", "/a/b c", False), ("s3://b/x", "", True), ("", "", False)],
)
def test_kinds_of_places(url: str, folder: str, in_bucket: bool) -> None:
    """A folder is on this machine, and needs no library."""
    assert (folder_of(url), is_in_bucket(url)) == (folder, in_bucket)


def test_slash_at_the_end_makes_no_difference() -> None:
    """Both are the same place to the ledger."""
    assert normal("s3://bucket/cats/") == "s3://bucket/cats"
