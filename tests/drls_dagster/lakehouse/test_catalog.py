from __future__ import annotations

import json
import multiprocessing
import socket
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.catalog_config import local_as_uri, resolve_catalog
from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.namespaces import ensure_namespace
from drls_dagster.settings import CatalogSettings, Settings, load_settings

PASSWORD = "p@ss/w:rd hunter2"
WRITERS = 3
APPENDS = 4


def settings_with(home: Path, **catalog: object) -> Settings:
    return Settings(home=home, catalog=CatalogSettings.model_validate(catalog))


def test_the_default_catalog_needs_no_service_and_keeps_others_out(drls_home: Path) -> None:
    catalog = load_catalog()
    catalog.create_namespace("flights")
    table = catalog.create_table("flights.daily", schema=pa.schema([("x", pa.int64())]))
    table.append(pa.table({"x": [1, 2]}))
    assert catalog.load_table("flights.daily").scan().to_arrow().num_rows == 2
    for folder in (drls_home, drls_home / "warehouse"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert table.location() == f"file://{drls_home}/warehouse/flights/daily"


def test_a_home_with_spaces_works(tmp_path: Path) -> None:
    catalog = load_catalog(Settings(home=tmp_path).model_copy(update={"home": tmp_path / "my home"}))
    catalog.create_namespace("flights")
    table = catalog.create_table("flights.daily", schema=pa.schema([("x", pa.int64())]))
    table.append(pa.table({"x": [1]}))
    assert catalog.load_table("flights.daily").scan().to_arrow().num_rows == 1


def test_equal_settings_share_one_catalog_and_others_do_not(tmp_path: Path) -> None:
    first = load_settings(tmp_path / "a")
    assert load_catalog(first) is load_catalog(first.model_copy())
    assert load_catalog(first) is not load_catalog(load_settings(tmp_path / "b"))


def test_a_named_home_wins_over_the_variable(tmp_path: Path, drls_home: Path) -> None:
    assert load_settings().home == drls_home
    assert load_settings(tmp_path / "other").home == tmp_path / "other"


def _append(home: Path, start: multiprocessing.synchronize.Barrier, writer: int) -> None:
    start.wait(timeout=60)
    catalog = load_catalog(load_settings(home))
    ensure_namespace(catalog, "flights")
    schema = pa.schema([("writer", pa.int64()), ("number", pa.int64())])
    catalog.create_table_if_not_exists("flights.daily", schema=schema)
    for number in range(APPENDS):
        rows = pa.table({"writer": [writer], "number": [number]})
        commit_with_retry(
            lambda rows=rows: catalog.load_table("flights.daily").append(rows), what="append", attempts=20
        )


def test_d14_processes_that_start_on_an_empty_home_at_once_lose_no_commit(drls_home: Path) -> None:
    processes = multiprocessing.get_context("spawn")
    start = processes.Barrier(WRITERS)
    writers = [processes.Process(target=_append, args=(drls_home, start, number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=120)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    rows = load_catalog().load_table("flights.daily").scan().to_arrow().to_pylist()
    expected = {(writer, number) for writer in range(WRITERS) for number in range(APPENDS)}
    assert len(rows) == len(expected)
    assert {(row["writer"], row["number"]) for row in rows} == expected


def test_loading_the_catalog_imports_neither_pandas_nor_pyarrow() -> None:
    code = (
        "import sys; from drls_dagster.lakehouse.catalog import load_catalog; load_catalog();"
        "print([name for name in ('pandas', 'pyarrow', 'dagster', 'pyspark') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_refused_connection_names_the_place_and_not_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CATALOG_PASSWORD", PASSWORD)
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        settings = settings_with(
            tmp_path,
            uri=f"postgresql://ada@127.0.0.1:{port}/lake",
            secrets={"password": "env:CATALOG_PASSWORD"},
        )
        with pytest.raises(DrlsError, match=f"127.0.0.1:{port}/lake") as caught:
            load_catalog(settings)
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(resolve_catalog(settings))
    assert_without_password(shown + repr(settings) + repr(settings.catalog))


class _RefusingServer(BaseHTTPRequestHandler):
    """A REST catalog that refuses every sign-in and repeats what it was sent, as bad ones do."""

    def do_GET(self) -> None:
        self._answer(200, {"defaults": {}, "overrides": {}})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer(401, {"error": "invalid_client", "error_description": f"cannot use {sent}"})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _RefusingServer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_refused_sign_in_at_a_rest_catalog_does_not_show_the_credential(
    tmp_path: Path, refusing_server: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CREDENTIAL", f"ada:{PASSWORD}")
    settings = settings_with(tmp_path, type="rest", uri=refusing_server, secrets={"credential": "env:CREDENTIAL"})
    with pytest.raises(DrlsError, match=f"{refusing_server} failed") as caught:
        load_catalog(settings)
    assert_without_password("".join(traceback.format_exception(caught.value)) + caplog.text)


def test_an_error_text_of_a_client_is_cleaned_of_every_form_of_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_PASSWORD", PASSWORD)
    config = resolve_catalog(
        settings_with(tmp_path, uri="postgresql://ada@h/lake", secrets={"password": "env:CATALOG_PASSWORD"})
    )
    text = f"cannot use {PASSWORD} nor p%40ss%2Fw%3Ard%20hunter2 nor p%40ss%2Fw%3Ard+hunter2"
    assert config.without_secrets(text) == "cannot use *** nor *** nor ***"


def assert_without_password(text: str) -> None:
    assert "hunter2" not in text
    assert "p%40ss" not in text


@pytest.mark.parametrize(
    ("catalog", "said"),
    [
        ({"uri": "postgresql://ada:hunter2@h/lake"}, "catalog.secrets.password"),
        ({"uri": "postgresql://ada@h/lake", "properties": {"password": "hunter2"}}, "catalog.secrets"),
        (
            {"type": "rest", "uri": "http://h", "properties": {"s3.secret-access-key": "hunter2"}},
            "catalog.secrets",
        ),
        ({"secrets": {"password": "hunter2"}}, "env:NAME or file:/path"),
        ({"uri": "mysql://h/lake"}, "sqlite or postgresql"),
        ({"uri": "sqlite:///relative.db"}, "absolute path"),
        ({"uri": "sqlite://"}, "two processes"),
        ({"uri": "hunter2"}, "not a database URL"),
        ({"type": "rest"}, "catalog.uri is missing"),
        ({"type": "polaris", "uri": "http://h"}, "catalog.warehouse is missing"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_without_its_secret(
    tmp_path: Path, catalog: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        load_catalog(settings_with(tmp_path, **catalog))
    assert_without_password("".join(traceback.format_exception(caught.value)))


def test_a_secret_comes_from_a_file_or_is_missed_by_name(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    catalog = {"uri": "postgresql://ada@h/lake", "secrets": {"password": f"file:{secret}"}}
    assert resolve_catalog(settings_with(tmp_path, **catalog)).password == PASSWORD
    secret.unlink()
    with pytest.raises(DrlsError, match=r"catalog.secrets.password: cannot read .*secret"):
        resolve_catalog(settings_with(tmp_path, **catalog))
    with pytest.raises(DrlsError, match="NOT_THERE is not set"):
        resolve_catalog(settings_with(tmp_path, secrets={"token": "env:NOT_THERE"}))


def test_locations_are_compared_in_one_form() -> None:
    assert {local_as_uri(text) for text in ("/data/x", "file:/data/x", "file:///data/x")} == {"file:///data/x"}
    assert local_as_uri("s3://bucket/x") == "s3://bucket/x"


def test_a_configuration_file_of_pyiceberg_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__WAREHOUSE", "s3://elsewhere")
    code = "from drls_dagster.lakehouse.catalog import load_catalog;print(load_catalog().properties['warehouse'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("file://")
