"""Fills the page's template: style, scripts and data are all in it, and nothing else may run or load.

A page ends with a seal, by which the next report recognizes it as one that it may replace.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path

from batchrunner.core.errors import StorageError
from batchrunner.output.results_backup import keep_copy
from batchrunner.storage.files import write_over

_SCRIPTS = ("elements", "verdicts", "chains", "filters", "grid", "charts", "detail", "main")
"""The parts of the page's script, in order."""
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file:; media-src 'self' file:; "
    "script-src '{script}'; style-src '{style}'"
)


def page_of(title: str, data: Mapping[str, object]) -> str:
    """The whole page. `data` becomes JSON that the page's script shows as text, never as markup."""
    style, script = _asset("report.css"), "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    script = f'"use strict";\n{script}'
    policy = _POLICY.format(script=_hash(script), style=_hash(style))
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    values = {
        "{{policy}}": policy,
        "{{title}}": escape(title),
        "{{style}}": style,
        "{{data}}": text,
        "{{script}}": script,
    }
    # Split once: what is filled in is not searched for marks.
    parts = [_asset("report.html")]
    for mark, value in values.items():
        before, _, after = parts.pop().partition(mark)
        parts += [before, value, after]
    return "".join(parts)


def write_page(path: Path, page: str) -> Path | None:
    """Write the page; return the path of a copy of the old file if that was not a report, or edited.

    Raises:
        StorageError: it can't be written; the old file is still there.
    """
    try:
        kept = keep_copy(path) if path.is_file() and not _is_sealed(path.read_bytes()) else None
    except OSError as error:
        hint = "move it away, or free disk space, then try again"
        raise StorageError(f"can't keep a copy of {path}: {error.strerror}", hint) from error
    data = page.encode("utf-8", "replace")
    write_over(path, data + _seal(data))
    return kept


def _seal(page: bytes) -> bytes:
    return b"<!-- made by batchrunner report, sha256 %s -->\n" % hashlib.sha256(page).hexdigest().encode()


def _is_sealed(data: bytes) -> bool:
    length = len(data) - len(_seal(b""))
    return length >= 0 and data[length:] == _seal(data[:length])


@cache
def _asset(name: str) -> str:
    return (resources.files("batchrunner.output.report") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How a content security policy names a text that is allowed."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
