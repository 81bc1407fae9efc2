"""What an export and the process that uses a cluster tell each other about shards to make."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from batchrunner.engine import cluster_messages as messages
from batchrunner.engine.cluster_messages import NotHere, Work
from batchrunner.output.export.samples import Sample
from batchrunner.output.export.videos import VideoFile

_PART_NAME = re.compile(r"\.[^/\0]+\.[0-9a-f]{8}\.part")


@dataclass(frozen=True, slots=True)
class ShardSetup:
    """What holds for all shards of one export."""

    cluster: str
    """`ray`, or `ray://HOST:PORT`."""
    folder: str
    """The folder of the set, which a worker uses only if it sees the probe file."""
    format: str
    embed: bool
    verify: bool
    library: str
    """What must write the shards, with its version, so that all are as if made here."""
    probe: str = ""
    """Name of a file in the folder whose content is this name."""

    def line(self) -> str:
        """The setup as one line."""
        return messages.setup_line(Work.SHARD, asdict(self))

    @classmethod
    def read(cls, line: str | bytes) -> ShardSetup:
        """The setup in a line."""
        return cls(**messages.read_setup(line)[1])


@dataclass(frozen=True, slots=True)
class LeftShard:
    """A complete shard, which a worker left in the folder of the set."""

    part: str
    """Its temporary name, without a folder."""
    size: int
    sha256: str

    @property
    def is_named_as_a_part(self) -> bool:
        """Whether its name is that of a temporary file in the folder."""
        return bool(_PART_NAME.fullmatch(self.part))


def shard_request(split: str, samples: Sequence[Sample]) -> Mapping[str, object]:
    """The request for a shard."""
    return {"split": split, "samples": [_sample_values(sample) for sample in samples]}


def read_request(line: str | bytes) -> tuple[int, str, list[Sample]]:
    """The number, the split and the samples in a line."""
    number, _, request = messages.read_request(line)
    return number, request["split"], [_sample(values) for values in request["samples"]]


def answer_line(number: int, answer: LeftShard | NotHere) -> str:
    """An answer as one line."""
    if isinstance(answer, NotHere):
        return messages.not_here_line(number, answer.why)
    return messages.answer_line(number, "shard", asdict(answer))


def read_answer(line: str | bytes) -> tuple[int, LeftShard | NotHere]:
    """The number and the answer in a line.

    Raises:
        ValueError: it is not an answer.
    """
    number, kind, values = messages.read_answer(line)
    try:
        kinds: dict[str, type[LeftShard | NotHere]] = {"shard": LeftShard, "not_here": NotHere}
        found: Any = kinds[kind](**values)
    except (KeyError, TypeError) as error:
        raise ValueError("not an answer") from error
    return number, found


def _sample_values(sample: Sample) -> dict[str, object]:
    file = asdict(sample.file) | {"path": str(sample.file.path)}
    return {"name": sample.name, "file": file, "row": dict(sample.row), "labels": dict(sample.labels)}


def _sample(values: dict[str, Any]) -> Sample:
    file = VideoFile(**values["file"] | {"path": Path(values["file"]["path"])})
    return Sample(values["name"], file, values["row"], values["labels"])
