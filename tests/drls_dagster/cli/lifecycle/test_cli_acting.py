"""A1: every verb of the command line acts as the owner of a token, at the store of this machine, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from drls_dagster.cli.main import cli
from lifecycle.domain.environment import Environment
from tests.drls_dagster.cli.lifecycle.shell import Shell

NOTEBOOK = Path(__file__).parents[4] / "examples/notebooks/late_days.py"
# What asks no lifecycle as somebody, and why.
ELSEWHERE = {
    "backup": "for whoever owns the database's files",
    "completion": "prints a script",
    "db": "for whoever owns the database's files",
    "demo": "starts an engine; tests/drls_dagster/demo has who may",
    "agent": "the chat and its tools have tests of their own",
    "doctor": "looks at this machine",
    "engine": "processes of this machine's user",
    "explain": "needs a run; who may ask is tested with the verb",
    "login": "is how one becomes somebody",
    "logs": "reads files of this machine's user",
    "logout": "forgets who one is",
    "maintain policy": "needs a table; who sees it is tested with the verb",
    "maintain show": "needs an operation; who sees it is tested with the verb",
    "mcp": "each request brings its own token",
    "notebook start": "needs drls up; who may is tested with the verb",
    "notebook stop": "needs drls up; who may is tested with the verb",
    "notebook status": "needs drls up; who may is tested with the verb",
    "restore": "for whoever owns the database's files",
    "run": "the gate asks for every run, however it was launched",
    "serve": "each request brings its own token",
    "table": "list, show and preview read Iceberg with the catalog's credentials",
    "up": "starts processes of this machine's user; each request to them brings its own session",
    "verify": "needs no store",
    "pipeline validate": "reads files",
    "pipeline schema": "prints what files may hold",
}
# Each verb, the least it takes, and whether it changes something. Request 2 waits for its approval into UAT.
READS, ADMIN_READS = "vic", "admin"
CHANGES = {
    "pipeline save {file}": "ada",
    "notebook save {notebook} --name late_days": "ada",
    "pipeline clone flights@1": "ada",
    "pipeline import {bundle}": "ada",
    "pipeline delete trains --yes": "lea",
    "promote flights --to qa": "ada",
    "demote flights@1 --reason x": "lea",
    "retire flights@1 --reason x": "lea",
    "rollback flights --reason x": "lea",
    "session new flights --env qa": "ada",
    "freeze qa --reason x": "lea",
    "stop-runs qa --reason x": "lea",
    "approvals approve 2 --plan {plan}": "lea",
    "approvals reject 2 --plan {plan} --reason x": "lea",
    "approvals withdraw 2": "ada",
    "approvals refresh 2": "ada",
    "review approve 2 --plan {plan} --reason x": "leo",
    "review reject 2 --plan {plan} --reason x": "leo",
    "drift adopt 1 --reason x": "lea",
    "drift revert 1 --reason x": "lea",
    "policy set uat --soak 1d": "admin",
    "policy unset uat": "admin",
    "user add eve": "admin",
    "user grant vic Viewer --on flights": "admin",
    "user revoke 1": "admin",
    "user password ada": "admin",
    "user link ada https://id.example.org|1": "admin",
    "user disable ada": "admin",
    "maintain compact flights.daily": "lea",
    "maintain vacuum flights.daily": "lea",
    "maintain manifests flights.daily": "lea",
    "maintain expire flights.daily": "lea",
    "maintain orphans flights.daily": "lea",
    "maintain cancel 1": "lea",
    "team add risk": "admin",
    "team join ops vic": "admin",
    "team leave ops ada": "admin",
    "team grant ops Viewer": "admin",
    "token revoke 1": "admin",
    "table add-column lab.t a int": "lea",
    "table rename-column lab.t a b": "lea",
    "table drop-column lab.t a": "lea",
    "table move-column lab.t a --first": "lea",
    "table alter-type lab.t a long": "lea",
    "table set-nullable lab.t a --optional": "lea",
    "table set-doc lab.t a x": "lea",
    "table partition lab.t --add a": "lea",
    "table sort lab.t a": "lea",
    "table rollback lab.t --to 1": "lea",
    "table branch lab.t b": "lea",
    "table tag lab.t t": "lea",
}
LOOKS = {
    "pipeline list": READS, "pipeline show flights": READS, "pipeline diff flights@1 flights@1": READS,
    "pipeline export flights": READS, "promote flights --to qa --plan": READS,
    "env": READS, "policy list": READS, "policy show uat": READS, "approvals list": READS, "approvals show 2": READS,
    "approvals diff 2 flights.daily": READS,
    "review list": READS, "drift list": READS, "user list": READS, "team list": READS, "token list": READS,
    "whoami": READS, "status": READS, "audit log": ADMIN_READS, "audit export {new}": ADMIN_READS, "audit verify": ADMIN_READS,
    "audit anchor {new}": ADMIN_READS,
    "maintain list": READS,
    "search flights": READS, "lineage flights": READS, "history": READS, "pipeline about flights": READS,
}  # fmt: skip
OWN = {"approvals comment 2 hello": READS, "token issue ci": READS}


def leaves(command: click.Command, path: str = "") -> Iterator[str]:
    """Every command that does something, by the words one types."""
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, f"{path} {name}".strip())


@pytest.fixture
def busy(local: Shell, tmp_path: Path) -> Shell:
    """v1 ran in QA, request 2 asks for UAT; there is a team `ops` with Ada in it."""
    local.save()
    local("promote", "flights", "--to", "qa", by="ada")
    local.run_in(Environment.QA)
    local("promote", "flights", "--to", "uat", by="ada")
    local("team", "add", "ops")
    local("team", "join", "ops", "ada")
    local("pipeline", "export", "flights", str(tmp_path / "bundle.json"))
    return local


def words(shell: Shell, verb: str, tmp_path: Path) -> list[str]:
    values = {
        "file": shell.file(rows=2), "bundle": str(tmp_path / "bundle.json"), "new": str(tmp_path / "new.json"),
        "plan": shell.digest(2), "notebook": str(NOTEBOOK),
    }  # fmt: skip
    return [word.format(**values) if "{" in word else word for word in verb.split(" ")]


def entries(shell: Shell) -> list[str]:
    with shell.store() as store, store.read() as view:
        return [f"{entry.verb} by {entry.actor['name']}" for entry in view.log.entries()]


def test_a1_every_verb_is_listed_here() -> None:
    listed = {*CHANGES, *LOOKS, *OWN, *ELSEWHERE}
    missing = [
        leaf
        for leaf in leaves(cli)
        if not any(one == leaf or one.startswith(f"{leaf} ") or leaf.startswith(f"{one} ") for one in listed)
    ]
    assert missing == []


def test_a1_without_a_token_every_verb_is_refused_and_changes_nothing(busy: Shell, tmp_path: Path) -> None:
    for verb in (*CHANGES, *LOOKS, *OWN):
        arguments = words(busy, verb, tmp_path)
        before = entries(busy)
        said = busy(*arguments, by=None, fails=1, stdin="another long password")
        assert said.err == "Error: nobody is signed in; run: drls login\n", verb
        assert said.out == "", verb
        assert entries(busy) == before, verb


def test_a1_with_a_viewers_token_the_owner_of_the_files_changes_nothing(busy: Shell, tmp_path: Path) -> None:
    for verb in (*CHANGES, *(verb for verb, who in LOOKS.items() if who != READS)):
        arguments = words(busy, verb, tmp_path)
        before = entries(busy)
        said = busy(*arguments, by="vic", fails=1, stdin="another long password")
        assert said.out == "", verb
        assert entries(busy) == before, verb
    for verb in (verb for verb, who in LOOKS.items() if who == READS):
        busy(*words(busy, verb, tmp_path), by="vic")


def test_a1_what_is_done_with_a_token_its_owner_did(busy: Shell, tmp_path: Path) -> None:
    """The same user of the same machine is another person with another token."""
    for verb, who in (
        ("pipeline save {file}", "ada"), ("approvals comment 2 hello", "vic"), ("freeze qa --reason x", "lea"),
        ("user add eve", "admin"), ("session new flights --env qa", "ada"),
    ):  # fmt: skip
        before = len(entries(busy))
        busy(*words(busy, verb, tmp_path), by=who)
        new = entries(busy)[before:]
        assert new, verb
        assert all(entry.endswith(f" by {who}") for entry in new), (verb, new)
