"""What the deciding process and the process that uses a cluster tell each other about videos to fetch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.outcome import Receipt
from batchrunner.engine import cluster_messages as messages
from batchrunner.engine.cluster_messages import NotHere, Work
from batchrunner.engine.fetcher import FetchRequest, KeptPicture, PictureRequest
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
        return messages.setup_line(Work.FETCH, asdict(self))

    @classmethod
    def read(cls, line: str | bytes) -> ClusterSetup:
        """The setup in a line."""
        return cls(**messages.read_setup(line)[1])


@dataclass(frozen=True, slots=True)
class LeftPart:
    """A verified and synced part file, which a worker left beside the place of its video."""

    part: str
    """Its name, without a folder."""
    facts: VideoFacts
    sha256: str
    size: int


FetchAnswer = Kept | Taken | Receipt | LeftPart | KeptPicture
_KINDS: dict[str, type[FetchAnswer | NotHere]] = {
    "kept": Kept,
    "taken": Taken,
    "receipt": Receipt,
    "left": LeftPart,
    "picture": KeptPicture,
    "not_here": NotHere,
}


def read_request(line: str | bytes) -> tuple[int, FetchRequest | PictureRequest]:
    """The number and the request in a line."""
    number, _, request = messages.read_request(line)
    if "identity" not in request:
        return number, PictureRequest(**request)
    known = request["identity"]
    remote_id = None if known["remote_id"] is None else RemoteId(known["remote_id"])
    identity = Identity(known["name"], TaskKey(known["fingerprint"]), remote_id, known["sha256"])
    return number, FetchRequest(identity, request["link"], request["largest"])


def answer_line(number: int, answer: FetchAnswer | NotHere) -> str:
    """An answer as one line."""
    kind = next(name for name, one in _KINDS.items() if isinstance(answer, one))
    return messages.answer_line(number, kind, asdict(answer))


def read_answer(line: str | bytes) -> tuple[int, FetchAnswer | NotHere]:
    """The number and the answer in a line.

    Raises:
        ValueError: it is not an answer.
    """
    number, kind, values = messages.read_answer(line)
    try:
        if "facts" in values:
            values["facts"] = VideoFacts(**values["facts"])
        found: Any = _KINDS[kind](**values)
    except (KeyError, TypeError) as error:
        raise ValueError("not an answer") from error
    return number, found
