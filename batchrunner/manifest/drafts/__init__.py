"""Drafts manifests for `batchrunner init`: from a rows file, a folder of pictures or prompts, or nothing."""

from batchrunner.manifest.drafts.from_files import draft_from_folder
from batchrunner.manifest.drafts.from_rows import GUESSED_PROMPT, draft_from_rows
from batchrunner.manifest.drafts.text import Draft, example_text
from batchrunner.manifest.drafts.trial import Trial, check_text, tried

__all__ = [
    "GUESSED_PROMPT",
    "Draft",
    "Trial",
    "check_text",
    "draft_from_folder",
    "draft_from_rows",
    "example_text",
    "tried",
]
