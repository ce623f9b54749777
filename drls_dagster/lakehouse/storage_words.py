"""What PyIceberg and Arrow say of files and tables, in words."""

from __future__ import annotations

import re

_RESTORE = "restore it from a backup, or return to a snapshot of the table that does not need it"
_WORDS: tuple[tuple[str, str, str], ...] = (
    (
        r"Failed to open local file '([^']+\.metadata\.json)'",
        "the table's metadata file {0} is missing",
        "restore it from a backup, or drop the table from the catalog",
    ),
    (r"Failed to open local file '([^']+)'.*(?:errno 2|No such file)", "the table's file {0} is missing", _RESTORE),
    (r"Failed to open local file '([^']+)'.*(?:errno 13|Permission)", "the file {0} cannot be read",
     "check its owner and mode"),
    (r"[Mm]agic bytes not found|not a parquet file|Corrupt|Unexpected end of stream|Couldn't deserialize thrift",
     "a file of the table is damaged", _RESTORE),
    (r"No space left on device", "the disk is full", "free some space, then try again"),
)  # fmt: skip


def known_words(error: BaseException) -> str | None:
    """What is wrong with a table's files and what to do, None where the library's own text is all there is."""
    text = _one_line(error)
    for pattern, what, remedy in _WORDS:
        match = re.search(pattern, text)
        if match:
            return f"{what.format(*match.groups())}; {remedy}"
    return None


def in_words(error: BaseException) -> str:
    """What a library says of a table's files, as one line."""
    return known_words(error) or _one_line(error) or type(error).__name__


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def is_of_storage(error: BaseException) -> bool:
    """Whether it comes from a catalog's client or from reading and writing files, and not from code of DRLS."""
    module = type(error).__module__
    return isinstance(error, OSError) or module.startswith(("pyiceberg.", "pyarrow.", "botocore.", "s3fs."))
