"""Paths and URIs of files that are not tables."""

from __future__ import annotations

import pyarrow.fs as pafs


def filesystem_of(where: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem of an absolute path or a URI, and the name of the file on it.

    A path stays a path: a URI would not bear its spaces.
    """
    return pafs.FileSystem.from_uri(where) if "://" in where else (pafs.LocalFileSystem(), where)
