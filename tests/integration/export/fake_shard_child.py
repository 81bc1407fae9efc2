"""A process that speaks like the one that uses a cluster: `fake_shard_child.py BEHAVIOUR LOG`.

It makes shards as a worker does, without a cluster. What it gets is appended to LOG.
"""

import json
import sys
from pathlib import Path

from batchrunner.cluster.sharding import shard_line
from batchrunner.engine.shard_messages import ShardSetup


def say(line: str) -> None:
    """Send a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def distorted(answer: str, folder: Path, behaviour: str) -> str:
    """An answer that is not true."""
    message = json.loads(answer)
    if behaviour == "cut":
        part = folder / message["shard"]["part"]
        part.write_bytes(part.read_bytes()[:-1])
    elif behaviour == "outside":
        message["shard"]["part"] = "../elsewhere/.train.12345678.part"
    elif behaviour == "gone":
        (folder / message["shard"]["part"]).unlink()
    elif behaviour == "another shape":
        message["shard"] = {"part": 7}
    return json.dumps(message)


def main(behaviour: str, log: Path) -> None:
    """Answer requests in one way or another until stdin closes."""
    setup = sys.stdin.readline()
    folder = Path(ShardSetup.read(setup).folder)
    if behaviour == "elsewhere":
        next(folder.glob(".probe.*.part")).write_text("another machine's")
    for line in sys.stdin:
        with log.open("a") as record:
            record.write(line)
        if behaviour == "dies":
            sys.exit(1)
        if behaviour == "another library":
            setup = setup.replace('"library": "', '"library": "0.')
        if behaviour == "garbage":
            say("Traceback (most recent call last):")
        elif behaviour != "hangs":
            say(distorted(shard_line(setup, line), folder, behaviour))


main(sys.argv[1], Path(sys.argv[2]))
