"""The text files a manifest is made of: read as UTF-8, and quoted where something is wrong in them."""

from __future__ import annotations

import codecs
import re
from functools import cached_property
from pathlib import Path

from batchrunner.core.problems import Place

_BREAK = re.compile("\r\n|[\n\r]")
_YAML_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_SECRET = re.compile(r"sk-[A-Za-z0-9_-]{6,}")
_UNSHOWABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SNIPPET = 200
_OTHER_BOMS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class TextFault(Exception):
    """A file is no text that can be used; `line` and `column` count from 1, 0 where they mean nothing."""

    def __init__(self, message: str, hint: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.hint, self.line, self.column = message, hint, line, column


class Source:
    """A text and the name it is shown under."""

    def __init__(self, shown: str, text: str, is_yaml: bool = False) -> None:
        self.shown = shown
        self.text = text
        self._break = _YAML_BREAK if is_yaml else _BREAK

    @cached_property
    def _lines(self) -> list[str]:
        return self._break.split(self.text)

    def position(self, start: int) -> tuple[int, int]:
        """Line and column, from 1, of the character at an index of the text."""
        lines = self._break.split(self.text[:start])
        return len(lines), len(lines[-1]) + 1

    def place(self, line: int = 0, column: int = 0, row: int = 0) -> Place:
        """A place in this file, with the text of its line; nothing that looks like a key is quoted."""
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        snippet = quotable(text[: max(_SNIPPET, column + _SNIPPET)])
        return Place(self.shown, line, column, row, snippet)


def quotable(text: str) -> str:
    """The text as it may be shown, as long as it was: no API key, nothing that moves a terminal's cursor."""
    text = _UNSHOWABLE.sub("\ufffd", text)
    return _SECRET.sub(lambda found: "sk-" + "*" * (len(found.group()) - 3), text)


def read_text(path: Path, max_bytes: int) -> str:
    """The text of a UTF-8 file, without its BOM.

    Raises:
        TextFault: it is too large, in another encoding, or not text.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TextFault(f"the file is larger than {max_bytes // 1_000_000} MB", "split it into several")
    for bom, name in _OTHER_BOMS.items():
        if data.startswith(bom):
            raise TextFault(f"the file is {name}, not UTF-8", "save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        before = data[: data.index(b"\0")].decode(errors="replace")
        raise TextFault(
            "the file holds a NUL byte, so it is no text", "save it as UTF-8 text", *_end_of(before)
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        raise TextFault(
            f"the file is not UTF-8: byte 0x{data[error.start]:02x} begins no character",
            "save it as UTF-8 (in Excel: CSV UTF-8); it may be GB18030 or another older encoding now",
            *_end_of(before),
        ) from error


def _end_of(text: str) -> tuple[int, int]:
    lines = _BREAK.split(text)
    return len(lines), len(lines[-1]) + 1
