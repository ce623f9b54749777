"""L2: what the names in a spec stood for when it was saved; found without running any of it."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.spec import PipelineSpec, SpecError, digest, package_digest, parse_pipeline, resolve_lock

Build = Callable[..., PipelineSpec]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A search path with a package that says so if it is ever run."""
    package = tmp_path / "my_package"
    (package / "inner").mkdir(parents=True)
    for file in (package / "__init__.py", package / "inner" / "__init__.py", package / "scoring.py"):
        file.write_text("raise RuntimeError('this code was run')\n")
    (package / "words.txt").write_text("data beside the code\n")
    return tmp_path


def with_entrypoint(entrypoint: str) -> Callable[[dict[str, Any]], object]:
    step = {"id": "daily", "type": "transform", "step": "spark", "entrypoint": entrypoint}
    return lambda data: data["nodes"].__setitem__(1, step)


def test_l2_code_is_hashed_without_running_it(spec_of: Build, code: Path) -> None:
    spec = resolve_lock(spec_of(with_entrypoint("my_package.scoring:score")), [code])
    assert spec.lock is not None
    assert spec.lock.code == {"my_package.scoring:score": package_digest("my_package.scoring", [code])}
    assert spec.lock.code["my_package.scoring:score"].startswith("sha256:")
    assert "my_package" not in sys.modules


def test_l2_the_whole_package_counts_but_not_its_caches(code: Path) -> None:
    def now() -> str:
        return package_digest("my_package.scoring:score", [code])

    package = code / "my_package"
    first = now()
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"x")
    (package / ".hidden").write_text("x")
    assert now() == first
    # Python imports compiled code without its source, outside of __pycache__: it counts.
    compiled = package / "compiled.pyc"
    for changed in (package / "inner" / "__init__.py", package / "words.txt", package / "new.py", compiled):
        changed.write_text(f"# {first}")
        assert now() != first
        first = now()
    (package / "new.py").rename(package / "newer.py")
    assert now() != first


def test_l2_a_digest_does_not_depend_on_where_the_package_is(code: Path, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("elsewhere")
    (code / "my_package").rename(other / "kept")
    (other / "kept").rename(other / "my_package")
    moved = package_digest("my_package", [other])
    (other / "my_package").rename(code / "my_package")
    assert package_digest("my_package", [code]) == moved


def test_l2_a_module_that_is_one_file_is_hashed(code: Path) -> None:
    (code / "alone.py").write_text("x = 1\n")
    first = package_digest("alone:f", [code])
    (code / "alone.py").write_text("x = 2\n")
    assert package_digest("alone:f", [code]) != first


def test_l2_a_package_without_init_is_hashed(code: Path) -> None:
    (code / "plain").mkdir()
    (code / "plain" / "a.py").write_text("x = 1\n")
    first = package_digest("plain.a", [code])
    (code / "plain" / "b.py").write_text("x = 1\n")
    assert package_digest("plain.a", [code]) != first


def test_l2_the_search_path_comes_first(code: Path) -> None:
    (code / "yaml.py").write_text("x = 1\n")
    assert package_digest("yaml", [code]).startswith("sha256:")


def test_l2_what_was_installed_is_named_by_distribution_and_version() -> None:
    assert package_digest("yaml:safe_load", []).lower() == f"pyyaml=={importlib.metadata.version('pyyaml')}"


def test_l2_a_link_to_a_folder_is_refused(code: Path) -> None:
    (code / "outside").mkdir()
    (code / "my_package" / "linked").symlink_to(code / "outside")
    with pytest.raises(ValueError, match="'linked' in the package 'my_package' is a link to a folder"):
        package_digest("my_package", [code])


@pytest.mark.parametrize(
    ("entrypoint", "part"),
    [
        (
            "no_such_package.x:f",
            "the module 'no_such_package.x' was not found; put its folder on the search path",
        ),
        (
            "my_package.nothing:f",
            "the module 'my_package.nothing' was not found; correct the part before the colon",
        ),
        ("os:system", "'os' belongs to Python itself; use a module of your own"),
        ("my_package.words:f", "was not found"),
    ],
)
def test_l2_code_that_is_not_there_names_the_node(spec_of: Build, code: Path, entrypoint: str, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        resolve_lock(spec_of(with_entrypoint(entrypoint)), [code])
    assert str(caught.value).startswith("node 'daily', entrypoint: ")
    assert part in str(caught.value)


DBT_AND_IMAGES = f"""
format_version: 1
name: others
nodes:
  - {{id: a, type: source, source: {{kind: rate}}}}
  - {{id: models, type: transform, step: dbt, project: dbt/flights}}
  - {{id: pinned, type: transform, step: custom, image: "registry.example/notify@sha256:{"a" * 64}"}}
  - {{id: by_tag, type: transform, step: custom, image: "registry.example/notify:1.2"}}
  - {{id: local, type: transform, step: custom, command: ["true"]}}
  - {{id: s, type: sink, table: a.b, mode: append}}
edges: [{{from: a, to: models}}, {{from: models, to: s}}]
"""


def test_l2_dbt_projects_and_images_are_locked(tmp_path: Path) -> None:
    project = tmp_path / "dbt" / "flights"
    (project / "target").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: flights\n")
    spec = parse_pipeline(DBT_AND_IMAGES)
    first = resolve_lock(spec, [tmp_path])
    assert first.lock is not None
    assert first.lock.images == {f"registry.example/notify@sha256:{'a' * 64}": f"sha256:{'a' * 64}"}
    (project / "target" / "manifest.json").write_text("{}")
    assert resolve_lock(spec, [tmp_path]) == first
    (project / "models.sql").write_text("select 1")
    second = resolve_lock(spec, [tmp_path])
    assert digest(second) != digest(first)


def test_l2_a_dbt_project_that_is_not_there_names_the_node(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="node 'models', project: there is no dbt project 'dbt/flights'"):
        resolve_lock(parse_pipeline(DBT_AND_IMAGES), [tmp_path])


def test_l2_resolving_twice_gives_the_same_and_replaces_an_old_lock(spec_of: Build, code: Path) -> None:
    spec = spec_of(with_entrypoint("my_package:f"))
    before = digest(spec)
    once = resolve_lock(spec, [code])
    assert digest(once) != before
    assert digest(resolve_lock(once, [code])) == digest(once)
    (code / "my_package" / "scoring.py").write_text("# changed\n")
    assert digest(resolve_lock(once, [code])) != digest(once)


def test_l2_a_spec_that_names_nothing_outside_itself_has_no_lock(spec_of: Build) -> None:
    assert resolve_lock(spec_of(), []).lock is None
