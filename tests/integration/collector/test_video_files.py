"""Is this file a whole, playable MP4, and what is in it?"""

import io
import struct

import av
import pytest

from batchrunner.media import NotPlayable, NotWhole, VideoFacts, check_boxes, probe


def box(kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(content) if size is None else size, kind) + content


FTYP, MOOV, MDAT = box(b"ftyp", b"isom0000"), box(b"moov", b"1" * 20), box(b"mdat", b"2" * 50)


@pytest.fixture
def file(tmp_path):
    """Makes a file of these bytes."""

    def make(content: bytes):
        path = tmp_path / "a.mp4"
        path.write_bytes(content)
        return path

    return make


@pytest.mark.parametrize(
    "content",
    [
        FTYP + MOOV + MDAT,
        FTYP + MDAT + MOOV,
        FTYP + box(b"free") + MDAT + MOOV + box(b"uuid", b"x" * 100),
        FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 16 + 50) + b"2" * 50,
        FTYP + MOOV + box(b"mdat", b"2" * 50, size=0),
    ],
    ids=["moov first", "mdat first", "more boxes", "a 64-bit size", "to the end"],
)
def test_boxes_that_end_where_the_file_ends_are_whole(file, content):
    """Any order, other boxes between, 64-bit sizes and a last box without a size are whole."""
    check_boxes(file(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"<html><body>no</body></html>",
        MOOV + FTYP + MDAT,
        FTYP + MOOV,
        FTYP + MDAT,
        FTYP,
        FTYP + MOOV + box(b"mdat", b"2" * 50, size=1000),
        FTYP + MOOV + box(b"mdat", b"2" * 50, size=7),
        FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 2**63) + b"2" * 50,
        FTYP + MOOV + struct.pack(">I4s", 1, b"mdat"),
        FTYP + MOOV + MDAT + b"junk",
    ],
)
def test_a_file_with_missing_or_wrong_boxes_is_not_whole(file, content):
    """Missing boxes, wrong sizes, junk at the end or another kind of file: not whole, and no endless walk."""
    with pytest.raises(NotWhole) as refused:
        check_boxes(file(content))
    assert str(refused.value)


def test_every_file_that_is_cut_is_not_whole(file, video):
    """Cut at any byte, a real video is recognised as cut."""
    path = file(video)
    check_boxes(path)
    whole = 0
    with path.open("r+b") as handle:
        for size in range(len(video) - 1, -1, -1):
            handle.truncate(size)
            try:
                check_boxes(path)
                whole += 1
            except NotWhole:
                pass
    assert whole == 0


def test_probe_reads_length_size_and_rate_of_a_video(file, video):
    """Length, size and rate of a real video."""
    assert probe(file(video)) == VideoFacts(duration=1.0, width=64, height=48, fps=24.0)


def fragmented(video: bytes) -> bytes:
    """The same pictures in fragments, as streaming servers write them: the table of samples is empty."""
    content = io.BytesIO()
    options = {"movflags": "frag_every_frame+empty_moov"}
    with av.open(io.BytesIO(video)) as source, av.open(content, "w", format="mp4", options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return content.getvalue()


def test_probe_reads_a_fragmented_video_to_its_end(file, video):
    """Without a table of samples, the packets show length, size and rate."""
    content = fragmented(video)
    assert b"moof" in content
    path = file(content)
    check_boxes(path)
    assert probe(path) == VideoFacts(duration=1.0, width=64, height=48, fps=24.0)


def test_a_frame_outside_the_file_is_not_playable(file, video):
    """The table of samples names more bytes than the file has, although its boxes are whole."""
    content = bytearray(video)
    at = video.index(b"stsz") + 12  # version and flags, one size for all, number of sizes
    (count,) = struct.unpack(">I", video[at : at + 4])
    last = at + 4 * count
    content[last : last + 4] = struct.pack(">I", len(video))
    path = file(bytes(content))
    check_boxes(path)
    with pytest.raises(NotPlayable, match="outside the file"):
        probe(path)


def sound_only() -> bytes:
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 44100
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()


def test_a_sound_file_is_not_a_video(file):
    """A whole MP4 without pictures is not playable as a video."""
    path = file(sound_only())
    check_boxes(path)
    with pytest.raises(NotPlayable):
        probe(path)


def slices(video: bytes):
    """Where each picture's data begins and ends."""
    at = video.index(b"mdat") + 4
    end = at + struct.unpack(">I", video[at - 8 : at - 4])[0] - 8
    while at < end:
        size = struct.unpack(">I", video[at : at + 4])[0]
        yield at + 4, at + 4 + size
        at += 4 + size


@pytest.mark.parametrize("spoilt", ["all", "the key picture", "all but the first"])
def test_whole_boxes_alone_do_not_make_a_playable_video(file, video, spoilt):
    """A file whose boxes are whole and whose pictures are garbage is not playable."""
    content = bytearray(video)
    for number, (begin, end) in enumerate(slices(video)):
        is_key = video[begin] & 31 == 5
        if spoilt == "all":
            content[begin:end] = b"\xff" * (end - begin)
        elif is_key if spoilt == "the key picture" else number > 1:
            content[begin + 1 : end] = b"\xff" * (end - begin - 1)
    path = file(bytes(content))
    check_boxes(path)
    with pytest.raises(NotPlayable):
        probe(path)


def test_boxes_without_a_video_in_them_are_not_playable(file):
    """Boxes alone are no video."""
    path = file(FTYP + MOOV + MDAT)
    check_boxes(path)
    with pytest.raises(NotPlayable):
        probe(path)
