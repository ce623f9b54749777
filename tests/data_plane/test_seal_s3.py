"""L17 in a bucket: what an object store says of its objects is sealed, and an object that was put anew is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from drls_dagster.settings import CatalogSettings, Settings
from lifecycle.domain.seal import Digests, FileKind, Why
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import PRODUCTION
from tests.s3_server import KEY, SECRET, running_s3

pytestmark = pytest.mark.s3
T = "lab.t"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_s3(tmp_path_factory.mktemp("s3"), "lake") as address:
        yield address


@pytest.fixture
def bucket(server: str) -> pafs.S3FileSystem:
    return pafs.S3FileSystem(
        access_key=KEY, secret_key=SECRET, endpoint_override=server, scheme="http", region="us-east-1"
    )


@pytest.fixture
def plane(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakePlane:
    monkeypatch.setenv("LAB_SECRET", SECRET)
    properties = {"s3.endpoint": f"http://{server}", "s3.access-key-id": KEY, "s3.region": "us-east-1"}
    catalog = CatalogSettings(
        warehouse=f"s3://lake/{tmp_path.name}",
        properties=properties,
        secrets={"s3.secret-access-key": "env:LAB_SECRET"},
    )
    found = LakePlane(Settings(home=tmp_path / "home", catalog=catalog))
    found.catalog.create_namespace_if_not_exists("lab")
    return found


@pytest.mark.parametrize("digests", list(Digests))
def test_l17_an_object_that_was_put_anew_or_removed_is_found(
    plane: LakePlane, bucket: pafs.S3FileSystem, digests: Digests
) -> None:
    candidate = plane.commit(T)
    files = plane.seal(T, PRODUCTION, None, candidate)
    (data,) = [one for one in files.files if one.kind is FileKind.DATA]
    assert data.tag.startswith("ETag=")
    assert data.digest == "", "data is not read back"
    assert all(one.digest for one in files.files if one.kind is not FileKind.DATA)
    assert not plane.altered(T, PRODUCTION, [files], digests)
    place = data.path.removeprefix("s3://")
    with bucket.open_input_file(place) as given:
        content = given.read()

    def put(new: bytes) -> list[Why]:
        with bucket.open_output_stream(place) as out:
            out.write(new)
        return [one.why for one in plane.altered(T, PRODUCTION, [files], digests)]

    assert put(bytes(content[:-1])) == [Why.SIZE]
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    assert put(bytes(changed)) == [Why.CONTENT]
    assert put(bytes(content)) == [], "what was restored has the ETag of what was published"
    bucket.delete_file(place)
    assert [one.why for one in plane.altered(T, PRODUCTION, [files], digests)] == [Why.GONE]
