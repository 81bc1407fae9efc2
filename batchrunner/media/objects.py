"""What the checks of a manifest need of inputs that are in buckets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from batchrunner.core.object_url import ObjectUrl
from batchrunner.media.picture_files import MediaFault, PictureFile, PictureRules


class ToldBefore(MediaFault):
    """A fault of a whole bucket, which was reported with another one of its objects."""


class ObjectHead(NamedTuple):
    """The beginning of an object that is not a picture."""

    size: int
    """Of the whole object, in bytes."""
    head: bytes


class Objects(Protocol):
    """Inputs in buckets. Each is read once."""

    def prepare(self, kinds: Mapping[str, str], rules: PictureRules) -> None:
        """Read many at once, so that the other methods answer quickly; `kinds` has image, video or audio."""

    def picture(self, url: str, rules: PictureRules) -> PictureFile:
        """What is known about a picture; its content is read unless that is known from before.

        Raises:
            MediaFault: it can't be read.
        """

    def head(self, url: str) -> ObjectHead:
        """The beginning of a video or sound.

        Raises:
            MediaFault: it can't be read.
        """

    def host(self, url: str) -> str:
        """The host in the links that are made to an object."""

    def names(self, folder: ObjectUrl, deep: bool) -> list[str]:
        """The keys of the objects in a folder; with `deep`, also of those in its subfolders.

        Raises:
            MediaFault: it can't be read.
        """


OpenObjects = Callable[[], Objects]
"""Called when a manifest's first input in a bucket is found; returns the same each time."""
