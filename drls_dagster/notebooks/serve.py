"""The process that keeps the notebooks of `drls up`: on one socket for the platform, on another for notebooks."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn
from pydantic import Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from drls_dagster.fences.fences import account_of
from drls_dagster.fences.reach import hand_over
from drls_dagster.lifecycle_client.gateway import open_lifecycle
from drls_dagster.log_lines import set_up_logging
from drls_dagster.notebooks.asked import Questions, questions_app
from drls_dagster.notebooks.keeper import Keeper
from drls_dagster.notebooks.places import ask_socket
from drls_dagster.notebooks.problems import problem
from drls_dagster.serving.owners_only import OwnersOnly
from drls_dagster.settings import load_settings
from lifecycle.domain.model import Frozen
from lifecycle.domain.notebooks import Notebook
from lifecycle.errors import DrlsError, Invalid

_LOG = logging.getLogger(__name__)


class Whose(Frozen):
    """Whose notebook is asked for. The platform has looked at who asks."""

    person: int
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--fd", type=int, required=True)
    arguments.add_argument("--sockets", type=Path, required=True)
    given = arguments.parse_args()
    set_up_logging(load_settings())
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with socket.socket(fileno=given.fd) as listening:
        asyncio.run(_serve(listening, given.sockets))


async def _serve(listening: socket.socket, sockets: Path) -> None:
    settings = load_settings()
    keeper = Keeper(settings, sockets, lambda: open_lifecycle(settings))
    keeper.clear()
    questions = Questions(settings, lambda: open_lifecycle(settings), keeper.require)
    place = ask_socket(sockets)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.unlink(missing_ok=True)
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    asking.bind(str(place))
    place.chmod(0o600)
    hand_over(place, account_of(settings))
    asking.listen(128)
    platform = uvicorn.Server(_config(keeper_app(keeper), OwnersOnly))
    notebooks = uvicorn.Server(_config(questions_app(questions), "auto"))
    watching = asyncio.create_task(keeper.watch())
    answering = asyncio.create_task(notebooks.serve(sockets=[asking]))
    try:
        await platform.serve(sockets=[listening])
    finally:
        keeper.end_all()
        notebooks.should_exit = True
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(watching, answering)
        place.unlink(missing_ok=True)


def keeper_app(keeper: Keeper) -> Starlette:
    """Start, stop and find, for processes of this user alone."""

    def answering(do: Callable[[Whose], Awaitable[Notebook]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                whose = Whose.model_validate_json(await request.body())
                return Response((await do(whose)).model_dump_json(), media_type="application/json")
            except ValidationError as error:
                return problem(Invalid(str(error)))
            except DrlsError as error:
                return problem(error)

        return answer

    async def start(whose: Whose) -> Notebook:
        return await keeper.start(whose.person, whose.name)

    async def stop(whose: Whose) -> Notebook:
        return keeper.stop(whose.person, whose.name)

    async def find(whose: Whose) -> Notebook:
        return keeper.find(whose.person, whose.name)

    verbs = {"start": start, "stop": stop, "find": find}
    return Starlette(routes=[Route(f"/{name}", answering(do), methods=["POST"]) for name, do in verbs.items()])


def _config(app: Starlette, http: type[asyncio.Protocol] | str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http,  # type: ignore[arg-type]
        lifespan="off",
        ws="none",
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
