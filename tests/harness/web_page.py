"""An HTTP server that answers every request, a POST too, with the same page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WebPage:
    """The page that is served, and who asked for it; `%s` in its text shows the Authorization header."""

    url: str = ""
    methods: list[str] = field(default_factory=list)
    """The method of every request so far."""
    status: int = 200
    kind: str = "text/html"
    text: str = "<!doctype html><html><body>Welcome</body></html>"

    def show_to(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        self.methods.append(request.command)
        body = self.text.replace("%s", request.headers.get("Authorization", "")).encode()
        request.send_response(self.status)
        request.send_header("Content-Type", self.kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@contextmanager
def serving() -> Iterator[WebPage]:
    """Serve a page while the block runs."""
    page = WebPage()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.show_to(self)

        def do_POST(self) -> None:
            page.show_to(self)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.url = f"http://127.0.0.1:{server.server_port}"
        yield page
        server.shutdown()
