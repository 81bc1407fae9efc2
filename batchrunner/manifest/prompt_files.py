"""Reads prompts from text files, such as captions next to the pictures of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchrunner.core.object_url import is_object_url
from batchrunner.manifest.source import TextFault, read_text
from batchrunner.manifest.value_faults import ValueFault
from batchrunner.media.local_files import inside
from batchrunner.media.missing import hint_for

_MAX_BYTES = 1_000_000
_NAMED = 3


class PromptFault(Exception):
    """A file contains no usable prompt."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class MissingPrompt(Exception):
    """The file does not exist."""


class PromptFiles:
    """The prompt files of a manifest; each is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = folder.resolve()
        self._known: dict[str, str | PromptFault | MissingPrompt] = {}

    def prompt(self, written: str) -> str:
        """The text of a file, without trailing line breaks.

        Raises:
            MissingPrompt: the file does not exist.
            PromptFault: the file contains no usable text.
        """
        known = self._known.get(written)
        if known is None:
            try:
                known = self._read(written)
            except (PromptFault, MissingPrompt) as fault:
                known = fault
            self._known[written] = known
        if isinstance(known, Exception):
            raise known.with_traceback(None)
        return known

    def missing(self, files: list[str]) -> tuple[str, str]:
        """Message and hint for missing prompt files."""
        if len(files) == 1:
            return f"`prompt_file`: file not found: {files[0]}", hint_for(self._folder, files[0])
        rest = f" and {len(files) - _NAMED:,} more" if len(files) > _NAMED else ""
        message = f"{len(files):,} files not found: {', '.join(files[:_NAMED])}{rest}"
        return f"`prompt_file`: {message}", "add them, or correct the path"

    def _read(self, written: str) -> str:
        if is_object_url(written):
            raise PromptFault("prompt files can't be read from a bucket", "copy them beside the manifest")
        try:
            path = inside(self._folder, self._root, written)
            if path is None:
                hint = "move it beside the manifest, or use its absolute path"
                raise PromptFault(f"{written} is outside the manifest's folder", hint)
            if path.is_dir():
                raise PromptFault(f"{written} is a folder", "use a file in it")
            if not path.is_file():
                raise MissingPrompt
            text = read_text(path, _MAX_BYTES)
        except TextFault as fault:
            raise PromptFault(f"{written}: {fault.message}", fault.hint) from fault
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise PromptFault(f"{written!r} can't be read: {reason}", "check its permissions") from error
        # editors and git change line breaks; that doesn't make a new prompt
        text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        if not text.strip():
            raise PromptFault(f"{written} is empty", "write the prompt to it")
        return text


def one_prompt(merged: dict[str, Any], own: Mapping[str, Any]) -> list[ValueFault]:
    """Let an entry's own prompt replace the default one, whether from `prompt` or `prompt_file`."""
    both = [key for key in ("prompt", "prompt_file") if merged.get(key) is not None]
    given = [key for key in both if own.get(key) is not None]
    if len(both) == 2 and len(given) == 1:
        del merged["prompt" if given == ["prompt_file"] else "prompt_file"]
    elif len(both) == 2:
        message = "`prompt` and `prompt_file` can't be used together"
        return [ValueFault(("prompt_file",), message, "delete one of them", on_key=True)]
    return []
