"""Films: shots that continue each other, joined to one MP4 file each, with metadata beside them.

`datasets` reads the folder like any other one with videos. It only grows: a film of which a shot was made
again is another film, with a name of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from batchrunner.core.file_names import METADATA_NAME
from batchrunner.core.plan import folded
from batchrunner.media.joining import Joined, join
from batchrunner.media.reels import NotJoinable
from batchrunner.output.export.card import Card, write_card
from batchrunner.output.export.folder import SetFile, SetFolder, SetRow
from batchrunner.output.export.metadata import metadata_columns, metadata_line
from batchrunner.output.export.rows import Clip, SetColumn, plain_name
from batchrunner.output.export.videos import Unusable, check_video

SPLIT = "train"
"""What the library calls a set that is not divided."""
_FILES = ("*.mp4", METADATA_NAME)
FILM_COLUMNS = (
    SetColumn("id", str, "the ID of the last shot in the manifest"),
    SetColumn("shots", str, "the IDs of all shots, in order"),
    SetColumn("starts", float, "when each shot begins, in seconds: the cuts"),
    SetColumn("durations", float, "the length of each shot, in seconds"),
    SetColumn("prompts", str, "the prompt of each shot"),
    SetColumn("seeds", int, "the seed of each shot"),
    SetColumn("shot_sha256", str, "the hash of each shot's video file"),
    SetColumn("shot_fingerprints", str, "the hash of each shot's request"),
    SetColumn("model", str, "the model that made the shots"),
    SetColumn("tokens", int, "tokens that were charged for all shots"),
    SetColumn("cost", float, "what was charged for all shots, in `currency`; empty if not known for each"),
    SetColumn("currency", str, "the currency of `cost`"),
    SetColumn("duration", float, "the film's length, in seconds"),
    SetColumn("width", int, "in pixels"),
    SetColumn("height", int, "in pixels"),
    SetColumn("fps", float, "frames per second"),
    SetColumn("bytes", int, "the size of the film"),
    SetColumn("sha256", str, "the hash of the film"),
    SetColumn("collected_at", str, "when all shots had been downloaded and verified (ISO 8601, UTC)"),
    SetColumn("run", str, "the name of the run that made the shots"),
    SetColumn("fingerprint", str, "the hash of the last shot's request"),
)


class FilmWriter:
    """Writes films, and metadata.jsonl beside them."""

    def __init__(self, path: Path, recorded: Mapping[str, object]) -> None:
        """`recorded` are the options that must be the same each time, as the user writes them."""
        self._folder = SetFolder(path, recorded)
        self._made: set[str] = set()
        """What identifies every film; see `_identity`."""
        self._names: set[str] = set()
        self.notices = self._folder.notices

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Lock and prepare the folder."""
        with self._folder.opened():
            for row in self._folder.rows():
                self._note(row)
            yield

    def has(self, shots: Sequence[Clip]) -> bool:
        """Whether the folder has the film of these shots."""
        return _identity_of(shots) in self._made

    def add(self, shots: Sequence[Clip], is_only: bool) -> str:
        """Join shots, and return the film's file name.

        `is_only` says whether no other film of this export would have the same name.

        Raises:
            Unusable: they can't be joined, or one is not the video that was verified.
        """
        for shot in shots:
            try:
                check_video(shot.file, verify=True)
            except Unusable as error:
                made = shot.video.row
                raise Unusable(f"the shot {made.id} ({made.file_name}): {error}") from error
        name = self._name(shots, is_only)
        part = self._folder.part(name)
        try:
            joined = join([(shot.file.path, str(shot.row()["id"])) for shot in shots], part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
                digest, size = (
                    hashlib.file_digest(file, "sha256").hexdigest(),
                    os.fstat(file.fileno()).st_size,
                )
        except NotJoinable as error:
            part.unlink(missing_ok=True)
            raise Unusable(str(error)) from error
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        values = _values(shots, joined) | {"bytes": size, "sha256": digest}
        row = SetRow(
            SPLIT, name, {column.name: values[column.name] for column in FILM_COLUMNS}, shots[-1].labels
        )
        self._folder.commit([SetFile(name, SPLIT, 1, size, digest)], [row])
        self._note(row)
        return name

    def finish(self) -> int:
        """Write metadata and card; return the number of films."""
        columns = metadata_columns(dict.fromkeys(name for row in self._folder.rows() for name in row.labels))
        card = Card(self._folder.path.name, FILM_COLUMNS, "; a shot counts in each of its films")
        with self._folder.replacing(METADATA_NAME) as file:
            for row in self._folder.rows():
                card.count(row)
                file.write(metadata_line(row.file, row.values, row.labels, columns))
        write_card(self._folder, card, {SPLIT: _FILES}, info="")
        return card.videos

    def _note(self, row: SetRow) -> None:
        self._made.add(_identity(row.values["fingerprint"], row.values["shot_sha256"]))
        self._names.add(folded(row.file))

    def _name(self, shots: Sequence[Clip], is_only: bool) -> str:
        """The ID of the last shot; if another film is called so, with a part of the film's own hash."""
        last = plain_name(shots[-1].video.row.id)
        name = f"{last}.mp4"
        if last and is_only and folded(name) not in self._names:
            return name
        return "-".join(filter(None, (last, _identity_of(shots)[:8]))) + ".mp4"


def _identity_of(shots: Sequence[Clip]) -> str:
    return _identity(shots[-1].fingerprint, [shot.file.sha256 for shot in shots])


def _identity(fingerprint: str, shot_sha256: Sequence[str]) -> str:
    """What identifies a film: a hash of its last shot's request and of the videos of all its shots."""
    return hashlib.sha256(" ".join([fingerprint, *shot_sha256]).encode()).hexdigest()


def _values(shots: Sequence[Clip], joined: Joined) -> dict[str, object]:
    """What a film's row says, but for its file."""
    rows = [shot.row() for shot in shots]
    last = rows[-1]
    costs = [row["cost"] for row in rows if isinstance(row["cost"], float)]
    tokens = [row["tokens"] for row in rows if isinstance(row["tokens"], int)]
    currencies = {row["currency"] for row in rows}
    is_priced = len(costs) == len(rows) and len(currencies) == 1
    return last | {
        "shots": [row["id"] for row in rows],
        "starts": joined.starts,
        "durations": joined.durations,
        "prompts": [row["prompt"] for row in rows],
        "seeds": [row["seed"] for row in rows],
        "shot_sha256": [row["sha256"] for row in rows],
        "shot_fingerprints": [row["fingerprint"] for row in rows],
        "model": "; ".join(dict.fromkeys(str(row["model"]) for row in rows)),
        "tokens": sum(tokens) if len(tokens) == len(rows) else None,
        "cost": round(sum(costs), 6) if is_priced else None,
        "currency": last["currency"] if is_priced else "",
        "duration": joined.duration,
        "collected_at": max(str(row["collected_at"]) for row in rows),
    }
