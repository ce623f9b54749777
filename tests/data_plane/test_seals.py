"""L17: what is published is what was written, and what goes live is what was approved. Real Iceberg files."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from click.testing import CliRunner
from position_deletes import delete_rows

from drls_dagster.cli.verify import verify
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs, seal
from drls_dagster.lakehouse.catalog_config import warehouse_folder
from drls_dagster.lakehouse.seal import Watcher
from drls_dagster.lakehouse.stored_files import local_path
from drls_dagster.lifecycle_client import gateway
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import State
from lifecycle.domain.run import Receipt
from lifecycle.domain.seal import Digests, FileKind, SealedFile, SealedFiles, Why, merkle_root
from lifecycle.errors import Refused
from lifecycle.usecases.compare_plan import compare_plan
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.export_version import export_version
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.parts.live_files import live_seals
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.settle_drift import settle_drift
from lifecycle.usecases.start_run import finish_run
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import DAGSTER, PRODUCTION, SETUP, UAT, Life, make_spec

T, DAILY = "lab.t", "flights.daily"


def path_of(file: SealedFile) -> Path:
    found = local_path(file.path)
    assert found is not None
    return Path(found)


def of_kind(files: SealedFiles, kind: FileKind) -> list[SealedFile]:
    return [one for one in files.files if one.kind is kind]


def overwrite(path: Path, content: bytes, *, times: bool = False) -> None:
    """In place; with `times`, its size and its time of modification are put back."""
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(content)
    if times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def other(path: Path) -> bytes:
    """As many bytes, one of them another."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


def test_l17_a_seal_names_every_new_file_with_size_and_digest(lake: LakePlane) -> None:
    base = lake.commit(T)
    candidate = lake.commit(T, rows=({"id": 2, "note": "b"},))
    files = lake.seal(T, PRODUCTION, base, candidate)
    kinds = [len(of_kind(files, kind)) for kind in FileKind]
    assert kinds == [1, 0, 1, 1], "one of data, its manifest, and the list of the snapshot; not what was there before"
    for one in files.files:
        content = path_of(one).read_bytes()
        assert (one.size, one.digest) == (len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")
    assert [one.snapshot for one in of_kind(files, FileKind.LIST)] == [candidate]
    whole = lake.seal(T, PRODUCTION, None, candidate)
    assert len(of_kind(whole, FileKind.DATA)) == 2
    assert SealedFiles.decoded(files.encoded()) == files


def test_l17_delete_files_are_sealed(lake: LakePlane) -> None:
    base = lake.commit(T, rows=({"id": 1, "note": "a"}, {"id": 2, "note": "b"}))
    delete_rows(lake.catalog, lake.lake_table(T), [0])
    candidate = lake.head(T, "main")
    assert candidate is not None
    assert len(of_kind(lake.seal(T, PRODUCTION, base, candidate), FileKind.DELETES)) == 1


def test_l17_a_root_is_that_of_rfc_6962() -> None:
    """Test vectors of the Certificate Transparency project: its hasher's leaves 0 to 3 of eight."""
    leaves = [hashlib.sha256(b"\x00" + bytes.fromhex(one)).digest() for one in ("", "00", "10", "2021")]
    assert merkle_root([]) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for count, root in {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    }.items():
        assert merkle_root(leaves[:count]) == f"sha256:{root}"


def test_l17_published_files_are_read_only_and_can_still_be_removed(lake: LakePlane) -> None:
    candidate = lake.commit(T)
    before = {path_of(one): 0 for one in lake.seal(T, PRODUCTION, None, candidate).files}
    for path in before:
        assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0
        path.unlink()


def test_l17_nothing_outside_of_the_warehouse_changes_its_mode(lake: LakePlane, tmp_path: Path) -> None:
    """A manifest is written by whoever wrote the data: a file that it names elsewhere, or links to, stays as it is."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"private")
    candidate = lake.commit(T)
    data = of_kind(lake.seal(T, PRODUCTION, None, candidate), FileKind.DATA)[0]
    path = path_of(data)
    path.unlink()
    for link in (path.symlink_to, path.hardlink_to):
        link(victim)
        table = lake.lake_table(T)
        with pytest.raises(DrlsError, match="cannot be sealed: data/"):
            seal.seal(table, None, candidate, root=warehouse_folder(lake.settings))
        assert stat.S_IMODE(victim.stat().st_mode) & 0o200
        path.unlink()


def test_l17_a_file_that_is_not_what_its_manifest_says_is_not_published(lake: LakePlane) -> None:
    candidate = lake.commit(T)
    table = lake.lake_table(T)
    (task,) = table.scan().plan_files()
    where = Path(local_path(task.file.file_path) or "")
    where.write_bytes(b"short")
    with pytest.raises(Refused, match=r"lab\.t cannot be sealed: data/.*parquet has 5 bytes; its manifest says"):
        lake.seal(T, PRODUCTION, None, candidate)
    where.unlink()
    with pytest.raises(Refused, match="No such file"):
        lake.seal(T, PRODUCTION, None, candidate)


@pytest.mark.parametrize("digests", list(Digests))
def test_l17_what_became_of_a_file_is_found(lake: LakePlane, digests: Digests) -> None:
    candidate = lake.commit(T)
    files = lake.seal(T, PRODUCTION, None, candidate)
    (data,) = of_kind(files, FileKind.DATA)
    path, content = path_of(data), path_of(data).read_bytes()

    def found() -> list[Why]:
        return [one.why for one in lake.altered(T, PRODUCTION, [files], digests)]

    assert found() == []
    overwrite(path, other(path), times=True)
    assert found() == [Why.CONTENT], "size and time are as before, the time of the change is not"
    overwrite(path, content, times=True)
    assert found() == [], "the digest decides: a file that was restored is what was published"
    overwrite(path, content[:-1])
    assert found() == [Why.SIZE]
    path.unlink()
    assert found() == [Why.GONE]
    path.symlink_to("/etc/hostname")
    assert found() == [Why.SIZE]


def test_l17_a_file_that_was_read_is_not_read_again_until_it_changes(
    lake: LakePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = lake.commit(T)
    files = lake.seal(T, PRODUCTION, None, candidate)
    (data,) = of_kind(files, FileKind.DATA)
    os.utime(path_of(data))
    read: list[str] = []
    real = seal.digest

    def noting(io: Any, path: str, *given: Any) -> Any:
        read.append(path)
        return real(io, path, *given)

    monkeypatch.setattr(seal, "digest", noting)
    watcher = Watcher()
    for _ in range(2):
        assert watcher.altered(T, lake.lake_table(T), [files], Digests.CHANGED) == []
    assert read == [data.path]


def test_l17_metadata_that_names_another_list_for_a_snapshot_is_found(lake: LakePlane) -> None:
    base = lake.commit(T)
    files = lake.seal(T, PRODUCTION, None, base)
    table = lake.lake_table(T)
    snapshot = table.snapshot_by_id(base)
    assert snapshot is not None
    changed = snapshot.model_copy(update={"manifest_list": snapshot.manifest_list + ".other"})
    metadata = table.metadata.model_copy(update={"snapshots": [changed]})
    table.metadata = metadata
    found = Watcher().altered(T, table, [files], Digests.CHANGED)
    assert [(one.name, one.why) for one in found] == [(f"snapshot {base}", Why.LISTED)]


def test_l17_a_file_that_the_head_does_not_need_may_be_gone(lake: LakePlane) -> None:
    first = lake.commit(T)
    files = lake.seal(T, PRODUCTION, None, first)
    second = lake.commit(T, operation="overwrite", rows=({"id": 9, "note": "z"},))
    (data,) = of_kind(files, FileKind.DATA)
    path_of(data).unlink()
    assert not lake.altered(T, PRODUCTION, [files], Digests.CHANGED, head=second)
    assert [one.why for one in lake.altered(T, PRODUCTION, [files], Digests.CHANGED, head=first)] == [Why.GONE]


def sealed_data(life: Life, receipt: Receipt) -> Path:
    assert receipt.details.seal is not None
    with life.store.read() as view:
        files = view.seals.find([receipt.details.seal.root])[receipt.details.seal.root]
    return path_of(of_kind(files, FileKind.DATA)[0])


def asked_for(life: Life) -> tuple[Any, Receipt]:
    """An approved request that a freeze keeps from executing, and the receipt of its first table."""
    version = life.save()
    life.to_uat(version)
    receipts = life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    asked = life.approve(life.ask(version, PRODUCTION))
    assert asked.state is State.APPROVED
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    return asked, receipts[0]


@pytest.mark.parametrize("how", ["shorter", "same size", "gone"])
def test_l17_candidate_files_that_were_overwritten_make_the_request_stale(life: Life, how: str) -> None:
    asked, receipt = asked_for(life)
    path = sealed_data(life, receipt)
    if how == "gone":
        path.unlink()
    else:
        overwrite(path, other(path)[: -1 if how == "shorter" else None], times=True)
    shown = compare_plan(life.ctx, life.promotion(asked.id))
    assert f"{DAILY}: data/{path.name}" in shown.outcome, "people see it before it is executed"
    done = execute_promotion(life.ctx, SETUP, asked.id).promotion
    assert done.state is State.STALE
    assert done.outcome == shown.outcome
    assert life.plane.head(DAILY, "main") is None


def test_l17_a_policy_that_asks_for_digests_reads_every_file(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, Policy(verify="digests"))
    asked, receipt = asked_for(life)
    read: list[str] = []
    real = seal.digest

    def noting(io: Any, path: str, *given: Any) -> Any:
        read.append(Path(path).name)
        return real(io, path, *given)

    monkeypatch.setattr(seal, "digest", noting)
    assert not compare_plan(life.ctx, life.promotion(asked.id)).outcome
    assert read == [], "a page does not read files"
    assert execute_promotion(life.ctx, SETUP, asked.id).promotion.state is State.DONE
    assert sealed_data(life, receipt).name in read
    with life.store.read() as view:
        (kept,) = [one for one in view.runs.receipts_on(DAILY, PRODUCTION) if one.promotion_id == asked.id]
        assert kept.snapshot == asked.plan.tables[0].candidate
    assert asked.plan.tables[0].seal == (receipt.details.seal and receipt.details.seal.root)


def test_l17_a_wide_publish_is_sealed_in_order(lake: LakePlane) -> None:
    """More files than threads, among them one that is written while it is read."""
    lake.make(T, **{"write.target-file-size-bytes": "1"})
    table = lake.lake_table(T)
    rows = pa.table({"id": pa.array(range(64), pa.int32()), "note": pa.array(["x" * 64] * 64)})
    for _ in range(6):
        lake.lake_table(T).append(rows)
    head = refs.head(lake.lake_table(T), "main")
    assert head is not None
    files = lake.seal(T, PRODUCTION, None, head)
    assert len(of_kind(files, FileKind.DATA)) >= 6
    assert [one.path for one in files.files] == sorted(one.path for one in files.files)
    assert table.location()


def test_l17_a_file_of_production_that_was_overwritten_is_drift_at_the_next_look(life: Life) -> None:
    """Its size and time of modification are as before."""
    version = life.save()
    life.to_uat(version)
    receipt = life.run(version, UAT)[0]
    assert life.approve(life.ask(version, PRODUCTION)).state is State.DONE
    assert reconcile(life.ctx, SETUP).drifts == ()
    path = sealed_data(life, receipt)
    content = path.read_bytes()
    overwrite(path, other(path), times=True)
    (drift,) = reconcile(life.ctx, SETUP).drifts
    assert (drift.table_name, drift.file) == (DAILY, f"data/{path.name}")
    assert drift.why == f"data/{path.name} has other content than when it was published"
    adopted = settle_drift(life.ctx, life.as_("lea"), drift.id, "adopt", reason="we scrubbed a name")
    assert adopted.state == "adopted"
    assert reconcile(life.ctx, SETUP).drifts == (), "it is sealed as it is now"
    path.unlink()
    (gone,) = reconcile(life.ctx, SETUP).drifts
    assert gone.why == f"data/{path.name} is gone"
    path.write_bytes(content)
    with pytest.raises(Refused, match="has other content"):
        settle_drift(life.ctx, life.as_("lea"), gone.id, "revert", reason="another one")


def test_l17_files_that_expiry_removed_are_no_drift(life: Life) -> None:
    life.to_production(life.save())
    old = life.plane.head(DAILY, "main")
    assert old is not None
    life.clock.advance(minutes=1)
    version = life.save(make_spec(rows=2))
    life.to_uat(version)
    run_id = life.begin(version, UAT)
    for number, table in enumerate((DAILY, "flights.late")):
        asked = life.publishing(run_id, table, UAT, number)
        fresh = life.plane.write(table, asked.base, "overwrite", ({"id": 7, "note": "new"},))
        life.publish(asked.model_copy(update={"candidate": fresh}))
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    assert life.approve(life.ask(version, PRODUCTION)).state is State.DONE
    with life.store.read() as view:
        seals = live_seals(view, DAILY)
        lists = view.seals.find(one.root for one in seals)
    assert len(seals) == 2
    table = cast(LakePlane, life.plane).lake_table(DAILY)
    needed = {task.file.file_path for task in table.scan(snapshot_id=refs.head(table, "main")).plan_files()}
    removed = [
        path_of(file) for files in lists.values() for file in of_kind(files, FileKind.DATA) if file.path not in needed
    ]
    assert removed
    for path in removed:
        path.unlink()
    assert reconcile(life.ctx, SETUP).drifts == ()


def test_l17_published_files_can_be_verified_by_hand(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = life.save()
    life.to_uat(version)
    receipt = life.run(version, UAT)[0]
    file = tmp_path / "flights.json"
    file.write_bytes(export_version(life.ctx, life.as_("ada"), "flights", 1))
    monkeypatch.setattr(gateway, "open_lifecycle", lambda _: life.ctx)
    asked = [str(file), "--key", life.store.signing_key.public, "--data"]
    fine = CliRunner().invoke(verify, asked)
    assert "Every file that the tables still need is as it was published" in fine.output
    path = sealed_data(life, receipt)
    overwrite(path, other(path), times=True)
    found = CliRunner().invoke(verify, asked)
    assert isinstance(found.exception, DrlsError)
    assert str(found.exception) == f"{DAILY}: data/{path.name} has other content than when it was published"
