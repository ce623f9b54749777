"""Dagster's own web app, made while the door is open already."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
from graphql import GraphQLSchema
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from drls_dagster.dagster_private.tags import REPORTING_USER_TAG
from drls_dagster.dagster_private.webserver import DagsterWebserver, schema_of
from drls_dagster.dagster_private.workspace import (
    LOCATION_SCOPED_PERMISSIONS,
    PermissionResult,
    WorkspaceFileTarget,
    WorkspaceProcessContext,
    WorkspaceRequestContext,
)
from drls_dagster.up.web.guard import VISITOR
from drls_dagster.up.web.instance import door_instance, launched_under
from drls_dagster.up.web.once import Claim
from drls_dagster.up.web.pages import starting
from drls_dagster.up.web.permissions import permissions_of
from drls_dagster.up.web.touched import Finder
from drls_dagster.up.web.visitor import Visitor
from drls_dagster.web.sections import DAGSTER_PATH

PREFIX = DAGSTER_PATH
_DB_MILLISECONDS = 15_000
_DB_RECYCLE_SECONDS = 3600
_DB_OVERFLOW = 20
_POLL_MILLISECONDS = 2000
_AGAIN_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


class DoorContext(WorkspaceRequestContext):
    """Dagster's context of one request: its permissions are those of the visitor, who is never anybody by default."""

    @property
    def _visitor(self) -> Visitor | None:
        source = self.source
        return source.scope.get(VISITOR) if isinstance(source, HTTPConnection) else None

    @property
    def permissions(self) -> Mapping[str, PermissionResult]:
        return permissions_of(self._visitor)

    def permissions_for_location(self, *, location_name: str) -> Mapping[str, PermissionResult]:
        return {name: one for name, one in self.permissions.items() if name in LOCATION_SCOPED_PERMISSIONS}

    def get_reporting_user_tags(self) -> dict[str, str]:
        visitor = self._visitor
        return {REPORTING_USER_TAG: visitor.name} if visitor else {}


class Workspace(WorkspaceProcessContext):
    """Dagster's workspace, in which every request is its visitor's."""

    def create_request_context(self, source: object | None = None) -> WorkspaceRequestContext:
        context = super().create_request_context(source)
        if source is None:
            return context
        return DoorContext(
            instance=context.instance,
            current_workspace=context.get_current_workspace(),
            process_context=self,
            version=context.version,
            source=source,
            read_only=True,
        )


class DagsterUI:
    """Dagster's web app under /dagster. Until the workspace is there it says so."""

    def __init__(self, workspace_file: Path) -> None:
        self._file = workspace_file
        self._app: ASGIApp | None = None
        self._schema: GraphQLSchema | None = None
        self._workspace: Workspace | None = None
        self._closing = threading.Event()

    def start(self) -> None:
        """Begins to load the workspace; returns at once."""
        threading.Thread(target=self._load, name="workspace", daemon=True).start()

    @property
    def is_ready(self) -> bool:
        return self._app is not None

    @property
    def schema(self) -> GraphQLSchema:
        """Dagster's schema. Raises RuntimeError while there is no workspace yet."""
        if self._schema is None:
            raise RuntimeError("Dagster's workspace is not loaded yet")
        return self._schema

    def finder(self) -> Finder:
        """Looks things up as they are now. Raises RuntimeError while there is no workspace yet."""
        if self._workspace is None:
            raise RuntimeError("Dagster's workspace is not loaded yet")
        return Finder(self._workspace.create_request_context())

    def launched(self, claim: Claim, is_signed: Callable[[str, str], bool]) -> str | None:
        """What was launched before under this key. Raises Conflict, RuntimeError while there is no workspace yet."""
        if self._workspace is None:
            raise RuntimeError("Dagster's workspace is not loaded yet")
        return launched_under(self._workspace.instance, claim, is_signed)

    def reload(self, location: str) -> None:
        """Loads a code location again; takes seconds. Raises RuntimeError while there is no workspace yet."""
        if self._workspace is None:
            raise RuntimeError("Dagster's workspace is not loaded yet")
        self._workspace.reload_code_location(location)

    def close(self) -> None:
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1013})
        elif scope["method"] == "GET" and "text/html" in HTTPConnection(scope).headers.get("accept", ""):
            await HTMLResponse(starting(), 503, {"Retry-After": "2"})(scope, receive, send)
        else:
            told = {"detail": "Dagster is starting", "errors": [{"message": "Dagster is starting; try again"}]}
            await JSONResponse(told, 503, {"Retry-After": "2"})(scope, receive, send)

    def _load(self) -> None:
        while not self._closing.is_set():
            try:
                instance = door_instance(Path(os.environ["DAGSTER_HOME"]))
                instance.optimize_for_webserver(_DB_MILLISECONDS, _DB_RECYCLE_SECONDS, _DB_OVERFLOW)
                workspace = Workspace(instance, WorkspaceFileTarget([str(self._file)]), version=dg.__version__)
                server = DagsterWebserver(workspace, PREFIX, _POLL_MILLISECONDS)
                self._workspace = workspace
                self._schema = schema_of(server)
                self._app = server.create_asgi_app()
            except Exception:  # noqa: BLE001 (whatever it was, the page that says "starting" must not be the last word)
                _LOG.exception("Dagster's workspace could not be loaded; trying again")
                self._closing.wait(_AGAIN_SECONDS)
            else:
                return
