"""The dataset card: a README.md with the header that the Hub and `datasets` read.

Users complete it, so only the lines between our marks are written again.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

from batchrunner.core.text import count, printable, span
from batchrunner.output.export.folder import SetFolder, SetRow
from batchrunner.output.export.rows import COLUMNS, SetColumn, compact
from batchrunner.version import __version__

Patterns = Mapping[str, str | Sequence[str]]
"""Which files belong to which split."""
CARD = "README.md"
KINDS = {str: "string", int: "int64", float: "float64"}
"""The types of columns, as Arrow names them."""
_HEADER = ("# batchrunner: begin", "# batchrunner: end")
_BODY = ("<!-- batchrunner: begin -->", "<!-- batchrunner: end -->")
_TEMPLATE = """\
---
# license: choose one from https://huggingface.co/docs/hub/repositories-licenses and remove the "#"
pretty_name: {name}
tags: [video, synthetic]
task_categories: [text-to-video]
{header}
---

# {title}

Videos generated from prompts.

**Licence: not chosen yet.** Fill in `license` at the top of this file, and say here who may use
the videos, and for what.

{body}
"""


class Card:
    """Adds up what a card says about its set."""

    def __init__(self, name: str, columns: Sequence[SetColumn] = COLUMNS, about_cost: str = "") -> None:
        """`about_cost` says what is to be known about the sum of all rows."""
        self.title, self._columns, self._about_cost = printable(name) or "videos", columns, about_cost
        self._splits: Counter[str] = Counter()
        self._of: dict[str, Counter[str]] = {"model": Counter(), "run": Counter(), "size": Counter()}
        self._cost: Counter[str] = Counter()
        self._tokens = self._bytes = self._unpriced = 0
        self._seconds, self._shortest, self._longest = 0.0, 0.0, 0.0
        self._contents = hashlib.sha256()

    @property
    def videos(self) -> int:
        """How many there are."""
        return self._splits.total()

    def count(self, row: SetRow) -> None:
        """Add a row."""
        values = row.values
        seconds = values["duration"] or 0.0
        self._shortest = min(self._shortest, seconds) if self.videos else seconds
        self._longest, self._seconds = max(self._longest, seconds), self._seconds + seconds
        self._splits[row.split] += 1
        self._of["model"][values["model"]] += 1
        self._of["run"][values["run"]] += 1
        self._of["size"][f"{values['width']}×{values['height']}"] += 1
        self._contents.update(f"{row.file} {values['sha256']}\n".encode())
        self._tokens += values["tokens"] or 0
        self._bytes += values["bytes"] or 0
        if values["cost"] is None:
            self._unpriced += 1
        else:
            self._cost[values["currency"]] += values["cost"]

    def header(self, patterns: Patterns) -> str:
        """The part of the header that says which files belong to which split.

        It is another one whenever the set has grown: unless something in it has changed, the library shows
        its copy of what it loaded before.
        """
        lines = [f"  - split: {split}\n    path: {compact(pattern)}" for split, pattern in patterns.items()]
        what = f"  description: {count(self.videos, 'video')}, sha256 {self._contents.hexdigest()}"
        return "\n".join(["configs:", "- config_name: default", what, "  data_files:", *lines])

    def body(self) -> str:
        """The part of the text that describes the videos."""
        cost = " + ".join(f"{amount:,.2f} {name}" for name, amount in self._cost.items())
        unpriced = f" ({count(self._unpriced, 'video')} of unknown cost)" if self._unpriced else ""
        tokens = f"{self._tokens:,} tokens{self._about_cost}"
        facts = {
            "Videos": f"{self.videos:,} ({_listed(self._splits)})",
            "Length": f"{span(self._seconds)}; each {self._shortest:g} to {self._longest:g} s",
            "Size": f"{self._bytes / 1e6:,.1f} MB; {_listed(self._of['size'])}",
            "Models": _listed(self._of["model"]),
            "Runs": _listed(self._of["run"]),
            "Cost": f"{cost or 'unknown'}{unpriced if cost else ''}, {tokens}",
            "Made with": f"batchrunner {__version__}; each video was verified against its SHA-256",
        }
        table = "\n".join(f"| {name} | {text} |" for name, text in facts.items())
        columns = "\n".join(f"| `{column.name}` | {column.text} |" for column in self._columns)
        return f"| | |\n|---|---|\n{table}\n\n| column | content |\n|---|---|\n{columns}"


def write_card(folder: SetFolder, card: Card, patterns: Patterns, info: str) -> None:
    """Write the card, or bring the parts of it up to date that are ours.

    `patterns` are the files of each split, `info` lines of YAML that say what their columns are.
    """
    header = _marked(_HEADER, f"{card.header(patterns)}\n{info}" if card.videos else "")
    body = _marked(_BODY, card.body())
    text = ""
    with suppress(FileNotFoundError):
        text = (folder.path / CARD).read_text(encoding="utf-8")
    if text:
        text = _replaced(_replaced(text, _HEADER, header), _BODY, body)
    else:
        title = card.title
        text = _TEMPLATE.format(name=compact(title), title=title, header=header, body=body)
    with folder.replacing(CARD, backup=False) as file:
        file.write(text)


def column_lines(more: Sequence[SetColumn], indent: str = "  ") -> list[str]:
    """Our columns, and more, as lines of YAML."""
    return [
        f"{indent}- name: {compact(column.name)}\n{indent}  dtype: {KINDS[column.kind]}"
        for column in (*COLUMNS, *more)
    ]


def _marked(marks: tuple[str, str], text: str) -> str:
    return "\n".join(filter(None, (marks[0], text, marks[1])))


def _replaced(text: str, marks: tuple[str, str], new: str) -> str:
    """The text with a new part between two marks; as it is if somebody has removed them."""
    ours = re.compile(f"^{re.escape(marks[0])}$.*?^{re.escape(marks[1])}$", re.MULTILINE | re.DOTALL)
    return ours.sub(lambda _: new, text, count=1)


def _listed(counter: Counter[str]) -> str:
    """The most common of what was counted, safe in a cell of a table."""
    named = [f"{_cell(name) or 'unknown'} {number:,}" for name, number in counter.most_common(8)]
    return ", ".join(named) + (", …" if len(counter) > 8 else "")


def _cell(text: str) -> str:
    return re.sub(r"([|\\`*_<>\[\]])", r"\\\1", printable(text))
