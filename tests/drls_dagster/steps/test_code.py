from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drls_dagster.steps.code import CodeChanged, check_code, load_function, locked_digest
from lifecycle.spec import package_digest, parse_pipeline, resolve_lock

PIPELINE = """
format_version: 1
name: scored
nodes:
  - {id: raw, type: source, source: {kind: rate}}
  - {id: score, type: transform, step: rayProcess, entrypoint: "drls_test_code.score:score", output_schema: {x: long}}
  - {id: out, type: sink, table: t.out, mode: append}
edges: [{from: raw, to: score}, {from: score, to: out}]
"""


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "drls_test_code"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text("FACTOR = 2\n")
    (folder / "score.py").write_text(
        "from drls_test_code.helper import FACTOR\ndef score(batch):\n    return batch * FACTOR\n"
    )
    yield tmp_path
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]
    for name in [name for name in sys.modules if name.startswith("drls_test_code")]:
        del sys.modules[name]


def load(digest: str, search_path: Path) -> object:
    return load_function(None, "drls_test_code.score:score", digest, [str(search_path)], "process")


def test_inline_source_gives_its_function() -> None:
    function = load_function(
        "import math\ndef process(batch):\n    return math.floor(batch)", None, None, (), "process"
    )
    assert function(1.5) == 1


def test_l2_code_that_changed_since_it_was_saved_is_refused_and_not_run(package: Path) -> None:
    saved = package_digest("drls_test_code.score", [package])
    assert load(saved, package)(3) == 6  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]
    # A helper module of the package counts as much as the function's own.
    (package / "drls_test_code" / "helper.py").write_text("FACTOR = 30\nraise SystemExit('ran')\n")
    now = package_digest("drls_test_code.score", [package])
    assert now != saved
    with pytest.raises(CodeChanged, match="is not the code that was saved"):
        check_code("drls_test_code.score:score", saved, [str(package)])
    with pytest.raises(CodeChanged, match="is not the code that was saved"):
        load(f"{saved[:-1]}x", package)


def test_a_warm_worker_takes_the_code_that_was_saved_and_not_what_it_imported_before(package: Path) -> None:
    first = package_digest("drls_test_code.score", [package])
    assert load(first, package)(3) == 6  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]
    (package / "drls_test_code" / "helper.py").write_text("FACTOR = 5\n")
    second = package_digest("drls_test_code.score", [package])
    assert load(second, package)(3) == 15  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]


def test_l2_code_without_a_lock_is_refused(package: Path) -> None:
    spec = parse_pipeline(PIPELINE)
    with pytest.raises(CodeChanged, match="is not locked"):
        locked_digest(spec, "drls_test_code.score:score")
    locked = resolve_lock(spec, [package])
    assert locked_digest(locked, "drls_test_code.score:score") == package_digest("drls_test_code.score", [package])
    assert locked_digest(locked, None) is None
