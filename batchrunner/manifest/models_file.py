"""Reads the models file that a manifest names, with figures of models that are new or have changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from batchrunner.manifest.limits_file import built_in, joined, over
from batchrunner.manifest.nodes import Node, place_of, plain
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.source import Source, TextFault, read_text
from batchrunner.manifest.validation import check
from batchrunner.manifest.value_faults import ValueFault, dotted
from batchrunner.manifest.yaml_reader import read_yaml
from batchrunner.media.local_files import inside
from batchrunner.media.missing import missing

_MAX_BYTES = 1_000_000
_FROM_TO = ("duration", "image_sides", "image_aspect")
"""Figures that are a least and a most."""
_NEEDED = ("resolutions", "duration")
"""Figures that a model has to have of its own."""


def read_models(folder: Path, written: str, node: Node, source: Source, report: Report) -> str:
    """Read and check the models file that is named by the `models:` of a manifest.

    `folder` and `source` are the manifest's, `node` is its root. Returns what the file says as JSON; empty,
    with the reasons in `report`, if it can't be used.
    """

    def refuse(message: str, hint: str) -> None:
        report.add(source.place(*place_of(node, ("models",))), f"`models`: {message}", hint)

    try:
        path = inside(folder, folder.resolve(), written)
        if path is None:
            hint = "move it beside the manifest, or use its absolute path"
            refuse(f"{written} is outside the manifest's folder", hint)
        elif path.is_dir():
            refuse(f"{written} is a folder", "use a YAML file in it")
        elif not path.is_file():
            refuse(*missing(folder, written))
        else:
            return _checked(path, str(PurePath(source.shown).parent / written), report)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None)
        message = f"{written!r} can't be read: {reason}" if reason else f"{written!r} is not a valid path"
        refuse(message, "check the path and its permissions")
    return ""


def _checked(path: Path, shown: str, report: Report) -> str:
    report.begin(shown)
    try:
        source = Source(shown, read_text(path, _MAX_BYTES), is_yaml=True)
    except TextFault as fault:
        report.add(Source(shown, "").place(fault.line, fault.column), fault.message, fault.hint)
        return ""
    root = read_yaml(source, report, "`date`, `source` and `models`")
    if root is None:
        return ""
    value: Any = plain(root)
    faults = list(check("models", value))
    if not any(wrong.path[:1] in ((), ("models",)) for wrong in faults):
        faults += _faults(value["models"])
    for wrong in faults:
        place = source.place(*place_of(root, wrong.path, wrong.on_key))
        report.add(place, wrong.message, wrong.hint, wrong.severity)
    if faults:
        return ""
    kept = {key: value[key] for key in ("date", "source", "models")}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True)


def _faults(models: Mapping[str, Any]) -> Iterator[ValueFault]:
    """What the schema can't check: figures that don't fit each other."""
    known = built_in()
    for name, whole in joined(known["models"], models).items():
        if name not in models:
            continue
        path = ("models", name)
        for key in _NEEDED:
            if key not in whole:
                yield ValueFault((*path, key), f"`{dotted((*path, key))}` is missing", f"add `{key}:`")
        for key, figures in (*models[name].items(), *models[name].get("inputs", {}).items()):
            if key in _FROM_TO and figures[0] > figures[1]:
                within = (*path, key) if key in models[name] else (*path, "inputs", key)
                message = f"`{dotted(within)}` begins above its end: {figures[0]} and {figures[1]}"
                yield ValueFault(within, message, "write the smaller number first")
        yield from _of_resolutions(path, over(known["common"], whole), models[name])


def _of_resolutions(
    path: tuple[str, str], whole: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[ValueFault]:
    for index, resolution in enumerate(whole["resolutions"]):
        if resolution not in whole["sizes"]:
            message = f"`{dotted(path)}` has no `sizes` for {resolution}, so its cost can't be estimated"
            hint = f'add `sizes: {{{resolution}: {{"16:9": [WIDTH, HEIGHT]}}}}`'
            yield ValueFault((*path, "resolutions", index), message, hint)
    for currency, prices in given.get("prices", {}).items():
        for resolution in prices.keys() - set(whole["resolutions"]):
            message = f"`{dotted(path)}` has a price for {resolution}, but no such resolution"
            yield ValueFault(
                (*path, "prices", currency, resolution), message, "correct one of the two", on_key=True
            )
    if (default := whole["default_resolution"]) not in whole["resolutions"]:
        message = f"`{dotted(path)}` doesn't have the default resolution {default}"
        hint = f"add `default_resolution: {whole['resolutions'][0]}`"
        where = "default_resolution" if "default_resolution" in given else "resolutions"
        yield ValueFault((*path, where), message, hint)
