"""Parquet shards with a column of videos, as `datasets` knows it: their bytes, or the paths to them."""

from __future__ import annotations

import hashlib
import io
import json
import os
from array import array
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrunner.core.errors import UsageError
from batchrunner.output.export.card import KINDS, column_lines
from batchrunner.output.export.folder import write_all
from batchrunner.output.export.rows import COLUMNS, LABELS, compact
from batchrunner.output.export.samples import Sample, ShardFormat
from batchrunner.output.export.videos import Copier, check_video
from batchrunner.storage.files import WRITE_OUT, begin_write_out

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

VIDEO = "video"
GROUP_ROWS = 1000
"""In a row group, which is what readers load at once."""
GROUP_BYTES = 16 << 20
"""The same for the size of its videos."""


class ParquetShard:
    """A parquet file that is being written, and hashed on its way."""

    def __init__(self, path: Path, pyarrow: Any, copier: Copier | None, verify: bool) -> None:
        """Without a `copier`, the file has the paths of the videos."""
        parquet = import_module("pyarrow.parquet")
        self._pyarrow, self._copier, self._verify = pyarrow, copier, verify
        self._file = _HashedFile(path)
        self._schema = _schema(pyarrow)
        texts = {column.name for column in (*COLUMNS, LABELS) if column.kind is str}
        self._writer = parquet.ParquetWriter(
            self._file,
            self._schema,
            compression=dict.fromkeys((f"{VIDEO}.bytes", f"{VIDEO}.path"), "NONE")
            | dict.fromkeys((column.name for column in (*COLUMNS, LABELS)), "ZSTD"),
            use_dictionary=list(texts),  # no two videos are the same
            write_statistics=[column.name for column in COLUMNS if column.name not in texts],
        )
        self._begin_group()

    def add(self, sample: Sample) -> None:
        """Add a video with its row.

        Raises:
            Unusable: it is not the video that was verified; the shard is as before.
        """
        before = len(self._bytes)
        if self._copier:
            try:
                self._copier.copy(sample.file, self._bytes.extend)
            except BaseException:
                del self._bytes[before:]
                raise
            path = f"{sample.name}.mp4"
        else:
            check_video(sample.file, self._verify)
            path = str(sample.file.path)
        self._ends.append(len(self._bytes))
        self._paths.append(path)
        self._rows.append({**sample.row, LABELS.name: compact(sample.labels)})
        if len(self._rows) >= GROUP_ROWS or len(self._bytes) >= GROUP_BYTES:
            self._write()

    def close(self) -> tuple[int, str]:
        """Complete the file, durably; return its size in bytes, and its SHA-256."""
        self._write()
        self._writer.close()
        self._file.close()
        return self._file.size, self._file.sha256.hexdigest()

    def _write(self) -> None:
        """Write a row group."""
        if not self._rows:
            return
        pyarrow, (_, *others) = self._pyarrow, self._schema
        columns = [
            self._videos(),
            *(pyarrow.array([row[one.name] for row in self._rows], one.type) for one in others),
        ]
        table = pyarrow.Table.from_arrays(columns, schema=self._schema)
        self._writer.write_table(table, row_group_size=len(self._rows))
        self._begin_group()

    def _begin_group(self) -> None:
        self._bytes, self._ends = bytearray(), array("i", [0])
        self._paths: list[str] = []
        self._rows: list[dict[str, object]] = []

    def _videos(self) -> Any:
        """The column of the videos; their bytes are not copied: they are most of the memory."""
        pyarrow, number = self._pyarrow, len(self._rows)
        if self._copier:
            buffers = [None, pyarrow.py_buffer(self._ends), pyarrow.py_buffer(self._bytes)]
            content = pyarrow.Array.from_buffers(pyarrow.binary(), number, buffers)
        else:
            content = pyarrow.nulls(number, pyarrow.binary())
        return pyarrow.StructArray.from_arrays([content, pyarrow.array(self._paths)], names=["bytes", "path"])


def parquet_shards(embed: bool, verify: bool) -> ShardFormat:
    """The format, with the bytes of the videos or, unless `embed`, with their paths.

    Raises:
        UsageError: pyarrow is not installed.
    """
    try:
        pyarrow = import_module("pyarrow")  # slow, and optional
    except ImportError as error:
        raise UsageError(
            "--format parquet needs pyarrow, which is not installed",
            "run `pip install 'batchrunner[tables]'`",
        ) from error
    copier = Copier() if embed else None
    info = "\n".join(
        ["dataset_info:", "  features:", f"  - name: {VIDEO}", "    dtype: video", *column_lines([LABELS])]
    )

    def size(sample: Sample) -> int:
        # Rows are compressed when they are written; before that, they count whole.
        return len(compact(sample.row).encode()) + (sample.file.size if embed else 0)

    return ShardFormat(
        ".parquet",
        lambda path: ParquetShard(path, pyarrow, copier, verify),
        size,
        lambda: info,
        f"pyarrow {pyarrow.__version__}",
    )


class _HashedFile(io.RawIOBase):
    """A file that is hashed while it is written; closing it makes it durable."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hash")
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self.sha256 = hashlib.sha256()
        self.size = self._dirty = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data).cast("B")
        hashing = self._thread.submit(self.sha256.update, view)
        try:
            write_all(self._fd, view)
        finally:
            hashing.result()
        self.size += len(view)
        self._dirty += len(view)
        if self._dirty >= WRITE_OUT:
            begin_write_out(self._fd, self.size - self._dirty)
            self._dirty = 0
        return len(view)

    def close(self) -> None:
        if not self.closed:
            self._thread.shutdown()
            os.fsync(self._fd)
            os.close(self._fd)
        super().close()


def _schema(pyarrow: Any) -> Any:
    """The columns with their descriptions, and what makes `datasets` take the first one for videos."""
    features: dict[str, dict[str, str]] = {VIDEO: {"_type": "Video"}}
    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    fields = [pyarrow.field(VIDEO, kind, metadata={"description": "the video file"})]
    for column in (*COLUMNS, LABELS):
        features[column.name] = {"dtype": KINDS[column.kind], "_type": "Value"}
        kind = pyarrow.type_for_alias(KINDS[column.kind])
        fields.append(pyarrow.field(column.name, kind, metadata={"description": column.text}))
    info = {"huggingface": json.dumps({"info": {"features": features}})}
    return pyarrow.schema(fields, metadata=info)
