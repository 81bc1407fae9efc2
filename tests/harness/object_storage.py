"""Two object storages on loopback, which speak S3: versitygw, which keeps files, and moto's server.

What is in them is asked of the servers, with another library than the one that the program uses.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.harness.processes import clean_environment, until

ACCESS_KEY, SECRET_KEY = "AKIACANARY4D2E77", "s3cr3t-canary-8b1f20c6d9"
BUCKET = "films"


class StoredObject(NamedTuple):
    """One object, as the server returns it."""

    content: bytes
    metadata: dict[str, str]


@dataclass(frozen=True)
class ObjectStorage:
    """A server with one empty bucket."""

    url: str
    client: Any

    @property
    def place(self) -> str:
        """The URL below which a run stores its videos."""
        return f"s3://{BUCKET}/tonight"

    def environment(self, url: str = "") -> dict[str, str]:
        """The variables by which a command finds the server, or a relay before it at `url`."""
        return variables(url or self.url)

    def names(self) -> list[str]:
        """The names of all objects below the place."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="tonight/")
        found = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return sorted(name.removeprefix("tonight/") for name in found)

    def videos(self) -> list[str]:
        """The names of those that are videos."""
        return [name for name in self.names() if name.endswith(".mp4")]

    def read(self, name: str) -> StoredObject:
        """One object."""
        answer = self.client.get_object(Bucket=BUCKET, Key=f"tonight/{name}")
        return StoredObject(answer["Body"].read(), answer["Metadata"])

    def write(self, name: str, content: bytes) -> None:
        """Store an object as a person would, without metadata."""
        self.client.put_object(Bucket=BUCKET, Key=f"tonight/{name}", Body=content)

    def delete(self, name: str) -> None:
        """Delete an object."""
        self.client.delete_object(Bucket=BUCKET, Key=f"tonight/{name}")

    def uploads(self) -> list[str]:
        """The names of multipart uploads that have neither ended nor been aborted."""
        found = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [upload["Key"] for upload in found]

    def empty(self) -> None:
        """Delete everything, for the next test."""
        for name in self.names():
            self.delete(name)
        for upload in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            self.client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])


def variables(url: str) -> dict[str, str]:
    """The variables by which a command finds a server."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[ObjectStorage]:
    """Start one of the servers; skip the test if it isn't installed, unless REQUIRE_OBJECT_STORAGE is set."""
    (folder / "data").mkdir(parents=True)
    with {"versitygw": serving_files, "moto": _moto}[kind](folder / "data") as url:
        client = _client(url)
        client.create_bucket(Bucket=BUCKET)
        yield ObjectStorage(url, client)
        client.close()


def _client(url: str) -> Any:
    import boto3  # noqa: PLC0415  half a second that only these tests need
    from botocore.config import Config  # noqa: PLC0415  likewise

    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(proxies={}, s3={"addressing_style": "path"}),
    )


def _missing(what: str) -> None:
    assert not os.environ.get("REQUIRE_OBJECT_STORAGE"), what
    pytest.skip(what)


@contextmanager
def serving_files(data: Path) -> Iterator[str]:
    """Start versitygw, each of whose objects is a file, and each bucket a folder in `data`; give its URL.

    Skip or fail as `serving` does.
    """
    program = shutil.which("versitygw")
    if program is None:
        _missing("versitygw is not installed")
    folder = data.parent
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    keys = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    command = [str(program), "--port", f"127.0.0.1:{port}", "--quiet", "posix", str(data)]
    with (folder / f"versitygw-{port}.log").open("w+b") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment(folder, **keys))

    def answers() -> bool:
        assert process.poll() is None, (folder / f"versitygw-{port}.log").read_text()
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port))):
            return True
        return False

    try:
        until(answers, "versitygw")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def _moto(folder: Path) -> Iterator[str]:
    try:
        from moto.server import ThreadedMotoServer  # noqa: PLC0415  an extra
    except ImportError:
        _missing("moto is not installed")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
