"""The rows of results.csv: what was asked, what came, what it cost, and why not."""

import csv
import io
import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.core.states import TaskState
from batchrunner.ledger import ResultRow
from batchrunner.output.results import COLUMNS, from_network, header, line, values

# DESIGN.md, "Results", in order.
DESIGN = """
id, state, file_name, prompt, inputs, model, error_code, error_message, warnings, remote_id, attempts, seed,
tokens, cost, currency, requested_duration, requested_resolution, requested_ratio, duration, width, height,
fps, bytes, sha256, last_frame_file, submitted_at, finished_at, collected_at, generation_seconds, fingerprint,
account
"""
DESIGNED = DESIGN.replace("\n", " ").strip().split(", ")
TEXT = st.text() | st.lists(st.sampled_from(["=", "-", '"', ",", "\n", "\r", "\r\n", "'", "猫", " "])).map(
    "".join
)


JSON = ("inputs", "labels", "warnings")


def task(**changes) -> ResultRow:
    row = ResultRow(
        key="1-abc",
        position=0,
        id="moon-cat",
        state=TaskState.PENDING,
        file_name="videos/moon-cat.mp4",
        model="fast",
        prompt="a cat",
        requested_duration=5,
        requested_resolution="720p",
    )
    return row._replace(
        **{name: json.dumps(value) if name in JSON else value for name, value in changes.items()}
    )


def as_csv(tasks: list[ResultRow]) -> bytes:
    """The file's content, with a column for each of their labels."""
    labels = list(dict.fromkeys(name for one in tasks for name in json.loads(one.labels)))
    return "".join([header(labels), *(line(one, labels) for one in tasks)]).encode(errors="replace")


def names(tasks: list[ResultRow]) -> list[str]:
    return as_csv(tasks).decode().splitlines()[0].split(",")


def rows(*tasks: ResultRow) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(list(tasks)).decode(), newline=""), strict=True))


def row(**changes) -> dict[str, str]:
    return rows(task(**changes))[0]


def test_the_columns_are_those_of_the_design_in_its_order():
    """Every column of the design and no other, in its order; labels follow."""
    assert names([task()]) == DESIGNED
    assert list(COLUMNS) == DESIGNED
    labelled = [task(labels={"b": "1", "a": "2"}), task(labels={"a": "3", "c": "4"})]
    assert names(labelled) == [*DESIGNED, "label.b", "label.a", "label.c"]


def test_unknown_values_are_empty():
    """A task that has not begun has what was asked, and no invented zeros or Nones."""
    known = {name: value for name, value in row().items() if value}
    assert known == {
        "id": "moon-cat",
        "state": "pending",
        "prompt": "a cat",
        "model": "fast",
        "attempts": "0",
        "requested_duration": "5",
        "requested_resolution": "720p",
        "fingerprint": "1-abc",
    }


def test_a_finished_task_fills_every_column():
    """A finished task shows everything that the ledger knows of it."""
    done = row(
        state=TaskState.DONE,
        requested_ratio="16:9",
        inputs=("my cat.jpg", "https://a.example/b.png"),
        warnings=("asked for ratio 16:9, the model made 1:1", "second"),
        remote_id="task_A",
        attempts=2,
        seed=0,
        tokens=108_900,
        cost=0.60984,
        currency="USD",
        duration=5.042,
        width=1280,
        height=720,
        fps=24.0,
        size=1_234_567,
        sha256="ab" * 32,
        last_frame_file="videos/moon-cat.jpg",
        submitted_at=1795372420.0,
        finished_at=1795372452.25,
        collected_at=1795372460.1239,
        generation_seconds=32.0,
        account="second",
        labels={"category": "动物"},
    )
    assert done == {
        "id": "moon-cat",
        "state": "done",
        "file_name": "videos/moon-cat.mp4",
        "prompt": "a cat",
        "inputs": "my cat.jpg; https://a.example/b.png",
        "model": "fast",
        "error_code": "",
        "error_message": "",
        "warnings": "asked for ratio 16:9, the model made 1:1; second",
        "remote_id": "task_A",
        "attempts": "2",
        "seed": "0",
        "tokens": "108900",
        "cost": "0.60984",
        "currency": "USD",
        "requested_duration": "5",
        "requested_resolution": "720p",
        "requested_ratio": "16:9",
        "duration": "5.042",
        "width": "1280",
        "height": "720",
        "fps": "24.0",
        "bytes": "1234567",
        "sha256": "ab" * 32,
        "last_frame_file": "videos/moon-cat.jpg",
        "submitted_at": "2026-11-22T18:33:40.000Z",
        "finished_at": "2026-11-22T18:34:12.250Z",
        "collected_at": "2026-11-22T18:34:20.123Z",
        "generation_seconds": "32.0",
        "fingerprint": "1-abc",
        "account": "second",
        "label.category": "动物",
    }


@pytest.mark.parametrize("state", list(TaskState))
def test_only_a_verified_file_is_named(state):
    """`file_name` stands in the row once the verified file is in place, and at no other time."""
    assert row(state=state)["file_name"] == ("videos/moon-cat.mp4" if state is TaskState.DONE else "")
    assert row(state=state)["state"] == state.value


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        (None, ""),
        (0.0, "0"),
        (100.0, "100"),
        (0.5, "0.5"),
        (0.000001, "0.000001"),
        (1234567.891, "1234567.891"),
        (1e-9, "0"),
        (1e7, "10000000"),
    ],
)
def test_money_is_a_plain_number(cost, shown):
    """Money has neither exponent nor thousands nor useless zeros, and its currency stands beside it."""
    cells = row(cost=cost, currency="USD")
    assert (cells["cost"], cells["currency"]) == (shown, "USD" if shown else "")


def test_a_label_that_a_task_lacks_is_empty():
    """Each task has its own labels in the columns of all."""
    first, second = rows(task(labels={"a": "1"}), task(labels={"b": "2"}))
    assert (first["label.a"], first["label.b"]) == ("1", "")
    assert (second["label.a"], second["label.b"]) == ("", "2")


def test_a_label_may_be_called_like_a_column():
    """A label named like one of our columns has a column of its own."""
    assert row(labels={"id": "theirs"})["label.id"] == "theirs"
    assert row(labels={"id": "theirs"})["id"] == "moon-cat"


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    "\t=1",
    "\r\n@x",
    " =1",
    "\u200b=1",
    "\ufeff=1",
]
NETWORK = ["error_code", "error_message", "remote_id"]


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("column", NETWORK)
def test_text_from_the_network_starts_no_formula(column, text):
    """Nothing that the gateway chose is taken for a formula, blanks and invisible signs before it or not."""
    shown = row(**{column: text})[column]
    assert not shown.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_warning_starts_no_formula_either():
    """Warnings quote the model, so they are tamed as well."""
    assert row(warnings=("=1", "\n=2"))["warnings"].startswith("'=1; ")


@pytest.mark.parametrize("column", NETWORK)
def test_text_from_the_network_has_no_control_characters(column):
    """Escape sequences, line breaks and marks of direction are gone; the words stay."""
    shown = row(**{column: "a\x1b[31mred\r\nb\x00c\u202ed\x9be"})[column]
    assert shown == "a [31mred b c d e"


@given(TEXT)
def test_tamed_text_is_printable_and_no_formula(text):
    """Whatever came, one printable line is left that no spreadsheet evaluates."""
    tamed = from_network(text)
    assert not tamed.startswith(("=", "+", "-", "@"))
    assert tamed.splitlines() in ([tamed], [])
    assert not any(char < " " or "\x7f" <= char <= "\x9f" for char in tamed)


@given(TEXT, TEXT, TEXT)
def test_the_users_own_text_comes_back_as_it_was(prompt, label, source):
    """Prompts, inputs and labels are in the file as they were written, formulas and line breaks included."""
    cells = row(
        prompt=prompt,
        labels={"note": label},
        inputs=(source,) if source else (),
    )
    assert (cells["prompt"], cells["label.note"], cells["inputs"]) == (prompt, label, source)


@given(st.lists(TEXT, max_size=5))
def test_any_reader_of_rfc_4180_finds_one_row_a_task(prompts):
    """Commas, quotes and line breaks in a text make neither more rows nor more columns."""
    content = as_csv([task(prompt=prompt) for prompt in prompts])
    read = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
    assert len(read) == 1 + len(prompts)
    assert {len(cells) for cells in read} == {len(DESIGNED)}
    assert content.endswith(b"\r\n")


def test_the_file_is_rfc_4180_and_utf_8():
    """Lines end in CRLF, and quotes are doubled."""
    content = as_csv([task(prompt='say "猫", then\nrest')])
    assert content.startswith(b"id,state,")
    assert '"say ""猫"", then\nrest"'.encode() in content


NO_TEXT = {*JSON, "cost", "submitted_at", "finished_at", "collected_at", "file_state", "links_dead"}


@given(st.dictionaries(st.sampled_from(sorted(set(ResultRow._fields) - NO_TEXT)), TEXT))
def test_every_cell_is_quoted_as_csv_does_it(texts):
    """Whatever a column holds, its line is the one that the standard library writes."""
    file = io.StringIO()
    csv.writer(file).writerow(values(task(**texts)).values())
    assert line(task(**texts), []) == file.getvalue()


@given(st.floats(0, 4e9))
def test_times_are_those_of_datetime(seconds):
    """Times are rounded and cut as `datetime` does it."""
    expected = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    assert row(submitted_at=seconds)["submitted_at"] == expected.replace("+00:00", "Z")


def test_the_same_ledger_makes_the_same_file():
    """The file is a function of the records alone, in their order."""
    first, second = task(id="a"), task(id="b")
    assert as_csv([first, second]) == as_csv([first, second])
    assert [cells["id"] for cells in rows(second, first)] == ["b", "a"]


def test_a_run_without_tasks_writes_the_header():
    """A run without tasks has a file with the names of the columns."""
    assert as_csv([]).decode().splitlines() == [",".join(DESIGNED)]


def test_half_a_character_does_not_lose_the_file():
    """Text that UTF-8 can't hold costs its one character, not all rows."""
    assert len(rows(task(prompt="a\ud800b"), task(error_message="\udfff"))) == 2


def test_every_time_of_a_record_is_in_utc(monkeypatch):
    """Times are UTC wherever the run was."""
    times = {"submitted_at", "finished_at", "collected_at"}
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        cells = row(**dict.fromkeys(times, 0.0))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert {name: cells[name] for name in times} == dict.fromkeys(
        ["submitted_at", "finished_at", "collected_at"], "1970-01-01T00:00:00.000Z"
    )


@pytest.mark.parametrize("path", ["it's a b.png", "a<b>.png", 'a"b.png', f"{'d/' * 600}a.png"])
def test_the_inputs_show_no_signature_whatever_their_path_holds(path):
    """A signed URL gives its file to whoever reads the row: its query goes, and only that."""
    cells = row(inputs=("my cat?.jpg", f"https://a.example/{path}?X-Sign=S3cret"))
    assert cells["inputs"] == f"my cat?.jpg; https://a.example/{path}?…"
