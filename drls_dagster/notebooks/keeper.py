"""Keeps notebooks: starts one for a person, and ends it when it is idle, old, too large, or no longer allowed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from drls_dagster.errors import DrlsError
from drls_dagster.fences.fences import account_of
from drls_dagster.fences.private_folder import clear_private_folders
from drls_dagster.fences.reach import let_read
from drls_dagster.notebooks import token
from drls_dagster.notebooks.places import files_of, token_file, used_file, web_socket
from drls_dagster.notebooks.process import NotebookProcess, notebook_fence, start_process
from drls_dagster.settings import Settings, memory_bytes
from lifecycle.domain.notebooks import Notebook, NotebookState, notebook_path
from lifecycle.domain.roles import Role
from lifecycle.errors import LifecycleError, TooMany, Unauthorized
from lifecycle.private_files import write_private
from lifecycle.usecases.context import Context

LOOK_SECONDS = 2.0
_RENEW_SECONDS = token.LIFE.total_seconds() / 3
_START_SECONDS = 180.0  # as long as a busy machine may need; else it takes one
_LOG = logging.getLogger(__name__)


@dataclass
class _Kept:
    bound: token.Bound
    name: str
    process: NotebookProcess
    started: datetime
    renewed: float
    answers: bool = False


class Keeper:
    """The notebooks of one `drls up`. Everything of it runs in one event loop, in the main thread."""

    def __init__(self, settings: Settings, sockets: Path, open_context: Callable[[], Context]) -> None:
        self._settings, self._sockets, self._context = settings, sockets, open_context
        self._kept: dict[int, _Kept] = {}
        self._lines: dict[int, asyncio.Lock] = {}
        self._ended: dict[int, str] = {}

    def clear(self) -> None:
        """Removes what a killed keeper has left; its notebooks ended with it."""
        clear_private_folders(self._settings)
        for place in self._sockets.glob("nb-*"):
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)

    async def start(self, person: int, name: str) -> Notebook:
        """The person's notebook, once it answers. Of two starts at once, the second one waits for the first."""
        async with self._lines.setdefault(person, asyncio.Lock()):
            kept = self._kept.get(person)
            if kept is not None and kept.process.is_alive:
                return self.find(person, name)
            if kept is not None:
                self._end(person, "its process ended")
            most = self._settings.notebook.most
            if len(self._kept) >= most:
                raise TooMany(f"{len(self._kept)} notebooks run, and notebook.most is {most}; stop one, or raise it")
            notebook_fence(self._settings, self._sockets, person)  # before anything is made
            await self._start(person, name)
            return self.find(person, name)

    async def _start(self, person: int, name: str) -> None:
        bound = token.Bound(person=person, notebook=secrets.token_hex(8))
        folder = token_file(self._sockets, person).parent
        folder.mkdir(mode=0o700, exist_ok=True)
        self._give_token(bound)
        used_file(self._sockets, person).touch(mode=0o600)
        place = web_socket(self._sockets, person)
        place.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(str(place))
            place.chmod(0o600)
            listening.listen(128)
            process = start_process(self._settings, self._sockets, person, notebook_path(name).rstrip("/"), listening)
        self._ended.pop(person, None)
        self._kept[person] = _Kept(bound, name, process, datetime.now(UTC), time.monotonic())
        try:
            await self._answers(place, name, process)
            used_file(self._sockets, person).touch()
            self._kept[person].answers = True
        except BaseException:
            self._end(person, "it did not start")
            raise
        _LOG.info("the notebook of %s runs", name)

    async def _answers(self, place: Path, name: str, process: NotebookProcess) -> None:
        url = f"http://notebook{notebook_path(name)}health"
        until = time.monotonic() + _START_SECONDS
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(place)), timeout=_START_SECONDS) as ask:
            while process.is_alive and time.monotonic() < until:
                with contextlib.suppress(httpx.TransportError):
                    if (await ask.get(url)).status_code == httpx.codes.OK:
                        return
                await asyncio.sleep(0.1)
        raise DrlsError("the notebook did not start; its log is notebook-….log in DRLS_HOME/logs")

    def _give_token(self, bound: token.Bound) -> None:
        file = token_file(self._sockets, bound.person)
        write_private(file, token.issue(self._context(), bound))
        let_read((file,), account_of(self._settings))

    def stop(self, person: int, name: str) -> Notebook:
        self._end(person, "")
        return self.find(person, name)

    def find(self, person: int, name: str) -> Notebook:
        kept = self._kept.get(person)
        runs = kept is not None and kept.process.is_alive
        return Notebook(
            person=name,
            state=NotebookState.RUNNING if runs else NotebookState.STOPPED,
            path=notebook_path(name),
            folder=str(files_of(self._settings, person)),
            started_at=kept.started if kept and runs else None,
            used_at=datetime.fromtimestamp(self._used(person), UTC) if runs else None,
            memory=kept.process.memory() if kept and runs else None,
            ended="" if runs else self._ended.get(person, ""),
        )

    def require(self, bound: token.Bound) -> str:
        """The name of the person whose notebook this is. Raises Unauthorized where it no longer runs."""
        kept = self._kept.get(bound.person)
        if kept is None or kept.bound != bound or not kept.process.is_alive:
            raise Unauthorized("this notebook has ended; start it again")
        return kept.name

    async def watch(self) -> None:
        """Looks after all of them, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for person in tuple(self._kept):
                try:
                    if reason := self._why_end(person):
                        self._end(person, reason)
                except LifecycleError:
                    _LOG.exception("cannot look after the notebook of person %s", person)

    def _why_end(self, person: int) -> str:
        kept, limits = self._kept[person], self._settings.notebook
        if not kept.process.is_alive:
            return "its process ended"
        if reason := self._may_not(kept):
            return reason
        if kept.process.memory() > memory_bytes(limits.memory):
            return f"it had more than {limits.memory} of memory (notebook.memory)"
        if kept.answers and time.time() - self._used(person) > limits.idle_minutes * 60:
            return f"nobody used it for {limits.idle_minutes:g} minutes (notebook.idle_minutes)"
        if (datetime.now(UTC) - kept.started).total_seconds() > limits.hours * 3600:
            return f"it ran for {limits.hours:g} hours (notebook.hours)"
        if time.monotonic() - kept.renewed > _RENEW_SECONDS:
            self._give_token(kept.bound)
            kept.renewed = time.monotonic()
        return ""

    def _may_not(self, kept: _Kept) -> str:
        with self._context().store.read() as view:
            person = view.people.get(kept.bound.person)
            if person.disabled_at is not None:
                return f"the account of {kept.name} is disabled"
            if not any(grant.role.includes(Role.DATA_ENGINEER) for grant in view.people.grants(person.id)):
                return f"{kept.name} no longer has the role {Role.DATA_ENGINEER.value}"
        return ""

    def _used(self, person: int) -> float:
        try:
            return used_file(self._sockets, person).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _end(self, person: int, why: str) -> None:
        kept = self._kept.pop(person, None)
        if kept is None:
            return
        kept.process.end()
        for place in (web_socket(self._sockets, person), used_file(self._sockets, person)):
            place.unlink(missing_ok=True)
        shutil.rmtree(token_file(self._sockets, person).parent, ignore_errors=True)
        self._ended[person] = why
        _LOG.info("the notebook of %s ended: %s", kept.name, why or "stopped")

    def end_all(self) -> None:
        for person in tuple(self._kept):
            self._end(person, "drls up stopped")
