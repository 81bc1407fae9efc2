"""Lets the `datasets` library load a run directory as it stands.

For `load_dataset("videofolder", data_dir=DIR)`, metadata.jsonl is enough, unless the name of a file looks
like that of a split: then the library reads only such files. It prefers folders with such names, and metadata
must lie above its videos; so there is a folder `train` with links to both. For `load_dataset(DIR)`, which
takes any table for data, a hidden file says which files are meant.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from batchrunner.core.file_names import METADATA_NAME, VIDEOS
from batchrunner.output.export.metadata import feature_lines
from batchrunner.storage.files import write_over

CONFIG = ".huggingface.yaml"
_MARK = "# Written by batchrunner. Remove this line to keep a version of your own."
TRAIN = "train"
is_like_a_split = re.compile(
    r"(?:^|[-._ 0-9])(?:train(?:ing)?|valid(?:ation)?|val|dev|test(?:ing)?|eval(?:uation)?)[-._ 0-9]"
).search


def show_as_dataset(directory: Path, columns: Sequence[str], sha256: str) -> None:
    """Add what the library needs to a run directory whose metadata.jsonl has this hash; empty for none.

    `columns` are those of labels.

    Raises:
        StorageError: the disk returned an error.
    """
    config, text = directory / CONFIG, _config(columns, sha256)
    if not sha256 and not config.exists():
        return
    there = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else ""
    if there != text and (not there or there.startswith(_MARK)):
        write_over(config, text.encode())
    with suppress(OSError):  # a file system without links
        _link_train(directory)


def _config(columns: Sequence[str], sha256: str) -> str:
    """What to load. The library takes its copy of an earlier version unless something here has changed."""
    lines = [
        _MARK,
        "configs:",
        "- config_name: default",
        f"  description: metadata.jsonl {sha256}",
        "  data_files:",
        "  - split: train",
        f'    path: [{METADATA_NAME}, "{VIDEOS}/*.mp4"]',
        *feature_lines(columns),
    ]
    return "\n".join(lines) + "\n"


def _link_train(directory: Path) -> None:
    links = {METADATA_NAME, VIDEOS}
    train = directory / TRAIN
    if train.exists():
        if not set(_names(train)) < links:  # complete, or somebody else's
            return
    elif not any(map(is_like_a_split, [*_names(directory), *_names(directory / VIDEOS)])):
        return
    train.mkdir(exist_ok=True)
    for name in links:
        with suppress(FileExistsError):
            (train / name).symlink_to(Path("..", name))


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]
