"""Decides who downloads a run's videos: the workers of a cluster, or this machine alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from batchrunner.engine.fetch_messages import ClusterSetup
from batchrunner.engine.fetcher import Fetcher, Fetches
from batchrunner.engine.job import Job
from batchrunner.engine.remote_fetcher import RemoteFetcher
from batchrunner.gateway import Gateway
from batchrunner.storage.local_videos import LocalVideos
from batchrunner.storage.video_store import VideoStore


@asynccontextmanager
async def fetching_on_cluster(
    job: Job, gateways: Mapping[str, Gateway], videos: VideoStore, url: str, notice: Callable[[str], None]
) -> AsyncIterator[Fetches | None]:
    """What downloads videos on the job's cluster, as long as the context; None for this machine alone.

    `url` is that of `videos`, if these are not in the run directory.
    """
    if not job.collect_on:
        yield None
        return
    bucket = "" if isinstance(videos, LocalVideos) else url
    setup = ClusterSetup(job.collect_on, job.gateway.base_url, bucket, str(job.directory.absolute()))
    here = Fetcher(next(iter(gateways.values())), videos, gateways)
    async with RemoteFetcher(here, videos, setup, notice).working() as fetcher:
        yield fetcher
