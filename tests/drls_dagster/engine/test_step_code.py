"""The Python of steps: which bytes run, and that no two versions' modules meet in one process."""

from __future__ import annotations

import base64
import json
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest
from pyspark import cloudpickle
from sqlalchemy import text

from drls_dagster.cli.main import run
from drls_dagster.engine.carried import carrying
from drls_dagster.engine.isolated import PREFIX
from drls_dagster.engine.step_code import CodeChanged, SentCode, check_code, load_function
from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.gateway import open_lifecycle
from drls_dagster.lifecycle_client.opening import make_store
from drls_dagster.settings import load_settings
from drls_dagster.steps.version_code import locked_digest, sent_code
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, WayIn
from lifecycle.spec import PipelineSpec, digest, local_code, package_digest, parse_pipeline, resolve_lock
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.save_version import save_version
from tests.fakes.own_run import client_of

PIPELINE = """
format_version: 1
name: scored
nodes:
  - {id: raw, type: source, source: {kind: rate}}
  - {id: score, type: transform, step: rayProcess, entrypoint: "drls_test_code.score:score", output_schema: {x: long}}
  - {id: out, type: sink, table: t.out, mode: append}
edges: [{from: raw, to: score}, {from: score, to: out}]
"""
INLINE = PIPELINE.replace('entrypoint: "drls_test_code.score:score"', "python: {}")


@pytest.fixture(autouse=True)
def no_modules() -> Iterator[None]:
    yield
    for name in [name for name in sys.modules if name.startswith(PREFIX) and "." not in name]:
        sys.modules[name].package.remove()
    assert not any(name.startswith("drls_test_code") for name in sys.modules), (
        "local code is nobody's under its own name"
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return code_in(tmp_path / "one", factor=2)


def code_in(root: Path, factor: int) -> Path:
    folder = root / "drls_test_code"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text(f"FACTOR = {factor}\n")
    (folder / "words.txt").write_text(f"word {factor}")
    (folder / "score.py").write_text(
        "from drls_test_code.helper import FACTOR\ndef score(batch):\n    return batch * FACTOR\n"
    )
    return root


def locked(root: Path, text: str = PIPELINE) -> PipelineSpec:
    return resolve_lock(parse_pipeline(text), [root])


def inline(source: str) -> str:
    return INLINE.replace("{}", json.dumps(source), 1)


def sent(spec: PipelineSpec, *search_path: Path, environment: str = "development") -> SentCode:
    """As a run of that pipeline finds it. There is no lifecycle in these tests' home: all are drafts."""
    asked: Any = SimpleNamespace(
        spec=spec,
        version=digest(spec),
        environment=environment,
        settings=load_settings(),
        runs=client_of(load_settings(), spec, Environment(environment), "a-run"),
        search_path=tuple(str(path) for path in search_path),
    )
    found = sent_code(asked)
    assert found is not None
    return found


def loaded(spec: PipelineSpec, *search_path: Path, environment: str = "development") -> Any:
    (node,) = spec.transforms
    entrypoint, python = getattr(node, "entrypoint", None), getattr(node, "python", None)
    code = sent(spec, *search_path, environment=environment)
    return load_function(python, entrypoint, locked_digest(spec, entrypoint), code, "process")


def test_inline_source_gives_its_function() -> None:
    function = load_function(
        "import math\ndef process(batch):\n    return math.floor(batch)", None, None, None, "process"
    )
    assert function(1.5) == 1


def test_l2_code_that_changed_since_it_was_loaded_is_refused_and_not_run(package: Path) -> None:
    spec = locked(package)
    assert loaded(spec, package)(3) == 6
    # A helper module of the package counts as much as the function's own.
    (package / "drls_test_code" / "helper.py").write_text("FACTOR = 30\nraise SystemExit('ran')\n")
    with pytest.raises(CodeChanged, match=r"drls_test_code/helper\.py is not the code that was saved or loaded"):
        loaded(spec, package, environment="qa")


def test_a_warm_worker_takes_the_code_that_was_saved_and_not_what_it_imported_before(package: Path) -> None:
    first = locked(package)
    assert loaded(first, package)(3) == 6
    (package / "drls_test_code" / "helper.py").write_text("FACTOR = 5\n")
    assert loaded(locked(package), package)(3) == 15


def test_modules_of_the_same_name_from_two_folders_run_their_own_bytes_in_turn(tmp_path: Path, package: Path) -> None:
    """Finding 8; failed on 0.1.0: the second pipeline ran what the first had imported."""
    other = code_in(tmp_path / "two", factor=7)
    one, two = locked(package), locked(other)
    for _ in range(3):
        assert loaded(one, package)(3) == 6
        assert loaded(two, other)(3) == 21
    lazy = "def process(batch):\n    import drls_test_code.helper\n    return batch * drls_test_code.helper.FACTOR\n"
    for _ in range(2):
        for root, factor in ((package, 2), (other, 7)):
            assert loaded(locked(root, inline(lazy)), root)(3) == 3 * factor


def test_a_module_of_that_name_that_is_there_already_is_not_what_runs(package: Path, tmp_path: Path) -> None:
    """Finding 8: what a pipeline's code puts into sys.modules is nothing to another's."""
    planted = SimpleNamespace(FACTOR=100)
    sys.modules["drls_test_code"] = sys.modules["drls_test_code.helper"] = planted  # pyright: ignore
    try:
        assert loaded(locked(package), package)(3) == 6
    finally:
        del sys.modules["drls_test_code"], sys.modules["drls_test_code.helper"]


def test_two_environments_share_no_module(package: Path) -> None:
    """What a module computed in development is not what production finds in it."""
    spec = locked(package)
    in_qa = loaded(spec, package, environment="qa")
    in_production = loaded(spec, package, environment="production")
    assert in_qa.__module__ != in_production.__module__
    assert in_qa(3) == in_production(3) == 6


@pytest.mark.parametrize(
    "source",
    [
        "import drls_test_code.helper\ndef process(b): return b * drls_test_code.helper.FACTOR\n",
        "import drls_test_code.helper as h\ndef process(b): return b * h.FACTOR\n",
        "from drls_test_code import helper\ndef process(b): return b * helper.FACTOR\n",
        "from drls_test_code.helper import *\ndef process(b): return b * FACTOR\n",
        "def process(b):\n    from drls_test_code.helper import FACTOR as f\n    return b * f\n",
        "import importlib\ndef process(b): return b * importlib.import_module('drls_test_code.helper').FACTOR\n",
        (
            "from importlib import import_module as m\ndef process(b): return b * m('.helper', 'drls_test_code').FACTOR\n"
            "import drls_test_code\n"
        ),
        (
            "N = 'helper'\nimport importlib as i\nimport importlib\n"
            "def process(b): return b * importlib.import_module(f'drls_test_code.{N}').FACTOR\n"
        ),
        "import importlib\nload = importlib.import_module\ndef process(b): return b * load('drls_test_code.helper').FACTOR\n",
        "import pkgutil\ndef process(b): return b * pkgutil.resolve_name('drls_test_code.helper:FACTOR')\n",
        "import builtins\ndef process(b): return b * builtins.__import__('drls_test_code.helper').helper.FACTOR\n",
        "def process(b): return b * __import__('drls_test_code.helper').helper.FACTOR\n",
        "import importlib\ndef process(b): return b * importlib.import_module('.helper', 'drls_test_code').FACTOR\n",
        (
            "import importlib\n"
            "def process(b): return b * importlib.import_module('.helper', package='drls_test_code').FACTOR\n"
        ),
        "import runpy\ndef process(b): return b * runpy.run_module(mod_name='drls_test_code.helper')['FACTOR']\n",
        (
            "import pkgutil\n"
            "def process(b): return b * int(pkgutil.get_data(package='drls_test_code', resource='words.txt')[-1:])\n"
        ),
        "def process(b): return b * __import__('drls_test_code.helper', fromlist=['x']).FACTOR\n",
        (
            "import pkgutil, importlib.resources\n"
            "def process(b):\n"
            "    assert pkgutil.get_data('drls_test_code', 'words.txt') == b'word 2'\n"
            "    assert importlib.resources.files('drls_test_code').joinpath('words.txt').read_text() == 'word 2'\n"
            "    return b * 2\n"
        ),
        (
            "import drls_test_code\nfrom pathlib import Path\n"
            "def process(b):\n"
            "    return b * int(Path(drls_test_code.__file__).with_name('words.txt').read_text().split()[1])\n"
        ),
    ],
)
def test_every_way_to_import_local_code_finds_the_versions_own(package: Path, source: str) -> None:
    assert loaded(locked(package, inline(source)), package)(3) == 6


def test_only_what_was_kept_or_installed_can_be_imported(package: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Finding 7: a name that is worked out, or was found nowhere at save, cannot bring in code from a later folder."""
    static = "try:\n    import drls_test_late\nexcept ImportError:\n    drls_test_late = None\ndef process(b): return drls_test_late\n"
    dynamic = "import importlib\ndef process(b): return importlib.import_module(b).__name__\n"
    aliases = (
        "from importlib import import_module as load\ndef process(b): return load(b).__name__\n",
        "import importlib\nload = importlib.import_module\ndef process(b): return load(b).__name__\n",
        "import importlib\ndef process(b): return list(map(importlib.import_module, [b]))\n",
        "import builtins\ndef process(b): return builtins.__import__(b).__name__\n",
    )
    needed = "import drls_test_late\ndef process(b): return 1\n"
    path = "import sys\ndef process(b):\n    sys.path.insert(0, b)\n    from drls_test_late import x\n"
    specs = [locked(package, inline(source)) for source in (static, dynamic, needed, path)]
    assert loaded(specs[0], package)(1) is None
    assert loaded(specs[1], package)("yaml") == "yaml"
    late = tmp_path / "late"
    late.mkdir()
    (late / "drls_test_late.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(late)
    # To code that can do without, it is as absent as it was at save.
    assert loaded(specs[0], package, environment="qa")(1) is None
    with pytest.raises(
        CodeChanged, match=r"drls_test_late, which is in .* neither stored with the version nor installed"
    ):
        loaded(specs[2], package, environment="qa")
    with pytest.raises(ImportError, match=r"drls_test_late, which is in .*"):
        loaded(specs[3], package)(str(late))
    with pytest.raises(ImportError, match=r"drls_test_late, which is in .*"):
        loaded(specs[1], package)("drls_test_late")
    for source in aliases:
        with pytest.raises(ImportError, match=r"drls_test_late, which is in .*"):
            loaded(locked(package, inline(source)), package)("drls_test_late")


@pytest.mark.parametrize(
    "body",
    [
        "exec('import drls_test_late', {})",
        "eval(\"__import__('drls_test_late')\")",
        "getattr(importlib, 'import_module')('drls_test_late')",
        "il = importlib; il.import_module('drls_test_' + 'late')",
        "vars(importlib)['import_module']('drls_test_late')",
        "importlib.util.module_from_spec(importlib.util.find_spec('drls_test_' + 'late'))",
        "runpy.run_module('drls_test_' + 'late')",
        "pkgutil.resolve_name('drls_test_' + 'late')",
        "pickle.loads(b'cdrls_test_late\\nx\\n.')",
    ],
)
@pytest.mark.parametrize("kept", [True, False], ids=["with files", "without files"])
def test_no_way_to_import_brings_in_a_module_that_is_neither_kept_nor_installed(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, kept: bool
) -> None:
    """Finding 7, where no import can be read in the source; before, the module from the later folder ran."""
    modules = "import importlib.util, pickle, pkgutil, runpy\n" + ("import drls_test_code\n" if kept else "")
    spec = locked(package, inline(f"{modules}def process(b):\n    {body}\n"))
    assert bool(spec.lock and spec.lock.files) is kept
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "drls_test_late.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(tmp_path / "late")
    code = sent(spec, package) if spec.lock else None
    function = load_function(spec.transforms[0].python, None, None, code, "process")  # pyright: ignore
    with pytest.raises(ImportError, match=r"drls_test_late, which is in .* neither stored with the version"):
        function(1)
    assert "drls_test_late" not in sys.modules


@pytest.mark.parametrize("kind", ["zip", "link", "package link", "compiled", "path hook"])
def test_code_in_an_archive_behind_a_link_or_compiled_is_brought_in_by_no_path(
    package: Path, tmp_path: Path, kind: str
) -> None:
    """Finding 7, where the step's code puts the place on the path itself."""
    late = tmp_path / "late"
    late.mkdir()
    ran = "raise SystemExit('ran')"
    place = str(late)
    body = "sys.path.insert(0, b)\n    __import__('drls_test_' + 'late')"
    if kind in ("zip", "path hook"):
        place = str(late / "lib.zip")
        with ZipFile(place, "w") as packed:
            packed.writestr("drls_test_late.py", ran)
        if kind == "path hook":
            body = "sys.meta_path.insert(0, zipimport.zipimporter(b)); __import__('drls_test_' + 'late')"
    elif kind == "link":
        (tmp_path / "real.py").write_text(ran)
        (late / "drls_test_late.py").symlink_to(tmp_path / "real.py")
    elif kind == "package link":
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "__init__.py").write_text(ran)
        (late / "drls_test_late").symlink_to(tmp_path / "real")
    else:
        py_compile.compile(str(_written(tmp_path / "real.py", ran)), str(late / "drls_test_late.pyc"))
    source = f"import sys, zipimport\nimport drls_test_code\ndef process(b):\n    {body}\n"
    function = loaded(locked(package, inline(source)), package)
    before, finders = list(sys.path), list(sys.meta_path)
    try:
        with pytest.raises(ImportError, match=r"drls_test_late, which is in .* neither stored with the version"):
            function(place)
    finally:
        sys.path[:], sys.meta_path[:] = before, finders
        sys.modules.pop("drls_test_late", None)


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_put_into_the_code_folder_is_not_run_and_one_that_was_edited_is_replaced(package: Path) -> None:
    spec = locked(package, inline("import drls_test_code.helper as h\ndef process(b): return b * h.FACTOR\n"))
    code = sent(spec, package)
    folder = Path(code.package().folder)
    assert (folder.stat().st_mode & 0o777, folder.parent.stat().st_mode & 0o777) == (0o700, 0o700)
    code.package().remove()
    (folder / "drls_test_code" / "helper.py").write_text("raise SystemExit('ran')")
    (folder / "drls_test_code" / "planted.py").write_text("raise SystemExit('ran')")
    (folder / "drls_test_code" / "words.txt").write_text("changed")
    assert load_function(spec.transforms[0].python, None, None, code, "process")(3) == 6  # pyright: ignore
    assert (folder / "drls_test_code" / "words.txt").read_text() == "word 2"
    assert not (folder / "drls_test_code" / "planted.py").exists()
    (folder / "drls_test_code" / "planted.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModuleNotFoundError, match=r"drls_test_code\.planted' in the saved version"):
        code.package().module("drls_test_code.planted")


WORKER = """
import pickle, sys
functions = pickle.load(open(sys.argv[1], "rb"))
print([function(3) for function in functions], "drls_dagster" in sys.modules)
"""


def test_functions_carry_their_code_to_a_process_that_has_none_of_it(package: Path, tmp_path: Path) -> None:
    """Finding 8: by reference and by value, imports inside the function too, two versions in one worker."""
    source = (
        "from drls_test_code.score import score\nimport drls_test_code.helper as h\n"
        "def process(b):\n"
        "    def late(x):\n        from drls_test_code.helper import FACTOR\n        return x * FACTOR\n"
        "    def words(x):\n"
        "        import drls_test_code\n        return open(drls_test_code.__path__[0] + '/words.txt').read()\n"
        "    return [score, lambda x: x * h.FACTOR, late, words]\n"
    )
    other = code_in(tmp_path / "two", factor=7)
    functions: list[Any] = []
    for root in (package, other):
        spec = locked(root, inline(source))
        functions += loaded(spec, root)(None)
    file = tmp_path / "pickled"
    file.write_bytes(carrying(cloudpickle.dumps(functions)))
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(file)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.strip() == "[6, 6, 6, 'word 2', 21, 21, 21, 'word 7'] False"


def test_a_pickle_that_names_no_local_code_stays_as_it_is() -> None:
    plain = cloudpickle.dumps(lambda x: x)
    assert carrying(plain) is plain


def test_l2_a_version_from_before_files_were_kept_runs_from_its_folder(package: Path) -> None:
    spec = parse_pipeline(PIPELINE)
    old = {"drls_test_code.score:score": package_digest("drls_test_code.score", [package])}
    spec = PipelineSpec.model_validate({**spec.model_dump(by_alias=True), "lock": {"code": old}}, by_alias=True)
    assert loaded(spec, package)(3) == 6
    (package / "drls_test_code" / "helper.py").write_text("FACTOR = 30\nraise SystemExit('ran')\n")
    with pytest.raises(CodeChanged, match="is not the code that was saved"):
        loaded(spec, package, environment="qa")
    with pytest.raises(
        CodeChanged, match=r"the code of drls_test_code\.score:score is not in .*; save the pipeline again"
    ):
        loaded(spec, package / "elsewhere", environment="uat")


def test_l2_an_installed_entry_point_of_another_version_is_refused() -> None:
    with pytest.raises(CodeChanged, match="is not the code that was saved"):
        check_code("yaml:safe_load", "pyyaml==1.0", ())


def test_l2_code_without_a_lock_is_refused(package: Path) -> None:
    spec = parse_pipeline(PIPELINE)
    with pytest.raises(CodeChanged, match="is not locked"):
        locked_digest(spec, "drls_test_code.score:score")
    assert locked_digest(locked(package), "drls_test_code.score:score") == package_digest(
        "drls_test_code.score", [package]
    )
    assert locked_digest(locked(package), None) is None


def test_what_goes_to_a_ray_worker_is_the_files_of_the_lock(package: Path) -> None:
    code = sent(locked(package), package)
    local = local_code(parse_pipeline(PIPELINE), [package])
    assert {path: base64.b64decode(text) for path, text in code.files.items()} == local.files


def test_l2_a_saved_version_runs_from_the_store_wherever_its_files_are(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finding 7; failed on 0.1.0: "not the code that was saved", or a bare FieldError."""
    settings = load_settings()
    make_store(settings, Adapters(), lambda _: None)
    ctx = open_lifecycle(settings)
    with ctx.store.read() as view:
        first = view.people.all()[0]
    actor = Actor(person=first.id, name=first.name, way_in=WayIn.CLI)
    saved = spec_of(save_version(replace(ctx, search_path=[package]), actor, parse_pipeline(PIPELINE)))
    (package / "drls_test_code" / "helper.py").write_text("raise SystemExit('ran')")
    assert loaded(saved, package, environment="qa")(3) == 6
    shutil.rmtree(package)
    assert run(["db", "check"]) == 0
    assert loaded(saved, environment="production")(3) == 6
    with ctx.store.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER code_file_no_update"))
        connection.execute(
            text("UPDATE code_file SET content = CAST('FACTOR = 9' AS BLOB) WHERE CAST(content AS TEXT) LIKE 'FACTOR%'")
        )
    with pytest.raises(CodeChanged, match=r"helper\.py of the pipeline's code was changed in the database"):
        loaded(saved, environment="uat")
    assert run(["db", "check"]) == 1
    assert "was changed in the database; restore a backup" in capsys.readouterr().err
