"""PipelineComponent in a Dagster project of somebody's own."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.core.package_entry import DG_PLUGIN_ENTRY_POINT_GROUP, discover_package_objects
from dagster.components.scaffold.scaffold import NoParams

import drls_dagster
from drls_dagster.dagster_private.tried import EnvRegistryKey
from drls_dagster.errors import DrlsError
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.private_home import make_private
from drls_dagster.settings import load_settings
from drls_dagster.steps.run import PipelineRun
from lifecycle.audit import load_signing_key
from lifecycle.domain.environment import Environment
from lifecycle.domain.version import Label
from lifecycle.ports import SystemClock
from lifecycle.spec.writing import dump_yaml
from lifecycle.store.store import Store
from lifecycle.usecases.parts.activation import activate
from tests.lifecycle.life import SETUP, Life, make_spec

_numbers = count()
PASSED = "the gate let it through"
OWN = """
import dagster as dg

@dg.resource
def spark(_): return "the project's own"

@dg.asset(deps=[["development", "lake", "flights", "daily"]], required_resource_keys={"spark"})
def report(context): return context.resources.spark

@dg.definitions
def defs(): return dg.Definitions(assets=[report], resources={"spark": spark})
"""


class Project:
    """A folder as `create-dagster project` makes it."""

    def __init__(self, root: Path, module: str) -> None:
        self.root = root
        self.defs = root / "src" / module / "defs"
        self.defs.mkdir(parents=True)
        for package in (self.defs, self.defs.parent):
            (package / "__init__.py").touch()
        project = f'[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{module}"\n'
        (root / "pyproject.toml").write_text(project)

    def component(self, name: str, **attributes: Any) -> Path:
        folder = self.defs / name
        folder.mkdir()
        said = {"type": "drls_dagster.PipelineComponent", "attributes": attributes}
        (folder / "defs.yaml").write_text(yaml.safe_dump(said))
        return folder

    def load(self) -> dg.Definitions:
        return dg.load_from_defs_folder(path_within_project=self.root)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    module = f"project_{next(_numbers)}"
    made = Project(tmp_path / "project", module)
    monkeypatch.syspath_prepend(str(made.root / "src"))
    importlib.invalidate_caches()
    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        del sys.modules[name]


@pytest.fixture
def life(drls_home: Path) -> Iterator[Life]:
    settings = load_settings()
    make_private(drls_home)
    store = Store.create(store_url(settings), load_signing_key(signing_key_file(settings)), SystemClock())
    yield Life(store, drls_home, SystemClock())  # pyright: ignore[reportArgumentType]
    store.close()


def deploy(life: Life, number: int, environment: Environment) -> None:
    with life.store.write(SETUP, "setup") as unit:
        pipeline = unit.pipelines.named("flights")
        version = unit.pipelines.numbered(pipeline, number)
        activate(unit, pipeline, version, environment, reason="promote", label=Label.APPROVED)


def jobs(definitions: dg.Definitions) -> set[str]:
    return {job.name for job in definitions.get_repository_def().get_all_jobs()} - {"__ASSET_JOB"}


def test_a_file_and_a_folder_load_beside_what_the_project_has_of_its_own(project: Project) -> None:
    first = project.component("flights", path="flights.yaml")
    (first / "flights.yaml").write_text(dump_yaml(make_spec()))
    project.component("others", path="../../../../pipelines", environment="development")
    others = project.root / "pipelines" / "finance"
    others.mkdir(parents=True)
    (others / "bills.yaml").write_text(dump_yaml(make_spec("bills")))
    (others / "wrong.yaml").write_text("format_version: 1\nname: wrong\n")
    (project.defs / "own.py").write_text(OWN)
    found = project.load()
    assert jobs(found) == {"flights", "bills"}
    graph = found.resolve_asset_graph()
    assert dg.AssetKey(["development", "broken", "wrong"]) in graph.get_all_asset_keys()
    assert graph.get(dg.AssetKey(["report"])).parent_keys == {dg.AssetKey(["development", "lake", "flights", "daily"])}
    with dg.DagsterInstance.ephemeral() as instance:
        (own,) = [
            asset
            for asset in found.assets or ()
            if isinstance(asset, dg.AssetsDefinition) and asset.key.path == ["report"]
        ]
        resources = {"spark": (found.resources or {})["spark"]}
        assert dg.materialize([own], instance=instance, resources=resources).success


@pytest.fixture
def no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step does first after the gate ends it, so that no engine is needed."""

    def reads(*_: object) -> None:
        raise DrlsError(PASSED)

    monkeypatch.setattr(PipelineRun, "reads_of", reads)


@pytest.mark.usefixtures("no_spark")
def test_above_development_a_file_runs_only_while_it_is_what_is_deployed(project: Project, life: Life) -> None:
    folder = project.component("flights", path=".", environment="production")
    (folder / "flights.yaml").write_text(dump_yaml(make_spec(rows=2)))
    life.save(make_spec(rows=1))
    deploy(life, 1, Environment.PRODUCTION)
    found = project.load()
    assert "DRLS did not let flights run in production: flights has no such version" in failure_of(found)
    life.save(make_spec(rows=2))
    assert "flights v2 is not active in production: v1 is" in failure_of(found)
    deploy(life, 2, Environment.PRODUCTION)
    fresh = project.load()
    sink = fresh.resolve_asset_graph().get(dg.AssetKey(["production", "lake", "flights", "daily"]))
    assert sink.metadata["drls/version"] == "v2"
    assert PASSED in failure_of(fresh)


def failure_of(definitions: dg.Definitions) -> str:
    """What the step that fails says."""
    with dg.DagsterInstance.ephemeral() as instance:
        chosen = [dg.AssetKey(["production", "flights", "delays"])]
        job = definitions.resolve_job_def("flights")
        result = job.execute_in_process(instance=instance, asset_selection=chosen, raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data
    return (data.user_failure_data.description if data.user_failure_data else None) or str(data.error)


def test_deployed_true_loads_what_is_deployed_in_the_environment(project: Project, life: Life) -> None:
    life.save(make_spec(rows=1))
    deploy(life, 1, Environment.QA)
    life.save(make_spec(rows=2))
    life.save(make_spec("elsewhere"))
    project.component("qa", deployed=True, environment="qa")
    found = project.load()
    assert jobs(found) == {"flights"}
    sink = found.resolve_asset_graph().get(dg.AssetKey(["qa", "lake", "flights", "daily"]))
    assert (sink.metadata["drls/version"], sink.metadata["drls/stage"]) == ("v1", "qa")
    assert {sensor.name for sensor in found.sensors or ()} == {"qa_deployments"}


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({}, "set either path"),
        ({"path": "x.yaml", "deployed": True}, "set either path"),
        ({"path": "nothing.yaml"}, "there is no pipeline file or folder"),
        ({"path": "x.yaml", "environment": "staging"}, "'development', 'qa', 'uat' or 'production'"),
    ],
)
def test_what_is_wrong_in_defs_yaml_is_told(project: Project, attributes: dict[str, Any], told: str) -> None:
    project.component("flights", **attributes)
    with pytest.raises(Exception) as error:  # noqa: PT011 (Dagster's own, several kinds)
        project.load()
    chain = []
    inner: BaseException | None = error.value
    while inner is not None:
        chain.append(str(inner))
        inner = inner.__cause__ or inner.__context__
    assert told in "\n".join(chain)
    assert isinstance(error.value, ComponentTreeException) or "defs.yaml" in chain[0]


def test_dagster_finds_the_component_and_scaffolds_one_that_loads(project: Project) -> None:
    pyproject = tomllib.loads((Path(drls_dagster.__file__).parents[1] / "pyproject.toml").read_text())
    (module,) = pyproject["project"]["entry-points"][DG_PLUGIN_ENTRY_POINT_GROUP].values()
    found = discover_package_objects([module])
    component = found[EnvRegistryKey(module, "PipelineComponent")]
    assert list(found.values()) == [drls_dagster.PipelineComponent] == [component]
    target = project.defs / "my-first"
    target.mkdir()
    from drls_dagster.component import PipelineScaffolder

    request = dg.ScaffoldRequest(
        type_name="drls_dagster.PipelineComponent",
        target_path=target,
        scaffold_format="yaml",
        project_root=project.root,
        params=NoParams(),
    )
    PipelineScaffolder().scaffold(request)
    assert jobs(project.load()) == {"my_first"}


def test_importing_the_package_does_not_import_dagster() -> None:
    code = "import drls_dagster, sys; sys.exit('dagster' in sys.modules or not dir(drls_dagster))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        drls_dagster.Nothing  # noqa: B018
