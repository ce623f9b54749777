"""dbt inside the fence of a step: `python -P -m drls_dagster.engine.dbt_project`.

The step's inputs are views in the schema `drls` of a DuckDB database of its own, so that `source('drls', 'NODE')` finds
them. dbt builds its models there; the one that the step names is written to the output. Nothing dbt does can reach a
table of the lakehouse. What its tests say is reported like the checks of a command.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import duckdb

from drls_dagster import custom

SCHEMA = "drls"
DATABASE = "build"
PROBLEM = 2  # exit code: the last line says what is wrong with the project
_TESTS = {"test", "unit_test"}
# By DuckDB's type: what Parquet and Spark have instead. Its own choice for the first two loses digits.
_EXPORTED = {
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "UBIGINT": "DECIMAL(20,0)",
    "UUID": "VARCHAR",
    "JSON": "VARCHAR",
    "TIMESTAMP_NS": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "TIMESTAMP_S": "TIMESTAMP",
}
_NOT_EXPORTED = re.compile(r"\b(U?HUGEINT|UBIGINT|TIME|TIME WITH TIME ZONE|TIME_NS|INTERVAL|UNION|BIT|VARINT|BIGNUM)\b")
_PREFIX = re.compile(r"^(Compilation|Runtime|Database) Error in [\w ]+ \([^)]*\) ")
_LONGEST = 280


class Problem(Exception):
    """The project cannot give the step's rows."""


def main() -> None:
    with open(os.environ["DRLS_STEP"]) as file:
        asked: dict[str, Any] = json.load(file)["dbt"]
    told = ""
    with custom.step() as step:
        try:
            build(step, asked)
        except Problem as problem:
            told = str(problem)
    if told:
        print(told[:_LONGEST], flush=True)
        sys.exit(PROBLEM)


def build(step: custom.Step, asked: Mapping[str, Any]) -> None:
    """Builds and tests the selection, reports each test, and writes the step's model. Raises Problem."""
    room = Path(os.environ["TMPDIR"])
    database = str(room / f"{DATABASE}.duckdb")
    os.environ["TZ"] = "UTC"
    settings = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": f"{asked['memory'] * 6 // 10 // 2**20}MB",
        "temp_directory": str(room / "spill"),
    }
    _lay_out(step, database)
    profile = {"type": "duckdb", "path": database, "threads": os.cpu_count() or 1, "config_options": settings}
    # JSON is YAML.
    (room / "profiles.yml").write_text(json.dumps({"drls": {"target": "drls", "outputs": {"drls": profile}}}))
    done, manifest = _dbt(room, asked)
    problems = list(_problems(done))
    failed = list(_report(step, done))
    if problems:
        raise Problem(problems[0])
    _refuse_others(step, done, manifest)
    _tell(step, done, manifest, asked["model"])
    if any(one.get("blocking") for one in failed):
        return  # what follows such a test was not built
    _export(database, _relation(manifest, asked["model"]), f"{step.output_folder}/part-00000.parquet")


def _lay_out(step: custom.Step, database: str) -> None:
    with duckdb.connect(database) as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        for name in step.inputs:
            files = ", ".join("'" + file.replace("'", "''") + "'" for file in step.files(name))
            connection.execute(f'CREATE VIEW {SCHEMA}."{name}" AS SELECT * FROM read_parquet([{files}])')


def _dbt(room: Path, asked: Mapping[str, Any]) -> tuple[Sequence[Any], Any]:
    """The results of `dbt build`, and its manifest."""
    os.environ.update(DBT_SEND_ANONYMOUS_USAGE_STATS="false", DO_NOT_TRACK="1")
    # dbt asks for locks that processes share, which a fence has no place for, and works with threads alone.
    for name, lock in (("RLock", threading.RLock), ("Lock", threading.Lock)):
        setattr(BaseContext, name, lambda _, lock=lock: lock())
    from dbt.cli.main import dbtRunner

    common = [
        *("--project-dir", asked["project"], "--profiles-dir", str(room), "--profile", "drls", "--target", "drls"),
        *("--target-path", str(room / "target"), "--log-path", str(room / "logs"), "--vars", _variables(asked["vars"])),
        *("--no-use-colors", "--no-version-check", "--no-partial-parse", "--no-send-anonymous-usage-stats"),
    ]
    parsed = dbtRunner().invoke(["parse", *common])
    if not parsed.success:
        raise Problem(_one_line(parsed.exception or "the project cannot be read"))
    selection = [word for part in asked["select"] for word in ("--select", part)]
    selection += [word for part in asked["exclude"] for word in ("--exclude", part)]
    built = dbtRunner(manifest=parsed.result).invoke(["build", *common, *selection])  # pyright: ignore[reportArgumentType]
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()  # or nobody else may open the database
    if built.exception is not None:
        raise Problem(_one_line(built.exception))
    results: Sequence[Any] = getattr(built.result, "results", None) or ()
    if not results:
        raise Problem(f"the selection {' '.join(asked['select'])} selects nothing of {asked['project']}")
    return results, parsed.result


def _variables(given: Mapping[str, Any]) -> str:
    """dbt renders the text of a variable as Jinja; who may start a run need not be who writes its code."""
    return json.dumps({name: _text(value) if isinstance(value, str) else value for name, value in given.items()})


def _text(value: str) -> str:
    if not any(opening in value for opening in ("{{", "{%", "{#")):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{{{ "{escaped}" }}}}'


def _problems(done: Sequence[Any]) -> Iterator[str]:
    for one in done:
        if str(one.status) in {"error", "runtime error"}:
            node = one.node
            what = str(node.resource_type).replace("_", " ")
            yield f"{what} {node.name} ({node.original_file_path}): {_message(one.message)}"


def _report(step: custom.Step, done: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Reports each test that ran; gives those that failed."""
    for one in done:
        node, status = one.node, str(one.status)
        if str(node.resource_type) not in _TESTS or status not in {"pass", "fail", "warn"}:
            continue
        configured = str(getattr(node.config, "severity", "error")).lower()
        blocking = status == "fail" or (status == "pass" and configured == "error")
        told: dict[str, Any] = {"failures": one.failures or 0, "file": node.original_file_path}
        step.check(node.name, status == "pass", severity="ERROR" if blocking else "WARN", metadata=told)
        if status != "pass":
            yield {"name": node.name, "blocking": blocking}


def _refuse_others(step: custom.Step, done: Sequence[Any], manifest: Any) -> None:
    """Every table that a model reads is a node above the step, or a part of the project (L2)."""
    import sqlglot
    from sqlglot import errors, exp

    own = {_key(node.schema, node.alias) for node in manifest.nodes.values() if getattr(node, "alias", None)}
    known = own | {_key(SCHEMA, name) for name in step.inputs}
    for one in done:
        node = one.node
        text = getattr(node, "compiled_code", None)
        if str(node.resource_type) != "model" or not text or node.language != "sql":
            continue
        try:
            tree = sqlglot.parse_one(text, dialect="duckdb")
        except errors.SqlglotError as error:
            raise Problem(f"model {node.name} ({node.original_file_path}): {_one_line(error)}") from None
        named = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            problem = _of_table(step.node, table, known, named)
            if problem:
                raise Problem(f"model {node.name} ({node.original_file_path}) reads {problem}")


def _of_table(node: str, table: Any, known: set[tuple[str, str]], named: set[str]) -> str:
    """What is wrong with a table that a model names; empty where nothing is."""
    from sqlglot import exp

    if not isinstance(table.this, exp.Identifier):
        what = table.this.sql(dialect="duckdb")[:60]
        files = isinstance(table.this, exp.Func) and _reads_files(what)
        return f"{what}, which no version keeps; make it a source of the pipeline" if files else ""
    if not table.db:
        return "" if table.name.lower() in named else f"{table.name} by its bare name; write ref() or source()"
    if _key(table.db, table.name) in known:
        return ""
    return (
        f"{table.db}.{table.name}, which is no node above '{node}'; add an edge from it, and read "
        f"source('drls', '{table.name}')"
    )


def _reads_files(function: str) -> bool:
    return bool(re.match(r"(?i)(read_|parquet_|glob|sniff_|sqlite_|postgres_|iceberg_|delta_)", function))


def _key(schema: str, name: str) -> tuple[str, str]:
    return schema.lower(), name.lower()


def _tell(step: custom.Step, done: Sequence[Any], manifest: Any, model: str) -> None:
    """What dbt knows of the models, for people."""
    from importlib.metadata import version

    models = [one.node for one in done if str(one.node.resource_type) in {"model", "seed", "snapshot"}]
    short = {key: node.name for key, node in manifest.nodes.items()}
    short |= {key: source.name for key, source in manifest.sources.items()}
    lineage = {
        node.name: sorted(short[key] for key in node.depends_on.nodes if key in short)
        for node in models
        if getattr(node, "depends_on", None) is not None and hasattr(node.depends_on, "nodes")
    }
    asked = next(node for node in manifest.nodes.values() if node.resource_type == "model" and node.name == model)
    columns = {name: column.description for name, column in asked.columns.items() if column.description}
    step.report(
        {
            "dbt": version("dbt-core"),
            "dbt models": ", ".join(node.name for node in models),
            "dbt lineage": "; ".join(f"{name} <- {', '.join(above)}" for name, above in lineage.items() if above),
            **({"description": asked.description} if asked.description else {}),
            **({"column descriptions": json.dumps(columns)} if columns else {}),
        }
    )


def _relation(manifest: Any, model: str) -> str:
    for node in manifest.nodes.values():
        if str(node.resource_type) == "model" and node.name == model:
            return f'"{node.schema}"."{node.alias}"'
    raise Problem(f"the project has no model {model}")


def _export(database: str, relation: str, target: str) -> None:
    with duckdb.connect(database) as connection:
        try:
            columns = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        except duckdb.Error:
            raise Problem(f"model {relation} was not built; select it, or remove it from exclude") from None
        selected = ", ".join(_column(name, kind) for name, kind, *_ in columns)
        try:
            connection.execute(f"COPY (SELECT {selected} FROM {relation}) TO '{target}' (FORMAT parquet)")
        except duckdb.Error as error:
            raise Problem(f"the rows of {relation} cannot be written: {_one_line(error)}") from None


def _column(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if kind.startswith("ENUM"):
        return f"CAST({quoted} AS VARCHAR) AS {quoted}"
    if kind in _EXPORTED:
        return f"CAST({quoted} AS {_EXPORTED[kind]}) AS {quoted}"
    if _NOT_EXPORTED.search(kind):
        raise Problem(f"column {name} has the type {kind}, which tables cannot hold; cast it in the model")
    return quoted


def _message(text: object) -> str:
    """One line of a message of DuckDB's or dbt's, without the places where this run had its files."""
    plain = _one_line(str(text or "it failed").replace(str(Path.cwd()), "."))
    return _PREFIX.sub("", plain)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
