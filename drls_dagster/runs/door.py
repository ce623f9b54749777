"""The run service below a web site, for runs on other machines: over the site's HTTPS, with a run token."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from drls_dagster.runs.address import PATH
from drls_dagster.settings import Settings


class RunsDoor:
    """Sends what runs ask to the run service, which is opened with the first such request, and all else to the site."""

    def __init__(self, site: ASGIApp, settings: Settings) -> None:
        self._site = site
        self._settings = settings
        self._runs: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_operation(scope["path"]):
            await self._service()(scope, receive, send)
        else:
            await self._site(scope, receive, send)

    def _service(self) -> ASGIApp:
        if self._runs is None:
            from drls_dagster.runs.app import run_routes
            from drls_dagster.runs.service import RunService

            self._runs = run_routes(RunService(self._settings))
        return self._runs


def _is_operation(path: str) -> bool:
    """Deeper paths are the site's: what people ask about a run."""
    return path.startswith(f"{PATH}/") and "/" not in path[len(PATH) + 1 :]
