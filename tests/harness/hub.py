"""A small stand-in for the Hugging Face Hub: repositories of datasets, and the uploads that git-lfs knows."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_ThisIsTheTokenOfTheTests"


class Hub:
    """What it was asked and given."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        """The content of each file, by repository."""
        self.created: list[dict[str, Any]] = []
        """The requests that created repositories."""
        self.uploads: list[str] = []
        """The hashes of the large files that were uploaded."""
        self.refuse = 0
        """A status with which to answer every request; 0 for none."""
        self.blobs: dict[str, bytes] = {}
        self.url = ""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """The status and the JSON that answer a request."""
        if self.refuse:
            return self.refuse, {"error": "not today"}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if method == "PUT":
            return self._put(path, body)
        found = re.fullmatch(r"(?:/api)?/datasets/([^/]+/[^/.]+)(?:\.git)?(?:/(.*))?", path)
        assert found, f"{method} {path}"
        return self._of_repository(found[1], (found[2] or "").split("/")[0], body)

    def _create(self, wanted: dict[str, Any]) -> tuple[int, Any]:
        self.created.append(wanted)
        name = f"{wanted['organization']}/{wanted['name']}"
        status = 409 if name in self.files else 200
        self.files.setdefault(name, {})
        return status, {"url": f"{self.url}/datasets/{name}"}

    def _put(self, path: str, body: bytes) -> tuple[int, Any]:
        digest = path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == digest
        self.blobs[digest] = body
        self.uploads.append(digest)
        return 200, {}

    def _of_repository(self, name: str, what: str, body: bytes) -> tuple[int, Any]:
        files = self.files[name]
        if what == "preupload":
            return 200, {"files": [self._mode(files, file) for file in json.loads(body)["files"]]}
        if what == "info":
            return 200, {"objects": [self._upload(item) for item in json.loads(body)["objects"]]}
        if what == "commit":
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "lfsFile":
                    files[value["path"]] = self.blobs[value["oid"]]
                elif line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
            return 200, {"commitUrl": f"{self.url}/datasets/{name}/commit/1", "commitOid": "1" * 40}
        return 200, {"id": name, "sha": "1" * 40, "siblings": []}

    def _mode(self, files: dict[str, bytes], file: dict[str, Any]) -> dict[str, Any]:
        is_large = file["path"].endswith((".mp4", ".tar", ".parquet"))
        there = files.get(file["path"])
        oid = hashlib.sha256(there).hexdigest() if there is not None and is_large else None
        mode = "lfs" if is_large else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _upload(self, item: dict[str, Any]) -> dict[str, Any]:
        actions = {"upload": {"href": f"{self.url}/lfs/{item['oid']}"}}
        return {**item, **({} if item["oid"] in self.blobs else {"actions": actions})}


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve an empty hub on the loopback interface."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            if not path.startswith("/lfs/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, value = 401, {"error": "Invalid username or password."}
            else:
                status, value = hub.answer(self.command, path, body)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
