"""What a compaction wrote down before it wrote files, and what happens to those that nobody committed."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.reachable import Paths, needed

if TYPE_CHECKING:
    from drls_dagster.maintenance.work import Note, Work

FILE = "compact.file"
FOLDER = "compact.folder"


class Noted:
    """The files of one piece of work, each noted in the journal before it is written."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._open: dict[str, Note] = {}

    def file(self, path: str) -> None:
        with self._lock:
            self._open[path] = self._work.journal.note(FILE, path=path)

    def folder(self, path: Path) -> None:
        with self._lock:
            self._open[str(path)] = self._work.journal.note(FOLDER, path=str(path))

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files that were not committed."""
        with self._lock:
            notes = [self._open.pop(path) for path in paths if path in self._open]
        for note in notes:
            _remove(self._work, note)
        self._work.journal.settle(notes)

    def remove_all(self) -> None:
        self.remove(list(self._open))

    def settle(self) -> None:
        """They are part of the table now."""
        with self._lock:
            notes = list(self._open.values())
            self._open.clear()
        self._work.journal.settle(notes)


def clean_up(work: Work) -> int:
    """Remove what killed compactions of this table left: files that no snapshot of it reaches. How many there were."""
    files = list(work.journal.notes(FILE))
    folders = list(work.journal.notes(FOLDER))
    if not files and not folders:
        return 0
    is_reached = reached(work, [str(note.facts["path"]) for note in files])
    unused = [note for note, there in zip(files, is_reached, strict=True) if not there]
    removed = sum(_remove(work, note) for note in [*unused, *folders])
    work.journal.settle([*files, *folders])
    return removed


def reached(work: Work, paths: Sequence[str]) -> Sequence[bool]:
    """Of each file whether a snapshot of the table reaches it."""
    found = Paths()
    for portion in needed(work.table.io, work.table.metadata) if paths else ():
        found.add(portion)
    return found.has(paths)


def _remove(work: Work, note: Note) -> bool:
    path = str(note.facts["path"])
    if note.kind == FOLDER:
        folder = Path(path)
        # A note is text from a database; only a folder of this place and name is removed.
        if folder.parent == work.settings.home / "maintenance" and folder.name.startswith("spill-"):
            shutil.rmtree(folder, ignore_errors=True)
        return False
    if not work.table.io.new_input(path).exists():
        return False
    work.table.io.delete(path)
    return True
