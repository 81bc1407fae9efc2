"""The report: one page that shows the videos of a run, in a real browser, from the file system."""

import csv
import fcntl
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tests.harness.browser import Watched, browsing

HOSTILE = "<script>alert(1)</script></script><img src=x onerror=alert(2)> \"quotes' </style> &amp;"
ARABIC = "مرحبا \u202e gnirts \u202c end"
CHINESE = "一只猫在月球表面漫步"
FAULTS = (
    {"on": "generate", "do": "moderated", "prompt": "moderated*"},
    {"on": "generate", "do": "fail", "prompt": "fail*"},
)
LABELS = {"</style><b>": "<i>one</i>"}
TASKS: list[dict[str, Any]] = [
    {"id": "hostile", "prompt": HOSTILE, "labels": LABELS},
    {"id": "arabic", "prompt": ARABIC},
    {"id": "猫", "prompt": CHINESE, "image": "cat.jpg"},
    {"id": "twice", "prompt": "made twice"},
    {"id": "mod-1", "prompt": "moderated one"},
    {"id": "mod-2", "prompt": "moderated two"},
    {"id": "fail-1", "prompt": "fail one"},
]
FOCUSED = "document.activeElement.closest('.card')?.querySelector('.name').textContent"
"""The task whose card has the focus, as a JavaScript expression."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def made(make_desk) -> Iterator[Any]:
    """A finished run with failures, a task made twice, and its report, which the tests share."""
    desk = make_desk()
    desk.sections = {"name": "a <b>film</b> & more"}
    Image.new("RGB", (400, 300), "teal").save(desk.folder / "cat.jpg")
    desk.write(*TASKS, max_attempts=1, canary=False)
    desk.gateway.start(*FAULTS)
    assert desk.run().code == 1
    assert desk.do("retry", "batch.run", "twice", "--again").code == 0
    assert desk.run().code == 1
    ended = desk.do("report", "batch.run", "--json")
    assert ended.code == 0
    yield SimpleNamespace(desk=desk, file=desk.directory / "report.html", told=json.loads(ended.stdout))
    desk.clear_away()


@pytest.fixture
def watched(browser, made) -> Iterator[Watched]:
    """The open page; it may complain about nothing, and may ask for nothing outside its folder."""
    seen = Watched(browser, made.file)
    yield seen
    assert seen.complaints == []
    assert seen.outside() == []
    seen.context.close()


def card(page: Any, task: str) -> Any:
    return page.locator(".card", has=page.locator(".name", has_text=re.compile(f"^{task}$")))


def shown(page: Any) -> list[str]:
    return page.locator(".card .name").all_inner_texts()


def test_shows_every_task_as_text(watched, made):
    """Whatever prompts, labels and names contain, they are shown as they are, and run nothing."""
    page = watched.page
    assert made.told | {"report": ""} == {"report": "", "tasks": 7, "videos": 5, "broken": []}
    assert page.inner_text("#title") == "a <b>film</b> & more"
    assert shown(page) == [task["id"] for task in TASKS]
    assert page.locator(".card .prompt").all_text_contents() == [task["prompt"] for task in TASKS]
    assert card(page, "猫").locator(".prompt").get_attribute("lang") == "zh"
    assert {part.get_attribute("dir") for part in page.locator(".prompt").all()} == {"auto"}
    assert page.evaluate("document.querySelectorAll('script, style').length") == 3
    assert page.locator("#label option").all_text_contents() == ["Any label", "<i>one</i> (1)"]


def test_pictures_are_three_frames_of_each_video_and_the_input(watched, made):
    """Each video has one picture, which is kept; an input picture is shown beside its prompt."""
    page = watched.page
    urls = page.locator(".frame").evaluate_all("frames => frames.map(frame => frame.style.backgroundImage)")
    assert len(urls) == 3 * 4
    assert len(set(urls)) == 4
    watched.until("[...document.images].every(image => image.complete && image.naturalWidth)")
    assert card(page, "猫").locator("img").get_attribute("alt") == "cat.jpg"
    before = {path: path.stat().st_mtime_ns for path in (made.desk.directory / "pictures").iterdir()}
    assert len(before) == 5 + 1
    assert made.desk.do("report", "batch.yaml").code == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_filters_and_sorts(watched):
    """Search, state and label choose; the order can be changed; Reset shows everything again."""
    page = watched.page
    page.fill("#text", "MADE twice")
    assert shown(page) == ["twice"]
    page.click("button[type=reset]")
    watched.until("document.querySelectorAll('.card').length === 7")
    page.select_option("#state", "failed")
    assert shown(page) == ["mod-1", "mod-2", "fail-1"]
    assert page.inner_text("#shown") == "3 of 7 tasks"
    page.select_option("#state", "")
    page.select_option("#label", index=1)
    assert shown(page) == ["hostile"]
    page.select_option("#label", "")
    page.select_option("#sort", "id")
    assert shown(page)[:2] == ["arabic", "fail-1"]
    page.fill("#text", "no such thing")
    assert page.is_visible("#nothing")
    assert not page.is_visible("#film"), "no task continues another one"
    assert "By film" not in page.locator("#sort option").all_inner_texts()


def test_failures_are_grouped_with_what_to_do(watched):
    """Equal causes are one entry with its number, and a command that can be typed."""
    page = watched.page
    groups = page.locator(".failure").all()
    assert [group.locator("strong").inner_text() for group in groups] == [
        "2 × OutputVideoSensitiveContentDetected",
        "1 × InternalServiceError",
    ]
    assert groups[0].locator("code").inner_text() == "batchrunner retry batch.run mod-1 mod-2"
    groups[0].locator("button", has_text="Show").click()
    watched.until("document.querySelectorAll('.card').length === 2")
    assert shown(page) == ["mod-1", "mod-2"]
    assert page.inner_text("#shown") == "OutputVideoSensitiveContentDetected: 2 of 7 tasks"
    page.click("button[type=reset]")
    watched.until("document.querySelectorAll('.card').length === 7")


def test_plays_a_video_and_two_versions_in_step(watched):
    """A click shows a task's videos; two versions play, stop and jump together."""
    page = watched.page
    assert page.evaluate("document.createElement('video').canPlayType('video/mp4; codecs=avc1.64001f')")
    card(page, "twice").locator(".open").click()
    videos = page.locator("#detail video")
    assert videos.count() == 2
    assert page.locator("#detail select").all_inner_texts() != []
    page.keyboard.press("Space")
    state = "[...document.querySelectorAll('#detail video')]"
    watched.until(f"{state}.every(video => video.currentTime > 0.3 && !video.error)")
    page.keyboard.press("Space")
    watched.until(f"{state}.every(video => video.paused)")
    page.evaluate(f"{state}[0].currentTime = 2.5")
    watched.until(f"{state}.every(video => Math.abs(video.currentTime - 2.5) < 0.1)")
    page.keyboard.press("Escape")
    watched.until("!document.getElementById('detail').open")
    assert (
        page.evaluate("document.activeElement.closest('.card').querySelector('.name').textContent") == "twice"
    )


def test_keyboard_alone_is_enough(watched):
    """Arrows move, Space plays in place, Enter opens, letters give verdicts."""
    page = watched.page
    page.locator(".open").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED) == "arabic"
    page.keyboard.press("Space")
    watched.until("document.querySelector('.card video').currentTime > 0.1")
    page.keyboard.press("k")
    watched.until("document.querySelectorAll('.card.keep').length === 1")
    assert page.evaluate(FOCUSED) == "arabic"
    page.keyboard.press("End")
    assert page.evaluate(FOCUSED) == "fail-1"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert page.inner_text("#detail h2") == "hostile"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#detail h2") == "arabic"
    page.keyboard.press("Escape")
    watched.until(f"{FOCUSED} === 'arabic'")
    page.keyboard.press("j")
    assert page.evaluate(FOCUSED) == "猫", "the next one without a verdict"
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    assert page.inner_text("#detail h2") == "twice"
    page.keyboard.press("k")
    page.keyboard.press("j")
    assert page.inner_text("#detail h2") == "hostile", (
        "what has no video is passed over; then comes the first"
    )
    page.keyboard.press("k")
    page.keyboard.press("j")
    assert page.inner_text("#notice") == "All videos shown here have a verdict."
    page.keyboard.press("Escape")
    watched.until(f"{FOCUSED} === 'hostile'")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "text"


def saved(page: Any, to: Path) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(to)
    return list(csv.DictReader(io.StringIO(to.read_text(encoding="utf-8"), newline="")))


def test_verdicts_are_kept_saved_and_loaded(watched, made, tmp_path):
    """Verdicts are about one version of a video; they outlive the page and travel as a CSV."""
    page = watched.page
    card(page, "twice").locator(".no").click()
    card(page, "猫").locator(".yes").click()
    card(page, "twice").locator(".open").click()
    note = page.locator("#detail textarea").last
    note.fill('too dark, "blurred"\n=1+1')
    note.blur()
    page.keyboard.press("Escape")
    rows = saved(page, tmp_path / "verdicts.csv")
    found = {row["id"]: (row["file_name"], row["verdict"], row["note"]) for row in rows}
    assert found == {
        "twice": ("videos/twice-v2.mp4", "reject", 'too dark, "blurred"\n=1+1'),
        "猫": ("videos/猫.mp4", "keep", ""),
    }
    assert {row["fingerprint"] for row in rows} < {row["fingerprint"] for row in made.desk.rows()}
    copy = made.desk.folder / "copy.run"
    shutil.copytree(made.desk.directory, copy, dirs_exist_ok=True)
    asked = made.desk.do("retry", "copy.run", "--again", "--from", str(tmp_path / "verdicts.csv"), "--json")
    assert [task["id"] for task in json.loads(asked.stdout)["tasks"]] == ["twice"]
    shutil.copy(tmp_path / "verdicts.csv", copy)
    assert made.desk.do("report", "copy.run").code == 0
    assert "too dark" in (copy / "report.html").read_text(encoding="utf-8")
    shutil.rmtree(copy)
    page.reload()
    assert page.inner_text("#verdict-counts") == "1 kept, 1 rejected"
    page.select_option("#verdict", "reject")
    assert shown(page) == ["twice"]
    card(page, "twice").locator(".no").click()
    page.set_input_files("#load", tmp_path / "verdicts.csv")
    watched.until("document.getElementById('verdict-counts').textContent === '1 kept, 1 rejected'")
    assert page.locator("#saved code").count() == 0
    text = (tmp_path / "verdicts.csv").read_text(encoding="utf-8").replace(",keep,", ",Reject,")
    lines = text.replace(',"too dark, ""blurred""\n=1+1"', ",").replace(",", ";").splitlines()
    stranger = lines[1].replace("videos/", "elsewhere/")
    (tmp_path / "excel.csv").write_text("\ufeff" + "\r\n".join([*lines, stranger]), encoding="utf-8")
    page.set_input_files("#load", tmp_path / "excel.csv")
    watched.until("document.getElementById('verdict-counts').textContent === '0 kept, 2 rejected'")
    assert page.inner_text("#saved") == (
        "2 verdicts loaded from excel.csv; 1 row about videos that this page doesn't show"
    )
    (tmp_path / "odd.csv").write_text(text.replace(",Reject,", ",rejected,"), encoding="utf-8")
    page.set_input_files("#load", tmp_path / "odd.csv")
    watched.until("!document.getElementById('notice').hidden")
    assert "“rejected”, not keep or reject" in page.inner_text("#notice")
    page.set_input_files("#load", tmp_path / "excel.csv")
    watched.until("document.getElementById('notice').hidden")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    page.set_input_files("#load", tmp_path / "other.csv")
    watched.until("!document.getElementById('notice').hidden")
    assert "other.csv has no verdicts of this report" in page.inner_text("#notice")


def test_a_newer_file_of_verdicts_counts(browser, desk, sim, tmp_path):
    """The browser keeps only what was decided in it, and whichever of two changes is newer counts."""
    names = ("ant", "bee", "cat", "dog")
    desk.write(*names)
    sim.start()
    desk.check(desk.run(), 0)
    assert desk.do("report", "batch.run").code == 0
    seen = Watched(browser, desk.directory / "report.html")
    page, file = seen.page, desk.directory / "verdicts.csv"

    def report_again(changes: dict[str, str] | None = None, at: float = 0) -> dict[str, str]:
        """Edit the file at this time, make a new report, and return what it shows."""
        if changes is not None:
            rows = [row | {"verdict": changes.get(row["id"], row["verdict"])} for row in written]
            with file.open("w", encoding="utf-8", newline="") as to:
                writer = csv.DictWriter(to, written[0])
                writer.writeheader()
                writer.writerows(rows)
            os.utime(file, (at, at))
        assert desk.do("report", "batch.run").code == 0
        page.reload()
        return {row["id"]: row["verdict"] for row in page.evaluate("verdicts.rows()")}

    later, earlier = 4e9, 1e9
    for name in names[:3]:
        card(page, name).locator(".no").click()
    written = saved(page, tmp_path / "verdicts.csv")
    assert report_again({}, later) == dict.fromkeys(names[:3], "reject")
    assert report_again({"ant": "keep"}, later)["ant"] == "keep", "edited after it was saved"
    card(page, "bee").locator(".yes").click()
    card(page, "dog").locator(".yes").click()
    both = {"ant": "keep", "bee": "keep", "cat": "reject", "dog": "keep"}
    assert report_again({"ant": "keep"}, later) == both, "decided here, and the file says what it said before"
    assert report_again({"ant": "keep", "bee": ""}, earlier) == both, "the file is older"
    kept = {row["id"] for row in json.loads(page.evaluate("localStorage.getItem(verdicts.place)"))}
    assert kept == {"bee", "cat", "dog"}, "the browser keeps no copy of the file"
    assert report_again({"ant": "", "bee": "", "cat": ""}, later) == {"dog": "keep"}, "both have changed"
    file.unlink()
    assert report_again() == {"dog": "keep"}
    seen.context.close()


def test_names_that_javascript_knows_are_names(browser, desk, sim, tmp_path):
    """IDs, files, labels, their values and models may be called like what every object has."""
    names = ["constructor", "__proto__", "toString", "hasOwnProperty", "plain"]
    labels = {name: name for name in names[:4]}
    desk.write(
        *({"id": name, "prompt": name, "labels": labels} for name in names[:4]),
        {"id": "plain", "prompt": "plain"},
    )
    sim.start()
    desk.check(desk.run(), 0)
    assert desk.do("report", "batch.run").code == 0
    seen = Watched(browser, desk.directory / "report.html")
    page = seen.page
    assert shown(page) == names
    groups = page.locator("#label optgroup")
    assert groups.evaluate_all("all => all.map(one => one.label)") == names[:4]
    assert page.locator("#label option").all_text_contents()[1:] == [f"{name} (4)" for name in names[:4]]
    for index in range(1, 5):
        page.select_option("#label", index=index)
        assert shown(page) == names[:4]
    page.select_option("#label", "")
    page.evaluate("data.tasks.forEach((task) => { task.model = task.state = task.id; }); fillFilters()")
    for select in ("#model", "#state"):  # which this gateway and this version don't have
        for name in names:
            page.select_option(select, name)
            assert shown(page) == [name]
        page.select_option(select, "")
    card(page, "__proto__").locator(".no").click()
    card(page, "constructor").locator(".open").click()
    rows = page.locator("#detail tr").all_text_contents()
    assert [f"label {name}{name}" for name in names[:4]] == [row for row in rows if row.startswith("label ")]
    page.keyboard.press("k")
    page.keyboard.press("Escape")
    rows = saved(page, tmp_path / "verdicts.csv")
    assert [(row["id"], row["file_name"], row["verdict"]) for row in rows] == [
        ("__proto__", "videos/__proto__.mp4", "reject"),
        ("constructor", "videos/constructor.mp4", "keep"),
    ]
    text = (tmp_path / "verdicts.csv").read_text(encoding="utf-8").replace("note", "__proto__")
    (tmp_path / "odd.csv").write_text(text, encoding="utf-8")
    page.set_input_files("#load", tmp_path / "odd.csv")
    seen.until("document.getElementById('saved').textContent === '2 verdicts loaded from odd.csv'")
    assert page.inner_text("#verdict-counts") == "1 kept, 1 rejected"
    assert seen.complaints == []
    seen.context.close()


def test_nothing_moves_under_the_hand(watched):
    """Counts change and notices appear, a filtered card stays, and buttons are where they will be."""
    page = watched.page
    page.select_option("#verdict", "none")
    options = "[...document.querySelectorAll('#verdict option')].map(option => option.textContent)"
    before = ["Any verdict", "Kept (0)", "Rejected (0)", "No verdict (7)", "With a note (0)"]
    assert page.evaluate(options) == before
    top = "document.getElementById('grid').getBoundingClientRect().top"
    card(page, "twice").locator(".yes").scroll_into_view_if_needed()
    places, at = page.locator(".card").all(), page.evaluate(top)
    boxes = [place.bounding_box() for place in places]
    card(page, "twice").locator(".yes").click()
    page.evaluate("tell('something is wrong')")
    assert [place.bounding_box() for place in places] == boxes
    assert page.evaluate(top) == at
    assert page.evaluate(options) == ["Any verdict", "Kept (1)", "Rejected (0)", "No verdict (6)", before[-1]]
    card(page, "twice").locator(".open").click()
    height = "document.querySelector('#detail video').getBoundingClientRect().height"
    loading = page.evaluate(f"document.querySelector('#detail video').removeAttribute('src'), {height}")
    page.evaluate("document.querySelector('#detail video').src = detail.task.takes[0].url")
    watched.until("document.querySelector('#detail video').readyState > 0")
    assert page.evaluate(height) == loading > 100


def serious_barriers(page: Any) -> list[tuple[str, str]]:
    """What axe finds: rule and first element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_is_accessible(browser, made, scheme):
    """axe finds nothing serious, in light and in dark, with everything open."""
    seen = Watched(browser, made.file, color_scheme=scheme)
    seen.page.click("#charts summary")
    for task in (None, "twice"):
        if task:
            card(seen.page, task).locator(".open").click()
        assert serious_barriers(seen.page) == []
    seen.context.close()


@pytest.fixture(scope="module")
def film(make_desk) -> Iterator[Path]:
    """The report of a run with two films that have their beginning in common, and a task with a reference."""
    desk = make_desk()
    others = [f"other-{number}" for number in range(8)]
    reference = {"type": "image_url", "role": "reference_image", "image_url": {"url": "task:fox/last_frame"}}
    desk.write(
        "one",
        "fox",
        *others,
        *(
            {"id": name, "prompt": name, "image": f"task:{before}/last_frame"}
            for before, name in (("two", "four"), ("one", "two"), ("two", "three"))
        ),
        {"id": "rat", "prompt": "rat and fox", "metadata": {"content": [reference]}},
    )
    desk.gateway.start()
    desk.check(desk.run(), 0)
    assert desk.do("report", "batch.run").code == 0
    yield desk.directory / "report.html"
    desk.clear_away()


def test_links_lead_from_shot_to_shot(browser, film):
    """With mouse and keyboard, to cards that are far away or filtered out; the target has the focus."""
    seen = Watched(browser, film)
    page = seen.page
    page.set_viewport_size({"width": 420, "height": 500})
    seen.until("document.querySelectorAll('.card').length < 8")
    assert card(page, "two").count() == 0, "too far away to be in the document"
    assert card(page, "fox").locator(".shot").count() == 0
    card(page, "one").get_by_role("button", name="Next shot: two").click()
    assert page.evaluate(FOCUSED) == "two"
    box = page.evaluate("document.activeElement.closest('.card').getBoundingClientRect().toJSON()")
    assert box["top"] >= 0
    assert box["bottom"] <= 500
    card(page, "two").get_by_role("button", name="Previous shot: one").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(FOCUSED) == "one"
    for key, name in ((".", "two"), (".", "four"), (",", "two")):
        page.keyboard.press(key)
        assert page.evaluate(FOCUSED) == name
    page.keyboard.press(",")
    page.keyboard.press(",")
    assert page.inner_text("#notice") == "one has no previous shot."
    assert page.evaluate(FOCUSED) == "one"
    page.fill("#text", "three")
    assert shown(page) == ["three"]
    page.get_by_role("button", name="Previous shot: two").click()
    seen.until(f"{FOCUSED} === 'two'")
    assert page.input_value("#text") == ""
    page.set_viewport_size({"width": 700, "height": 500})
    seen.until("grid.columns === 2")
    assert page.evaluate(FOCUSED) == "two", "when the window changes, too"
    page.keyboard.press("Enter")
    related = page.locator("#detail .related")
    assert related.all_text_contents() == ["Previous shot: one", "Next shot: fourthree"]
    page.locator("#detail").get_by_role("button", name="Next shot: three").click()
    assert page.inner_text("#detail h2") == "three"
    page.keyboard.press(",")
    assert page.inner_text("#detail h2") == "two"
    page.keyboard.press("Escape")
    seen.until(f"{FOCUSED} === 'two'")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    related.get_by_role("button", name="Needs: fox").click()
    assert related.all_text_contents() == ["Needed by: rat"]
    assert seen.complaints == []
    seen.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_films_shots_are_shown_together_in_their_order(browser, film, scheme):
    """By the filter, one film; by the order, one film after another, and then all other tasks."""
    seen = Watched(browser, film, color_scheme=scheme)
    page = seen.page
    assert page.locator("#film option").all_inner_texts() == ["Any film", "four (3 shots)", "three (3 shots)"]
    assert serious_barriers(page) == []
    page.select_option("#film", label="three (3 shots)")
    assert shown(page) == ["one", "two", "three"]
    page.select_option("#sort", "id")
    assert shown(page) == ["one", "three", "two"]
    page.click("button[type=reset]")
    seen.until("document.querySelectorAll('.card').length > 3")
    page.select_option("#sort", "film")
    assert shown(page)[:6] == ["one", "two", "four", "three", "fox", "other-0"]
    card(page, "two").locator(".open").click()
    assert serious_barriers(page) == []
    assert seen.complaints == []
    seen.context.close()


def test_policy_forbids_everything_but_its_own(browser, made, tmp_path):
    """A script that somebody adds to the page doesn't run, and nothing is fetched."""
    text = made.file.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    spoilt = tmp_path / "report.html"
    added = "<script>window.harmed = 1; fetch('http://127.0.0.1:9/')</script><img src='http://127.0.0.1:9/x.png'></body>"
    spoilt.write_text(text.replace("</body>", added), encoding="utf-8")
    seen = Watched(browser, spoilt)
    assert seen.page.evaluate("window.harmed") is None
    assert len([text for text in seen.complaints if "Content Security Policy" in text]) >= 2
    seen.context.close()


def test_two_runs_side_by_side(browser, made, make_desk):
    """`--beside` shows another run's video of the same task, and of a task with the same ID."""
    desk = make_desk()
    desk.write({"id": "twice", "prompt": "made twice"}, {"id": "arabic", "prompt": "another prompt"})
    desk.gateway.start()
    assert desk.run().code == 0
    shutil.copytree(made.desk.directory, desk.folder / "first.run")
    ended = desk.do("report", "first.run", "--beside", "batch.run", "--json")
    assert json.loads(ended.stdout)["videos"] == 7
    seen = Watched(browser, desk.folder / "first.run/report.html")
    card(seen.page, "arabic").locator(".open").click()
    names = seen.page.locator("#detail select").first.locator("option").all_inner_texts()
    assert names == ["Version 1 (current): videos/arabic.mp4", "batch.run: videos/arabic.mp4"]
    seen.until(
        "[...document.querySelectorAll('#detail video')].every(video => video.readyState > 0 && !video.error)"
    )
    seen.page.keyboard.press("r")
    seen.page.keyboard.press("n")
    seen.page.keyboard.type("five legs")  # kept as it is typed
    (row,) = seen.page.evaluate("verdicts.rows()")
    (own,) = [row for row in made.desk.rows() if row["id"] == "arabic"]
    assert (row["fingerprint"], row["file_name"]) == (own["fingerprint"], "videos/arabic.mp4")
    assert (row["verdict"], row["note"]) == ("reject", "five legs")
    assert row["run"] == (desk.folder / "first.run/videos/.run-id").read_text().strip()
    seen.page.locator("#detail .player video").last.click()
    seen.page.locator("#detail h2").focus()
    seen.page.keyboard.press("k")
    assert len({row["run"] for row in seen.page.evaluate("verdicts.rows()")}) == 2
    assert seen.page.inner_text("#verdict-counts") == "0 kept, 1 rejected, 1 on other versions"
    assert seen.complaints == []
    seen.context.close()
    shutil.copytree(desk.directory, desk.folder / "copy.run")
    for others in (["first.run"], ["batch.run", "copy.run"]):
        refused = desk.do("report", "first.run", *(word for one in others for word in ("--beside", one)))
        assert refused.code == 2
        assert f"--beside {others[-1]} is a run that is already shown, or a copy of it" in refused.stderr
    desk.clear_away()


def test_a_copy_of_the_run_is_not_shown_beside_it(desk, sim):
    """A verdict about the copy's video would be one about one's own, and pay for another version of it."""
    desk.write("ant")
    sim.start()
    desk.check(desk.run(), 0)
    shutil.copytree(desk.directory, desk.folder / "copy.run")
    refused = desk.do("report", "batch.run", "--beside", "copy.run")
    assert (refused.code, refused.stdout) == (2, "")
    assert "--beside copy.run is a run that is already shown, or a copy of it" in refused.stderr
    assert not (desk.directory / "report.html").exists()


def test_a_thousand_videos_are_a_small_page_that_draws_few(browser, made, tmp_path):
    """A thousand tasks make a page of less than 5 MB, of which only what is near the window exists."""
    text = made.file.read_text(encoding="utf-8")
    begin = text.index('id="data">') + len('id="data">')
    end = text.index("</script>", begin)
    data = json.loads(text[begin:end])
    task = data["tasks"][0] | {"prompt": "A long prompt of two hundred words. " * 30}
    data["tasks"] = [task | {"id": f"t{number}", "key": f"1-{number}"} for number in range(1000)]
    page_text = text[:begin] + json.dumps(data).replace("<", "\\u003c") + text[end:]
    assert len(page_text) < 5_000_000
    (tmp_path / "report.html").write_text(page_text, encoding="utf-8")
    shutil.copytree(made.desk.directory / "pictures", tmp_path / "pictures")
    seen = Watched(browser, tmp_path / "report.html")
    assert 8 <= seen.page.locator(".card").count() <= 60
    seen.page.locator(".open").first.focus()
    seen.page.keyboard.press("End")
    seen.until("[...document.querySelectorAll('.name')].some(name => name.textContent === 't999')")
    assert seen.page.locator(".card").count() <= 60
    assert seen.complaints == []
    seen.context.close()


def test_report_of_a_run_in_progress_and_of_broken_files(sim, desk):
    """Whatever state the files are in, the report is written, and says what is wrong; nothing is changed."""
    desk.write("one", "two", "three")
    sim.start()
    assert desk.run().code == 0
    (desk.directory / "videos/one.mp4").write_bytes(b"not a video")
    (desk.directory / "videos/two.mp4").unlink()
    (desk.directory / "videos/three.mp4").unlink()
    os.mkfifo(desk.directory / "videos/three.mp4")
    ended = desk.do("report", "batch.run")
    assert ended.code == 0
    assert "batch.run/videos/one.mp4 can't be decoded" in ended.stderr
    text = (desk.directory / "report.html").read_text(encoding="utf-8")
    assert '"problem":"changed after the download"' in text
    assert '"problem":"moved or deleted"' in text
    assert '"problem":"replaced by something that is no file"' in text
    assert (desk.directory / "videos/one.mp4").read_bytes() == b"not a video"


def test_an_input_that_was_changed_is_not_shown(sim, desk):
    """Only a file with exactly the content that was sent is shown beside the prompt."""
    Image.new("RGB", (400, 300), "teal").save(desk.folder / "cat.png")
    desk.write({"id": "cat", "prompt": "a cat", "image": "cat.png"})
    sim.start()
    assert desk.run().code == 0
    assert desk.do("report", "batch.run").code == 0
    text = (desk.directory / "report.html").read_text(encoding="utf-8")
    assert '"inputs":[{"name":"cat.png","picture":"pictures/input-' in text
    before = set((desk.directory / "pictures").iterdir())
    Image.new("RGB", (400, 300), "red").save(desk.folder / "cat.png")
    assert desk.do("report", "batch.run").code == 0
    text = (desk.directory / "report.html").read_text(encoding="utf-8")
    assert '"inputs":[{"name":"cat.png"}]' in text
    assert set((desk.directory / "pictures").iterdir()) == before, "nothing of another file is copied"


def test_part_files_of_killed_reports_are_removed(sim, desk):
    """By the next report; a run removes none that a report is writing."""
    desk.write("ant")
    sim.start()
    desk.check(desk.run(), 0)
    assert desk.do("report", "batch.run").code == 0
    names = (".report.0badcafe.part", "pictures/.0123.0badcafe.part", ".results.0badcafe.part")
    report, picture, results = (desk.directory / name for name in names)
    for path in (report, picture, results):
        path.touch()
    assert desk.do("report", "batch.run").code == 0
    assert [path.exists() for path in (report, picture, results)] == [False, False, True]
    with report.open("w") as one, picture.open("w") as other:  # as a report does
        for file in (one, other):
            fcntl.flock(file, fcntl.LOCK_EX)
        assert desk.run().code == 0
        assert [path.exists() for path in (report, picture, results)] == [True, True, False]
    desk.check(desk.run(), 0)
    assert [path.exists() for path in (report, picture)] == [False, False]


def test_a_report_replaces_only_reports(sim, desk):
    """What somebody else wrote or edited is kept under another name, and what is kept is never replaced."""
    desk.write("ant")
    sim.start()
    desk.check(desk.run(), 0)
    page = desk.directory / "report.html"
    page.write_text("<p>my own notes", encoding="utf-8")
    first = desk.do("report", "batch.run")
    said = "batch.run/report.html was edited, or is not a report; the old file is kept as report.html.bak"
    assert (first.code, said in first.stderr) == (0, True)
    assert "kept as" not in desk.do("report", "batch.run").stderr
    edited = page.read_bytes().replace(b"<h1", b"<p>edited</p><h1")
    page.write_bytes(edited)
    assert "kept as report.html.bak2" in desk.do("report", "batch.run").stderr
    assert (desk.directory / "report.html.bak").read_text(encoding="utf-8") == "<p>my own notes"
    assert (desk.directory / "report.html.bak2").read_bytes() == edited
    assert b"my own notes" not in page.read_bytes()


def test_report_without_a_run_says_what_is_missing(desk):
    """A folder that is no run directory is refused."""
    ended = desk.do("report", "nowhere")
    assert (ended.code, ended.stdout) == (2, "")
    assert "hint" in ended.stderr
