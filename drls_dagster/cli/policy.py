"""`drls policy`: what an environment asks of a promotion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drls_dagster.cli.lifecycle import lifecycle
from drls_dagster.cli.options import environment_type, key_option, print_model, print_models, short_time
from drls_dagster.cli.output import cell, json_option, print_json, print_table
from drls_dagster.errors import DrlsError, UsageError

if TYPE_CHECKING:
    from lifecycle.domain.environment import Environment
    from lifecycle.domain.policy import Policy
    from lifecycle.verbs.answers import PolicyInfo

scope_argument = click.argument("pipeline", required=False)
environment_argument = click.argument("environment", type=environment_type)


@click.group()
def policy() -> None:
    """Show and set what an environment requires of a promotion. Without a policy, nothing is promoted."""


@policy.command("list")
@json_option
def list_policies(as_json: bool) -> None:
    """List the policies of environments and of single pipelines."""
    with lifecycle() as client:
        found = client.environments.policies()
    if as_json:
        print_models(found)
        return
    print_table(
        ["environment", "pipeline", "quorum", "approvals", "expires", "soak", "set by", "at", "revision"],
        [_row(one) for one in found],
    )


@policy.command()
@environment_argument
@scope_argument
@json_option
def show(environment: Environment, pipeline: str | None, as_json: bool) -> None:
    """Show the policy set for exactly one scope. The scope is an environment, or one pipeline in it."""
    with lifecycle() as client:
        found = client.environments.policy(environment, pipeline)
    if found is None or found.body is None:
        what = f"{pipeline} has no policy of its own in" if pipeline else "there is no policy for"
        raise DrlsError(f"{what} {environment.label}; an Admin can set one with drls policy set")
    _print(found, as_json)


@policy.command("set")
@environment_argument
@scope_argument
@click.option("--quorum", help='Who must approve, for example "1 LeadDataEngineer" or "2 of team:risk".')
@click.option(
    "--approvals",
    type=click.Choice(["required", "solo"]),
    help="solo also lets people approve their own work, labelled unreviewed.",
)
@click.option("--expires", metavar="DURATION", help="How long a request stays open, for example 7d.")
@click.option("--soak", metavar="DURATION", help="Minimum time a version must spend in the previous environment.")
@click.option("--max-age", metavar="DURATION", help="Ignore evidence older than this.")
@click.option(
    "--newest-run-passed/--no-newest-run-passed",
    default=None,
    help="Whether the newest run in the previous environment must have passed.",
)
@click.option(
    "--fence",
    type=click.Choice(["optional", "required"]),
    help="required refuses runs without a fence, and does not count them as evidence.",
)
@click.option(
    "--verify",
    type=click.Choice(["sizes", "digests"]),
    help="How to check the files that a promotion moves; digests reads all of them.",
)
@click.option("--break-glass", metavar="ROLE|nobody", help="Role that may deploy without approval.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="More fields, such as windows, in YAML.",
)
@key_option
@json_option
def set_policy(
    environment: Environment,
    pipeline: str | None,
    quorum: str | None,
    approvals: str | None,
    expires: str | None,
    soak: str | None,
    max_age: str | None,
    newest_run_passed: bool | None,
    fence: str | None,
    verify: str | None,
    break_glass: str | None,
    file: Path | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Set a policy. Fields you do not pass keep their current values for this scope."""
    given = {
        "quorum": quorum,
        "approvals": approvals,
        "expires": expires,
        "soak": soak,
        "evidence_max_age": max_age,
        "newest_run_passed": newest_run_passed,
        "fence": fence,
        "verify": verify,
        "break_glass": break_glass,
    }
    changes = _from_file(file) | {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise UsageError("nothing to set; pass a field, for example --quorum '1 LeadDataEngineer'")
    if changes.get("break_glass") == "nobody":
        changes["break_glass"] = None
    with lifecycle() as client:
        known = client.environments.policy(environment, pipeline)
        body = _changed(known.body if known else None, changes)
        if known is not None and known.body == body:
            _print(known, as_json)
            return
        revision = known.revision if known else 0
        _print(client.environments.set_policy(environment, pipeline, body, if_revision=revision, key=key), as_json)


@policy.command()
@environment_argument
@scope_argument
@key_option
@json_option
def unset(environment: Environment, pipeline: str | None, key: str | None, as_json: bool) -> None:
    """Remove a pipeline's own policy, or an environment's. Without a policy, nothing is promoted there."""
    with lifecycle() as client:
        found = client.environments.set_policy(environment, pipeline, None, key=key)
    if as_json:
        print_model(found)
        return
    click.echo(f"Removed the policy of {pipeline or 'every pipeline'} in {environment.label}.")


def _from_file(file: Path | None) -> dict[str, Any]:
    import yaml

    if file is None:
        return {}
    try:
        values = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UsageError(
            f'{file} contains no policy; write "field: value" lines, for example quorum: 1 LeadDataEngineer'
        )
    return values


def _changed(before: Policy | None, changes: dict[str, Any]) -> Policy:
    from pydantic import ValidationError

    from lifecycle.domain.policy import Policy

    try:
        return Policy.model_validate({**(before.model_dump(mode="json") if before else {}), **changes})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _shown(body: Policy | None) -> dict[str, Any]:
    return body.model_dump(mode="json") if body else {}


def _row(found: PolicyInfo) -> tuple[object, ...]:
    body = _shown(found.body)
    fields = [body.get(name) for name in ("approvals", "expires", "soak")]
    quorum = body.get("quorum", "removed")
    return (
        found.environment.value, found.pipeline, quorum, *fields, found.set_by, short_time(found.at), found.revision
    )  # fmt: skip


def _print(found: PolicyInfo, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    click.echo(f"{'scope':<20} {found.environment.label}{f', {found.pipeline}' if found.pipeline else ''}")
    for name, value in _shown(found.body).items():
        click.echo(f"{name:<20} {cell(value)}")
    click.echo(f"{'revision':<20} {found.revision}")
