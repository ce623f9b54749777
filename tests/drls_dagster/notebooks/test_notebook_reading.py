"""What the code of a notebook reaches: development's tables, as its person, and nothing else."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from drls_dagster.notebooks import token
from drls_dagster.notebooks.places import ask_socket, token_file
from lifecycle.errors import Forbidden
from lifecycle.usecases.keep_notebook import start_notebook
from tests.drls_dagster.notebooks.conftest import CELL, World, indented

pytestmark = [pytest.mark.tables, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[3] / "examples/notebooks/late_days.py"
EVERY_FORM = """
import drls_dagster as drls
rows = drls.read("flights.daily", columns=["delay"])
print(drls.read("flights.daily").to_arrow().to_pydict(), rows.to_pandas().columns.tolist())
print(rows.to_duckdb().aggregate("count(*)").fetchall(), drls.read("flights__development.daily").name)
print([one.name for one in drls.tables()])
"""
PIPELINE = """
made = drls.notebook_pipeline(__file__, "late_days")
print(made.definition, made.checked.valid, made.checked.version)
def tried(what, *asked):
    try:
        print(what, "WORKED", drls.notebook_pipeline(*asked))
    except Exception as error:
        print(what, type(error).__name__, error)
tried("hostile", __file__, "../x")
tried("foreign", {other!r}, "late_days")
tried("other", "/etc/passwd", "late_days")
tried("endless", "/dev/zero", "late_days")
"""
REFUSED = """
import drls_dagster as drls
def tried(what, do):
    try:
        print(what, "WORKED", do())
    except Exception as error:
        print(what, type(error).__name__, error)
for env in ("production", "qa", "uat"):
    tried(env, lambda: drls.read("flights.daily", env=env).to_arrow())
tried("exact", lambda: drls.read("flights__qa.daily").to_arrow())
tried("run", lambda: drls.run("flights"))
tried("save", lambda: drls.save("flights"))
tried("table", lambda: drls.table("flights.daily").show())
tried("spark", lambda: drls.spark())
tried("to_spark", lambda: drls.read("flights.daily").to_spark())
"""
OUTSIDE = """
import os, socket
home, port, other = {home!r}, {port}, {other!r}
for place in ("secret", "signing-key.pem", "lifecycle.db", "up/state.json", "up/notebooks.sock", "catalog/catalog.db"):
    print(place, os.path.exists(os.path.join(home, place)))
print("other", os.path.exists(other), "warehouse", os.path.exists(os.path.join(home, "warehouse")))
print("variables", sorted(name for name in os.environ if name.startswith(("DRLS", "AWS"))))
for address in (("127.0.0.1", port), ("1.1.1.1", 53)):
    try:
        socket.create_connection(address, 3)
        print("connected", address)
    except OSError as error:
        print("refused", address[1])
print("pids", len([one for one in os.listdir("/proc") if one.isdigit()]) < 12)
"""


def test_a9_a_notebook_reads_development_tables_in_every_form(world: World) -> None:
    world.start()
    shown = world.visit("ada").run(EVERY_FORM)
    assert "{'day': [1, 2, 3], 'delay': [0.5, 1.5, None]} ['delay']" in shown
    assert "[(3,)] flights__development.daily" in shown
    assert "flights.daily" in shown


def test_a9_a_notebook_shows_itself_as_a_pipeline_and_saves_nothing(world: World) -> None:
    world.start()
    theirs = world.files("eve") / "theirs.py"
    theirs.write_text(EXAMPLE.read_text())
    own = world.files() / "late_days.py"
    before = len(versions(world))
    cell = CELL.format(body=indented(PIPELINE.format(other=str(theirs))))
    own.write_text(EXAMPLE.read_text().replace("\n\nif __name__", f"{cell}\n\nif __name__"))
    shown = world.visit("ada").open("late_days.py")
    assert "name: late_days" in shown
    assert "True None" in shown
    assert "WORKED" not in shown
    assert f"foreign UsageError {theirs} cannot be read: No such file or directory" in shown
    assert "endless UsageError /dev/zero is not a file" in shown
    assert len(versions(world)) == before


def versions(world: World) -> list[str]:
    with world.life.store.read() as view:
        return [one.name for one in view.pipelines.summaries("", 100)]


def test_a9_a_notebook_that_tries_another_environment_or_a_change_is_refused(world: World) -> None:
    world.start()
    shown = world.visit("ada").run(REFUSED)
    assert "WORKED" not in shown
    for env in ("production", "qa", "uat", "exact"):
        assert f"{env} Forbidden a notebook reads development's tables only" in shown, shown
    for what in ("run", "save", "table", "spark", "to_spark"):
        assert f"{what} UsageError a notebook" in shown, shown


def test_a9_the_code_of_a_notebook_finds_no_credential_no_socket_and_no_network(world: World) -> None:
    world.start()
    (world.settings.home / "secret").write_text("x")
    shown = world.visit("ada").run(
        OUTSIDE.format(home=str(world.settings.home), port=world.port, other=str(world.files("eve")))
    )
    for place in ("secret", "signing-key.pem", "lifecycle.db", "up/state.json", "up/notebooks.sock"):
        assert f"{place} False" in shown, shown
    assert "catalog/catalog.db False" in shown
    assert "other False warehouse False" in shown
    assert "['DRLS_NOTEBOOK_ASK', 'DRLS_NOTEBOOK_TOKEN_FILE']" in shown
    assert "connected" not in shown
    assert shown.count("refused") == 2
    assert "pids True" in shown


def test_a9_a_notebook_has_its_persons_rights(world: World) -> None:
    nora = world.life.add_person("nora", None)
    world.give_role("nora", "flights")
    start_notebook(world.life.ctx, nora)
    shown = world.visit("nora").run(
        "import drls_dagster as drls\n"
        "print(drls.read('flights.daily').to_arrow().num_rows, [one.name for one in drls.tables()])\n"
        "drls.read('salaries.all')"
    )
    assert "3 ['flights.daily']" in shown
    assert "there is no table salaries.all that you may see" in shown


def test_a9_who_may_run_no_code_in_development_has_no_notebook(world: World) -> None:
    for name in ("vic", "bot"):
        with pytest.raises(Forbidden):
            start_notebook(world.life.ctx, world.life.as_(name))


def test_a9_a_token_is_good_for_its_own_running_notebook_and_for_its_questions_alone(world: World) -> None:
    world.start()
    ada = world.life.person("ada")
    own = token_file(world.sockets, ada).read_text()
    place = ask_socket(world.sockets)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(place)), base_url="http://drls", timeout=60) as client:
        _check_tokens(world, client, ada, own)


def _check_tokens(world: World, client: httpx.Client, ada: int, own: str) -> None:

    def asked(text: str, path: str = "/pin") -> int:
        return client.post(
            path, json={"name": "flights.daily"}, headers={"Authorization": f"Bearer {text}"}
        ).status_code

    assert asked(own) == 200
    assert asked(own, "/start") == asked(own, "/api/pipeline-defs") == 404
    assert client.post("/pin", json={"name": "flights.daily"}).status_code == 401
    for forged in (
        token.issue(world.life.ctx, token.Bound(person=ada, notebook="another")),
        token.issue(world.life.ctx, token.Bound(person=world.life.person("lea"), notebook="none")),
        own[:-4] + "AAAA",
    ):
        assert asked(forged) == 401
    world.stop()
    assert asked(own) == 401
