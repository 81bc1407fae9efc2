"""How a drafted manifest names the files that it is made from."""

from __future__ import annotations

import os
from pathlib import Path, PurePath


def written(target: Path, manifest: Path) -> str:
    """The path of a file as a manifest names it: relative if it is in the manifest's folder or below.

    Symlinks are not followed: the manifest names what the user named.
    """
    path = PurePath(os.path.normpath(target.absolute()))
    folder = PurePath(os.path.normpath(manifest.absolute())).parent
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
