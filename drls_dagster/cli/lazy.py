"""A Click group that imports a command's module only when the command is used."""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

READER_GONE = 128 + signal.SIGPIPE


def silence_stdout() -> None:
    """Send what is still to be flushed nowhere: the reader of the pipe has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class LazyGroup(click.Group):
    """`commands_by_name` maps a name to (module, attribute, short help). `old_names` work too, but no help shows them.

    The help of the group is made from the mapping alone. A name that is not there is answered with
    the nearest ones.
    """

    def __init__(
        self,
        *args: Any,
        commands_by_name: Mapping[str, tuple[str, str, str]],
        old_names: Mapping[str, tuple[str, str, str]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = commands_by_name
        self._old = old_names

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            silence_stdout()
            ctx.exit(READER_GONE)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self._lazy.get(cmd_name) or self._old.get(cmd_name)
        if found is None:
            return None
        module, attribute, _help = found
        try:
            return getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            # Some commands are another package's, which may be left out.
            package = module.partition(".")[0]
            if error.name not in {package, module}:
                raise
            raise click.UsageError(f"{cmd_name} needs the package {package!r}, which is not installed", ctx) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in {*self._lazy, *self._old} and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self._lazy, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # Click would import every command for its help.
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        own = [item for item in click.Command.shell_complete(self, ctx, incomplete) if item.value.startswith("-")]
        return [CompletionItem(name, help=self._lazy[name][2]) for name in names] + own

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._lazy[name][2]) for name in self.list_commands(ctx)])
