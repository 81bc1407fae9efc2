"""What an entry says beside `rows` about how the file is to be read, checked."""

from __future__ import annotations

import codecs

from batchrunner.core.text import closest
from batchrunner.manifest.row_formats.table import Reading
from batchrunner.manifest.schema import schema
from batchrunner.manifest.value_faults import ValueFault

_NO_ENCODINGS = frozenset({"unicode-escape", "raw-unicode-escape", "punycode", "idna"})
"""Of what Python takes for text encodings, what no file is saved in."""
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
"""The endings for which each option means something."""


def checked(reading: Reading, ending: str) -> tuple[Reading, list[ValueFault]]:
    """The options as a reader takes them, and what is wrong with them."""
    faults = [
        ValueFault(
            (key,), f"`{key}` means nothing for a {ending} file: it is for {kinds}", "delete it", on_key=True
        )
        for key, (endings, kinds) in _BELONGS.items()
        if getattr(reading, key) and ending not in endings
    ]
    if reading.encoding and not _is_encoding(reading.encoding):
        faults.append(_unknown_encoding(reading.encoding))
    delimiter = _WORDS.get(reading.delimiter.lower(), reading.delimiter)
    if delimiter and (len(delimiter) > 1 or delimiter.isalnum() or delimiter in _NO_DELIMITERS):
        near = closest(delimiter.lower(), tuple(_WORDS))
        hint = f"did you mean {near}?" if near else 'write one character, such as ";", or the word tab'
        faults.append(ValueFault(("delimiter",), f"`delimiter` can't be {reading.delimiter!r}", hint))
    return reading._replace(delimiter=delimiter), faults


def _is_encoding(name: str) -> bool:
    """Whether Python decodes text from it; its codecs for other things than text refuse to."""
    try:
        b"a".decode(name, "ignore")
        return codecs.lookup(name).name not in _NO_ENCODINGS
    except (LookupError, ValueError):
        return False


def _unknown_encoding(name: str) -> ValueFault:
    known = schema("manifest")["$defs"]["entry"]["properties"]["encoding"]["anyOf"][0]["enum"]
    near = closest(name.lower(), known)
    hint = f"did you mean {near}?" if near else f"write one of: {', '.join(known)}"
    return ValueFault(("encoding",), f"`encoding`: no encoding is called {name!r}", hint)
