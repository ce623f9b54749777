"""A table's metadata and manifests as a run reads them: local files itself, all others through the run service."""

from __future__ import annotations

import io
from base64 import b64decode
from collections.abc import Callable
from functools import cached_property
from typing import cast

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile
from pyiceberg.io.pyarrow import PyArrowFileIO

from lifecycle.errors import Forbidden

Read = Callable[[str], str]  # the content of a location in base64, as the run service answers it


class RunFiles(FileIO):
    """Reads only, and without a credential: writing is the engine's and the platform's."""

    def __init__(self, read: Read) -> None:
        super().__init__()
        self._read = read

    def new_input(self, location: str) -> InputFile:
        if is_local(location):
            return PyArrowFileIO().new_input(location)
        return _Remote(location, self._read)

    def new_output(self, location: str) -> OutputFile:
        raise Forbidden(f"a run may not write {location} itself")

    def delete(self, location: str | InputFile | OutputFile) -> None:
        named = location if isinstance(location, str) else location.location
        raise Forbidden(f"a run may not delete {named}")


class _Remote(InputFile):
    def __init__(self, location: str, read: Read) -> None:
        super().__init__(location)
        self._read = read

    @cached_property
    def _content(self) -> bytes:
        return b64decode(self._read(self.location))

    def __len__(self) -> int:
        return len(self._content)

    def exists(self) -> bool:
        try:
            return self._content is not None
        except FileNotFoundError:
            return False

    def open(self, seekable: bool = True) -> InputStream:
        return cast(InputStream, io.BytesIO(self._content))


def is_local(location: str) -> bool:
    """Whether a location is a file of this machine."""
    return "://" not in location or location.startswith("file:")
