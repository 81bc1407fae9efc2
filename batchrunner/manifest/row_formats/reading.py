"""Checks the options next to `rows` that say how to read the file."""

from __future__ import annotations

import codecs

from batchrunner.core.text import closest
from batchrunner.manifest.row_formats.table import Reading
from batchrunner.manifest.schema import schema
from batchrunner.manifest.value_faults import ValueFault

_NO_ENCODINGS = frozenset({"unicode-escape", "raw-unicode-escape", "punycode", "idna"})
"""Python's text encodings that are not used for files."""
_WORDS = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "pipe": "|",
    "colon": ":",
    "\\t": "\t",
}
_NO_DELIMITERS = frozenset("\"'\r\n \0\ufeff")
_BELONGS = {
    "encoding": (frozenset({".csv", ".tsv", ".txt", ".jsonl", ".json"}), "text files, such as .csv"),
    "delimiter": (frozenset({".csv", ".tsv"}), ".csv and .tsv files"),
    "sheet": (frozenset({".xlsx"}), ".xlsx files"),
}
"""The file extensions that each option applies to."""


def checked(reading: Reading, ending: str) -> tuple[Reading, list[ValueFault]]:
    """The options for a reader, and their faults."""
    faults = [
        ValueFault(
            (key,), f"`{key}` does not apply to {ending} files, only to {kinds}", "delete it", on_key=True
        )
        for key, (endings, kinds) in _BELONGS.items()
        if getattr(reading, key) and ending not in endings
    ]
    if reading.encoding and not _is_encoding(reading.encoding):
        faults.append(_unknown_encoding(reading.encoding))
    delimiter = _WORDS.get(reading.delimiter.lower(), reading.delimiter)
    if delimiter and (len(delimiter) > 1 or delimiter.isalnum() or delimiter in _NO_DELIMITERS):
        near = closest(delimiter.lower(), tuple(_WORDS))
        hint = f"did you mean {near}?" if near else 'use one character, such as ";", or the word tab'
        faults.append(ValueFault(("delimiter",), f"invalid `delimiter`: {reading.delimiter!r}", hint))
    return reading._replace(delimiter=delimiter), faults


def _is_encoding(name: str) -> bool:
    """Whether it is a text encoding that Python can decode."""
    try:
        b"a".decode(name, "ignore")
        return codecs.lookup(name).name not in _NO_ENCODINGS
    except (LookupError, ValueError):
        return False


def _unknown_encoding(name: str) -> ValueFault:
    known = schema("manifest")["$defs"]["entry"]["properties"]["encoding"]["anyOf"][0]["enum"]
    near = closest(name.lower(), known)
    hint = f"did you mean {near}?" if near else f"use one of: {', '.join(known)}"
    return ValueFault(("encoding",), f"unknown `encoding`: {name!r}", hint)
