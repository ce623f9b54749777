"""The custom step: what its fields take, and which files a version keeps of it (L2). Nothing is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.spec import PipelineSpec, Problem, SpecError, digest, lock_with_code, parse_pipeline, subtree_digest
from lifecycle.spec.custom import CustomTransform
from lifecycle.usecases.parts.specs import local_commands

Build = Callable[..., PipelineSpec]
Find = Callable[..., tuple[Problem, ...]]
AT = {"id": "long"}


def command(*words: str, **more: Any) -> Callable[[dict[str, Any]], object]:
    given = {"output_schema": AT, **more}
    step = {"id": "daily", "type": "transform", "step": "custom", "command": list(words), **given}
    return lambda data: data["nodes"].__setitem__(1, {k: v for k, v in step.items() if v is not None})


def kept(spec: PipelineSpec, folder: Path) -> list[str]:
    return sorted(lock_with_code(spec, [folder])[1].files)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "score.py": "import helper\nfrom pkg import deep\n",
        "helper.py": "",
        "unused.py": "",
        "pkg/__init__.py": "",
        "pkg/deep.py": "",
        "run.sh": "#!/bin/bash\n",
        "bin/tool.sh": "",
        "bin/score.py": "import near\n",
        "bin/near.py": "",
        "model/weights.csv": "1",
        "model/.hidden": "1",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "more", "files"),
    [
        (["python", "score.py", "--fast"], {}, ["helper.py", "pkg/__init__.py", "pkg/deep.py", "score.py"]),
        (["python", "-m", "pkg.deep"], {}, ["pkg/__init__.py", "pkg/deep.py"]),
        (["./run.sh"], {}, ["run.sh"]),
        (["bash", "-eu", "bin/tool.sh"], {}, ["bin/tool.sh"]),
        (["python", "bin/score.py"], {}, ["bin/near.py", "bin/score.py"]),
        (["bash", "run.sh"], {"files": ["model"]}, ["model/weights.csv", "run.sh"]),
        (["bash", "-c", "echo /etc/passwd ../run.sh"], {}, []),
    ],
)
def test_l2_the_files_of_a_command_are_kept_with_what_they_import(
    spec_of: Build, folder: Path, words: list[str], more: dict[str, Any], files: list[str]
) -> None:
    assert kept(spec_of(command(*words, **more)), folder) == files


def test_l2_a_changed_file_is_another_version_and_changes_only_the_steps_that_it_feeds(
    spec_of: Build, folder: Path
) -> None:
    spec = spec_of(command("python", "score.py"))
    before = lock_with_code(spec, [folder])[0]
    assert before.lock is not None
    assert (before.lock.modules, sorted(before.lock.files_of(["daily"]))) == (
        {"daily": ("helper", "pkg", "score")},
        sorted(before.lock.files),
    )
    (folder / "helper.py").write_text("# changed\n")
    after = lock_with_code(spec, [folder])[0]
    assert digest(before) != digest(after)
    assert subtree_digest(before, "daily") != subtree_digest(after, "daily")
    assert subtree_digest(before, "orders") == subtree_digest(after, "orders")


def test_how_much_machine_a_command_gets_does_not_change_what_it_gives(spec_of: Build) -> None:
    plain, more = (spec_of(command("bash", "-c", "x", resources=given)) for given in (None, {"memory": "8g"}))
    assert digest(plain) != digest(more)
    assert subtree_digest(plain, "daily") == subtree_digest(more, "daily")


@pytest.mark.parametrize(
    ("words", "more", "wrong"),
    [
        (["python", "nothing.py"], {}, "there is no file 'nothing.py'; put it next to the pipeline file"),
        (["./nothing"], {}, "there is no file 'nothing'"),
        (["../score.py"], {}, "there is no file '../score.py'"),
        (["bash", "run.sh"], {"files": ["nothing"]}, "there is no file or folder 'nothing'"),
        (["bash", "link.sh"], {}, "'link.sh' is a link; put the file itself there"),
        (["bash", "run.sh"], {"files": ["linked"]}, "'linked' is a link"),
        (["bash", "output/x.sh"], {}, "'output/x.sh' has the name of a folder of the step; rename it"),
    ],
)
def test_a_file_that_cannot_be_kept_is_named(
    spec_of: Build, folder: Path, words: list[str], more: dict[str, Any], wrong: str
) -> None:
    (folder / "link.sh").symlink_to("/etc/passwd")
    (folder / "linked").symlink_to(folder / "model")
    (folder / "output").mkdir()
    (folder / "output/x.sh").write_text("")
    with pytest.raises(SpecError) as found:
        lock_with_code(spec_of(command(*words, **more)), [folder])
    assert str(found.value).startswith("node 'daily', command: ")
    assert wrong in str(found.value)
    assert len(str(found.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "field", "wrong"),
    [
        (command("x", env={"A B": "1"}), None, "'A B' is no name for a variable"),
        (command(" "), None, "the command begins with empty text"),
        *(
            (command("x", env={name: "1"}), None, f"the variable {name} is set by DRLS or by the system")
            for name in ("LD_PRELOAD", "PATH", "PYTHONPATH", "DRLS_STEP", "DAGSTER_PIPES_CONTEXT", "BASH_ENV", "HOME")
        ),
        (command("x", files=["../secret"]), "files[0]", "is not a valid name for a code file"),
        (command("x", files=["/etc/passwd"]), "files[0]", "is not a valid name for a code file"),
        (command("x", files=[".env"]), "files[0]", "is not a valid name for a code file"),
        (command("x", resources={"memory": "lots"}), "resources.memory", ""),
        (command("x", resources={"timeout": "0s"}), "resources", "leaves the command no time"),
        (command("x", resources={"timeout": "soon"}), "resources.timeout", "is not a duration"),
        (command("x", output_schema={}), "output_schema", "it is empty"),
        (command("x", checks=["a", "a"]), None, "a check is named twice"),
        (command("x", output_schema=None), "output_schema", "'daily_orders' needs the columns of this step"),
    ],
)
def test_a_wrong_field_of_a_command_is_named(
    problems_of: Find, change: Callable[[dict[str, Any]], object], field: str | None, wrong: str
) -> None:
    (problem,) = problems_of(change)
    assert (problem.node, problem.field) == ("daily", field)
    assert wrong in str(problem)
    assert len(str(problem)) < 260


def test_a_reported_check_may_not_have_the_name_of_a_monitors(problems_of: Find) -> None:
    monitor = {"id": "m", "type": "monitor", "checks": [{"kind": "row_count", "min": 1, "name": "rows"}]}

    def both(data: dict[str, Any]) -> None:
        command("x", checks=["rows"])(data)
        data["nodes"].append(monitor)
        data["edges"].append({"from": "daily", "to": "m"})

    (problem,) = problems_of(both)
    assert str(problem) == "node 'daily', checks: a monitor's check has the name 'rows' too; rename one of them"


def test_d5_a_command_without_inputs_appends_the_same_rows_again() -> None:
    text = """
    {"format_version": 1, "name": "p", "nodes": [
      {"id": "make", "type": "transform", "step": "custom", "command": ["x"], "output_schema": {"id": "long"}},
      {"id": "out", "type": "sink", "table": "a.b", "mode": "append"}],
     "edges": [{"from": "make", "to": "out"}]}"""
    with pytest.raises(SpecError, match="each run would append all rows of 'make' again"):
        parse_pipeline(text)


@pytest.mark.parametrize(
    ("step", "stays"),
    [
        ({"command": ["python", "score.py"]}, False),
        ({"command": ["./run.sh"]}, False),
        ({"command": ["bash", "-c", "echo"]}, False),
        ({"command": ["bash", "-euo", "pipefail", "-c", "echo"]}, False),
        ({"command": ["/usr/bin/python3", "score.py"]}, False),
        ({"command": ["python", "-m", "json.tool"]}, True),
        ({"command": ["bash"]}, True),
        ({"command": ["/opt/vendor/score", "run.sh"]}, True),
        ({"command": ["score"]}, True),
        ({"image": "a/b:1"}, True),
        ({"image": f"a/b@sha256:{'0' * 64}"}, False),
    ],
)
def test_l2_a_program_that_the_version_does_not_keep_stays_in_qa(
    spec_of: Build, folder: Path, step: dict[str, Any], stays: bool
) -> None:
    given = {"id": "daily", "type": "transform", "step": "custom", "output_schema": AT, **step}
    spec = lock_with_code(spec_of(lambda data: data["nodes"].__setitem__(1, given)), [folder])[0]
    assert bool(local_commands(spec)) is stays


def test_a_command_that_is_text_alone_needs_no_lock(spec_of: Build, folder: Path) -> None:
    spec = lock_with_code(spec_of(command("bash", "-c", "true")), [folder])[0]
    assert spec.lock is None
    (node,) = spec.transforms
    assert isinstance(node, CustomTransform)
    assert (node.limits.memory, node.limits.timeout) == ("2g", 3600)
