"""What a failed step says, and whether a retry could help."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from pyspark.errors import PythonException
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from drls_dagster.assets.failures import ToldFailure, as_failure
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import CatalogFailed, CatalogFault
from drls_dagster.settings import EnvironmentSettings, Settings
from drls_dagster.steps.shown import without_places
from lifecycle.errors import Refused, StoreError


@pytest.mark.parametrize("error", [CatalogFailed("the catalog is down"), StoreError("the store was busy")])
def test_a_step_that_an_outage_ended_may_be_retried(error: DrlsError, drls_home: Path) -> None:
    """Finding 18; on 0.1.0 a retry policy was of no use when the catalog was down for a moment."""
    with pytest.raises(dg.Failure, match=str(error)) as told, as_failure("sink", Settings(home=drls_home)):
        raise error
    assert told.value.allow_retries
    assert not isinstance(told.value, dg.DagsterError), "Dagster retries no error of its own"


@pytest.mark.parametrize("error", [Refused("stopped"), CatalogFault("a broken table"), DrlsError("rows failed")])
def test_a_step_that_would_fail_again_is_not_retried(error: DrlsError, drls_home: Path) -> None:
    """Finding 18."""
    with pytest.raises(ToldFailure, match=str(error)) as told, as_failure("sink", Settings(home=drls_home)):
        raise error
    assert not told.value.allow_retries


def test_an_error_says_neither_the_servers_folders_nor_what_is_in_a_record(drls_home: Path) -> None:
    """Everyone who may see a run reads it; the owner's log has the whole."""
    record = "4711,alice@example.org"
    error = SparkConnectGrpcException(
        f"[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records: [{record}]. SQLSTATE: 22023\n"
        f"Caused by: java.io.IOException: file://{drls_home}/landing/in.csv"
    )
    with pytest.raises(dg.Failure) as told, as_failure("kept", Settings(home=drls_home)):
        raise error
    assert (
        str(told.value.description) == "node 'kept': a record cannot be read; correct it, or use a mode that keeps it"
    )
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__
    log = drls_home / "logs" / "runs.log"
    assert record in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_an_error_of_a_pipelines_python_in_spark_keeps_its_trace_without_the_servers_folders(drls_home: Path) -> None:
    said = (
        "An exception was thrown from the Python worker. Please see the stack trace below.\n"
        f'Traceback (most recent call last):\n  File "{drls_home}/code/p.py", line 3, in half\nZeroDivisionError: no\n'
        "\nJVM stacktrace:\norg.apache.spark.Secret"
    )
    with pytest.raises(dg.Failure) as told, as_failure("kept", Settings(home=drls_home)):
        raise PythonException(said)
    shown = str(told.value.metadata["python"].value)
    assert 'File "DRLS_HOME/code/p.py", line 3, in half\nZeroDivisionError: no' in shown
    assert "JVM" not in shown


def test_folders_are_named_instead_of_written_out(drls_home: Path, tmp_path: Path) -> None:
    (drls_home / "my landing").mkdir(parents=True)
    (tmp_path / "link").symlink_to(drls_home)
    given = Settings(
        home=drls_home,
        landing=str(tmp_path / "link" / "my landing"),
        environments={"qa": EnvironmentSettings(landing="s3://bucket/landing")},
    ).model_copy(update={"home": tmp_path / "link"})
    text = (
        f"{drls_home}/my landing/a.csv file:{drls_home}/my%20landing/b.csv file://{tmp_path}/link/warehouse/t "
        f"'{tmp_path}/link' {drls_home}-2/x s3://bucket/landing/c"
    )
    assert without_places(text, given) == (
        f"landing/a.csv landing/b.csv warehouse/t 'DRLS_HOME' {drls_home}-2/x s3://bucket/landing/c"
    )
