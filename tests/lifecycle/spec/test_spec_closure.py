"""L2, finding 7: every file of local code that a step's Python reaches is in the digest; nothing is run.

Failed on 0.1.0: only the entry point's own top-level package counted, and inline Python had no lock at all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import lifecycle
from lifecycle.spec import (
    PipelineSpec,
    SpecError,
    digest,
    dump_yaml,
    local_code,
    lock_with_code,
    parse_pipeline,
    subtree_digest,
)
from lifecycle.spec.closure import MAX_CODE_BYTES, MAX_FILE_BYTES
from lifecycle.spec.imports import imports_of

Build = Callable[..., PipelineSpec]
RUNS = "raise RuntimeError('this code was run')\n"


def files(root: Path, **contents: str) -> Path:
    """Modules by their names; `pkg` and `pkg__sub` are a package and a module in it."""
    packages = {name.partition("__")[0] for name in contents if "__" in name}
    for name, text in contents.items():
        path = root / ("pkg/__init__.py" if name in packages else f"{name.replace('__', '/')}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RUNS + text)
    return root


def entry(entrypoint: str) -> Callable[[dict[str, Any]], object]:
    step = {"id": "daily", "type": "transform", "step": "spark", "entrypoint": entrypoint}
    return lambda data: data["nodes"].__setitem__(1, step)


def inline(text: str) -> Callable[[dict[str, Any]], object]:
    step = {"id": "daily", "type": "transform", "step": "spark", "python": text}
    return lambda data: data["nodes"].__setitem__(1, step)


def reached(spec: PipelineSpec, *search_path: Path) -> list[str]:
    return sorted(local_code(spec, search_path).files)


def test_l2_a_module_beside_the_entry_points_own_counts(spec_of: Build, tmp_path: Path) -> None:
    code = files(tmp_path, mymod="import myhelper\n", myhelper="from deeper import x\n", deeper="", unused="")
    spec = spec_of(entry("mymod:transform"))
    locked, local = lock_with_code(spec, [code])
    assert sorted(local.files) == ["deeper.py", "myhelper.py", "mymod.py"]
    assert locked.lock is not None
    assert dict(locked.lock.modules) == {"daily": ("deeper", "myhelper", "mymod")}
    before = digest(locked)
    (code / "unused.py").write_text("# changed")
    assert digest(lock_with_code(spec, [code])[0]) == before
    for changed in ("myhelper.py", "deeper.py"):
        (code / changed).write_text((code / changed).read_text() + "# changed\n")
        after = digest(lock_with_code(spec, [code])[0])
        assert after != before
        before = after
    assert not {"mymod", "myhelper", "deeper"} & sys.modules.keys()


def test_l2_inline_python_that_imports_local_code_is_locked(spec_of: Build, tmp_path: Path) -> None:
    code = files(tmp_path, myhelper="")
    spec = spec_of(inline("def transform(spark, orders):\n    from myhelper import add\n    return add(orders)\n"))
    first = lock_with_code(spec, [code])[0]
    assert first.lock is not None
    assert [*first.lock.files] == ["myhelper.py"]
    (code / "myhelper.py").write_text("# changed")
    second = lock_with_code(spec, [code])[0]
    assert digest(second) != digest(first)
    assert subtree_digest(second, "daily") != subtree_digest(first, "daily")
    # A file of the pipeline reads as it was written: the lock is part of the version.
    assert digest(parse_pipeline(dump_yaml(second))) == digest(second)


@pytest.mark.parametrize(
    "statement",
    [
        "import pkg.sub",
        "import pkg.sub as other",
        "from pkg import sub",
        "from pkg.sub import x",
        "from pkg import *",
        "def later():\n    import pkg\n",
        "if True:\n    try:\n        import pkg\n    except ImportError:\n        pass\n",
        "import importlib\nimportlib.import_module('pkg.sub')",
        "import importlib as il\nil.import_module(name='pkg.sub')",
        "from importlib import import_module\nimport_module('pkg')",
        "from importlib import import_module as load\nload('pkg.sub')",
        "from importlib import import_module as load\nfor name in ('pkg', 'other'):\n    load(name)",
        "import importlib\nload = importlib.import_module\nload('pkg.sub')",
        "import importlib\nlist(map(importlib.import_module, ['pkg', 'other']))",
        "import pkgutil\npkgutil.resolve_name('pkg.sub:x')",
        "import pkgutil\nfor name in ('pkg', 'other'):\n    pkgutil.resolve_name(name)",
        "__import__('pkg.sub')",
        "import importlib\nimportlib.import_module(f'pkg.{kind}')",
        "import importlib\nimportlib.import_module('pkg.' + kind)",
        "import importlib\nfor name in ('pkg', 'other'):\n    importlib.import_module(name)",
        "import pkgutil\npkgutil.get_data('pkg', 'words.txt')",
        "from importlib.resources import files\nfiles('pkg')",
        "import runpy\nrunpy.run_module('pkg.sub')",
        "import runpy\nrunpy.run_module(mod_name='pkg.sub')",
        "import pkgutil\npkgutil.get_data(package='pkg', resource='words.txt')",
        "import importlib\nimportlib.import_module('.sub', 'pkg')",
        "import importlib\nimportlib.import_module('.sub', package='pkg')",
    ],
)
def test_l2_every_way_to_import_a_package_counts_it_whole(spec_of: Build, tmp_path: Path, statement: str) -> None:
    code = files(tmp_path, mymod=statement, pkg="", pkg__sub="from . import inner\n", pkg__inner="import far")
    (code / "pkg" / "words.txt").write_text("data")
    files(code, far="")
    spec = spec_of(entry("mymod:transform"))
    assert reached(spec, code) == [
        "far.py", "mymod.py", "pkg/__init__.py", "pkg/inner.py", "pkg/sub.py", "pkg/words.txt"
    ]  # fmt: skip


def test_l2_what_python_and_pip_brought_is_not_local(spec_of: Build, tmp_path: Path) -> None:
    text = "import os, json, yaml, pyarrow.parquet\nimport drls_dagster.errors\nfrom pyspark.sql import functions\n"
    code = files(tmp_path, mymod=text)
    assert reached(spec_of(entry("mymod:transform")), code) == ["mymod.py"]


def test_l2_a_mere_folder_does_not_hide_what_is_installed(spec_of: Build, tmp_path: Path) -> None:
    code = files(tmp_path, mymod="import yaml, plain.a\n", plain__a="")
    (code / "yaml").mkdir()
    (code / "yaml" / "data.parquet").write_bytes(b"x")
    assert reached(spec_of(entry("mymod:transform")), code) == ["mymod.py", "plain/a.py"]


def test_l2_imports_in_a_circle_end(spec_of: Build, tmp_path: Path) -> None:
    code = files(tmp_path, a="import b", b="import c", c="import a")
    assert reached(spec_of(entry("a:f")), code) == ["a.py", "b.py", "c.py"]


def test_l2_an_import_that_is_found_nowhere_is_noted(spec_of: Build, tmp_path: Path) -> None:
    code = files(tmp_path, mymod="try:\n    import no_such_thing\nexcept ImportError:\n    pass\n")
    locked = lock_with_code(spec_of(entry("mymod:f")), [code])[0]
    assert locked.lock is not None
    assert locked.lock.unresolved == ("no_such_thing",)
    worked_out = spec_of(
        inline("import importlib\ndef transform(spark, orders):\n    importlib.import_module(orders)\n")
    )
    locked = lock_with_code(worked_out, [code])[0]
    assert locked.lock is not None
    assert locked.lock.unresolved == ("*",)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("model.pkl", b"x", "'pkg/model.pkl' cannot be stored with the version: .pkl files are not among .avsc .cfg"),
        ("data", b"x", "'pkg/data' cannot be stored with the version: files without an ending"),
        ("fast.so", b"x", "'pkg/fast.so' is compiled code; install it as a distribution"),
        (
            "big.csv",
            b"x" * (MAX_FILE_BYTES + 1),
            "'pkg/big.csv' has 1,000,001 bytes; the limit for a file is 1,000,000",
        ),
    ],
)
def test_l2_what_cannot_be_kept_is_refused_by_name(
    spec_of: Build, tmp_path: Path, name: str, content: bytes, part: str
) -> None:
    code = files(tmp_path, mymod="import pkg", pkg="", pkg__sub="")
    (code / "pkg" / name).write_bytes(content)
    with pytest.raises(SpecError) as caught:
        lock_with_code(spec_of(entry("mymod:f")), [code])
    assert str(caught.value).startswith("node 'daily', entrypoint: ")
    assert part in str(caught.value)


@pytest.mark.parametrize("name", ["helper", "pkg"])
def test_l2_code_in_an_archive_is_refused_by_name(
    spec_of: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Finding 7; failed before: "check its permissions", or a package without files."""
    code = files(tmp_path / "code", mymod=f"import {name}\n")
    archive = tmp_path / "lib.zip"
    with ZipFile(archive, "w") as packed:
        packed.writestr("helper.py", RUNS)
        packed.writestr("pkg/__init__.py", RUNS)
    monkeypatch.syspath_prepend(archive)
    with pytest.raises(SpecError) as caught:
        lock_with_code(spec_of(entry("mymod:f")), [code])
    assert f"'{name}' is in the archive lib.zip, which cannot be stored with the version; unpack it" in str(
        caught.value
    )


@pytest.mark.parametrize("ending", [".so", ".pyc", f".cpython-{sys.version_info.major}{sys.version_info.minor}.so"])
def test_l2_a_compiled_module_next_to_the_pipeline_is_refused_by_name(
    spec_of: Build, tmp_path: Path, ending: str
) -> None:
    """Finding 7: its bytes would be nobody's source."""
    code = files(tmp_path, mymod="import helper\n")
    ending = next((one for one in EXTENSION_SUFFIXES if one.startswith(ending.removesuffix(".so"))), ending)
    (code / f"helper{ending}").write_bytes(b"x")
    with pytest.raises(SpecError, match=r"'helper.*' is compiled code; install it as a distribution"):
        lock_with_code(spec_of(entry("mymod:f")), [code])


def test_l2_a_link_to_a_module_counts_by_what_it_leads_to(spec_of: Build, tmp_path: Path) -> None:
    """Finding 7: the bytes behind a link are in the digest, and they are what is kept."""
    elsewhere = files(tmp_path / "elsewhere", helper="A = 1\n", pkg="", pkg__sub="B = 1\n")
    code = files(tmp_path / "code", mymod="import helper, pkg\n")
    (code / "helper.py").symlink_to(elsewhere / "helper.py")
    (code / "pkg").symlink_to(elsewhere / "pkg")
    spec = spec_of(entry("mymod:f"))
    assert reached(spec, code) == ["helper.py", "mymod.py", "pkg/__init__.py", "pkg/sub.py"]
    seen = {digest(lock_with_code(spec, [code])[0])}
    for changed in ("helper.py", "pkg/sub.py"):
        (elsewhere / changed).write_text("A = 2\n")
        seen.add(digest(lock_with_code(spec, [code])[0]))
    assert len(seen) == 3
    (elsewhere / "helper.py").unlink()
    locked = lock_with_code(spec, [code])[0]
    assert locked.lock is not None
    assert locked.lock.unresolved == ("helper",)


def test_l2_all_files_together_have_a_limit(spec_of: Build, tmp_path: Path) -> None:
    code = files(tmp_path, mymod="import pkg", pkg="", pkg__sub="")
    for number in range(5):
        (code / "pkg" / f"{number}.csv").write_bytes(b"x" * MAX_FILE_BYTES)
    with pytest.raises(SpecError, match=f"the limit for a version is {MAX_CODE_BYTES:,}"):
        lock_with_code(spec_of(entry("mymod:f")), [code])


def test_l2_a_file_named_like_a_module_of_python_is_refused(spec_of: Build, tmp_path: Path) -> None:
    code = files(tmp_path, mymod="import calendar", calendar="")
    with pytest.raises(SpecError, match=r"'calendar\.py' has the name of a module of Python itself; rename it"):
        lock_with_code(spec_of(entry("mymod:f")), [code])


def test_l2_a_file_named_like_a_module_of_drls_or_spark_is_refused(spec_of: Build, tmp_path: Path) -> None:
    """Finding 7: `import agent` would run DRLS's own, and the file beside it would not count."""
    spec = spec_of(entry("mymod:transform"))
    for name in ("agent", "pyspark"):
        code = files(tmp_path / name, mymod=f"import {name}\n", **{name: ""})
        with pytest.raises(SpecError, match=f"'{name}.py' has the name of a module of DRLS or Spark; rename it"):
            lock_with_code(spec, [code])
    theirs = Path(lifecycle.__file__).parents[1]
    assert reached(spec, files(tmp_path, mymod="import lifecycle\n"), theirs) == ["mymod.py"]


def test_l2_a_lock_with_a_path_that_leaves_its_folder_is_refused(spec_of: Build, tmp_path: Path) -> None:
    code = files(tmp_path, mymod="")
    text = dump_yaml(lock_with_code(spec_of(entry("mymod:f")), [code])[0])
    for bad in ("../mymod.py", "/etc/mymod.py", "a//b.py", ".hidden/x.py", "a\\b.py"):
        with pytest.raises(SpecError, match="not a valid name for a code file"):
            parse_pipeline(text.replace("mymod.py:", f"'{bad}':"))


def test_source_that_does_not_compile_imports_nothing() -> None:
    assert imports_of("def (:\n").names == frozenset()
