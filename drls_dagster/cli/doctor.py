"""`drls doctor`: is everything here that DRLS needs?"""

from __future__ import annotations

from dataclasses import asdict

import click

from drls_dagster.cli.output import json_option, make_console, print_json


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check this machine and DRLS_HOME, and suggest fixes.

    Changes nothing. Exits with 1 if a check fails.
    """
    from drls_dagster.cli.doctor_checks import run_checks

    findings = run_checks()
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        console = make_console()
        styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
        for finding in findings:
            console.print(f"{finding.state:<5}", style=styles[finding.state], end="")
            console.print(f"{finding.check:<10} {finding.detail}", soft_wrap=True)
            if finding.remedy:
                console.print(f"{'':<16}{finding.remedy}", soft_wrap=True)
    context.exit(1 if any(finding.state == "fail" for finding in findings) else 0)
