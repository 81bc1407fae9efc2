"""A models file: a model that comes later is checked, estimated and compared by its own figures."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from batchrunner.core.comparison import differences, not_as_requested
from batchrunner.core.errors import ManifestError
from batchrunner.core.estimate import left_open, price_of, tokens, video_bytes
from batchrunner.core.model import MediaFile, Pricing
from batchrunner.core.rules.limits import check
from batchrunner.manifest import LoadedManifest, load_limits, load_manifest
from batchrunner.manifest.limits_file import built_in
from batchrunner.manifest.validation import check as check_schema

NEXT: dict[str, Any] = {
    "resolutions": ["720p", "4k"],
    "duration": [2, 60],
    "fps": 30,
    "service_tiers": ["default", "flex"],
    "sizes": {"4k": {"16:9": [3840, 2160], "1:1": [2880, 2880]}},
    "inputs": {"images": 12, "video_seconds": 30, "image_bytes": 40_000_000, "image_sides": [100, 9000]},
    "prices": {"USD": {"4k": [14.0, 9.0]}},
}
FOUR_K = {"resolution": "4k", "ratio": "16:9", "duration": 10}


def write(folder: Path, figures: Any, *tasks: dict[str, Any], **top: Any) -> Path:
    """A manifest and its models file."""
    whole = {"date": "2027-01-02", "source": "a test", "models": figures}
    (folder / "models.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    path = folder / "m.yaml"
    entries = [{"prompt": "A cat", "model": "next", **task} for task in tasks or ({},)]
    manifest = {"version": 1, "models": "models.yaml", "tasks": entries, **top}
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return path


def loaded(folder: Path, figures: Any, *tasks: dict[str, Any], **top: Any) -> LoadedManifest:
    return load_manifest(write(folder, figures, *tasks, **top))


def told(folder: Path, figures: Any, *tasks: dict[str, Any], **top: Any) -> list[str]:
    """The problems of a manifest and its models file."""
    try:
        problems = loaded(folder, figures, *tasks, **top).warnings
    except ManifestError as error:
        problems = error.problems
    return [
        f"{Path(problem.place.file).name}: {problem.severity}: {problem.message}; {problem.hint}"
        for problem in problems
    ]


def request(model: str = "next", **metadata: Any) -> dict[str, Any]:
    return {"model": model, "prompt": "A cat", "metadata": metadata}


def test_a_model_of_the_file_is_known(tmp_path: Path) -> None:
    """Its lengths, resolutions, tiers and numbers of references are taken without a warning."""
    references = [
        {
            "type": "image_url",
            "role": "reference_image",
            "image_url": {"url": f"https://example.com/{n}.png"},
        }
        for n in range(12)
    ]
    tasks: list[dict[str, Any]] = [
        {"duration": 60, "metadata": {"resolution": "4k", "ratio": "1:1", "service_tier": "flex"}},
        {"duration": 2, "metadata": {"content": references, "frames": None}},
        {"metadata": {"frames": 121}},
    ]
    assert told(tmp_path, {"next": NEXT}, *tasks) == []


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"duration": 61}, "next makes videos of 2 to 60 seconds, not 61"),
        ({"metadata": {"resolution": "480p"}}, "next does not support 480p; write 720p or 4k"),
        ({"metadata": {"resolution": "4k", "ratio": "9:16"}}, "next does not support the ratio 9:16 in 4k"),
        ({"metadata": {"service_tier": "auto"}}, "next does not support the service tier `auto`"),
        ({"metadata": {"draft": True}}, "next rejects `draft`; delete it"),
        ({"model": "dreamina-seedance-2-0", "metadata": {"resolution": "4k"}}, "or use the model next"),
        ({"model": "other", "metadata": {"resolution": "4k"}}, "unknown model `other`"),
        ({"metadata": {"resolution": "8k"}}, '`metadata.resolution` can\'t be "8k"'),
        ({"metadata": {"ratio": "5:4"}}, '`metadata.ratio` can\'t be "5:4"'),
        ({"images": ["https://example.com/a.png"] * 13}, "13 pictures; the limit is 12"),
    ],
)
def test_its_tasks_are_checked_by_its_own_figures(task: dict[str, Any], words: str, tmp_path: Path) -> None:
    """What the file doesn't have is reported as for a built-in model, once."""
    (message,) = told(tmp_path, {"next": NEXT | {"refuses": ["draft"]}}, task)
    assert words in message


def test_its_pictures_are_checked_by_its_own_figures(tmp_path: Path) -> None:
    """One picture may be too large for one model, and not for another."""
    limits = loaded(tmp_path, {"next": NEXT}).limits
    for size, side in ((35_000_000, 400), (5, 8000), (5, 150)):
        image = MediaFile("/a.png", "a.png", "0" * 64, "image/png", size, side, side)
        one = {"prompt": "A cat", "image": image}
        assert check({"model": "next", **one}, limits) == []
        assert len(check({"model": "dreamina-seedance-2-0", **one}, limits)) == 1


def test_a_picture_on_disk_is_checked_by_the_figures_of_its_task(tmp_path: Path) -> None:
    """The same file is fine for one model and too small for another."""
    Image.new("RGB", (150, 150)).save(tmp_path / "small.png")
    both = [{"image": "small.png", "model": model} for model in ("next", "dreamina-seedance-2-0")]
    assert told(tmp_path, {"next": NEXT}, both[0]) == []
    (message,) = told(tmp_path, {"next": NEXT}, *both)
    assert "small.png is 150 x 150 pixels; each side must have 300 to 6000" in message


def test_its_cost_is_estimated_by_its_own_figures(tmp_path: Path) -> None:
    """Frames, sizes, prices and the worst case of what is left open."""
    limits = loaded(tmp_path, {"next": NEXT}).limits
    usd = Pricing("USD", {})
    assert tokens(request(**FOUR_K), limits) == (30 * 10 + 1) * 3840 * 2160 // 1024
    assert tokens(request(**FOUR_K | {"duration": -1}), limits) == (30 * 60 + 1) * 3840 * 2160 // 1024
    assert tokens(request(resolution="4k", duration=10), limits) == (30 * 10 + 1) * 2880 * 2880 // 1024
    assert left_open(request(resolution="4k", duration=10), limits) == ["the ratio"]
    video = [{"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}]
    with_video = request(**FOUR_K, content=video)
    assert tokens(with_video, limits) == (30 * 40 + 1) * 3840 * 2160 // 1024
    assert price_of(request(**FOUR_K), limits, usd) == 14.0
    assert price_of(with_video, limits, usd) == 9.0
    assert price_of(request(**FOUR_K), limits, Pricing("USD", {"next": 3.0})) == 3.0
    assert price_of(request(**FOUR_K), limits, Pricing("CNY", {})) is None
    assert video_bytes(request(**FOUR_K), limits) > 9 * video_bytes(request(resolution="720p"), limits)


def test_a_model_without_figures_counts_as_the_largest_that_has_them(tmp_path: Path) -> None:
    """An unknown model asked for 4k may cost what the file's model costs; nothing fails without the file."""
    limits = loaded(tmp_path, {"next": NEXT}).limits
    unknown = request("other", resolution="4k", duration=10)
    assert tokens(unknown, limits) == (24 * 10 + 1) * 2880 * 2880 // 1024
    assert tokens(unknown, load_limits()) > 0
    assert video_bytes(unknown, load_limits()) > 0


def test_its_videos_are_compared_with_its_own_figures(tmp_path: Path) -> None:
    """Size and rate; both for the results and for the first of a kind."""
    model = loaded(tmp_path, {"next": NEXT}).limits.of(request())
    made = {"duration": 10.0, "width": 3840, "height": 2160}
    assert differences(FOUR_K, **made, fps=30.0, model=model) == ()
    assert differences(FOUR_K, **made, fps=24.0, model=model) == ("expected 30 frames per second, got 24",)
    judged = {"tokens": 5, "estimate": 5, "model": model}
    assert not_as_requested(FOUR_K, **made, **judged) == ()
    other = made | {"width": 1920, "height": 1080}
    assert not_as_requested(FOUR_K, **other, **judged) == ("requested 4k, got 1080p (1920x1080)",)


def test_a_known_model_keeps_what_the_file_does_not_say(tmp_path: Path) -> None:
    """And other models keep everything."""
    fast, standard = "dreamina-seedance-2-0-fast", "dreamina-seedance-2-0"
    limits = loaded(tmp_path, {fast: {"prices": {"USD": {"720p": [1, 2]}}}}).limits
    before = load_limits()
    assert limits.models[standard] == before.models[standard]
    changed, known = limits.models[fast], before.models[fast]
    assert (changed.resolutions, changed.refuses, changed.sizes) == (
        known.resolutions,
        known.refuses,
        known.sizes,
    )
    assert changed.prices == {"USD": {"720p": (1, 2)}, "CNY": known.prices["CNY"]}


def test_the_file_changes_no_task(tmp_path: Path) -> None:
    """Fingerprints are of requests: what is paid for stays paid for when figures change."""
    task = {"model": "dreamina-seedance-2-0", "duration": 5}
    with_file = loaded(tmp_path, {"next": NEXT}, task)
    without = loaded(tmp_path, {"next": NEXT}, task, models=None)
    keys = [[one.key for one in each.plan.tasks] for each in (with_file, without)]
    assert keys[0] == keys[1]
    assert with_file.plan.tasks.digest() == without.plan.tasks.digest()
    assert load_limits(with_file.plan.models).models["next"] == with_file.limits.models["next"]


def test_a_cost_budget_takes_its_prices(tmp_path: Path) -> None:
    """A resolution without a price can't be limited in money."""
    top = {"budget": {"cost": 5}}
    assert told(tmp_path, {"next": NEXT}, {"metadata": {"resolution": "4k"}}, **top) == []
    (message,) = told(tmp_path, {"next": NEXT}, {"metadata": {"resolution": "720p"}}, **top)
    assert "no price for next" in message


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (
            {"duration": [60, 2]},
            "`models.next.duration` begins above its end: 60 and 2; write the smaller number first",
        ),
        ({"duration": [4]}, "`models.next.duration` must have 2 items, not 1; write the least and the most"),
        ({"duration": "4-15"}, "`models.next.duration` must be a list"),
        ({"inputs": {"image_sides": [9, 3]}}, "`models.next.inputs.image_sides` begins above its end"),
        ({"resolutions": ["8k"]}, "`models.next` has no `sizes` for 8k, so its cost can't be estimated; add"),
        ({"resolutions": ["4K"]}, "`models.next.resolutions[0]` must be a resolution such as 720p or 4k"),
        ({"resolutions": [720]}, "write it with its letter, such as 720p"),
        ({"resolutions": ["480p"]}, "`models.next` doesn't have the default resolution 720p; add"),
        ({"default_resolution": "1080p"}, "`models.next` doesn't have the default resolution 1080p"),
        ({"sizes": {"4k": {"wide": [1, 2]}}}, 'the name "wide" must be a ratio such as'),
        ({"sizes": {"4k": {"16:9": [3840]}}}, "write width and height, such as [1280, 720]"),
        ({"prices": {"usd": {"4k": [1, 2]}}}, 'the name "usd" must be three capital letters'),
        ({"prices": {"USD": {"4k": 14}}}, "write the prices without and with a video among the inputs"),
        ({"resolution": ["4k"]}, "`models.next.resolution` is not a known key; did you mean `resolutions`?"),
    ],
)
def test_a_wrong_figure_is_reported_at_its_place(figures: dict[str, Any], words: str, tmp_path: Path) -> None:
    """With what to do, as in the manifest."""
    found = told(tmp_path, {"next": NEXT | figures})
    assert [line for line in found if line.startswith("models.yaml: error: ") and words in line], found


def test_an_error_in_the_file_is_not_blamed_on_the_tasks(tmp_path: Path) -> None:
    """What the file may define is not reported as unknown; the rest of a task is checked all the same."""
    task = {"seconds": "4", "duration": 5, "metadata": {"resolution": "8k", "ratio": "5:4"}}
    found = told(tmp_path, {"next": NEXT | {"fps": 0}}, task)
    assert len(found) == 2
    assert any("`models.next.fps` must be at least 1, not 0" in line for line in found)
    assert any(line.startswith("m.yaml: error: `duration` is 5") for line in found)


def test_no_file_adds_nothing(tmp_path: Path) -> None:
    """`models: null` is as if it were not there: other words are refused."""
    (message,) = told(
        tmp_path,
        {"next": NEXT},
        {"model": "dreamina-seedance-2-0", "metadata": {"resolution": "4k"}},
        models=None,
    )
    assert message.startswith('m.yaml: error: `metadata.resolution` can\'t be "4k"')


def test_a_new_model_needs_its_resolutions_and_lengths(tmp_path: Path) -> None:
    """The most expensive of its tasks can't be told without them."""
    found = told(tmp_path, {"next": {"fps": 30}})
    for key in ("resolutions", "duration"):
        line = f"models.yaml: error: `models.next.{key}` is missing; add `{key}:`"
        assert line in found


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("none.yaml", "`models`: file not found: none.yaml"),
        ("../models.yaml", "`models`: ../models.yaml is outside the manifest's folder"),
        (".", "`models`: . is a folder"),
        (["models.yaml"], "`models` must be text, not a list; write the name of a YAML file"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_in_the_manifest(
    given: object, words: str, tmp_path: Path
) -> None:
    """At its name."""
    found = told(tmp_path, {"next": NEXT}, models=given)
    assert [line for line in found if line.startswith("m.yaml: error: ") and words in line], found


@pytest.mark.parametrize("text", ["- a", "models: [", "date: 2027-01-02\nmodels: {next: {}}\n", ""])
def test_a_file_of_another_form_is_reported(text: str, tmp_path: Path) -> None:
    """Whatever is in it."""
    path = write(tmp_path, {})
    (tmp_path / "models.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    assert any(Path(problem.place.file).name == "models.yaml" for problem in caught.value.problems)


def test_the_built_in_figures_have_the_same_form() -> None:
    """`data/seedance.yaml` could be a models file itself, and what its models have in common one of them."""
    data = built_in()
    models = data["models"] | {"common": data["common"]}
    whole = {"date": str(data["date"]), "source": data["source"], "models": models}
    assert list(check_schema("models", whole)) == []
