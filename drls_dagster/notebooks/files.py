"""Notebooks as files: read to be saved as a pipeline, never run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from drls_dagster.errors import UsageError
from lifecycle.private_files import account_name, is_trusted
from lifecycle.spec.notebook_cells import MAX_NOTEBOOK


def read_notebook(path: str | Path) -> str:
    """The text of a notebook. Raises UsageError in one line for what is no file of whoever reads it, and for a link:
    what is saved in somebody's name is what they see under this path.
    """
    file = Path(path)
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if file.is_symlink():
            raise UsageError(f"{file} is a link; name the file that it leads to") from None
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError:
        raise UsageError("the path of the notebook has a null character; name a file") from None
    try:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{file} is not a file; name the .py file of a notebook")
        if not is_trusted(found.st_uid, file.parent):
            raise UsageError(
                f"{file} belongs to {account_name(found.st_uid)}, who could change it; save a copy of yours"
            )
        with os.fdopen(opened, "rb", closefd=False) as source:
            content = source.read(MAX_NOTEBOOK + 1)
    finally:
        os.close(opened)
    if len(content) > MAX_NOTEBOOK:
        raise UsageError(f"{file} is larger than {MAX_NOTEBOOK // 1_000_000} MB; move data and helpers out of it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not text; name the .py file of a notebook") from None
