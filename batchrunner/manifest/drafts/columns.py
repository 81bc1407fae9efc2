"""Guesses from names and values what the columns of a rows file are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from batchrunner.manifest.drafts.text import DraftField

_MEDIA = re.compile(r"https?://\S+|asset://\S+|data:\S+|\S[^\n]{0,300}\.[A-Za-z0-9]{2,5}", re.IGNORECASE)
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]{4}")
_PROMPTS = ("prompt", "prompts", "提示词", "text", "caption", "description", "描述", "文案")
"""Names of the column with the prompts, most likely first."""
_PICTURES = ("image", "picture", "photo", "img", "image_url", "image_path", "first_frame", "图片", "首帧")
_FIELDS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("id",), ("id", "sku", "key", "slug", "name", "file_name", "filename", "编号")),
    (("model",), ("model", "模型")),
    (("duration",), ("duration", "seconds", "length", "时长")),
    (("metadata", "resolution"), ("resolution", "分辨率")),
    (("metadata", "ratio"), ("ratio", "aspect_ratio", "aspect", "比例", "宽高比")),
    (("metadata", "seed"), ("seed", "种子")),
    (("metadata", "generate_audio"), ("generate_audio", "audio", "sound")),
    (("metadata", "watermark"), ("watermark",)),
    (("metadata", "return_last_frame"), ("return_last_frame",)),
)
"""The fields of a task that are filled from a column, and the names of such columns, most likely first."""


@dataclass(frozen=True)
class Column:
    """A column and its first cells."""

    name: str
    can_be_named: bool
    """Whether a template can contain its name."""
    cells: Sequence[object]

    @property
    def template(self) -> str:
        """The template that its cells fill."""
        return f"${{{self.name}}}"

    @cached_property
    def has_inner_values(self) -> bool:
        """Whether it holds lists or objects."""
        return any(isinstance(cell, dict | list) for cell in self.cells)

    @property
    def is_usable(self) -> bool:
        """Whether a template can take its cells."""
        return self.can_be_named and not self.has_inner_values

    @cached_property
    def texts(self) -> list[str]:
        """Its cells as text, without empty ones."""
        return [text for cell in self.cells if cell is not None and (text := str(cell).strip())]

    @property
    def plain_name(self) -> str:
        """The name as it is compared with known ones."""
        return re.sub(r"[\s-]+", "_", self.name.strip().lower())

    @property
    def is_named(self) -> bool:
        """Whether its name is one of a column with prompts."""
        return self.plain_name in _PROMPTS


def looks_like_media(texts: Sequence[str]) -> bool:
    """Whether these are URLs or names of files."""
    return bool(texts) and all(_MEDIA.fullmatch(text) for text in texts)


def prompt_of(columns: Sequence[Column]) -> Column | None:
    """The column with the prompts: by its name, else the one with the longest texts; None if none has words.

    A video of every SKU would be paid for and worthless, so a column of codes or categories is no guess.
    """
    named = [column for column in columns if column.is_named]
    if named:
        return min(named, key=lambda column: _PROMPTS.index(column.plain_name))
    known = {name for _, names in _FIELDS for name in names} | set(_PICTURES)
    others = [column for column in columns if column.plain_name not in known] or columns
    textual = [column for column in others if not looks_like_media(column.texts)]
    if len(textual) == len(columns) == 1 and any(map(str.isalpha, "".join(textual[0].texts))):
        return textual[0]  # it can't be anything else
    return max(filter(_has_sentences, textual), key=_mean_length, default=None)


def picture_of(columns: Sequence[Column]) -> Column | None:
    """The column with the pictures: by its name, if it holds URLs or names of files."""
    known = [one for one in columns if one.plain_name in _PICTURES and looks_like_media(one.texts)]
    return min(known, key=lambda column: _PICTURES.index(column.plain_name), default=None)


def _has_sentences(column: Column) -> bool:
    """Whether most of its texts have several words; Chinese and Japanese are written without spaces."""
    several = sum(len(text.split()) > 1 or bool(_UNSPACED.search(text)) for text in column.texts)
    return several * 2 > len(column.texts)


def _mean_length(column: Column) -> float:
    return sum(map(len, column.texts)) / len(column.texts)


def fields_of(columns: Sequence[Column]) -> list[DraftField]:
    """The fields that these columns seem to be meant for."""
    fields = []
    for path, names in _FIELDS:
        known = [column for column in columns if column.plain_name in names]
        if known:
            column = min(known, key=lambda one: names.index(one.plain_name))
            has_gaps = len(column.texts) < len(column.cells) and path != ("id",)
            comment = "an empty cell omits it: `defaults` don't count then" if has_gaps else ""
            fields.append(DraftField(path, column.template, column.name, comment))
    return fields
