"""Drafts a manifest from a folder of pictures, or of prompts in text files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from batchrunner.core.errors import UsageError
from batchrunner.core.text import count
from batchrunner.manifest.drafts.places import written
from batchrunner.manifest.drafts.text import Draft, DraftField, DraftKey
from batchrunner.manifest.file_lists import PatternFault, find_files

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic", ".heif"})
_MOST_NAMED = 3
_ANY_PROMPT = "The scene comes gently to life, with a slow camera move"


def draft_from_folder(folder: Path, manifest: Path) -> Iterator[Draft]:
    """Drafts of a manifest with one task per picture, or else per text file; the simplest comes first.

    Raises:
        UsageError: it has neither, or only some of the pictures have a prompt.
    """
    for pattern in ("*", "**/*"):
        files = _found(folder, pattern)
        pictures = [file for file in files if PurePath(file).suffix.lower() in PICTURES]
        prompts = [file for file in files if PurePath(file).suffix == ".txt"]
        if pictures:
            return _variants(_of_pictures(folder, manifest, pattern, pictures, prompts), pattern)
        if prompts:
            prompt = DraftKey("prompt_file", "${file}", "the whole file is one prompt")
            draft = Draft(_named(folder), (_files(folder, manifest, pattern, prompts), prompt))
            return _variants(draft, pattern)
    raise UsageError(
        f"no pictures in {folder}",
        f"pass a folder of pictures ({', '.join(sorted(PICTURES))}) or of .txt prompts, or a file of rows",
    )


def _found(folder: Path, pattern: str) -> list[str]:
    try:
        return find_files(folder, pattern)
    except PatternFault as fault:
        raise UsageError(fault.message, fault.hint) from fault


def _named(folder: Path) -> str:
    return f"the folder {PurePath(os.path.normpath(folder.absolute())).name}"


def _files(folder: Path, manifest: Path, pattern: str, files: list[str]) -> DraftKey:
    place = glob.escape(written(folder, manifest))
    start = "" if place == "." else f"{place.rstrip('/')}/"
    suffixes = dict.fromkeys(PurePath(file).suffix for file in files)
    patterns = [f"{start}{pattern}{suffix}" for suffix in suffixes]
    return DraftKey("files", patterns if len(patterns) > 1 else patterns[0], "one task per file")


def _of_pictures(
    folder: Path, manifest: Path, pattern: str, pictures: list[str], prompts: list[str]
) -> Draft:
    bases = {prompt.removesuffix(".txt") for prompt in prompts}
    without = [file for file in pictures if PurePath(file).with_suffix("").as_posix() not in bases]
    prompt = DraftKey("prompt", _ANY_PROMPT, "for every picture: describe what happens in yours")
    notes: tuple[str, ...] = ("prompt: the same example for every picture; write your own before you run it",)
    if len(without) < len(pictures):
        if without:
            named = ", ".join(without[:_MOST_NAMED]) + (", …" if len(without) > _MOST_NAMED else "")
            raise UsageError(
                f"{count(len(without), 'picture')} of {len(pictures):,} without a prompt: {named}",
                "write the prompt of each picture into a .txt file of the same name, or move the others away",
            )
        prompt, notes = DraftKey("prompt_file", "${base}.txt", "the text next to each picture"), ()
    files = _files(folder, manifest, pattern, pictures)
    return Draft(_named(folder), (files, DraftKey("image", "${file}"), prompt), ratio="adaptive", notes=notes)


def _variants(draft: Draft, pattern: str) -> Iterator[Draft]:
    """The draft, with IDs that are unique although names are equal, and with pictures made smaller."""
    ids = ["", "${name}", *(["${folder}-${stem}", "${folder}-${name}"] if "/" in pattern else [])]
    for one in ids:
        named = replace(draft, fields=(DraftField(("id",), one), *draft.fields)) if one else draft
        yield named
        if draft.ratio == "adaptive":
            yield replace(named, fit=True)
