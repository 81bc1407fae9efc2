"""What a worker of the cluster does for an export: make one shard, and leave it in the folder of the set.

To do it again, even at the same time elsewhere, does no harm: each try has a temporary name of its own.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from batchrunner.cluster.probing import sees
from batchrunner.core.errors import BatchrunnerError
from batchrunner.engine.cluster_messages import NotHere
from batchrunner.engine.shard_messages import LeftShard, ShardSetup, answer_line, read_request
from batchrunner.output.export.localising import localising
from batchrunner.output.export.samples import Sample, ShardsHere
from batchrunner.output.export.shard_formats import shard_format


def shard_line(setup: str, request: str) -> str:
    """Make the shard of one request; return the answer. All three are lines of JSON.

    Errors are part of the answer, so that the cluster repeats only what was lost with a node.
    """
    number, split, samples = read_request(request)
    try:
        answer = asyncio.run(_made(ShardSetup.read(setup), split, samples))
    except (BatchrunnerError, OSError) as error:
        answer = NotHere(f"{type(error).__name__}: {error}")
    return answer_line(number, answer)


async def _made(setup: ShardSetup, split: str, samples: list[Sample]) -> LeftShard | NotHere:
    folder = Path(setup.folder)
    if not sees(folder, setup.probe):
        return NotHere(
            "a worker doesn't see the folder of the set; give a folder that all machines of the cluster share"
        )
    form = shard_format(setup.format, setup.embed, setup.verify)
    if form.library != setup.library:
        return NotHere(f"a worker has {form.library}, and this machine {setup.library}")
    with localising() as localise:
        made = await ShardsHere(folder, form, localise).make(split, samples)
    for number, why in made.unusable.items():
        made.part.unlink(missing_ok=True)
        place = "share the run directories as well, or store the videos in a bucket"
        return NotHere(f"for a worker, {samples[number].file.path} is {why}; {place}")
    return LeftShard(made.part.name, made.size, made.sha256)
