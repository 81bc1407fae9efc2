"""The formats whose files are shards, by name."""

from __future__ import annotations

from batchrunner.output.export.parquet import parquet_shards
from batchrunner.output.export.samples import ShardFormat
from batchrunner.output.export.webdataset import tar_shards


def shard_format(name: str, embed: bool, verify: bool) -> ShardFormat:
    """A format, by its name for `--format`; the other values are those options, if it has them.

    Raises:
        UsageError: a library is missing.
    """
    return tar_shards() if name == "webdataset" else parquet_shards(embed, verify)
