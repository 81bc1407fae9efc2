"""Reads a manifest's text files as UTF-8, and quotes their lines in problems."""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO

from batchrunner.core.problems import Place
from batchrunner.core.text import is_text, quotable

_BREAK = re.compile("\r\n|[\n\r]")
_YAML_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_SNIPPET = 200
_LONGEST_SECRET = 800
"""Characters of an address up to the end of its password, as far as redaction recognizes one."""
_AFTER_ADDRESS = " \t'\"<>"
_CHUNK = 1 << 20
_BLOCK = 10_000
"""How many lines are kept to be quoted."""
_LOOKED_AT = 100_000
"""How many bytes are used to guess an encoding."""
_OTHER_BOMS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class TextFault(Exception):
    """A file is not usable text; `line` and `column` count from 1, or are 0 if they don't apply."""

    def __init__(self, message: str, hint: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.hint, self.line, self.column = message, hint, line, column
        self.before = ""
        """The part of the file that could be read."""
        self.looks_like = ""
        """The encoding that it may actually have."""

    @classmethod
    def undecodable(cls, message: str, hint: str, before: str, looks_like: str = "") -> TextFault:
        """The file stops being text after `before`."""
        lines = _BREAK.split(before)
        fault = cls(message, hint, len(lines), len(lines[-1]) + 1)
        fault.before, fault.looks_like = before, looks_like
        return fault


def _beginning(line: str, length: int) -> str:
    """The beginning of a line, at least `length` characters if it has as many.

    It doesn't end within an address: a password whose host is cut off is no longer recognized as one.
    """
    if len(line) <= length + _LONGEST_SECRET:
        return line
    rest = line[length : length + _LONGEST_SECRET]
    return line[:length] + rest[: max(map(rest.rfind, _AFTER_ADDRESS)) + 1]


class Source:
    """A text and the file name to show for it."""

    def __init__(self, shown: str, text: str, is_yaml: bool = False) -> None:
        self.shown = shown
        self.text = text
        self._break = _YAML_BREAK if is_yaml else _BREAK

    @cached_property
    def _lines(self) -> list[str]:
        return self._break.split(self.text)

    @cached_property
    def _starts(self) -> list[int]:
        """The index of each line's start."""
        return [0, *(found.end() for found in self._break.finditer(self.text))]

    def line(self, number: int) -> str:
        """The text of a line, counted from 1; empty if there is no such line."""
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    def position(self, start: int) -> tuple[int, int]:
        """Line and column, from 1, of the character at an index of the text."""
        line = bisect_right(self._starts, start)
        return line, start - self._starts[line - 1] + 1

    def place(self, line: int = 0, column: int = 0, row: int = 0) -> Place:
        """A place in this file with the text of its line, unless it looks like an API key."""
        snippet = quotable(_beginning(self.line(line), max(_SNIPPET, column + _SNIPPET)))
        return Place(self.shown, line, column, row, snippet)


class FileSource(Source):
    """A file in UTF-8 that is read line by line: it may be too large for memory.

    It is read again to quote its lines.
    """

    def __init__(self, shown: str, opened: Callable[[], BinaryIO]) -> None:
        """`opened` opens it for reading."""
        super().__init__(shown, "")
        self._opened = opened
        self._block: tuple[int, list[str]] = (0, [])

    @contextmanager
    def lines(self, newline: str | None = None) -> Iterator[TextIO]:
        """The text without its BOM; `newline` is as for `open`."""
        with self._opened() as file, TextIOWrapper(file, "utf-8-sig", newline=newline) as text:
            yield text

    def line(self, number: int) -> str:
        """The text of a line, counted from 1; empty if there is no such line."""
        start, lines = self._block
        if number > 0 and not start <= number < start + len(lines):
            start = (number - 1) // _BLOCK * _BLOCK + 1
            with suppress(OSError, ValueError), self.lines() as text:
                block = islice(text, start - 1, start + _BLOCK - 1)
                self._block = start, [line.rstrip("\n") for line in block]
            start, lines = self._block
        return lines[number - start] if start <= number < start + len(lines) else ""


def check_utf8(file: BinaryIO, max_bytes: int) -> None:
    """Check that a file is text in UTF-8, without keeping it in memory; see `decoded`.

    Raises:
        TextFault: it is too large, in another encoding, or not text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    size, is_sound = 0, True
    with suppress(UnicodeDecodeError):
        while is_sound and (data := file.read(_CHUNK)):
            size += len(data)
            is_sound = size <= max_bytes and "\0" not in decoder.decode(data)
        if is_sound:
            decoder.decode(b"", final=True)
            return
    file.seek(0)
    decoded(limited(file, max_bytes))


def read_text(path: Path, max_bytes: int, encoding: str = "") -> str:
    """Read a file as text, without its BOM; an empty `encoding` means strictly UTF-8.

    Raises:
        TextFault: it is too large, in another encoding, or not text.
        OSError: it can't be read.
    """
    return decoded(read_bytes(path, max_bytes), encoding)


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a file.

    Raises:
        TextFault: it is too large.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return limited(file, max_bytes)


def limited(file: BinaryIO, max_bytes: int) -> bytes:
    """The rest of a file.

    Raises:
        TextFault: it is too large.
    """
    data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TextFault(f"the file is larger than {max_bytes // 1_000_000} MB", "split it into several")
    return data


def decoded(data: bytes, encoding: str = "") -> str:
    """Decode bytes as text, without a BOM; an empty `encoding` means strictly UTF-8.

    Raises:
        TextFault: they are in another encoding, or not text.
    """
    name = encoding or "UTF-8"
    for bom, other in _OTHER_BOMS.items():
        if data.startswith(bom) and not encoding:
            fault = TextFault(f"the file is {other}, not UTF-8", "save it as UTF-8")
            fault.looks_like = other.lower()
            raise fault
    if b"\0" in data and not encoding:
        raise _nul(data[: data.index(b"\0")].decode(errors="replace"))
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        other = _likely_encoding(data[error.start : error.start + _LOOKED_AT])
        hint = f"save it as UTF-8 in your editor, or with `iconv -f {other} -t utf-8 OLD > NEW`"
        before = data[: error.start].decode(name, "ignore")
        message = f"the file is not {name}: byte 0x{data[error.start]:02x} is invalid"
        raise TextFault.undecodable(message, hint, before, other) from error
    if "\0" in text:
        raise _nul(text[: text.index("\0")])
    if not is_text(text):  # UTF-7 and a few others can encode lone surrogates
        raise TextFault("the file contains half a surrogate pair", f"save it as UTF-8; it was read as {name}")
    return text.removeprefix("\ufeff")


def _likely_encoding(data: bytes) -> str:
    """Guess GB18030 or Latin-1: Chinese characters are runs of byte pairs, accents single bytes."""
    runs = re.findall(rb"[\x80-\xff]+", data)
    return "gb18030" if sum(len(run) % 2 for run in runs) * 2 < len(runs) else "cp1252"


def _nul(before: str) -> TextFault:
    return TextFault.undecodable(
        "the file contains a NUL byte, so it is not text", "save it as UTF-8 text", before
    )
