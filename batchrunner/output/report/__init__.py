"""Writes report.html: one page beside the videos that needs no network and no server."""

from batchrunner.output.report.contents import Contents, OtherRun, Stored, contents
from batchrunner.output.report.page import page_of, write_page
from batchrunner.output.report.pictures import Pictures

__all__ = ["Contents", "OtherRun", "Pictures", "Stored", "contents", "page_of", "write_page"]
