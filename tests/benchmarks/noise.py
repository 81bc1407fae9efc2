"""`noise.py FILE BYTES SECONDS`: encode a playable video of about this many bytes, of noise.

A program of its own: its memory must not count as that of the programs that are started after it.
"""

from __future__ import annotations

import random
import sys
from fractions import Fraction
from pathlib import Path

import av

WIDTH, HEIGHT, FPS = 864, 496, 24


def encode(path: Path, size: int, seconds: int) -> None:
    """Write the video; noise can't be compressed, so the bit rate decides.

    No half second takes more than its share: else the first frame alone would be a quarter of a short video,
    which would be far too large, and take many times as long to decode as that of a video of something.
    """
    source = random.Random(7)
    rate = size * 8 // seconds // 1000
    options = {"preset": "ultrafast", "x264-params": f"vbv-maxrate={rate}:vbv-bufsize={rate // 2}"}
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = size * 8 // seconds
        for number in range(seconds * FPS):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            for plane in frame.planes:
                plane.update(source.randbytes(plane.buffer_size))
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


if __name__ == "__main__":
    encode(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
