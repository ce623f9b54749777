"""L2, finding 7: the files of a version's local code are kept with it, travel with it, and are checked on the way.

Failed on 0.1.0: nothing was kept; what ran was what lay beside the pipeline files.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from lifecycle.app.kit.spec.spec_diff_view import spec_diff_view
from lifecycle.audit.keys import SigningKey
from lifecycle.bundle import Bundle, read_bundle, verify_bundle, write_bundle
from lifecycle.domain.spec_diff import diff_specs
from lifecycle.domain.version import Version
from lifecycle.errors import Invalid
from lifecycle.spec import PipelineSpec, SpecError, content_digest
from lifecycle.store.store import Store
from lifecycle.usecases.clone_pipeline import clone_pipeline
from lifecycle.usecases.export_version import export_version
from lifecycle.usecases.import_version import import_version
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.parts.version_code import code_of, code_texts
from lifecycle.usecases.save_version import save_version
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import Life, make_spec


@pytest.fixture
def other_life(tmp_path: Path, clock: FakeClock) -> Iterator[Life]:
    """Another installation, with a key of its own."""
    folder = tmp_path / "other"
    folder.mkdir()
    store = Store.create(f"sqlite:///{folder / 'lifecycle.db'}", SigningKey.generate(), clock)
    yield Life(store, folder, clock)
    store.close()


MAIN = b"import myhelper\ndef transform(spark, raw): return myhelper.keep(raw)\n"
HELPER = b"def keep(raw): return raw\n"
FILES = {"myhelper.py": HELPER, "mymod.py": MAIN}


def spec(**step: str) -> PipelineSpec:
    data = make_spec().model_dump(mode="json", by_alias=True, exclude_unset=True)
    data["nodes"][1] = {
        "id": "delays",
        "type": "transform",
        "step": "spark",
        **(step or {"entrypoint": "mymod:transform"}),
    }
    return PipelineSpec.model_validate(data)


def sent(life: Life, files: Mapping[str, bytes], of: PipelineSpec | None = None) -> Version:
    """Saved by somebody on another machine."""
    return save_version(life.ctx, life.as_("ada"), of or spec(), code=files)


def kept(life: Life, version: Version) -> dict[str, bytes]:
    with life.store.read() as view:
        return code_of(view, spec_of(version))


def test_l2_save_keeps_every_file_and_two_versions_share_what_is_equal(life: Life, tmp_path: Path) -> None:
    for path, content in FILES.items():
        (tmp_path / path).write_bytes(content)
    ctx = replace(life.ctx, search_path=[tmp_path])
    first = save_version(ctx, life.as_("ada"), spec())
    (tmp_path / "myhelper.py").write_bytes(b"def keep(raw): return None\n")
    second = save_version(ctx, life.as_("ada"), spec())
    assert (first.number, second.number) == (1, 2)
    assert kept(life, first) == FILES
    assert kept(life, second) == {**FILES, "myhelper.py": b"def keep(raw): return None\n"}
    with life.store.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM code_file")).scalar_one() == 3


def test_l2_files_from_another_machine_are_locked_here_and_no_others_are_kept(life: Life) -> None:
    version = sent(life, {**FILES, "unused.py": b"", "tests/more.py": b"import pytest\n"})
    assert kept(life, version) == FILES
    lock = spec_of(version).lock
    assert lock is not None
    assert dict(lock.files) == {path: content_digest(content) for path, content in FILES.items()}
    # What the sender says of the lock is nothing to the server.
    assert sent(life, FILES, spec_of(version)) == version


def test_l2_a_helper_that_was_not_sent_is_not_taken_from_the_server(life: Life) -> None:
    version = sent(life, {"mymod.py": b"import tests.lifecycle.life\n" + MAIN, "myhelper.py": HELPER})
    lock = spec_of(version).lock
    assert lock is not None
    assert lock.unresolved == ("tests",)
    with pytest.raises(SpecError, match="node 'delays', entrypoint: its module is not among the uploaded files"):
        sent(life, FILES, spec(entrypoint="tests.lifecycle.life:make_spec"))


@pytest.mark.parametrize("path", ["../mymod.py", "/mymod.py", ".git/hooks.py", "a/../../b.py", "a\0.py"])
def test_l2_a_path_that_leaves_its_folder_is_refused(life: Life, path: str) -> None:
    with pytest.raises(Invalid, match="is not a valid name for a code file"):
        sent(life, {**FILES, path: b""})


def test_l2_a_file_in_the_place_of_a_folder_is_refused(life: Life) -> None:
    with pytest.raises(Invalid, match=r"a/b\.py cannot be written next to the other files"):
        sent(life, {**FILES, "a": b"", "a/b.py": b""})


def test_l2_what_cannot_be_kept_is_refused_from_another_machine_too(life: Life) -> None:
    files = {"mymod.py": b"import pkg\n" + MAIN, "myhelper.py": HELPER, "pkg/__init__.py": b"", "pkg/model.pkl": b"x"}
    with pytest.raises(SpecError, match=r"'pkg/model\.pkl' cannot be stored with the version"):
        sent(life, files)


def test_l2_the_database_refuses_to_change_a_kept_file(life: Life) -> None:
    sent(life, FILES)
    for statement in ("UPDATE code_file SET digest = 'x'", "DELETE FROM code_file"):
        with pytest.raises(DatabaseError, match="final"), life.store.engine.begin() as connection:
            connection.execute(text(statement))


def test_l2_a_bundle_brings_the_code_to_another_installation(life: Life, other_life: Life) -> None:
    version = sent(life, FILES)
    bundle = export_version(life.ctx, life.as_("vic"), "flights", 1)
    key = life.store.signing_key.public
    assert verify_bundle(bundle, [key])[1] == ()
    imported = import_version(other_life.ctx, other_life.as_("ada"), bundle, trusted=[key])
    assert imported.digest == version.digest
    assert kept(other_life, imported) == FILES
    assert kept(other_life, clone_pipeline(other_life.ctx, other_life.as_("ada"), "flights", 1)) == FILES


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ({"mymod.py": MAIN}, "the file myhelper.py of the version's code is missing"),
        (
            {**FILES, "myhelper.py": b"x = 1\n"},
            "the file myhelper.py of the version's code does not match the version",
        ),
        ({**FILES, "more.py": b""}, "the file more.py is not among the version's code"),
    ],
)
def test_l2_a_bundle_with_other_files_is_refused(life: Life, code: dict[str, bytes], problem: str) -> None:
    sent(life, FILES)
    key = life.store.signing_key
    good = read_bundle(export_version(life.ctx, life.as_("vic"), "flights", 1), [key.public])
    encoded = {path: base64.b64encode(content).decode() for path, content in code.items()}
    bad = write_bundle(good.model_copy(update={"code": encoded}), key)
    assert problem in verify_bundle(bad, [key.public])[1]


def test_l2_an_import_with_a_file_that_is_not_what_the_lock_says_is_refused(life: Life, other_life: Life) -> None:
    sent(life, FILES)
    key = life.store.signing_key
    good = read_bundle(export_version(life.ctx, life.as_("vic"), "flights", 1), [key.public])
    for code, part in (
        ({"mymod.py": MAIN}, "myhelper.py of the pipeline's code is missing"),
        ({**FILES, "myhelper.py": b"x = 1\n"}, "myhelper.py of the pipeline's code does not match its lock"),
    ):
        encoded = {path: base64.b64encode(content).decode() for path, content in code.items()}
        bad = write_bundle(good.model_copy(update={"code": encoded}), key)
        with pytest.raises(Invalid, match=part):
            import_version(other_life.ctx, other_life.as_("ada"), bad, trusted=[key.public])


def test_a_bundle_from_before_code_was_kept_is_read(life: Life) -> None:
    life.save()
    key = life.store.signing_key
    good = read_bundle(export_version(life.ctx, life.as_("vic"), "flights", 1), [key.public])
    old = json.loads(good.model_dump_json())
    del old["code"]
    assert verify_bundle(write_bundle(Bundle.model_validate(old), key), [key.public])[1] == ()


def test_l2_who_compares_two_versions_sees_what_changed_in_their_code(life: Life) -> None:
    first, second = sent(life, FILES), sent(life, {**FILES, "myhelper.py": HELPER + b"# changed\n"})
    with life.store.read() as view:
        texts = code_texts(view, spec_of(first)), code_texts(view, spec_of(second))
    changed = {field.field: field.lines for field in diff_specs(spec_of(first), spec_of(second), texts).pipeline}
    assert changed.keys() == {"lock", "myhelper.py"}
    assert changed["myhelper.py"][-1] == "+# changed"
    view_of = spec_diff_view(spec_of(first), spec_of(second), texts)
    (part,) = view_of.parts
    assert [one.field for one in part.texts] == ["myhelper.py"]
    assert [one.field for one in part.fields] == ["lock.files.myhelper.py"]
