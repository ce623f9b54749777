"""`drls completion`: the shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    Bash: add `eval "$(drls completion bash)"` to ~/.bashrc. Zsh: the same, in ~/.zshrc. Fish: write the script to
    ~/.config/fish/completions/drls.fish.
    """
    from drls_dagster.cli.main import cli

    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"No completion script for {shell}.")
    click.echo(complete(cli, {}, "drls", "_DRLS_COMPLETE").source())
