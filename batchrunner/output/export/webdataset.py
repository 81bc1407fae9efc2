"""Tar files for WebDataset: for each video KEY.mp4, its row as KEY.json, and its prompt as KEY.txt.

The same videos make the same bytes: entries have no times and no owners.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path

from batchrunner.output.export.card import column_lines
from batchrunner.output.export.folder import write_all
from batchrunner.output.export.rows import LABELS, compact
from batchrunner.output.export.samples import Sample, ShardFormat
from batchrunner.output.export.videos import Copier
from batchrunner.storage.files import WRITE_OUT, begin_write_out

_END = 2 * tarfile.BLOCKSIZE


class TarShard:
    """A tar file that is being written, and hashed on its way."""

    def __init__(self, path: Path, copier: Copier) -> None:
        self._copier = copier
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._sha256 = hashlib.sha256()
        self._size = self._dirty = 0

    def add(self, sample: Sample) -> None:
        """Add a video with its row.

        Raises:
            Unusable: it is not the video that was verified; the shard is as before.
        """
        before = self._size, self._sha256.copy()
        try:
            self._write(_entry(f"{sample.name}.mp4", sample.file.size))
            self._copier.copy(sample.file, self._put, also=self._sha256)
            self._pad()
            for ending, data in _texts(sample):
                self._write(_entry(f"{sample.name}.{ending}", len(data)) + data)
                self._pad()
        except BaseException:
            self._size, self._sha256 = before
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
            raise

    def close(self) -> tuple[int, str]:
        """Complete the file, durably; return its size in bytes, and its SHA-256."""
        self._write(bytes(_END + -(self._size + _END) % tarfile.RECORDSIZE))
        os.fsync(self._fd)
        os.close(self._fd)
        return self._size, self._sha256.hexdigest()

    def _pad(self) -> None:
        self._write(bytes(-self._size % tarfile.BLOCKSIZE))

    def _write(self, data: bytes) -> None:
        self._sha256.update(data)
        self._put(memoryview(data))

    def _put(self, data: memoryview) -> None:
        write_all(self._fd, data)
        self._size += len(data)
        self._dirty += len(data)
        if self._dirty >= WRITE_OUT:
            begin_write_out(self._fd, self._size - self._dirty)
            self._dirty = 0


def tar_shards() -> ShardFormat:
    """The format: its shards share the memory for copying."""
    copier = Copier()
    return ShardFormat(".tar", lambda path: TarShard(path, copier), _size, _header)


def _texts(sample: Sample) -> tuple[tuple[str, bytes], ...]:
    """The files beside a video, by ending."""
    row = compact({**sample.row, LABELS.name: compact(sample.labels)})
    return ("json", row.encode()), ("txt", str(sample.row["prompt"]).encode())


def _size(sample: Sample) -> int:
    sizes = (sample.file.size, *(len(data) for _, data in _texts(sample)))
    return sum(tarfile.BLOCKSIZE + size + -size % tarfile.BLOCKSIZE for size in sizes)


def _header() -> str:
    lines = column_lines([LABELS], indent="    ")
    return "\n".join(
        [
            "dataset_info:",
            "  features:",
            "  - name: mp4",
            "    dtype: video",
            "  - name: json",
            "    struct:",
            *lines,
            *(f"  - name: {name}\n    dtype: string" for name in ("txt", "__key__", "__url__")),
        ]
    )


def _entry(name: str, size: int) -> bytes:
    """The header of an entry: readable by everybody, without time and owner."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")
