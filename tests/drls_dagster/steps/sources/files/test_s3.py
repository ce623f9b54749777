"""Files in a bucket: listed by the rule for folders, copied once per run, and then read like any other (finding 24)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import CatalogSettings, Settings, SourcesSettings
from drls_dagster.steps.sources.files.placing import fetched
from drls_dagster.steps.sources.files.roots import OutsideRoots, Roots
from drls_dagster.steps.sources.files.source import Files
from drls_dagster.steps.sources.files.storage import storage_of
from drls_dagster.steps.sources.pins import Place, Reader, SourceMissing
from lifecycle.domain.environment import Environment
from lifecycle.spec import FilesSource
from tests.s3_server import KEY, SECRET, running_s3

pytestmark = pytest.mark.s3
NAMES = ["a.csv", "[1].csv", "a b.csv", "2024-01-01T10:00.csv", "p%20.csv", "ü.csv", "_x.csv", "q?.csv"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server with the bucket `lake`."""
    with running_s3(tmp_path_factory.mktemp("s3"), "lake") as address:
        yield address


def put(server: str, name: str, data: bytes) -> None:
    bucket = pafs.S3FileSystem(
        access_key=KEY, secret_key=SECRET, endpoint_override=server, scheme="http", region="us-east-1"
    )
    with bucket.open_output_stream(f"lake/{name}") as out:
        out.write(data)


@pytest.fixture(params=["variables", "catalog", "uri"])
def place(request: pytest.FixtureRequest, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The three ways to say where the bucket is."""
    landing, catalog = "s3://lake/landing", CatalogSettings()
    if request.param == "variables":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server}")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
    elif request.param == "catalog":
        monkeypatch.setenv("LAB_SECRET", SECRET)
        properties = {"s3.endpoint": f"http://{server}", "s3.access-key-id": KEY, "s3.region": "us-east-1"}
        catalog = CatalogSettings(properties=properties, secrets={"s3.secret-access-key": "env:LAB_SECRET"})
    else:
        landing = f"s3://{KEY}:{SECRET}@lake/landing?endpoint_override={server}&scheme=http&region=us-east-1"
    settings = Settings(home=tmp_path / "home", landing=landing, catalog=catalog)
    return Place(settings, Environment.DEVELOPMENT, load_catalog(settings))


def test_d1_a_bucket_is_listed_and_copied_whatever_the_names(server: str, place: Place, tmp_path: Path) -> None:
    """Failed on 0.1.0: `*` crossed folders, options of the URI were lost, and Spark could not read s3:// at all."""
    for name in NAMES:
        put(server, f"landing/{name}", name.encode())
    put(server, "landing/deep/er.csv", b"deep")
    source = FilesSource(format="csv", path="*.csv")
    pin = Files().pin("raw", source, place)
    names = [file.name for file in pin.files]
    assert names == sorted(f"s3://lake/landing/{name}" for name in NAMES)
    assert SECRET not in str(pin)
    roots = Roots.of(place.settings, place.environment)
    storage = storage_of(roots.named("raw", source.path), roots, place.settings)
    reader = Reader(None, place, str(tmp_path / "stage"))  # pyright: ignore[reportArgumentType]
    copies = fetched(reader, "raw", storage, pin.files)
    assert {name.rpartition("/")[2]: Path(path).read_text() for name, path in copies.items()} == {n: n for n in NAMES}
    put(server, "landing/a.csv", b"another")
    assert fetched(reader, "raw", storage, pin.files) == copies  # what was copied is what this run reads
    again = Reader(None, place, str(tmp_path / "other"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(SourceMissing, match=r"s3://lake/landing/a\.csv changed since the run pinned it"):
        fetched(again, "raw", storage, pin.files)
    assert [entry[0] for entry in Files().pin("raw", FilesSource(format="csv", path="[1].csv"), place).files] == [
        "s3://lake/landing/[1].csv"
    ]


def test_a_bucket_that_cannot_be_read_is_said_without_the_secret(server: str, tmp_path: Path) -> None:
    landing = f"s3://{KEY}:wrong-secret@lake/landing?endpoint_override={server}&scheme=http&region=us-east-1"
    settings = Settings(home=tmp_path / "home", landing=landing)
    place = Place(settings, Environment.DEVELOPMENT, load_catalog(settings))
    with pytest.raises(SourceMissing, match=r"node 'raw': a\.csv cannot be read") as refused:
        Files().pin("raw", FilesSource(format="csv", path="a.csv"), place)
    assert "wrong-secret" not in str(refused.value)


def test_a_bucket_besides_landing_is_read_below_its_root_and_opened_as_the_settings_say(
    server: str, tmp_path: Path
) -> None:
    put(server, "reference/a.csv", b"a")
    options = f"endpoint_override={server}&scheme=http&region=us-east-1"
    roots = SourcesSettings(roots=(f"s3a://{KEY}:{SECRET}@lake/reference/?{options}",))
    settings = Settings(home=tmp_path / "home", sources=roots)
    place = Place(settings, Environment.DEVELOPMENT, load_catalog(settings))
    for spelled in ("s3://lake/reference/*.csv", "S3A://lake/reference/a.csv"):
        pin = Files().pin("raw", FilesSource(format="csv", path=spelled), place)
        assert [file.name for file in pin.files] == ["s3://lake/reference/a.csv"]
    for outside in ("s3://lake/referenced/a.csv", "s3://lake/*", "s3://other/reference/a.csv", "gs://lake/reference/a"):
        with pytest.raises(OutsideRoots, match=r"is outside of landing and of \[sources\] roots"):
            Files().pin("raw", FilesSource(format="csv", path=outside), place)
