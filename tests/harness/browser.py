"""A real browser without a window, for pages that people look at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.processes import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000.0
"""Milliseconds to wait for something to appear: a loaded machine is slow."""


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start Chromium; skip the test if it isn't there, unless REQUIRE_BROWSER is set."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415
    except ImportError:
        path = None
    if path is None:
        assert not os.environ.get("REQUIRE_BROWSER"), "no Chromium, or no playwright"
        pytest.skip("no Chromium, or no playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield browser
        browser.close()


class Watched:
    """A page, and everything that it complained about or asked for."""

    def __init__(self, browser: Browser, file: Path, **look: object) -> None:
        self.folder = file.parent
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.context = browser.new_context(viewport={"width": 1200, "height": 900}, **look)
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())

    def until(self, condition: str) -> None:
        """Wait until a JavaScript expression is true.

        Playwright's own way evaluates a text within the page, which the page's security policy forbids.
        """
        until(lambda: self.page.evaluate(condition), condition)

    def outside(self) -> list[str]:
        """What it asked for that is not in its folder."""
        inside = self.folder.as_uri() + "/"
        return [url for url in self.requests if not url.startswith((inside, "blob:", "data:"))]
