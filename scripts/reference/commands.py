"""docs/reference/commands.md, from click."""

from __future__ import annotations

import click
from words import MADE

from drls_dagster.cli.main import cli

INTRODUCTION = """\
`drls COMMAND --help` shows the same. Every command exits with 0 for done, 1 for failed or refused, 2 for wrong usage,
130 for interrupted.
"""


def commands() -> str:
    text = [
        "# Commands",
        MADE,
        INTRODUCTION,
    ]
    context = click.Context(cli, info_name="drls", terminal_width=100, max_content_width=100)
    for name in sorted(cli.list_commands(context)):
        command = cli.get_command(context, name)
        if command is not None and not command.hidden:
            text += command_text(command, context, name, level=2)
    return "\n".join(text) + "\n"


def command_text(command: click.Command, parent: click.Context, name: str, level: int) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
    shown = command.get_help(context).rstrip()
    text = [f"{'#' * level} {context.command_path}\n", "```text", shown, "```\n"]
    if isinstance(command, click.Group):
        for inner in sorted(command.list_commands(context)):
            one = command.get_command(context, inner)
            if one is not None and not one.hidden:
                text += command_text(one, context, inner, level=level + 1)
    return text
