"""Manifests of the right shape with anything in them: refused or planned, never a crash."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.core.errors import ManifestError
from batchrunner.core.estimate import tokens, video_bytes
from batchrunner.core.model import PlannedTask
from batchrunner.core.problems import Problem
from batchrunner.manifest import load_limits, load_manifest

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 20),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.sampled_from(
        (
            *(
                "",
                " ",
                "${p}",
                "${d}",
                "${a}",
                "${file}",
                "${prompt}",
                "$$",
                "${",
                "5",
                "猫",
                "720p",
                "16:9",
                "none.png",
                "r.csv",
                "asset://a",
            ),
            *(
                "text",
                "image_url",
                "video_url",
                "first_frame",
                "https://example.com/a.png",
                "data:image/png,A",
            ),
        )
    ),
)
ITEM_KEYS = st.sampled_from(["type", "role", "text", "image_url", "video_url", "audio_url", "url", "x"])
ITEMS = st.dictionaries(ITEM_KEYS, LEAVES | st.dictionaries(st.just("url"), LEAVES), max_size=4)
METADATA = st.dictionaries(
    st.sampled_from(["resolution", "ratio", "duration", "frames", "seed", "watermark", "content", "x"]),
    LEAVES | st.lists(LEAVES | ITEMS, max_size=3),
    max_size=4,
)
LABELS = st.dictionaries(st.sampled_from(["a", "b\n", ""]), LEAVES | st.lists(LEAVES), max_size=2)
VALUES = {
    "labels": LABELS | LEAVES,
    "prompt": LEAVES,
    "image": LEAVES,
    "images": st.lists(LEAVES, max_size=2) | LEAVES,
    "duration": st.integers(-1, 16) | LEAVES,
    "seconds": LEAVES,
    "metadata": METADATA | LEAVES,
}
SOUND = {"model": "dreamina-seedance-2-0", "prompt": "${p}", "rows": "r.csv"}
DEFAULTS = st.fixed_dictionaries({}, optional=VALUES)
MATRIX = st.dictionaries(
    st.sampled_from(["a", "p", "d", "metadata.seed", "metadata.ratio", "metadata.x", "x.y", "${a}", ""]),
    st.lists(LEAVES | st.lists(ITEMS, max_size=1), max_size=3) | LEAVES,
    max_size=3,
)
MULTIPLES = {
    "rows": LEAVES | st.sampled_from(["r.csv", "r.txt", "r.tsv"]),
    "encoding": LEAVES | st.sampled_from(["utf-8", "gb18030", "utf-16", "hex"]),
    "files": LEAVES
    | st.sampled_from(["*.csv", "**/*", "*.png", "../*", "/nowhere/*"])
    | st.lists(LEAVES, max_size=2),
    "matrix": MATRIX | LEAVES,
    "repeat": st.integers(-1, 4) | LEAVES,
}
ENTRIES = st.fixed_dictionaries({}, optional={"id": LEAVES, **MULTIPLES, **VALUES}).map(
    lambda e: ({} if "files" in e else SOUND) | e
)


@settings(max_examples=200)
@given(
    defaults=st.just({}) | DEFAULTS | LEAVES,
    entries=st.lists(ENTRIES | LEAVES, min_size=1, max_size=2),
    top=st.just({})
    | st.dictionaries(
        st.sampled_from(["run", "gateway", "pricing", "images", "name", "tasks", "x"]),
        LEAVES | LABELS,
        max_size=2,
    ),
)
def test_any_manifest_is_refused_or_planned(
    defaults: object, entries: list[object], top: dict[str, object], tmp_path: Path
) -> None:
    """What passes the checks has an estimate, and what doesn't has its reasons."""
    (tmp_path / "r.csv").write_text("p,d\nA cat,5\n${p},6\n", encoding="utf-8")
    (tmp_path / "r.txt").write_text("A cat\n\n一只猫\n", encoding="utf-8")
    (tmp_path / "r.tsv").write_text("p\td\nA cat\t5\n", encoding="utf-8")
    path = tmp_path / "m.yaml"
    whole = {"version": 1, "defaults": defaults, "tasks": entries, **top}
    path.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    tasks, problems = outcome(path)
    assert tasks or problems
    for task in tasks:
        assert tokens(task.request, load_limits()) > 0
        assert video_bytes(task.request, load_limits()) > 0


def outcome(path: Path) -> tuple[tuple[PlannedTask, ...], tuple[Problem, ...]]:
    """The tasks of a manifest, or why it has none."""
    try:
        return load_manifest(path).plan.tasks, ()
    except ManifestError as refusal:
        return (), refusal.problems
