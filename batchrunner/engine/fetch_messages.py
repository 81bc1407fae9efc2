"""What the deciding process and the process that uses a cluster tell each other: one JSON object a line.

The first line to the child is the setup, each other one a request with a number. Each line from the child is
the answer to one number. There is no key in any of them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.outcome import Receipt
from batchrunner.engine.fetcher import FetchRequest
from batchrunner.media import VideoFacts
from batchrunner.storage.video_store import Identity, Kept, Taken


@dataclass(frozen=True, slots=True)
class ClusterSetup:
    """What holds for all fetches of one run."""

    cluster: str
    """`ray`, or `ray://HOST:PORT`."""
    gateway: str
    """The gateway's address: links may lead into a private network only if it is private itself."""
    videos: str
    """URL of the bucket for the videos; empty if they are in the run directory."""
    directory: str
    """The run directory, which a worker uses only if it sees the probe file."""
    probe: str = ""
    """Name of a file in the folder for videos whose content is this name."""

    def line(self) -> str:
        """The setup as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str | bytes) -> ClusterSetup:
        """The setup in a line."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class LeftPart:
    """A verified and synced part file, which a worker left beside the place of its video."""

    part: str
    """Its name, without a folder."""
    facts: VideoFacts
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class NotHere:
    """The cluster can't do it; this says nothing about the video."""

    why: str


FetchAnswer = Kept | Taken | Receipt | LeftPart | NotHere
_KINDS: dict[str, type[FetchAnswer]] = {
    "kept": Kept,
    "taken": Taken,
    "receipt": Receipt,
    "left": LeftPart,
    "not_here": NotHere,
}


def request_line(number: int, wanted: FetchRequest) -> str:
    """A request as one line."""
    return json.dumps({"number": number, "request": asdict(wanted)})


def read_request(line: str | bytes) -> tuple[int, FetchRequest]:
    """The number and the request in a line."""
    message = json.loads(line)
    request = message["request"]
    known = request["identity"]
    remote_id = None if known["remote_id"] is None else RemoteId(known["remote_id"])
    identity = Identity(known["name"], TaskKey(known["fingerprint"]), remote_id, known["sha256"])
    return message["number"], FetchRequest(identity, request["link"], request["largest"])


def answer_line(number: int, answer: FetchAnswer) -> str:
    """An answer as one line."""
    kind = next(name for name, one in _KINDS.items() if isinstance(answer, one))
    return json.dumps({"number": number, kind: asdict(answer)})


def read_answer(line: str | bytes) -> tuple[int, FetchAnswer]:
    """The number and the answer in a line.

    Raises:
        ValueError: it is not an answer.
    """
    try:
        message: dict[str, Any] = json.loads(line)
        number, (kind, values) = int(message.pop("number")), message.popitem()
        if "facts" in values:
            values["facts"] = VideoFacts(**values["facts"])
        return number, _KINDS[kind](**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not an answer") from error
