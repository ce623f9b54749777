"""The local code of a version on its way into the store and out of it."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lifecycle.errors import Invalid
from lifecycle.spec import PipelineSpec, content_digest
from lifecycle.spec.base import refuse_code_path
from lifecycle.spec.closure import MAX_CODE_BYTES, MAX_CODE_FILES, MAX_FILE_BYTES
from lifecycle.store.unit import View

MAX_SHOWN = 100_000


def checked_code(view: View, spec: PipelineSpec, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The contents, by digest, of all files that a lock names: of `files`, or kept already.

    Raises Invalid naming a file that is missing, or is not what the lock says.
    """
    wanted = spec.lock.files if spec.lock else {}
    kept = view.code.contents(set(wanted.values())) if wanted else {}
    found: dict[str, bytes] = {}
    for path, digest in wanted.items():
        content = files[path] if path in files else kept.get(digest)
        if content is None:
            raise Invalid(
                f"the file {path} of the pipeline's code is missing; save or export it again from where it exists"
            )
        if content_digest(content) != digest:
            raise Invalid(f"the file {path} of the pipeline's code does not match its lock; fetch it again")
        if len(content) > MAX_FILE_BYTES:
            raise Invalid(f"{path} has {len(content):,} bytes; the limit for a file is {MAX_FILE_BYTES:,}")
        found[digest] = content
    size = sum(map(len, found.values()))
    if size > MAX_CODE_BYTES or len(wanted) > MAX_CODE_FILES:
        raise Invalid(
            f"the pipeline's code has {len(wanted):,} files and {size:,} bytes; the limit for a version is "
            f"{MAX_CODE_FILES:,} files and {MAX_CODE_BYTES:,} bytes"
        )
    return found


def code_of(view: View, spec: PipelineSpec) -> dict[str, bytes]:
    """The files of a saved version's code, by path. Raises Invalid when one is not what was saved."""
    digests = spec.lock.files if spec.lock else {}
    contents = checked_code(view, spec, {})
    return {path: contents[digest] for path, digest in digests.items()}


def code_texts(view: View, spec: PipelineSpec | None) -> dict[str, str]:
    """The same for people to read. Of a long file its digest is in the spec; one that was changed says so."""
    wanted = spec.lock.files if spec and spec.lock else {}
    kept = view.code.contents(set(wanted.values())) if wanted else {}
    found: dict[str, str] = {}
    for path, digest in wanted.items():
        content = kept.get(digest, b"")
        if content_digest(content) != digest:
            found[path] = "This file is missing from the database or was changed there; restore a backup."
        elif len(content) <= MAX_SHOWN:
            found[path] = content.decode(errors="replace")
    return found


@contextmanager
def sent_files(files: Mapping[str, bytes]) -> Generator[Path]:
    """A folder of this process with files from elsewhere, to be read and never run. Raises Invalid for a bad path."""
    with tempfile.TemporaryDirectory(prefix="drls-code-") as name:
        folder = Path(name).resolve()
        for path, content in files.items():
            try:
                where = folder.joinpath(*refuse_code_path(path).split("/"))
                where.parent.mkdir(parents=True, exist_ok=True)
                where.write_bytes(content)
            except ValueError as error:
                raise Invalid(str(error)) from None
            except OSError as error:
                raise Invalid(f"{path} cannot be written next to the other files: {error.strerror}") from None
        yield folder
