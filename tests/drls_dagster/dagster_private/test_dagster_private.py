"""What to look at when Dagster moves: each private name that DRLS uses, and what it relies on."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._grpc import impl

import drls_dagster.dagster_private as private
from tests.drls_dagster.dagster_private.relied_on import RELIED, REPLACED, Relied

TOP = Path(__file__).parents[3]
FOLDER = "drls_dagster/dagster_private"
HERE = "tests/drls_dagster/dagster_private"
# A module below one of Dagster's packages that its documentation does not name.
PRIVATE = re.compile(r"\bdagster\._\w|\bdagster_(graphql|webserver|shared)\.\w|\bdagster_\w+\._\w")
_MAYBE = re.compile(r"\bdagster\b[^\n]*\b_[a-z]|\bdagster_(graphql|webserver|shared|private|k8s|postgres|pipes)\b")


@cache
def sources() -> dict[str, ast.Module]:
    """The Python files of the repository in which something of Dagster's is named that could be private, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"], cwd=TOP, capture_output=True, text=True, check=True
    )
    texts = {name: (TOP / name).read_text() for name in listed.stdout.split() if (TOP / name).is_file()}
    return {name: ast.parse(text) for name, text in texts.items() if _MAYBE.search(text)}


@cache
def imported() -> list[tuple[str, str, str]]:
    """Path, module and name of every `from module import name` in them."""
    return [
        (path, node.module or "", alias.name)
        for path, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


def taken() -> set[str]:
    """`topic.name` of all that the files of dagster_private take from Dagster's private modules."""
    return {
        f"{Path(path).stem}.{name}"
        for path, module, name in imported()
        if path.startswith(FOLDER) and PRIVATE.match(f"{module}.x")
    }


def users(topic_and_name: str) -> list[str]:
    """The files that import a name from dagster_private."""
    topic, name = topic_and_name.split(".")
    return sorted({path for path, module, one in imported() if (module, one) == (f"{private.__name__}.{topic}", name)})


def problems(found: Any, relied: Relied) -> list[str]:
    """What a name does not have any more."""
    wrong = [f"has no {name!r}" for name in relied.has if not has(found, name)]
    if relied.call:
        parameters = inspect.signature(found).parameters
        open_ended = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        fields = {*parameters, *getattr(found, "__annotations__", {}), *_of_init(found)}
        wrong += [
            f"takes no {name!r}" for name in relied.call if name not in fields and not (open_ended and not fields)
        ]
    if relied.value is not None and str(found) != relied.value:
        wrong.append(f"is {found!r}, was {relied.value!r}")
    return wrong


def _of_init(found: Any) -> set[str]:
    return set(inspect.signature(found.__init__).parameters) if inspect.isclass(found) else set()


def has(found: Any, name: str) -> bool:
    """Whether a class has it, or gives it to its instances."""
    if hasattr(found, name):
        return True
    classes = [one for one in getattr(found, "__mro__", ()) if one.__module__.startswith("dagster")]
    return any(
        name in vars(one).get("__annotations__", {}) or f"self.{name} " in inspect.getsource(one) for one in classes
    )


@pytest.mark.parametrize("name", sorted(RELIED))
def test_a_private_name_of_dagster_is_what_we_rely_on(name: str) -> None:
    relied = RELIED[name]
    topic, attribute = name.split(".")
    text = f"dagster {dg.__version__}: {name}, used by {', '.join(users(name)) or 'dagster_private itself'}; look at: {relied.look}"
    module = importlib.import_module(f"{private.__name__}.{topic}")
    assert problems(getattr(module, attribute), relied) == [], text


def test_every_private_name_of_dagster_says_what_to_look_at_and_is_used() -> None:
    assert taken() == RELIED.keys()
    unused = {name for name in RELIED if not users(name)}
    # Only their own file uses these, for the functions that it offers.
    assert unused <= {
        "instance.ConfigurableClassData",
        "code_servers.server",
        "code_servers.open_ipc_subprocess",
        "launching.CodePointer",
        "launching.ModuleCodePointer",
        "launching.PackageCodePointer",
    }


def test_no_other_file_names_a_private_module_of_dagster() -> None:
    found = [
        f"{path}:{node.lineno}: {named}"
        for path, tree in sources().items()
        if not path.startswith((FOLDER, HERE))
        for node in ast.walk(tree)
        for named in _names_of(node)
        if PRIVATE.search(named)
    ]
    assert found == [], f"import it through {FOLDER}, and say in {HERE}/relied_on.py what to look at"


def _names_of(node: ast.AST) -> list[str]:
    """The modules that a node names: of an import, or in a text that is one."""
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names] if node.level == 0 else []
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[\w.:]+", node.value):
        return [node.value]
    return []


@pytest.mark.parametrize("name", sorted(REPLACED))
def test_a_method_that_replaces_one_of_dagster_s_takes_what_dagster_gives_it(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    ours = getattr(importlib.import_module(module), attribute)
    theirs = ours.__mro__[1]
    assert theirs.__module__.startswith("dagster")
    for method in REPLACED[name]:
        assert method in vars(ours), f"{name} has no {method} of its own any more: take it out of REPLACED"
        assert hasattr(theirs, method), f"{theirs.__name__}.{method} is gone: nothing calls {name}.{method}"
        assert _parameters(vars(ours)[method]) == _parameters(inspect.getattr_static(theirs, method)), (
            f"{name}.{method}"
        )


def _parameters(found: Any) -> list[str]:
    if isinstance(found, property):
        return ["(a property)"]
    function = getattr(found, "__func__", found)
    return [one.name.lstrip("_") for one in inspect.signature(inspect.unwrap(function)).parameters.values()]


def test_the_caller_that_knows_a_run_s_plan_is_where_the_stack_is_searched() -> None:
    """dagster_private.loading.plan_of_this_run reads a variable of Dagster's function by its name."""
    from drls_dagster.dagster_private import loading

    caller = getattr(impl, loading.RUNS_A_RUN)
    assert loading.ITS_PLAN in caller.__code__.co_varnames
    assert caller.__annotations__[loading.ITS_RUN] in (dg.DagsterRun, "DagsterRun")
    source = inspect.getsource(caller)
    assert source.index(f"{loading.ITS_PLAN} = ") < source.index("get_definition()"), "the plan is read before the load"


def test_a_code_server_starts_its_process_by_the_name_that_we_replace() -> None:
    from dagster._grpc import server

    assert "open_ipc_subprocess(subprocess_args" in inspect.getsource(server.open_server_process)


def test_dagster_s_daemon_starts_from_the_module_that_drls_up_names() -> None:
    from drls_dagster.dagster_private.daemon import DAEMON

    assert importlib.util.find_spec(f"{DAEMON}.__main__") is not None
    command = importlib.import_module(f"{DAEMON}.cli").create_dagster_daemon_cli().commands["run"]
    assert "--workspace" in {option for one in command.params for option in one.opts}


def test_dagster_is_pinned_to_the_version_that_these_tests_know() -> None:
    wanted = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"dagster=={dg.__version__}" in wanted
    assert f"dagster-webserver=={dg.__version__}" in wanted


def test_each_topic_is_one_file() -> None:
    assert {name.split(".")[0] for name in RELIED} | {"daemon"} == {
        one.name for one in pkgutil.iter_modules(private.__path__)
    }
