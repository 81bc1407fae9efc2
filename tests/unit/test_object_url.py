"""Addresses of objects in buckets: which are understood, and that none has parameters or credentials."""

import pytest

from batchrunner.core.object_url import ObjectUrl, is_object_url, object_pattern, object_url


@pytest.mark.parametrize(
    ("text", "bucket", "key"),
    [
        ("s3://films/cat.jpg", "s3://films", "cat.jpg"),
        ("gs://my-bucket.example/a/b c/猫.png", "gs://my-bucket.example", "a/b c/猫.png"),
        ("az://container/a%20b#1+2.jpg", "az://container", "a%20b#1+2.jpg"),
        ("s3://films/..pics/.x", "s3://films", "..pics/.x"),
    ],
)
def test_address_of_an_object(text: str, bucket: str, key: str) -> None:
    """The key is taken as it is: nothing in it is decoded."""
    assert is_object_url(text)
    assert object_url(text) == ObjectUrl(bucket, key)


@pytest.mark.parametrize(
    "text",
    [
        "s3://films",
        "s3://films/",
        "s3://films/a/",
        "s3://films//a.jpg",
        "s3://films/a/../b.jpg",
        "s3://films/./b.jpg",
        "s3:/films/a.jpg",
        "s3:films/a.jpg",
        "S3://films/a.jpg",
        "s3:///a.jpg",
        "s3://key:secret@films/a.jpg",
        "s3://films/a.jpg?X-Amz-Signature=abc",
        "s3://films/a.jpg ",
        "s3://films/a\n.jpg",
    ],
)
def test_mistyped_address(text: str) -> None:
    """It is meant as one, and so is refused as one, rather than looked for on the disk."""
    assert is_object_url(text)
    assert object_url(text) is None


@pytest.mark.parametrize(
    "text", ["photos/s3.jpg", "https://s3.example/a.jpg", "s3", "", "file:///a", 7, None]
)
def test_other_inputs(text: object) -> None:
    """Everything else is."""
    assert not is_object_url(text)


def test_question_mark_in_a_pattern_stands_for_a_character() -> None:
    """There are no parameters in a pattern, either."""
    assert object_pattern("s3://films/a/?.jpg") == ObjectUrl("s3://films", "a/?.jpg")
    assert object_pattern("s3://films/a//?.jpg") is None
