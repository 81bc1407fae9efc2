"""An HTTP server on this machine that leaves every request to a function."""

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LoopbackServer:
    """The server, in threads of its own; `url` is where it is."""

    def __init__(self, meet: Callable[[BaseHTTPRequestHandler], None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                meet(self)

            do_GET = answer  # noqa: N815  the base class calls it so
            do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815  likewise

            def log_message(self, *_: object) -> None: ...

            def finish(self) -> None:
                with suppress(OSError, ValueError):  # the client, or a reset, was quicker
                    super().finish()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
