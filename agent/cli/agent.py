"""`drls agent`: TRex in the terminal, with or without `drls up`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

from drls_dagster.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from agent.chat import wire
    from agent.chat.service import ChatService

T = TypeVar("T")


@click.group()
def agent() -> None:
    """Chat with TRex, the agent of DRLS, and list its tools.

    It acts for you, with at most your rights. It asks before it changes anything, and never approves.
    """


@agent.command()
@click.argument("message", required=False)
@click.option("--model", default="", help="A model of [agent.models].  [default: agent.default]")
@click.option("--chat", "chat_id", default="", metavar="ID", help="Continue this chat.")
def chat(message: str | None, model: str, chat_id: str) -> None:
    """Say MESSAGE to TRex; without one, chat until the input ends.

    Tool calls are shown as lines. Where the terminal cannot ask you, changes are refused.
    """
    from agent.cli.talking import Talking

    code = _with_chats(lambda service, token: Talking(service, token).run(message, model, chat_id))
    click.get_current_context().exit(code)


@agent.command()
@json_option
def tools(as_json: bool) -> None:
    """List the tools, and what each one changes."""
    from agent.tools.registry import all_tools

    rows = [
        {
            "name": one.name,
            "toolset": one.toolset.value,
            "role": one.role.value,
            "effect": one.effect.value,
            "about": one.about,
        }
        for one in all_tools()
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("tool", "toolset", "role", "effect", "about"),
        [(one["name"], one["toolset"], one["role"], one["effect"], one["about"].splitlines()[0]) for one in rows],
    )


@agent.command()
@click.option("--search", default="", metavar="WORDS", help="Only chats in which all these words occur.")
@click.option("--owner", metavar="NAME", help="Chats of this account, * for all; for Admins.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="At most so many.")
@json_option
def chats(search: str, owner: str | None, limit: int, as_json: bool) -> None:
    """List your chats, the last used first."""

    async def find(service: ChatService, token: str) -> wire.ChatPage:
        return await service.chats(token, search=search, limit=limit, owner=owner)

    page = _with_chats(find)
    if as_json:
        print_json([one.model_dump(mode="json") for one in page.items])
        return
    rows = [(one.id, one.owner, one.title, one.model, f"{one.updated_at:%Y-%m-%d %H:%M}") for one in page.items]
    print_table(("chat", "owner", "title", "model", "last used (UTC)"), rows)


def _with_chats(play: Callable[[ChatService, str], Awaitable[T]]) -> T:
    """What `play` gives for the chats of this home and the token that is kept."""
    from agent.chat.opening import open_service
    from drls_dagster.errors import DrlsError
    from drls_dagster.kept_tokens import kept_token
    from drls_dagster.settings import load_settings

    settings = load_settings()
    token = kept_token(settings)
    if token is None:
        raise DrlsError("nobody is signed in; run: drls login")

    async def whole() -> T:
        service = open_service(settings)
        try:
            return await play(service, token)
        finally:
            await service.close()

    return asyncio.run(whole())
