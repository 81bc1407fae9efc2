"""Uploads a set to the Hugging Face Hub."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from batchrunner.core.errors import AccountError, BatchrunnerError, ExitCode, UsageError
from batchrunner.core.redaction import MASK, redacted
from batchrunner.core.text import printable

_NOT_ALLOWED = (401, 403)


class PushFailed(BatchrunnerError):
    """The set was not, or not completely, uploaded."""

    exit_code = ExitCode.FAILED


def hub_library() -> Any:
    """The library that uploads.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return import_module("huggingface_hub")  # slow, and optional
    except ImportError as error:
        raise UsageError(
            "--push needs huggingface_hub, which is not installed", "run `pip install 'batchrunner[hub]'`"
        ) from error


def push(folder: Path, repository: str, progress: bool) -> str:
    """Upload a set to a dataset repository, which is created as a private one; return its address.

    What is there already is not uploaded again. The token is the library's own: `HF_TOKEN`, or what
    `hf auth login` has stored.

    Raises:
        AccountError: there is no token, or it may not write there.
        PushFailed: anything else went wrong; the same command goes on where it was.
    """
    library = hub_library()
    if not progress:
        import_module("huggingface_hub.utils").disable_progress_bars()
    token = library.get_token()
    if not token:
        raise AccountError(
            "there is no token for the Hugging Face Hub", "set HF_TOKEN, or run `hf auth login`"
        )
    api = library.HfApi(token=token, library_name="batchrunner")
    try:
        url = api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=folder,
            ignore_patterns=[".*", "*/.*", "*.bak*"],
            commit_message="Add videos",
        )
    except Exception as error:  # the library's own, the network's, and those of its native code
        what = printable(redacted(str(error).replace(token, MASK)))
        if getattr(getattr(error, "response", None), "status_code", 0) in _NOT_ALLOWED:
            raise AccountError(
                f"the Hugging Face Hub refuses to write to {repository}: {what}",
                "set HF_TOKEN to a token that may write there",
            ) from None  # its cause holds the request, and so the token
        again = "run the same command again; what is uploaded is not uploaded again"
        raise PushFailed(what, again) from None
    return str(url)


def check_repository(name: str) -> None:
    """Check the name of a repository.

    Raises:
        UsageError: it can't be one.
    """
    hub_library()
    errors = import_module("huggingface_hub.errors")
    try:
        import_module("huggingface_hub.utils").validate_repo_id(name)
    except errors.HFValidationError as error:
        raise UsageError(f"--push {name}: {error}", "write it as OWNER/NAME") from error
