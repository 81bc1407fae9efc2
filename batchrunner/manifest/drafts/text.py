"""The text of a drafted manifest: commented YAML in which all foreign text is quoted and escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from batchrunner.core.text import visible

MODEL = "dreamina-seedance-2-0-fast"
_INNER = frozenset({"metadata", "labels"})
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Keys that YAML does not read as text unless they are quoted."""
_NEEDS_ESCAPE = re.compile("[\ud800-\udfff\ufffe\uffff]")
_HEAD = """\
# {made}
#   batchrunner plan {manifest}              what it would submit, and what that may cost
#   batchrunner run {manifest} --simulate    try it without a key, at no cost
#   batchrunner run {manifest}               submit, poll and download; run it again to resume
# `batchrunner schema manifest` and `batchrunner schema task` describe every field.
version: 1
"""
_SETTINGS = """
run:
  concurrency: 8 # videos generated at once; `auto` finds what the account allows
# budget: {{ cost: 50 }} # never spend more than this, in USD at list prices
{images}
defaults: # for every task that does not override them
  model: {model} # dreamina-seedance-2-0 is better, and more expensive
  duration: 5 # seconds, 4 to 15
  metadata:
    resolution: 720p # 480p is the cheapest; 1080p is not for the fast model
    ratio: {ratio}

tasks:
"""
_RATIOS = {
    "16:9": '"16:9" # or "9:16", "1:1", "4:3", "3:4", "21:9"; adaptive leaves it to the model',
    "adaptive": 'adaptive # that of the picture; or "16:9", "9:16", "1:1"',
}
_FIT = "images: { fit: 4096 } # larger pictures are resized before they are sent"
_EXAMPLES = """\
  # A prompt is enough. `id` names the video file, `labels` are columns of your own in results.csv.
  - id: paper-boat
    prompt: A paper boat drifts down a rain-filled street, seen from just above the water
    labels: { category: example }

  # A picture to start with: a URL, or a file relative to this manifest.
  # - id: cat
  #   prompt: The cat jumps
  #   image: photos/cat.jpg

  # One task for each row of a file (csv, tsv, json, jsonl or txt), filled from its columns.
  # `batchrunner init prompts.csv` writes such an entry from the file itself.
  # - rows: prompts.csv
  #   id: "${sku}"
  #   prompt: "${prompt}"

  # One task for each picture of a folder; see `batchrunner init FOLDER`.
  # - files: photos/*.jpg
  #   image: "${file}"
  #   prompt: The scene comes gently to life
"""


class DraftKey(NamedTuple):
    """A key of the drafted entry, with its value and a comment."""

    key: str
    value: object
    comment: str = ""


@dataclass(frozen=True, slots=True)
class DraftField:
    """A field of the drafted entry that the manifest could do without."""

    path: tuple[str, ...]
    """Its keys, such as `("metadata", "seed")`."""
    value: str
    column: str = ""
    """The column that it is filled from; empty if from none."""
    comment: str = ""
    doubt: str = ""
    """Why it is only a comment; empty if it is used."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One entry, made from a file or a folder."""

    made_from: str
    fixed: tuple[DraftKey, ...]
    """What the entry can't do without: what multiplies it, the prompt, the picture."""
    fields: tuple[DraftField, ...] = ()
    """The others, in order."""
    notes: tuple[str, ...] = ()
    """Comments below the entry."""
    ratio: str = "16:9"
    fit: bool = False
    """Whether large pictures are resized."""
    rows: int = 0
    """How many rows the file has; 0 if it is not made from rows."""

    def text(self, manifest: str, name: str) -> str:
        """The manifest; `manifest` is how the user calls it, `name` the run's name."""
        entry = "\n".join([*self._entry(), *(f"    # {commented(note)}" for note in self.notes)])
        settings = _SETTINGS.format(
            images=f"{_FIT}\n" if self.fit else "", model=MODEL, ratio=_RATIOS[self.ratio]
        )
        made = f"Made by `batchrunner init` from {self.made_from}. Next:"
        return _head(made, manifest, name) + settings + entry + "\n"

    def _entry(self) -> Iterator[str]:
        lead = "  - "
        for key, value, comment in self.fixed:
            yield f"{lead}{key}: {quoted(value)}{_remark(comment)}"
            lead = "    "
        for key, group in groupby(self.fields, key=lambda field: field.path[0]):
            fields = list(group)
            if key not in _INNER:
                yield from (_line("    ", field) for field in fields)
                continue
            is_used = any(not field.doubt for field in fields)
            columns = " # your own columns in results.csv" if key == "labels" else ""
            yield f"    {'' if is_used else '# '}{key}:{columns}"
            yield from (_line("      ", field) for field in fields)


def example_text(manifest: str, name: str) -> str:
    """A manifest with one example task, and the other kinds of entries as comments."""
    settings = _SETTINGS.format(images="", model=MODEL, ratio=_RATIOS["16:9"])
    return (
        _head("Made by `batchrunner init`. Edit the tasks at the end. Next:", manifest, name)
        + settings
        + _EXAMPLES
    )


def _head(made: str, manifest: str, name: str) -> str:
    head = _HEAD.format(made=commented(made), manifest=commented(manifest))
    return head + (f"name: {quoted(name)} # a run directory belongs to this name\n" if name else "")


def _line(indent: str, field: DraftField) -> str:
    key = field.path[-1]
    is_plain = key.isascii() and key.isidentifier() and key.lower() not in _WORDS
    written = f"{key if is_plain else quoted(key)}: {quoted(field.value)}"
    return (
        f"{indent}# {written} # not used: {commented(field.doubt)}"
        if field.doubt
        else f"{indent}{written}{_remark(field.comment)}"
    )


def _remark(comment: str) -> str:
    return f" # {commented(comment)}" if comment else ""


def quoted(value: object) -> str:
    """A value as JSON, which is also YAML, with everything invisible escaped."""
    text = visible(json.dumps(value, ensure_ascii=False))
    return _NEEDS_ESCAPE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def commented(text: str) -> str:
    """A text that can't leave its comment."""
    return _NEEDS_ESCAPE.sub("\ufffd", visible(text.replace("\n", " ")))
