"""The logs of a home: one per process of `drls up`, and the engine's two."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings

_BLOCK = 64 * 1024
_MOST = 10 * 2**20
_LONGEST = 20_000
_ENGINE = {"engine": "driver.log", "ray": "runner.log"}


def log_files(settings: Settings) -> Mapping[str, Path]:
    """Every log that is there, by the name of what writes it."""
    found = {file.stem: file for file in sorted((settings.home / "logs").glob("*.log"))}
    engine = {name: settings.home / "engine" / file for name, file in _ENGINE.items()}
    return found | {name: file for name, file in engine.items() if file.is_file()}


def note(settings: Settings, text: str) -> None:
    """Write what only the owner may know, such as where a link leads or what Spark says, to the log `runs`."""
    file = private_home(settings.home, "logs") / "runs.log"
    if file.exists() and file.stat().st_size > _MOST:
        file.replace(file.with_name("runs.log.1"))
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as log:
        log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {' '.join(text.splitlines())[:_LONGEST]}\n")


def last_lines(file: Path, count: int) -> list[str]:
    """The last `count` lines, read from the end; what is no UTF-8 is replaced."""
    with file.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        data = b""
        while end > 0 and data.count(b"\n") <= count:
            begin = max(0, end - _BLOCK)
            log.seek(begin)
            data = log.read(end - begin) + data
            end = begin
    return data.decode(errors="replace").splitlines()[-count:] if count else []


@dataclass
class Follower:
    """What is written to a log from now on; a log that was put aside is read from its new beginning."""

    file: Path
    at: int = 0
    inode: int = 0
    rest: bytes = b""

    def __post_init__(self) -> None:
        found = self.file.stat()
        self.at, self.inode = found.st_size, found.st_ino

    def lines(self) -> Iterator[str]:
        """The whole lines since the last look."""
        try:
            found = self.file.stat()
        except FileNotFoundError:
            return
        if found.st_ino != self.inode or found.st_size < self.at:
            self.at, self.inode, self.rest = 0, found.st_ino, b""
        with self.file.open("rb") as log:
            log.seek(self.at)
            data = self.rest + log.read()
            self.at = log.tell()
        *whole, self.rest = data.split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
