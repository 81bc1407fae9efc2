"""Joining videos without encoding anything again, judged by decoding every picture and every sound."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import pytest

from batchrunner.media.joining import Joined, join
from batchrunner.media.reels import NotJoinable
from tests.harness.clips import Look, pictures_of, sound_of, video

TICKS = 512
"""Of a picture in these videos."""
A, B, C = Look(31, 20), Look(25, 120, pitch=660), Look(40, 200, pitch=880)
SILENT = Look(20, 90, pitch=None)
Join = Callable[..., tuple[Path, Joined, list[Path]]]


@pytest.fixture
def joined(tmp_path: Path) -> Join:
    """Makes videos and joins them; returns the film, its facts, and the videos."""

    def make(*looks: Look) -> tuple[Path, Joined, list[Path]]:
        paths = [tmp_path / f"{number}.mp4" for number in range(len(looks))]
        for path, look in zip(paths, looks, strict=True):
            path.write_bytes(video(look))
        film = tmp_path / ".film.mp4.part"
        return film, join([(path, f"shot {path.stem}") for path in paths], film), paths

    return make


def check_pictures(film: Path, facts: Joined, shots: list[Path]) -> None:
    """Every picture of every shot is there, unchanged, at its time; each shot begins at its cut."""
    wanted = [picture for shot in shots for _, picture in pictures_of(shot)]
    found = pictures_of(film)
    assert [picture for _, picture in found] == wanted
    assert [at for at, _ in found] == [number * TICKS for number in range(len(wanted))]
    at_times = {round(at / TICKS / 24, 6): picture for at, picture in found}
    assert [at_times[cut] for cut in facts.starts] == [pictures_of(shot)[0][1] for shot in shots]
    assert facts.duration == pytest.approx(len(wanted) / 24, abs=1e-5)


@pytest.mark.parametrize(
    "looks",
    [
        [A, B, C],
        [SILENT, SILENT],
        [A, Look(25, 120, forward=0), B],
        [Look(20, 60, forward=0), A],
        [A, Look(20, 60, begin=3, pitch=None), B],
        [A, Look(20, 60, details="ref=5:crf=33:keyint=8"), Look(20, 10, details="keyint=5")],
    ],
    ids=["alike", "silent", "other-order", "later-order", "late", "other-parameter-sets"],
)
def test_a_film_has_every_picture_of_its_shots_unchanged(joined: Join, looks: list[Look]) -> None:
    """Also where shots differ in their parameter sets, or in how far pictures refer forward."""
    film, facts, shots = joined(*looks)
    check_pictures(film, facts, shots)
    encodings = {(look.forward, look.details) for look in looks}
    assert (b"avc3" in film.read_bytes()) == (len(encodings) > 1)


@pytest.mark.parametrize("looks", [[A, B, C], [SILENT, A, B], [A, SILENT, B], [A, B, SILENT]], ids=str)
def test_sound_has_no_gaps_and_begins_with_its_shot(joined: Join, looks: list[Look]) -> None:
    """Each shot's samples are those of the shot itself, half a packet from their place at most.

    The last packet before a cut is the only one that differs; a shot without sound is silent.
    """
    film, facts, shots = joined(*looks)
    check_pictures(film, facts, shots)
    found = sound_of(film)
    assert found[0][0] == 0
    assert all(later == at + len(samples) // 4 for (at, samples), (later, _) in pairwise(found))
    assert found[-1][0] + 1024 >= facts.duration * 44_100 > found[-1][0]
    with av.open(film) as container:
        assert (container.streams.audio[0].duration or 0) <= facts.duration * 44_100 + 1
    by_packet = {at // 1024: samples for at, samples in found}
    for look, start, shot in zip(looks, facts.starts, shots, strict=True):
        begin = round(start * 44_100 / 1024)
        if look.pitch is None:
            wanted = [bytes(4096)] * (look.frames * 44_100 // 24 // 1024)
            begin, wanted = begin + 2, wanted[:-3]  # sound before it dies away, that after it begins
        else:
            wanted = [samples for _, samples in sound_of(shot)][:-2]
        assert [by_packet[begin + number] for number in range(len(wanted))] == wanted


def test_sound_that_outlasts_its_pictures_ends_with_them(joined: Join) -> None:
    """Also where the next shot's sound begins later: between them, it is silent."""
    film, facts, _ = joined(Look(24, longer=12), Look(36, 120, pitch=660, late=12))
    found = sound_of(film)
    assert all(later == at + len(samples) // 4 for (at, samples), (later, _) in pairwise(found))
    times = [at / 44_100 for at, samples in found if samples != bytes(len(samples))]
    assert not [time for time in times if facts.starts[1] + 0.06 < time < facts.starts[1] + 0.44]
    later = [time for time in times if time > facts.starts[1] + 0.44]
    assert later[0] == pytest.approx(facts.starts[1] + 0.5, abs=0.05)
    assert len(later) == pytest.approx(44_100 / 1024, abs=3)


def test_many_cuts_do_not_add_up(joined: Join) -> None:
    """After twenty shots, sound and pictures are as close as after one."""
    looks = [Look(25, 10 * number, pitch=300 + 20 * number) for number in range(20)]
    film, facts, shots = joined(*looks)
    by_packet = {at // 1024: samples for at, samples in sound_of(film)}
    begin = round(facts.starts[-1] * 44_100 / 1024)
    assert abs(begin * 1024 / 44_100 - facts.starts[-1]) <= 512 / 44_100
    assert by_packet[begin] == sound_of(shots[-1])[0][1]


def test_a_film_has_chapters_and_can_be_played_from_its_beginning(joined: Join) -> None:
    """The tables stand before the pictures; the chapters have the names of the shots."""
    film, facts, _ = joined(A, B, SILENT)
    content = film.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert content.count(b"Lavc") == 2  # the encoder of A's sound, and of B's; not of the silence
    assert b"Lavf" not in content
    with av.open(film) as container:
        chapters = [(one["metadata"]["title"], one["start"] / 1000) for one in container.chapters()]
        assert container.metadata["title"] == "shot 2"
    assert [name for name, _ in chapters] == ["shot 0", "shot 1", "shot 2"]
    assert [start for _, start in chapters] == pytest.approx(facts.starts, abs=0.001)
    decoded = [packet.dts for packet in packets(film) if packet.dts is not None]
    assert decoded == sorted(set(decoded))


def packets(film: Path) -> list[av.Packet]:
    """The packets of its pictures."""
    with av.open(film) as container:
        return list(container.demux(video=0))


def test_the_same_shots_make_the_same_bytes(joined: Join, tmp_path: Path) -> None:
    """Nothing depends on names of files, time or chance."""
    film, _, shots = joined(A, SILENT, B)
    other = tmp_path / "x:%d ünïcode.mp4"
    copies = [tmp_path / f"copy of {shot.name}" for shot in shots]
    for shot, copy in zip(shots, copies, strict=True):
        shot.rename(copy)
    join([(copy, f"shot {number}") for number, copy in enumerate(copies)], other)
    assert other.read_bytes() == film.read_bytes()


@pytest.mark.parametrize(
    ("look", "what"),
    [
        (Look(width=112), "size (96×64 and 112×64)"),
        (Look(fps=30), "frame rate (24 and 30)"),
        (Look(codec="mpeg4"), "codec (h264 High, yuv420p and mpeg4 "),
        (Look(rate=48_000), "sample rate (44100 and 48000)"),
        (Look(layout="mono"), "audio channels (stereo and mono)"),
    ],
    ids=lambda value: str(value).partition(" (")[0],
)
def test_shots_that_differ_are_named_with_what_differs(joined: Join, look: Look, what: str) -> None:
    """Of all shots, the first one that doesn't fit."""
    with pytest.raises(NotJoinable) as caught:
        joined(A, B, look)
    assert str(caught.value).startswith(f"the shots shot 0 and shot 2 differ in {what}")


def test_a_shot_that_is_shown_in_part_is_named(joined: Join) -> None:
    """A film would show what the shot alone doesn't."""
    with pytest.raises(NotJoinable, match="only a part of the shot shot 1 is shown"):
        joined(A, Look(begin=-6, forward=0))


def test_what_is_no_video_is_named(joined: Join, tmp_path: Path) -> None:
    """One that can't be read is no reason for a traceback."""
    path = tmp_path / "text.mp4"
    path.write_text("no video", encoding="utf-8")
    with pytest.raises(NotJoinable, match="the shot text can't be read"):
        join([(path, "text"), (path, "text")], tmp_path / "film.mp4")
