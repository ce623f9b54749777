"""The entry point of `drls`: finds the command, reports errors, sets the exit code.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import click

from drls_dagster.cli.hosted import run_hosted
from drls_dagster.cli.lazy import READER_GONE, LazyGroup, silence_stdout
from drls_dagster.errors import DrlsError

# One line per command: its name, where it is, and the help that `drls --help` shows without importing it.
COMMANDS = {
    "agent": ("agent.cli.agent", "agent", "Chat with TRex, and list what agents can do."),
    "approvals": ("drls_dagster.cli.approvals", "approvals", "List, show, approve and reject requests."),
    "audit": ("drls_dagster.cli.audit", "audit", "Read, check, export and anchor the audit log."),
    "backup": ("drls_dagster.cli.backup", "backup", "Back up this installation to a folder."),
    "completion": ("drls_dagster.cli.completion", "completion", "Print a shell's completion script."),
    "db": ("drls_dagster.cli.db", "db", "Migrate, check and back up the databases."),
    "demo": ("drls_dagster.cli.demo", "demo", "Take the flights example to production and back."),
    "demote": ("drls_dagster.cli.releases", "demote", "Take a version out of UAT."),
    "doctor": ("drls_dagster.cli.doctor", "doctor", "Check this machine and DRLS_HOME."),
    "drift": ("drls_dagster.cli.drift", "drift", "List unexplained writes (drift), then adopt or revert them."),
    "engine": ("drls_dagster.cli.engine", "engine", "Start, stop and inspect the Spark-on-Ray engine."),
    "env": ("drls_dagster.cli.environments", "env", "Show which version is active where."),
    "explain": ("drls_dagster.cli.explain", "explain", "Explain why a run failed."),
    "freeze": ("drls_dagster.cli.environments", "freeze", "Freeze promotions; runs continue."),
    "history": ("drls_dagster.cli.catalog", "history", "Show what happened to pipelines and environments."),
    "lineage": ("drls_dagster.cli.catalog", "lineage", "Show where data comes from and where it goes."),
    "login": ("drls_dagster.cli.login", "login", "Sign in with a password or a token."),
    "logs": ("drls_dagster.cli.logs", "logs", "Print the logs of drls up and the engine."),
    "logout": ("drls_dagster.cli.login", "logout", "Sign out: delete the saved token."),
    "maintain": ("drls_dagster.cli.maintain", "maintain", "Compact tables, expire snapshots, remove orphans."),
    "mcp": ("agent.cli.mcp", "mcp", "Serve MCP, so that an agent can act for you."),
    "notebook": ("drls_dagster.cli.notebook", "notebook", "Start and stop your notebook."),
    "pipeline": ("drls_dagster.cli.pipeline", "pipeline", "Check, save and compare pipelines."),
    "policy": ("drls_dagster.cli.policy", "policy", "Show and set who must approve."),
    "promote": ("drls_dagster.cli.promote", "promote", "Promote a version, or request its promotion."),
    "restore": ("drls_dagster.cli.backup", "restore", "Restore a backup to an empty DRLS_HOME."),
    "retire": ("drls_dagster.cli.releases", "retire", "Take a version out of production."),
    "review": ("drls_dagster.cli.review", "review", "Review releases that went live without approval."),
    "rollback": ("drls_dagster.cli.releases", "rollback", "Roll production back to its previous release."),
    "run": ("drls_dagster.cli.run", "run", "Run a pipeline, or part of it."),
    "search": ("drls_dagster.cli.catalog", "search", "Find pipelines, tables and assets."),
    "serve": ("drls_dagster.cli.serve", "serve", "Serve the approvals app and its REST API."),
    "session": ("drls_dagster.cli.session", "session", "Start QA or UAT over from production's data."),
    "status": ("drls_dagster.cli.status", "status", "Show active versions, their last runs, and drift."),
    "stop-runs": ("drls_dagster.cli.environments", "stop_runs", "Stop runs immediately."),
    "table": ("drls_dagster.cli.table", "table", "List, show, query and change Iceberg tables."),
    "team": ("drls_dagster.cli.team", "team", "Group people for grants and quorums."),
    "token": ("drls_dagster.cli.token", "token", "Issue, list and revoke tokens."),
    "up": ("drls_dagster.cli.up", "up", "Start Dagster and the approvals app on this machine."),
    "user": ("drls_dagster.cli.user", "user", "Add accounts and grant roles."),
    "verify": ("drls_dagster.cli.verify", "verify", "Check an exported version offline."),
    "whoami": ("drls_dagster.cli.login", "whoami", "Show who you are and what you may do."),
}
# Previous names: they still work and are shown nowhere.
OLD_NAMES = {
    "refresh": ("drls_dagster.cli.session", "refresh", "session new"),
}


def _print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"drls {version('drls-dagster')}")
        context.exit()


@click.group(
    cls=LazyGroup,
    commands_by_name=COMMANDS,
    old_names=OLD_NAMES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def cli() -> None:
    """Build data pipelines on Dagster, Spark-on-Ray and Apache Iceberg."""


def run(arguments: Sequence[str], given: object = None) -> int:
    """Run one command line and give its exit code. Errors go to stderr, as JSON with --json.

    `given` is what commands find in click's context, such as the lifecycle's Adapters.
    """
    as_json = "--json" in arguments
    try:
        result = cli.main(list(arguments), prog_name="drls", standalone_mode=False, obj=given)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _report("Interrupted.", 130, as_json)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else None
        hint = f" (see `{command} --help`)" if command else ""
        # click lists the choices of a missing option on lines of their own.
        return _report(" ".join(error.format_message().split()) + hint, error.exit_code, as_json)
    except DrlsError as error:
        _reveal()
        return _report(error.message, error.exit_code, as_json)
    except Exception as error:  # noqa: BLE001 the one place where nothing is above us
        _reveal()
        text = " ".join(str(error).split())
        name = type(error).__name__
        return _report(f"{name}: {text}. This is a bug; set DRLS_DEBUG=1 to see the traceback.", 1, as_json)
    return result if isinstance(result, int) else 0


def _report(message: str, exit_code: int, as_json: bool) -> int:
    lines = [json.dumps({"error": message})] if as_json else [f"Error: {line}" for line in message.splitlines()]
    click.echo("\n".join(lines), err=True)
    return exit_code


def _reveal() -> None:
    if os.environ.get("DRLS_DEBUG", "") not in {"", "0"}:
        import traceback

        traceback.print_exc()


def finished(arguments: Sequence[str]) -> int:
    """`run`, with all that it printed written."""
    exit_code = run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
        exit_code = READER_GONE
    sys.stderr.flush()
    return exit_code


def main() -> None:
    """The console script."""
    arguments = sys.argv[1:]
    exit_code = run_hosted(arguments) if arguments[:1] == ["run"] else None
    if exit_code is None:
        exit_code = finished(arguments)
    # All is written and closed by now; waiting for the threads of Spark's and Dagster's libraries takes a second.
    os._exit(exit_code)


if __name__ == "__main__":
    main()
