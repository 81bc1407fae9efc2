"""Keeps the pictures that videos begin with: a video is made when it is downloaded, after its request."""

import base64
import io
from pathlib import Path
from threading import Lock

from batchrunner.simulator.inputs import fingerprint

_LONGEST_SIDE = 1280  # pixels; larger pictures are kept smaller
_QUALITY = 85  # of the JPEG files


class FirstFrames:
    """A folder of JPEG files, each named after the hash by which the charge book knows its data URI."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writing = Lock()  # requests with the same picture may arrive together

    def keep(self, uri: str) -> None:
        """Keep the picture in a data URI, unless it is kept already or can't be read."""
        path = self._path(fingerprint(uri))
        with self._writing:
            body = None if path.exists() else _reduced(uri)
            if body is None:
                return
            self._directory.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(body)
            part.replace(path)

    def has(self, sha256: str) -> bool:
        """Whether the picture in the data URI with this hash is kept."""
        return self._path(sha256).exists()

    def read(self, sha256: str) -> bytes:
        """The picture in the data URI with this hash."""
        return self._path(sha256).read_bytes()

    def _path(self, sha256: str) -> Path:
        return self._directory / f"{sha256}.jpg"


def _reduced(uri: str) -> bytes | None:
    """The picture in a data URI as a JPEG file; None if there is none that can be read."""
    from PIL import Image  # noqa: PLC0415  a simulator answers sooner without

    file = io.BytesIO()
    try:
        data = base64.b64decode(uri.partition(",")[2])
        with Image.open(io.BytesIO(data)) as image:
            image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
            image.convert("RGB").save(file, "JPEG", quality=_QUALITY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return file.getvalue()
